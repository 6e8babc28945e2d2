//! `simhost:service/cache`: the caches of the topology.

use std::rc::Rc;

use futures_util::future::{FutureExt, LocalBoxFuture};
use opentelemetry_semantic_conventions::attribute;
use wasmtime::component::{HasSelf, LinkerInstance};

use crate::cache::{Cache, KEY_AT_MOST, Operation, Refused, Store, VALUE_AT_MOST};
use crate::metrics::{Incarnation, Operated, OperationKey, Origin, Server};
use crate::model::Nanos;
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::sched;
use crate::telemetry::record::{Attributes, KeyValue, SpanKind, SpanRecord, Status, Text};
use crate::wasi::bill::{self, COMMAND, FUNCTION, LOOKUP};

use super::old_names;
use super::state::{GuestState, Host, Local};
use crate::guest::bindings::simhost::service::cache;

/// Keys that are looked for at once. The WIT has the number.
const KEYS_AT_MOST: usize = 256;

/// Bytes of the values that are given at once. The WIT has the number.
const VALUES_AT_MOST: usize = 4 << 20;

/// Bytes of `db.query.text`.
const QUERY_AT_MOST: usize = 1 << 10;

/// The ways to a cache and back, as parts of the name of their draws.
const THERE: u64 = 0;
const BACK: u64 = 1;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    cache::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

/// Why a command failed: in the guest's words, and in those of its span.
struct Failed {
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
struct Command {
    host: Rc<Host>,
    process: Option<Incarnation>,
    cache: Rc<Cache>,
    operation: Operation,
    began: Nanos,
    origin: Origin,
    /// None where the trace is not kept.
    span: Option<Box<SpanRecord>>,
    has_ended: bool,
}

/// The answer to a command, when it comes.
type Answer<T> = LocalBoxFuture<'static, Result<T, cache::Error>>;

impl cache::Host for GuestState {
    fn all(&mut self) -> wasmtime::Result<Vec<String>> {
        let local = self.local.get();
        let names: Vec<_> = local.host.caches.names(local.identity.service).map(str::to_owned).collect();
        self.charge(FUNCTION + bill::bytes(names.iter().map(|name| size_of::<String>() + name.len()).sum()));
        Ok(names)
    }

