//! Single requests, from the spans of a run: when each arrived, began and ended.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::path::Path;

use simhost::bus::stats::Accounts;
use simhost::model::{Nanos, ServiceId};
use simhost::telemetry::record::{SpanKind, SpanRecord, Status};

use crate::compare::LENGTH;
use crate::formulas::mm1_sojourn_quantile;
use crate::lab::{Lab, Spans};
use crate::stats::{Estimate, batch_means};

/// A request at a queue.
#[derive(Clone, Copy, Debug)]
struct Passage {
    arrival: Nanos,
    /// When a worker took it, and was done with it; none when it was refused.
    service: Option<(Nanos, Nanos)>,
}

/// What a run says of its queue, by spans and by accounts.
struct Observed {
    /// In the order of arrival.
    passages: Vec<Passage>,
    /// Those of the end.
    accounts: Accounts,
}

/// The gateway, and the queue behind it.
const QUEUE: ServiceId = ServiceId(1);

/// Runs a queue behind a gateway that has a worker for everybody: the gateway's CLIENT span
/// begins when a request arrives at the queue, the queue's SERVER span when a worker takes it.
fn observe(workers: u32, places: u32, rate: f64, requests: f64) -> Observed {
    let topology = format!(
        "[topology]\nname = 'theory'\nseed = 3\n[network]\nlatency = '0ns'\n\
         [services.gateway]\nguest = 'service'\nworkers = 500\nqueue = 0\nconfig.calls = 'queue?'\n\
         [services.queue]\nguest = 'service'\nworkers = {workers}\nqueue = {places}\n\
         config.work = {{ exponential = {{ mean = '10ms' }} }}\n\
         [[load]]\nname = 'customers'\nto = 'gateway'\nrequest = {{ path = '/' }}\n\
         arrivals = {{ poisson = '{rate}/s' }}\n"
    );
    let lab = Lab::new(&topology, Path::new(""), Spans::Kept);
    let accounts = lab.run((requests / rate * 1e9) as Nanos, 1).pop().expect("the end");
    assert_eq!(accounts.services[0].all().failed(), 0, "the gateway lets everybody in");
    Observed { passages: passages(&lab.spans()), accounts }
}

fn passages(spans: &[SpanRecord]) -> Vec<Passage> {
    let of_kind = |kind| spans.iter().filter(move |span| span.kind == kind);
    let arrivals: BTreeMap<_, _> =
        of_kind(SpanKind::Client).map(|span| ((span.trace_id.0, span.span_id), span.start)).collect();
    let inner = of_kind(SpanKind::Server).filter_map(|span| Some((span, (span.trace_id.0, span.parent?))));
    let mut passages: Vec<_> = inner
        .map(|(span, caller)| {
            let is_refused = matches!(span.status, Status::Error(_));
            Passage { arrival: arrivals[&caller], service: (!is_refused).then_some((span.start, span.end)) }
        })
        .collect();
    passages.sort_by_key(|passage| passage.arrival);
    assert_eq!(passages.len(), arrivals.len(), "every call has arrived");
    passages
}

/// Plays a queue by the book: one line, first come, first served. Each takes a worker as soon as
/// one is free, as long as it then really took; who finds all places taken is refused.
#[track_caller]
fn assert_first_come_first_served(passages: &[Passage], workers: usize, places: usize) {
    // When those who are in the system leave it; the workers are free at the latest of them.
    let mut leaving: BinaryHeap<Reverse<Nanos>> = BinaryHeap::new();
    let mut free = BinaryHeap::from(vec![Reverse(0); workers]);
    for (number, passage) in passages.iter().enumerate() {
        while leaving.peek().is_some_and(|end| end.0 <= passage.arrival) {
            leaving.pop();
        }
        let has_place = leaving.len() < workers + places;
        assert_eq!(passage.service.is_some(), has_place, "request {number}: {passage:?}");
        let Some((start, end)) = passage.service else { continue };
        let Reverse(earliest) = free.pop().expect("there are workers");
        assert_eq!(start, earliest.max(passage.arrival), "request {number}: {passage:?}");
        free.push(Reverse(end));
        leaving.push(Reverse(end));
    }
}

#[test]
fn each_request_begins_when_those_before_it_let_it() {
    for (workers, places, rate) in [(1, 10_000, 80.0), (4, 10_000, 320.0), (2, 3, 220.0), (3, 0, 200.0)] {
        let observed = observe(workers, places, rate, 5_000.0);
        assert_first_come_first_served(&observed.passages, workers as usize, places as usize);
        let refused = observed.passages.iter().filter(|passage| passage.service.is_none()).count();
        assert_eq!(refused > 0, places < 10, "{workers} workers, {places} places: {refused} refused");
    }
}

