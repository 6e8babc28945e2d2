//! When metrics are collected: at regular instants of simulated time, and once at the end.

use std::rc::Rc;

use crate::metrics::{LookedAt, Metrics, Misused, Snapshot};
use crate::model::Nanos;
use crate::telemetry::record::ResourceId;

use super::replica::Replica;
use super::{Bus, Node, NodeCode};

impl Bus {
    /// Collects metrics at each interval from now on, as long as anything can happen. Without metrics it does
    /// nothing.
    pub fn begin_collections(self: &Rc<Self>) {
        let Some(metrics) = self.host().metrics.clone() else { return };
        let (bus, sched) = (Rc::downgrade(self), self.host().sched.clone());
        let (start, interval) = (sched.now(), metrics.settings().interval);
        sched.clone().spawn_background(async move {
            loop {
                let next = (sched.now() - start) / interval + 1;
                sched.sleep_until(start.saturating_add(next.saturating_mul(interval))).await;
                // The world would not come to its end as long as there is this timer.
                if sched.is_virtual() && sched.is_at_rest() {
                    return;
                }
                let Some(bus) = bus.upgrade() else { return };
                bus.collect(&metrics, sched.now());
            }
        });
    }

    /// Collects what is left at the end. At an instant of the interval it comes a nanosecond later,
    /// as that instant has its points already.
    pub fn collect_last(&self) {
        if let Some(metrics) = &self.host().metrics {
            self.collect(metrics, self.now().max(metrics.last() + 1));
        }
    }

    /// What guests have done wrong with their instruments.
    pub fn misused(&self) -> Vec<Misused> {
        self.host().metrics.as_ref().map(|metrics| metrics.misused()).unwrap_or_default()
    }

    /// What faults deploy is not there before they do.
    pub(super) fn await_deployments(&self) {
        let Some(metrics) = &self.host().metrics else { return };
        for replica in self.nodes().iter().flat_map(released) {
            metrics.await_deployment(replica.identity.resource);
        }
    }

    /// The Resources of all processes: of the replicas of the topology, of loads that have spans, of what
    /// faults deploy, of brokers and of caches.
    pub fn processes(&self) -> impl Iterator<Item = ResourceId> {
        let of = |replica: &Replica| replica.identity.resource;
        let own = self.nodes().iter().flat_map(own).map(of);
        let released = self.nodes().iter().flat_map(released).map(of);
        let others = self.loads.clone().map(ResourceId);
        own.chain(others).chain(released).chain(self.servers.clone().map(ResourceId))
    }

    /// Cumulative metrics of all processes at this instant, with explicit buckets. Nothing is
    /// counted as collected.
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let Some(metrics) = &self.host().metrics else { return snapshot };
        let now = self.now();
        for replica in self.nodes().iter().flat_map(own).chain(self.nodes().iter().flat_map(released)) {
            let (of, observed) = (replica.identity.resource, replica.observed());
            metrics.snapshot(of, Some(observed), replica.identity.process.is_paused(), now, &mut snapshot);
        }
        for load in self.loads.clone() {
            metrics.snapshot(ResourceId(load), None, false, now, &mut snapshot);
        }
        for (server, looked_at) in self.told(now) {
            metrics.snapshot_of(server, looked_at, now, &mut snapshot);
        }
        snapshot
    }

    /// What brokers and caches tell at an instant, each with its Resource.
    fn told(&self, now: Nanos) -> impl Iterator<Item = (ResourceId, Vec<LookedAt>)> {
        let host = self.host();
        let told = host.topics.observed(now).into_iter().chain(host.caches.observed(now));
        self.servers.clone().map(ResourceId).zip(told)
    }

    /// Leaves the metrics of all processes at an instant: the replicas in their order, the loads, what faults
    /// have deployed, the brokers and the caches. A process that stands still leaves nothing.
    fn collect(&self, metrics: &Metrics, now: Nanos) {
        let leave = &mut |record| self.recorder().metric(record);
        let (own, released) = (self.nodes().iter().flat_map(own), self.nodes().iter().flat_map(released));
        let goes_on = |replica: &&Replica| !replica.identity.process.is_paused();
        for replica in own.filter(goes_on) {
            metrics.collect(replica.identity.resource, Some(replica.observed()), now, leave);
        }
        for load in self.loads.clone() {
            metrics.collect(ResourceId(load), None, now, leave);
        }
        for replica in released.filter(goes_on) {
            metrics.collect(replica.identity.resource, Some(replica.observed()), now, leave);
        }
        for (server, looked_at) in self.told(now) {
            metrics.collect_of(server, looked_at, now, leave);
        }
        metrics.collected(now);
    }
}

/// The replicas of a service, as the topology has them.
fn own(node: &Node) -> impl Iterator<Item = &Replica> {
    let NodeCode::Guest(guest) = &node.code else { return [].iter() };
    guest.set.replicas.iter()
}

/// Those of what faults deploy.
fn released(node: &Node) -> impl Iterator<Item = &Replica> {
    let releases = match &node.code {
        NodeCode::Guest(guest) => &guest.releases[..],
        NodeCode::External => &[],
    };
    releases.iter().filter_map(|release| release.set.as_ref()).flat_map(|set| &set.replicas)
}
