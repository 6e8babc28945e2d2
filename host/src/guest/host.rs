//! What a guest may call: the imports of `simhost:service`.

use futures_util::future::{FutureExt, LocalBoxFuture};
use send_wrapper::SendWrapper;
use tokio::sync::oneshot;
use wasmtime::component::Resource;

use crate::message::{Headers, Request, Response};
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{Event, KeyValue, LogRecord, Severity, SpanKind, Status, Text, Value};

use super::bindings::simhost::service::{bus, clock, config, http, logging, tracing};
use super::scope::{bound, merge};
use super::{CallError, GuestState};

/// A guest has at most so many calls under way.
const PENDING_CALLS: usize = 256;

/// A call under way: an index into [`GuestState::pending`].
#[derive(Debug)]
pub struct Pending;

/// The response of a call under way; none once it was waited for.
pub type PendingCall = Option<oneshot::Receiver<Result<Response, CallError>>>;

/// A span that the guest holds: a number of the worker's own.
#[derive(Debug)]
pub struct Span;

impl http::Host for GuestState {}

impl bus::Host for GuestState {
    async fn call(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        // What the bus works on stays on this thread, which wasmtime cannot know.
        let call = SendWrapper::new(self.start_call(service, request, options));
        Ok(answer(call.await))
    }
}

impl bus::HostPending for GuestState {
    fn new(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> wasmtime::Result<Resource<Pending>> {
        let (send, receive) = oneshot::channel();
        if self.pending.len() < PENDING_CALLS {
            let call = self.start_call(service, request, options);
            self.host.sched.spawn(call.map(|response| {
                // A guest that does not wait for it has dropped the other end.
                send.send(response).ok();
            }));
        } else {
            let message = format!("more than {PENDING_CALLS} calls are under way in this worker");
            send.send(Err(CallError::Invalid(message))).ok();
        }
        let key = self.pending.insert(Some(receive));
        Ok(Resource::new_own(key as u32))
    }

    async fn wait(
        &mut self,
        pending: Resource<Pending>,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        let call = self.pending.get_mut(pending.rep() as usize).and_then(Option::take);
        let response = match call {
            Some(call) => match call.await {
                Ok(response) => response,
                Err(_) => Err(CallError::Reset("the run is over".to_owned())),
            },
            None => Err(CallError::Invalid("this call was waited for already".to_owned())),
        };
        Ok(answer(response))
    }

    fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.pending.try_remove(pending.rep() as usize);
        Ok(())
    }
}

impl GuestState {
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
        let request = Request {
            method: request.method,
            target: request.path_and_query,
            headers: Headers(request.headers),
            body: request.body,
        };
        outbound.call(scope.caller(&self.identity), service, request, options.timeout_ns)
    }

    /// A number for a new span that no open span has.
    fn next_span(&mut self) -> u32 {
        self.spans = self.spans.wrapping_add(1);
        self.spans
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
            CallError::Timeout => bus::CallError::Timeout,
            CallError::Refused(text) => bus::CallError::Refused(text),
            CallError::Reset(text) => bus::CallError::Reset(text),
            CallError::DepthExceeded(depth) => bus::CallError::DepthExceeded(depth),
            CallError::Invalid(text) => bus::CallError::Invalid(text),
        }),
    }
}

impl tracing::Host for GuestState {
    fn current(&mut self) -> wasmtime::Result<Option<tracing::SpanContext>> {
        Ok(self.scope.as_ref().map(|scope| tracing::SpanContext {
            trace_id: scope.trace.trace_id.to_string(),
            span_id: scope.current_id().to_string(),
            sampled: scope.trace.flags.sampled(),
        }))
    }

    fn annotate(&mut self, attributes: tracing::Attributes) -> wasmtime::Result<()> {
        if let Some(scope) = &mut self.scope {
            scope.annotate(attributes.into_iter().map(key_value), &self.host.span_limits);
        }
        Ok(())
    }

