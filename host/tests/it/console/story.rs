//! Traces written down in a few words.

use std::io::Write;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::{Arc, Mutex};

use simhost::context::{SpanId, TraceFlags, TraceId};
use simhost::telemetry::console::{Console, Style};
use simhost::telemetry::record::{
    Attributes, Event, KeyValue, LogRecord, Resource, ResourceId, Scope, Severity, SpanKind, SpanRecord,
    Status, Value,
};
use simhost::telemetry::signal::Batch;

pub use SpanKind::{Client, Internal, Server};

/// 2026-01-01T00:00:00Z
pub const EPOCH: u64 = 1_767_225_600_000_000_000;
pub const TRACE: TraceId = trace_id(0xa3b7_c9d2_e1f0_4567_8901_234a_bcde_f567);

pub const ORDER: u32 = 0;
pub const INVENTORY: u32 = 1;
pub const PAYMENT: u32 = 2;
pub const NOTIFICATION: u32 = 3;

pub const fn trace_id(id: u128) -> TraceId {
    TraceId(NonZeroU128::new(id).expect("not zero"))
}

pub const fn span_id(id: u64) -> SpanId {
    SpanId(NonZeroU64::new(id).expect("not zero"))
}

pub fn resources() -> Arc<[Resource]> {
    ["order-service", "inventory-service", "payment-service", "notification-service"]
        .map(|service| Resource {
            service: service.into(),
            attributes: vec![KeyValue::new("service.name", service)],
        })
        .into()
}

/// Microseconds since the epoch of the trace.
pub fn at(micros: u64) -> u64 {
    EPOCH + micros * 1_000
}

/// Spans and log lines of one trace, in the order in which they are told.
#[derive(Default)]
pub struct Story {
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
}

impl Story {
    /// Tells of a span that starts `start` microseconds into the trace and
    /// takes `duration`; answers the number by which children name it.
    pub fn span(
        &mut self,
        service: u32,
        kind: SpanKind,
        name: &str,
        parent: u64,
        start: u64,
        duration: u64,
    ) -> u64 {
        let id = self.spans.len() as u64 + 1;
        self.spans.push(SpanRecord {
            trace_id: TRACE,
            span_id: span_id(id),
            parent: NonZeroU64::new(parent).map(SpanId),
            remote_parent: parent != 0 && kind == Server,
            flags: TraceFlags(TraceFlags::SAMPLED),
            trace_state: None,
            resource: ResourceId(service),
            scope: if kind == Internal { Scope::Guest } else { Scope::Bus },
            kind,
            name: name.to_owned().into(),
            start: at(start),
            end: at(start + duration),
            attributes: Attributes::default(),
            events: Vec::new(),
            links: Box::default(),
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        });
        id
    }

    fn last(&mut self) -> &mut SpanRecord {
        self.spans.last_mut().expect("a span was told of")
    }

    /// Gives the last span an attribute.
    pub fn with(&mut self, key: &'static str, value: impl Into<Value>) -> &mut Self {
        self.last().attributes.own.push(KeyValue::new(key, value));
        self
    }

    /// Answers the last span's request.
    pub fn code(&mut self, code: i64) -> &mut Self {
        let span = self.last();
        span.attributes.own.push(KeyValue::new("http.response.status_code", code));
        if code >= 500 || (code >= 400 && span.kind == Client) {
            span.status = Status::Error("".into());
            span.attributes.own.push(KeyValue::new("error.type", code.to_string()));
        }
        self
    }

    pub fn fails(&mut self, description: &str, error_type: &str) -> &mut Self {
        self.last().status = Status::Error(description.to_owned().into());
        self.with("error.type", error_type.to_owned())
    }

    pub fn event(&mut self, name: &str, time: u64, attributes: &[(&'static str, &str)]) -> &mut Self {
        let attributes =
            attributes.iter().map(|&(key, value)| KeyValue::new(key, value.to_owned())).collect();
        self.last().events.push(Event { name: name.to_owned().into(), time: at(time), attributes });
        self
    }

    pub fn log(&mut self, span: u64, severity: Severity, time: u64, body: &str) -> &mut Self {
        let resource = self.spans[span as usize - 1].resource;
        self.logs.push(LogRecord {
            time: at(time),
            severity,
            event_name: None,
            body: body.to_owned().into(),
            attributes: Vec::new(),
            resource,
            scope: Scope::Guest,
            span: Some((TRACE, span_id(span), TraceFlags(TraceFlags::SAMPLED))),
        });
        self
    }

    /// The records in the order in which they come: spans as they end, the innermost first.
    pub fn batch(&self) -> Batch {
        let mut batch = Batch { spans: self.spans.clone(), logs: self.logs.clone(), ..Batch::default() };
        batch.spans.sort_by_key(|span| (span.end, std::cmp::Reverse(span.span_id)));
        batch.logs.sort_by_key(|log| log.time);
        batch
    }

    /// What the console writes of it.
    pub fn told(&self, style: Style) -> String {
        told(style, |console| console.export(&self.batch()))
    }
}

/// What a console writes until it is flushed.
pub fn told(style: Style, story: impl FnOnce(&mut Console<Paper>)) -> String {
    let paper = Paper::default();
    let mut console = Console::new(paper.clone(), resources(), style);
    story(&mut console);
    console.flush();
    paper.read()
}

/// Keeps what is written to it.
#[derive(Clone, Debug, Default)]
pub struct Paper(Arc<Mutex<Vec<u8>>>);

impl Paper {
    pub fn read(&self) -> String {
        String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
    }
}

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
