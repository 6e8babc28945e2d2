//! What is due when, in the order of (due, sequence).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;

use slab::Slab;

use crate::model::Nanos;

/// A cancelled timer leaves its entry in the heap; this number is left before a sweep.
pub const STALE_TIMERS: usize = 1_024;

/// The sequence of timers begins here: those of tasks in the background
/// have numbers below, and are first at an instant.
const BEHIND: u64 = 1 << 63;

/// When a timer is due, its sequence, and its slot.
type Entry = (Nanos, u64, usize);

#[derive(Default)]
pub struct Timers {
    /// No entry of the heap comes before this one. A timer that is made last is often due first: it
    /// has no need of the heap.
    first: Option<Entry>,
    /// What is due when; entries of cancelled timers stay until they are met or swept.
    pub heap: BinaryHeap<Reverse<Entry>>,
    pub slots: Slab<Timer>,
    sequence: u64,
    stale: usize,
    /// Those that stand and are of tasks in the background.
    background: usize,
}

pub struct Timer {
    sequence: u64,
    pub waker: Waker,
    background: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct TimerId {
    slot: usize,
    sequence: u64,
}

impl Timers {
    pub fn insert(&mut self, due: Nanos, waker: Waker, background: bool) -> TimerId {
        self.sequence += 1;
        let sequence = if background { self.sequence } else { self.sequence | BEHIND };
        self.background += usize::from(background);
        let slot = self.slots.insert(Timer { sequence, waker, background });
        self.enqueue((due, sequence, slot));
        TimerId { slot, sequence }
    }

    fn enqueue(&mut self, entry: Entry) {
        let is_first = match (self.first, self.heap.peek()) {
            (Some(first), _) => entry < first,
            (None, Some(Reverse(next))) => entry < *next,
            (None, None) => true,
        };
        let later = if is_first { self.first.replace(entry) } else { Some(entry) };
        if let Some(later) = later {
            self.heap.push(Reverse(later));
        }
    }

    /// The timer, unless it has fired: its slot may be another's by then.
    pub fn get(&mut self, id: TimerId) -> Option<&mut Timer> {
        self.slots.get_mut(id.slot).filter(|timer| timer.sequence == id.sequence)
    }

    pub fn cancel(&mut self, id: TimerId) {
        if self.get(id).is_none() {
            return;
        }
        self.remove(id.slot);
        if self.first.is_some_and(|(_, sequence, _)| sequence == id.sequence) {
            self.first = None;
            return;
        }
        self.stale += 1;
        if self.stale > STALE_TIMERS && self.stale * 2 > self.heap.len() {
            let slots = &self.slots;
            self.heap.retain(|Reverse((_, sequence, slot))| {
                slots.get(*slot).is_some_and(|timer| timer.sequence == *sequence)
            });
            self.stale = 0;
        }
    }

    /// Whether those that stand are all of tasks in the background.
    pub fn all_background(&self) -> bool {
        self.slots.len() == self.background
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The instant of the next timer that still stands.
    pub fn next_due(&mut self) -> Option<Nanos> {
        if let Some((due, ..)) = self.first {
            return Some(due);
        }
        while let Some(Reverse((due, sequence, slot))) = self.heap.peek() {
            if self.slots.get(*slot).is_some_and(|timer| timer.sequence == *sequence) {
                return Some(*due);
            }
            self.heap.pop();
            self.stale = self.stale.saturating_sub(1);
        }
        None
    }

    /// Takes the next timer if it is due at `now`.
    pub fn pop(&mut self, now: Nanos) -> Option<Waker> {
        if self.next_due()? > now {
            return None;
        }
        let (_, _, slot) = match self.first.take() {
            Some(first) => first,
            None => self.heap.pop()?.0,
        };
        Some(self.remove(slot))
    }

    fn remove(&mut self, slot: usize) -> Waker {
        let timer = self.slots.remove(slot);
        self.background -= usize::from(timer.background);
        timer.waker
    }
}
