//! Log records as the core thread leaves them (opentelemetry-proto 1.x, `logs.proto`).

use super::{KeyValue, ResourceId, Scope, Text};
use crate::context::{SpanId, TraceFlags, TraceId};

/// One line that a guest logged or printed, or an exception.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub severity: Severity,
    /// What kind of event it is; none for a line of a log (log data model, "Field: EventName").
    pub event_name: Option<Text>,
    pub body: Text,
    pub attributes: Vec<KeyValue>,
    pub resource: ResourceId,
    pub scope: Scope,
    /// The span that was current, if there was one.
    pub span: Option<(TraceId, SpanId, TraceFlags)>,
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

impl Severity {
    /// Its short name in the log data model.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}
