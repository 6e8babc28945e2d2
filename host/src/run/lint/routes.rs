//! Routes that faults and objectives name.

use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, Place, RequestsOf, ServiceId};

use super::{Run, graded};

/// A route that is named somewhere.
struct Named<'a> {
    service: ServiceId,
    route: &'a str,
    place: &'a Place,
    /// What to do about it at a real server.
    remedy: &'static str,
    /// Whether it takes part in the run.
    is_on: bool,
    is_of_fault: bool,
}

/// Routes that faults and objectives name and no guest has; of guests that did
/// not load, nothing is known.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let faults = run.model.faults.iter().flat_map(|fault| {
        fault.targets().iter().filter_map(|target| {
            let (route, place) = target.route.as_ref()?;
            let (service, is_on) = (target.service, fault.enabled);
            let remedy = "leave `route` out";
            Some(Named { service, route, place, remedy, is_on, is_of_fault: true })
        })
    });
    let objectives = run.model.objectives.iter().filter_map(|objective| match &objective.of {
        RequestsOf::Route(service, route) => {
            let remedy = "set objectives for the services that call it";
            let place = &objective.place;
            Some(Named { service: *service, route, place, remedy, is_on: true, is_of_fault: false })
        }
        RequestsOf::Service(_) | RequestsOf::Load(_) => None,
    });
    let unknown = |named: Named<'_>| {
        let problem = unknown(run, &named)?;
        Some(if named.is_of_fault { problem.of_fault() } else { problem })
    };
    let mut problems: Vec<_> = faults.chain(objectives).filter_map(unknown).collect();
    problems.extend(objectives_outside(run));
    problems
}

fn unknown(run: &Run<'_>, named: &Named<'_>) -> Option<Problem> {
    let Named { service, route, place, remedy, is_on, .. } = named;
    let described = run.model.service(*service);
    if let Code::External(_) = described.code {
        let problem = Problem::new(format!("simhost knows no routes of {}, a real server", described.name));
        return Some(graded(problem.at((*place).clone(), "this route").help(*remedy), *is_on));
    }
    run.found.services[service.index()].as_ref()?.guest.as_ref()?;
    let routes = run.routes(*service);
    if routes.contains(route) {
        return None;
    }
    let problem = Problem::new(format!("{} has no route {}", quote(&described.name), quote(route)));
    let help = did_you_mean(route, "routes", routes.iter().copied());
    // Another guest may be half done.
    let is_error = *is_on && !run.is_swapped(*service);
    Some(graded(problem.at((*place).clone(), "no such route").help(help), is_error))
}

/// Objectives for real servers: what they do is counted at their callers.
fn objectives_outside(run: &Run<'_>) -> impl Iterator<Item = Problem> {
    let outside = run.model.objectives.iter().filter_map(|objective| match objective.of {
        RequestsOf::Service(id) if matches!(run.model.service(id).code, Code::External(_)) => {
            Some((id, objective))
        }
        _ => None,
    });
    outside.map(|(id, objective)| {
        Problem::new(format!("{} is a real server, whose requests simhost does not see", run.name(id)))
            .at(objective.place.clone(), "an external service")
            .help("set objectives for the services that call it")
    })
}
