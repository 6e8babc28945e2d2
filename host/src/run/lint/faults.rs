//! Faults that never strike: on calls that nobody makes, for requests that cannot
//! be, or after the end of the run.

use crate::clock;
use crate::error::{Problem, did_you_mean, list, quote};
use crate::model::{
    CacheEffect, CacheFault, Code, ConnectionPool, Distribution, Effect, Fault, Nanos, Part, Place, Schedule,
    ServiceId, Target, TopicTarget,
};
use crate::topology::{is_inside, parameters};

use super::super::calls::Meets;
use super::super::loads;
use super::{Run, graded};

/// Why a fault does not strike at one of its targets.
struct Idle {
    why: String,
    place: Place,
    label: &'static str,
    help: String,
    /// Nothing else can be meant.
    is_error: bool,
}

/// The problems of each fault.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let end = loads::length(run.options, run.model);
    let mut problems = Vec::new();
    for (index, fault) in run.model.faults.iter().enumerate() {
        problems.extend(fault.targets().iter().find_map(|target| out_of_reach(run, fault, target)));
        problems.extend(idle(run, fault));
        problems.extend(unasked(run, fault));
        problems.extend(unused(run, fault));
        problems.extend(unsent(run, fault));
        problems.extend(end.and_then(|end| too_late(run, index, end)));
    }
    problems.into_iter().map(Problem::of_fault).collect()
}

