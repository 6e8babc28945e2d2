//! Calls that lead nowhere.

use crate::error::{Problem, did_you_mean, quote};

use super::super::calls::{Call, Meets};
use super::{Run, graded};

/// Calls of services that are not there, and of routes that their callees do not have.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for problem in run.calls.all.iter().filter_map(|call| problem(run, call)) {
        // What stands beside the tables of a configuration holds for each of them, and what a deployment
        // does not change for it too.
        let known =
            problems.iter_mut().find(|known| known.at == problem.at && known.message == problem.message);
        match known {
            Some(known) => {
                known.severity = known.severity.min(problem.severity);
                known.is_of_fault &= problem.is_of_fault;
            }
            None => problems.push(problem),
        }
    }
    problems
}

fn problem(run: &Run<'_>, call: &Call) -> Option<Problem> {
    let caller = run.name(call.from);
    let what = &call.what;
    let Some(to) = call.to else {
        let services = run.model.services.iter().map(|service| service.name.as_str());
        let name = quote(&what.service);
        let problem = Problem::new(format!("{caller} calls {name}, which is no service of this topology"));
        let problem = placed(run, call, problem, &what.service, "no such service");
        let problem = problem.help(did_you_mean(&what.service, "services", services));
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
    let problem = placed(run, call, Problem::new(message), &target, label);
    let problem = problem.help(run.instead(to, &asked, &call.meets));
    // Another guest may be half done.
    Some(graded(problem, is_meant(call) && !run.is_swapped(to)))
}

/// Whether a call that leads nowhere can only be a mistake. One that may fail, or is never made, may be
/// one; so may one of a deployment that is off; and what a guest calls by its own code may be missing on
/// purpose, to try a part of a system alone.
fn is_meant(call: &Call) -> bool {
    let is_written = call.place.is_some() || call.deployed_by.is_some();
    is_written && call.is_on && !call.what.is_optional && call.what.share > 0.0
}

/// Where the call is written; of a guest that has its calls in its code, where the service is.
fn placed(run: &Run<'_>, call: &Call, problem: Problem, written: &str, label: &str) -> Problem {
    let problem = if call.deployed_by.is_some() { problem.of_fault() } else { problem };
    if let Some(place) = &call.place {
        return problem.at(run.within(place, written), label);
    }
    let deployment = call.deployed_by.as_deref();
    let fault = run.model.faults.iter().find(|fault| Some(fault.name.as_str()) == deployment);
    let place = fault.map_or(&run.model.service(call.from).place, |fault| &fault.place);
    problem.at(place.clone(), label)
}
