//! `simhost:service/bus`: calls to other services.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::rc::Rc;

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use wasmtime::component::{HasSelf, LinkerInstance, Resource};

use crate::context::SpanId;
use crate::message::{Headers, Request, Response};
use crate::process::Death;
use crate::sched;
use crate::telemetry::recorder::Recorder;
use crate::wasi::bill::{self, CALL, FUNCTION};

use super::pairs;
use super::state::{GuestState, Local};
use crate::guest::CallError;
use crate::guest::bindings::Pending;
use crate::guest::bindings::simhost::service::{bus, http};
use crate::guest::budget::Hold;
use crate::guest::identity::Identity;
use crate::guest::waiter::Waiter;

/// Calls of a worker under way, at most, those included that its guest does not
/// wait for. The WIT has the number.
const PENDING_CALLS: u32 = 256;

/// A call that the guest may wait for.
enum PendingCall {
    /// Its CLIENT span, and where its response arrives.
    UnderWay(SpanId, sched::Receiver<Answered>),
    /// It was not made, as [`PENDING_CALLS`] were under way.
    Refused,
}

/// The response of a call, and what it holds of the worker's budget.
type Answered = (Result<Response, CallError>, Option<Rc<Hold>>);

/// A worker's calls.
pub struct State {
    /// Those that the guest may wait for, by its handles.
    pending: BTreeMap<u32, PendingCall>,
    /// How many are under way, those included that nobody waits for.
    live: Rc<Cell<u32>>,
    /// The handle of the newest call, and that of the newest one of the requests before.
    newest: u32,
    earlier: u32,
    /// What the worker waits for.
    pub waiter: Rc<Waiter>,
}

impl State {
    pub fn new(identity: &Identity) -> Self {
        let waiter = Rc::new(Waiter::new(&identity.pool));
        Self { pending: BTreeMap::new(), live: Rc::default(), newest: 0, earlier: 0, waiter }
    }

    /// The request has ended: nobody waits for what it left under way.
    pub fn finish(&mut self) {
        self.pending.clear();
        self.earlier = self.newest;
        self.waiter.free();
    }

    /// Why there is no call to wait for.
    fn missing(&self, handle: u32) -> &'static str {
        match handle <= self.earlier {
            true => "this call was made for an earlier request",
            false => "this call was waited for already",
        }
    }
}

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    bus::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
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
        local.interfaces.bus.waiter.waits_for(span);
        let answer = answer(sched::here(call).await);
        self.local.get().interfaces.bus.waiter.goes_on();
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
        let calls = &mut local.interfaces.bus;
        calls.newest = handle;
        let live = Rc::clone(&calls.live);
        if live.get() >= PENDING_CALLS {
            calls.pending.insert(handle, PendingCall::Refused);
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
        local.interfaces.bus.pending.insert(handle, PendingCall::UnderWay(span, receive));
        Ok(Resource::new_own(handle))
    }

    async fn wait(
        &mut self,
        pending: Resource<Pending>,
    ) -> wasmtime::Result<Result<http::Response, bus::CallError>> {
        self.charge(FUNCTION);
        let local = self.local.get_mut();
        local.ahead.reach();
        let call = match local.interfaces.bus.pending.remove(&pending.rep()) {
            Some(PendingCall::UnderWay(span, call)) => {
                local.wait_for(span);
                Ok(sched::here(call))
            }
            Some(PendingCall::Refused) => {
                Err(format!("{PENDING_CALLS} calls of this worker were under way, which are the most"))
            }
            None => Err(local.interfaces.bus.missing(pending.rep()).to_owned()),
        };
        let response = match call {
            // It is the guest's now.
            Ok(call) => match call.await {
                Ok((response, _hold)) => response,
                Err(_) => Err(CallError::Reset("the run is over".to_owned())),
            },
            Err(why) => Err(CallError::Invalid(why)),
        };
        self.local.get().interfaces.bus.waiter.goes_on();
        let answer = answer(response);
        self.charge(copied(&answer));
        Ok(answer)
    }

    fn drop(&mut self, pending: Resource<Pending>) -> wasmtime::Result<()> {
        self.local.get_mut().interfaces.bus.pending.remove(&pending.rep());
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
        caller.waiter = Some(Rc::clone(&self.interfaces.bus.waiter));
        let span = caller.span;
        let begins = self.ahead.reach();
        (span, outbound.call(caller, service, request, options.timeout_ns, begins), Some(hold))
    }

    /// The guest waits for this call, which began earlier, and for nothing else.
    fn wait_for(&self, call: SpanId) {
        self.interfaces.bus.waiter.waits_for(call);
        if let Some(outbound) = self.host.outbound.get() {
            outbound.waits(self.identity.service);
        }
    }
}

