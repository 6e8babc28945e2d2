//! Records of a run, as far as their looks matter: read from the lines of `--out`, which are many.

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use serde_json::Value;

use crate::support::telemetry::{Attributes, SpanKind, SpanRecord, StatusCode, hex, walk};

/// What was recorded.
#[derive(Debug, Default)]
pub struct Records {
    pub spans: Vec<Span>,
    pub logs: Vec<Log>,
}

#[derive(Debug)]
pub struct Span {
    pub service: String,
    pub version: String,
    pub id: String,
    /// Empty at the root.
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub start: u64,
    pub end: u64,
    pub failed: bool,
    /// The keys of its attributes.
    pub keys: Vec<String>,
    /// `error.type`.
    pub error: Option<String>,
    pub events: Vec<String>,
}

#[derive(Debug)]
pub struct Log {
    pub service: String,
    pub time: u64,
}

impl Span {
    pub const fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

pub fn read(lines: &str) -> Records {
    let mut records = Records::default();
    let Records { spans, logs } = &mut records;
    let name = |resource: &Attributes, key: &str| {
        resource.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    walk(
        lines,
        |resource, _, record| {
            spans.push(span(name(resource, "service.name"), name(resource, "service.version"), record));
        },
        |resource, _, record| {
            logs.push(Log { service: name(resource, "service.name"), time: record.time_unix_nano });
        },
    );
    records
}

fn span(service: String, version: String, record: SpanRecord) -> Span {
    let error = record.attributes.iter().find(|attribute| attribute.key == "error.type");
    let error = error.and_then(|attribute| match attribute.value.as_ref()?.value.as_ref()? {
        AnyKind::StringValue(text) => Some(text.clone()),
        _ => None,
    });
    Span {
        service,
        version,
        id: hex(&record.span_id),
        parent: hex(&record.parent_span_id),
        kind: record.kind(),
        failed: record.status.is_some_and(|status| status.code() == StatusCode::Error),
        error,
        name: record.name,
        start: record.start_time_unix_nano,
        end: record.end_time_unix_nano,
        keys: record.attributes.into_iter().map(|attribute| attribute.key).collect(),
        events: record.events.into_iter().map(|event| event.name).collect(),
    }
}
