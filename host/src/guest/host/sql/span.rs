//! The spans of statements, and of connections that could not be had.

use std::rc::Rc;

use opentelemetry_semantic_conventions::attribute;
use simhost_sql::{Done, Failure, Work};

use super::{Host, Local, refusal};
use crate::database::{Answer, Live, NoConnection};
use crate::guest::attributes::bound;
use crate::guest::bindings::simhost::service::sql;
use crate::guest::host::old_names;
use crate::metrics::{Incarnation, Origin};
use crate::model::{Database, Nanos};
use crate::telemetry::record::{Attributes, KeyValue, SpanKind, SpanRecord, Status, Text};

/// What `db.system.name` has.
pub(super) const SYSTEM: &str = Database::SYSTEM;

/// What `error.type` has of a statement whose guest is stopped.
const CANCELLED: &str = "cancelled";

/// What `error.type` has of a wait for a connection that was too long.
const TIMEOUT: &str = "timeout";

/// What `db.operation.name` has of a connection that is opened.
const CONNECT: &str = "CONNECT";

/// Who asks, for what is recorded and measured.
#[derive(Clone)]
pub(super) struct Asker {
    pub host: Rc<Host>,
    /// None without metrics.
    pub process: Option<Incarnation>,
    pub origin: Origin,
}

/// A statement on its way. It leaves its span and its measurement in every case: also where its guest is
/// stopped.
pub(super) struct Sent {
    asker: Asker,
    /// None where the trace is not kept.
    span: Option<Box<SpanRecord>>,
    live: Rc<Live>,
    /// Summary and text as spans have them, once they are known.
    described: Option<(String, String)>,
    text: String,
    began: Nanos,
    has_ended: bool,
}

/// A connection that could not be had.
pub(super) struct Unconnected {
    pub asker: Asker,
    /// None where the trace is not kept.
    pub span: Option<Box<SpanRecord>>,
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

impl Sent {
    /// A statement with this text that begins now, in this span.
    pub fn new(asker: Asker, mut span: Option<Box<SpanRecord>>, live: &Rc<Live>, text: &str) -> Self {
        let began = asker.host.sched.now();
        if let Some(span) = &mut span {
            span.start = began;
        }
        asker.host.recorder.opened();
        let (live, text) = (Rc::clone(live), text.to_owned());
        Self { asker, span, live, described: None, text, began, has_ended: false }
    }

    /// This is its summary, and its text without values.
    pub fn describe(&mut self, summary: &str, text: &str) {
        self.described = Some((summary.to_owned(), text.to_owned()));
    }

    /// It has this answer.
    pub fn answered(mut self, answer: &Answer) {
        let failed = answer.result.as_ref().err();
        let rows = |done: &Done| (!done.columns.is_empty()).then_some(done.rows.len());
        let rows = answer.result.as_ref().ok().and_then(rows);
        self.finish(failed.map(Why::Failed), (answer.work, answer.locked), rows);
    }

    /// A word that begins or ends a transaction has had its effect, or has not.
    pub fn controlled(mut self, failed: Option<&Failure>) {
        self.finish(failed.map(Why::Failed), (Work::default(), 0), None);
    }

    /// Where its span is lost, as its worker is, so is all else.
    fn finish(&mut self, why: Option<Why<'_>>, (work, locked): (Work, Nanos), rows: Option<usize>) {
        self.has_ended = true;
        let described = self.described.take();
        let (mut summary, mut text) = described.unwrap_or_else(|| simhost_sql::described(&self.text));
        bound(&mut summary);
        bound(&mut text);
        let Self { asker, live, began, .. } = self;
        let recorder = &asker.host.recorder;
        let ended = asker.host.sched.now();
        let error = why.as_ref().map(Why::kind);
        if !recorder.is_losing() {
            live.answered(&summary, ended - *began, error, (work, locked));
            asker.measure(live, Operation::Statement(&summary), error, (*began, ended), rows);
        }
        recorder.closed();
        let Some(mut span) = self.span.take() else { return };
        let old = recorder.has_old_database_names().then(|| {
            old_names::of_statement(SYSTEM, &live.settings.name, &summary, &text).collect::<Vec<_>>()
        });
        let own = &mut span.attributes.own;
        own.extend([
            KeyValue::new(attribute::DB_SYSTEM_NAME, SYSTEM),
            KeyValue::new(attribute::DB_NAMESPACE, namespace(live)),
        ]);
        // A text that is empty, or of which nothing can be read, has neither.
        let said = [(attribute::DB_QUERY_SUMMARY, summary.clone()), (attribute::DB_QUERY_TEXT, text)];
        let said = said.into_iter().filter(|(_, value)| !value.is_empty());
        own.extend(said.map(|(key, value)| KeyValue::new(key, Text::Owned(value))));
        own.push(KeyValue::new(attribute::SERVER_ADDRESS, Text::Owned(live.settings.name.clone())));
        own.extend(old.into_iter().flatten());
        let status = why.map(|why| why.said(own));
        span.status = status.unwrap_or(Status::Unset);
        if !summary.is_empty() {
            span.name = Text::Owned(summary);
        }
        span.end = ended;
        recorder.span(*span);
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if !self.has_ended {
            self.finish(Some(Why::Cancelled), (Work::default(), 0), None);
        }
    }
}

/// Why there is no result.
enum Why<'a> {
    Failed(&'a Failure),
    /// Its guest was stopped.
    Cancelled,
}

impl Why<'_> {
    /// `error.type`.
    const fn kind(&self) -> &'static str {
        match self {
            Self::Failed(failure) => failure.sqlstate,
            Self::Cancelled => CANCELLED,
        }
    }

    /// The status of its span; its attributes go to `own`.
    fn said(&self, own: &mut Vec<KeyValue>) -> Status {
        match self {
            Self::Failed(failure) => fail(own, failure),
            Self::Cancelled => {
                own.push(KeyValue::new(attribute::ERROR_TYPE, CANCELLED));
                Status::Error(Text::Static(""))
            }
        }
    }
}

impl Local {
    /// The span of a connection that could not be had, and what its guest is told. One that the database has
    /// refused is a call to it. A wait for the pool is none: its span stays within the process.
    pub(super) fn unconnected(&mut self, unconnected: Unconnected) -> sql::Error {
        let Unconnected { asker, span, live, began, ended, reason } = unconnected;
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
                asker.measure(&live, Operation::Connect, error, (began, ended), None);
                own.push(KeyValue::new(attribute::DB_NAMESPACE, namespace(&live)));
                own.push(KeyValue::new(attribute::DB_OPERATION_NAME, CONNECT));
                own.push(KeyValue::new(attribute::SERVER_ADDRESS, Text::Owned(name.clone())));
                let status = fail(&mut own, &failure);
                (SpanKind::Client, CONNECT, status, sql::Error::Refused(refusal(failure)))
            }
        };
        if let Some(span) = span {
            let (name, attributes) =
                (Text::Owned(format!("{operation} {name}")), Attributes { own, ..Attributes::default() });
            self.host.recorder.span(SpanRecord {
                kind,
                name,
                start: began,
                end: ended,
                attributes,
                status,
                ..*span
            });
        }
        error
    }
}

/// The attributes of a failure, and the status of its span.
fn fail(own: &mut Vec<KeyValue>, failure: &Failure) -> Status {
    own.push(KeyValue::new(attribute::DB_RESPONSE_STATUS_CODE, failure.sqlstate));
    own.push(KeyValue::new(attribute::ERROR_TYPE, failure.sqlstate));
    Status::Error(Text::Owned(failure.message.clone()))
}
