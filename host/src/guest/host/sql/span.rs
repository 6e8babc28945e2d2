//! The CLIENT span of a statement.

use opentelemetry_semantic_conventions::attribute;
use simhost_sql::Failure;

use super::{Local, Span};
use crate::guest::attributes::bound;
use crate::model::Nanos;
use crate::telemetry::record::{Attributes, KeyValue, Scope, SpanKind, SpanRecord, Status, Text};

/// What `db.system.name` has.
const SYSTEM: &str = "postgresql";

/// What a CLIENT span says.
pub(super) struct Said {
    pub database: String,
    pub summary: String,
    pub text: String,
    pub began: Nanos,
    pub ended: Nanos,
}

impl Local {
    /// The CLIENT span of a statement, by the conventions for PostgreSQL.
    pub(super) fn record_query(&mut self, (parent, id): Span, said: Said, failed: Option<&Failure>) {
        let Some(scope) = self.scope.as_ref().filter(|scope| scope.trace.recording) else { return };
        let Said { database, mut summary, mut text, began, ended } = said;
        bound(&mut summary);
        bound(&mut text);
        let mut own = vec![
            KeyValue::new(attribute::DB_SYSTEM_NAME, SYSTEM),
            KeyValue::new(attribute::DB_NAMESPACE, Text::Owned(format!("{database}|public"))),
            KeyValue::new(attribute::DB_QUERY_SUMMARY, Text::Owned(summary.clone())),
            KeyValue::new(attribute::DB_QUERY_TEXT, Text::Owned(text)),
            KeyValue::new(attribute::SERVER_ADDRESS, Text::Owned(database)),
        ];
        let status = match failed {
            None => Status::Unset,
            Some(failure) => {
                own.push(KeyValue::new(attribute::DB_RESPONSE_STATUS_CODE, failure.sqlstate));
                own.push(KeyValue::new(attribute::ERROR_TYPE, failure.sqlstate));
                Status::Error(Text::Owned(failure.message.clone()))
            }
        };
        let name = if summary.is_empty() { Text::Static(SYSTEM) } else { Text::Owned(summary) };
        self.host.recorder.span(SpanRecord {
            trace_id: scope.trace.trace_id,
            span_id: id,
            parent,
            remote_parent: false,
            flags: scope.trace.flags,
            trace_state: scope.trace.trace_state.clone(),
            resource: self.identity.resource,
            scope: Scope::Bus,
            kind: SpanKind::Client,
            name,
            start: began,
            end: ended,
            attributes: Attributes { own, ..Attributes::default() },
            events: Vec::new(),
            status,
            dropped_attributes: 0,
            dropped_events: 0,
        });
    }
}
