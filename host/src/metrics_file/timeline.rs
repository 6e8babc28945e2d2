//! The time that a file covers, in slots of whole collections.
//!
//! Processes collect at a regular interval, each with a phase of its own, and once more at their end. So a
//! slot is as long as one collection or several, and each process has as many of them in it. What is
//! collected less than half an interval after a process's last regular collection belongs to that.

use std::collections::BTreeMap;

/// Slots at most: bars of a line.
pub const SLOTS: u64 = 60;

/// Instants at most, at which the values of several replicas are added up. Beyond that, the first of
/// several collections stands for all.
const INSTANTS: u64 = 600;

/// Processes whose phase is known, and intervals between two collections of one, of which the median is
/// the interval of the file.
const KEPT: usize = 10_000;

/// The instants of the points of a file, while it is read for the first time. All are nanoseconds since
/// the Unix epoch.
#[derive(Debug, Default)]
pub struct Instants {
    /// When the first series began.
    start: Option<u64>,
    /// The last collection before those that are asked for, and that of each process.
    before: Option<u64>,
    earlier: BTreeMap<u64, u64>,
    /// The first and the last point.
    range: Option<(u64, u64)>,
    /// The first and the last collection of each process.
    processes: BTreeMap<u64, (u64, u64)>,
    gaps: Vec<u64>,
}

impl Instants {
    /// Takes the time of a point before those that are asked for, which count from there.
    pub fn begin(&mut self, process: u64, time: u64) {
        self.before = self.before.max(Some(time));
        if self.earlier.len() < KEPT || self.earlier.contains_key(&process) {
            self.earlier.insert(process, time);
        }
    }

    /// Whether it has no points.
    pub const fn is_empty(&self) -> bool {
        self.range.is_none()
    }

    /// Takes a point of a process, which is known by the hash of its Resource. A start of 0 is not known.
    pub fn add(&mut self, process: u64, start: u64, time: u64) {
        let (first, last) = self.range.unwrap_or((time, time));
        self.range = Some((first.min(time), last.max(time)));
        if start > 0 && start <= time {
            self.start = Some(self.start.map_or(start, |first| first.min(start)));
        }
        let has_room = self.processes.len() < KEPT;
        let gap = match self.processes.get_mut(&process) {
            Some((first, last)) => {
                let gap = time.checked_sub(*last);
                (*first, *last) = ((*first).min(time), (*last).max(time));
                gap
            }
            None if has_room => {
                self.processes.insert(process, (time, time));
                let earlier = self.earlier.get(&process).copied().or((start > 0).then_some(start));
                earlier.and_then(|earlier| time.checked_sub(earlier))
            }
            None => None,
        };
        self.gaps.extend(gap.filter(|gap| *gap > 0 && self.gaps.len() < KEPT));
    }
}

/// Where the points of a file lie in time.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    start: u64,
    first: u64,
    last: u64,
    /// Between two collections: nanoseconds.
    interval: u64,
    /// Collections, one after the other.
    collections: u64,
    /// Collections of an instant, and instants of a slot.
    together: u64,
    per_slot: u64,
    slots: u64,
    /// The first collection of each process.
    phases: BTreeMap<u64, u64>,
}

impl From<Instants> for Timeline {
    fn from(Instants { start, before, range, processes, mut gaps, .. }: Instants) -> Self {
        let (first, last) = range.unwrap_or_default();
        gaps.sort_unstable();
        let interval = gaps.get(gaps.len() / 2).copied().unwrap_or(last - first).max(1);
        let phases = processes.into_iter().map(|(process, (first, _))| (process, first)).collect();
        let mut timeline = Self {
            start: before.or(start).unwrap_or(first),
            first,
            last,
            interval,
            phases,
            ..Self::default()
        };
        let of_process = timeline.phases.keys().map(|process| timeline.collection(*process, last)).max();
        timeline.collections = of_process.unwrap_or(0) + 1;
        timeline.together = timeline.collections.div_ceil(INSTANTS);
        timeline.per_slot = timeline.collections.div_ceil(SLOTS).div_ceil(timeline.together);
        let per_slot = timeline.together * timeline.per_slot;
        let (whole, rest) = (timeline.collections / per_slot, timeline.collections % per_slot);
        timeline.slots = (whole + u64::from(2 * rest >= per_slot && rest > 0)).max(1);
        timeline
    }
}

impl Timeline {
    /// The number of a collection.
    fn collection(&self, process: u64, time: u64) -> u64 {
        let whole =
            |from: u64, to: u64| to.saturating_sub(from).saturating_add(self.interval / 2) / self.interval;
        let phase = self.phases.get(&process).copied().unwrap_or(self.first);
        whole(self.first, phase) + whole(phase, time)
    }

