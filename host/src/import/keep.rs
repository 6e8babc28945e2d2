//! The spans of a file, whole traces of them, within a bound.
//!
//! They may come in any order: a Collector writes what comes, and files of several services may be
//! put together. So they are held until the file has ended, and sorted then. Beyond the bound each second
//! trace is given up, by a hash of its id: what is left is whole traces, whatever the order.

use super::bounds::MAX_SPANS;
use super::notes::{LeftOut, Reason};
use super::span::Span;

#[derive(Debug)]
pub struct Keep {
    spans: Vec<Span>,
    most: usize,
    /// One in two to the power of this is kept of all traces.
    halvings: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { spans: Vec::new(), most: MAX_SPANS, halvings: 0 }
    }
}

impl Keep {
    pub fn add(&mut self, span: Span, left_out: &mut LeftOut) {
        if !is_kept(span.trace, self.halvings) {
            left_out.add(Reason::Sampled);
            return;
        }
        self.spans.push(span);
        while self.spans.len() > self.most && self.halvings < u64::BITS {
            self.halvings += 1;
            let before = self.spans.len();
            self.spans.retain(|span| is_kept(span.trace, self.halvings));
            left_out.add_many(Reason::Sampled, (before - self.spans.len()) as u64);
        }
    }

    /// Traces of the file for each that is kept.
    pub fn scale(&self) -> f64 {
        libm::exp2(f64::from(self.halvings))
    }

    /// The spans, those of a trace together, each once.
    pub fn sorted(mut self, left_out: &mut LeftOut) -> Vec<Span> {
        self.spans.sort_unstable_by_key(|span| {
            (span.trace, span.id, span.role, span.start, span.end, span.service, span.name)
        });
        let before = self.spans.len();
        self.spans.dedup_by_key(|span| (span.trace, span.id));
        left_out.add_many(Reason::Twice, (before - self.spans.len()) as u64);
        self.spans
    }
}

/// Whether a trace is among those that are kept after so many halvings.
fn is_kept(trace: u128, halvings: u32) -> bool {
    // The finaliser of `MurmurHash3`: ids need not be random in every bit.
    let mut hash = (trace >> 64) as u64 ^ trace as u64;
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^= hash >> 33;
    halvings == 0 || hash.trailing_zeros() >= halvings
}

#[cfg(test)]
mod tests {
    use super::super::span::{NONE, Role};
    use super::*;

    fn span(trace: u128, id: u64) -> Span {
        Span {
            trace,
            id,
            parent: 0,
            start: 0,
            end: 1,
            service: 0,
            name: NONE,
            instance: NONE,
            bytes: NONE,
            role: Role::Works,
            has_failed: false,
            is_root: false,
            resent: 0,
            messages: 1,
            spread: 1,
            link: 0,
        }
    }

    #[test]
    fn beyond_the_bound_whole_traces_are_given_up_whatever_the_order() {
        let kept = |ids: &mut dyn Iterator<Item = (u128, u64)>| {
            let mut keep = Keep { most: 100, ..Keep::default() };
            let mut left_out = LeftOut::default();
            ids.for_each(|(trace, id)| keep.add(span(trace, id), &mut left_out));
            let scale = keep.scale();
            (scale, keep.sorted(&mut left_out).iter().map(|span| (span.trace, span.id)).collect::<Vec<_>>())
        };
        let by_trace = || (1..=200).flat_map(|trace| (1..=4).map(move |id| (trace, id)));
        let (scale, spans) = kept(&mut by_trace());
        assert!(spans.len() <= 100 && spans.len() % 4 == 0 && spans.len() >= 30, "{}", spans.len());
        assert!((8.0..=16.0).contains(&scale), "{scale}");
        let by_id = (1..=4).flat_map(|id| (1..=200).map(move |trace| (trace, id)));
        assert_eq!(kept(&mut { by_id }), (scale, spans));
    }

    #[test]
    fn a_span_that_comes_twice_counts_once() {
        let (mut keep, mut left_out) = (Keep::default(), LeftOut::default());
        [span(1, 1), span(1, 2), span(1, 1)].into_iter().for_each(|span| keep.add(span, &mut left_out));
        assert_eq!((keep.scale(), keep.sorted(&mut left_out).len()), (1.0, 2));
        assert_eq!(left_out.notes().len(), 1);
    }
}