fn answer(response: Result<Response, CallError>) -> Result<http::Response, bus::CallError> {
    match response {
        Ok(Response { status, headers, body }) => Ok(http::Response { status, headers: headers.0, body }),
        Err(error) => Err(match error {
            CallError::UnknownService(text) => bus::CallError::UnknownService(text),
            CallError::Timeout => bus::CallError::Timeout,
            CallError::DeadlineExceeded => bus::CallError::DeadlineExceeded,
            CallError::Refused(text) => bus::CallError::Refused(text),
            CallError::Reset(text) => bus::CallError::Reset(text),
            CallError::CircuitOpen(text) => bus::CallError::CircuitOpen(text),
            CallError::BulkheadFull(text) => bus::CallError::BulkheadFull(text),
            CallError::DepthExceeded(depth) => bus::CallError::DepthExceeded(depth),
            CallError::HostMemory(bound) => bus::CallError::MemoryExceeded(format!(
                "the call's messages are more than what is left of {bound}"
            )),
            CallError::Invalid(text) => bus::CallError::Invalid(text),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::host::fixture::Fixture;

    fn request() -> http::Request {
        let method = "GET".to_owned();
        http::Request { method, path_and_query: "/".to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    const PATIENT: bus::CallOptions = bus::CallOptions { timeout_ns: None };

    /// The answer to a call from `fixture`.
    fn call(fixture: &mut Fixture) -> Result<http::Response, bus::CallError> {
        let sched = fixture.sched.clone();
        let call = bus::Host::call(&mut fixture.state, "back".to_owned(), request(), PATIENT);
        sched.block_on(call, || {}).unwrap().unwrap()
    }

    #[test]
    fn a_call_has_its_answer_and_its_price() {
        let mut fixture = Fixture::serving().with_answer(Ok(204));
        let response = call(&mut fixture).unwrap();
        assert_eq!((response.status, response.body), (204, b"back".to_vec()));
        assert_eq!(fixture.owes(), CALL + 8 + 4, "the names on the way there, the body on the way back");
    }

    #[test]
    fn each_reason_for_a_missing_response_has_a_name_of_its_own() {
        let expected = [
            (CallError::Timeout, "Timeout"),
            (CallError::DeadlineExceeded, "DeadlineExceeded"),
            (CallError::Refused("why".into()), "Refused(\"why\")"),
            (CallError::CircuitOpen("why".into()), "CircuitOpen(\"why\")"),
            (CallError::BulkheadFull("why".into()), "BulkheadFull(\"why\")"),
            (CallError::HostMemory("1 KiB".into()), "left of 1 KiB\")"),
        ];
        for (error, name) in expected {
            let said = call(&mut Fixture::serving().with_answer(Err(error))).unwrap_err();
            assert!(format!("{said:?}").contains(name), "{said:?}: {name}");
        }
    }

    #[test]
    fn a_call_without_a_request_is_invalid() {
        let error = call(&mut Fixture::idle(&[]).with_answer(Ok(200))).unwrap_err();
        assert!(matches!(error, bus::CallError::Invalid(_)), "{error:?}");
    }

    #[test]
    fn a_call_is_waited_for_once_and_its_handle_means_nothing_in_the_next_request() {
        let mut fixture = Fixture::serving().with_answer(Ok(200));
        let start = |fixture: &mut Fixture| {
            let made = bus::HostPending::new(&mut fixture.state, "back".to_owned(), request(), PATIENT);
            made.unwrap().rep()
        };
        let wait = |fixture: &mut Fixture, handle| {
            let sched = fixture.sched.clone();
            let wait = bus::HostPending::wait(&mut fixture.state, Resource::new_own(handle));
            sched.block_on(wait, || {}).unwrap().unwrap()
        };
        let (first, second) = (start(&mut fixture), start(&mut fixture));
        assert_eq!(wait(&mut fixture, first).unwrap().status, 200);
        let why = |answer| match answer {
            Err(bus::CallError::Invalid(why)) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(wait(&mut fixture, first)), "this call was waited for already");
        fixture.state.local.get_mut().interfaces.finish();
        assert_eq!(why(wait(&mut fixture, second)), "this call was made for an earlier request");
        for _ in 0..PENDING_CALLS {
            start(&mut fixture);
        }
        let one_more = start(&mut fixture);
        let expected = "256 calls of this worker were under way, which are the most";
        assert_eq!(why(wait(&mut fixture, one_more)), expected);
        let wit = include_str!("../../../assets/wit/service.wit");
        assert!(wit.contains(&format!("A worker may have {PENDING_CALLS} calls under way")));
    }
}
