//! Spans and log records as the core thread leaves them: flat, cheap to fill,
//! close to OTLP (opentelemetry-proto 1.x, `trace.proto` and `logs.proto`).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::context::{SpanId, TraceFlags, TraceId};
use crate::model::Scalar;

/// Text that costs little to copy where it is known beforehand.
#[derive(Clone, Debug)]
pub enum Text {
    Static(&'static str),
    /// Known since the topology was loaded: names of services and routes.
    Shared(Arc<str>),
    /// From a guest or a client.
    Owned(String),
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Static(text) => text,
            Self::Shared(text) => text,
            Self::Owned(text) => text,
        }
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::Owned(text)
    }
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Text),
    Bool(bool),
    Int(i64),
    Float(f64),
    Texts(Vec<String>),
    Ints(Vec<i64>),
}

/// As text; the members of a list with commas between them.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Texts(texts) => f.write_str(&texts.join(", ")),
            Self::Ints(ints) => {
                let texts: Vec<_> = ints.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(", "))
            }
        }
    }
}

impl<T: Into<Text>> From<T> for Value {
    fn from(text: T) -> Self {
        Self::Text(text.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&Scalar> for Value {
    fn from(value: &Scalar) -> Self {
        match value {
            Scalar::Text(text) => Self::Text(Text::Owned(text.clone())),
            Scalar::Bool(value) => Self::Bool(*value),
            Scalar::Int(value) => Self::Int(*value),
            Scalar::Float(value) => Self::Float(*value),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// One attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyValue {
    pub key: Text,
    pub value: Value,
}

impl KeyValue {
    pub fn new(key: impl Into<Text>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), value: value.into() }
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

/// An index into the run's table of resources: one for each replica of each service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(pub u32);

/// A span that has ended, as far as others may want to name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanRef {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub kind: SpanKind,
    /// Who made it.
    pub resource: ResourceId,
}

/// Who produced a record: one replica of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// `service.name`, once more among the attributes.
    pub service: Arc<str>,
    pub attributes: Vec<KeyValue>,
}

impl Resource {
    /// The same under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.service = name.into();
        for attribute in &mut self.attributes {
            if *attribute.key == *attribute::SERVICE_NAME {
                attribute.value = Value::Text(Text::Shared(Arc::clone(&self.service)));
            }
        }
        self
    }
}

/// Which code made a record: its instrumentation scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The host's bus: SERVER and CLIENT spans.
    Bus,
    /// The guest itself.
    Guest,
}

impl Scope {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bus => "simhost.bus",
            Self::Guest => "simhost.guest",
        }
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
}

/// As in `logs.proto`: the first number of each range of `SeverityNumber`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    Trace = 1,
    Debug = 5,
    Info = 9,
    Warn = 13,
    Error = 17,
    Fatal = 21,
}

/// One line that a guest logged or printed.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub severity: Severity,
    pub body: Text,
    pub attributes: Vec<KeyValue>,
    pub resource: ResourceId,
    /// The span that was current, if there was one.
    pub span: Option<(TraceId, SpanId, TraceFlags)>,
}

/// Records on their way from the core thread, in the order in which they ended.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
    /// The receivers have gone down before these records were made (true), or have come
    /// up again (false). Mostly neither.
    pub turn: Option<bool>,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.spans.len() + self.logs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
