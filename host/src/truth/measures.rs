//! What the truth measures by comparing two runs: counts of both, lengths of time, intervals.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Nanos;

use super::units::{instant, seconds};

/// What takes longer by this is noticed, if it also takes longer by [`NOTICED_SHARE`]: nanoseconds.
const NOTICED: u64 = 10_000_000;

/// Of what it takes without the fault: a fifth is one part in five.
const NOTICED_SHARE: u64 = 5;

/// What takes longer or less long by less than this is as it was: nanoseconds. Who comes to a worker in
/// another order computes some nanoseconds more or less there, also long after a fault.
const NOTHING: u64 = 1_000;

/// Whether something takes another time than without the fault: nanoseconds.
pub const fn is_other(with: Nanos, without: Nanos) -> bool {
    with.abs_diff(without) >= NOTHING
}

/// Whether it is noticed that something takes longer by `more` than it does without the fault: nanoseconds.
pub fn is_slower(more: i64, without: Nanos) -> bool {
    more >= NOTICED.max(without / NOTICED_SHARE).cast_signed()
}

/// A count with the fault, and without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Both {
    pub with: u64,
    pub without: u64,
}

/// A part of the run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Interval {
    pub start_at: f64,
    pub start_time: String,
    pub end_at: f64,
    pub end_time: String,
}

/// Two instants: nanoseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    pub first: Nanos,
    pub last: Nanos,
}

impl Extent {
    /// From the first of all of these to the last; none of none.
    pub fn of(all: impl IntoIterator<Item = Self>) -> Option<Self> {
        let earlier = |one: Self, other: Self| Self {
            first: one.first.min(other.first),
            last: one.last.max(other.last),
        };
        all.into_iter().reduce(earlier)
    }

    /// As the truth writes it, of a run that began at `start`.
    pub fn interval(self, start: Nanos) -> Interval {
        let at = |instant: Nanos| seconds(instant.saturating_sub(start));
        Interval {
            start_at: at(self.first),
            start_time: instant(self.first),
            end_at: at(self.last),
            end_time: instant(self.last),
        }
    }
}

/// By how much things took longer: milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Extra {
    pub mean: f64,
    pub p99: f64,
    pub max: f64,
}

impl Extra {
    /// Of these, in nanoseconds.
    pub fn of(all: &mut [i64]) -> Self {
        all.sort_unstable();
        let ms = |nanos: i64| nanos as f64 / 1e6;
        let Some(max) = all.last() else { return Self { mean: 0.0, p99: 0.0, max: 0.0 } };
        let sum: i128 = all.iter().map(|extra| i128::from(*extra)).sum();
        // The nearest rank: at least 99 of 100 are no greater.
        let rank = (all.len() * 99).div_ceil(100).max(1);
        Self { mean: sum as f64 / all.len() as f64 / 1e6, p99: ms(all[rank - 1]), max: ms(*max) }
    }
}
