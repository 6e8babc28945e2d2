//! Names that spans share, as numbers, within bounds.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::iter;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::bounds::{
    MAX_GROUPS, MAX_KNOWN_ROUTES, MAX_KNOWN_TOPICS, MAX_NAMES, MAX_PARTITIONS, MAX_SERVICES, MAX_TEXTS,
};
use super::path;

/// A route of a service, as its own spans or its callers' have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteKey {
    pub service: u32,
    /// Upper-case.
    pub method: String,
    /// With all parameters as `{}`.
    shape: String,
    /// The topic whose messages it stands for.
    pub topic: Option<u32>,
}

/// A server of data, as the CLIENT spans of statements and commands name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    pub system: String,
    pub namespace: Option<String>,
    pub address: Option<String>,
    pub port: Option<u16>,
    /// `service.peer.name`.
    pub peer: Option<String>,
}

/// A statement or a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The name of the span.
    pub name: String,
    /// A number of [`Names::stores`].
    pub store: u32,
    pub asks: Asks,
}

/// What a statement or a command asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Asks {
    /// SQL, as the span has it.
    Sql(String),
    /// A transaction begins or ends.
    Begin,
    Commit,
    Rollback,
    /// An entry of a cache.
    Get,
    Set,
    /// Anything else, or what no attribute says.
    Other,
}

/// What the spans of a topic tell of it.
#[derive(Clone, Debug, Default)]
pub struct TopicSeen {
    pub system: Option<String>,
    pub broker: Option<String>,
    pub partitions: BTreeSet<u32>,
    /// Bytes of bodies: how many messages tell them, and their sum.
    pub bytes: (u64, u64),
    /// Messages that were sent, and those with a key.
    pub sent: u64,
    pub keyed: u64,
    /// Services that have spans of operation `process` for it.
    pub processed_by: BTreeSet<u32>,
}

/// All names of a file.
#[derive(Debug, Default)]
pub struct Names {
    /// `service.name`, or what callers call it.
    pub services: Known<String>,
    pub routes: Known<RouteKey>,
    /// Of each route, its path: as the callee's first span has it, or its callers'.
    pub paths: Vec<String>,
    is_own: Vec<bool>,
    pub stores: Known<Store>,
    pub statements: Known<Statement>,
    /// Statements with a text.
    texts: usize,
    /// The names of topics.
    pub topics: Known<String>,
    /// Of each topic.
    pub seen: Vec<TopicSeen>,
    /// Of routes that stand for messages, their consumer groups.
    groups: BTreeMap<u32, BTreeSet<String>>,
    /// Of each service, whether it has requests of its own.
    serves: Vec<bool>,
    /// Service and `service.instance.id`.
    pub instances: Known<(u32, String)>,
    /// Of each service, the `service.version` that was first seen.
    pub versions: Vec<Option<String>>,
}

/// Values by their number, in the order in which they came.
#[derive(Debug)]
pub struct Known<T: Hash + Eq>(IndexSet<T, FxBuildHasher>);

impl<T: Hash + Eq> Default for Known<T> {
    fn default() -> Self {
        Self(IndexSet::default())
    }
}

impl TopicSeen {
    pub fn add_partition(&mut self, id: u32) {
        if self.partitions.len() < MAX_PARTITIONS {
            self.partitions.insert(id);
        }
    }
}

impl<T: Hash + Eq> Known<T> {
    /// The number of a value; none of a new one when there are `most` already.
    fn number(&mut self, value: T, most: usize) -> Option<u32> {
        if self.0.len() >= most {
            return self.0.get_index_of(&value).map(|index| index as u32);
        }
        Some(self.0.insert_full(value).0 as u32)
    }

