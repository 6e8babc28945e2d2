//! What a request at a replica meets there while it waits and is served.

use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::task::Poll;

use crate::fault::{DEATH_SIGNS, Drawn, Rule};
use crate::model::Nanos;

use super::active::{ActiveFault, State, Striker};
use super::{Occupant, OccupantState, ProcessFate};

impl Occupant<'_> {
    /// The request crashes the replica, which starts again after `restart` nanoseconds.
    pub fn crash(&self, rule: &Rc<Rule>, restart: Nanos) -> ProcessFate {
        self.faults.crash(Striker::now(rule, DEATH_SIGNS), restart, Some(self.place))
    }

    /// By how much the request's work took longer because the process is slow: nanoseconds.
    pub fn worked(&self, stretched: Nanos) {
        let occupants = self.faults.occupants.borrow();
        if stretched > 0
            && let Some(OccupantState { request, slow, .. }) = occupants.get(self.place)
        {
            let drawn = Drawn::Delay(stretched);
            slow.iter().for_each(|by| self.faults.struck(by, *request, drawn));
        }
    }

    /// Waits until a fault has the replica that may keep workers for ever. Before that
    /// there is nothing to be done at any instant: as if no fault could come.
    pub fn kept_waiting(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            if self.faults.active.borrow().iter().any(ActiveFault::keeps_workers) {
                return Poll::Ready(());
            }
            self.faults.occupants.borrow_mut()[self.place].waiting = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// The request has to wait for a worker, or gets none, as faults have taken some.
    pub fn found_workers_taken(&self) {
        let (faults, active) = (self.faults, self.faults.active.borrow());
        let Some(request) = faults.occupants.borrow().get(self.place).map(|occupants| occupants.request)
        else {
            return;
        };
        let takes = |fault: &&ActiveFault| matches!(fault.state, State::Taken(_));
        for fault in active.iter().filter(takes) {
            faults.struck(&fault.by, request, Drawn::Nothing);
        }
    }
}
