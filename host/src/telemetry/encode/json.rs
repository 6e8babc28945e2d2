//! Records as lines of OTLP JSON (OTLP 1.x, "JSON Protobuf Encoding"; OTLP File Exporter).
//!
//! A line is one `TracesData` or `LogsData`. Fields that are empty or zero are left out,
//! as proto3's JSON mapping allows.

use std::collections::BTreeMap;

use opentelemetry_semantic_conventions::SCHEMA_URL;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::{Record, SCOPE_VERSION, severity_text, sorted, span_flags};
use crate::error::INFALLIBLE;
use crate::telemetry::record::{
    Event, KeyValue, LogRecord, Resource, ResourceId, Scope, SpanRecord, Status, Value,
};

/// The longest line, in bytes, with its end. The Collector's `otlpjsonfile` receiver leaves
/// out those of 1 MiB and more, and says nothing (`max_log_size` of its file reader).
pub const LINE_BYTES: usize = (1 << 20) - (4 << 10);

/// Writes spans as lines of at most `longest` bytes, and gives each to `sink` with its
/// number of spans. A span that is longer alone has a longer line to itself.
pub fn traces(spans: &[SpanRecord], resources: &[Resource], longest: usize, sink: impl FnMut(&[u8], usize)) {
    lines(spans, resources, longest, sink);
}

/// Writes log records as lines, as [`traces`] does spans.
pub fn logs(logs: &[LogRecord], resources: &[Resource], longest: usize, sink: impl FnMut(&[u8], usize)) {
    lines(logs, resources, longest, sink);
}

/// A record as JSON.
trait Json: Record {
    /// The keys of the lists of resources, of scopes, and of records.
    const LISTS: [&'static str; 3];

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// What closes the list of a scope's records and the scope, the list of a resource's
/// scopes and the resource, and the line.
const CLOSE_SCOPE: &str = "],\"schemaUrl\":";
const CLOSE_LINE: &str = "]}\n";

/// A line that is being put together.
struct Line<'a, F> {
    text: Vec<u8>,
    records: usize,
    /// What the last record stands below.
    open: Option<(ResourceId, Scope)>,
    resources: &'a [Resource],
    lists: [&'static str; 3],
    sink: F,
}

fn lines<R: Json>(records: &[R], resources: &[Resource], longest: usize, sink: impl FnMut(&[u8], usize)) {
    let mut line = Line { text: Vec::new(), records: 0, open: None, resources, lists: R::LISTS, sink };
    let mut scratch = Vec::new();
    for record in sorted(records) {
        let origin = record.origin();
        scratch.clear();
        write(&mut scratch, &Fields(record));
        let before = (line.text.len(), line.open);
        line.open(origin);
        if line.records > 0 && line.text.len() + scratch.len() + line.closing() > longest {
            // Not on this line: what was opened for it goes again.
            line.text.truncate(before.0);
            line.open = before.1;
            line.end();
            line.open(origin);
        }
        line.text.extend_from_slice(&scratch);
        line.records += 1;
    }
    line.end();
}

impl<F: FnMut(&[u8], usize)> Line<'_, F> {
    /// Opens the lists that a record of this origin stands in, and closes others.
    fn open(&mut self, (resource, scope): (ResourceId, Scope)) {
        let [resources, scopes, records] = self.lists;
        let same_resource = self.open.is_some_and(|(open, _)| open == resource);
        if self.open == Some((resource, scope)) {
            self.text.push(b',');
            return;
        }
        if self.open.is_some() {
            self.close_scope();
        }
        if same_resource {
            self.text.push(b',');
        } else {
            match self.open {
                Some(_) => {
                    self.close_scope();
                    self.text.push(b',');
                }
                None => self.push(&format!("{{\"{resources}\":[")),
            }
            self.push("{\"resource\":{\"attributes\":");
            write(&mut self.text, &Attributes(&self.resources[resource.0 as usize].attributes));
            self.push(&format!("}},\"{scopes}\":["));
        }
        let (name, version) = (scope.name(), SCOPE_VERSION);
        self.push(&format!("{{\"scope\":{{\"name\":\"{name}\",\"version\":\"{version}\"}},\"{records}\":["));
        self.open = Some((resource, scope));
    }

    /// Ends a list and the object around it, of a scope as of a resource.
    fn close_scope(&mut self) {
        self.push(CLOSE_SCOPE);
        write(&mut self.text, SCHEMA_URL);
        self.text.push(b'}');
    }

    /// Bytes that [`end`](Self::end) adds.
    fn closing(&self) -> usize {
        2 * (CLOSE_SCOPE.len() + SCHEMA_URL.len() + 3) + CLOSE_LINE.len()
    }

    fn end(&mut self) {
        if self.records > 0 {
            self.close_scope();
            self.close_scope();
            self.push(CLOSE_LINE);
            (self.sink)(&self.text, self.records);
        }
        self.text.clear();
        (self.records, self.open) = (0, None);
    }

    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }
}

fn write(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(text, value).expect(INFALLIBLE);
}

struct Fields<'a, R>(&'a R);

impl<R: Json> Serialize for Fields<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.fields(&mut map)?;
        map.end()
    }
}

