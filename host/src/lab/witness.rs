//! The one trace that shows why a check fails: found in a run that is made once more with its spans.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;
use rustc_hash::FxHashMap;
use serde_json::Value as Json;

use crate::context::TraceId;
use crate::model::{Load, Model, Piece, RequestTemplate};
use crate::report::words;
use crate::telemetry::console::{Console, Style};
use crate::telemetry::record::{PEER_NAMES, Resource, SpanKind, SpanRecord, Value};
use crate::telemetry::signal::Batch;

use super::cell::{Cell, Ran, Trouble, World};
use super::manifest::matches;
use super::measure::{Metric, Sign, Subject, Unit};

/// A wait in no span is named from this part of the trace's time on: a quarter.
const WORTH_SAYING: u64 = 4;

/// A trace, to be drawn.
#[derive(Debug)]
pub struct Witness {
    pub id: TraceId,
    /// What is not to be seen in its spans.
    pub note: Option<String>,
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
    let Ran { report, spans, resources, .. } = world.run(Cell { spans: true, ..cell })?;
    let id = match sought {
        Sought::Worst(metric) => worst(world.model(), &spans, &resources, metric),
        Sought::Named(id) => spans.iter().map(|span| span.trace_id).find(|known| known.to_string() == id),
    };
    Ok(id.map(|id| {
        let spans: Vec<_> = spans.into_iter().filter(|span| span.trace_id == id).collect();
        let note = match sought {
            Sought::Worst(metric) => waits(world.model(), &report, metric, &spans, &resources),
            Sought::Named(_) => None,
        };
        Witness { id, note, spans, resources }
    }))
}

/// The trace with the slowest span that a metric is about, with one that failed as most of them do, or with
/// many of them: whichever shows this metric. Where no span failed, as where only a client gave up, the
/// slowest.
fn worst(model: &Model, spans: &[SpanRecord], resources: &[Resource], metric: &Metric) -> Option<TraceId> {
    let about = || spans.iter().filter(|span| is_about(span, model, resources, &metric.subject));
    match metric.sign() {
        Sign::Slow => return slowest(about()),
        Sign::Many => return most(spans, about()),
        Sign::Failed => {}
    }
    let kind = |span: &SpanRecord| span.attributes.get(attribute::ERROR_TYPE).map(Value::to_string);
    let failed = || about().filter(|span| span.is_error());
    let mut kinds: BTreeMap<Option<String>, u64> = BTreeMap::new();
    failed().for_each(|span| *kinds.entry(kind(span)).or_default() += 1);
    match kinds.into_iter().max_by_key(|(_, count)| *count) {
        Some((frequent, _)) => slowest(failed().filter(|span| kind(span) == frequent)),
        None => slowest(about()),
    }
}

/// Of equal ones the first.
fn slowest<'a>(spans: impl Iterator<Item = &'a SpanRecord>) -> Option<TraceId> {
    let slowest = spans.min_by_key(|span| (Reverse(span.end - span.start), span.start))?;
    Some(slowest.trace_id)
}

/// What is counted of a trace.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    /// Spans that the metric is about.
    about: u64,
    spans: u64,
    failed: bool,
}

/// A trace with more of the spans `about` than half of the traces have, in which nothing fails: what it has
/// too many of is no answer to a failure. If there is none, one with the most. Of equal ones the smallest.
fn most<'a>(spans: &[SpanRecord], about: impl Iterator<Item = &'a SpanRecord>) -> Option<TraceId> {
    let mut traces: FxHashMap<TraceId, Counted> = FxHashMap::default();
    let mut order = Vec::new();
    for span in about {
        let counted = traces.entry(span.trace_id).or_default();
        if counted.about == 0 {
            order.push(span.trace_id);
        }
        counted.about += 1;
    }
    for span in spans {
        if let Some(counted) = traces.get_mut(&span.trace_id) {
            counted.spans += 1;
            counted.failed |= span.is_error();
        }
    }
    let mut counts: Vec<_> = order.iter().map(|id| traces[id].about).collect();
    counts.sort_unstable();
    let usual = *counts.get(counts.len() / 2)?;
    let rank = |id: &TraceId| {
        let Counted { about, spans, failed } = traces[id];
        (Reverse(!failed && about > usual), Reverse(about), failed, spans)
    };
    // Of equal ones the first.
    order.into_iter().min_by_key(rank)
}

