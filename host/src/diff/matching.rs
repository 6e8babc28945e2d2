//! The traces of two runs, matched: the same request has the same trace id in both.

use schemars::JsonSchema;
use serde::Serialize;

use crate::context::TraceId;
use crate::model::Nanos;
use crate::tally::Tally;

use super::gather::{Gathered, Summary};

/// The traces of both runs, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Traces {
    /// Traces that are in both runs.
    pub matched: u64,
    /// Of those, the ones whose spans are the same, times counted from the instant at which
    /// the request was due, and whose client saw the same answer after the same time.
    pub identical: u64,
    /// Of those, the ones that were due at another time.
    pub moved: u64,
    /// Of the matched, the ones of which either differs.
    pub differing: u64,
    /// Of those, the ones that take longer after the change, and by how much: from the instant
    /// at which the request was due until its client had the answer.
    pub slower: Changed,
    /// Of those, the ones that take less time, and by how much.
    pub faster: Changed,
    /// Of the differing that take the same time, the ones whose last span ends later after the change, and by
    /// how much: of messages that they led to, and others that nobody waits for.
    pub longer: Changed,
    /// Of the differing that take the same time, the ones whose last span ends earlier, and by how much.
    pub shorter: Changed,
    /// Of those, the ones that fail after the change and did not before, and the other way round.
    pub newly_failed: u64,
    pub newly_succeeded: u64,
    /// Traces that one of the runs did not have: of requests, of runs of jobs and of messages.
    pub only_before: u64,
    pub only_after: u64,
    /// Traces of either run that were too many to be matched.
    pub unmatched: u64,
    /// Spans of either run that ended so late that their own time is not counted.
    pub late_spans: u64,
}

/// By how much traces take longer, or less long.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Changed {
    pub count: u64,
    pub p50_ns: Nanos,
    pub max_ns: Nanos,
}

/// What matching has found.
#[derive(Clone, Debug, Default)]
pub struct Matched {
    pub traces: Traces,
    /// The trace that changed most: its outcome, else the time it took, else when its last span ended.
    pub largest: Option<TraceId>,
}

impl Traces {
    /// Whether every trace of one run is in the other, as it was and when it was.
    pub const fn all_identical(&self) -> bool {
        self.differing == 0 && self.moved == 0 && self.only_before == 0 && self.only_after == 0
    }
}

/// Matches the traces of two runs.
pub fn matched(before: &Gathered, after: &Gathered) -> Matched {
    let mut traces = Traces {
        unmatched: before.unmatched + after.unmatched,
        late_spans: before.late + after.late,
        ..Traces::default()
    };
    let (mut slower, mut faster) = (Tally::default(), Tally::default());
    let (mut longer, mut shorter) = (Tally::default(), Tally::default());
    let mut largest: Option<(Weight, TraceId)> = None;
    for (id, one) in &before.traces {
        let Some(other) = after.traces.get(id) else {
            // It may be among those for which there was no room.
            let alone = if after.unmatched > 0 { &mut traces.unmatched } else { &mut traces.only_before };
            *alone += 1;
            continue;
        };
        traces.matched += 1;
        if one.print == other.print {
            traces.identical += 1;
            traces.moved += u64::from(one.start != other.start);
            continue;
        }
        traces.differing += 1;
        traces.newly_failed += u64::from(other.failed && !one.failed);
        traces.newly_succeeded += u64::from(one.failed && !other.failed);
        if !one.sent || !other.sent {
            // There is no time to compare.
        } else if other.took > one.took {
            slower.note(other.took - one.took, None);
        } else if other.took < one.took {
            faster.note(one.took - other.took, None);
        } else if other.lasted > one.lasted {
            longer.note(other.lasted - one.lasted, None);
        } else if other.lasted < one.lasted {
            shorter.note(one.lasted - other.lasted, None);
        }
        let weight = weight(one, other);
        if largest.is_none_or(|(heaviest, heaviest_id)| (weight, *id) > (heaviest, heaviest_id)) {
            largest = Some((weight, *id));
        }
    }
    let alone = if before.unmatched > 0 { &mut traces.unmatched } else { &mut traces.only_after };
    *alone += after.traces.len() as u64 - traces.matched;
    (traces.slower, traces.faster) = (changed(&slower), changed(&faster));
    (traces.longer, traces.shorter) = (changed(&longer), changed(&shorter));
    Matched { traces, largest: largest.map(|(_, id)| id) }
}

