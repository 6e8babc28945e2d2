//! What SQLite's callbacks share with the database: time, chance, counters, locks, and which rows were
//! written.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::Action;
use rustc_hash::FxHashMap;

use crate::bounds::{LENGTHS, STEPS_PER_LOOK};
use crate::error::Result;
use crate::failure;
use crate::lock::{Locks, Row, Strength, Transaction};
use crate::price::Price;
use crate::value::Value;

#[derive(Clone)]
pub(crate) struct Shared {
    state: Arc<Mutex<State>>,
    left: Arc<Left>,
}

impl Default for Shared {
    fn default() -> Self {
        let left = Left {
            steps: AtomicI64::new(i64::MAX),
            effort: AtomicI64::new(i64::MAX),
            weight: AtomicI64::new(1),
            charged: AtomicI64::new(0),
            longest: AtomicUsize::new(0),
        };
        Self { state: Arc::default(), left: Arc::new(left) }
    }
}

/// What the statement that runs may still take.
struct Left {
    /// Steps of SQLite.
    steps: AtomicI64,
    /// Steps by their weight, and what functions charge.
    effort: AtomicI64,
    /// What a step of SQLite counts.
    weight: AtomicI64,
    /// What functions have charged.
    charged: AtomicI64,
    /// Bytes of the longest value that a function has given.
    longest: AtomicUsize,
}

/// What a statement may take.
pub(crate) struct Allowance {
    pub steps: u64,
    pub effort: u64,
    pub weight: u64,
    /// What ends it.
    pub interrupt: Option<Interrupt>,
}

/// Ends the statements that run under it, with 57014, from whichever thread. What the database does for
/// itself, such as making an index again, goes on.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    pub fn end(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
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
    /// What there was to draw from before the statement that runs.
    before: Drawn,
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
    /// The rows that the parts of the statement have given which ran before it.
    pub kept: Vec<Vec<Vec<Value>>>,
    /// The rows that these have locked.
    pub locked: Vec<(Row, Strength)>,
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

    /// From now on a statement of a client runs.
    pub(crate) fn limit(&self, allowance: Allowance) {
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.lock().interrupt = allowance.interrupt;
        self.left.steps.store(whole(allowance.steps), Ordering::Relaxed);
        self.left.effort.store(whole(allowance.effort), Ordering::Relaxed);
        self.left.weight.store(whole(allowance.weight), Ordering::Relaxed);
        self.left.charged.store(0, Ordering::Relaxed);
        self.left.longest.store(0, Ordering::Relaxed);
    }

    /// Bytes of the longest value that a function has given to the statement that runs.
    pub(crate) fn longest(&self) -> usize {
        self.left.longest.load(Ordering::Relaxed)
    }

    /// A function gives a value of so many bytes.
    pub(crate) fn gives(&self, bytes: usize) {
        if bytes > LENGTHS[0] {
            self.left.longest.fetch_max(bytes, Ordering::Relaxed);
        }
    }

    /// From now on the database works for itself: nothing ends that. Gives what functions have charged.
    pub(crate) fn lift(&self) -> u64 {
        let charged = self.left.charged.load(Ordering::Relaxed);
        self.limit(Allowance { steps: u64::MAX, effort: u64::MAX, weight: 1, interrupt: None });
        u64::try_from(charged).unwrap_or(0)
    }

    /// SQLite has taken `steps`; whether the statement has to end.
    pub(crate) fn spend(&self, steps: i64) -> bool {
        let left = self.left.steps.fetch_sub(steps, Ordering::Relaxed);
        left <= steps || self.strive(steps.saturating_mul(self.left.weight.load(Ordering::Relaxed)))
    }

    /// Takes `effort` from what the statement may take; whether it has to end.
    fn strive(&self, effort: i64) -> bool {
        let left = add(&self.left.effort, -effort);
        let looks = effort >= i64::from(STEPS_PER_LOOK);
        left <= 0 || looks && self.lock().interrupt.as_ref().is_some_and(Interrupt::is_set)
    }

    /// Takes steps for `bytes` that a function goes through beside those of its call.
    ///
    /// # Errors
    /// The statement may take no more.
    pub(crate) fn charge(&self, bytes: usize) -> Result<()> {
        self.take(Price::of_bytes(bytes))
    }

    /// Takes `effort`, which a function charges, from what the statement may take.
    ///
    /// # Errors
    /// The statement may take no more.
    pub(crate) fn take(&self, effort: u64) -> Result<()> {
        let effort = i64::try_from(effort).unwrap_or(i64::MAX);
        add(&self.left.charged, effort);
        if self.strive(effort) { Err(failure::canceled()) } else { Ok(()) }
    }
}

/// The new number. Only the thread that executes a statement changes what it may take, so that each call of a
/// function need not lock the number for all processors.
fn add(to: &AtomicI64, number: i64) -> i64 {
    let sum = to.load(Ordering::Relaxed).saturating_add(number);
    to.store(sum, Ordering::Relaxed);
    sum
}

/// What statements draw from the database, and give back when they run again.
#[derive(Default)]
struct Drawn {
    chance: Chance,
    rowids: Vec<i64>,
    sequences: Vec<Sequence>,
}

impl State {
    /// A statement runs, perhaps more than once; one that only reads takes no numbers.
    pub(crate) fn draws(&mut self, writes: bool) {
        self.before.chance = self.chance;
        if writes {
            self.before.rowids.clone_from(&self.rowids);
            self.before.sequences.clone_from(&self.sequences);
        }
    }

    /// It has drawn nothing yet.
    pub(crate) fn draws_again(&mut self, writes: bool) {
        self.chance = self.before.chance;
        if writes {
            self.rowids.copy_from_slice(&self.before.rowids);
            self.sequences.copy_from_slice(&self.before.sequences);
        }
    }

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
