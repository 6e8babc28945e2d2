//! What a comparison keeps of the traces of a run: a summary of each, and sums
//! over their spans. An hour has millions of spans; they are not kept.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, mpsc};

use indexmap::IndexMap;
use opentelemetry_semantic_conventions::attribute;
use rustc_hash::{FxBuildHasher, FxHashMap};
use tokio::time::Instant;

use crate::context::TraceId;
use crate::model::Nanos;
use crate::telemetry::exporter::{Account, Exporter};
use crate::telemetry::record::{KeyValue, Resource, SpanKind, SpanRecord, Status, Value};
use crate::telemetry::signal::{Batch, Signal, Signals};

use super::trace::{Piece, measure};

/// How long after its root a trace is held for spans that end later: a callee may
/// outlive its caller for as long as `limits.request-time` lets it.
const SETTLE: Nanos = 60_000_000_000;
/// How long a trace whose root does not end is held after it was first seen.
const STALE: Nanos = 600_000_000_000;
/// Spans held in traces that are not settled; beyond, the oldest trace is.
const MAX_HELD: usize = 1 << 18;
/// Traces that are matched, of each run: some 200 MB of summaries.
pub const MAX_TRACES: usize = 2_000_000;
/// Names of spans that are told apart, of each service; the others are summed up as one.
const MAX_NAMES: usize = 2_000;
/// What these are called.
const OTHER_NAMES: &str = "(other spans)";

/// An exporter that folds spans into what a comparison needs.
#[derive(Debug)]
pub struct Gather {
    run: Gathered,
    names: Names,
    held: FxHashMap<TraceId, Vec<Piece>>,
    /// When traces are to be closed: all of them as they came, and those whose root has ended.
    order: VecDeque<(Nanos, TraceId)>,
    due: VecDeque<(Nanos, TraceId)>,
    spans_held: usize,
    done: mpsc::Sender<Gathered>,
    account: Arc<Account>,
}

/// What is left of a run's traces.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    pub traces: IndexMap<TraceId, Summary, FxBuildHasher>,
    /// By the index that a [`Summary::root`] is.
    pub series: Vec<Series>,
    /// Traces that were too many to be matched.
    pub unmatched: u64,
    /// Spans that ended after their trace was settled: their own time is in no sum.
    pub late: u64,
}

/// One trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Of its root, or when its request was due: nanoseconds since the Unix epoch.
    pub start: Nanos,
    /// From the start to the end of its root, or to what its client saw as the end.
    pub took: Nanos,
    /// From the start to the end of its last span, or of its root if that is later.
    pub lasted: Nanos,
    /// From the start to that of its root: what its request waited for a worker, and in its client.
    pub waited: Nanos,
    /// The same for two traces whose spans are the same, times counted from the start, and
    /// whose clients saw the same.
    pub print: u64,
    /// Which spans its root is one of: an index into [`Gathered::series`].
    pub root: u32,
    pub spans: u32,
    /// Requests from outside in it whose clients' view it has.
    pub requests: u32,
    /// Whether its request was sent: one that was not took no time.
    pub sent: bool,
    /// Its root has failed, or its client saw an error.
    pub failed: bool,
}

/// The spans of one service that have one name and, of CLIENT spans, one callee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    pub service: Arc<str>,
    /// `POST /orders`, `process_order`, `GET to inventory-service`.
    pub name: Arc<str>,
    pub count: u64,
    pub failed: u64,
    /// Their times without those of their children: nanoseconds.
    pub own: u128,
    /// Further ones, which ended after their trace was settled.
    pub late: u64,
}

impl Gather {
    /// An exporter, and where its [`Gathered`] comes from when the run is over.
    pub fn new() -> (Self, mpsc::Receiver<Gathered>) {
        let (done, gathered) = mpsc::channel();
        let gather = Self {
            run: Gathered::default(),
            names: Names::default(),
            held: FxHashMap::default(),
            order: VecDeque::new(),
            due: VecDeque::new(),
            spans_held: 0,
            done,
            account: Account::new("comparison"),
        };
        (gather, gathered)
    }

