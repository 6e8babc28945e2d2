//! Calls that lead nowhere, and names in their paths that are misspelt.

use simhost_notation::{Part, parts};

use crate::error::{Problem, did_you_mean, nearest, quote};
use crate::topology::parameters;

use super::super::calls::{Call, Meets};
use super::{Run, graded};

/// Calls of services that are not there, and of routes that their callees do not have; and names in
/// paths that are nearly those of the caller's own route.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for problem in
        run.calls.all.iter().flat_map(|call| problem(run, call).into_iter().chain(misspelt(run, call)))
    {
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

/// Names in the path of a call that its route does not have, and that are near one which it has. A guest
/// puts a number in their place, which is meant where no name is near, or the near one is in the path too.
fn misspelt<'a>(run: &'a Run<'_>, call: &'a Call) -> impl Iterator<Item = Problem> + 'a {
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
        let problem = placed(run, call, problem, &format!("{{{name}}}"), "a number from 1 to 1000");
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
