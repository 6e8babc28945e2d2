//! Cycles of calls that their own workers cannot serve.
//!
//! A replica is in a deadlock when each of its workers waits for a request in its queue, or
//! in that of another replica of which the same is true: none of them ever comes free. The
//! last of these requests is refused then, by name, instead of all at their `request-time`.
//!
//! Only what is certain counts: workers that wait for one call and nothing else, over links
//! without a timeout or policies, that no fault touches, at replicas that no fault befalls.
//! Where anything else may free a worker, time tells. Services whose calls have never led
//! back to them are not looked at.

use std::cell::Cell;

use crate::model::ServiceId;

use super::CalleeSide;
use super::node::NodeCode;
use super::replica::Replica;

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
        let mut stuck: Vec<_> = self.in_cycles().filter(|replica| replica.is_stuck()).collect();
        while !stuck.is_empty() {
            let (round, before) = (self.deadlocks.next(), stuck.len());
            stuck.iter().for_each(|replica| replica.each_waiting(|waiter| waiter.mark(round)));
            stuck.retain(|replica| replica.identity.crew.marked(round) >= replica.workers());
            if stuck.len() == before {
                break;
            }
        }
        // That of the service itself, if it is one of them: what came last goes first.
        stuck.sort_by_key(|replica| replica.identity.service != at);
        stuck.iter().any(|replica| replica.refuse_last());
    }

    /// The replicas, of all releases, of services whose calls have led back to them.
    fn in_cycles(&self) -> impl Iterator<Item = &Replica> {
        let nodes = (0..).map(ServiceId).zip(&self.nodes);
        let guests = nodes.filter_map(|(id, node)| match &node.code {
            NodeCode::Guest(guest) if self.stats.is_in_cycle(id) => Some(guest),
            _ => None,
        });
        guests.flat_map(|guest| {
            let deployed = guest.releases.iter().filter_map(|release| release.stand.as_ref());
            std::iter::once(&guest.stand).chain(deployed).flat_map(|stand| &stand.replicas)
        })
    }
}
