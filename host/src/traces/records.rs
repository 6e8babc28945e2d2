//! OTLP as JSON back to the records that are drawn.

use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue as Attribute};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as Log, ResourceLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as Origin;
use opentelemetry_proto::tonic::trace::v1::span::Link;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, Span};
use opentelemetry_semantic_conventions::attribute;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::spelling;
use crate::context::{SpanId, TraceFlags, TraceId};
use crate::telemetry::record::{
    Attributes, Event, KeyValue, LogRecord, Resource, ResourceId, Scope, Severity, SpanKind, SpanLink,
    SpanRecord, Status, Text, Value,
};

/// Bits of OTLP's `flags` (`trace.proto`): whether it is known that the parent is remote, and
/// whether it is.
const KNOWS_REMOTE: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// The name of what has no `service.name` (OpenTelemetry specification, "Resource SDK").
const UNKNOWN: &str = "unknown_service";

/// The records of one line.
#[derive(Debug, Default)]
pub struct Line {
    /// Those of its records, by [`ResourceId`].
    pub resources: Vec<Resource>,
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
    /// Spans that were left out, as they have no ids.
    pub without_ids: u64,
    /// Those that were, as they have no start: nobody knows where to draw them, or at what rate they come.
    pub without_start: u64,
    /// Spans whose end is not known or lies before their start: they have no length.
    pub without_end: u64,
}

/// A line as it is written (OTLP file exporter: `TracesData`, `LogsData` or `MetricsData`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    resource_spans: Option<Vec<ResourceSpans>>,
    resource_logs: Option<Vec<ResourceLogs>>,
    resource_metrics: Option<IgnoredAny>,
}

impl Data {
    /// Whether it is no OTLP.
    const fn is_empty(&self) -> bool {
        let Self { resource_spans, resource_logs, resource_metrics } = self;
        resource_spans.is_none() && resource_logs.is_none() && resource_metrics.is_none()
    }
}

impl Line {
    /// Who made a span.
    pub fn resource(&self, span: &SpanRecord) -> &Resource {
        &self.resources[span.resource.0 as usize]
    }

    fn add(&mut self, origin: Option<Origin>) -> ResourceId {
        let attributes = attributes(origin.map(|origin| origin.attributes).unwrap_or_default());
        let name = attributes.iter().find(|attribute| *attribute.key == *attribute::SERVICE_NAME);
        let service: Arc<str> = match name.map(|name| &name.value) {
            Some(Value::Text(text)) => Arc::from(&**text),
            _ => Arc::from(UNKNOWN),
        };
        self.resources.push(Resource { service, attributes });
        ResourceId(self.resources.len() as u32 - 1)
    }
}

/// The records of a line; none where it is no OTLP. Spans without ids, which nobody may send,
/// and those without a start are left out and counted; metrics are left out.
pub fn line(text: &str) -> Option<Line> {
    let data = match serde_json::from_str::<Data>(text) {
        Ok(data) if !data.is_empty() && !spelling::is_old(text) => data,
        _ => serde_json::from_value(spelling::plain(text)?).ok().filter(|data: &Data| !data.is_empty())?,
    };
    let mut line = Line::default();
    for of in data.resource_logs.into_iter().flatten() {
        let resource = line.add(of.resource);
        for of in of.scope_logs {
            let scope = scope_of(of.scope);
            line.logs.extend(of.log_records.into_iter().map(|record| log(record, resource, scope)));
        }
    }
    for of in data.resource_spans.into_iter().flatten() {
        let resource = line.add(of.resource);
        for scope in of.scope_spans {
            let of = scope_of(scope.scope);
            let is_endless = |span: &&Span| span.end_time_unix_nano < span.start_time_unix_nano;
            line.without_end += scope.spans.iter().filter(is_endless).count() as u64;
            let (all, before) = (scope.spans.len(), line.spans.len());
            line.spans.extend(scope.spans.into_iter().filter_map(|record| span(record, resource, of)));
            line.without_ids += (all - (line.spans.len() - before)) as u64;
            // OTLP has 0 where it is not known. One of 1970 among others would make all times long.
            line.without_start += line.spans.extract_if(before.., |span| span.start == 0).count() as u64;
        }
    }
    Some(line)
}

