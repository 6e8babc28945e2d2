//! Services that are asked for what their guests do not export.

use crate::error::{Problem, quote};
use crate::model::ServiceId;

use super::Run;

/// Requests of clients and calls of services that go to a guest which serves none.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(ingress) = &run.model.ingress
        && !run.found.serves(ingress.to)
    {
        let place = run.model.service(ingress.to).place.clone();
        let message = format!("the ingress leads to {}, {NO_HANDLER}", run.name(ingress.to));
        problems.push(Problem::new(message).at(place, "this service").help(HELP));
    }
    for load in run.model.loads.iter().filter(|load| !run.found.serves(load.to)) {
        let name = quote(&load.name);
        let message = format!("the load {name} asks {}, {NO_HANDLER}", run.name(load.to));
        problems.push(Problem::new(message).at(load.place.clone(), "this load").help(HELP));
    }
    let mut known: Vec<(ServiceId, ServiceId)> = Vec::new();
    for call in &run.calls.all {
        let Some(to) = call.to.filter(|to| !run.found.serves(*to)) else { continue };
        if known.contains(&(call.from, to)) {
            continue;
        }
        known.push((call.from, to));
        let message = format!("{} calls {}, {NO_HANDLER}", run.name(call.from), run.name(to));
        let place = call.place.as_ref().map(|place| run.within(place, &call.what.service));
        let place = place.unwrap_or_else(|| run.model.service(call.from).place.clone());
        problems.push(Problem::new(message).at(place, "called here").help(HELP));
    }
    problems
}

const NO_HANDLER: &str = "whose guest does not export `handler` and serves no requests";

const HELP: &str = "let it ask another service, or give that service a guest that exports `handler`";
