//! What the host does for a guest costs the guest: fuel, of which one unit is one
//! nanosecond of `limits.cpu-time` in virtual time.
//!
//! Without these prices a loop of calls into the host would cost a guest next to
//! nothing, and the host half a minute of its processor. Each price is the time that
//! the work takes in a release build, rounded up: a second of `cpu-time` is a few
//! seconds of real time at the most, whatever the guest calls (the table in
//! `docs/concepts/security.md` has the measurements). Real time needs no prices: it measures.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Whatever leaves the guest's code and comes back: a function of the host, growing a
/// memory or a table, giving back a handle.
pub const CROSSING: u64 = 50;

/// A function of the host, besides its [`CROSSING`].
pub const FUNCTION: u64 = 150;

/// A timer that is made or looked at: a sleep, each one that is polled.
pub const TIMER: u64 = 500;

/// A call of another service: its spans, its way there and back, its place in a queue.
pub const CALL: u64 = 10_000;

/// A command of a cache: its span, its way there and back.
pub const COMMAND: u64 = 5_000;

/// A key that a cache looks for among as many as there may be.
pub const LOOKUP: u64 = 2_000;

/// A message that is sent: its span, its way to the broker, and to those that consume it.
pub const MESSAGE: u64 = 10_000;

/// A span, an event or a log record that is begun.
pub const RECORD: u64 = 500;

/// A measurement: finding its series among as many as there may be, and its bucket.
pub const MEASUREMENT: u64 = 300;

/// A key of an attribute that is compared with another, besides a unit for each 16 of its bytes.
const COMPARISON: u64 = 4;

/// A page of 64 KiB that a memory grows by: the system fills it with zeros.
pub const PAGE: u64 = 4_000;

/// A byte that the host copies, fills or draws costs one unit, and so does a byte that
/// it needs to hold a list or a text together: the price of bulk operations within the
/// guest, where wasmtime charges them.
pub const fn bytes(count: usize) -> u64 {
    count as u64
}

/// What it costs to look for a key of `length` bytes among `keys` others, one after the other.
pub const fn search(keys: usize, length: usize) -> u64 {
    keys as u64 * (COMPARISON + length as u64 / 16)
}

/// What a guest owes for work of the host that has not been taken from its fuel yet.
///
/// Held by all who work for one worker, on one thread. It is atomic because wasmtime
/// wants a store's data to be `Send`; loads and stores of their own cost what those of
/// a plain number do.
#[derive(Clone, Debug, Default)]
pub struct Bill(Arc<Account>);

#[derive(Debug, Default)]
struct Account {
    owed: AtomicU64,
    /// What was paid so far, and the fuel that the guest had when it last called the host: noted only
    /// where computing takes time.
    paid: AtomicU64,
    left: AtomicU64,
}

impl Bill {
    /// Adds `fuel` to what is owed.
    pub fn charge(&self, fuel: u64) {
        let owed = &self.0.owed;
        owed.store(owed.load(Ordering::Relaxed).saturating_add(fuel), Ordering::Relaxed);
    }

    /// What is owed; from now on nothing is.
    pub fn settle(&self) -> u64 {
        let owed = self.0.owed.load(Ordering::Relaxed);
        self.0.owed.store(0, Ordering::Relaxed);
        owed
    }

    /// Notes the fuel that the guest has.
    pub fn note_left(&self, fuel: u64) {
        self.0.left.store(fuel, Ordering::Relaxed);
    }

    /// Notes that the guest has paid for work of the host.
    pub fn note_paid(&self, fuel: u64) {
        self.0.paid.store(self.0.paid.load(Ordering::Relaxed).wrapping_add(fuel), Ordering::Relaxed);
    }

    /// The fuel that the guest had when that was last noted, less what it owes; and all that the host's
    /// work has cost so far, what it owes included. The second wraps around.
    pub fn noted(&self) -> (u64, u64) {
        let owed = self.0.owed.load(Ordering::Relaxed);
        let left = self.0.left.load(Ordering::Relaxed).saturating_sub(owed);
        (left, self.0.paid.load(Ordering::Relaxed).wrapping_add(owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_owed_adds_up_and_is_paid_once() {
        let bill = Bill::default();
        bill.clone().charge(CROSSING);
        bill.charge(bytes(7));
        assert_eq!((bill.settle(), bill.settle()), (CROSSING + 7, 0));
        bill.note_left(100);
        bill.charge(40);
        assert_eq!(bill.noted(), (60, 40), "what is owed is gone already");
        bill.note_paid(bill.settle());
        bill.note_left(60);
        assert_eq!(bill.noted(), (60, 40));
        bill.charge(u64::MAX);
        bill.charge(1);
        assert_eq!(bill.settle(), u64::MAX, "it does not start again from nothing");
    }
}
