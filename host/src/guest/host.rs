//! What a guest may call: the imports of `simhost:service`.

use std::rc::Rc;

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use wasmtime::component::Resource;

use crate::message::{Headers, Request, Response};
use crate::process::Death;
use crate::sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{Event, KeyValue, LogRecord, Severity, SpanKind, Status, Text, Value};
use crate::telemetry::recorder::Recorder;

use super::bindings::simhost::service::{bus, clock, config, http, incoming, logging, tracing};
use super::scope::{RequestScope, bound, merge};
use super::{CallError, GuestState, Local};

/// A worker has at most so many calls under way, those included that its guest
/// does not wait for.
const PENDING_CALLS: u32 = 256;

/// A call under way: a number of the worker's own.
#[derive(Debug)]
pub struct Pending;

/// Where the response of a call under way arrives.
pub type PendingCall = sched::Receiver<Result<Response, CallError>>;

/// A span that the guest holds: a number of the worker's own.
#[derive(Debug)]
pub struct Span;

impl http::Host for GuestState {}

impl Local {
    fn serving(&self) -> wasmtime::Result<&RequestScope> {
        let Some(scope) = &self.scope else {
            wasmtime::bail!("the guest asked for the request while it served none");
        };
        Ok(scope)
    }
}

impl incoming::Host for GuestState {
    fn method(&mut self) -> wasmtime::Result<String> {
        Ok(self.local.get().serving()?.request.method.clone())
    }

    fn path_and_query(&mut self) -> wasmtime::Result<String> {
        Ok(self.local.get().serving()?.request.target.clone())
    }

    fn params(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.local.get().serving()?.params.clone())
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.local.get().serving()?.headers().into_owned().0)
    }

    fn header(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        Ok(self.local.get().serving()?.headers().get(&name).map(str::to_owned))
    }

    fn body(&mut self) -> wasmtime::Result<Vec<u8>> {
        Ok(self.local.get().serving()?.request.body.clone())
    }
}

impl bus::Host for GuestState {
    async fn call(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        Ok(answer(sched::here(self.local.get_mut().start_call(service, request, options)).await))
    }
}

impl bus::HostPending for GuestState {
    fn new(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> wasmtime::Result<Resource<Pending>> {
        let local = self.local.get_mut();
        let handle = local.next_handle();
        let live = Rc::clone(&local.live_calls);
        if live.get() >= PENDING_CALLS {
            // To wait for a handle that is not there is `invalid`.
            return Ok(Resource::new_own(handle));
        }
        let (send, receive) = sched::oneshot();
        let call = local.start_call(service, request, options);
        live.set(live.get() + 1);
        let answered = call.map(move |response| {
            live.set(live.get() - 1);
            // A guest that does not wait for it has dropped the other end.
            send.send(response).ok();
        });
        let process = &local.identity.process;
        if process.may_die() {
            local.host.sched.spawn(until_death(process.death(), answered, Rc::clone(&local.host.recorder)));
        } else {
            local.host.sched.spawn(answered);
        }
        local.pending.insert(handle, receive);
        Ok(Resource::new_own(handle))
    }

    async fn wait(
        &mut self,
        pending: Resource<Pending>,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        let call = self.local.get_mut().pending.remove(&pending.rep()).map(sched::here);
        let response = match call {
            Some(call) => call.await.unwrap_or_else(|_| Err(CallError::Reset("the run is over".to_owned()))),
            None => Err(CallError::Invalid(format!(
                "this call was waited for already, or was one more than {PENDING_CALLS} at a time"
            ))),
        };
        Ok(answer(response))
    }

    fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.local.get_mut().pending.remove(&pending.rep());
        Ok(())
    }
}

/// Goes on with a call until the process dies that makes it.
async fn until_death(death: Death, call: impl Future<Output = ()>, recorder: Rc<Recorder>) {
    let mut call = Box::pin(call);
    // Death first: what comes at the same instant, nobody gets.
    if let Either::Left(_) = select(death, call.as_mut()).await {
        recorder.lose(|| drop(call));
    }
}