    fn span(&mut self, span: &SpanRecord, resources: &[Resource]) {
        self.settle(span.end);
        let series = self.names.find(&mut self.run.series, &resources[span.resource.0 as usize], span);
        let content = content(span, self.names.replica(span.resource.0 as usize, resources));
        let piece = Piece {
            id: span.span_id,
            parent: span.parent,
            start: span.start,
            end: span.end,
            series,
            failed: matches!(span.status, Status::Error(_)),
            content,
        };
        let id = span.trace_id;
        if let Some(known) = self.run.traces.get_mut(&id) {
            known.print = known.print.wrapping_add(piece.print(known.start));
            known.spans += 1;
            known.lasted = known.lasted.max(piece.end.saturating_sub(known.start));
            self.run.late += 1;
            self.run.series[series as usize].late += 1;
            return;
        }
        let held = self.held.entry(id).or_insert_with(|| {
            self.order.push_back((span.end.saturating_add(STALE), id));
            Vec::new()
        });
        held.push(piece);
        self.spans_held += 1;
        if span.parent.is_none() {
            self.due.push_back((span.end.saturating_add(SETTLE), id));
        }
        while self.spans_held > MAX_HELD
            && let Some((_, oldest)) = self.order.pop_front()
        {
            self.close(oldest);
        }
    }

    /// Closes the traces that have waited long enough at `now`.
    fn settle(&mut self, now: Nanos) {
        while let Some((_, id)) = self.due.pop_front_if(|(due, _)| *due < now) {
            self.close(id);
        }
        // What `due` has closed is not to be remembered for long.
        while let Some((_, id)) =
            self.order.pop_front_if(|(due, id)| *due < now || !self.held.contains_key(id))
        {
            self.close(id);
        }
    }

    fn close(&mut self, id: TraceId) {
        let Some(pieces) = self.held.remove(&id) else { return };
        self.spans_held -= pieces.len();
        for (piece, own) in pieces.iter().zip(measure(&pieces)) {
            let series = &mut self.run.series[piece.series as usize];
            series.count += 1;
            series.failed += u64::from(piece.failed);
            series.own += u128::from(own);
        }
        if self.run.traces.len() == MAX_TRACES {
            self.run.unmatched += 1;
            return;
        }
        let summary = summary(&pieces);
        self.run.traces.extend(summary.map(|summary| (id, summary)));
    }
}

impl Exporter for Gather {
    fn name(&self) -> &str {
        "comparison"
    }

