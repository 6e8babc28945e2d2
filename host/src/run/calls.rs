//! Who calls whom, as far as the configurations of built-in guests tell: what a
//! guest in a file calls shows only when it runs.

mod guests;
pub mod paths;

pub use guests::{databases, of_job, of_topic, published, sendings};

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use simhost_notation::{OneCall, Part, parts};

use crate::bus::routes::{Match, Routes};
use crate::model::{Code, DoorFault, Effect, Fault, Model, Place, ServiceId};
use crate::topology::parameters;

use super::loaded::{LoadedRelease, LoadedService};
use paths::{Pattern, Values};

/// Calls that are looked at, of all routes together: what stands beside the tables of a configuration holds
/// for each of them, so that a short text may have millions.
pub const CALLS_AT_MOST: usize = 100_000;

/// The calls of a topology, with the routes that they meet.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// Of each service whether all its calls are known.
    known: Vec<bool>,
    /// The first service of which some are left out, because they are too many.
    pub cut_off: Option<ServiceId>,
    /// In the order of the topology's services, deployments behind those that they replace.
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
    /// What most of its requests meet.
    pub meets: Meets,
    path: Pattern,
    /// The configuration in the file; none where the guest's own default says so.
    pub place: Option<Place>,
    /// The fault that deploys the guest which makes the call.
    pub deployed_by: Option<String>,
    /// False of a call that only the guest of a fault which is off makes.
    pub is_on: bool,
}

impl Call {
    /// Whether some of its requests may meet this route of the callee: `GET /stock/{item}`.
    pub fn may_meet(&self, route: &str) -> bool {
        let by_value = || {
            let (method, path) = route.split_once(' ').unwrap_or_default();
            self.path.varies() && answers(method, &self.what.method) && self.path.may_meet(path)
        };
        matches!(&self.meets, Meets::Route(Some(name)) if name == route) || by_value()
    }
}

/// Whether a route of one method answers requests of another: who offers GET offers HEAD (RFC 9110,
/// section 9.3.2).
fn answers(route: &str, asked: &str) -> bool {
    route == asked || (route, asked) == ("GET", "HEAD")
}

/// What a request meets at a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meets {
    /// The service is not there, is a real server, or its guest could not be loaded; or it depends on
    /// the values in the path.
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
    /// The names of a service's jobs; none of a service whose guest could not be loaded.
    pub fn jobs(&self, service: ServiceId) -> Option<&'a [String]> {
        let guest = self.services[service.index()].as_ref().map(|service| service.guest.as_ref())?;
        Some(guest.map_or(&[], |guest| &guest.jobs))
    }

    /// Whether a service takes requests. One whose guest could not be loaded may.
    pub fn serves(&self, service: ServiceId) -> bool {
        let guest = self.services[service.index()].as_ref().and_then(|service| service.guest.as_ref());
        guest.is_none_or(|guest| guest.routes.is_served())
    }

    /// The routes of a service, of all guests that may answer for it: its own, and those that faults
    /// which are on deploy.
    pub fn routes(&self, service: ServiceId) -> impl Iterator<Item = &'a Routes> {
        let own = self.services[service.index()].as_ref().and_then(|service| service.guest.as_ref());
        let faults = &self.model.faults;
        let is_on = |release: &LoadedRelease| faults.get(release.fault).is_some_and(|fault| fault.enabled);
        let deployed =
            self.releases.iter().filter(move |release| release.target == service && is_on(release));
        let deployed = deployed.filter_map(|release| release.service.guest.as_ref());
        own.into_iter().chain(deployed).map(|guest| &guest.routes).filter(|routes| routes.is_served())
    }

    /// The names of the spans that a service makes, of all guests that may answer for it, as in
    /// [`routes`](Self::routes); none where one of them is a guest about which nothing is known.
    pub fn spans(&self, service: ServiceId) -> Option<BTreeSet<String>> {
        let described = self.model.service(service);
        let owned = |spans: Vec<&str>| spans.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let own = guests::spans(&described.code, &described.config).map(owned);
        let deployed = deployments(self.model, service).filter(|deployment| deployment.fault.enabled);
        let deployed =
            deployed.map(|Deployment { code, config, .. }| guests::spans(code, &config).map(owned));
        let all = std::iter::once(own).chain(deployed).collect::<Option<Vec<_>>>()?;
        Some(all.into_iter().flatten().collect())
    }

    /// The topics that something is sent to, faults that deploy other guests included; none where one of the
    /// services has a guest about which nothing is known.
    pub fn published(&self) -> Option<BTreeSet<String>> {
        let mut topics = BTreeSet::new();
        for (index, service) in self.model.services.iter().enumerate() {
            topics.extend(guests::published(&service.code, &service.config)?);
            for Deployment { code, config, .. } in deployments(self.model, ServiceId(index as u32)) {
                topics.extend(guests::published(code, &config)?);
            }
        }
        let dead_letters = self.model.subscriptions.iter().filter_map(|one| one.dead_letter);
        topics.extend(dead_letters.map(|topic| self.model.topics[topic].name.clone()));
        Some(topics)
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

    /// What requests meet whose paths vary: the route that most of them do, and nothing or other methods
    /// where that holds for all of them.
    pub fn meets_varying(&self, service: ServiceId, method: &str, path: &Pattern) -> Meets {
        let meets = self.meets(service, method, path.unlike());
        if !path.varies() || matches!(meets, Meets::Unknown | Meets::Route(_)) {
            return meets;
        }
        let names = self.routes(service).flat_map(Routes::names);
        let may_be_met =
            names.filter_map(|name| name.split_once(' ')).filter(|(_, route)| path.may_meet(route));
        let mut methods: Vec<_> = may_be_met.map(|(method, _)| method.to_owned()).collect();
        if methods.iter().any(|route| answers(route, method)) {
            return Meets::Unknown;
        }
        methods.sort_unstable();
        methods.dedup();
        if methods.is_empty() { meets } else { Meets::OtherMethods(methods) }
    }
}

