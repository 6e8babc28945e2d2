//! A command on its way to a cache and back.

use std::cell::RefMut;
use std::rc::Rc;

use opentelemetry_semantic_conventions::attribute;

use crate::cache::{Cache, Operation, Refused, Store, Struck, Way};
use crate::metrics::{Incarnation, Operated, OperationKey, Origin, Server};
use crate::model::Nanos;
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::telemetry::record::{Attributes, KeyValue, SpanKind, SpanRecord, Status, Text};

use super::super::old_names;
use super::super::state::{Host, Local};
use crate::guest::bindings::simhost::service::cache;
use crate::guest::outbound::Asking;

/// Bytes of `db.query.text`.
const QUERY_AT_MOST: usize = 1 << 10;

/// The ways to a cache and back, as parts of the name of their draws; and that of the news that an entry is
/// there.
const THERE: u64 = 0;
const BACK: u64 = 1;
pub(super) const NEWS: u64 = 2;

/// Why a command failed: in the guest's words, and in those of its span.
pub(super) struct Failed {
    error: cache::Error,
    kind: &'static str,
    /// Whether that is the answer of the cache: the first word of an error of Redis.
    is_answer: bool,
    message: String,
}

impl From<Refused> for Failed {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NotANumber => Self {
                error: cache::Error::NotANumber,
                kind: "ERR",
                is_answer: true,
                message: "value is not an integer or out of range".to_owned(),
            },
            Refused::TooLarge(bytes) => {
                let message = format!("the entry takes {bytes} bytes, more than `memory` of the cache");
                let error = cache::Error::TooLarge(message.clone());
                Self { error, kind: "OOM", is_answer: true, message }
            }
        }
    }
}

/// A command on its way. It leaves its span and its measurement in every case: also where its guest is
/// stopped.
pub(super) struct Command {
    host: Rc<Host>,
    process: Option<Incarnation>,
    cache: Rc<Cache>,
    operation: Operation,
    began: Nanos,
    origin: Origin,
    asking: Asking,
    /// None where the trace is not kept.
    span: Option<Box<SpanRecord>>,
    has_ended: bool,
}

/// Where a command is executed, and when.
pub(super) struct There<'a> {
    pub cache: &'a Cache,
    pub keys: &'a [String],
    pub now: Nanos,
    /// Names the draws of the command.
    pub chance: Key,
}

impl There<'_> {
    pub fn key(&self) -> &str {
        &self.keys[0]
    }

    pub fn store(&self) -> RefMut<'_, Store> {
        self.cache.store.borrow_mut()
    }

    /// The entry is there: whoever has waited for it goes on.
    pub fn has_set(&self) {
        if let Some(flights) = &self.cache.flights {
            flights.landed(self.key());
        }
    }
}

/// The client takes no answer of this size.
pub(super) fn too_large(message: String) -> Failed {
    let error = cache::Error::TooLarge(message.clone());
    Failed { error, kind: "too_large", is_answer: false, message }
}

/// Nobody listens.
fn refused() -> Failed {
    const KIND: &str = "connection_refused";
    let message = "connection refused".to_owned();
    let error = cache::Error::Other(cache::OtherError { kind: KIND.to_owned(), message: message.clone() });
    Failed { error, kind: KIND, is_answer: false, message }
}

impl Local {
    /// Begins the span of a command, and names its draws; none outside of a request.
    pub(super) fn command(
        &mut self,
        operation: Operation,
        cache: Rc<Cache>,
        keys: &[&str],
    ) -> Option<(Command, Key)> {
        let began = self.ahead.reach();
        let scope = self.scope.as_mut()?;
        let (parent, id) = scope.child();
        let trace = &scope.trace;
        let mut attributes = Attributes::default();
        if trace.recording {
            let text = query(operation, keys);
            let old = self.host.recorder.has_old_database_names();
            let old = old.then(|| old_names::of_command(cache.settings.system.name(), &text));
            let own = std::iter::once(KeyValue::new(attribute::DB_QUERY_TEXT, text));
            attributes.own = own.chain(old.into_iter().flatten()).collect();
            attributes.shared = Some(cache.attributes(operation));
        }
        let called = (SpanKind::Client, Text::Static(operation.name()));
        let span = scope.begin_span((parent, id), self.identity.resource, called, attributes, began);
        let origin = scope.origin(id, began);
        let chance = trace.chance(Purpose::Latency, id);
        self.host.recorder.opened();
        cache.asked();
        let asking = Asking::new(scope, &self.identity, id);
        let (host, process) = (Rc::clone(&self.host), self.process);
        Some((
            Command { host, process, cache, operation, began, origin, asking, span, has_ended: false },
            chance,
        ))
    }
}

/// `db.query.text`: the command with its keys, as far as there is room, and without values.
pub(super) fn query(operation: Operation, keys: &[&str]) -> String {
    let mut text = operation.name().to_owned();
    for key in keys {
        if text.len() + 1 + key.len() > QUERY_AT_MOST {
            break;
        }
        text.extend([" ", key]);
    }
    if matches!(operation, Operation::Set | Operation::Increment) {
        text.push_str(" ?");
    }
    text
}

