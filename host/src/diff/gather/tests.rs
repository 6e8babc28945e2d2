use std::num::{NonZeroU64, NonZeroU128};

use super::*;
use crate::context::{SpanId, TraceFlags};
use crate::telemetry::record::{Attributes, Scope};

const SECOND: Nanos = 1_000_000_000;

fn trace_id(number: u128) -> TraceId {
    TraceId(NonZeroU128::new(number).expect("not zero"))
}

/// A span of `trace`, in seconds; `parent` 0 is none.
fn span(trace: u128, id: u64, parent: u64, start: u64, end: u64) -> SpanRecord {
    SpanRecord {
        trace_id: trace_id(trace),
        span_id: SpanId(NonZeroU64::new(id).expect("not zero")),
        parent: NonZeroU64::new(parent).map(SpanId),
        remote_parent: false,
        flags: TraceFlags::default(),
        trace_state: None,
        resource: crate::telemetry::record::ResourceId(0),
        scope: Scope::Guest,
        kind: SpanKind::Internal,
        name: format!("span {id}").into(),
        start: start * SECOND,
        end: end * SECOND,
        attributes: Attributes::default(),
        events: Vec::new(),
        links: Box::default(),
        status: Status::Unset,
        dropped_attributes: 0,
        dropped_events: 0,
    }
}

fn resources() -> Vec<Resource> {
    vec![Resource { service: "shop".into(), attributes: Vec::new() }]
}

fn gathered(spans: Vec<SpanRecord>) -> Gathered {
    let (mut gather, done) = Gather::new();
    for spans in spans.chunks(2) {
        gather.export(&Batch::from(spans.to_vec()), &resources());
    }
    gather.flush(Instant::now());
    done.recv().expect("it was flushed")
}

fn own(run: &Gathered, name: &str) -> Option<u64> {
    let series = run.series.iter().find(|series| &*series.name == name)?;
    Some((series.own / u128::from(SECOND)) as u64)
}

#[test]
fn a_trace_is_summed_up_whatever_the_order_of_its_spans() {
    let spans = vec![span(1, 3, 2, 2, 3), span(1, 2, 1, 1, 5), span(1, 1, 0, 0, 10)];
    let run = gathered(spans.clone());
    let summary = run.traces[&trace_id(1)];
    assert_eq!((summary.start, summary.took, summary.spans), (0, 10 * SECOND, 3));
    assert_eq!(["span 1", "span 2", "span 3"].map(|name| own(&run, name)), [Some(6), Some(3), Some(1)]);
    let backwards = gathered(spans.into_iter().rev().collect());
    assert_eq!(backwards.traces[&trace_id(1)].print, summary.print);
}

#[test]
fn what_a_span_says_makes_a_trace_another() {
    let print = |change: &dyn Fn(&mut SpanRecord)| {
        let mut root = span(1, 1, 0, 0, 10);
        change(&mut root);
        gathered(vec![span(1, 2, 1, 1, 5), root]).traces[&trace_id(1)].print
    };
    let plain = print(&|_| {});
    assert_eq!(plain, print(&|root| root.flags = TraceFlags(1)));
    assert_ne!(plain, print(&|root| root.status = Status::Error("".into())));
    assert_ne!(plain, print(&|root| root.name = "another".into()));
    assert_ne!(plain, print(&|root| root.end += 1));
    let attribute = |value: i64| print(&|root| root.attributes.own = vec![KeyValue::new("items", value)]);
    assert_ne!(plain, attribute(1));
    assert_ne!(attribute(1), attribute(2));
    let event = |time| {
        print(&|root| root.events = vec![crate::telemetry::record::Event::exception(time, "E", "oh", None)])
    };
    assert_ne!(event(SECOND), event(2 * SECOND));
}

#[test]
fn what_outlives_its_caller_belongs_to_the_trace() {
    let early = vec![span(1, 2, 1, 1, 3), span(1, 1, 0, 0, 3)];
    let late = [early, vec![span(2, 1, 0, 4, 50), span(1, 3, 2, 2, 55)]].concat();
    let run = gathered(late);
    assert_eq!((run.late, run.traces[&trace_id(1)].spans), (0, 3));
    assert_eq!(["span 2", "span 3"].map(|name| own(&run, name)), [Some(1), Some(53)]);
}

#[test]
fn what_ends_after_its_trace_was_settled_is_counted() {
    let settles = 3 + SETTLE / SECOND + 1;
    let early = vec![span(1, 2, 1, 1, 3), span(1, 1, 0, 0, 3)];
    let with =
        |end| gathered([early.clone(), vec![span(2, 1, 0, 4, settles), span(1, 3, 2, 2, end)]].concat());
    let run = with(settles);
    assert_eq!((run.late, run.traces[&trace_id(1)].spans), (1, 3));
    assert_eq!(own(&run, "span 3"), Some(0));
    // It makes the trace another all the same.
    assert_ne!(run.traces[&trace_id(1)].print, with(settles + 1).traces[&trace_id(1)].print);
}

#[test]
fn a_trace_without_its_root_is_one_from_its_first_span() {
    let run = gathered(vec![span(1, 3, 9, 2, 3), span(1, 2, 9, 1, 5)]);
    let summary = run.traces[&trace_id(1)];
    assert_eq!((summary.start, summary.took), (SECOND, 4 * SECOND));
}

#[test]
fn many_names_are_summed_up_as_one() {
    let spans = (1..=MAX_NAMES as u64 + 5).map(|id| span(1, id, 0, 0, 1)).collect();
    let run = gathered(spans);
    assert_eq!(run.series.len(), MAX_NAMES + 1);
    assert_eq!(own(&run, OTHER_NAMES), Some(5));
}

#[test]
fn what_is_held_is_bounded() {
    let (mut gather, done) = Gather::new();
    // None of them ever ends its root.
    for trace in 0..MAX_HELD as u128 + 100 {
        gather.span(&span(trace + 1, 2, 1, 0, 1), &resources());
        assert!(gather.spans_held <= MAX_HELD && gather.order.len() <= MAX_HELD);
    }
    gather.flush(Instant::now());
    let run = done.recv().expect("it was flushed");
    assert_eq!(run.traces.len(), MAX_HELD + 100);
    assert_eq!(run.late, 0);
}