/// A fault within a real server that was off in the file, and was switched on.
fn out_of_reach(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Problem> {
    let is_outside = |service: &ServiceId| matches!(run.model.service(*service).code, Code::External(_));
    let within = is_outside(&target.service) && is_inside(fault, target);
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

/// The same, where `drawn` is its target.
fn at_times_never(fault: &Fault, drawn: &str, why: &str) -> Problem {
    let name = quote(&fault.name);
    Problem::warning(format!("where it is drawn for {drawn}, the fault {name} never strikes: {why}"))
}

/// Why a fault strikes at none of its targets, or not at some of those of which it draws one.
fn idle(run: &Run<'_>, fault: &Fault) -> Vec<Problem> {
    let of_target = |target| -> Vec<Idle> {
        let idle = [
            uncalled(run, target),
            methods(run, fault, target),
            params(run, fault, target),
            spans(run, target),
        ];
        idle.into_iter().flatten().collect()
    };
    let idle: Vec<_> = fault.targets().iter().map(|target| (target, of_target(target))).collect();
    let never_strikes = idle.iter().all(|(_, idle)| !idle.is_empty());
    let is_error = fault.enabled && idle.iter().all(|(_, idle)| idle.iter().any(|idle| idle.is_error));
    let mut problems: Vec<Problem> = Vec::new();
    for (target, idle) in
        idle.into_iter().flat_map(|(target, idle)| idle.into_iter().map(move |idle| (target, idle)))
    {
        let problem = match never_strikes {
            true => never(fault, &idle.why),
            false => at_times_never(fault, &run.name(target.service), &idle.why),
        };
        let problem = problem.at(idle.place, idle.label).help(idle.help);
        let problem = graded(problem, is_error && idle.is_error);
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    problems
}

/// Databases of a fault that no service asks.
fn unasked(run: &Run<'_>, fault: &Fault) -> Vec<Problem> {
    let is_unasked = |database: &usize| {
        let asks = |client: &ConnectionPool| client.database == *database;
        !run.model.services.iter().any(|service| service.databases.iter().any(asks))
    };
    let unasked: Vec<_> = fault.databases().iter().copied().filter(is_unasked).collect();
    let never_strikes = unasked.len() == fault.databases().len();
    let of_database = |database: usize| {
        let name = &run.model.databases[database].name;
        let why = format!("no service asks the database {}", quote(name));
        let problem = match never_strikes {
            true => never(fault, &why),
            false => at_times_never(fault, name, &why),
        };
        let help = format!("give it to a service: [services.NAME.databases.{name}]");
        problem.at(fault.place.clone(), "nobody is struck").help(help)
    };
    unasked.into_iter().map(of_database).collect()
}

/// A fault of a cache that no service uses, or whose clients wait for ever.
fn unused(run: &Run<'_>, fault: &Fault) -> Option<Problem> {
    let used = |cache: &&usize| run.model.services.iter().any(|service| service.caches.contains(cache));
    if let Some(unused) = fault.caches().iter().find(|cache| !used(cache)) {
        let name = &run.model.caches[*unused].name;
        let problem = never(fault, &format!("no service uses the cache {}", quote(name)));
        let help = format!("give it to a service: caches = [{}]", quote(name));
        return Some(problem.at(fault.place.clone(), "nobody is struck").help(help));
    }
    let Effect::Cache(CacheEffect { fault: CacheFault::Blackhole, .. }) = fault.effect else { return None };
    let endless = fault.caches().iter().find(|cache| run.model.caches[**cache].timeout.is_none())?;
    let name = &run.model.caches[*endless].name;
    let text = format!(
        "the fault {} lets requests wait for ever: the cache {} has no timeout",
        quote(&fault.name),
        quote(name)
    );
    let problem = Problem::warning(text).at(fault.place.clone(), "no answer ever comes");
    Some(problem.help(format!("write timeout = \"50ms\" in [caches.{name}]")))
}

/// Topics of a fault of messages that nobody sends any to.
fn unsent(run: &Run<'_>, fault: &Fault) -> Vec<Problem> {
    let is_of_messages = matches!(&fault.effect, Effect::Topic { fault, .. } if fault.is_of_messages());
    // What is sent by guests from the command line is not known.
    let sent = run.found.published().filter(|_| is_of_messages && run.options.guests.is_empty());
    let Some(sent) = sent else { return Vec::new() };
    let name = |target: &TopicTarget| run.model.topics[target.topic].name.as_str();
    let mut unsent: Vec<&str> =
        fault.topics().iter().map(name).filter(|topic| !sent.contains(*topic)).collect();
    let never_strikes = unsent.len() == fault.topics().len();
    unsent.dedup();
    let of_topic = |topic: &str| {
        let why = format!("nobody sends to the topic {}", quote(topic));
        let problem = match never_strikes {
            true => never(fault, &why),
            false => at_times_never(fault, topic, &why),
        };
        let help = format!("let a service send to it: publish = {} of the guest \"service\"", quote(topic));
        problem.at(fault.place.clone(), "no message is struck").help(help)
    };
    unsent.into_iter().map(of_topic).collect()
}

/// A fault between two services of which one does not call the other, or not on that route.
fn uncalled(run: &Run<'_>, target: &Target) -> Option<Idle> {
    let from = target.from.filter(|from| run.calls.known(*from))?;
    let (caller, to) = (run.name(from), run.name(target.service));
    let mut calls = run.calls.between(from, target.service).peekable();
    if calls.peek().is_none() {
        let help = format!(
            "name two services of which one calls the other; {caller} calls {}",
            list(run.callees(from))
        );
        let why = format!("{caller} does not call {to}");
        let place = target.place.clone();
        return Some(Idle { why, place, label: "no such call", help, is_error: false });
    }
    let (route, place) = target.route.as_ref()?;
    let mut met: Vec<&str> = Vec::new();
    for call in calls {
        match &call.meets {
            _ if call.may_meet(route) => return None,
            Meets::Route(Some(name)) if !met.contains(&name.as_str()) => met.push(name),
            Meets::Route(Some(_)) => {}
            // What it meets is not known, or any route.
            Meets::Unknown | Meets::Route(None) => return None,
            Meets::OtherMethods(_) | Meets::Nothing => {}
        }
    }
    let help = match met.is_empty() {
        true => format!("no call of {caller} meets a route of {to}"),
        false => format!("{caller} calls {}", list(met)),
    };
    let why = format!("{caller} does not call {} of {to}", quote(route));
    let place = place.clone();
    Some(Idle { why, place, label: "not called from there", help, is_error: false })
}

/// Conditions on the method that no request to the target can meet.
fn methods(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Idle> {
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
    let why = format!("its match wants a method that {of_what}");
    let place = target.route.as_ref().map_or(&tests[0].place, |(_, place)| place).clone();
    let help = format!("match one of {}, or leave method out of match", list(methods));
    // A route has a method, so nothing else can be meant.
    Some(Idle { why, place, label: "match contradicts it", help, is_error: target.route.is_some() })
}

/// Conditions on parameters that no route of the target has.
fn params(run: &Run<'_>, fault: &Fault, target: &Target) -> Option<Idle> {
    let routes = match &target.route {
        Some((route, _)) => vec![route.as_str()],
        None => run.routes(target.service),
    };
    let mut known: Vec<&str> = routes.iter().flat_map(|route| parameters(route)).collect();
    known.dedup();
    let wrong = fault.conditions.iter().find_map(|condition| match &condition.of {
        Part::Param(name) if !routes.is_empty() && !known.contains(&name.as_str()) => {
            Some((name, &condition.place))
        }
        _ => None,
    });
    let (wrong, place) = wrong?;
    let of_what = match &target.route {
        Some((route, _)) => quote(route),
        None => format!("no route of {}", run.name(target.service)),
    };
    let has = if target.route.is_some() { "does not have" } else { "has" };
    let why = format!("{of_what} {has} the parameter {}", quote(wrong));
    let help = did_you_mean(wrong, "parameters", known.iter().copied());
    Some(Idle { why, place: place.clone(), label: "no such parameter", help, is_error: false })
}

/// A span that no guest of the target makes.
fn spans(run: &Run<'_>, target: &Target) -> Option<Idle> {
    let (wanted, place) = target.span.as_ref()?;
    let known = run.found.spans(target.service)?;
    if known.contains(wanted) {
        return None;
    }
    let why = format!("{} makes no span {}", run.name(target.service), quote(wanted));
    let help = did_you_mean(wanted, "spans", known.iter().map(String::as_str));
    Some(Idle { why, place: place.clone(), label: "no such span", help, is_error: false })
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
    Some(problem.at(fault.when_place.clone(), "after the end").help(help))
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
