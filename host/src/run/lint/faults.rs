//! Faults that never strike: on calls that nobody makes, for requests that cannot
//! be, or after the end of the run.

use crate::clock;
use crate::error::{Problem, did_you_mean, list, quote};
use crate::model::{Code, Distribution, Effect, Fault, Nanos, Part, Schedule, ServiceId, Target};
use crate::topology::is_inside;

use super::super::calls::Meets;
use super::super::loads;
use super::{Run, graded};

/// The problems of each fault.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let end = loads::length(run.options, run.model);
    let mut problems = Vec::new();
    for (index, fault) in run.model.faults.iter().enumerate() {
        for target in fault.targets() {
            problems.extend(out_of_reach(run, fault, target));
            problems.extend(uncalled(run, fault, target));
            problems.extend(methods(run, fault, target));
            problems.extend(params(run, fault, target));
        }
        problems.extend(end.and_then(|end| too_late(run, index, end)));
    }
    problems
}

/// A fault within a real server that was off in the file, and was switched on.
fn out_of_reach(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Problem> {
    let is_outside = |service: &ServiceId| matches!(run.model.service(*service).code, Code::External(_));
    let within = is_outside(&target.service) && is_inside(fault);
    if !fault.enabled || !(within || target.from.as_ref().is_some_and(is_outside)) {
        return None;
    }
    let problem = Problem::new(format!("the fault {} cannot reach into a real server", quote(&fault.name)));
    let problem = problem.at(fault.place.clone(), "switched on");
    Some(problem.help(format!("leave it off, or give {} a guest", run.name(target.service))))
}

fn never(fault: &Fault, why: &str) -> Problem {
    Problem::warning(format!("the fault {} never strikes: {why}", quote(&fault.name)))
}

/// A fault between two services of which one does not call the other, or not on that route.
fn uncalled(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Problem> {
    let from = target.from.filter(|from| run.calls.known(*from))?;
    let (caller, to) = (run.name(from), run.name(target.service));
    let mut calls = run.calls.between(from, target.service).peekable();
    if calls.peek().is_none() {
        let problem = never(fault, &format!("{caller} does not call {to}"));
        let problem = problem.at(fault.place.clone(), "no such call");
        return Some(
            problem.help(format!("name two services of which one calls the other; {}", callees(run, from))),
        );
    }
    let (route, place) = target.route.as_ref()?;
    let mut met: Vec<&str> = Vec::new();
    for call in calls {
        match &call.meets {
            Meets::Route(Some(name)) if !met.contains(&name.as_str()) => met.push(name),
            Meets::Route(Some(_)) => {}
            // What it meets is not known, or any route.
            Meets::Unknown | Meets::Route(None) => return None,
            Meets::OtherMethods(_) | Meets::Nothing => {}
        }
    }
    if met.contains(&route.as_str()) {
        return None;
    }
    let problem = never(fault, &format!("{caller} does not call {} of {to}", quote(route)));
    Some(problem.at(place.clone(), "not called from there").help(format!("{caller} calls {}", list(met))))
}

fn callees(run: &Run<'_>, from: ServiceId) -> String {
    let mut names: Vec<&str> = Vec::new();
    for call in run.calls.all.iter().filter(|call| call.from == from) {
        if !names.contains(&call.what.service.as_str()) {
            names.push(&call.what.service);
        }
    }
    format!("{} calls {}", run.name(from), list(names))
}

/// Conditions on the method that no request to the target can meet.
fn methods(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Problem> {
    let mut tests = fault.conditions.iter().filter(|condition| condition.of == Part::Method).peekable();
    tests.peek()?;
    let service = run.model.service(target.service);
    let names: Vec<&str> = match &target.route {
        Some((route, _)) => vec![route],
        None => run.routes(target.service),
    };
    let mut methods: Vec<&str> = names.iter().filter_map(|name| name.split(' ').next()).collect();
    methods.sort_unstable();
    methods.dedup();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    // Real servers, and guests that take everything, take any method.
    if methods.is_empty() {
        return None;
    }
    let tests: Vec<_> = tests.collect();
    let meets = |method: &&&str| tests.iter().all(|condition| condition.test.texts([**method]));
    if methods.iter().find(meets).is_some() {
        return None;
    }
    let of_what = match &target.route {
        Some((route, _)) => format!("{} does not have", quote(route)),
        None => format!("no route of {} has", quote(&service.name)),
    };
    let problem = never(fault, &format!("its match wants a method that {of_what}"));
    let place = target.route.as_ref().map_or(&fault.place, |(_, place)| place);
    let problem = problem.at(place.clone(), "match contradicts it");
    let help = format!("match one of {}, or leave method out of match", list(methods));
    // A route has a method, so nothing else can be meant.
    Some(graded(problem.help(help), target.route.is_some() && fault.enabled))
}

/// Conditions on parameters that no route of the target has.
fn params(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Problem> {
    if target.route.is_some() {
        // Of a route that is named, the file's reader has compared the names.
        return None;
    }
    let routes = run.routes(target.service);
    let mut known: Vec<&str> = Vec::new();
    for route in &routes {
        let names = route.split('{').skip(1).filter_map(|rest| rest.split_once('}'));
        known.extend(names.map(|(name, _)| name.trim_start_matches('*')));
    }
    known.dedup();
    let wrong = fault.conditions.iter().find_map(|condition| match &condition.of {
        Part::Param(name) if !routes.is_empty() && !known.contains(&name.as_str()) => Some(name),
        _ => None,
    })?;
    let to = run.name(target.service);
    let problem = never(fault, &format!("no route of {to} has the parameter {}", quote(wrong)));
    let help = did_you_mean(wrong, "parameters", known.iter().copied());
    Some(problem.at(fault.place.clone(), "see its match").help(help))
}

/// A fault whose first window opens when no request comes any more.
fn too_late(run: &Run<'_>, index: usize, end: Nanos) -> Option<Problem> {
    let fault = &run.model.faults[index];
    let opens = opens(run, index)?;
    if !fault.enabled || opens < end || matches!(fault.effect, Effect::Export(_)) {
        return None;
    }
    let (opens, end) = (clock::show(opens), clock::show(end));
    let problem = never(fault, &format!("its window opens at {opens}, and the run ends at {end}"));
    let help = "let the window open earlier, or run for longer: --for";
    Some(problem.at(fault.place.clone(), "after the end").help(help))
}

/// The shortest time that is ever drawn.
fn least(distribution: &Distribution) -> Nanos {
    match distribution {
        Distribution::Fixed(nanos)
        | Distribution::Normal { mean: nanos, stddev: 0 }
        | Distribution::Uniform { min: nanos, .. }
        | Distribution::Pareto { min: nanos, .. } => *nanos,
        Distribution::Percentiles(points) => points.first().map_or(0, |(_, nanos)| *nanos),
        Distribution::Normal { .. } | Distribution::Lognormal { .. } | Distribution::Exponential { .. } => 0,
    }
}

/// When the first window opens at the earliest, where that is known before.
fn opens(run: &Run<'_>, mut index: usize) -> Option<Nanos> {
    let mut sum: Nanos = 0;
    // No fault waits for itself: the reader has refused circles.
    for _ in 0..=run.model.faults.len() {
        match &run.model.faults[index].when.schedule {
            Schedule::Always => return Some(sum),
            Schedule::Fixed { at, .. } => return Some(sum.saturating_add(least(at))),
            Schedule::Random { .. } => return None,
            Schedule::After { fault, delay, .. } => {
                sum = sum.saturating_add(least(delay));
                index = *fault;
            }
        }
    }
    None
}
