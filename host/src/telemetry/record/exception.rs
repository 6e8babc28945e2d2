//! Exceptions, which are events of spans, log records, or both.

use opentelemetry_semantic_conventions::attribute;

use super::{Event, LogRecord, ResourceId, Scope, Severity, SpanKind, Text, Value};
use crate::context::{SpanId, TraceFlags, TraceId};

/// As what exceptions are recorded: `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`
/// (semantic conventions, "Semantic conventions for exceptions").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exceptions {
    /// As events of their spans: the default.
    #[default]
    Events,
    /// As log records: `logs`.
    Logs,
    /// As both: `logs/dup`.
    Both,
}

impl Exceptions {
    pub const fn are_events(self) -> bool {
        matches!(self, Self::Events | Self::Both)
    }

    pub const fn are_logs(self) -> bool {
        matches!(self, Self::Logs | Self::Both)
    }
}

/// The span that an exception has happened in.
#[derive(Debug)]
pub struct ExceptionSpan<'a> {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub flags: TraceFlags,
    pub kind: SpanKind,
    pub name: &'a str,
    pub resource: ResourceId,
    pub scope: Scope,
}

impl LogRecord {
    /// The log record of an exception whose event is this one: name and severity as the conventions have them
    /// ("Semantic conventions for HTTP exceptions": ERROR for who serves, WARN for who calls). A span
    /// within a service that failed has failed by itself: ERROR.
    pub fn exception(event: &Event, of: &ExceptionSpan<'_>) -> Self {
        let name = match (of.scope, of.kind) {
            (Scope::Bus, SpanKind::Server) => Text::Static("http.server.request.exception"),
            (Scope::Bus, SpanKind::Client) => Text::Static("http.client.request.exception"),
            _ => Text::Owned(format!("{}.exception", of.name)),
        };
        let message = event.attributes.iter().find(|known| *known.key == *attribute::EXCEPTION_MESSAGE);
        let body = match message.map(|message| &message.value) {
            Some(Value::Text(message)) => message.clone(),
            _ => Text::Static(""),
        };
        Self {
            time: event.time,
            severity: match of.kind {
                SpanKind::Client | SpanKind::Producer => Severity::Warn,
                SpanKind::Server | SpanKind::Consumer | SpanKind::Internal => Severity::Error,
            },
            event_name: Some(name),
            body,
            attributes: event.attributes.clone(),
            resource: of.resource,
            scope: of.scope,
            span: Some((of.trace_id, of.span_id, of.flags)),
        }
    }
}
