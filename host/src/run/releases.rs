//! The guests of deployments that go bad. They are read and compiled as those of
//! services are; but what is wrong with one is its deployment's affair, and not the
//! run's: its process does not come up.

use std::collections::BTreeSet;

use crate::bus::routes::Routes;
use crate::engine::{self, Engine};
use crate::error::{Problem, Severity};
use crate::model::{Code, DoorFault, Effect, Fault, Model, Place, ServiceId};

use super::ask_routes::ask_routes;
use super::compile::{self, bytes, source};
use super::event::RunEvent;
use super::loaded::{LoadedGuest, LoadedRelease, LoadedService};

/// Loads what the faults of a model deploy. Beside that gives the problems of the files that cannot be
/// read: warnings where the fault is off.
pub fn load(
    engine: &Engine,
    model: &Model,
    tell: Option<fn(RunEvent)>,
) -> (Vec<LoadedRelease>, Vec<Problem>) {
    let (mut releases, mut problems) = (Vec::new(), Vec::new());
    for (index, fault) in model.faults.iter().enumerate() {
        let Effect::Door(DoorFault::BadDeploy { code, .. }) = &fault.effect else { continue };
        let read = bytes(code).map_err(|problem| {
            let why = problem.message.clone();
            let severity = if fault.enabled { Severity::Error } else { Severity::Warning };
            problems.push(Problem { severity, ..problem }.at(place(fault), "this guest").of_fault());
            why
        });
        // Of a fault that draws its target, each world draws for itself: all may be needed.
        let services: BTreeSet<_> = fault.targets().iter().map(|target| target.service).collect();
        for target in services {
            releases.extend(release(engine, model, (index, fault), target, &read, tell));
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

/// What a fault deploys at a service, if it does. `read` is its guest, or why that cannot be read.
fn release(
    engine: &Engine,
    model: &Model,
    (index, fault): (usize, &Fault),
    target: ServiceId,
    read: &Result<Option<(Vec<u8>, String)>, String>,
    tell: Option<fn(RunEvent)>,
) -> Option<LoadedRelease> {
    let Effect::Door(DoorFault::BadDeploy { code, version, config, canary }) = &fault.effect else {
        return None;
    };
    let described = model.service(target);
    let loaded = match read {
        Ok(Some((bytes, name))) => {
            compile::load(engine, bytes, name, tell).map_err(|error| error.to_string())
        }
        Ok(None) => return None,
        Err(why) => Err(why.clone()),
    };
    let version = version.clone().or_else(|| {
        let own = described.version.as_deref().unwrap_or("0.0.0");
        loaded.as_ref().ok().map(|code| format!("{own}+{}", &code.digest[..12]))
    });
    let mut whole = described.config.clone();
    whole.extend(config.iter().map(|(key, value)| (key.clone(), value.clone())));
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
        config: whole,
        broken: None,
    };
    match loaded.and_then(|code| Ok((routes(model, &release, &code)?, code))) {
        Ok((routes, code)) => release.service.guest = Some(LoadedGuest { code, routes }),
        Err(why) => release.broken = Some(why),
    }
    Some(release)
}

/// Asks a deployment's guest for its routes.
fn routes(model: &Model, release: &LoadedRelease, code: &engine::CompiledGuest) -> Result<Routes, String> {
    ask_routes(model, release.target, code, &release.setup()).map_err(|problems| {
        let said = problems.into_iter().map(|problem| problem.message);
        said.collect::<Vec<_>>().join("; ")
    })
}

/// What a person should know of deployments that cannot come up.
pub fn notes(releases: &[LoadedRelease]) -> impl Iterator<Item = String> {
    releases.iter().filter_map(|release| {
        let why = release.broken.as_ref()?;
        let LoadedRelease { name, service, .. } = release;
        Some(format!("fault {name}: {} does not come up, and refuses connections: {why}", service.source))
    })
}
