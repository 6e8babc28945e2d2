//! What a guest may call: the imports of `simhost:service`, but for what it records,
//! which is in [`super::telemetry`].

use std::num::NonZeroU64;
use std::rc::Rc;

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use wasmtime::component::Resource;

use crate::context::SpanId;
use crate::message::{Headers, Request, Response};
use crate::process::Death;
use crate::sched;
use crate::telemetry::recorder::Recorder;
use crate::wasi::bill::{self, CALL, FUNCTION, TIMER};

use super::bindings::simhost::service::{bus, clock, config, http, incoming};
use super::budget::Hold;
use super::scope::RequestScope;
use super::{CallError, GuestState, Local};

/// A worker has at most so many calls under way, those included that its guest
/// does not wait for.
const PENDING_CALLS: u32 = 256;

/// A call under way: a number of the worker's own.
#[derive(Debug)]
pub struct Pending;

/// Where the response of a call under way arrives.
pub type PendingCall = (SpanId, sched::Receiver<Answered>);

/// The response of a call, and what it holds of the worker's budget.
type Answered = (Result<Response, CallError>, Option<Rc<Hold>>);

impl http::Host for GuestState {}

impl Local {
    fn serving(&self) -> wasmtime::Result<&RequestScope> {
        let Some(scope) = &self.scope else {
            wasmtime::bail!("the guest asked for the request while it served none");
        };
        Ok(scope)
    }
}

impl GuestState {
    /// The guest owes so much fuel more for what the host does now.
    pub(super) fn charge(&self, fuel: u64) {
        self.nature.bill.charge(fuel);
    }

    /// What the host copies for a function that only says something.
    fn tell<T>(&self, said: wasmtime::Result<T>, bytes: impl FnOnce(&T) -> usize) -> wasmtime::Result<T> {
        let copied = said.as_ref().map_or(0, bytes);
        self.charge(FUNCTION + bill::bytes(copied));
        said
    }
}

/// Bytes that a list of pairs takes.
fn pairs(list: &[(String, String)]) -> usize {
    list.iter().map(|(key, value)| size_of::<(String, String)>() + key.len() + value.len()).sum()
}

impl incoming::Host for GuestState {
    fn method(&mut self) -> wasmtime::Result<String> {
        let method = self.local.get().serving().map(|scope| scope.request.method.clone());
        self.tell(method, String::len)
    }

    fn path_and_query(&mut self) -> wasmtime::Result<String> {
        let target = self.local.get().serving().map(|scope| scope.request.target.clone());
        self.tell(target, String::len)
    }

    fn params(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let params = self.local.get().serving().map(|scope| scope.params.clone());
        self.tell(params, |all| pairs(all))
    }

    fn headers(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        let headers = self.local.get().serving().map(|scope| scope.headers().into_owned().0);
        self.tell(headers, |all| pairs(all))
    }

    fn header(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let scope = self.local.get().serving()?;
        let (value, looked_at) = scope.header(&name);
        self.charge(FUNCTION + bill::bytes(name.len() + looked_at));
        Ok(value)
    }

    fn body(&mut self) -> wasmtime::Result<Vec<u8>> {
        let body = self.local.get().serving().map(|scope| scope.request.body.clone());
        self.tell(body, Vec::len)
    }
}

impl bus::Host for GuestState {
    async fn call(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        self.charge(price(&service, &request));
        let local = self.local.get_mut();
        let (span, call, hold) = local.start_call(service, request, options);
        let call = call.inspect(move |_| drop(hold));
        local.waiter.waits_for(span);
        let answer = answer(sched::here(call).await);
        self.local.get_mut().waiter.goes_on();
        self.charge(copied(&answer));
        Ok(answer)
    }
}

impl bus::HostPending for GuestState {
    fn new(
        &mut self,
        service: String,
        request: http::Request,
        options: bus::CallOptions,
    ) -> wasmtime::Result<Resource<Pending>> {
        self.charge(price(&service, &request));
        let local = self.local.get_mut();
        let handle = local.next_handle();
        let live = Rc::clone(&local.live_calls);
        if live.get() >= PENDING_CALLS {
            // To wait for a handle that is not there is `invalid`.
            return Ok(Resource::new_own(handle));
        }
        let (send, receive) = sched::oneshot();
        let (span, call, hold) = local.start_call(service, request, options);
        live.set(live.get() + 1);
        let answered = call.map(move |response| {
            live.set(live.get() - 1);
            // A guest that does not wait for it has dropped the other end.
            send.send((response, hold)).ok();
        });
        let process = &local.identity.process;
        if process.may_die() {
            local.host.sched.spawn(until_death(process.death(), answered, Rc::clone(&local.host.recorder)));
        } else {
            local.host.sched.spawn(answered);
        }
        local.pending.insert(handle, (span, receive));
        Ok(Resource::new_own(handle))
    }

