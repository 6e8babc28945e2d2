//! Records as the core thread leaves them: flat, cheap to fill, close to OTLP. Below are
//! those of each signal; here is what they have in common.

mod exception;
mod log;
mod metric;
mod span;

pub use exception::{ExceptionSpan, Exceptions};
pub use log::{LogRecord, Severity};
pub use metric::{
    Exemplar, ExponentialBuckets, ExponentialPoint, HistogramPoint, Instrument, MetricRecord, Number,
    NumberPoint, Points, Summary, Temporality,
};
pub use span::{Attributes, Event, SpanKind, SpanLink, SpanRecord, SpanRef, Status};

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::model::Scalar;

/// The logical name of the other end: `service.peer.name` (semantic conventions 1.39, in development; the
/// constants crate has it not yet), and the older name, which is the only one that service graphs read yet.
pub const PEER_NAMES: [&str; 2] = ["service.peer.name", "peer.service"];

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

/// An index into the run's table of resources: one for each replica of each service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceId(pub u32);

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
