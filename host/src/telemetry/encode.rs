//! From records to OTLP messages (opentelemetry-proto 1.x).
//!
//! Records are grouped by resource, in the order of [`ResourceId`], then by
//! scope; within a group they keep the order in which they ended. One request
//! holds any number of resources, and as many records as its size allows.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue as Attribute;
use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyKind;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as Log, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource as Origin;
use opentelemetry_proto::tonic::trace::v1::span::Event as SpanEvent;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status as SpanStatus};
use opentelemetry_semantic_conventions::SCHEMA_URL;
use prost::Message;

use super::record::{
    Event, KeyValue, LogRecord, Resource, ResourceId, Scope, Severity, SpanRecord, Status, Value,
};

/// The largest request in bytes before compression: what gRPC servers accept
/// unless told otherwise (4 MiB), less some room for framing.
pub const REQUEST_BYTES: usize = (4 << 20) - (64 << 10);

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` of `trace.proto`: it is known
/// whether the parent is in another process.
const HAS_IS_REMOTE: u32 = 0x100;

/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK` of `trace.proto`: it is.
const IS_REMOTE: u32 = 0x200;

/// A message inside of another costs its tag, 1 byte, and its length, at most 5.
const FRAME: usize = 6;

/// How records are packed into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Encoded size of a request, before compression.
    pub bytes: usize,
    /// Records in one request.
    pub records: usize,
    /// The requests will be written as JSON, where a number that is not finite
    /// cannot be a number: it becomes the text that proto3's JSON mapping has for it.
    pub json: bool,
}

/// Packs spans into requests and gives each to `sink`, with its number of spans.
/// Returns how many spans were left out because they alone exceed `packing.bytes`.
pub fn traces(
    spans: &[SpanRecord],
    resources: &[Resource],
    packing: Packing,
    mut sink: impl FnMut(ExportTraceServiceRequest, usize),
) -> usize {
    let describe = |span: &SpanRecord| (span.resource, span.scope);
    pack(
        spans,
        resources,
        packing,
        describe,
        |record| span(record, packing.json),
        |groups, count| {
            let mut request = ExportTraceServiceRequest::default();
            let mut last = None;
            for group in groups {
                let spans = ScopeSpans {
                    scope: Some(scope(group.scope)),
                    spans: group.items,
                    schema_url: SCHEMA_URL.to_owned(),
                };
                if last.replace(group.resource) != Some(group.resource) {
                    request.resource_spans.push(ResourceSpans {
                        resource: Some(origin(&resources[group.resource.0 as usize], packing.json)),
                        scope_spans: Vec::new(),
                        schema_url: SCHEMA_URL.to_owned(),
                    });
                }
                request.resource_spans.last_mut().expect("just pushed").scope_spans.push(spans);
            }
            sink(request, count);
        },
    )
}

/// Packs log records into requests, as [`traces`] does for spans.
pub fn logs(
    logs: &[LogRecord],
    resources: &[Resource],
    packing: Packing,
    mut sink: impl FnMut(ExportLogsServiceRequest, usize),
) -> usize {
    // Whatever is logged, a guest has said it.
    let describe = |log: &LogRecord| (log.resource, Scope::Guest);
    pack(
        logs,
        resources,
        packing,
        describe,
        |record| log(record, packing.json),
        |groups, count| {
            let resource_logs = groups
                .into_iter()
                .map(|group| ResourceLogs {
                    resource: Some(origin(&resources[group.resource.0 as usize], packing.json)),
                    scope_logs: vec![ScopeLogs {
                        scope: Some(scope(group.scope)),
                        log_records: group.items,
                        schema_url: SCHEMA_URL.to_owned(),
                    }],
                    schema_url: SCHEMA_URL.to_owned(),
                })
                .collect();
            sink(ExportLogsServiceRequest { resource_logs }, count);
        },
    )
}

/// Encoded records of one resource and scope.
struct Group<M> {
    resource: ResourceId,
    scope: Scope,
    items: Vec<M>,
}

/// Sorts records into groups and closes a request before it exceeds its bounds.
/// Sizes are summed up from below, each part with the most its frame can cost.
fn pack<R, M: Message>(
    records: &[R],
    resources: &[Resource],
    packing: Packing,
    describe: impl Fn(&R) -> (ResourceId, Scope),
    encode: impl Fn(&R) -> M,
    mut sink: impl FnMut(Vec<Group<M>>, usize),
) -> usize {
    let mut order: Vec<&R> = records.iter().collect();
    // Stable: within a group the order of arrival stays.
    order.sort_by_key(|record| describe(record));

    let mut groups: Vec<Group<M>> = Vec::new();
    let (mut size, mut count, mut too_large) = (0, 0, 0);
    for record in order {
        let (resource, scope_id) = describe(record);
        let item = encode(record);
        let item_size = item.encoded_len() + FRAME;
        let headers = |last: Option<&Group<M>>| {
            let same_resource = last.is_some_and(|last| last.resource == resource);
            let same_scope = same_resource && last.is_some_and(|last| last.scope == scope_id);
            let origin_size =
                if same_resource { 0 } else { header_size(&origin(&resources[resource.0 as usize], false)) };
            origin_size + if same_scope { 0 } else { header_size(&scope(scope_id)) }
        };
        let alone = headers(None) + item_size;
        if alone > packing.bytes {
            too_large += 1;
            continue;
        }
        let mut added = headers(groups.last()) + item_size;
        if count > 0 && (size + added > packing.bytes || count >= packing.records) {
            sink(std::mem::take(&mut groups), count);
            (size, count, added) = (0, 0, alone);
        }
        match groups.last_mut() {
            Some(last) if last.resource == resource && last.scope == scope_id => last.items.push(item),
            _ => groups.push(Group { resource, scope: scope_id, items: vec![item] }),
        }
        size += added;
        count += 1;
    }
    if count > 0 {
        sink(groups, count);
    }
    too_large
}