impl Local {
    fn start_call(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        let (Some(scope), Some(outbound)) = (&mut self.scope, self.host.outbound.get()) else {
            let error = CallError::Invalid("calls are made while a request is served".to_owned());
            return std::future::ready(Err(error)).boxed_local();
        };
        // Before anything is kept for it: the callee's own limits are checked later.
        let (body, most) = (request.body.len() as u64, self.identity.limits.body);
        let names = service.len() + request.method.len() + request.path_and_query.len();
        if body > most || names as u64 > self.identity.limits.headers {
            let text = format!("a body of {body} bytes, or names of {names}, exceed this service's limits");
            return std::future::ready(Err(CallError::Invalid(text))).boxed_local();
        }
        let request = Request {
            method: request.method,
            target: request.path_and_query,
            headers: Headers(request.headers),
            body: request.body,
        };
        outbound.call(scope.caller(&self.identity), service, request, options.timeout_ns)
    }

    /// A number for what the guest holds, which nothing else that it holds has:
    /// a handle from an earlier request means nothing any more.
    fn next_handle(&mut self) -> u32 {
        self.handles = self.handles.wrapping_add(1);
        self.handles
    }

    /// Log records refer to what is current from now on.
    fn note_current(&self) {
        self.output.current.set(self.scope.as_ref().and_then(|scope| scope.current()));
    }
}

fn answer(response: Result<Response, CallError>) -> Result<http::Response, bus::CallError> {
    match response {
        Ok(Response { status, headers, body }) => Ok(http::Response { status, headers: headers.0, body }),
        Err(error) => Err(match error {
            CallError::UnknownService(text) => bus::CallError::UnknownService(text),
            CallError::Timeout | CallError::DeadlineExceeded => bus::CallError::Timeout,
            CallError::Refused(text) => bus::CallError::Refused(text),
            CallError::CircuitOpen(_) | CallError::BulkheadFull(_) => {
                bus::CallError::Refused(error.to_string())
            }
            CallError::Reset(text) => bus::CallError::Reset(text),
            CallError::DepthExceeded(depth) => bus::CallError::DepthExceeded(depth),
            CallError::Invalid(text) => bus::CallError::Invalid(text),
        }),
    }
}

impl tracing::Host for GuestState {
    fn current(&mut self) -> wasmtime::Result<Option<tracing::SpanContext>> {
        let local = self.local.get();
        Ok(local.scope.as_ref().map(|scope| tracing::SpanContext {
            trace_id: scope.trace.trace_id.to_string(),
            span_id: scope.current_id().to_string(),
            sampled: scope.trace.flags.sampled(),
        }))
    }

    fn annotate(&mut self, attributes: tracing::Attributes) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            scope.annotate(attributes.into_iter().map(key_value), &local.host.span_limits);
        }
        Ok(())
    }

    fn get_baggage(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let local = self.local.get();
        let scope = local.scope.as_ref();
        Ok(scope.and_then(|scope| scope.baggage.get(&key)).map(std::borrow::Cow::into_owned))
    }

    fn set_baggage(&mut self, key: String, value: String) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            scope.baggage = scope.baggage.with(&key, &value);
        }
        Ok(())
    }
}

impl tracing::HostSpan for GuestState {
    fn new(
        &mut self,
        name: String,
        kind: tracing::SpanKind,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<Resource<Span>> {
        let local = self.local.get_mut();
        let handle = local.next_handle();
        let now = local.host.sched.now();
        if let Some(scope) = &mut local.scope {
            if scope.start(handle, name, span_kind(kind), now) {
                local.host.recorder.opened();
            } else if scope.trace.recording {
                local.host.recorder.cut_span();
            }
            scope.set_attributes(handle, attributes.into_iter().map(key_value), &local.host.span_limits);
        }
        local.note_current();
        Ok(Resource::new_own(handle))
    }

    fn set_attributes(
        &mut self,
        span: Resource<Span>,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            let attributes = attributes.into_iter().map(key_value);
            scope.set_attributes(span.rep(), attributes, &local.host.span_limits);
        }
        Ok(())
    }

    fn add_event(
        &mut self,
        span: Resource<Span>,
        mut name: String,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        bound(&mut name);
        let attributes = attributes.into_iter().map(key_value).collect();
        let event = Event { name: Text::Owned(name), time: local.host.sched.now(), attributes };
        if let Some(scope) = &mut local.scope {
            scope.add_event(span.rep(), event, &local.host.span_limits);
        }
        Ok(())
    }

