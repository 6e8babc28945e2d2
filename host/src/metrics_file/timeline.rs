//! The time that a file spans, in slots.

use std::collections::BTreeSet;

/// Slots at most: bars of a line.
pub const SLOTS: usize = 60;

/// The instants of the points of a file, while it is read for the first time.
#[derive(Debug, Default)]
pub struct Instants {
    /// All of them, until they are more than there are slots.
    each: BTreeSet<u64>,
    /// The first and the last: nanoseconds since the Unix epoch.
    range: Option<(u64, u64)>,
}

impl Instants {
    pub fn add(&mut self, time: u64) {
        let (first, last) = self.range.unwrap_or((time, time));
        self.range = Some((first.min(time), last.max(time)));
        if self.each.len() <= SLOTS {
            self.each.insert(time);
        }
    }
}

/// A slot for each instant at which metrics were collected; where there are too many, slots of
/// equal length.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    each: Vec<u64>,
    first: u64,
    last: u64,
}

impl From<Instants> for Timeline {
    fn from(Instants { each, range }: Instants) -> Self {
        let (first, last) = range.unwrap_or_default();
        let each = if each.len() <= SLOTS { each.into_iter().collect() } else { Vec::new() };
        Self { each, first, last }
    }
}

impl Timeline {
    pub const fn slots(&self) -> usize {
        match self.each.len() {
            0 => SLOTS,
            each => each,
        }
    }

    /// The slot of an instant.
    pub fn slot(&self, time: u64) -> usize {
        if !self.each.is_empty() {
            return self.each.partition_point(|each| *each < time).min(self.each.len() - 1);
        }
        let (at, whole) = (time.saturating_sub(self.first), (self.last - self.first).max(1));
        ((at as f64 / whole as f64 * SLOTS as f64) as usize).min(SLOTS - 1)
    }

    /// Nanoseconds since the Unix epoch: of the first and the last point.
    pub const fn range(&self) -> (u64, u64) {
        (self.first, self.last)
    }

    /// The length of a slot, in nanoseconds; none where they are the instants themselves.
    pub const fn slot_length(&self) -> Option<u64> {
        match self.each.len() {
            0 => Some((self.last - self.first) / SLOTS as u64),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(times: impl IntoIterator<Item = u64>) -> Timeline {
        let mut instants = Instants::default();
        times.into_iter().for_each(|time| instants.add(time));
        instants.into()
    }

    #[test]
    fn few_instants_have_a_slot_each_and_many_share_slots_of_equal_length() {
        let few = timeline([30, 10, 20, 20]);
        assert_eq!((few.slots(), [10, 20, 30].map(|time| few.slot(time))), (3, [0, 1, 2]));
        let many = timeline(0..=600);
        assert_eq!((many.slots(), [0, 9, 10, 599, 600].map(|time| many.slot(time))), (60, [0, 0, 1, 59, 59]));
        assert_eq!((many.slot_length(), few.slot_length()), (Some(10), None));
    }
}