impl Calls {
    /// Finds the calls of all services, and of what faults deploy in their place.
    pub fn of(found: &Found<'_>) -> Self {
        let mut calls = Self::default();
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
            // What is wrong with its configuration may be a call that could not be read.
            known &= found.services[index].is_some();
            for Deployment { fault, code, own, config } in deployments(found.model, from) {
                // What it does not change stands where the service has it.
                let place = |key: &str| if own.contains_key(key) { None } else { place(key) };
                let is_known = calls.add(found, &names, from, (code, &config), place, Some(fault));
                known &= is_known || !fault.enabled;
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
        fault: Option<&Fault>,
    ) -> bool {
        let Some(operations) = guests::operations(code, config) else { return false };
        let is_service = matches!(code, Code::Embedded(name) if name == "service");
        let mut last: Option<(String, usize)> = None;
        for operation in operations {
            let place = operation.key.as_deref().and_then(&place);
            let before =
                last.take().filter(|(route, _)| *route == operation.route).map_or(0, |(_, steps)| steps);
            last = Some((operation.route.clone(), before + operation.calls.0.len()));
            for (step, calls) in operation.calls.0.iter().enumerate() {
                for what in calls.iter().cloned() {
                    if self.all.len() >= CALLS_AT_MOST {
                        self.cut_off.get_or_insert(from);
                        return false;
                    }
                    let to = names.get(what.service.as_str()).copied();
                    let path = pattern(&what.path, &operation.route, is_service);
                    let meets = to.map_or(Meets::Unknown, |to| found.meets_varying(to, &what.method, &path));
                    self.all.push(Call {
                        from,
                        route: operation.route.clone(),
                        what,
                        step: before + step,
                        to,
                        meets,
                        path,
                        place: place.clone(),
                        deployed_by: fault.map(|fault| fault.name.clone()),
                        is_on: fault.is_none_or(|fault| fault.enabled),
                    });
                }
            }
        }
        true
    }

    /// Whether all calls of a service are known.
    pub fn known(&self, service: ServiceId) -> bool {
        self.known[service.index()]
    }

    /// The calls of a service.
    pub fn made_by(&self, service: ServiceId) -> &[Call] {
        let begin = self.all.partition_point(|call| call.from < service);
        let rest = &self.all[begin..];
        &rest[..rest.partition_point(|call| call.from == service)]
    }

    /// The calls from one service to another.
    pub fn between(&self, from: ServiceId, to: ServiceId) -> impl Iterator<Item = &Call> {
        self.made_by(from).iter().filter(move |call| call.to == Some(to))
    }
}

/// A guest that a fault deploys at a service.
pub struct Deployment<'a> {
    pub fault: &'a Fault,
    pub code: &'a Code,
    /// What it changes of the service's configuration.
    own: &'a IndexMap<String, String>,
    /// All of its configuration.
    pub config: IndexMap<String, String>,
}

/// The deployments at a service.
pub fn deployments(model: &Model, at: ServiceId) -> impl Iterator<Item = Deployment<'_>> {
    model.faults.iter().filter_map(move |fault| match &fault.effect {
        Effect::Door(DoorFault::BadDeploy { code, config: own, .. })
            if fault.targets().iter().any(|target| target.service == at) =>
        {
            let config = model.service(at).deployed_config(code, own);
            Some(Deployment { fault, code, own, config })
        }
        _ => None,
    })
}

/// The path of a call of a route. The guest `service` has the values of its own path for the names that
/// are there too, and numbers for all others.
fn pattern(path: &str, route: &str, is_service: bool) -> Pattern {
    let is_number = |name: &str| is_service && !parameters(route).any(|own| own == name);
    Pattern::of(parts(path).map(|part| match part {
        Part::Text(text) => paths::Part::Fixed(text),
        Part::Name(name) if is_number(name) => paths::Part::Varying(Values::Digits),
        Part::Name(_) => paths::Part::Varying(Values::Text),
    }))
}

/// A path as it may be sent: with a number in place of each name.
pub fn sample(path: &str) -> String {
    let part = |part| match part {
        Part::Text(text) => text,
        Part::Name(_) => "1",
    };
    parts(path).map(part).collect()
}
