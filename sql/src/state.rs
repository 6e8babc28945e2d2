//! What SQLite's callbacks share with the database: time, chance, counters, locks, and which rows were
//! written.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::Action;
use rustc_hash::FxHashMap;

use crate::bounds::{BYTES_PER_STEP, FREE_BYTES};
use crate::error::Result;
use crate::failure;
use crate::lock::{Locks, Transaction};

#[derive(Clone)]
pub(crate) struct Shared {
    state: Arc<Mutex<State>>,
    /// Steps that the statement may still take.
    budget: Arc<AtomicI64>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { state: Arc::default(), budget: Arc::new(AtomicI64::new(i64::MAX)) }
    }
}

/// Ends the statements that run under it, with 57014, from whichever thread. What the database does for
/// itself, such as making an index again, goes on.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A row that a statement has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Written {
    pub table: u32,
    pub rowid: i64,
    /// It was there before, with other values.
    pub was_there: bool,
}

#[derive(Default)]
pub(crate) struct State {
    /// Microseconds since 1970, now and when the transaction began.
    pub now: i64,
    pub began: i64,
    /// Whether a statement has asked for either.
    pub told_time: bool,
    pub chance: Chance,
    /// Steps that the statement which runs may take, and those that statements of clients have taken.
    allowed: i64,
    spent: u64,
    /// What ends the statement of a client that runs.
    interrupt: Option<Interrupt>,
    /// The largest rowid of each table by its number.
    pub rowids: Vec<i64>,
    pub sequences: Vec<Sequence>,
    pub locks: Locks,
    /// Whose statement runs.
    pub current: Option<Transaction>,
    /// Whether written rows are noted.
    pub watching: bool,
    pub wrote: Vec<Written>,
    /// Tables by their names.
    pub numbers: FxHashMap<String, u32>,
    last: (String, u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sequence {
    pub next: i64,
    pub start: i64,
    pub step: i64,
    /// The last value that was given.
    pub last: Option<i64>,
}

impl Sequence {
    pub(crate) fn next(&mut self) -> i64 {
        let value = self.next;
        self.next = self.next.saturating_add(self.step);
        self.last = Some(value);
        value
    }
}

impl Shared {
    /// A panic in a callback has ended the statement, and left nothing half done.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a statement of a client runs, which may take `steps`.
    pub(crate) fn limit(&self, steps: u64, interrupt: Option<Interrupt>) {
        let allowed = i64::try_from(steps).unwrap_or(i64::MAX);
        let mut state = self.lock();
        (state.interrupt, state.allowed) = (interrupt, allowed);
        self.budget.store(allowed, Ordering::Relaxed);
    }

    /// From now on the database works for itself: nothing ends that.
    pub(crate) fn lift(&self) {
        let left = self.budget.load(Ordering::Relaxed);
        {
            let mut state = self.lock();
            let took = u64::try_from(state.allowed.saturating_sub(left)).unwrap_or(0);
            state.spent = state.spent.saturating_add(took);
        }
        self.limit(u64::MAX, None);
    }

    /// Steps that statements of clients have taken since this was asked last: what functions charge, and each
    /// whole thousand of SQLite's.
    pub(crate) fn take_spent(&self) -> u64 {
        std::mem::take(&mut self.lock().spent)
    }

    /// Takes `steps` from what the statement may take; whether it has to end.
    pub(crate) fn spend(&self, steps: i64) -> bool {
        let left = self.budget.fetch_sub(steps, Ordering::Relaxed);
        left <= steps || self.lock().interrupt.as_ref().is_some_and(Interrupt::is_set)
    }

    /// Takes steps for `bytes` that a function works through: SQLite counts a call as one step, however long
    /// its texts are.
    ///
    /// # Errors
    /// The statement may take no more.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        if bytes > FREE_BYTES && self.spend((bytes / BYTES_PER_STEP) as i64) {
            return Err(failure::canceled());
        }
        Ok(())
    }
}

impl State {
    pub(crate) fn note(&mut self, action: Action, table: &str, rowid: i64) {
        if !self.watching {
            return;
        }
        if self.last.0 != table {
            let Some(number) = self.numbers.get(table) else { return };
            self.last = (table.to_owned(), *number);
        }
        let was_there = action != Action::SQLITE_INSERT;
        self.wrote.push(Written { table: self.last.1, rowid, was_there });
    }

    /// Tables may have other numbers now.
    pub(crate) fn forget_last(&mut self) {
        self.last = (String::new(), 0);
    }
}

/// Random numbers from the seed of the database: SplitMix64, by Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chance(pub u64);

impl Chance {
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, and without, 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }
}
