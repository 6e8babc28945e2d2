//! Names that spans share, as numbers, within bounds.

use std::hash::Hash;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use super::bounds::{MAX_KNOWN_ROUTES, MAX_NAMES, MAX_SERVICES};
use super::path;

/// A route of a service, as its own spans or its callers' have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RouteKey {
    pub service: u32,
    /// Upper-case.
    pub method: String,
    /// With all parameters as `{}`.
    shape: String,
}

/// A database as the CLIENT span of a statement names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Statement {
    /// The name of the span.
    pub name: String,
    pub system: String,
    pub namespace: Option<String>,
    pub address: Option<String>,
    pub port: Option<u16>,
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
    pub statements: Known<Statement>,
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
        let key = RouteKey { service, method, shape: path::shape(&path) };
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
    pub fn statement(&mut self, statement: Statement) -> Option<u32> {
        self.statements.number(statement, MAX_NAMES)
    }

    /// None when there are too many instances.
    pub fn instance(&mut self, service: u32, id: String) -> Option<u32> {
        self.instances.number((service, id), MAX_NAMES)
    }
}