/// By what a trace is the one that changed most. Of those that changed alike, the first.
type Weight = (bool, bool, Nanos, Nanos, std::cmp::Reverse<Nanos>);

fn weight(before: &Summary, after: &Summary) -> Weight {
    let turned = before.failed != after.failed;
    let sent = before.sent && after.sent;
    let (took, lasted) = (before.took.abs_diff(after.took), before.lasted.abs_diff(after.lasted));
    (turned, sent, took, lasted, std::cmp::Reverse(before.start))
}

fn changed(tally: &Tally) -> Changed {
    Changed { count: tally.count, p50_ns: tally.quantile(0.5), max_ns: tally.longest }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU128;

    use super::*;

    fn run(traces: &[(u128, Nanos, Nanos, bool, u64)]) -> Gathered {
        let one = |&(id, start, took, failed, print): &(u128, Nanos, Nanos, bool, u64)| {
            let id = TraceId(NonZeroU128::new(id).expect("not zero"));
            (
                id,
                Summary {
                    start,
                    took,
                    lasted: took,
                    waited: 0,
                    print,
                    root: 0,
                    spans: 1,
                    requests: 1,
                    sent: true,
                    failed,
                },
            )
        };
        Gathered { traces: traces.iter().map(one).collect(), ..Gathered::default() }
    }

    #[test]
    fn every_trace_is_counted_once_as_what_became_of_it() {
        let before = run(&[
            (1, 10, 100, false, 1),
            (2, 20, 100, false, 2),
            (3, 30, 100, false, 3),
            (4, 40, 100, true, 4),
            (5, 50, 100, false, 5),
            (6, 60, 100, false, 6),
        ]);
        let after = run(&[
            (1, 10, 100, false, 1),
            (2, 25, 100, false, 2),
            (3, 30, 400, false, 30),
            (4, 40, 90, false, 40),
            (5, 50, 100, true, 50),
            (7, 70, 100, false, 7),
            (8, 80, 100, false, 8),
        ]);
        let Matched { traces, largest } = matched(&before, &after);
        assert_eq!((traces.matched, traces.identical, traces.moved, traces.differing), (5, 2, 1, 3));
        assert_eq!((traces.only_before, traces.only_after), (1, 2));
        assert_eq!((traces.newly_failed, traces.newly_succeeded), (1, 1));
        assert_eq!((traces.slower.count, traces.slower.max_ns), (1, 300));
        assert_eq!((traces.faster.count, traces.faster.max_ns), (1, 10));
        // An outcome that turned weighs more than any time.
        assert_eq!(largest.map(|id| id.0.get()), Some(4));
    }

    #[test]
    fn of_traces_that_changed_alike_the_first_is_shown() {
        let before = run(&[(9, 10, 100, false, 1), (2, 20, 100, false, 2), (5, 10, 100, false, 3)]);
        let after = run(&[(9, 10, 110, false, 4), (2, 20, 110, false, 5), (5, 10, 109, false, 6)]);
        assert_eq!(matched(&before, &after).largest.map(|id| id.0.get()), Some(9));
    }

    #[test]
    fn nothing_differs_between_a_run_and_itself() {
        let run = run(&[(1, 10, 100, false, 1), (2, 20, 100, true, 2)]);
        let Matched { traces, largest } = matched(&run, &run);
        assert_eq!((traces.identical, traces.moved, traces.differing), (2, 0, 0));
        assert_eq!(largest, None);
    }
}
