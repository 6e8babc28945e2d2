//! The guests that faults deploy. They are read and compiled as those of services are. What is wrong with
//! one is a warning: its processes do not start, and the run goes on.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::error::{Problem, Severity, quote};
use crate::model::{Code, ConfigKeys, DoorFault, Effect, Fault, Model, Place, ServiceId};

use super::ask_guest::{Refusal, ask_guest};
use super::compile::{self, Told, bytes, source};
use super::loaded::{LoadedRelease, LoadedService};

/// Loads what the faults of a model deploy. Beside that gives a warning for each guest that does not start,
/// and the problems of files that cannot be read: warnings where the fault is off.
pub fn load(engine: &Engine, model: &Model, told: Told<'_>) -> (Vec<LoadedRelease>, Vec<Problem>) {
    let (mut releases, mut problems) = (Vec::new(), Vec::new());
    for (index, fault) in model.faults.iter().enumerate() {
        let Effect::Door(DoorFault::BadDeploy { code, .. }) = &fault.effect else { continue };
        let read = match bytes(code) {
            Ok(None) => continue,
            Ok(read) => read,
            Err(problem) => {
                let severity = if fault.enabled { Severity::Error } else { Severity::Warning };
                problems.push(Problem { severity, ..problem }.at(place(fault), "this guest").of_fault());
                None
            }
        };
        // Of a fault that draws its target, each world draws for itself: all may be needed.
        let services: BTreeSet<_> = fault.targets().iter().map(|target| target.service).collect();
        for target in services {
            let loaded = release(engine, model, (index, fault), target, read.as_ref(), told);
            let Some((release, problem)) = loaded else { continue };
            releases.push(release);
            // What is wrong with the file is the same at every target.
            let problem = problem.filter(|problem| !problems.contains(problem));
            problems.extend(problem);
        }
    }
    (releases, problems)
}

/// Where the topology names the guest, or at least the fault.
fn place(fault: &Fault) -> Place {
    match &fault.effect {
        Effect::Door(DoorFault::BadDeploy { code: Code::File { place: Some(place), .. }, .. }) => {
            place.clone()
        }
        _ => fault.place.clone(),
    }
}

/// What a fault deploys at a service, if it does, and why that does not start. `read` has the bytes and the
/// name of its guest, if they could be read.
fn release(
    engine: &Engine,
    model: &Model,
    (index, fault): (usize, &Fault),
    target: ServiceId,
    read: Option<&(Vec<u8>, String)>,
    told: Told<'_>,
) -> Option<(LoadedRelease, Option<Problem>)> {
    let Effect::Door(DoorFault::BadDeploy { code, version, config, config_keys, canary }) = &fault.effect
    else {
        return None;
    };
    let described = model.service(target);
    let loaded = read.map(|(bytes, name)| {
        let loaded = compile::load(engine, bytes, name, told);
        loaded.map_err(|error| Refusal::of(Problem::new(error.of(name)).help(error.remedy())))
    });
    let version = version.clone().or_else(|| {
        let own = described.version.as_deref().unwrap_or("0.0.0");
        let code = loaded.as_ref()?.as_ref().ok()?;
        Some(format!("{own}+{}", &code.digest[..12]))
    });
    let mut release = LoadedRelease {
        fault: index,
        name: fault.name.clone(),
        target,
        canary: *canary,
        service: LoadedService {
            name: described.name.as_str().into(),
            source: source(code),
            version,
            guest: None,
        },
        config: described.deployed_config(code, config),
    };
    let started = loaded.map(|loaded| {
        let code = loaded?;
        ask_guest(model, target, code, &release.setup())
    });
    let problem = match started {
        Some(Ok(guest)) => {
            release.service.guest = Some(guest);
            None
        }
        Some(Err(refusal)) => Some(does_not_start(fault, config_keys, &release.service.source, refusal)),
        None => None,
    };
    Some((release, problem))
}

/// The warning about a guest of a deployment that refuses to start: its first problem, and the number of
/// the others.
fn does_not_start(fault: &Fault, keys: &ConfigKeys, guest: &str, refusal: Refusal) -> Problem {
    let Refusal { first, others, further } = refusal;
    let at = first.place(keys);
    let first = first.problem;
    let more = match others.len() + further {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    let name = quote(&fault.name);
    let message = format!("the fault {name} deploys {guest}, which does not start: {}{more}", first.message);
    let problem = Problem { help: first.help, ..Problem::warning(message) };
    match at {
        Some(place) => problem.at(place, format!("refused by {guest}")),
        None => problem.at(place(fault), "deployed here"),
    }
    .of_fault()
}
