//! The trace that changed most, in both runs.

use std::sync::{Arc, mpsc};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::context::{SpanId, TraceId};
use crate::model::Nanos;
use crate::telemetry::console::{Pair, Style};
use crate::telemetry::exporter::{Account, Exporter};
use crate::telemetry::record::{Resource, ResourceId, SpanRecord, Status};
use crate::telemetry::signal::{Batch, Signal, Signals};

use super::gather::Summary;
use super::trace::{Piece, measure};

/// Spans that are kept of the trace: those that end first.
const MAX_SPANS: usize = 10_000;

/// An exporter that keeps the spans of one trace.
#[derive(Debug)]
pub struct Keep {
    id: TraceId,
    kept: Kept,
    done: mpsc::Sender<Kept>,
    account: Arc<Account>,
}

/// The spans of one trace, and how many there was no room for.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    spans: Vec<SpanRecord>,
    lost: u64,
}

/// A trace in both runs.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Largest {
    pub trace_id: String,
    pub before: Whole,
    pub after: Whole,
    /// The spans of both, in the order in which they begin before the change; then the others.
    pub spans: Vec<SpanPair>,
    #[serde(skip)]
    records: [Kept; 2],
    /// Of the records of both.
    #[serde(skip)]
    resources: Arc<[Resource]>,
}

/// The trace in one of the runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Whole {
    /// From the instant at which its request was due until its client had the answer.
    pub duration_ns: Nanos,
    /// The first part of it, before the root begins: in the client, and for a worker.
    pub waited_ns: Nanos,
    /// From that instant until its last span ended: what messages led to, nobody waits for.
    pub lasted_ns: Nanos,
    pub failed: bool,
}

/// A span in both runs; none where one of them does not have it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct SpanPair {
    pub span_id: String,
    pub parent_span_id: Option<String>,
    pub service: String,
    pub name: String,
    pub before: Option<Span>,
    pub after: Option<Span>,
}

/// A span in one of the runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Span {
    /// Counted from the start of the trace.
    pub start_ns: Nanos,
    pub duration_ns: Nanos,
    /// Without its children.
    pub own_ns: Nanos,
    pub failed: bool,
}

impl Keep {
    /// An exporter, and where the trace comes from when the run is over.
    pub fn new(id: TraceId) -> (Self, mpsc::Receiver<Kept>) {
        let (done, kept) = mpsc::channel();
        (Self { id, kept: Kept::default(), done, account: Account::new("comparison") }, kept)
    }
}

impl Exporter for Keep {
    fn name(&self) -> &str {
        "comparison"
    }

    fn takes(&self) -> Signals {
        Signals::of(&[Signal::Traces])
    }

    fn export(&mut self, batch: &Batch, _: &[Resource]) {
        for span in batch.spans.iter().filter(|span| span.trace_id == self.id) {
            if self.kept.spans.len() < MAX_SPANS {
                self.kept.spans.push(span.clone());
            } else {
                self.kept.lost += 1;
            }
        }
        self.account.exported(batch.count().only(self.takes()));
    }

    fn flush(&mut self, _deadline: Instant) {
        // Who does not ask any more does not need it.
        self.done.send(std::mem::take(&mut self.kept)).ok();
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

impl Largest {
    /// Lays the trace of both runs side by side; `summaries` say how long it took.
    pub fn new(
        id: TraceId,
        [before, mut after]: [Kept; 2],
        summaries: [Option<Summary>; 2],
        resources: [&Arc<[Resource]>; 2],
    ) -> Self {
        // One table for both, as two topologies may have different services.
        let [first, second] = resources;
        for span in &mut after.spans {
            span.resource = ResourceId(span.resource.0 + first.len() as u32);
        }
        let resources: Arc<[Resource]> = first.iter().chain(&**second).cloned().collect();
        let mut spans: IndexMap<SpanId, SpanPair> = IndexMap::new();
        for (record, span) in before.in_order() {
            pair(&mut spans, record, &resources).before = Some(span);
        }
        for (record, span) in after.in_order() {
            pair(&mut spans, record, &resources).after = Some(span);
        }
        Self {
            trace_id: id.to_string(),
            before: Whole::of(summaries[0]),
            after: Whole::of(summaries[1]),
            spans: spans.into_values().collect(),
            records: [before, after],
            resources,
        }
    }

    /// Both trees as one, with what differs marked.
    pub fn draw(&self, style: Style) -> String {
        let [before, after] = &self.records;
        Pair { before: &before.spans, after: &after.spans, resources: &self.resources }.draw(style)
    }

    /// Spans for which there was no room.
    pub fn lost(&self) -> u64 {
        self.records.iter().map(|kept| kept.lost).sum()
    }

    /// The name of its root.
    pub fn name(&self) -> &str {
        let roots = self.records.iter().filter_map(Kept::root);
        roots.map(|root| &*root.name).next().unwrap_or_default()
    }
}

impl Whole {
    fn of(summary: Option<Summary>) -> Self {
        summary.map_or_else(Self::default, |Summary { took, waited, lasted, failed, .. }| Self {
            duration_ns: took,
            waited_ns: waited,
            lasted_ns: lasted,
            failed,
        })
    }
}

impl Kept {
    /// The first to begin of those without a parent; where a client began the trace, of all.
    fn root(&self) -> Option<&SpanRecord> {
        self.spans.iter().min_by_key(|span| (span.parent.is_some(), span.start, span.span_id))
    }

    fn in_order(&self) -> Vec<(&SpanRecord, Span)> {
        let zero = self.root().map_or(0, |root| root.start);
        let piece = |span: &SpanRecord| Piece {
            id: span.span_id,
            parent: span.parent,
            start: span.start,
            end: span.end,
            series: 0,
            failed: false,
            content: 0,
        };
        let pieces: Vec<_> = self.spans.iter().map(piece).collect();
        let measured = self.spans.iter().zip(measure(&pieces)).map(|(record, own_ns)| {
            let start_ns = record.start.saturating_sub(zero);
            let duration_ns = record.end - record.start;
            (record, Span { start_ns, duration_ns, own_ns, failed: failed(record) })
        });
        let mut measured: Vec<_> = measured.collect();
        measured.sort_by_key(|(record, _)| (record.start, record.end, record.span_id));
        measured
    }
}

fn pair<'a>(
    spans: &'a mut IndexMap<SpanId, SpanPair>,
    record: &SpanRecord,
    resources: &[Resource],
) -> &'a mut SpanPair {
    spans.entry(record.span_id).or_insert_with(|| SpanPair {
        span_id: record.span_id.to_string(),
        parent_span_id: record.parent.map(|parent| parent.to_string()),
        service: resources[record.resource.0 as usize].service.to_string(),
        name: record.name.to_string(),
        before: None,
        after: None,
    })
}

fn failed(span: &SpanRecord) -> bool {
    matches!(span.status, Status::Error(_))
}
