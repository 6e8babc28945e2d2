//! Single-flight: of the requests that miss an entry one makes it, and the others wait for it.
//!
//! The cache decides, for all processes that use it: who misses first gets a lease of the key, as in
//! "Scaling Memcache at Facebook" (NSDI '13) and with the flags W and Z of memcached's `mg`. A process
//! that kept a table of its own would still make an entry once for each replica.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::model::Nanos;
use crate::sched::{self, Receiver, Sender};

/// The entries of a cache that are being made.
#[derive(Debug)]
pub struct Flights {
    /// How long a lease lasts.
    lasting: Nanos,
    begun: Cell<u64>,
    by_key: RefCell<BTreeMap<Rc<str>, Flight>>,
}

/// An entry that is being made.
#[derive(Debug)]
struct Flight {
    /// The number of its lease.
    lease: u64,
    until: Nanos,
    waiting: Vec<Sender<()>>,
}

/// What is to be done about an entry that is missing.
#[derive(Debug)]
pub enum Missing {
    /// To make it: with the lease, if there is one.
    Make(Option<Lease>),
    Wait(Landing),
}

/// The end of a lease that another request has.
#[derive(Debug)]
pub struct Landing {
    /// Sends nothing: it is gone when the entry was set, and when its maker has given up.
    pub landed: Receiver<()>,
    /// The lease is over then.
    pub until: Nanos,
    /// How long one may wait altogether.
    pub at_most: Nanos,
}

/// The right to make an entry. The others go on when it is dropped.
#[derive(Debug)]
pub struct Lease {
    of: Rc<Flights>,
    key: Rc<str>,
    number: u64,
}

impl Flights {
    /// Those of a cache whose leases last so many nanoseconds.
    pub fn new(lasting: Nanos) -> Rc<Self> {
        Rc::new(Self { lasting, begun: Cell::new(0), by_key: RefCell::default() })
    }

    /// A request has missed the entry of this key at the instant `now`.
    pub fn missing(self: &Rc<Self>, key: &str, now: Nanos) -> Missing {
        let mut by_key = self.by_key.borrow_mut();
        if let Some(flight) = by_key.get_mut(key).filter(|flight| now < flight.until) {
            let (send, landed) = sched::oneshot();
            flight.waiting.push(send);
            return Missing::Wait(Landing { landed, until: flight.until, at_most: self.lasting });
        }
        let number = self.begun.get();
        self.begun.set(number + 1);
        let key: Rc<str> = key.into();
        let flight = Flight { lease: number, until: now.saturating_add(self.lasting), waiting: Vec::new() };
        by_key.insert(Rc::clone(&key), flight);
        Missing::Make(Some(Lease { of: Rc::clone(self), key, number }))
    }

    /// The entry of this key was set, whoever did it.
    pub fn landed(&self, key: &str) {
        let ended = self.by_key.borrow_mut().remove(key);
        // Outside of the borrow: dropping it wakes who waits.
        drop(ended);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let is_there =
            self.of.by_key.borrow().get(&self.key).is_some_and(|flight| flight.lease == self.number);
        if is_there {
            self.of.landed(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(flights: &Rc<Flights>, now: Nanos) -> Lease {
        match flights.missing("a", now) {
            Missing::Make(Some(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn wait(flights: &Rc<Flights>, now: Nanos) -> Landing {
        match flights.missing("a", now) {
            Missing::Wait(landing) => landing,
            other => panic!("{other:?}"),
        }
    }

    /// Whether those who wait may go on.
    fn has_landed(landing: &mut Landing) -> bool {
        use futures_util::FutureExt;
        (&mut landing.landed).now_or_never().is_some()
    }

    #[test]
    fn one_makes_an_entry_until_it_is_set_or_its_lease_is_dropped_or_over() {
        let flights = Flights::new(100);
        let lease = make(&flights, 0);
        let mut second = wait(&flights, 40);
        assert_eq!((second.until, second.at_most), (100, 100));
        assert!(!has_landed(&mut second));
        flights.landed("a");
        assert!(has_landed(&mut second));
        // It is evicted, and made again: the first lease has nothing to say about that.
        let again = make(&flights, 50);
        let mut third = wait(&flights, 60);
        drop(lease);
        assert!(!has_landed(&mut third));
        drop(again);
        assert!(has_landed(&mut third));
        let late = make(&flights, 70);
        assert!(matches!(flights.missing("b", 80), Missing::Make(Some(_))), "another key");
        let next = make(&flights, 170);
        drop(late);
        assert_eq!(wait(&flights, 171).until, 270);
        drop(next);
        make(&flights, 172);
    }
}
