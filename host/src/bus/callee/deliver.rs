//! The way to a callee, and back.

use std::rc::Rc;

use crate::bus::visit::{Outcome, RoundTrip, Visit, kept};
use crate::guest::scope::Deadline;
use crate::sched::{self, Work};

use super::CalleeSide;

impl CalleeSide {
    /// Brings a request to a guest, and the response back to `reply`: what the task of a call does.
    pub(in crate::bus) fn deliver(
        self: Rc<Self>,
        mut visit: Visit,
        trip: RoundTrip,
        reply: sched::Sender<Outcome>,
    ) -> Work {
        let verdict = self.network_faults(&mut visit);
        Box::pin(async move {
            if let Some(verdict) = verdict {
                // What faults make of it may free its caller.
                visit.above = None;
                // In a box, as it is large and rare: every task would have room for it.
                reply.send(Box::pin(self.convey(verdict, &mut visit, trip)).await).ok();
                return;
            }
            let sched = &self.host.sched;
            sched.sleep(trip.there).await;
            visit.deadline = trip.allowed.map(|allowed| Deadline::from_now(allowed, sched.now()));
            let outcome = kept(self.serve(&mut visit).await, visit.hold.as_ref());
            sched.sleep(trip.back).await;
            reply.send(outcome).ok();
        })
    }

    /// Brings a request to a real server of the topology, and the response back.
    pub(in crate::bus) async fn deliver_outside(
        self: Rc<Self>,
        mut visit: Visit,
        trip: RoundTrip,
    ) -> Outcome {
        if let Some(verdict) = self.network_faults(&mut visit) {
            return self.convey(verdict, &mut visit, trip).await;
        }
        self.host.sched.sleep(trip.there).await;
        let outcome = kept(Rc::clone(&self).outside(&mut visit).await, visit.hold.as_ref());
        self.host.sched.sleep(trip.back).await;
        outcome
    }
}
