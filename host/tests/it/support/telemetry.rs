//! Spans and log records, read back from OTLP JSON lines.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::TracesData;
use opentelemetry_proto::tonic::trace::v1::span::Event as SpanEvent;
use serde_json::{Value, json};

pub use opentelemetry_proto::tonic::trace::v1::Span as SpanRecord;
pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
pub use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

/// Attributes by key, as JSON has their values.
pub type Attributes = BTreeMap<String, Value>;

/// A span, with its ids in hexadecimal.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub service: String,
    /// `service.instance.id`.
    pub instance: String,
    /// All attributes of the Resource that it is from.
    pub resource: Attributes,
    /// Who recorded it: the bus or the guest.
    pub scope: String,
    pub trace: String,
    pub id: String,
    /// Empty for a root.
    pub parent: String,
    pub trace_state: String,
    pub flags: u32,
    pub name: String,
    pub kind: SpanKind,
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<Event>,
    /// The traces and the spans that it is linked to.
    pub links: Vec<(String, String)>,
    pub status: StatusCode,
    /// The status's description.
    pub description: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub time: u64,
    pub attributes: Attributes,
}

/// A log record, and the span that it belongs to.
#[derive(Clone, Debug)]
pub struct Log {
    /// `service.name`.
    pub service: String,
    /// Who recorded it: the bus or the guest.
    pub scope: String,
    /// Its event name; empty for a line of a log.
    pub event: String,
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

    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key).as_str()
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        self.get(key).as_i64()
    }

    /// `CLIENT`, `SERVER`.
    pub fn kind_name(&self) -> &'static str {
        let name = self.kind.as_str_name();
        name.strip_prefix("SPAN_KIND_").unwrap_or(name)
    }

    /// `UNSET`, `OK`, `ERROR`, or `ERROR` and the description.
    pub fn status_text(&self) -> String {
        let name = self.status.as_str_name();
        let name = name.strip_prefix("STATUS_CODE_").unwrap_or(name);
        format!("{name} {}", self.description).trim_end().to_owned()
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
        let Self { spans, logs } = &mut records;
        walk(
            lines,
            |resource, scope, record| spans.push(span(resource, scope, record)),
            |resource, scope, record| logs.push(log(resource, scope, record)),
        );
        records.spans.sort_by_key(|span| span.start);
        records
    }
}

/// The spans of a file, in its order.
pub fn read(lines: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    walk(lines, |resource, scope, record| spans.push(span(resource, scope, record)), |_, _, _| ());
    spans
}

/// Every span and every log record of a file, in its order, with the attributes of its Resource and the
/// name of its scope.
pub fn walk(
    lines: &str,
    mut of_span: impl FnMut(&Attributes, &str, SpanRecord),
    mut of_log: impl FnMut(&Attributes, &str, LogRecord),
) {
    let known = |resource: Option<Resource>| attributes(resource.unwrap_or_default().attributes);
    for line in lines.lines() {
        if line.starts_with(r#"{"resourceSpans""#) {
            let data: TracesData = serde_json::from_str(line).expect("a line of TracesData");
            for group in data.resource_spans {
                let resource = known(group.resource);
                for scope in group.scope_spans {
                    let name = scope.scope.unwrap_or_default().name;
                    scope.spans.into_iter().for_each(|record| of_span(&resource, &name, record));
                }
            }
        } else if !line.starts_with(r#"{"resourceMetrics""#) {
            let data: LogsData = serde_json::from_str(line).expect("a line of LogsData");
            for group in data.resource_logs {
                let resource = known(group.resource);
                for scope in group.scope_logs {
                    let name = scope.scope.unwrap_or_default().name;
                    scope.log_records.into_iter().for_each(|record| of_log(&resource, &name, record));
                }
            }
        }
    }
}

fn span(resource: &Attributes, scope: &str, record: SpanRecord) -> Span {
    let status = record.status.clone().unwrap_or_default();
    let [service, instance] = ["service.name", "service.instance.id"].map(|key| text(&resource[key]));
    Span {
        service,
        instance,
        resource: resource.clone(),
        scope: scope.to_owned(),
        trace: hex(&record.trace_id),
        id: hex(&record.span_id),
        parent: hex(&record.parent_span_id),
        kind: record.kind(),
        trace_state: record.trace_state,
        flags: record.flags,
        name: record.name,
        start: record.start_time_unix_nano,
        end: record.end_time_unix_nano,
        attributes: attributes(record.attributes),
        events: record.events.into_iter().map(event).collect(),
        links: record.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
        status: status.code(),
        description: status.message,
    }
}

fn event(event: SpanEvent) -> Event {
    Event { name: event.name, time: event.time_unix_nano, attributes: attributes(event.attributes) }
}

fn log(resource: &Attributes, scope: &str, record: LogRecord) -> Log {
    Log {
        service: text(&resource["service.name"]),
        scope: scope.to_owned(),
        event: record.event_name,
        severity: record.severity_text,
        time: record.time_unix_nano,
        body: text(&value(record.body)),
        attributes: attributes(record.attributes),
        trace: hex(&record.trace_id),
        span: hex(&record.span_id),
    }
}

/// The attributes; a key that is there twice is a defect.
pub fn attributes(all: Vec<KeyValue>) -> Attributes {
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

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
