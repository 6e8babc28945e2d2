//! The one trace that shows why a check fails: found in a run that is made once more with its spans.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::context::TraceId;
use crate::telemetry::console::{Console, Style};
use crate::telemetry::record::{PEER_NAMES, Resource, SpanKind, SpanRecord, Value};
use crate::telemetry::signal::Batch;

use super::cell::{Cell, Ran, Trouble, World};
use super::measure::{Metric, Subject, Unit};

/// A trace, to be drawn.
#[derive(Debug)]
pub struct Witness {
    pub id: TraceId,
    spans: Vec<SpanRecord>,
    resources: Arc<[Resource]>,
}

/// Which trace is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Sought<'a> {
    /// The one that shows a metric at its worst.
    Worst(&'a Metric),
    /// This one: its id as hexadecimal digits.
    Named(&'a str),
}

/// Runs a cell again and keeps the trace that is looked for. None: there is none such.
///
/// # Errors
/// The run does not come to its end.
pub fn find(world: &World, cell: Cell<'_>, sought: Sought<'_>) -> Result<Option<Witness>, Trouble> {
    let Ran { spans, resources, .. } = world.run(Cell { spans: true, ..cell })?;
    let id = match sought {
        Sought::Worst(metric) => worst(&spans, &resources, metric),
        Sought::Named(id) => spans.iter().map(|span| span.trace_id).find(|known| known.to_string() == id),
    };
    Ok(id.map(|id| {
        let spans = spans.into_iter().filter(|span| span.trace_id == id).collect();
        Witness { id, spans, resources }
    }))
}

/// The trace with the slowest span that a metric is about; of errors one that failed, of counts the one with
/// the most.
fn worst(spans: &[SpanRecord], resources: &[Resource], metric: &Metric) -> Option<TraceId> {
    let mut ranks: FxHashMap<TraceId, (u64, u64)> = FxHashMap::default();
    let counts = metric.unit() != Unit::Time;
    let mut best: Option<((u64, u64), TraceId)> = None;
    for span in spans.iter().filter(|span| is_about(span, resources, &metric.subject)) {
        let took = span.end - span.start;
        let rank = ranks.entry(span.trace_id).or_default();
        rank.0 += match (counts, metric.is_of_errors()) {
            (true, true) => u64::from(span.is_error()),
            (true, false) => 1,
            (false, _) => 0,
        };
        rank.1 = rank.1.max(took);
        // Of equal ones the first.
        if best.is_none_or(|(known, _)| *rank > known) {
            best = Some((*rank, span.trace_id));
        }
    }
    best.map(|(_, id)| id)
}

fn is_about(span: &SpanRecord, resources: &[Resource], subject: &Subject) -> bool {
    let is_of = |service: &str| *resources[span.resource.0 as usize].service == *service;
    let serves = span.kind == SpanKind::Server;
    match subject {
        Subject::Service(service) | Subject::Job { service, .. } => is_of(service) && serves,
        Subject::Route { service, route } => is_of(service) && serves && *span.name == **route,
        Subject::Link { from, to } => {
            let callee = span.attributes.get(PEER_NAMES[1]);
            let is_called = matches!(callee, Some(Value::Text(name)) if **name == **to);
            is_of(from) && span.kind == SpanKind::Client && is_called
        }
        Subject::Pool { service, .. } => is_of(service),
        _ => span.parent.is_none(),
    }
}

impl Witness {
    /// The trace as a tree, of so many lines at most.
    pub fn draw(&self, style: Style, most: usize) -> String {
        let batch = Batch { spans: self.spans.clone(), ..Batch::default() };
        let mut page = Vec::new();
        let mut console = Console::new(&mut page, Arc::clone(&self.resources), style);
        console.export(&batch);
        console.flush();
        drop(console);
        let text = String::from_utf8_lossy(&page);
        let lines: Vec<_> = text.trim_end().lines().collect();
        let mut drawn: String = lines.iter().take(most).flat_map(|line| [line, "\n"]).collect();
        if lines.len() > most {
            drawn.push_str(&format!("… {} more lines\n", lines.len() - most));
        }
        drawn
    }
}
