//! Places for which those who come wait in the order of their arrival: the cores of a database, the
//! connections of a pool.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use futures_util::future::{Either, select};

use crate::model::Nanos;
use crate::sched::{self, Sched};

/// A number of places.
pub struct Slots {
    free: Cell<u32>,
    waiting: RefCell<VecDeque<sched::Sender<Slot>>>,
}

/// A place that is taken; dropping it gives it to who waits longest.
pub struct Slot(Option<Rc<Slots>>);

impl Slots {
    pub fn new(count: u32) -> Rc<Self> {
        Rc::new(Self { free: Cell::new(count), waiting: RefCell::default() })
    }

    /// Takes a place, when there is one.
    pub async fn take(self: &Rc<Self>) -> Slot {
        match self.try_take() {
            Some(slot) => slot,
            None => match self.queue().await {
                Ok(slot) => slot,
                // The world has ended: nothing comes after it.
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Takes a place, if there is one within `patience` nanoseconds.
    pub async fn take_within(self: &Rc<Self>, sched: &Sched, patience: Nanos) -> Option<Slot> {
        if let Some(slot) = self.try_take() {
            return Some(slot);
        }
        match select(self.queue(), sched.sleep(patience)).await {
            Either::Left((slot, _)) => slot.ok(),
            Either::Right((_, queued)) => {
                drop(queued);
                self.waiting.borrow_mut().retain(|waits| !waits.is_abandoned());
                None
            }
        }
    }

    /// Takes a place, if one is free.
    pub fn try_take(self: &Rc<Self>) -> Option<Slot> {
        let free = self.free.get().checked_sub(1)?;
        self.free.set(free);
        Some(Slot(Some(Rc::clone(self))))
    }

    fn queue(&self) -> sched::Receiver<Slot> {
        let (send, receive) = sched::oneshot();
        self.waiting.borrow_mut().push_back(send);
        receive
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(slots) = self.0.take() else { return };
        // Who has given up is passed over. What was not taken comes back, and must not come here again.
        loop {
            let Some(next) = slots.waiting.borrow_mut().pop_front() else { break };
            if next.is_abandoned() {
                continue;
            }
            if next.send(Slot(Some(Rc::clone(&slots)))).is_ok() {
                return;
            }
        }
        slots.free.set(slots.free.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, VIRTUAL_START};

    #[test]
    fn who_comes_first_gets_the_place_and_who_gave_up_is_passed_over() {
        let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
        let slots = Slots::new(1);
        let order: Rc<RefCell<Vec<(u32, Nanos)>>> = Rc::default();
        for (number, patience) in [(0, 100), (1, 100), (2, 5), (3, 100)] {
            let (sched, slots, order) = (sched.clone(), Rc::clone(&slots), Rc::clone(&order));
            sched.clone().spawn(async move {
                let slot = slots.take_within(&sched, patience).await;
                let at = sched.now() - VIRTUAL_START;
                order.borrow_mut().push((number, at));
                if slot.is_some() {
                    sched.sleep(10).await;
                }
            });
        }
        sched.clone().block_on(sched.sleep(1_000), || {}).expect("it ends");
        assert_eq!(*order.borrow(), [(0, 0), (2, 5), (1, 10), (3, 20)]);
        let slot = sched.block_on(slots.take(), || {}).expect("it ends");
        assert_eq!(slots.free.get(), 0);
        drop(slot);
        assert_eq!(slots.free.get(), 1);
    }
}
