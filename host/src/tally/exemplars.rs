//! Traces that stand for the times of requests.

use std::cmp::Reverse;

use crate::context::TraceId;
use crate::model::Nanos;

/// Steps in each doubling of time. Of the requests whose times are in the same step, one is kept.
const STEPS: u32 = 128;

/// A request that stands for others like it: the trace in which it was, and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exemplar {
    pub trace_id: TraceId,
    pub took: Nanos,
}

impl Exemplar {
    /// Of a step the longest stays; of equal ones, that of the smaller id. So what is kept depends neither
    /// on the order of the requests nor on the worlds in which they were.
    const fn rank(&self) -> (Nanos, Reverse<u128>) {
        (self.took, Reverse(self.trace_id.0.get()))
    }
}

/// The exemplars of requests of one kind: one for each step of time that was met, in their order. Times from
/// 1 us to 1,000 s have 3,840 steps, and those of one route meet some hundreds.
#[derive(Clone, Debug, Default)]
pub struct Exemplars(Vec<Exemplar>);

impl Exemplars {
    pub fn note(&mut self, exemplar: Exemplar) {
        match self.0.binary_search_by_key(&step(exemplar.took), |kept| step(kept.took)) {
            Ok(at) if self.0[at].rank() < exemplar.rank() => self.0[at] = exemplar,
            Ok(_) => {}
            Err(at) => self.0.insert(at, exemplar),
        }
    }

    /// That with the time nearest to this; of two as near, the longer one.
    pub fn nearest(&self, time: Nanos) -> Option<Exemplar> {
        self.0.iter().min_by_key(|kept| (kept.took.abs_diff(time), Reverse(kept.took))).copied()
    }

    /// Takes in those of another.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|exemplar| self.note(*exemplar));
    }
}

/// The step that a time is in: below [`STEPS`] nanoseconds each has its own.
const fn step(time: Nanos) -> u32 {
    const BITS: u32 = STEPS.ilog2();
    if time < STEPS as Nanos {
        return time as u32;
    }
    let doublings = time.ilog2() - BITS;
    (doublings + 1) * STEPS + (time >> doublings) as u32 - STEPS
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU128;

    use super::*;

    fn exemplar(id: u128, took: Nanos) -> Exemplar {
        Exemplar { trace_id: TraceId(NonZeroU128::new(id).expect("not 0")), took }
    }

    #[test]
    fn steps_grow_with_time_and_are_narrow() {
        let times: Vec<Nanos> = (0..200).chain((8..64).flat_map(|bit| [(1 << bit) - 1, 1 << bit])).collect();
        assert!(times.is_sorted() && times.iter().is_sorted_by_key(|time| step(*time)));
        let known = [0, 127, 128, 255, 256, 257, 258].map(step);
        assert_eq!(known, [0, 127, 128, 255, 256, 256, 257]);
        // The longest time of a step is less than one part in 128 longer than the shortest.
        for time in [1_000, 33_333, 987_654_321_u64] {
            assert_ne!(step(time), step(time + time / 127));
        }
        assert_eq!(step(Nanos::MAX), (Nanos::BITS - STEPS.ilog2() + 1) * STEPS - 1);
    }

    #[test]
    fn what_is_kept_does_not_depend_on_the_order() {
        let all: Vec<_> = (1..500).map(|id| exemplar(id, (id * id % 97 * 1_000_000) as Nanos)).collect();
        let (mut one, mut halves) = (Exemplars::default(), [Exemplars::default(), Exemplars::default()]);
        for (at, exemplar) in all.iter().enumerate() {
            one.note(*exemplar);
            halves[at % 2].note(all[all.len() - 1 - at]);
        }
        let [mut merged, other] = halves;
        merged.merge(&other);
        assert_eq!(merged.0, one.0);
        for exemplar in &one.0 {
            let alike = all.iter().filter(|other| other.took == exemplar.took);
            assert_eq!(alike.min_by_key(|other| other.trace_id.0), Some(exemplar));
        }
    }

    #[test]
    fn the_nearest_is_found_on_either_side() {
        let mut exemplars = Exemplars::default();
        assert_eq!(exemplars.nearest(5), None);
        [10, 1_000, 3_000].into_iter().for_each(|took| exemplars.note(exemplar(1, took)));
        let nearest = |time| exemplars.nearest(time).map(|exemplar| exemplar.took);
        assert_eq!([0, 900, 2_000, 2_001, 9_999].map(nearest), [10, 1_000, 3_000, 3_000, 3_000].map(Some));
    }
}
