//! Exemplars: measurements that point from a metric to the spans in which they were made.
//!
//! Which of several stays is drawn by the span's id: the smallest draw wins. So the choice depends on nothing
//! else that happens, and takes no draw from anything else.

use crate::context::{SpanId, TraceId};
use crate::model::Nanos;
use crate::rng::{Key, Purpose};
use crate::telemetry::env::ExemplarFilter;
use crate::telemetry::record::Exemplar;

use super::value::Measured;

/// Exemplars of a point of an exponential histogram: `min(20, max_buckets)` (OpenTelemetry specification,
/// "Metrics SDK", "Exemplar defaults").
pub const OF_EXPONENTIAL: usize = 20;

/// Exemplars of a point that is a number.
pub const OF_NUMBER: usize = 1;

/// Where and when a value is measured.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// Whether the span is recorded.
    pub is_sampled: bool,
    /// Nanoseconds since the Unix epoch.
    pub time: Nanos,
}

/// A measurement that may become an exemplar.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    draw: u64,
    exemplar: Exemplar,
}

/// Which measurements may become exemplars, and what draws among them.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarRule {
    filter: ExemplarFilter,
    key: Key,
}

impl ExemplarRule {
    pub const fn new(filter: ExemplarFilter, root: u64) -> Self {
        Self { filter, key: Key::new(root, Purpose::Exemplar) }
    }

    /// The measurement as a candidate, if it may become an exemplar.
    pub fn candidate(&self, value: Measured, origin: Origin) -> Option<Candidate> {
        let may = match self.filter {
            ExemplarFilter::TraceBased => origin.is_sampled,
            ExemplarFilter::AlwaysOn => true,
            ExemplarFilter::AlwaysOff => false,
        };
        may.then(|| {
            let Origin { trace_id, span_id, time, .. } = origin;
            let draw = self.key.with(span_id.0.get()).draw();
            Candidate { draw, exemplar: Exemplar { time, value: value.number(), trace_id, span_id } }
        })
    }
}

/// The exemplars of a point, since it was collected last.
#[derive(Debug, Default)]
pub struct Exemplars(Vec<Kept>);

#[derive(Clone, Copy, Debug)]
struct Kept {
    draw: u64,
    bucket: u32,
    exemplar: Exemplar,
}

impl Exemplars {
    /// Bytes that this number of exemplars takes.
    pub const fn bytes(number: usize) -> usize {
        number * size_of::<Kept>()
    }

    /// One stays for each of `buckets` buckets (`AlignedHistogramBucketExemplarReservoir`).
    pub fn offer_to_bucket(&mut self, buckets: usize, bucket: usize, candidate: Candidate) {
        let Candidate { draw, exemplar } = candidate;
        let offered = Kept { draw, bucket: bucket as u32, exemplar };
        match self.0.iter_mut().find(|kept| kept.bucket == offered.bucket) {
            Some(kept) if draw < kept.draw => *kept = offered,
            Some(_) => {}
            None => self.push(buckets, offered),
        }
    }

    /// `room` of them stay (`SimpleFixedSizeExemplarReservoir`).
    pub fn offer(&mut self, room: usize, candidate: Candidate) {
        let Candidate { draw, exemplar } = candidate;
        let offered = Kept { draw, bucket: 0, exemplar };
        if self.0.len() < room {
            return self.push(room, offered);
        }
        if let Some(worst) = self.0.iter_mut().max_by_key(|kept| kept.draw)
            && draw < worst.draw
        {
            *worst = offered;
        }
    }

    /// Adds one, in memory for no more than `room` of them.
    fn push(&mut self, room: usize, kept: Kept) {
        let Self(all) = self;
        if all.len() == all.capacity() {
            all.reserve_exact(all.len().max(1).min(room - all.len()));
        }
        all.push(kept);
    }

    /// Those up to an instant, in the order of their buckets, and of their times within one. A worker that is
    /// ahead of its world has later ones: they are left for the next time.
    pub fn sorted(&self, until: Nanos) -> Vec<Exemplar> {
        let mut kept: Vec<_> = self.0.iter().filter(|kept| kept.exemplar.time <= until).collect();
        kept.sort_by_key(|kept| (kept.bucket, kept.exemplar.time, kept.draw));
        kept.into_iter().map(|kept| kept.exemplar).collect()
    }

    /// Another interval begins at this instant.
    pub fn clear(&mut self, now: Nanos) {
        self.0.retain(|kept| kept.exemplar.time > now);
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroU128};

    use super::*;

    fn origin(span: u64, is_sampled: bool) -> Origin {
        let trace_id = TraceId(NonZeroU128::MIN);
        Origin { trace_id, span_id: SpanId(NonZeroU64::new(span).expect("an id")), is_sampled, time: span }
    }

    fn spans(exemplars: Vec<Exemplar>) -> Vec<u64> {
        exemplars.iter().map(|exemplar| exemplar.span_id.0.get()).collect()
    }

    #[test]
    fn the_filter_decides_which_measurements_may_be_exemplars() {
        let is_candidate = |filter, is_sampled| {
            ExemplarRule::new(filter, 42).candidate(Measured::Time(1), origin(1, is_sampled)).is_some()
        };
        assert!(is_candidate(ExemplarFilter::TraceBased, true));
        assert!(!is_candidate(ExemplarFilter::TraceBased, false));
        assert!(is_candidate(ExemplarFilter::AlwaysOn, false));
        assert!(!is_candidate(ExemplarFilter::AlwaysOff, true));
    }

    #[test]
    fn which_exemplar_stays_does_not_depend_on_the_order() {
        let rule = ExemplarRule::new(ExemplarFilter::TraceBased, 42);
        let choose = |order: &mut dyn Iterator<Item = u64>| {
            let (mut aligned, mut fixed) = (Exemplars::default(), Exemplars::default());
            for span in order {
                let candidate = rule.candidate(Measured::Time(span), origin(span, true)).expect("sampled");
                aligned.offer_to_bucket(3, (span % 3) as usize, candidate);
                fixed.offer(OF_EXPONENTIAL, candidate);
            }
            assert!(aligned.0.capacity() <= 3 && fixed.0.capacity() <= OF_EXPONENTIAL);
            (spans(aligned.sorted(Nanos::MAX)), spans(fixed.sorted(Nanos::MAX)))
        };
        let (aligned, fixed) = choose(&mut (1..500));
        assert_eq!((aligned.len(), fixed.len()), (3, OF_EXPONENTIAL));
        assert_eq!(choose(&mut (1..500).rev()), (aligned, fixed));
    }

    #[test]
    fn an_exemplar_that_is_later_than_its_point_leaves_with_the_next_one() {
        let rule = ExemplarRule::new(ExemplarFilter::TraceBased, 42);
        let mut exemplars = Exemplars::default();
        for (bucket, time) in [(0, 10), (1, 30), (2, 20)] {
            let candidate = rule.candidate(Measured::Time(time), origin(time, true)).expect("sampled");
            exemplars.offer_to_bucket(3, bucket, candidate);
        }
        let taken = [20, 29, 30].map(|until| {
            let taken = spans(exemplars.sorted(until));
            exemplars.clear(until);
            taken
        });
        assert_eq!(taken, [vec![10, 20], vec![], vec![30]]);
    }
}