/// What a group costs on top of its items: its own frame, `header` in a frame,
/// and the schema's URL in a frame.
fn header_size(header: &impl Message) -> usize {
    FRAME + FRAME + header.encoded_len() + FRAME + SCHEMA_URL.len()
}

fn scope(scope: Scope) -> InstrumentationScope {
    InstrumentationScope {
        name: scope.name().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn origin(resource: &Resource, json: bool) -> Origin {
    Origin { attributes: attributes(&resource.attributes, json), ..Origin::default() }
}

fn span(record: &SpanRecord, json: bool) -> Span {
    let (code, message) = match &record.status {
        Status::Unset => (StatusCode::Unset, ""),
        Status::Ok => (StatusCode::Ok, ""),
        Status::Error(message) => (StatusCode::Error, &**message),
    };
    let remote = if record.remote_parent { IS_REMOTE } else { 0 };
    Span {
        trace_id: record.trace_id.0.get().to_be_bytes().to_vec(),
        span_id: record.span_id.0.get().to_be_bytes().to_vec(),
        trace_state: record.trace_state.as_deref().unwrap_or_default().to_owned(),
        parent_span_id: record.parent.map_or_else(Vec::new, |parent| parent.0.get().to_be_bytes().to_vec()),
        flags: u32::from(record.flags.0) | HAS_IS_REMOTE | remote,
        name: record.name.to_string(),
        // The numbers of `SpanKind` are those of the protocol.
        kind: record.kind as i32,
        start_time_unix_nano: record.start,
        end_time_unix_nano: record.end,
        attributes: attributes(record.attributes.iter(), json),
        dropped_attributes_count: record.dropped_attributes,
        events: record.events.iter().map(|event| span_event(event, json)).collect(),
        dropped_events_count: record.dropped_events,
        links: Vec::new(),
        dropped_links_count: 0,
        status: Some(SpanStatus { message: message.to_owned(), code: code.into() }),
    }
}

fn span_event(event: &Event, json: bool) -> SpanEvent {
    SpanEvent {
        time_unix_nano: event.time,
        name: event.name.to_string(),
        attributes: attributes(&event.attributes, json),
        dropped_attributes_count: 0,
    }
}

fn log(record: &LogRecord, json: bool) -> Log {
    let mut log = Log {
        time_unix_nano: record.time,
        // The host sees a line at the instant at which the guest writes it.
        observed_time_unix_nano: record.time,
        // The numbers of `Severity` are those of the protocol.
        severity_number: record.severity as i32,
        severity_text: severity_text(record.severity).to_owned(),
        body: Some(AnyValue { value: Some(AnyKind::StringValue(record.body.to_string())) }),
        attributes: attributes(&record.attributes, json),
        ..Log::default()
    };
    if let Some((trace_id, span_id, flags)) = record.span {
        log.trace_id = trace_id.0.get().to_be_bytes().to_vec();
        log.span_id = span_id.0.get().to_be_bytes().to_vec();
        log.flags = u32::from(flags.0);
    }
    log
}

/// The short names of the log data model.
const fn severity_text(severity: Severity) -> &'static str {
    match severity {
        Severity::Trace => "TRACE",
        Severity::Debug => "DEBUG",
        Severity::Info => "INFO",
        Severity::Warn => "WARN",
        Severity::Error => "ERROR",
        Severity::Fatal => "FATAL",
    }
}

fn attributes<'a>(all: impl IntoIterator<Item = &'a KeyValue>, json: bool) -> Vec<Attribute> {
    all.into_iter()
        .map(|attribute| Attribute {
            key: attribute.key.to_string(),
            value: Some(AnyValue { value: Some(value(&attribute.value, json)) }),
            ..Attribute::default()
        })
        .collect()
}

fn value(value: &Value, json: bool) -> AnyKind {
    match value {
        Value::Text(text) => AnyKind::StringValue(text.to_string()),
        Value::Bool(value) => AnyKind::BoolValue(*value),
        Value::Int(value) => AnyKind::IntValue(*value),
        Value::Float(value) if json && !value.is_finite() => {
            AnyKind::StringValue(not_finite(*value).to_owned())
        }
        Value::Float(value) => AnyKind::DoubleValue(*value),
        Value::Texts(texts) => array(texts.iter().map(|text| AnyKind::StringValue(text.clone()))),
        Value::Ints(ints) => array(ints.iter().map(|int| AnyKind::IntValue(*int))),
    }
}

fn array(values: impl Iterator<Item = AnyKind>) -> AnyKind {
    let values = values.map(|value| AnyValue { value: Some(value) }).collect();
    AnyKind::ArrayValue(ArrayValue { values })
}

/// As in proto3's JSON mapping of `double`.
fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
