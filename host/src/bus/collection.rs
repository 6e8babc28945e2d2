//! When metrics are collected: at regular instants of simulated time, and once at the end.

use std::ops::Range;
use std::rc::Rc;

use crate::model::Nanos;
use crate::telemetry::record::ResourceId;

use super::replica::Replica;
use super::{Bus, NodeCode};

impl Bus {
    /// Collects metrics at each interval from now on, as long as anything can happen. `loads` are the
    /// Resources of loads with spans. Without metrics it does nothing.
    pub fn begin_collections(self: &Rc<Self>, loads: Range<u32>) {
        let Some(metrics) = self.host().metrics.clone() else { return };
        for release in self.nodes().iter().flat_map(released) {
            metrics.retire(release.identity.resource);
            // It has never been there.
            metrics.died(release.identity.resource, Nanos::MAX, self.now());
        }
        let (bus, sched) = (Rc::downgrade(self), self.host().sched.clone());
        let (start, interval) = (sched.now(), metrics.settings().interval);
        sched.clone().spawn_background(async move {
            loop {
                let since = sched.now() - start;
                sched.sleep_until(start.saturating_add((since / interval + 1).saturating_mul(interval))).await;
                // The world would not end as long as there is this timer.
                if sched.is_virtual() && sched.has_ended() {
                    return;
                }
                let Some(bus) = bus.upgrade() else { return };
                bus.collect(loads.clone(), sched.now());
            }
        });
    }

    /// Collects what is left at the end of the run. At an instant of the interval it comes a nanosecond later,
    /// as that instant had points already.
    pub fn collect_last(&self, loads: Range<u32>) {
        let Some(metrics) = &self.host().metrics else { return };
        self.collect(loads, self.now().max(metrics.last() + 1));
    }

    /// Leaves the metrics of all processes at an instant: the replicas in their order, the loads, and what
    /// faults have deployed. A process that stands still leaves nothing.
    fn collect(&self, loads: Range<u32>, now: Nanos) {
        let Some(metrics) = &self.host().metrics else { return };
        let leave = &mut |record| self.recorder().metric(record);
        let mut of_replica = |replica: &Replica| {
            if !replica.identity.process.is_paused() {
                metrics.collect(replica.identity.resource, Some(replica.observed()), now, leave);
            }
        };
        self.nodes().iter().flat_map(own).for_each(&mut of_replica);
        loads.for_each(|load| metrics.collect(ResourceId(load), None, now, leave));
        let mut of_replica = |replica: &Replica| {
            if !replica.identity.process.is_paused() {
                metrics.collect(replica.identity.resource, Some(replica.observed()), now, leave);
            }
        };
        self.nodes().iter().flat_map(released).for_each(&mut of_replica);
        metrics.collected(now);
    }
}
