//! What is on its way to an OTLP receiver, and how its export operations end: for who watches the simulator
//! itself. It is touched once for each request, never for each record.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Account;
use crate::telemetry::signal::{Count, PerSignal, Signal};

/// What is on its way to one receiver.
#[derive(Default)]
pub struct Traffic {
    waiting: PerSignal<AtomicU64>,
    in_flight: PerSignal<AtomicU64>,
    set_out: PerSignal<AtomicU64>,
    watcher: OnceLock<Watcher>,
}

/// Is told of each operation that ends.
type Watcher = Box<dyn Fn(Operation) + Send + Sync>;

/// An export operation: one request, with all attempts at it and the waits between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    pub signal: Signal,
    /// In real time.
    pub took: Duration,
    /// Its `error.type`; none if the receiver has accepted all of it.
    pub error: Option<&'static str>,
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic")
            .field("waiting", &self.waiting)
            .field("in_flight", &self.in_flight)
            .field("set_out", &self.set_out)
            .finish_non_exhaustive()
    }
}

impl Traffic {
    /// Items in the queues of the signals.
    pub fn waiting(&self) -> Count {
        Count::from_fn(|signal| self.waiting[signal].load(Ordering::Relaxed))
    }

    /// Items in requests that are being sent, or that wait for another attempt.
    pub fn in_flight(&self) -> Count {
        Count::from_fn(|signal| self.in_flight[signal].load(Ordering::Relaxed))
    }

    /// Items that have left the queues to be sent, since the run began.
    pub fn set_out(&self) -> Count {
        Count::from_fn(|signal| self.set_out[signal].load(Ordering::Relaxed))
    }

    /// Lets `watcher` be told of every operation that ends from now on. The first one stays.
    pub fn watch(&self, watcher: impl Fn(Operation) + Send + Sync + 'static) {
        self.watcher.set(Box::new(watcher)).ok();
    }

    /// An operation has ended.
    pub fn ended(&self, operation: impl FnOnce() -> Operation) {
        if let Some(watcher) = self.watcher.get() {
            watcher(operation());
        }
    }
}

/// A request that counts as waiting, or as in flight, until this is dropped.
#[derive(Debug)]
pub struct Held {
    account: Arc<Account>,
    signal: Signal,
    items: u64,
    is_in_flight: bool,
}

impl Held {
    /// A request of `items` goes into its queue.
    pub fn waiting(account: &Arc<Account>, signal: Signal, items: usize) -> Self {
        let held = Self { account: Arc::clone(account), signal, items: items as u64, is_in_flight: false };
        held.counter().fetch_add(held.items, Ordering::Relaxed);
        held
    }

    /// The request leaves its queue to be sent.
    #[must_use]
    pub fn set_out(mut self) -> Self {
        self.counter().fetch_sub(self.items, Ordering::Relaxed);
        self.is_in_flight = true;
        self.counter().fetch_add(self.items, Ordering::Relaxed);
        self.account.traffic.set_out[self.signal].fetch_add(self.items, Ordering::Relaxed);
        self
    }

    /// A part of the request, with this number of items, is accepted or given up.
    pub fn settle(&mut self, items: u64) {
        let items = items.min(self.items);
        self.counter().fetch_sub(items, Ordering::Relaxed);
        self.items -= items;
    }

    fn counter(&self) -> &AtomicU64 {
        let Traffic { waiting, in_flight, .. } = &self.account.traffic;
        &(if self.is_in_flight { in_flight } else { waiting })[self.signal]
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.counter().fetch_sub(self.items, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_waiting_then_in_flight_then_gone() {
        let account = Account::new("otlp");
        let counts = || (account.traffic.waiting().records(), account.traffic.in_flight().records());
        let first = Held::waiting(&account, Signal::Traces, 7);
        let second = Held::waiting(&account, Signal::Logs, 2);
        assert_eq!(counts(), (9, 0));
        let mut first = first.set_out();
        assert_eq!(counts(), (2, 7));
        first.settle(3);
        assert_eq!(counts(), (2, 4));
        drop(second);
        drop(first);
        assert_eq!(counts(), (0, 0));
        assert_eq!(account.traffic.set_out().records(), 7);
    }
}
