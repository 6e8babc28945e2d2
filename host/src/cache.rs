//! Caches of a topology: a simulated Redis, whose entries all services share that may use it.
//!
//! What is kept is in [`Store`]. The way there and back, spans and metrics are in the guest's interface.

mod account;
mod flight;
mod lost;
mod server;
mod store;
mod trouble;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::error::did_you_mean;
use crate::model::{self, Model, Nanos, ServiceId};
use crate::telemetry::record::{KeyValue, PEER_NAMES};

pub use account::{CacheAccount, ClientCounts};
pub use flight::{Flights, Landing, Lease, Missing};
pub use server::servers;
pub use store::{Bounds, ENTRY, KEY_AT_MOST, Refused, Store, StoreCounts, VALUE_AT_MOST};
pub use trouble::{ActiveFault, Struck, Way};

use trouble::Trouble;

/// The number of the database within a server of Redis, which its clients have unless they select another.
const DATABASE: &str = "0";

/// The caches of a world.
#[derive(Debug, Default)]
pub struct Caches {
    all: Vec<Rc<Cache>>,
    /// By service, the places of those that it may use. The services before the first one have none.
    of: Vec<Vec<usize>>,
    first: usize,
}

/// A cache of a world.
#[derive(Debug)]
pub struct Cache {
    pub settings: model::Cache,
    /// Its place among the caches of the topology.
    pub number: u32,
    pub store: RefCell<Store>,
    /// None: each request that misses an entry makes it.
    pub flights: Option<Rc<Flights>>,
    /// What clients have met.
    pub clients: Cell<ClientCounts>,
    /// No more requests are made.
    is_over: Cell<bool>,
    /// Commands that have arrived.
    executed: Cell<u64>,
    /// The faults that have it, in the order in which they came.
    troubles: RefCell<Vec<Trouble>>,
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

    /// Those that one service may use, as if there were no others.
    pub fn of_one(model: &Model, service: ServiceId) -> Self {
        let used = &model.service(service).caches;
        let all = used.iter().map(|cache| model.caches[*cache].clone());
        Self { first: service.index(), ..Self::of(all, vec![(0..used.len()).collect()]) }
    }

    /// Those with these settings, without entries; and by service, the places of those that it may use.
    pub fn of(all: impl IntoIterator<Item = model::Cache>, of: Vec<Vec<usize>>) -> Self {
        let all = all.into_iter().zip(0..).map(|(settings, number)| {
            let store = RefCell::new(Store::new(settings.memory, settings.entries));
            let flights = settings.single_flight.map(Flights::new);
            Rc::new(Cache {
                settings,
                number,
                store,
                flights,
                clients: Cell::default(),
                is_over: Cell::new(false),
                executed: Cell::new(0),
                troubles: RefCell::default(),
                attributes: Default::default(),
            })
        });
        Self { all: all.collect(), of, first: 0 }
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

    /// No more requests are made. What is asked from now on is in no rate.
    pub fn requests_end(&self) {
        self.all.iter().for_each(|cache| cache.is_over.set(true));
    }

    /// What was asked of each, in the order of the topology, until the instant `now`.
    pub fn accounts(&self, now: Nanos) -> Vec<CacheAccount> {
        self.all.iter().map(|cache| cache.account(now)).collect()
    }

    /// One of them, by its place in the topology.
    pub fn at(&self, place: usize) -> &Cache {
        &self.all[place]
    }

    fn usable(&self, service: ServiceId) -> impl Iterator<Item = &Rc<Cache>> {
        let of = service.index().checked_sub(self.first).and_then(|at| self.of.get(at));
        let places = of.into_iter().flatten();
        places.filter_map(|place| self.all.get(*place))
    }
}

impl Cache {
    /// A client sends a command.
    pub fn asked(&self) {
        let late = u64::from(self.is_over.get());
        self.note(|clients| (clients.commands, clients.late) = (clients.commands + 1, clients.late + late));
    }

    /// A command has arrived.
    pub fn arrived(&self) {
        self.executed.set(self.executed.get() + 1);
    }

    /// A request has missed the entry of this key at the instant `now`.
    pub fn missing(&self, key: &str, now: Nanos) -> Missing {
        self.flights.as_ref().map_or(Missing::Make(None), |flights| flights.missing(key, now))
    }

    /// Counts what a client has met.
    pub fn note(&self, count: impl FnOnce(&mut ClientCounts)) {
        let mut clients = self.clients.get();
        count(&mut clients);
        self.clients.set(clients);
    }

    fn account(&self, now: Nanos) -> CacheAccount {
        let mut store = self.store.borrow_mut();
        store.expire(now);
        let (keys, bytes) = store.size();
        let name = self.settings.name.clone();
        CacheAccount { name, store: store.counts(), clients: self.clients.get(), keys, bytes }
    }

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
