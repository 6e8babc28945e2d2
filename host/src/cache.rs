//! Caches of a topology: a simulated Redis, whose entries all services share that may use it.
//!
//! What is kept is in [`Store`]. The way there and back, spans and metrics are in the guest's interface.

mod store;

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::error::did_you_mean;
use crate::model::{self, Model, ServiceId};
use crate::telemetry::record::{KeyValue, PEER_NAMES};

pub use store::{KEY_AT_MOST, Refused, Store, VALUE_AT_MOST};

/// The number of the database within a server of Redis, which its clients have unless they select another.
const DATABASE: &str = "0";

/// The caches of a world.
#[derive(Debug, Default)]
pub struct Caches {
    all: Vec<Rc<Cache>>,
    /// By service, the places of those that it may use.
    of: Vec<Vec<usize>>,
}

/// A cache of a world.
#[derive(Debug)]
pub struct Cache {
    pub settings: model::Cache,
    /// Its place among the caches of the topology.
    pub number: u32,
    pub store: RefCell<Store>,
    /// By operation.
    attributes: [OnceCell<Arc<[KeyValue]>>; OPERATIONS],
}

/// What clients ask a cache for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Get,
    GetMany,
    Set,
    Delete,
    Increment,
}

const OPERATIONS: usize = 5;

impl Operation {
    /// The command of Redis.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::GetMany => "MGET",
            Self::Set => "SET",
            Self::Delete => "DEL",
            Self::Increment => "INCRBY",
        }
    }
}

impl Caches {
    /// Those of a topology, without entries.
    pub fn new(model: &Model) -> Self {
        let of = model.services.iter().map(|service| service.caches.clone());
        Self::of(model.caches.iter().cloned(), of.collect())
    }

    /// Those with these settings, without entries; and by service, the places of those that it may use.
    pub fn of(all: impl IntoIterator<Item = model::Cache>, of: Vec<Vec<usize>>) -> Self {
        let all = all.into_iter().zip(0..).map(|(settings, number)| {
            let store = RefCell::new(Store::new(settings.memory, settings.entries));
            Rc::new(Cache { settings, number, store, attributes: Default::default() })
        });
        Self { all: all.collect(), of }
    }

    /// The names of those that a service may use.
    pub fn names(&self, service: ServiceId) -> impl Iterator<Item = &str> {
        self.usable(service).map(|cache| cache.settings.name.as_str())
    }

    /// The one of this name.
    ///
    /// # Errors
    /// The service may use none of this name; the text says which it may.
    pub fn find(&self, service: ServiceId, name: &str) -> Result<Rc<Cache>, String> {
        let found = self.usable(service).find(|cache| cache.settings.name == name);
        found.cloned().ok_or_else(|| match self.usable(service).next() {
            None => "this service may use no cache: write caches = [\"…\"] in it".to_owned(),
            Some(_) => did_you_mean(name, "caches of this service", self.names(service).collect::<Vec<_>>()),
        })
    }

    fn usable(&self, service: ServiceId) -> impl Iterator<Item = &Rc<Cache>> {
        let places = self.of.get(service.index()).into_iter().flatten();
        places.filter_map(|place| self.all.get(*place))
    }
}

impl Cache {
    /// What all CLIENT spans of an operation share, by the semantic conventions 1.44 ("Semantic conventions
    /// for Redis client operations").
    pub fn attributes(&self, operation: Operation) -> Arc<[KeyValue]> {
        let list = || {
            let peer: Arc<str> = self.settings.name.as_str().into();
            let peers = PEER_NAMES.map(|key| KeyValue::new(key, Arc::clone(&peer)));
            self.measured(operation).into_iter().chain(peers).collect()
        };
        Arc::clone(self.attributes[operation as usize].get_or_init(list))
    }

    /// What metrics of an operation have of it.
    pub fn measured(&self, operation: Operation) -> [KeyValue; 4] {
        let address: Arc<str> = self.settings.name.as_str().into();
        [
            KeyValue::new(attribute::DB_SYSTEM_NAME, self.settings.system.name()),
            KeyValue::new(attribute::DB_NAMESPACE, DATABASE),
            KeyValue::new(attribute::DB_OPERATION_NAME, operation.name()),
            // At the usual port, which the conventions leave out.
            KeyValue::new(attribute::SERVER_ADDRESS, address),
        ]
    }
}