impl Json for SpanRecord {
    const LISTS: [&'static str; 3] = ["resourceSpans", "scopeSpans", "spans"];

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("traceId", &Shown(format_args!("{:032x}", self.trace_id.0)))?;
        map.serialize_entry("spanId", &Shown(format_args!("{:016x}", self.span_id.0)))?;
        entry(map, "traceState", self.trace_state.as_deref().filter(|state| !state.is_empty()))?;
        if let Some(parent) = self.parent {
            map.serialize_entry("parentSpanId", &Shown(format_args!("{:016x}", parent.0)))?;
        }
        map.serialize_entry("flags", &span_flags(self))?;
        map.serialize_entry("name", &*self.name)?;
        // The numbers of `SpanKind` are those of the protocol.
        map.serialize_entry("kind", &(self.kind as u8))?;
        map.serialize_entry("startTimeUnixNano", &Shown(format_args!("{}", self.start)))?;
        map.serialize_entry("endTimeUnixNano", &Shown(format_args!("{}", self.end)))?;
        if !self.attributes.is_empty() {
            map.serialize_entry("attributes", &Chained(self))?;
        }
        entry(map, "droppedAttributesCount", above_zero(self.dropped_attributes))?;
        entry(map, "events", Some(&self.events).filter(|events| !events.is_empty()))?;
        entry(map, "droppedEventsCount", above_zero(self.dropped_events))?;
        match &self.status {
            Status::Unset => Ok(()),
            status => map.serialize_entry("status", &StatusFields(status)),
        }
    }
}

impl Json for LogRecord {
    const LISTS: [&'static str; 3] = ["resourceLogs", "scopeLogs", "logRecords"];

    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let time = format!("{}", self.time);
        map.serialize_entry("timeUnixNano", &time)?;
        // The host sees a line at the instant at which the guest writes it.
        map.serialize_entry("observedTimeUnixNano", &time)?;
        // The numbers of `Severity` are those of the protocol.
        map.serialize_entry("severityNumber", &(self.severity as u8))?;
        map.serialize_entry("severityText", severity_text(self.severity))?;
        map.serialize_entry("body", &Body(&self.body))?;
        entry(map, "attributes", Some(Attributes(&self.attributes)).filter(|all| !all.0.is_empty()))?;
        if let Some((trace_id, span_id, flags)) = self.span {
            entry(map, "flags", above_zero(u32::from(flags.0)))?;
            map.serialize_entry("traceId", &Shown(format_args!("{:032x}", trace_id.0)))?;
            map.serialize_entry("spanId", &Shown(format_args!("{:016x}", span_id.0)))?;
        }
        Ok(())
    }
}

fn entry<M: SerializeMap>(map: &mut M, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

fn above_zero(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

/// A number or an id as a JSON string.
struct Shown<'a>(std::fmt::Arguments<'a>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

struct StatusFields<'a>(&'a Status);

impl Serialize for StatusFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The numbers of `StatusCode`.
        let (code, message) = match self.0 {
            Status::Unset => (0, ""),
            Status::Ok => (1, ""),
            Status::Error(message) => (2, &**message),
        };
        let mut map = serializer.serialize_map(None)?;
        entry(&mut map, "message", Some(message).filter(|message| !message.is_empty()))?;
        map.serialize_entry("code", &code)?;
        map.end()
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timeUnixNano", &Shown(format_args!("{}", self.time)))?;
        map.serialize_entry("name", &*self.name)?;
        map.serialize_entry("attributes", &Attributes(&self.attributes))?;
        // Of an event, readers made of `opentelemetry-proto` (Rust) want every field.
        map.serialize_entry("droppedAttributesCount", &0)?;
        map.end()
    }
}

struct Attributes<'a>(&'a [KeyValue]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Pair))
    }
}

/// The attributes of a span.
struct Chained<'a>(&'a SpanRecord);

impl Serialize for Chained<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.attributes.len()))?;
        self.0.attributes.iter().try_for_each(|attribute| list.serialize_element(&Pair(attribute)))?;
        list.end()
    }
}

struct Pair<'a>(&'a KeyValue);

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", &*self.0.key)?;
        map.serialize_entry("value", &self.0.value)?;
        map.end()
    }
}

/// A text as an `AnyValue`.
struct Body<'a>(&'a str);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        one(serializer, "stringValue", self.0)
    }
}

/// An `AnyValue`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => one(serializer, "stringValue", &**text),
            Self::Bool(value) => one(serializer, "boolValue", value),
            Self::Int(value) => one(serializer, "intValue", &Shown(format_args!("{value}"))),
            Self::Float(value) if !value.is_finite() => {
                one(serializer, "stringValue", super::not_finite(*value))
            }
            Self::Float(value) => one(serializer, "doubleValue", value),
            Self::Texts(texts) => one(serializer, "arrayValue", &array(texts.iter().map(|text| Body(text)))),
            Self::Ints(ints) => one(serializer, "arrayValue", &array(ints.iter().map(|int| Self::Int(*int)))),
        }
    }
}

fn one<S: Serializer>(
    serializer: S,
    key: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// An `ArrayValue`, also where it is empty: Rust's readers want its list.
fn array<V: Serialize>(values: impl Iterator<Item = V>) -> impl Serialize {
    BTreeMap::from([("values", values.collect::<Vec<_>>())])
}