impl Command {
    /// Goes to the cache, is executed there, and comes back to its process.
    pub async fn run<T>(
        self,
        chance: Key,
        process: Rc<Process>,
        keys: Vec<String>,
        run: impl FnOnce(&There<'_>) -> Result<T, Failed>,
    ) -> Result<T, cache::Error> {
        let settings = &self.cache.settings;
        let leg = |way| settings.latency.sample(&mut chance.with(way).stream());
        let mut arrives = self.began.saturating_add(leg(THERE));
        let mut answered = arrives.saturating_add(leg(BACK));
        let given_up = settings.timeout.map(|timeout| self.began.saturating_add(timeout));
        let is_too_late = |at| given_up.is_some_and(|given_up| given_up < at);
        let sched = &self.host.sched;
        let mut executed = None;
        if !is_too_late(arrives) {
            sched.sleep_until(arrives).await;
            let way = if self.cache.is_in_trouble() { self.befall(chance) } else { Way::InTime };
            match way {
                Way::InTime => executed = Some(self.execute(&keys, chance, run)),
                Way::Later(by) => {
                    (arrives, answered) = (arrives.saturating_add(by), answered.saturating_add(by));
                    if !is_too_late(arrives) {
                        sched.sleep_until(arrives).await;
                        executed = Some(self.execute(&keys, chance, run));
                    }
                }
                Way::Refused => executed = Some(Err(refused())),
                Way::Swallowed if given_up.is_none() => std::future::pending().await,
                Way::Swallowed => answered = Nanos::MAX,
            }
        }
        // A process that stands still notices nothing.
        process.wait(given_up.map_or(answered, |given_up| given_up.min(answered))).await;
        let result = match (executed, given_up) {
            (Some(result), None) => result,
            (Some(result), Some(given_up)) if answered <= given_up => result,
            _ => Err(Failed {
                error: cache::Error::Timeout,
                kind: "timeout",
                is_answer: false,
                message: "no answer in time".to_owned(),
            }),
        };
        self.finish(result)
    }

    /// How it fares, as faults say that have the cache.
    fn befall(&self, chance: Key) -> Way {
        let now = self.host.sched.now();
        let fate = self.cache.befall(chance, now);
        self.struck(fate.struck);
        fate.way
    }

    /// The cache executes it.
    fn execute<T>(
        &self,
        keys: &[String],
        chance: Key,
        run: impl FnOnce(&There<'_>) -> Result<T, Failed>,
    ) -> Result<T, Failed> {
        let now = self.host.sched.now();
        self.cache.arrived();
        if self.cache.is_in_trouble() {
            self.cache.settle(now);
            if matches!(self.operation, Operation::Get | Operation::GetMany) {
                self.struck(self.cache.taken(keys, now));
            }
        }
        run(&There { cache: &self.cache, keys, now, chance })
    }

    fn struck(&self, by: Struck) {
        let Some(outbound) = self.host.outbound.get() else { return };
        for (fault, longer) in by {
            outbound.strikes(fault, &self.asking, longer);
        }
    }

    fn finish<T>(mut self, result: Result<T, Failed>) -> Result<T, cache::Error> {
        match result {
            Ok(value) => {
                self.end(None);
                Ok(value)
            }
            Err(Failed { error, kind, is_answer, message }) => {
                self.end(Some((kind, is_answer, message)));
                Err(error)
            }
        }
    }

    /// Leaves its span and its measurement; `failed` says why it failed: `error.type`, whether that is the
    /// answer of the cache, and a text.
    fn end(&mut self, failed: Option<(&'static str, bool, String)>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let now = self.host.sched.now();
        if failed.as_ref().is_some_and(|(_, is_answer, _)| !is_answer) {
            self.cache.note(|clients| clients.unanswered += 1);
        }
        let error = failed.as_ref().map(|(kind, is_answer, _)| (*kind, *is_answer));
        self.measure(error, now);
        self.host.recorder.closed();
        let Some(mut span) = self.span.take() else { return };
        span.end = now;
        if let Some((kind, is_answer, message)) = failed {
            span.attributes.own.extend(of_error(kind, is_answer));
            span.status = Status::Error(Text::Owned(message));
        }
        self.host.recorder.span(*span);
    }

    /// Where its span is lost, as its worker is, so is the measurement.
    fn measure(&self, error: Option<(&'static str, bool)>, now: Nanos) {
        let (Some(metrics), Some(process)) = (&self.host.metrics, self.process) else { return };
        if self.host.recorder.is_losing() {
            return;
        }
        let Self { cache, operation, origin, .. } = self;
        let (server, operation) = (Server::Cache(cache.number), *operation);
        let key = OperationKey { server, operation: operation as u32, error: error.map(|(kind, _)| kind) };
        let attributes = || {
            let of_error = error.into_iter().flat_map(|(kind, is_answer)| of_error(kind, is_answer));
            cache.measured(operation).into_iter().chain(of_error).collect()
        };
        let origin = Origin { time: now, ..*origin };
        metrics.operated(process, key, attributes, Operated { took: now - self.began, rows: None, origin });
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.end(Some(("cancelled", false, String::new())));
    }
}

fn of_error(kind: &'static str, is_answer: bool) -> impl Iterator<Item = KeyValue> {
    let status = is_answer.then(|| KeyValue::new(attribute::DB_RESPONSE_STATUS_CODE, kind));
    status.into_iter().chain([KeyValue::new(attribute::ERROR_TYPE, kind)])
}
