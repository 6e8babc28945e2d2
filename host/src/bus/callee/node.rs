//! The services on the bus, and what answers for each of them.

use std::sync::Arc;

use crate::bus::spans::ClientAttributes;
use crate::bus::stats::{Capacity, ServiceAccount};
use crate::engine::CompiledGuest;
use crate::model::{Canary, Limits};

use super::replica::Replica;
use super::routes::Routes;

/// A service on the bus.
#[derive(Debug)]
pub struct Node {
    pub name: Arc<str>,
    /// `http://inventory-service`: what comes before a path in `url.full`.
    pub base: String,
    pub client: ClientAttributes,
    pub limits: Limits,
    pub code: NodeCode,
}

/// What answers for a service.
#[derive(Debug)]
pub enum NodeCode {
    Guest(Box<GuestNode>),
    External,
}

/// A service with a guest.
#[derive(Debug)]
pub struct GuestNode {
    /// As the topology has it.
    pub set: ReplicaSet,
    /// The names of its routes, and behind them those that only another release has.
    pub routes: Vec<Arc<str>>,
    /// What faults deploy.
    pub releases: Vec<Release>,
}

/// One release of a service's guest, and the replicas that run it.
#[derive(Debug)]
pub struct ReplicaSet {
    pub code: CompiledGuest,
    pub routes: Routes,
    pub replicas: Vec<Replica>,
    /// The routes' places among those of the service; none where they are the same.
    pub slots: Option<Vec<u32>>,
}

impl ReplicaSet {
    /// What the service counts a route of this release as.
    pub fn slot(&self, route: Option<u32>) -> Option<u32> {
        match &self.slots {
            Some(slots) => Some(slots[route? as usize]),
            None => route,
        }
    }
}

/// What a fault deploys.
#[derive(Debug)]
pub struct Release {
    /// The fault's place in the model.
    pub fault: usize,
    pub canary: Canary,
    /// None: it is broken, and its processes do not come up.
    pub set: Option<ReplicaSet>,
}

impl Node {
    /// Whether something may strike its replicas.
    pub fn is_mortal(&self) -> bool {
        let NodeCode::Guest(guest) = &self.code else { return false };
        guest.set.replicas.iter().any(|replica| replica.faults().is_some())
    }

    /// Nothing counted yet.
    pub fn account(&self) -> ServiceAccount {
        let NodeCode::Guest(guest) = &self.code else { return ServiceAccount::of_server(self.name.clone()) };
        let replicas = &guest.set.replicas;
        let capacity = replicas.first().map(|replica| Capacity {
            replicas: replicas.len() as u32,
            workers: replica.workers(),
            queue: replica.queue(),
        });
        let account =
            ServiceAccount::of_guest(self.name.clone(), guest.routes.clone(), capacity.unwrap_or_default());
        let is_single = guest.set.replicas.len() == 1 && guest.releases.is_empty();
        if is_single { account } else { account.by_instance() }
    }
}