    pub fn get(&self, number: u32) -> &T {
        &self.0[number as usize]
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

impl Names {
    /// None when there are too many services.
    pub fn service(&mut self, name: &str, version: Option<String>) -> Option<u32> {
        let number = self.services.number(name.to_owned(), MAX_SERVICES)?;
        self.versions.resize(self.services.len(), None);
        let known = &mut self.versions[number as usize];
        *known = known.take().or(version);
        Some(number)
    }

    /// None when there are too many routes. What a service says of its own route counts, and not its callers'
    /// guess.
    pub fn route(&mut self, service: u32, method: String, path: String, is_own: bool) -> Option<u32> {
        self.serves.resize(self.services.len(), false);
        self.serves[service as usize] |= is_own;
        let key = RouteKey { service, method, shape: path::shape(&path), topic: None };
        self.keyed(key, path, is_own)
    }

    /// What a service does with the messages of a topic: `path` is its route where it becomes one.
    pub fn consumer(&mut self, service: u32, topic: u32, path: String) -> Option<u32> {
        let key = RouteKey { service, method: "POST".to_owned(), shape: String::new(), topic: Some(topic) };
        self.keyed(key, path, true)
    }

    /// Gives what each service does with messages a path that no other route of it has: the names of spans,
    /// which paths are made of, may be the same for all topics.
    pub fn settle(&mut self) {
        let of = |key: &RouteKey, path: &str| (key.service, key.method.clone(), path::shape(path));
        let is_route = |(key, _): &(&RouteKey, &String)| key.topic.is_none();
        let mut taken: BTreeSet<_> =
            self.routes.iter().zip(&self.paths).filter(is_route).map(|(key, path)| of(key, path)).collect();
        for (key, path) in self.routes.iter().zip(&mut self.paths) {
            let Some(topic) = key.topic else { continue };
            let topic = path::slug(self.topics.get(topic));
            let base = format!("{}-{topic}", path.trim_end_matches('/')).trim_end_matches('-').to_owned();
            // Behind a parameter a name is a part of the parameter, and no path of its own.
            let is_plain = base.starts_with('/') && !base.contains(['{', '}', '*']);
            let base = if is_plain { base } else { format!("/{topic}") };
            let numbered = (2_u32..).map(|number| format!("{base}-{number}"));
            let mut names = iter::once(path.clone()).chain(iter::once(base.clone())).chain(numbered);
            *path = names.find(|name| taken.insert(of(key, name))).expect("numbers do not end");
        }
    }

    fn keyed(&mut self, key: RouteKey, path: String, is_own: bool) -> Option<u32> {
        let number = self.routes.number(key, MAX_KNOWN_ROUTES)?;
        if self.paths.len() < self.routes.len() {
            self.paths.push(path);
            self.is_own.push(is_own);
        } else if is_own && !self.is_own[number as usize] {
            self.paths[number as usize] = path;
            self.is_own[number as usize] = true;
        }
        Some(number)
    }

    /// Whether the file has requests that a service served.
    pub fn serves(&self, service: u32) -> bool {
        self.serves.get(service as usize).is_some_and(|serves| *serves)
    }

    /// None when there are too many statements.
    pub fn statement(&mut self, mut statement: Statement) -> Option<u32> {
        if matches!(statement.asks, Asks::Sql(_)) && !self.statements.0.contains(&statement) {
            if self.texts >= MAX_TEXTS {
                statement.asks = Asks::Other;
            } else {
                self.texts += 1;
            }
        }
        self.statements.number(statement, MAX_NAMES)
    }

    /// None when there are too many servers of data.
    pub fn store(&mut self, store: Store) -> Option<u32> {
        self.stores.number(store, MAX_NAMES)
    }

    /// None when there are too many topics.
    pub fn topic(&mut self, name: &str) -> Option<u32> {
        let number = self.topics.number(name.to_owned(), MAX_KNOWN_TOPICS)?;
        self.seen.resize_with(self.topics.len(), TopicSeen::default);
        Some(number)
    }

    pub fn topic_seen(&mut self, topic: u32) -> &mut TopicSeen {
        &mut self.seen[topic as usize]
    }

    /// Adds a consumer group of a route that stands for messages.
    pub fn add_group(&mut self, route: u32, group: &str) {
        let groups = self.groups.entry(route).or_default();
        if groups.len() < MAX_GROUPS {
            groups.insert(group.to_owned());
        }
    }

    pub fn groups(&self, route: u32) -> impl Iterator<Item = &str> {
        self.groups.get(&route).into_iter().flatten().map(String::as_str)
    }

    /// None when there are too many instances.
    pub fn instance(&mut self, service: u32, id: String) -> Option<u32> {
        self.instances.number((service, id), MAX_NAMES)
    }
}
