//! The spans of statements, and of connections that could not be had.

use std::rc::Rc;

use opentelemetry_semantic_conventions::attribute;
use simhost_sql::{Failure, Work};

use super::{Local, Span, refusal};
use crate::database::{Live, NoConnection};
use crate::guest::attributes::bound;
use crate::guest::bindings::simhost::service::sql;
use crate::guest::host::old_names;
use crate::model::Nanos;
use crate::telemetry::record::{Attributes, KeyValue, Scope, SpanKind, SpanRecord, Status, Text};

/// What `db.system.name` has.
pub(super) const SYSTEM: &str = "postgresql";

/// What `error.type` has of a wait for a connection that was too long.
const TIMEOUT: &str = "timeout";

/// What `db.operation.name` has of a connection that is opened.
const CONNECT: &str = "CONNECT";

/// What a CLIENT span says.
pub(super) struct Said {
    pub live: Rc<Live>,
    pub summary: String,
    pub text: String,
    pub began: Nanos,
    pub ended: Nanos,
    pub work: Work,
    /// How long it waited for locks.
    pub locked: Nanos,
}

/// A connection that could not be had.
pub(super) struct Unconnected {
    pub span: Span,
    pub live: Rc<Live>,
    pub began: Nanos,
    pub ended: Nanos,
    pub reason: NoConnection,
}

/// What was asked of a database.
#[derive(Clone, Copy, Debug)]
pub(super) enum Operation<'a> {
    /// A statement with this summary, which is empty if there is none.
    Statement(&'a str),
    Connect,
}

impl Operation<'_> {
    pub fn text(&self) -> &str {
        match self {
            Self::Statement(summary) => summary,
            Self::Connect => CONNECT,
        }
    }

    /// What tells it apart, by the conventions: an operation is not read from a statement, but summed up.
    pub fn attribute(&self) -> Option<KeyValue> {
        match self {
            Self::Statement("") => None,
            Self::Statement(summary) => {
                Some(KeyValue::new(attribute::DB_QUERY_SUMMARY, Text::Owned((*summary).to_owned())))
            }
            Self::Connect => Some(KeyValue::new(attribute::DB_OPERATION_NAME, CONNECT)),
        }
    }
}

/// `db.namespace`: database and schema, by the conventions for PostgreSQL.
pub(super) fn namespace(live: &Live) -> Text {
    Text::Owned(format!("{}|public", live.settings.name))
}

impl Local {
    /// Records the CLIENT span of a statement, by the conventions for PostgreSQL, and measures it. `rows` are
    /// those of its result, if it gives any.
    pub(super) fn record_query(
        &mut self,
        span: Span,
        said: Said,
        failed: Option<&Failure>,
        rows: Option<usize>,
    ) {
        let Said { live, mut summary, mut text, began, ended, work, locked } = said;
        bound(&mut summary);
        bound(&mut text);
        let error = failed.map(|failure| failure.sqlstate);
        live.answered(&summary, ended - began, error, (work, locked));
        self.measure(span, &live, Operation::Statement(&summary), error, (began, ended), rows);
        if !self.is_recording() {
            return;
        }
        let old = self.host.recorder.has_old_database_names().then(|| {
            old_names::of_statement(SYSTEM, &live.settings.name, &summary, &text).collect::<Vec<_>>()
        });
        let mut own = vec![
            KeyValue::new(attribute::DB_SYSTEM_NAME, SYSTEM),
            KeyValue::new(attribute::DB_NAMESPACE, namespace(&live)),
            KeyValue::new(attribute::DB_QUERY_SUMMARY, Text::Owned(summary.clone())),
            KeyValue::new(attribute::DB_QUERY_TEXT, Text::Owned(text)),
            KeyValue::new(attribute::SERVER_ADDRESS, Text::Owned(live.settings.name.clone())),
        ];
        own.extend(old.into_iter().flatten());
        let status = failed.map_or(Status::Unset, |failure| fail(&mut own, failure));
        let name = if summary.is_empty() { Text::Static(SYSTEM) } else { Text::Owned(summary) };
        self.record_sql(span, SpanKind::Client, name, (began, ended), own, status);
    }

    /// The span of a connection that could not be had, and what its guest is told. One that the database has
    /// refused is a call to it. A wait for the pool is none: its span stays within the process.
    pub(super) fn unconnected(&mut self, unconnected: Unconnected) -> sql::Error {
        let Unconnected { span, live, began, ended, reason } = unconnected;
        let name = &live.settings.name;
        let mut own = vec![KeyValue::new(attribute::DB_SYSTEM_NAME, SYSTEM)];
        let (kind, operation, status, error) = match reason {
            NoConnection::Timeout => {
                let pool = Text::Owned(name.clone());
                own.push(KeyValue::new(attribute::DB_CLIENT_CONNECTION_POOL_NAME, pool));
                own.push(KeyValue::new(attribute::ERROR_TYPE, TIMEOUT));
                let status = Status::Error(Text::Static("no connection of the pool was free in time"));
                (SpanKind::Internal, "get connection", status, sql::Error::PoolTimeout)
            }
            NoConnection::Refused(failure, _) => {
                let error = Some(failure.sqlstate);
                self.measure(span, &live, Operation::Connect, error, (began, ended), None);
                own.push(KeyValue::new(attribute::DB_NAMESPACE, namespace(&live)));
                own.push(KeyValue::new(attribute::DB_OPERATION_NAME, CONNECT));
                own.push(KeyValue::new(attribute::SERVER_ADDRESS, Text::Owned(name.clone())));
                let status = fail(&mut own, &failure);
                (SpanKind::Client, CONNECT, status, sql::Error::Refused(refusal(failure)))
            }
        };
        let name = Text::Owned(format!("{operation} {name}"));
        self.record_sql(span, kind, name, (began, ended), own, status);
        error
    }

    fn is_recording(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.trace.recording)
    }

    fn record_sql(
        &mut self,
        (parent, id): Span,
        kind: SpanKind,
        name: Text,
        (start, end): (Nanos, Nanos),
        own: Vec<KeyValue>,
        status: Status,
    ) {
        let Some(scope) = self.scope.as_ref().filter(|scope| scope.trace.recording) else { return };
        self.host.recorder.span(SpanRecord {
            trace_id: scope.trace.trace_id,
            span_id: id,
            parent,
            remote_parent: false,
            flags: scope.trace.flags,
            trace_state: scope.trace.trace_state.clone(),
            resource: self.identity.resource,
            scope: Scope::Bus,
            kind,
            name,
            start,
            end,
            attributes: Attributes { own, ..Attributes::default() },
            events: Vec::new(),
            links: Box::default(),
            status,
            dropped_attributes: 0,
            dropped_events: 0,
        });
    }
}

/// The attributes of a failure, and the status of its span.
fn fail(own: &mut Vec<KeyValue>, failure: &Failure) -> Status {
    own.push(KeyValue::new(attribute::DB_RESPONSE_STATUS_CODE, failure.sqlstate));
    own.push(KeyValue::new(attribute::ERROR_TYPE, failure.sqlstate));
    Status::Error(Text::Owned(failure.message.clone()))
}