    async fn wait(
        &mut self,
        pending: Resource<Pending>,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        self.charge(FUNCTION);
        let local = self.local.get_mut();
        let call = local.pending.remove(&pending.rep()).map(|(span, call)| {
            local.wait_for(span);
            sched::here(call)
        });
        let response = match call {
            // It is the guest's now.
            Some(call) => match call.await {
                Ok((response, _hold)) => response,
                Err(_) => Err(CallError::Reset("the run is over".to_owned())),
            },
            None => Err(CallError::Invalid(format!(
                "this call was waited for already, or was one more than {PENDING_CALLS} at a time"
            ))),
        };
        self.local.get_mut().waiter.goes_on();
        let answer = answer(response);
        self.charge(copied(&answer));
        Ok(answer)
    }

    fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.local.get_mut().pending.remove(&pending.rep());
        Ok(())
    }
}

/// What it costs to take a call from a guest and to carry it out.
fn price(service: &str, request: &http::Request) -> u64 {
    let names = service.len() + request.method.len() + request.path_and_query.len();
    CALL + bill::bytes(names + pairs(&request.headers) + request.body.len())
}

/// What it costs to give a guest the answer to its call.
fn copied(answer: &Result<http::Response, bus::CallError>) -> u64 {
    let size = |response: &http::Response| pairs(&response.headers) + response.body.len();
    bill::bytes(answer.as_ref().map_or(0, size))
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
    ) -> (SpanId, LocalBoxFuture<'static, Result<Response, CallError>>, Option<Rc<Hold>>) {
        let refused = |error| (SpanId(NonZeroU64::MIN), std::future::ready(Err(error)).boxed_local(), None);
        let (Some(scope), Some(outbound)) = (&mut self.scope, self.host.outbound.get()) else {
            let error = CallError::Invalid("calls are made while a request is served".to_owned());
            return refused(error);
        };
        // Before anything is kept for it: the callee's own limits are checked later.
        let (body, most) = (request.body.len() as u64, self.identity.limits.body);
        let names = service.len() + request.method.len() + request.path_and_query.len();
        if body > most || names as u64 > self.identity.limits.headers {
            let text = format!("a body of {body} bytes, or names of {names}, exceed this service's limits");
            return refused(CallError::Invalid(text));
        }
        let mut request = Request {
            method: request.method,
            target: request.path_and_query,
            headers: Headers(request.headers),
            body: request.body,
        };
        let hold = Hold::new(&self.budget, &request);
        if hold.is_refused() {
            // The call fails once its span has begun; until then it keeps nothing large.
            (request.body, request.headers) = (Vec::new(), Headers::default());
        }
        let mut caller = scope.caller(&self.identity, Rc::clone(&hold));
        caller.waiter = Some(Rc::clone(&self.waiter));
        let span = caller.span;
        (span, outbound.call(caller, service, request, options.timeout_ns), Some(hold))
    }

    /// The guest waits for this call, which began earlier, and for nothing else.
    fn wait_for(&self, call: SpanId) {
        self.waiter.waits_for(call);
        if let Some(outbound) = self.host.outbound.get() {
            outbound.waits(self.identity.service);
        }
    }

    /// A number for what the guest holds, which nothing else that it holds has:
    /// a handle from an earlier request means nothing any more.
    pub(super) fn next_handle(&mut self) -> u32 {
        self.handles = self.handles.wrapping_add(1);
        self.handles
    }

    /// Log records refer to what is current from now on.
    pub(super) fn note_current(&self) {
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
            CallError::HostMemory(_) => bus::CallError::Invalid(error.to_string()),
        }),
    }
}

impl clock::Host for GuestState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge(FUNCTION);
        Ok(self.local.get().identity.process.wall())
    }

    async fn sleep(&mut self, ns: u64) -> wasmtime::Result<()> {
        self.charge(TIMER);
        let due = self.nature.work(ns);
        sched::here(self.nature.process.get().wait(due)).await;
        Ok(())
    }
}

impl config::Host for GuestState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let config = &self.local.get().identity.config;
        let found = config.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone());
        let looked_at = size_of::<(String, String)>() * config.len();
        self.charge(FUNCTION + bill::bytes(key.len() + looked_at + found.as_ref().map_or(0, String::len)));
        Ok(found)
    }

    fn all(&mut self) -> wasmtime::Result<Vec<(String, String)>> {
        self.tell(Ok(self.local.get().identity.config.clone()), |all| pairs(all))
    }
}