    /// The instant of a point, and its slot.
    pub fn place(&self, process: u64, time: u64) -> (usize, usize) {
        let instant = self.collection(process, time).min(self.collections - 1) / self.together;
        (instant as usize, (instant / self.per_slot).min(self.slots - 1) as usize)
    }

    pub const fn slots(&self) -> usize {
        self.slots as usize
    }

    /// The instants of a slot, out of this many.
    pub fn instants(&self, slot: usize, known: usize) -> std::ops::Range<usize> {
        let (each, is_last) = (self.per_slot as usize, slot as u64 + 1 == self.slots);
        let end = if is_last { known } else { known.min((slot + 1) * each) };
        (slot * each).min(end)..end
    }

    /// How many times a process collects at most, as long as the file is.
    pub const fn collections(&self) -> u64 {
        self.collections
    }

    /// From when the first series began to the last point: nanoseconds since the Unix epoch.
    pub const fn window(&self) -> (u64, u64) {
        (self.start, self.last)
    }

    /// The length of the window: seconds.
    pub fn seconds(&self) -> f64 {
        (self.last - self.start) as f64 / 1e9
    }

    /// The time between two slots, which is also how long each is but the first and the last: nanoseconds.
    pub const fn slot_length(&self) -> u64 {
        self.interval.saturating_mul(self.together * self.per_slot)
    }

    /// How long a slot is: seconds.
    pub fn slot_seconds(&self, slot: usize) -> f64 {
        let end = |slot: u64| {
            let collections = slot.saturating_add(1).saturating_mul(self.together * self.per_slot) - 1;
            self.first.saturating_add(collections.saturating_mul(self.interval))
        };
        let slot = slot as u64;
        let from = if slot == 0 { self.start } else { end(slot - 1) };
        let to = if slot + 1 == self.slots { self.last } else { end(slot) };
        to.saturating_sub(from) as f64 / 1e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(times: impl IntoIterator<Item = u64>) -> Timeline {
        let mut instants = Instants::default();
        times.into_iter().for_each(|time| instants.add(1, 100, time));
        instants.into()
    }

    fn slots(timeline: &Timeline, times: &[u64]) -> Vec<usize> {
        times.iter().map(|time| timeline.place(1, *time).1).collect()
    }

    #[test]
    fn few_collections_have_a_slot_each() {
        let few = timeline([110, 120, 120, 130]);
        assert_eq!((few.slots(), slots(&few, &[110, 120, 130])), (3, vec![0, 1, 2]));
        assert_eq!((few.window(), few.slot_length(), few.collections()), ((100, 130), 10, 3));
        let one = timeline([110, 110]);
        assert_eq!((one.slots(), one.slot_seconds(0)), (1, 10e-9));
        assert_eq!(Timeline::from(Instants::default()).slots(), 1);
    }

    #[test]
    fn many_share_slots_of_whole_collections() {
        // 72 collections: two in each slot.
        let many = timeline((1..=72).map(|number| 100 + number * 10));
        assert_eq!(many.slots(), 36);
        for slot in 0..36 {
            let times: Vec<u64> =
                (1..=72).map(|number| 100 + number * 10).filter(|at| many.place(1, *at).1 == slot).collect();
            assert_eq!(times.len(), 2, "{times:?}");
            assert!((many.slot_seconds(slot) - 20e-9).abs() < 1e-12);
        }
        let most = timeline((1..=10_000).map(|number| 100 + number * 10));
        assert!(most.slots() <= 60 && most.place(1, 100_100).0 < 600);
        assert_eq!(most.instants(0, 600), 0..most.per_slot as usize);
    }

    #[test]
    fn a_short_rest_belongs_to_the_collection_before() {
        let rest = timeline([160, 220, 280, 283]);
        assert_eq!((rest.slots(), slots(&rest, &[220, 280, 283])), (3, vec![1, 2, 2]));
        assert!((rest.slot_seconds(2) - 63e-9).abs() < 1e-12);
        let one = timeline([160, 163]);
        assert_eq!((one.slots(), one.collections()), (1, 1));
        let long = timeline([160, 220, 280, 320]);
        assert_eq!(long.slots(), 4);
        assert!((long.slot_seconds(3) - 40e-9).abs() < 1e-12);
    }

    #[test]
    fn processes_with_other_phases_have_as_many_collections_in_each_slot() {
        let mut instants = Instants::default();
        for number in 1..=10 {
            instants.add(1, 100, 100 + number * 60);
            // A phase of half an interval, and a clock that is not exact.
            instants.add(2, 130, 130 + number * 60 + number % 3);
        }
        let timeline = Timeline::from(instants);
        let of = |process, time| timeline.place(process, time).1;
        let slots: Vec<_> = (1..=10).map(|number| of(2, 130 + number * 60 + number % 3)).collect();
        assert!(slots.is_sorted_by(|left, right| left < right), "{slots:?}");
    }
}
