//! How long the values are that a statement meets, and what its steps count by it.
//!
//! SQLite counts a step, however long the values are that it reads, copies or compares. A statement begins
//! with short ones, of which a step takes no longer than others. SQLite refuses a longer one; then the
//! statement runs again with longer values, of which each step counts more. What a statement may hold is
//! bounded in the same way: by its steps, and the longest row.

use crate::bounds::{BYTES_PER_WEIGHT, Bounds, LENGTHS, ROW_BYTES, SHORT_LENGTHS};
use crate::value::Value;

/// The most bytes of a value or a row that a statement meets.
#[derive(Clone, Copy)]
pub(super) struct Length {
    pub bytes: usize,
}

impl Length {
    /// What a statement with these parameters begins with.
    pub(super) fn of(params: &[Value], bounds: &Bounds) -> Self {
        let longest = params.iter().map(Value::weight).max().unwrap_or(0);
        Self::from(longest, bounds)
    }

    /// What it runs again with, when functions have made values of so many bytes; nothing if values are as
    /// long as they may be.
    pub(super) fn next(self, longest: usize, bounds: &Bounds) -> Option<Self> {
        (self.bytes < bounds.value_bytes).then(|| Self::from(longest.max(self.bytes + 1), bounds))
    }

    fn from(least: usize, bounds: &Bounds) -> Self {
        let found = LENGTHS.into_iter().find(|bytes| *bytes >= least);
        Self { bytes: found.unwrap_or(bounds.value_bytes).min(bounds.value_bytes) }
    }

    /// What it runs again with, when it could hold too many rows of this length: the shortest, if it is not
    /// known to have longer ones.
    pub(super) fn shortest(self) -> Self {
        if self.bytes == LENGTHS[0] { Self { bytes: SHORT_LENGTHS[0] } } else { self }
    }

    /// What it runs again with, when it has rows that are longer than this, which is shorter than what it
    /// began with.
    pub(super) fn next_short(self) -> Self {
        let next = SHORT_LENGTHS.into_iter().find(|bytes| *bytes > self.bytes);
        Self { bytes: next.unwrap_or(LENGTHS[0]) }
    }

    /// Whether it is one of those that a statement does not begin with.
    pub(super) fn is_short(self) -> bool {
        self.bytes < LENGTHS[0]
    }

    /// What a step counts.
    pub(super) fn weight(self) -> u64 {
        if self.bytes <= LENGTHS[0] { 1 } else { (self.bytes / BYTES_PER_WEIGHT) as u64 }
    }

    /// Whether a statement may hold so many rows of this length.
    pub(super) fn may_hold(self, rows: u64, bounds: &Bounds) -> bool {
        rows.saturating_mul(self.row_bytes()) <= bounds.held_bytes
    }

    /// The steps after which a statement may hold as much as it may, if its rows are as long as this, and
    /// each takes so many steps.
    pub(super) fn held_steps(self, steps_per_row: u64, bounds: &Bounds) -> u64 {
        (bounds.held_bytes / self.row_bytes()).saturating_mul(steps_per_row)
    }

    /// What a row of this length takes: pages of a B-tree are a third empty.
    fn row_bytes(self) -> u64 {
        (self.bytes + self.bytes / 2 + ROW_BYTES) as u64
    }
}