#[test]
fn spans_and_accounts_tell_the_same() {
    let Observed { passages, accounts } = observe(2, 3, 180.0, 10_000.0);
    let served = || passages.iter().filter_map(|passage| Some((passage.arrival, passage.service?)));
    let waits: Vec<_> =
        served().map(|(arrival, (start, _))| start - arrival).filter(|wait| *wait > 0).collect();
    let queue = &accounts.services[QUEUE.index()];
    let counted = queue.waits.as_ref().expect("some have waited");
    assert!(waits.len() > 1_000);
    assert_eq!((waits.len() as u64, sum(&waits)), (counted.count, counted.total));
    assert_eq!((sum(&waits), waits.iter().max().copied()), (queue.waiting.integral(), Some(counted.longest)));
    let work: Vec<_> = served().map(|(_, (start, end))| end - start).collect();
    assert_eq!((work.len() as u64, sum(&work)), (queue.busy.entered(), queue.busy.integral()));
    let inside: Vec<_> = served().map(|(arrival, (_, end))| end - arrival).collect();
    assert_eq!((passages.len() as u64, sum(&inside)), (queue.inside.entered(), queue.inside.integral()));
    assert_eq!((passages.len() - work.len()) as u64, queue.all().failed());
    let calls = accounts.links().find(|(_, link)| link.to == Some(QUEUE)).expect("there are calls").1;
    assert_eq!((calls.calls.count, calls.under_way.integral()), (passages.len() as u64, sum(&inside)));
}

fn sum(times: &[Nanos]) -> u128 {
    times.iter().map(|time| u128::from(*time)).sum()
}

#[test]
fn arrivals_and_work_are_exponential_and_independent() {
    const RATE: f64 = 60.0;
    let Observed { passages, .. } = observe(1, 10_000, RATE, 20_000.0 * LENGTH.sqrt());
    // In units of their means.
    let gaps: Vec<_> =
        passages.windows(2).map(|pair| (pair[1].arrival - pair[0].arrival) as f64 / 1e9 * RATE).collect();
    let ends = passages.iter().filter_map(|passage| passage.service);
    let work: Vec<_> = ends.map(|(start, end)| (end - start) as f64 / 1e7).collect();
    assert_exponential("gaps", &gaps);
    assert_exponential("work", &work);
    for (what, one, other) in [
        ("a gap and the next", &gaps[..gaps.len() - 1], &gaps[1..]),
        ("work and that of the next", &work[..work.len() - 1], &work[1..]),
        ("a gap and the work before it", &gaps[..], &work[..gaps.len()]),
        ("a gap and the work behind it", &gaps[..], &work[1..]),
    ] {
        // Of independent values it is nearly normal, with the deviation 1 / √n.
        let scaled = correlation(one, other) * (one.len() as f64).sqrt();
        assert!(scaled.abs() < 3.29, "{what} correlate: {scaled} standard deviations");
    }
}

/// The test of Kolmogorov and Smirnov: how far the distribution of values is from the exponential
/// one of mean 1. In one of a thousand samples √n times that exceeds 1.95.
#[track_caller]
fn assert_exponential(what: &str, values: &[f64]) {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let distance = |(at, value): (usize, &f64)| {
        let share = -libm::expm1(-value);
        (share - at as f64 / count).abs().max((share - (at as f64 + 1.0) / count).abs())
    };
    let farthest = sorted.iter().enumerate().map(distance).fold(0.0, f64::max) * count.sqrt();
    assert!(farthest < 1.95, "{what} are not exponential: {farthest}");
}

fn correlation(one: &[f64], other: &[f64]) -> f64 {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let product = |a: &[f64], mean_a: f64, b: &[f64], mean_b: f64| -> f64 {
        a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum()
    };
    let deviations = product(one, mean_one, one, mean_one) * product(other, mean_other, other, mean_other);
    product(one, mean_one, other, mean_other) / deviations.sqrt()
}

#[test]
fn one_in_twenty_requests_takes_longer_than_the_95th_percentile_of_theory() {
    const RATE: f64 = 60.0;
    let Observed { passages, .. } = observe(1, 10_000, RATE, 20_000.0 * LENGTH.sqrt());
    for (share, at_most) in [(0.5, 0.05), (0.95, 0.03)] {
        let limit = mm1_sojourn_quantile(RATE, 0.01, share) * 1e9;
        let inside =
            passages[1_000..].iter().filter_map(|passage| Some(passage.service?.1 - passage.arrival));
        let beyond: Vec<_> = inside.map(|time| f64::from(u8::from(time as f64 > limit))).collect();
        let estimate = Estimate::of_batches(&batch_means(&beyond, 30));
        println!("| M/M/1, ρ = 0.6 | share above {:.2} ms | {:.4} | {estimate} |", limit / 1e6, 1.0 - share);
        assert!(estimate.covers(1.0 - share), "{estimate} is not {}", 1.0 - share);
        assert!(estimate.half_width < at_most / LENGTH.sqrt().sqrt(), "{estimate} says little");
    }
}
