//! The guests of a run, once they are compiled and have told their routes.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::bus::routes::Routes;
use crate::engine::{self, Engine};
use crate::model::{Canary, Nanos, ServiceId};
use crate::telemetry::record::ResourceId;

use super::identity::Setup;

/// The guests of a run, compiled.
#[derive(Clone, Debug)]
pub struct Loaded {
    pub engine: Arc<Engine>,
    /// The Resource of the first replica; behind it are those of the others.
    pub first: ResourceId,
    /// In the topology's order.
    pub services: Vec<LoadedService>,
    /// In the order of their faults.
    pub releases: Vec<LoadedRelease>,
}

impl Loaded {
    /// The routes of a service: those of its guest, and behind them those that only
    /// another release has.
    pub fn routes(&self, service: ServiceId) -> Vec<Arc<str>> {
        let guest = self.services[service.index()].guest.as_ref();
        let mut routes = guest.map(|guest| guest.routes.shared()).unwrap_or_default();
        for release in self.releases.iter().filter(|release| release.target == service) {
            let more = release.service.guest.iter().flat_map(|guest| guest.routes.shared());
            let more: Vec<_> = more.filter(|name| !routes.contains(name)).collect();
            routes.extend(more);
        }
        routes
    }
}

/// A service whose code was found.
#[derive(Clone, Debug)]
pub struct LoadedService {
    pub name: Arc<str>,
    /// Where the code came from: `orders (built in)`, `./mine.wasm`, a URL.
    pub source: String,
    /// `service.version`: the topology's; for a guest that the command line put
    /// in its place, with the build behind a `+`.
    pub version: Option<String>,
    /// None for an external service.
    pub guest: Option<LoadedGuest>,
}

/// The code of a service.
#[derive(Clone, Debug)]
pub struct LoadedGuest {
    pub code: engine::CompiledGuest,
    pub routes: Routes,
    /// The names of its jobs.
    pub jobs: Vec<String>,
    /// The topics of which it takes messages; `*` stands for all. None without a `consumer`.
    pub topics: Option<Vec<String>>,
    /// What it has computed to tell all that.
    pub preparing: Nanos,
}

/// What a fault deploys at a service.
#[derive(Clone, Debug)]
pub struct LoadedRelease {
    /// The fault's place in the model, and its name.
    pub fault: usize,
    pub name: String,
    pub target: ServiceId,
    pub canary: Canary,
    /// The service as it is deployed; without a guest, where that does not come up.
    pub service: LoadedService,
    /// What the guest reads.
    pub config: IndexMap<String, String>,
}

impl LoadedRelease {
    pub fn setup(&self) -> Setup<'_> {
        Setup {
            version: self.service.version.as_deref(),
            config: &self.config,
            release: Some(&self.name),
            preparing: self.service.guest.as_ref().map_or(0, |guest| guest.preparing),
        }
    }
}