fn is_about(span: &SpanRecord, model: &Model, resources: &[Resource], subject: &Subject) -> bool {
    let is_of = |service: &str| *resources[span.resource.0 as usize].service == *service;
    let serves = span.kind == SpanKind::Server;
    let text = |key: &str| match span.attributes.get(key) {
        Some(Value::Text(text)) => Some(&**text),
        _ => None,
    };
    match subject {
        Subject::Service(service) | Subject::Job { service, .. } => is_of(service) && serves,
        Subject::Route { service, route } => is_of(service) && serves && *span.name == **route,
        Subject::Link { from, to } => {
            is_of(from) && span.kind == SpanKind::Client && text(PEER_NAMES[1]) == Some(to)
        }
        Subject::Pool { service, .. } => is_of(service),
        Subject::Database(name) => {
            let is_in = |namespace: &str| namespace.split('|').next() == Some(name);
            span.kind == SpanKind::Client && text(attribute::DB_NAMESPACE).is_some_and(is_in)
        }
        Subject::Cache(name) => {
            let is_asked = text(attribute::DB_NAMESPACE).is_some();
            span.kind == SpanKind::Client && is_asked && text(attribute::SERVER_ADDRESS) == Some(name)
        }
        Subject::Topic(name) => {
            span.kind == SpanKind::Producer && text(attribute::MESSAGING_DESTINATION_NAME) == Some(name)
        }
        Subject::Group(name) => {
            span.kind == SpanKind::Consumer && text(attribute::MESSAGING_CONSUMER_GROUP_NAME) == Some(name)
        }
        Subject::Load(name) => {
            let load = model.loads.iter().find(|load| load.name == *name);
            span.parent.is_none() && load.is_some_and(|load| may_have_made(load, model, span, resources))
        }
        Subject::Fault(_) | Subject::Run => span.parent.is_none(),
    }
}

/// Whether the root of a trace may be a request of this load: no span says which load it was.
fn may_have_made(load: &Load, model: &Model, root: &SpanRecord, resources: &[Resource]) -> bool {
    let service = &*resources[root.resource.0 as usize].service;
    if root.kind == SpanKind::Client {
        return *service == *load.name;
    }
    let of = |key: &str| root.attributes.get(key).map(Value::to_string);
    let (method, path) = (of(attribute::HTTP_REQUEST_METHOD), of(attribute::URL_PATH));
    let asks = |request: &RequestTemplate| {
        let method_is = method.as_ref().is_none_or(|method| *method == request.method);
        method_is && path.as_ref().is_none_or(|path| matches(&pattern(request), path))
    };
    *service == *model.service(load.to).name && load.requests.iter().any(asks)
}

/// The path of a request with `*` in place of what it draws.
fn pattern(request: &RequestTemplate) -> String {
    let pieces = request.target.0.iter().map(|piece| match piece {
        Piece::Fixed(text) => text.as_str(),
        Piece::Value { .. } => "*",
    });
    let target: String = pieces.collect();
    target.split('?').next().unwrap_or_default().to_owned()
}

/// What requests wait for before the trace that is drawn begins, where that is a good part of their time.
fn waits(
    model: &Model,
    report: &Json,
    metric: &Metric,
    trace: &[SpanRecord],
    resources: &[Resource],
) -> Option<String> {
    let service = match &metric.subject {
        Subject::Load(name) => {
            model.loads.iter().find(|load| load.name == *name).map(|load| &model.service(load.to).name)?
        }
        Subject::Service(service) | Subject::Route { service, .. } => service,
        _ => return None,
    };
    let root = trace.iter().find(|span| span.parent.is_none())?;
    let begins_there = *resources[root.resource.0 as usize].service == **service;
    if metric.unit() != Unit::Time || root.kind != SpanKind::Server || !begins_there {
        return None;
    }
    let wait = report["services"].as_array()?.iter().find(|row| row["service"] == **service)?;
    let wait = wait["wait_max_ns"].as_u64()?;
    (wait >= (root.end - root.start) / WORTH_SAYING).then(|| {
        let wait = words::time(wait);
        format!(
            "In no span: requests wait for a worker of {service} for up to {wait}, and their trace begins \
             when a worker takes them."
        )
    })
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
