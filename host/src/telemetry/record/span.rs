//! Spans as the core thread leaves them (opentelemetry-proto 1.x, `trace.proto`).

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use super::{KeyValue, ResourceId, Scope, Text, Value};
use crate::context::{SpanContext, SpanId, TraceFlags, TraceId};

/// `SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK` of `trace.proto`: it is known
/// whether the parent is in another process.
const HAS_IS_REMOTE: u32 = 0x100;

/// `SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK` of `trace.proto`: it is.
const IS_REMOTE: u32 = 0x200;

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct SpanRecord {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub parent: Option<SpanId>,
    /// The parent came from another process: bit 9 of OTLP's `flags`, valid by bit 8.
    pub remote_parent: bool,
    pub flags: TraceFlags,
    pub trace_state: Option<Arc<str>>,
    pub resource: ResourceId,
    pub scope: Scope,
    pub kind: SpanKind,
    pub name: Text,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds since the Unix epoch, not before `start`.
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<Event>,
    pub links: Box<[SpanLink]>,
    pub status: Status,
    /// Attributes that the bound on their number kept out.
    pub dropped_attributes: u32,
    /// Events that the bound on their number kept out.
    pub dropped_events: u32,
}

impl SpanRecord {
    /// Whether its status says that it failed.
    pub const fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }

    /// OTLP's `flags` of it.
    pub fn otlp_flags(&self) -> u32 {
        let remote = if self.remote_parent { IS_REMOTE } else { 0 };
        u32::from(self.flags.0) | HAS_IS_REMOTE | remote
    }
}

/// The attributes of a span: those that all spans of its route or link share and
/// those that all spans with its peer share, interned, and its own behind them.
/// Keys are unique over all three.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    pub shared: Option<Arc<[KeyValue]>>,
    /// What the other end of the connection gives.
    pub peer: Option<Arc<[KeyValue]>>,
    pub own: Vec<KeyValue>,
}

impl Attributes {
    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &KeyValue> {
        self.shared.iter().chain(&self.peer).flat_map(|list| list.iter()).chain(&self.own)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter().find(|attribute| &*attribute.key == key).map(|attribute| &attribute.value)
    }

    pub fn len(&self) -> usize {
        self.shared.iter().chain(&self.peer).map(|list| list.len()).sum::<usize>() + self.own.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// As in `trace.proto`, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SpanKind {
    Internal = 1,
    Server = 2,
    Client = 3,
    Producer = 4,
    Consumer = 5,
}

impl SpanKind {
    /// `server`, `client`, …
    pub const fn name(self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

/// As in `trace.proto`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Status {
    #[default]
    Unset,
    Ok,
    /// With a description, empty where the attributes say it already.
    Error(Text),
}

/// Something that happened at an instant of a span.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: Text,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub attributes: Vec<KeyValue>,
}

impl Event {
    /// The event that the conventions name for an exception
    /// (semantic conventions, "Semantic conventions for exceptions on spans").
    pub fn exception(
        time: u64,
        kind: impl Into<Text>,
        message: impl Into<Text>,
        stacktrace: Option<String>,
    ) -> Self {
        let mut attributes = vec![
            KeyValue::new(attribute::EXCEPTION_TYPE, kind.into()),
            KeyValue::new(attribute::EXCEPTION_MESSAGE, message.into()),
        ];
        attributes.extend(stacktrace.map(|trace| KeyValue::new(attribute::EXCEPTION_STACKTRACE, trace)));
        Self { name: Text::Static("exception"), time, attributes }
    }
}

/// A span that another one has to do with and is not below.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanLink {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub flags: TraceFlags,
    pub trace_state: Option<Arc<str>>,
}

impl From<&SpanContext> for SpanLink {
    fn from(context: &SpanContext) -> Self {
        let SpanContext { trace_id, span_id, flags, trace_state } = context;
        Self { trace_id: *trace_id, span_id: *span_id, flags: *flags, trace_state: trace_state.clone() }
    }
}

impl SpanLink {
    /// OTLP's `flags` of it: links lead to other processes.
    pub fn otlp_flags(&self) -> u32 {
        u32::from(self.flags.0) | HAS_IS_REMOTE | IS_REMOTE
    }
}

/// A span that has ended, as far as others may want to name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub kind: SpanKind,
    /// Who made it.
    pub resource: ResourceId,
}