    fn get_baggage(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let scope = self.scope.as_ref();
        Ok(scope.and_then(|scope| scope.baggage.get(&key)).map(std::borrow::Cow::into_owned))
    }

    fn set_baggage(&mut self, key: String, value: String) -> wasmtime::Result<()> {
        if let Some(scope) = &mut self.scope {
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
        let handle = self.next_span();
        let now = self.host.sched.now();
        if let Some(scope) = &mut self.scope {
            if !scope.start(handle, name, span_kind(kind), now) && scope.trace.recording {
                self.host.recorder.cut_span();
            }
            scope.set_attributes(handle, attributes.into_iter().map(key_value), &self.host.span_limits);
        }
        self.note_current();
        Ok(Resource::new_own(handle))
    }

    fn set_attributes(
        &mut self,
        span: Resource<Span>,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        if let Some(scope) = &mut self.scope {
            let attributes = attributes.into_iter().map(key_value);
            scope.set_attributes(span.rep(), attributes, &self.host.span_limits);
        }
        Ok(())
    }

    fn add_event(
        &mut self,
        span: Resource<Span>,
        mut name: String,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        bound(&mut name);
        let attributes = attributes.into_iter().map(key_value).collect();
        let event = Event { name: Text::Owned(name), time: self.host.sched.now(), attributes };
        if let Some(scope) = &mut self.scope {
            scope.add_event(span.rep(), event, &self.host.span_limits);
        }
        Ok(())
    }

    fn record_error(&mut self, span: Resource<Span>, kind: String, message: String) -> wasmtime::Result<()> {
        let event = Event::exception(self.host.sched.now(), kind, message, None);
        if let Some(scope) = &mut self.scope {
            scope.add_event(span.rep(), event, &self.host.span_limits);
        }
        Ok(())
    }

    fn set_status(
        &mut self,
        span: Resource<Span>,
        status: tracing::Status,
        mut description: String,
    ) -> wasmtime::Result<()> {
        bound(&mut description);
        let status = match status {
            tracing::Status::Unset => Status::Unset,
            tracing::Status::Ok => Status::Ok,
            tracing::Status::Error => Status::Error(Text::Owned(description)),
        };
        if let Some(scope) = &mut self.scope {
            scope.set_status(span.rep(), status);
        }
        Ok(())
    }

    fn update_name(&mut self, span: Resource<Span>, name: String) -> wasmtime::Result<()> {
        if let Some(scope) = &mut self.scope {
            scope.rename(span.rep(), name);
        }
        Ok(())
    }

    fn context(&mut self, span: Resource<Span>) -> wasmtime::Result<tracing::SpanContext> {
        let Some(scope) = &self.scope else {
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
        if let Some(scope) = &mut self.scope {
            scope.end(span.rep(), &self.host, &self.identity);
        }
        self.note_current();
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
        let Some(left) = self.output.left.get().checked_sub(1) else {
            self.host.recorder.cut_log();
            return Ok(());
        };
        self.output.left.set(left);
        let mut kept = Vec::new();
        let limits: &SpanLimits = &self.host.span_limits;
        merge(&mut kept, attributes.into_iter().map(key_value), limits.attributes, limits);
        bound(&mut message);
        self.host.recorder.log(LogRecord {
            time: self.host.sched.now(),
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
            resource: self.identity.resource,
            span: self.output.current.get(),
        });
        Ok(())
    }
}

impl clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.host.sched.now())
    }

    async fn sleep(&mut self, ns: u64) -> wasmtime::Result<()> {
        SendWrapper::new(self.host.sched.sleep(ns)).await;
        Ok(())
    }
}

impl config::Host for GuestState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let found = self.identity.config.iter().find(|(name, _)| *name == key);
        Ok(found.map(|(_, value)| value.clone()))
    }

    fn all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        Ok(self.identity.config.clone())
    }
}
