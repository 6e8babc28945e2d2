//! Spans and log records, read back from OTLP JSON lines.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event as SpanEvent;
use opentelemetry_proto::tonic::trace::v1::{Span as SpanRecord, TracesData};
use serde_json::{Value, json};

pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
pub use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// Attributes by key, as JSON has their values.
pub type Attributes = BTreeMap<String, Value>;

/// A span, with its ids in hexadecimal.
#[derive(Clone, Debug)]
pub struct Span {
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    /// Who recorded it: the bus or the guest.
    pub scope: String,
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<Event>,
    pub status: StatusCode,
    /// The status's description.
    pub description: String,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub name: String,
    pub time: u64,
    pub attributes: Attributes,
}

/// A log record, and the span that it belongs to.
#[derive(Clone, Debug)]
pub struct Log {
    pub severity: String,
    pub time: u64,
    pub body: String,
    pub attributes: Attributes,
    pub trace: String,
    pub span: String,
}

impl Span {
    pub const fn duration(&self) -> u64 {
        self.end - self.start
    }

    /// An attribute's value; null when it is not there.
    pub fn get(&self, key: &str) -> &Value {
        self.attributes.get(key).unwrap_or(&Value::Null)
    }

    pub fn error_type(&self) -> &Value {
        self.get("error.type")
    }

    /// The attributes of the only exception event.
    #[track_caller]
    pub fn exception(&self) -> &Attributes {
        let exceptions: Vec<_> = self.events.iter().filter(|event| event.name == "exception").collect();
        assert_eq!(exceptions.len(), 1, "{self:?}");
        &exceptions[0].attributes
    }
}

/// What a run has recorded.
#[derive(Debug, Default)]
pub struct Records {
    pub spans: Vec<Span>,
    pub logs: Vec<Log>,
}

impl Records {
    /// Reads the lines of a file. Spans are sorted by their starts.
    pub fn parse(lines: &str) -> Self {
        let mut records = Self::default();
        for line in lines.lines() {
            let document: Value = serde_json::from_str(line).expect("every line is JSON");
            if document.get("resourceSpans").is_some() {
                records.add_spans(serde_json::from_value(document).expect("a line of TracesData"));
            } else {
                records.add_logs(serde_json::from_value(document).expect("a line of LogsData"));
            }
        }
        records.spans.sort_by_key(|span| span.start);
        records
    }

    fn add_spans(&mut self, data: TracesData) {
        for group in data.resource_spans {
            let origin = origin(group.resource);
            for scope in group.scope_spans {
                let name = scope.scope.unwrap_or_default().name;
                self.spans.extend(scope.spans.into_iter().map(|record| span(&origin, &name, record)));
            }
        }
    }

    fn add_logs(&mut self, data: LogsData) {
        let scopes = data.resource_logs.into_iter().flat_map(|group| group.scope_logs);
        self.logs.extend(scopes.flat_map(|scope| scope.log_records).map(log));
    }
}

fn origin(resource: Option<Resource>) -> [String; 2] {
    let attributes = attributes(resource.unwrap_or_default().attributes);
    ["service.name", "service.instance.id"].map(|key| text(&attributes[key]))
}

fn span([service, instance]: &[String; 2], scope: &str, record: SpanRecord) -> Span {
    let status = record.status.clone().unwrap_or_default();
    Span {
        service: service.clone(),
        instance: instance.clone(),
        scope: scope.to_owned(),
        trace: hex(&record.trace_id),
        id: hex(&record.span_id),
        parent: hex(&record.parent_span_id),
        kind: record.kind(),
        name: record.name,
        start: record.start_time_unix_nano,
        end: record.end_time_unix_nano,
        attributes: attributes(record.attributes),
        events: record.events.into_iter().map(event).collect(),
        status: status.code(),
        description: status.message,
    }
}

fn event(event: SpanEvent) -> Event {
    Event { name: event.name, time: event.time_unix_nano, attributes: attributes(event.attributes) }
}

fn log(record: LogRecord) -> Log {
    Log {
        severity: record.severity_text,
        time: record.time_unix_nano,
        body: text(&value(record.body)),
        attributes: attributes(record.attributes),
        trace: hex(&record.trace_id),
        span: hex(&record.span_id),
    }
}

/// The attributes; a key that is there twice is a defect.
fn attributes(all: Vec<KeyValue>) -> Attributes {
    let mut attributes = Attributes::new();
    for KeyValue { key, value: of_key, .. } in all {
        let earlier = attributes.insert(key.clone(), value(of_key));
        assert!(earlier.is_none(), "the attribute {key} is there twice");
    }
    attributes
}

fn value(any: Option<AnyValue>) -> Value {
    match any.and_then(|any| any.value) {
        Some(AnyKind::StringValue(text)) => json!(text),
        Some(AnyKind::BoolValue(value)) => json!(value),
        Some(AnyKind::IntValue(value)) => json!(value),
        Some(AnyKind::DoubleValue(value)) => json!(value),
        Some(AnyKind::ArrayValue(array)) => array.values.into_iter().map(|any| value(Some(any))).collect(),
        other => panic!("a value that simhost does not write: {other:?}"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