    async fn get(
        &mut self,
        cache: String,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, cache::Error>> {
        let answer =
            self.start(Operation::Get, &cache, &[&key], 0, |keys, store, now| Ok(store.get(&keys[0], now)));
        let value = sched::here(answer).await.map(|value| value.map(|value| value.to_vec()));
        self.charge(bill::bytes(value.as_ref().ok().into_iter().flatten().map(Vec::len).sum()));
        Ok(value)
    }

    async fn get_many(
        &mut self,
        cache: String,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<Vec<Option<Vec<u8>>>, cache::Error>> {
        let asked: Vec<&str> = keys.iter().map(String::as_str).collect();
        let answer = self.start(Operation::GetMany, &cache, &asked, 0, |keys, store, now| {
            let values: Vec<_> = keys.iter().map(|key| store.get(key, now)).collect();
            let bytes: usize = values.iter().flatten().map(|value| value.len()).sum();
            if bytes > VALUES_AT_MOST {
                return Err(too_large(format!("the values have {bytes} bytes, more than {VALUES_AT_MOST}")));
            }
            Ok(values)
        });
        let values = sched::here(answer).await.map(|values| {
            values.into_iter().map(|value| value.map(|value| value.to_vec())).collect::<Vec<_>>()
        });
        let of = |value: &Option<Vec<u8>>| size_of_val(value) + value.as_ref().map_or(0, Vec::len);
        self.charge(bill::bytes(values.as_ref().map_or(0, |values| values.iter().map(of).sum())));
        Ok(values)
    }

    async fn set(
        &mut self,
        cache: String,
        key: String,
        value: Vec<u8>,
        ttl: Option<u64>,
    ) -> wasmtime::Result<Result<(), cache::Error>> {
        let bytes = value.len();
        let answer = self.start(Operation::Set, &cache, &[&key], bytes, move |keys, store, now| {
            let expires = ttl.map(|ttl| now.saturating_add(ttl));
            Ok(store.set(&keys[0], value.into(), expires, now)?)
        });
        Ok(sched::here(answer).await)
    }

    async fn delete(&mut self, cache: String, key: String) -> wasmtime::Result<Result<bool, cache::Error>> {
        let answer = self
            .start(Operation::Delete, &cache, &[&key], 0, |keys, store, now| Ok(store.delete(&keys[0], now)));
        Ok(sched::here(answer).await)
    }

    async fn increment(
        &mut self,
        cache: String,
        key: String,
        by: i64,
    ) -> wasmtime::Result<Result<i64, cache::Error>> {
        let answer = self.start(Operation::Increment, &cache, &[&key], 0, move |keys, store, now| {
            Ok(store.increment(&keys[0], by, now)?)
        });
        Ok(sched::here(answer).await)
    }
}

impl GuestState {
    /// Sends a command for these keys, with a value of so many `bytes`; `run` is what the cache does when the
    /// command has arrived.
    fn start<T: 'static>(
        &mut self,
        operation: Operation,
        cache: &str,
        keys: &[&str],
        bytes: usize,
        run: impl FnOnce(&[String], &mut Store, Nanos) -> Result<T, Failed> + 'static,
    ) -> Answer<T> {
        let names: usize = keys.iter().map(|key| size_of::<String>() + key.len()).sum();
        let lookups = keys.len() as u64 * LOOKUP;
        self.charge(FUNCTION + COMMAND + lookups + bill::bytes(cache.len() + names + bytes));
        let local = self.local.get_mut();
        let refused = |error| std::future::ready(Err(error)).boxed_local();
        let cache = match local.host.caches.find(local.identity.service, cache) {
            Ok(cache) => cache,
            Err(known) => return refused(cache::Error::UnknownCache(known)),
        };
        if let Err(error) = check(keys, bytes) {
            return refused(error);
        }
        match local.command(operation, cache, keys) {
            Some((command, chance)) => {
                let keys = keys.iter().map(|key| (*key).to_owned()).collect();
                let process = Rc::clone(&local.identity.process);
                command.run(chance, process, keys, run).boxed_local()
            }
            None => refused(cache::Error::Invalid("a cache is used while a request is served".to_owned())),
        }
    }
}

/// Refuses what is over a bound, before anything is sent.
fn check(keys: &[&str], bytes: usize) -> Result<(), cache::Error> {
    let longest = keys.iter().map(|key| key.len()).max().unwrap_or(0);
    let text = if keys.len() > KEYS_AT_MOST {
        format!("{} keys are more than {KEYS_AT_MOST}", keys.len())
    } else if longest > KEY_AT_MOST {
        format!("a key of {longest} bytes is longer than {KEY_AT_MOST}")
    } else if bytes > VALUE_AT_MOST {
        format!("a value of {bytes} bytes is longer than {VALUE_AT_MOST}")
    } else {
        return Ok(());
    };
    Err(cache::Error::TooLarge(text))
}

/// The client takes no answer of this size.
fn too_large(message: String) -> Failed {
    let error = cache::Error::TooLarge(message.clone());
    Failed { error, kind: "too_large", is_answer: false, message }
}

impl Local {
    /// Begins the span of a command, and names its draws; none outside of a request.
    fn command(&mut self, operation: Operation, cache: Rc<Cache>, keys: &[&str]) -> Option<(Command, Key)> {
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
        let (host, process) = (Rc::clone(&self.host), self.process);
        Some((Command { host, process, cache, operation, began, origin, span, has_ended: false }, chance))
    }
}

/// `db.query.text`: the command with its keys, as far as there is room, and without values.
fn query(operation: Operation, keys: &[&str]) -> String {
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
    async fn run<T>(
        self,
        chance: Key,
        process: Rc<Process>,
        keys: Vec<String>,
        run: impl FnOnce(&[String], &mut Store, Nanos) -> Result<T, Failed>,
    ) -> Result<T, cache::Error> {
        let settings = &self.cache.settings;
        let leg = |way| settings.latency.sample(&mut chance.with(way).stream());
        let arrives = self.began.saturating_add(leg(THERE));
        let answered = arrives.saturating_add(leg(BACK));
        let given_up = settings.timeout.map(|timeout| self.began.saturating_add(timeout));
        let sched = &self.host.sched;
        let executed = match given_up {
            Some(given_up) if given_up < arrives => None,
            _ => {
                sched.sleep_until(arrives).await;
                Some(run(&keys, &mut self.cache.store.borrow_mut(), sched.now()))
            }
        };
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

#[cfg(test)]
mod tests;