    fn takes(&self) -> Signals {
        Signals::of(&[Signal::Traces])
    }

    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        for span in &batch.spans {
            self.span(span, resources);
        }
        self.account.exported(batch.count().only(self.takes()));
    }

    /// However long it takes: there is no receiver to give up.
    fn flush(&mut self, _deadline: Instant) {
        while let Some((_, id)) = self.order.pop_front() {
            self.close(id);
        }
        // Who does not ask any more does not need it.
        self.done.send(std::mem::take(&mut self.run)).ok();
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

/// The trace as a whole; none of one without spans.
fn summary(pieces: &[Piece]) -> Option<Summary> {
    // The root has no parent. Where a client has sent its own trace, it is the first to start.
    let root = pieces.iter().min_by_key(|piece| (piece.parent.is_some(), piece.start, piece.id))?;
    let print = |sum: u64, piece: &Piece| sum.wrapping_add(piece.print(root.start));
    Some(Summary {
        start: root.start,
        took: root.end - root.start,
        lasted: pieces.iter().map(|piece| piece.end).fold(root.end, Nanos::max) - root.start,
        waited: 0,
        print: pieces.iter().fold(0, print),
        root: root.series,
        spans: pieces.len() as u32,
        requests: 0,
        sent: true,
        failed: root.failed,
    })
}

/// Finds a span's series. Also what it knows of replicas, whose attributes are long.
#[derive(Debug, Default)]
struct Names {
    services: FxHashMap<Arc<str>, Known>,
    /// A number for each resource that says which replica of which service it is.
    replicas: Vec<u64>,
}

/// The series of one service.
#[derive(Debug, Default)]
struct Known {
    series: FxHashMap<Arc<str>, Namesakes>,
    count: usize,
}

/// Series of one name, by whom their spans call.
type Namesakes = Vec<(Option<Arc<str>>, u32)>;

impl Names {
    fn find(&mut self, series: &mut Vec<Series>, resource: &Resource, span: &SpanRecord) -> u32 {
        let callee = callee(span);
        if let Some(known) = self.services.get(&resource.service)
            && let Some(index) = known.find(&span.name, callee)
        {
            return index;
        }
        let known = self.services.entry(Arc::clone(&resource.service)).or_default();
        let (name, callee) =
            if known.count < MAX_NAMES { (&*span.name, callee) } else { (OTHER_NAMES, None) };
        if let Some(index) = known.find(name, callee) {
            return index;
        }
        let index = series.len() as u32;
        known.series.entry(name.into()).or_default().push((callee.map(Arc::from), index));
        known.count += 1;
        let name = callee.map_or_else(|| name.into(), |callee| format!("{name} to {callee}").into());
        series.push(Series {
            service: Arc::clone(&resource.service),
            name,
            count: 0,
            failed: 0,
            own: 0,
            late: 0,
        });
        index
    }

    /// Which build ran is no difference between two traces; which replica served is one.
    fn replica(&mut self, index: usize, resources: &[Resource]) -> u64 {
        for resource in &resources[self.replicas.len()..] {
            let mut hash = DefaultHasher::new();
            resource.service.hash(&mut hash);
            let is_instance = |attribute: &&KeyValue| *attribute.key == *attribute::SERVICE_INSTANCE_ID;
            let instance = resource.attributes.iter().find(is_instance);
            instance.into_iter().for_each(|instance| instance.value.add_to(&mut hash));
            self.replicas.push(hash.finish());
        }
        self.replicas[index]
    }
}

impl Known {
    fn find(&self, name: &str, callee: Option<&str>) -> Option<u32> {
        let namesakes = self.series.get(name)?;
        namesakes.iter().find(|(known, _)| known.as_deref() == callee).map(|(_, index)| *index)
    }
}

/// Whom a span calls: the names of CLIENT spans do not say.
fn callee(span: &SpanRecord) -> Option<&str> {
    if span.kind != SpanKind::Client {
        return None;
    }
    let named = span.attributes.get(attribute::SERVICE_PEER_NAME);
    match named.or_else(|| span.attributes.get(attribute::SERVER_ADDRESS)) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    }
}

/// Everything about a span but when it was, as a number: the same for the same.
fn content(span: &SpanRecord, replica: u64) -> u64 {
    let mut hash = DefaultHasher::new();
    (span.span_id, span.parent, replica, span.scope, span.kind).hash(&mut hash);
    span.name.hash(&mut hash);
    let all = |attributes: &mut dyn Iterator<Item = &KeyValue>, hash: &mut DefaultHasher| {
        for attribute in attributes {
            attribute.key.hash(hash);
            attribute.value.add_to(hash);
        }
    };
    all(&mut span.attributes.iter(), &mut hash);
    for event in &span.events {
        event.name.hash(&mut hash);
        (event.time - span.start).hash(&mut hash);
        all(&mut event.attributes.iter(), &mut hash);
    }
    match &span.status {
        Status::Unset => 0_u8.hash(&mut hash),
        Status::Ok => 1_u8.hash(&mut hash),
        Status::Error(message) => message.hash(&mut hash),
    }
    (span.attributes.len(), span.events.len()).hash(&mut hash);
    (span.dropped_attributes, span.dropped_events).hash(&mut hash);
    hash.finish()
}

/// What can take part in a number for the whole.
trait AddTo {
    fn add_to(&self, hash: &mut DefaultHasher);
}

impl AddTo for Value {
    fn add_to(&self, hash: &mut DefaultHasher) {
        std::mem::discriminant(self).hash(hash);
        match self {
            Self::Text(text) => text.hash(hash),
            Self::Bool(value) => value.hash(hash),
            Self::Int(value) => value.hash(hash),
            Self::Float(value) => value.to_bits().hash(hash),
            Self::Texts(texts) => texts.hash(hash),
            Self::Ints(values) => values.hash(hash),
        }
    }
}

#[cfg(test)]
mod tests;
