//! A request that has come to a replica of its callee.

use crate::bus::stats::At;
use crate::bus::visit::Visit;
use crate::fault::{Candidate, WorkerVerdict};
use crate::guest::scope::RequestScope;
use crate::model::Nanos;

use super::OpenSpan;
use super::node::ReplicaSet;
use super::replica::Replica;
use super::routes::{Match, Route};

/// A request at a replica, until it is answered.
pub(in crate::bus) struct Arrival<'a> {
    pub visit: &'a mut Visit,
    /// The release of the guest that serves it.
    pub set: &'a ReplicaSet,
    /// A replica of that release.
    pub replica: &'a Replica,
    /// What its method and path meet in that release.
    pub met: Match,
    /// What the service counts its route as, whichever release serves it.
    pub slot: Option<u32>,
    /// The instant at which it came.
    pub since: Nanos,
}

impl<'a> Arrival<'a> {
    /// It comes now, to this replica of a release.
    pub fn new(visit: &'a mut Visit, set: &'a ReplicaSet, replica: &'a Replica, now: Nanos) -> Self {
        let met = set.routes.find(&visit.request.method, visit.request.path());
        let slot = set.slot(met.route());
        Self { visit, set, replica, met, slot, since: now }
    }

    /// Where it is counted.
    pub fn at(&self) -> At {
        let trace = Some(self.visit.trace.trace_id).filter(|_| self.visit.trace.recording);
        At { service: self.visit.to, route: self.slot, instance: self.replica.identity.resource, trace }
    }

    /// The route that answers it, if it meets one.
    pub fn route(&self) -> Option<&'a Route> {
        self.met.route().map(|route| self.set.routes.get(route))
    }

    /// The request as faults see it.
    pub fn candidate(&self) -> Candidate<'_> {
        self.visit.candidate_at(self.slot, &self.replica.identity, self.met.params())
    }
}

/// A request, or messages, in a worker's hands.
pub(in crate::bus) struct Work {
    pub span: OpenSpan,
    /// None once the worker has it.
    pub scope: Option<Box<RequestScope>>,
    pub verdict: WorkerVerdict,
}