    fn record_error(&mut self, span: Resource<Span>, kind: String, message: String) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        let event = Event::exception(local.host.sched.now(), kind, message, None);
        if let Some(scope) = &mut local.scope {
            scope.add_event(span.rep(), event, &local.host.span_limits);
        }
        Ok(())
    }

    fn set_status(
        &mut self,
        span: Resource<Span>,
        status: tracing::Status,
        mut description: String,
    ) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        bound(&mut description);
        let status = match status {
            tracing::Status::Unset => Status::Unset,
            tracing::Status::Ok => Status::Ok,
            tracing::Status::Error => Status::Error(Text::Owned(description)),
        };
        if let Some(scope) = &mut local.scope {
            scope.set_status(span.rep(), status);
        }
        Ok(())
    }

    fn update_name(&mut self, span: Resource<Span>, name: String) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            scope.rename(span.rep(), name);
        }
        Ok(())
    }

    fn context(&mut self, span: Resource<Span>) -> wasmtime::Result<tracing::SpanContext> {
        let local = self.local.get();
        let Some(scope) = &local.scope else {
            wasmtime::bail!("a span was used after its request had ended");
        };
        let id = scope.id_of(span.rep());
        Ok(tracing::SpanContext {
            trace_id: scope.trace.trace_id.to_string(),
            span_id: id.unwrap_or_else(|| scope.current_id()).to_string(),
            sampled: id.is_some() && scope.trace.flags.sampled(),
        })
    }

    fn drop(&mut self, span: Resource<Span>) -> wasmtime::Result<()> {
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            scope.end(span.rep(), &local.host, &local.identity);
        }
        local.note_current();
        Ok(())
    }
}

const fn span_kind(kind: tracing::SpanKind) -> SpanKind {
    match kind {
        tracing::SpanKind::Internal => SpanKind::Internal,
        tracing::SpanKind::Client => SpanKind::Client,
        tracing::SpanKind::Server => SpanKind::Server,
        tracing::SpanKind::Producer => SpanKind::Producer,
        tracing::SpanKind::Consumer => SpanKind::Consumer,
    }
}

fn key_value((key, value): (String, tracing::Value)) -> KeyValue {
    let value = match value {
        tracing::Value::Text(text) => Value::Text(Text::Owned(text)),
        tracing::Value::Bool(value) => Value::Bool(value),
        tracing::Value::Int(value) => Value::Int(value),
        tracing::Value::Float(value) => Value::Float(value),
        tracing::Value::Texts(values) => Value::Texts(values),
        tracing::Value::Ints(values) => Value::Ints(values),
    };
    KeyValue { key: Text::Owned(key), value }
}

impl logging::Host for GuestState {
    fn log(
        &mut self,
        level: logging::Level,
        mut message: String,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        let local = self.local.get();
        let Some(left) = local.output.left.get().checked_sub(1) else {
            local.host.recorder.cut_log();
            return Ok(());
        };
        local.output.left.set(left);
        let mut kept = Vec::new();
        let limits: &SpanLimits = &local.host.span_limits;
        merge(&mut kept, attributes.into_iter().map(key_value), limits.attributes, limits);
        bound(&mut message);
        local.host.recorder.log(LogRecord {
            time: local.host.sched.now(),
            severity: match level {
                logging::Level::Trace => Severity::Trace,
                logging::Level::Debug => Severity::Debug,
                logging::Level::Info => Severity::Info,
                logging::Level::Warn => Severity::Warn,
                logging::Level::Error => Severity::Error,
                logging::Level::Fatal => Severity::Fatal,
            },
            body: Text::Owned(message),
            attributes: kept,
            resource: local.identity.resource,
            span: local.output.current.get(),
        });
        Ok(())
    }
}

impl clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.local.get().identity.process.wall())
    }

    async fn sleep(&mut self, ns: u64) -> wasmtime::Result<()> {
        let due = self.nature.work(ns);
        sched::here(self.nature.process.get().wait(due)).await;
        Ok(())
    }
}

impl config::Host for GuestState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let found = self.local.get().identity.config.iter().find(|(name, _)| *name == key);
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.local.get().identity.config.clone())
    }
}
