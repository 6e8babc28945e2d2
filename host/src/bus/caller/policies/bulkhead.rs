//! `bulkhead`: how many attempts a caller has under way at a time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use futures_util::future::Either;

use crate::bus::caller::attempt::ClientSpan;
use crate::guest::CallError;
use crate::model::{self, Nanos};
use crate::sched;

use super::{GuardedCall, seconds};

/// How long the attempt has waited for its place before it began: seconds.
const BULKHEAD_WAIT: &str = "simhost.link.bulkhead.wait";

/// Places for attempts, and a line of those that wait for one.
#[derive(Debug)]
pub(super) struct Bulkhead {
    rule: model::Bulkhead,
    inside: RefCell<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    taken: u32,
    waiting: VecDeque<sched::Sender<BulkheadPermit>>,
}

/// What comes of asking for a place.
#[derive(Debug)]
pub(super) enum BulkheadEntry {
    Free(BulkheadPermit),
    /// A place comes this way when one is given back.
    Line(sched::Receiver<BulkheadPermit>),
    /// As many wait as may.
    Full,
}

/// A place in a bulkhead, given back when it is dropped.
#[derive(Debug)]
pub(super) struct BulkheadPermit(Option<Rc<Bulkhead>>);

impl Bulkhead {
    pub fn new(rule: model::Bulkhead) -> Rc<Self> {
        Rc::new(Self { rule, inside: RefCell::default() })
    }

    /// Asks for a place: first come, first served.
    pub fn enter(self: &Rc<Self>) -> BulkheadEntry {
        let mut inside = self.inside.borrow_mut();
        if inside.taken < self.rule.max_concurrent {
            inside.taken += 1;
            return BulkheadEntry::Free(BulkheadPermit(Some(Rc::clone(self))));
        }
        if inside.waiting.len() >= self.rule.queue as usize {
            // Who has given up waiting takes no one's place.
            inside.waiting.retain(|waiting| !waiting.is_abandoned());
        }
        if inside.waiting.len() >= self.rule.queue as usize {
            return BulkheadEntry::Full;
        }
        let (send, receive) = sched::oneshot();
        inside.waiting.push_back(send);
        BulkheadEntry::Line(receive)
    }
}

impl fmt::Display for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model::Bulkhead { max_concurrent, queue } = self.rule;
        write!(f, "{max_concurrent} are under way and {queue} wait, the most that may")
    }
}

impl GuardedCall {
    /// A place in the bulkhead, if the link has one: at once, or after a wait.
    pub(super) async fn place(&self) -> Result<Option<BulkheadPermit>, CallError> {
        let Some(bulkhead) = &self.state.bulkhead else { return Ok(None) };
        let line = match bulkhead.enter() {
            BulkheadEntry::Free(place) => return Ok(Some(place)),
            BulkheadEntry::Full => return Err(CallError::BulkheadFull(bulkhead.to_string())),
            BulkheadEntry::Line(line) => line,
        };
        // Where no attempt is let through, it would wait for nothing.
        self.circuit()?;
        match self.wait(line, self.until).await {
            Either::Left(place) => {
                place.map(Some).map_err(|_| CallError::Reset("the run is over".to_owned()))
            }
            Either::Right(_) => Err(CallError::DeadlineExceeded),
        }
    }
}

impl ClientSpan {
    pub(super) fn waited_for_place(&mut self, wait: Nanos) {
        self.say(|span, _| span.set(BULKHEAD_WAIT, seconds(wait)));
    }
}

impl Drop for BulkheadPermit {
    fn drop(&mut self) {
        let Some(bulkhead) = self.0.take() else { return };
        loop {
            let next = bulkhead.inside.borrow_mut().waiting.pop_front();
            let Some(next) = next else {
                bulkhead.inside.borrow_mut().taken -= 1;
                return;
            };
            match next.send(Self(Some(Rc::clone(&bulkhead)))) {
                Ok(()) => return,
                // It has given up: the place is the next one's.
                Err(mut unwanted) => unwanted.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn bulkhead(max_concurrent: u32, queue: u32) -> Rc<Bulkhead> {
        Bulkhead::new(model::Bulkhead { max_concurrent, queue })
    }

    fn free(bulkhead: &Rc<Bulkhead>) -> BulkheadPermit {
        match bulkhead.enter() {
            BulkheadEntry::Free(place) => place,
            other => panic!("{other:?}"),
        }
    }

    fn line(bulkhead: &Rc<Bulkhead>) -> sched::Receiver<BulkheadPermit> {
        match bulkhead.enter() {
            BulkheadEntry::Line(line) => line,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_place_goes_to_the_first_that_waits() {
        let bulkhead = bulkhead(1, 2);
        let place = free(&bulkhead);
        let (first, second) = (line(&bulkhead), line(&bulkhead));
        assert!(matches!(bulkhead.enter(), BulkheadEntry::Full));
        drop(place);
        let place = first.now_or_never().expect("a place").expect("a place");
        assert!(matches!(bulkhead.enter(), BulkheadEntry::Line(_)), "the line has room again");
        drop(place);
        drop(second.now_or_never().expect("a place"));
        free(&bulkhead);
    }

    #[test]
    fn who_gives_up_waiting_costs_no_place() {
        let bulkhead = bulkhead(1, 1);
        let place = free(&bulkhead);
        drop(line(&bulkhead));
        let waiting = line(&bulkhead);
        drop(place);
        // Served, and gone before it noticed.
        drop(waiting);
        drop(free(&bulkhead));
        free(&bulkhead);
    }
}
