//! Loads the guests of a topology: reads and compiles them, asks each what it has, and compares that with
//! what the topology says of them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::{Engine, Settings};
use crate::error::{Problem, quote};
use crate::model::{Code, Effect, Model, Service, ServiceId};
use crate::telemetry::record::ResourceId;

use super::ask_guest::{Refusal, ask_guest};
use super::calls::Found;
use super::compile::{self, Told, at, source};
use super::identity::Setup;
use super::loaded::{Loaded, LoadedGuest, LoadedService};
use super::releases;

/// Why the guests of a run cannot be loaded.
#[derive(Debug)]
pub struct Unloaded {
    /// Warnings among them.
    pub problems: Vec<Problem>,
    /// Problems beside those.
    pub further: usize,
}

/// Loads every guest for this number of worlds, or says of all of them what is wrong.
/// `lint` looks at those that could be loaded.
///
/// # Errors
/// Every problem, the warnings of `lint` among them.
pub fn load(
    model: &Model,
    virtual_time: bool,
    worlds: u32,
    swapped: &[(String, PathBuf)],
    told: Told<'_>,
    lint: impl FnOnce(&Found<'_>) -> Vec<Problem>,
) -> Result<(Loaded, Vec<Problem>), Unloaded> {
    let (mut problems, mut further) = (Vec::new(), 0);
    if virtual_time {
        problems.extend(external_in_virtual_time(model));
    }
    if !problems.is_empty() {
        // Of guests, nothing is known then.
        let services = vec![None; model.services.len()];
        problems.extend(lint(&Found { model, services: &services, releases: &[] }));
        return Err(Unloaded { problems, further });
    }
    let engine = engine(model, virtual_time, worlds)
        .map_err(|problem| Unloaded { problems: vec![problem], further })?;
    let codes = compile::compile(&engine, model, told);
    let mut services = Vec::new();
    for ((index, service), code) in model.services.iter().enumerate().zip(codes) {
        let id = ServiceId(index as u32);
        let guest = match code {
            Ok(None) => None,
            Ok(Some(code)) => match ask_guest(model, id, code, &Setup::of(service)) {
                Ok(guest) => Some(guest),
                Err(refusal) => {
                    further += refusal.further;
                    problems.extend(placed(service, refusal));
                    services.push(None);
                    continue;
                }
            },
            Err(problem) => {
                problems.push(problem);
                services.push(None);
                continue;
            }
        };
        let is_swapped = swapped.iter().any(|(name, _)| *name == service.name);
        services.push(Some(LoadedService {
            name: service.name.as_str().into(),
            source: source(&service.code),
            version: version(service.version.as_deref(), guest.as_ref().filter(|_| is_swapped)),
            guest,
        }));
    }
    let (releases, more) = releases::load(&engine, model, told);
    problems.extend(more);
    problems.extend(lint(&Found { model, services: &services, releases: &releases }));
    let services = services.into_iter().flatten().collect();
    if problems.iter().all(|problem| !problem.is_error()) {
        let first = ResourceId(0);
        Ok((Loaded { engine: Arc::new(engine), first, services, releases }, problems))
    } else {
        Err(Unloaded { problems, further })
    }
}

/// The problems of a service's guest, each at its value or its key of the topology if it has one.
fn placed(service: &Service, refusal: Refusal) -> impl Iterator<Item = Problem> {
    let Refusal { first, others, .. } = refusal;
    std::iter::once(*first).chain(others).map(|reason| match reason.place(&service.config_keys) {
        Some(place) => reason.problem.at(place, format!("refused by {}", source(&service.code))),
        None => at(reason.problem, service),
    })
}

fn engine(model: &Model, virtual_time: bool, worlds: u32) -> Result<Engine, Problem> {
    let workers = u32::try_from(model.workers() * u64::from(worlds)).unwrap_or(u32::MAX);
    let memory = model.services.iter().map(|service| service.limits.memory).max().unwrap_or(0);
    let delays_spans = model.faults.iter().any(|fault| matches!(fault.effect, Effect::Span(_)));
    let settings = Settings { fuel: virtual_time, workers, delays_spans, memory };
    Engine::new(settings).map_err(|error| {
        let message = format!("the memory of {workers} workers cannot be reserved: {error:#}");
        let fewer = if worlds > 1 { "lower limits.workers or --shards" } else { "lower limits.workers" };
        Problem::new(message)
            .help(format!("raise the limit of address space (ulimit -v unlimited) or {fewer}"))
            .of_surroundings()
    })
}

fn external_in_virtual_time(model: &Model) -> impl Iterator<Item = Problem> {
    let external = model.services.iter().filter(|service| matches!(service.code, Code::External(_)));
    external.map(|service| {
        Problem::new(format!("{} is a real server, which virtual time cannot wait for", quote(&service.name)))
            .at(service.place.clone(), "an external service")
            .help("run without --virtual, or give the service a guest")
    })
}

/// The version that the Resource shows. Which build really ran is in
/// `simhost.guest.digest`; a guest that was swapped says so in its version too.
fn version(topology: Option<&str>, swapped: Option<&LoadedGuest>) -> Option<String> {
    match (topology, swapped) {
        (version, None) => version.map(str::to_owned),
        (version, Some(guest)) => {
            Some(format!("{}+{}", version.unwrap_or("0.0.0"), &guest.code.digest[..12]))
        }
    }
}
