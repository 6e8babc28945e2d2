//! Who calls whom, as far as the configurations of built-in guests tell: what a
//! guest in a file calls shows only when it runs.

mod guests;

pub use guests::databases;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use simhost_notation::{OneCall, Part, parts};

use crate::bus::routes::{Match, Routes};
use crate::model::{Code, DoorFault, Effect, Model, Place, ServiceId};

use super::loaded::{LoadedRelease, LoadedService};

/// The calls of a topology, with the routes that they meet.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Of each service whether all its calls are known.
    known: Vec<bool>,
    /// In the order of the topology, deployments behind the services that they replace.
    pub all: Vec<Call>,
}

/// One call of a route.
#[derive(Clone, Debug)]
pub struct Call {
    pub from: ServiceId,
    /// The route whose requests make it: `POST /orders`.
    pub route: String,
    /// What is called, and how often.
    pub what: OneCall,
    /// The steps of a route follow one another, from 0; the calls of a step are made at the same time.
    pub step: usize,
    /// The callee; none where the topology has no service of that name.
    pub to: Option<ServiceId>,
    pub meets: Meets,
    /// The configuration in the file; none where the guest's own default says so.
    pub place: Option<Place>,
    /// The fault that deploys the guest which makes the call.
    pub deployed_by: Option<String>,
}

/// What a request meets at a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meets {
    /// The service is not there, is a real server, or its guest could not be loaded.
    Unknown,
    /// The route `GET /stock/{item}`; none of a guest that takes every request.
    Route(Option<String>),
    /// The path with other methods only: these.
    OtherMethods(Vec<String>),
    Nothing,
}

/// The guests of a topology as far as they could be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub model: &'a Model,
    /// In the order of the topology.
    pub services: &'a [Option<LoadedService>],
    pub releases: &'a [LoadedRelease],
}

impl<'a> Found<'a> {
    /// The routes of a service, of all guests that may answer for it.
    pub fn routes(&self, service: ServiceId) -> impl Iterator<Item = &'a Routes> {
        let own = self.services[service.index()].as_ref().and_then(|service| service.guest.as_ref());
        let deployed = self.releases.iter().filter(move |release| release.target == service);
        let deployed = deployed.filter_map(|release| release.service.guest.as_ref());
        own.into_iter().chain(deployed).map(|guest| &guest.routes)
    }

    /// What a request meets. `path` is percent-encoded; its query does not count.
    pub fn meets(&self, service: ServiceId, method: &str, path: &str) -> Meets {
        let path = path.split('?').next().unwrap_or(path);
        let mut meets = Meets::Unknown;
        for routes in self.routes(service) {
            match routes.find(method, path) {
                Match::Found(route, _) => {
                    return Meets::Route(route.map(|index| routes.get(index).name.to_string()));
                }
                Match::WrongMethod(methods, _) => meets = Meets::OtherMethods(methods),
                Match::NotFound if meets == Meets::Unknown => meets = Meets::Nothing,
                Match::NotFound => {}
            }
        }
        meets
    }
}

impl Calls {
    /// Finds the calls of all services, and of what faults deploy in their place.
    pub fn of(found: &Found<'_>) -> Self {
        let mut calls = Self { known: Vec::new(), all: Vec::new() };
        let services = found.model.services.iter().enumerate();
        let names =
            services.map(|(index, service)| (service.name.as_str(), ServiceId(index as u32))).collect();
        for (index, service) in found.model.services.iter().enumerate() {
            let from = ServiceId(index as u32);
            let place = |key: &str| {
                let at = service.config.get_index_of(key)?;
                service.config_places.get(at).cloned()
            };
            let mut known = calls.add(found, &names, from, (&service.code, &service.config), place, None);
            for (name, code, config) in deployments(found.model, from) {
                known &= calls.add(found, &names, from, (code, &config), |_| None, Some(name));
            }
            calls.known.push(known);
        }
        calls
    }

    /// Adds those of one guest. False: they are not known.
    fn add(
        &mut self,
        found: &Found<'_>,
        names: &BTreeMap<&str, ServiceId>,
        from: ServiceId,
        (code, config): (&Code, &IndexMap<String, String>),
        place: impl Fn(&str) -> Option<Place>,
        deployed_by: Option<&str>,
    ) -> bool {
        let Some(operations) = guests::operations(code, config) else { return false };
        let mut last: Option<(String, usize)> = None;
        for operation in operations {
            let place = operation.key.as_deref().and_then(&place);
            let before =
                last.take().filter(|(route, _)| *route == operation.route).map_or(0, |(_, steps)| steps);
            last = Some((operation.route.clone(), before + operation.calls.0.len()));
            for (step, calls) in operation.calls.0.into_iter().enumerate() {
                for what in calls {
                    let step = before + step;
                    let to = names.get(what.service.as_str()).copied();
                    let meets =
                        to.map_or(Meets::Unknown, |to| found.meets(to, &what.method, &sample(&what.path)));
                    let (route, place) = (operation.route.clone(), place.clone());
                    let deployed_by = deployed_by.map(str::to_owned);
                    self.all.push(Call { from, route, what, step, to, meets, place, deployed_by });
                }
            }
        }
        true
    }

    /// Whether all calls of a service are known.
    pub fn known(&self, service: ServiceId) -> bool {
        self.known[service.index()]
    }

    /// The calls from one service to another.
    pub fn between(&self, from: ServiceId, to: ServiceId) -> impl Iterator<Item = &Call> {
        self.all.iter().filter(move |call| call.from == from && call.to == Some(to))
    }
}

/// The deployments at a service: the fault's name, the guest, and its whole configuration.
fn deployments(
    model: &Model,
    at: ServiceId,
) -> impl Iterator<Item = (&str, &Code, IndexMap<String, String>)> {
    model.faults.iter().filter_map(move |fault| match &fault.effect {
        Effect::Door(DoorFault::BadDeploy { code, config, .. })
            if fault.targets().iter().any(|target| target.service == at) =>
        {
            let mut whole = model.service(at).config.clone();
            whole.extend(config.iter().map(|(key, value)| (key.clone(), value.clone())));
            Some((fault.name.as_str(), code, whole))
        }
        _ => None,
    })
}

/// A path as it may be sent: with a number in place of each name.
pub fn sample(path: &str) -> String {
    let part = |part| match part {
        Part::Text(text) => text,
        Part::Name(_) => "1",
    };
    parts(path).map(part).collect()
}
