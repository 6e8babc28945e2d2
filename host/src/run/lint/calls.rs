//! Calls that lead nowhere, and names in their paths that are misspelt.

use std::collections::BTreeMap;

use simhost_notation::{Part, parts};

use crate::error::{Problem, did_you_mean, nearest, quote};
use crate::model::ServiceId;
use crate::report::words::count;
use crate::topology::parameters;

use super::super::calls::{CALLS_AT_MOST, Call, Meets};
use super::{DETAILED_AT_MOST, Run, graded};

/// Calls of services that are not there, and of routes that their callees do not have; and names in
/// paths that are nearly those of the caller's own route.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = run.calls.cut_off.map(|at| cut_off(run, at)).into_iter().collect();
    let mut known = BTreeMap::new();
    for call in &run.calls.all {
        let is_detailed = problems.len() < DETAILED_AT_MOST;
        for problem in problem(run, call, is_detailed).into_iter().chain(misspelt(run, call, is_detailed)) {
            let place = call.place.as_ref().or(problem.at.as_ref()).map(|place| (place.start, place.end));
            // What stands beside the tables of a configuration holds for each of them, and what a deployment
            // does not change for it too.
            let at = *known.entry((place, problem.message.clone())).or_insert(problems.len());
            match problems.get_mut(at) {
                Some(known) => {
                    known.severity = known.severity.min(problem.severity);
                    known.is_of_fault &= problem.is_of_fault;
                }
                None => problems.push(problem),
            }
        }
    }
    problems
}

fn cut_off(run: &Run<'_>, at: ServiceId) -> Problem {
    let most = count(CALLS_AT_MOST as u64);
    let further = format!("further ones of {} and of those below it are not checked", run.name(at));
    let message = format!("the services make more than {most} calls: {further}");
    let problem = Problem::warning(message).at(run.model.service(at).place.clone(), "from here on");
    problem.help("write calls in the tables that need them, and not beside the tables")
}

/// What is wrong with a call. Without details it is where the configuration is, and no name is compared.
fn problem(run: &Run<'_>, call: &Call, is_detailed: bool) -> Option<Problem> {
    let caller = run.name(call.from);
    let what = &call.what;
    let Some(to) = call.to else {
        let services = run.model.services.iter().map(|service| service.name.as_str());
        let name = quote(&what.service);
        let problem = Problem::new(format!("{caller} calls {name}, which is no service of this topology"));
        let problem = placed(run, call, problem, (&what.service, is_detailed), "no such service");
        let help = is_detailed.then(|| did_you_mean(&what.service, "services", services));
        let problem = Problem { help, ..problem };
        return Some(graded(problem, is_meant(call)));
    };
    let asked = format!("{} {}", what.method, what.path);
    let (label, why) = match &call.meets {
        Meets::Unknown | Meets::Route(_) => return None,
        Meets::OtherMethods(_) => ("405 for each call", "has this path, but not with this method"),
        Meets::Nothing => ("404 for each call", "has no such route"),
    };
    let message = format!("{caller} calls {} of {}, which {why}", quote(&asked), run.name(to));
    let target =
        if what.path == "/" { what.service.clone() } else { format!("{}{}", what.service, what.path) };
    let problem = placed(run, call, Problem::new(message), (&target, is_detailed), label);
    let help = is_detailed.then(|| run.instead(to, &asked, &call.meets));
    let problem = Problem { help, ..problem };
    // Another guest may be half done.
    Some(graded(problem, is_meant(call) && !run.is_swapped(to)))
}

/// Names in the path of a call that its route does not have, and that are near one which it has. A guest
/// puts a number in their place, which is meant where no name is near, or the near one is in the path too.
fn misspelt<'a>(run: &'a Run<'_>, call: &'a Call, is_detailed: bool) -> impl Iterator<Item = Problem> + 'a {
    let names = || {
        parts(&call.what.path).filter_map(|part| match part {
            Part::Name(name) => Some(name),
            Part::Text(_) => None,
        })
    };
    let strange = names().filter(|name| parameters(&call.route).all(|own| own != *name));
    strange.filter_map(move |name| {
        let near = nearest(name, parameters(&call.route).filter(|own| names().all(|name| name != *own)))?;
        let (caller, route) = (run.name(call.from), quote(&call.route));
        let problem = Problem::warning(format!(
            "{caller} calls {} with a number for {{{name}}}, which its route {route} does not have",
            quote(&call.what.service)
        ));
        let problem =
            placed(run, call, problem, (&format!("{{{name}}}"), is_detailed), "a number from 1 to 1000");
        Some(
            problem
                .help(format!("did you mean {{{near}}}? If a number is meant, choose a less similar name")),
        )
    })
}

/// Whether a call that leads nowhere can only be a mistake. One that may fail, or is never made, may be
/// one; so may one of a deployment that is off; and what a guest calls by its own code may be missing on
/// purpose, to try a part of a system alone.
fn is_meant(call: &Call) -> bool {
    let is_written = call.place.is_some() || call.deployed_by.is_some();
    is_written && call.is_on && !call.what.is_optional && call.what.share > 0.0
}

/// Where the call is written; of a guest that has its calls in its code, where the service is.
fn placed(
    run: &Run<'_>,
    call: &Call,
    problem: Problem,
    (written, is_detailed): (&str, bool),
    label: &str,
) -> Problem {
    let problem = if call.deployed_by.is_some() { problem.of_fault() } else { problem };
    if let Some(place) = &call.place {
        let place = if is_detailed { run.within(place, written) } else { place.clone() };
        return problem.at(place, label);
    }
    let deployment = call.deployed_by.as_deref();
    let fault = run.model.faults.iter().find(|fault| Some(fault.name.as_str()) == deployment);
    let place = fault.map_or(&run.model.service(call.from).place, |fault| &fault.place);
    problem.at(place.clone(), label)
}
