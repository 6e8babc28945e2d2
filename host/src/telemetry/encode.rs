//! From records to OTLP (opentelemetry-proto 1.x).
//!
//! Records are grouped by resource, in the order of [`ResourceId`], then by
//! scope; within a group they keep the order in which they ended. One request
//! holds any number of resources, and as many records as its size allows.

pub mod json;
pub mod message;
pub(super) mod wire;

use super::record::{LogRecord, Resource, ResourceId, Scope, Severity, SpanRecord};
use wire::Part;

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

/// The version of all scopes: guests' spans are recorded by the host too.
const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How records are packed into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Encoded size of a request, before compression.
    pub bytes: usize,
    /// Records in one request.
    pub records: usize,
}

/// Encodes spans as `ExportTraceServiceRequest`s and gives each to `sink`, with
/// its number of spans. Returns how many spans were left out because they alone
/// exceed `packing.bytes`.
pub fn traces(
    spans: &[SpanRecord],
    resources: &[Resource],
    packing: Packing,
    sink: impl FnMut(Vec<u8>, usize),
) -> usize {
    pack(spans, resources, packing, sink)
}

/// Encodes log records as `ExportLogsServiceRequest`s, as [`traces`] does spans.
pub fn logs(
    logs: &[LogRecord],
    resources: &[Resource],
    packing: Packing,
    sink: impl FnMut(Vec<u8>, usize),
) -> usize {
    pack(logs, resources, packing, sink)
}

/// What spans and log records have in common.
pub(super) trait Record: Part {
    /// Whose it is, and which code made it.
    fn origin(&self) -> (ResourceId, Scope);
}

impl Record for SpanRecord {
    fn origin(&self) -> (ResourceId, Scope) {
        (self.resource, self.scope)
    }
}

impl Record for LogRecord {
    /// Whatever is logged, a guest has said it.
    fn origin(&self) -> (ResourceId, Scope) {
        (self.resource, Scope::Guest)
    }
}

/// Records of one resource and scope, each with its encoded size.
#[derive(Debug)]
struct Group<'a, R> {
    resource: ResourceId,
    scope: Scope,
    items: Vec<(&'a R, usize)>,
}

impl<R> Group<'_, R> {
    fn same_resource(&self, other: &Self) -> bool {
        self.resource == other.resource
    }
}

/// The records in the order in which they are encoded.
fn sorted<R: Record>(records: &[R]) -> Vec<&R> {
    let mut order: Vec<&R> = records.iter().collect();
    // Stable: within a group the order of arrival stays.
    order.sort_by_key(|record| record.origin());
    order
}

/// All records in groups; their sizes are not looked at.
fn group<R: Record>(records: &[R]) -> Vec<Group<'_, R>> {
    let order = sorted(records);
    let same = |one: &&R, other: &&R| one.origin() == other.origin();
    order
        .chunk_by(same)
        .map(|items| {
            let (resource, scope) = items[0].origin();
            Group { resource, scope, items: items.iter().map(|item| (*item, 0)).collect() }
        })
        .collect()
}

/// Closes a request before it exceeds its bounds. Sizes are summed up with the
/// most that the frame of each part can cost.
fn pack<R: Record>(
    records: &[R],
    resources: &[Resource],
    packing: Packing,
    mut sink: impl FnMut(Vec<u8>, usize),
) -> usize {
    let mut groups: Vec<Group<'_, R>> = Vec::new();
    let (mut size, mut count, mut too_large) = (0, 0, 0);
    let mut measured = None;
    let mut headers = (0, 0);
    for record in sorted(records) {
        let (resource, scope) = record.origin();
        if measured.replace((resource, scope)) != Some((resource, scope)) {
            headers = (header_size(&resources[resource.0 as usize]), header_size(&scope));
        }
        let item = record.size();
        let alone = headers.0 + headers.1 + FRAME + item;
        if alone > packing.bytes {
            too_large += 1;
            continue;
        }
        let mut added = match groups.last() {
            Some(last) if last.resource == resource && last.scope == scope => FRAME + item,
            Some(last) if last.resource == resource => headers.1 + FRAME + item,
            _ => alone,
        };
        if count > 0 && (size + added > packing.bytes || count >= packing.records) {
            sink(wire::request(&groups, resources), count);
            groups.clear();
            (size, count, added) = (0, 0, alone);
        }
        match groups.last_mut() {
            Some(last) if last.resource == resource && last.scope == scope => last.items.push((record, item)),
            _ => groups.push(Group { resource, scope, items: vec![(record, item)] }),
        }
        size += added;
        count += 1;
    }
    if count > 0 {
        sink(wire::request(&groups, resources), count);
    }
    too_large
}

/// What a group costs on top of its items: its own frame, `header` in a frame,
/// and the schema's URL in a frame.
fn header_size(header: &impl Part) -> usize {
    FRAME + FRAME + header.size() + FRAME + opentelemetry_semantic_conventions::SCHEMA_URL.len()
}

/// OTLP's `flags` of a span.
fn span_flags(record: &SpanRecord) -> u32 {
    let remote = if record.remote_parent { IS_REMOTE } else { 0 };
    u32::from(record.flags.0) | HAS_IS_REMOTE | remote
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

/// JSON has no such numbers: the text that proto3's JSON mapping of `double` has for them.
fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
