//! What the clients of a run saw of its traces. Spans begin when a worker has a request:
//! that it was due earlier, and waited for one, is in none of them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::fault::impact::OutsideRequest;

use super::gather::{Gathered, MAX_TRACES, Series, Summary};

/// The root of a trace without spans: a request that was not sent, or is on an excluded path.
const NO_ROOT: u32 = u32::MAX;

/// What the waits before the first span of traces are called, among the spans of a service.
const WAIT: &str = "(wait before the first span)";

impl Gathered {
    /// Takes in the requests from outside, in the order in which they were due: their traces
    /// begin when they were due, and end when their clients had the answer. Of `forgotten` more
    /// nobody knows how they ended.
    pub fn witness(&mut self, requests: &[OutsideRequest], forgotten: u64) {
        let mut waits = FxHashMap::default();
        let mut beyond = 0;
        for request in requests {
            let mut summary = match self.traces.get(&request.trace) {
                Some(summary) => *summary,
                None if self.traces.len() < MAX_TRACES => Summary {
                    start: request.due,
                    took: 0,
                    lasted: 0,
                    waited: 0,
                    print: 0,
                    root: NO_ROOT,
                    spans: 0,
                    requests: 0,
                    sent: false,
                    failed: false,
                },
                None => {
                    beyond += 1;
                    continue;
                }
            };
            self.add(&mut summary, request, &mut waits);
            self.traces.insert(request.trace, summary);
        }
        if forgotten > 0 {
            // By its spans alone a trace cannot be compared with what the client of another saw.
            self.traces.retain(|_, summary| summary.requests > 0);
        }
        // Traces with spans were counted when there was no room for them.
        self.unmatched = self.unmatched.max(forgotten + beyond);
    }

    /// `waits` are the series of waits by service.
    fn add(
        &mut self,
        summary: &mut Summary,
        request: &OutsideRequest,
        waits: &mut FxHashMap<Arc<str>, usize>,
    ) {
        let waited = summary.start.saturating_sub(request.due);
        if waited > 0
            && let Some(root) = self.series.get(summary.root as usize)
        {
            let service = Arc::clone(&root.service);
            let at = *waits.entry(Arc::clone(&service)).or_insert_with(|| {
                let name = WAIT.into();
                self.series.push(Series { service, name, count: 0, failed: 0, own: 0, late: 0 });
                self.series.len() - 1
            });
            let series = &mut self.series[at];
            series.count += 1;
            series.own += u128::from(waited);
        }
        let ended = request.end.map(|end| request.due.saturating_add(end.took));
        let so_far = summary.start.saturating_add(summary.took);
        let last = summary.start.saturating_add(summary.lasted);
        // A client may send several requests in one trace: it ends with the last of them.
        let end =
            if summary.requests == 0 { ended.unwrap_or(so_far) } else { ended.unwrap_or(0).max(so_far) };
        summary.start = summary.start.min(request.due);
        summary.waited += waited;
        summary.took = end.saturating_sub(summary.start);
        summary.lasted = last.max(end).saturating_sub(summary.start);
        summary.failed = request.error().is_some() || summary.requests > 0 && summary.failed;
        summary.requests += 1;
        summary.sent |= request.is_sent;
        let mut seen = DefaultHasher::new();
        (waited, summary.took, request.error()).hash(&mut seen);
        summary.print = summary.print.wrapping_add(seen.finish());
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU64, NonZeroU128};

    use super::*;
    use crate::context::{SpanId, TraceId};
    use crate::diff::matching::matched;
    use crate::fault::impact::RequestEnd;
    use crate::model::ServiceId;

    fn trace(number: u128) -> TraceId {
        TraceId(NonZeroU128::new(number).expect("not zero"))
    }

    /// A request that took 10 ns.
    fn request(number: u128) -> OutsideRequest {
        OutsideRequest {
            trace: trace(number),
            span: SpanId(NonZeroU64::new(number as u64).expect("not zero")),
            is_recorded: true,
            to: (ServiceId(0), None),
            due: 100,
            is_sent: true,
            end: Some(RequestEnd { took: 10, answer: Ok(200) }),
        }
    }

    /// A run of three traces, of which the last request was forgotten in one.
    fn run(requests: &[u128]) -> Gathered {
        let mut run = Gathered::default();
        for number in 1..=3 {
            let summary = Summary {
                start: 103,
                took: 5,
                lasted: 5,
                waited: 0,
                print: 1,
                root: NO_ROOT,
                spans: 1,
                requests: 0,
                sent: false,
                failed: false,
            };
            run.traces.insert(trace(number), summary);
        }
        let requests: Vec<_> = requests.iter().map(|number| request(*number)).collect();
        run.witness(&requests, 3 - requests.len() as u64);
        run
    }

    #[test]
    fn a_request_that_is_forgotten_in_one_run_is_compared_in_none() {
        let (whole, part) = (run(&[1, 2, 3]), run(&[1, 2]));
        for (before, after) in [(&whole, &part), (&part, &whole)] {
            let traces = matched(before, after).traces;
            assert_eq!((traces.matched, traces.identical, traces.differing), (2, 2, 0));
            assert_eq!((traces.only_before, traces.only_after), (0, 0));
            // Both sides of it: what one run forgot, and what the other has of it.
            assert_eq!(traces.unmatched, 2);
        }
    }
}