/// Which of simhost's scopes this is; anybody else's is a guest's.
fn scope_of(scope: Option<InstrumentationScope>) -> Scope {
    if scope.is_some_and(|scope| scope.name == Scope::Bus.name()) { Scope::Bus } else { Scope::Guest }
}

fn span(span: Span, resource: ResourceId, scope: Scope) -> Option<SpanRecord> {
    let status = span.status.unwrap_or_default();
    Some(SpanRecord {
        trace_id: trace_id(&span.trace_id)?,
        span_id: span_id(&span.span_id)?,
        parent: span_id(&span.parent_span_id),
        remote_parent: span.flags & (KNOWS_REMOTE | IS_REMOTE) == KNOWS_REMOTE | IS_REMOTE,
        flags: TraceFlags(span.flags as u8 | TraceFlags::SAMPLED),
        trace_state: (!span.trace_state.is_empty()).then(|| span.trace_state.into()),
        resource,
        scope,
        kind: match span.kind {
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Internal,
        },
        name: Text::Owned(span.name),
        start: span.start_time_unix_nano,
        end: span.end_time_unix_nano.max(span.start_time_unix_nano),
        attributes: Attributes { own: attributes(span.attributes), ..Attributes::default() },
        events: span
            .events
            .into_iter()
            .map(|event| Event {
                name: Text::Owned(event.name),
                time: event.time_unix_nano,
                attributes: attributes(event.attributes),
            })
            .collect(),
        links: span.links.into_iter().filter_map(link).collect(),
        status: match status.code() {
            StatusCode::Error => Status::Error(Text::Owned(status.message)),
            StatusCode::Ok => Status::Ok,
            StatusCode::Unset => Status::Unset,
        },
        dropped_attributes: span.dropped_attributes_count,
        dropped_events: span.dropped_events_count,
    })
}

fn link(link: Link) -> Option<SpanLink> {
    Some(SpanLink {
        trace_id: trace_id(&link.trace_id)?,
        span_id: span_id(&link.span_id)?,
        flags: TraceFlags(link.flags as u8),
        trace_state: (!link.trace_state.is_empty()).then(|| link.trace_state.into()),
    })
}

fn log(log: Log, resource: ResourceId, scope: Scope) -> LogRecord {
    let body = log.body.and_then(|body| body.value).map(value);
    let ids = trace_id(&log.trace_id).zip(span_id(&log.span_id));
    LogRecord {
        time: log.time_unix_nano.max(log.observed_time_unix_nano),
        severity: match log.severity_number {
            21.. => Severity::Fatal,
            17.. => Severity::Error,
            13.. => Severity::Warn,
            9.. => Severity::Info,
            5.. => Severity::Debug,
            _ => Severity::Trace,
        },
        event_name: (!log.event_name.is_empty()).then_some(Text::Owned(log.event_name)),
        body: match body {
            Some(Value::Text(text)) => text,
            Some(other) => Text::Owned(other.to_string()),
            None => Text::Static(""),
        },
        attributes: attributes(log.attributes),
        resource,
        scope,
        span: ids.map(|(trace, span)| (trace, span, TraceFlags(TraceFlags::SAMPLED))),
    }
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    NonZeroU128::new(u128::from_be_bytes(bytes)).map(TraceId)
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    let bytes: [u8; 8] = bytes.try_into().ok()?;
    NonZeroU64::new(u64::from_be_bytes(bytes)).map(SpanId)
}

fn attributes(all: Vec<Attribute>) -> Vec<KeyValue> {
    let of = |attribute: Attribute| {
        let kind = attribute.value.and_then(|value| value.value)?;
        Some(KeyValue { key: Text::Owned(attribute.key), value: value(kind) })
    };
    all.into_iter().filter_map(of).collect()
}

/// The value as a record has it; what records have no place for is text.
fn value(kind: AnyKind) -> Value {
    match kind {
        AnyKind::StringValue(text) => Value::Text(Text::Owned(text)),
        AnyKind::BoolValue(value) => Value::Bool(value),
        AnyKind::IntValue(value) => Value::Int(value),
        AnyKind::DoubleValue(value) => Value::Float(value),
        AnyKind::ArrayValue(array) => {
            let values: Vec<_> =
                array.values.into_iter().filter_map(|value| value.value).map(value).collect();
            Value::Texts(values.iter().map(ToString::to_string).collect())
        }
        other => Value::Text(Text::Owned(serde_json::to_string(&other).unwrap_or_default())),
    }
}
