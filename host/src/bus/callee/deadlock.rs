//! Cycles of calls that their own workers cannot serve.
//!
//! A replica is in a deadlock when each of its workers waits for a request in its queue, or
//! in that of another replica of which the same is true: none of them ever comes free. The
//! last of these requests is refused then, by name, instead of all at their `request-time`.
//! What else waits in these queues is served when a worker has come free by that.
//!
//! Only what is certain counts: workers that wait for one call and nothing else, over links
//! without a timeout or policies, that no fault touches, at replicas that no fault strikes.
//! Where anything else may free a worker, time tells. Services whose calls have never led
//! back to them are not looked at.

use std::cell::Cell;

use crate::model::ServiceId;

use super::CalleeSide;
use super::node::NodeCode;
use super::replica::{Awaited, Replica};

/// How often deadlocks were looked for.
#[derive(Debug, Default)]
pub struct Deadlocks(Cell<u64>);

impl Deadlocks {
    fn next(&self) -> u64 {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }
}

impl CalleeSide {
    /// Resolves the deadlock that something at this service has completed, if it has: a request
    /// has begun to wait in its queue, or one of its guests for a call that may be in a queue already.
    pub(in crate::bus) fn untangle(&self, at: ServiceId) {
        if !self.stats.is_in_cycle(at) {
            return;
        }
        // Each turn refuses a request, and so takes it out of its queue.
        while let Some((replica, awaited)) = self.last_in_deadlock() {
            replica.refuse(awaited);
        }
    }

    /// Of all requests that keep replicas in a deadlock, the one that came last, and where it waits.
    fn last_in_deadlock(&self) -> Option<(&Replica, Awaited)> {
        let mut stuck: Vec<_> = self.in_cycles().filter(|replica| replica.is_stuck()).collect();
        loop {
            let (round, before) = (self.deadlocks.next(), stuck.len());
            stuck.iter().for_each(|replica| replica.identity.pool.suspect(round));
            stuck.iter().for_each(|replica| replica.each_waiting(|waiter| waiter.mark(round)));
            // One in whose queue none of the others waits is not what keeps them.
            stuck.retain(|replica| {
                let is_lost = replica.identity.pool.marked(round) >= replica.workers();
                is_lost && replica.last_awaited(round).is_some()
            });
            if stuck.len() == before {
                let awaited = |replica: &'_ Replica| replica.last_awaited(round);
                let all = stuck.into_iter().filter_map(|replica| Some((replica, awaited(replica)?)));
                return all.max_by_key(|(_, awaited)| awaited.since);
            }
        }
    }

    /// The replicas, of all releases, of services whose calls have led back to them.
    fn in_cycles(&self) -> impl Iterator<Item = &Replica> {
        let guests = self.stats.cycles().into_iter().filter_map(|id| match &self.nodes[id.index()].code {
            NodeCode::Guest(guest) => Some(guest),
            NodeCode::External => None,
        });
        guests.flat_map(|guest| {
            let deployed = guest.releases.iter().filter_map(|release| release.set.as_ref());
            std::iter::once(&guest.set).chain(deployed).flat_map(|set| &set.replicas)
        })
    }
}
