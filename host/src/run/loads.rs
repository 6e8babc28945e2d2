//! Which loads make requests in a run, and what would keep them from it.

use crate::clock;
use crate::error::{Problem, quote};
use crate::load::files;
use crate::model::{Arrivals, Code, Load, Model, Nanos, Replay, Traffic};

use super::calls::Found;
use super::{Options, first, unknown};

/// Enables those loads that are to run, as the command line and the clock have it,
/// and reads the files that they name.
pub fn choose(options: &Options, model: &mut Model) -> Vec<Problem> {
    let names: Vec<_> = model.loads.iter().map(|load| load.name.clone()).collect();
    let wrong = options.loads.iter().filter(|(name, _)| !names.contains(name));
    let mut problems: Vec<_> = wrong.map(|(name, _)| unknown("--load", "load", name, &names)).collect();
    for load in &mut model.loads {
        let switched = options.loads.iter().rev().find(|(name, _)| *name == load.name);
        let by_itself = load.real_time || options.virtual_time;
        load.enabled = options.requests.is_empty() && switched.map_or(by_itself, |(_, on)| *on);
    }
    // As loads by themselves: where requests are named, nothing else happens.
    model.schedules.iter_mut().for_each(|schedule| schedule.enabled = options.requests.is_empty());
    problems.extend(enabled(model).filter_map(|load| outside(load, model)));
    problems.extend(files::read(model));
    problems
}

fn enabled(model: &Model) -> impl Iterator<Item = &Load> {
    model.loads.iter().filter(|load| load.enabled)
}

/// How long the run lets requests come, where that is known before: nanoseconds.
pub fn length(options: &Options, model: &Model) -> Option<Nanos> {
    // A run that listens goes on when its loads are over.
    if options.stop_after.is_some() || options.listens() && model.ingress.is_some() {
        return options.stop_after;
    }
    let ends = enabled(model).map(|load| Some(load.start.saturating_add(load.lasts?)));
    // One that ends by a count ends nobody knows when.
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// The problem of a load that asks a real server.
fn outside(load: &Load, model: &Model) -> Option<Problem> {
    let service = model.service(load.to);
    matches!(service.code, Code::External(_)).then(|| {
        Problem::new(format!("the load {} asks {}, a real server", quote(&load.name), quote(&service.name)))
            .at(load.place.clone(), "this load")
            .help("let it ask a service with a guest")
    })
}

/// What is wrong with flags, whether or not anything runs.
pub fn flags(options: &Options, model: &Model) -> Vec<Problem> {
    let mut problems = Vec::new();
    if options.virtual_time && options.listen.is_some() {
        let problem = Problem::new("--listen has no effect in virtual time, where nothing listens");
        problems.push(problem.help("leave --listen out, or --virtual"));
    }
    if options.through_ingress {
        problems.extend(through_ingress(model));
    }
    if let Some(until) = options.stop_after {
        for (load, first) in
            enabled(model).map(|load| (load, first(load))).filter(|(_, first)| *first >= until)
        {
            let (name, first, until) = (quote(&load.name), clock::show(first), clock::show(until));
            let problem = Problem::new(format!("the load {name} starts after {first}, when the run is over"));
            let help = format!("start it earlier than --for {until}, or run for longer");
            problems.push(problem.at(load.place.clone(), "it never starts").help(help));
        }
    }
    problems
}

/// What keeps a run from ending.
pub fn problems(options: &Options, model: &Model) -> Vec<Problem> {
    // Where time passes by itself, a person may watch until it is enough. Where it
    // jumps, memory and disks would be full before.
    let jumps = options.virtual_time && options.speed.is_none();
    let must_end = options.stop_after.is_none() && jumps;
    let endless_loads = enabled(model).filter(|load| must_end && !load.ends());
    let has_loads = enabled(model).next().is_some();
    let schedules = model.schedules.iter().filter(|schedule| schedule.enabled);
    let endless_job = schedules.filter(|_| must_end && !has_loads).map(|schedule| {
        let problem =
            Problem::new(format!("the job {} runs for ever, and so would the run", quote(&schedule.job)));
        problem.at(schedule.place.clone(), "no load says when it is over").help("say how long: --for 10m")
    });
    endless_loads.map(endless).chain(endless_job.take(1)).collect()
}

/// The problem of a run in virtual time that makes no request.
pub fn idle(options: &Options, found: &Found<'_>) -> Option<Problem> {
    let is_idle = options.virtual_time
        && options.requests.is_empty()
        && enabled(found.model).next().is_none()
        && found.model.schedules.is_empty();
    is_idle.then(|| Problem::new("a run in virtual time has nothing to do").help(to_do(found)))
}

/// How to give a run in virtual time something to do.
fn to_do(found: &Found<'_>) -> String {
    let model = found.model;
    // On a line of its own, so that it can be copied.
    let request = first::flag(found);
    if let Some(off) = model.loads.first() {
        let load = format!("switch a load on, with --load {}=on", off.name);
        return request
            .map_or_else(|| load.clone(), |request| format!("{load}, or send a request:\n{request}"));
    }
    let to = model.ingress.as_ref().map_or("SERVICE", |ingress| &model.service(ingress.to).name);
    let request = request.map(|request| format!("send a request:\n{request}\nor ")).unwrap_or_default();
    format!(
        "{request}add a load to the topology:\n[[load]]\nname = \"users\"\nto = {}\n\
         request.path = \"/\"\narrivals.poisson = \"10/s\"",
        quote(to)
    )
}

/// The instant before which a load makes no request: its start, or the first one of its recording.
fn first(load: &Load) -> Nanos {
    let recorded = match &load.traffic {
        Traffic::Open(Arrivals::Replay(Replay::Read(instants))) => instants.first().copied(),
        Traffic::Open(_) | Traffic::Closed(_) => None,
    };
    load.start.saturating_add(recorded.unwrap_or(0))
}

/// The problem of a load that keeps a run from ending, if nobody says when.
fn endless(load: &Load) -> Problem {
    let problem = Problem::new(format!("the load {} never ends, nor would the run", quote(&load.name)));
    let help = "say how long: --for 10m, or for = \"10m\" in the load";
    problem.at(load.place.clone(), "neither for nor max-requests").help(help)
}

/// What keeps loads from going through the ingress.
fn through_ingress(model: &Model) -> Vec<Problem> {
    let Some(ingress) = &model.ingress else {
        let problem = Problem::new("--through-ingress was given, but the topology has no [ingress]");
        return vec![problem.help("add [ingress] to = \"SERVICE\", or leave the flag out")];
    };
    let entry = quote(&model.service(ingress.to).name);
    let elsewhere = |load: &Load| {
        let (name, to) = (quote(&load.name), quote(&model.service(load.to).name));
        let problem = Problem::new(format!("the load {name} asks {to}, and the ingress leads to {entry}"));
        let help = format!("switch it off with --load {}=off, or leave --through-ingress out", load.name);
        problem.at(load.place.clone(), "this load").help(help)
    };
    let mut problems: Vec<_> = enabled(model).filter(|load| load.to != ingress.to).map(elsewhere).collect();
    if enabled(model).next().is_none() {
        let problem = Problem::new("--through-ingress was given, but no load runs");
        let help = "switch one on with --load NAME=on, or leave the flag out";
        problems.push(problem.help(help));
    }
    problems
}
