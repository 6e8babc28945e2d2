//! Services that are asked for what their guests do not export.

use std::collections::BTreeSet;

use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, JobSchedule, ServiceId};

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
    let mut known: BTreeSet<(ServiceId, ServiceId)> = BTreeSet::new();
    for call in &run.calls.all {
        let Some(to) = call.to.filter(|to| !run.found.serves(*to)) else { continue };
        if !known.insert((call.from, to)) {
            continue;
        }
        let message = format!("{} calls {}, {NO_HANDLER}", run.name(call.from), run.name(to));
        let place = call.place.as_ref().map(|place| run.within(place, &call.what.service));
        let place = place.unwrap_or_else(|| run.model.service(call.from).place.clone());
        problems.push(Problem::new(message).at(place, "called here").help(HELP));
    }
    problems.extend(run.model.schedules.iter().filter_map(|schedule| unscheduled(run, schedule)));
    problems
}

/// The problem of a schedule whose service has no such job.
fn unscheduled(run: &Run<'_>, schedule: &JobSchedule) -> Option<Problem> {
    let (jobs, name) = (run.found.jobs(schedule.service)?, run.name(schedule.service));
    if jobs.contains(&schedule.job) {
        return None;
    }
    let (message, help) = match run.model.service(schedule.service).code {
        _ if !jobs.is_empty() => {
            let jobs = jobs.iter().map(String::as_str);
            (format!("{name} has no job {}", quote(&schedule.job)), did_you_mean(&schedule.job, "jobs", jobs))
        }
        Code::External(_) => {
            let help = "name a service with a guest that has jobs".to_owned();
            (format!("{name} is a real server, which has no jobs"), help)
        }
        Code::Embedded(_) | Code::File { .. } => {
            let help = "let its guest export `job`, or name another service".to_owned();
            (format!("{name} has no jobs"), help)
        }
    };
    Some(Problem::new(message).at(schedule.place.clone(), "no such job").help(help))
}

const NO_HANDLER: &str = "whose guest does not export `handler` and serves no requests";

const HELP: &str = "let it ask another service, or give that service a guest that exports `handler`";
