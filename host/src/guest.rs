//! The code of a service, as the host runs it: a worker serves one request at
//! a time and keeps its memory between requests.
//!
//! Start at [`Worker::handle`]. What a guest may call is in [`host`], the versions of its
//! contract in [`contract`], the spans of its request in [`scope`], what it may use of a
//! processor in [`cpu`].

mod attributes;
pub mod bindings;
pub mod budget;
mod call_error;
pub mod contract;
mod cpu;
pub mod endpoint;
mod failure;
pub mod host;
mod identity;
mod memory;
mod meter;
mod outbound;
pub mod scope;
mod waiter;

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use wasmtime::Store;

use crate::message::Response;
use crate::model::{Limits, Nanos};
use crate::sched::Sched;
use crate::wasi::{Chance, Lookahead};

use budget::Budget;
pub use call_error::{CallError, DEADLINE_EXCEEDED};
use contract::{Described, Exports, GuestCode, Outcome, Route};
pub use cpu::EPOCH_TICK;
use failure::{ASKED_TIMES, checked, exhausted, failure, memory_exceeded, unasked};
pub use failure::{GuestFailure, WORKERS_EXHAUSTED};
pub use host::{GuestState, Host};
use host::{HANDLES, argument_bytes};
pub use identity::Identity;
use meter::CpuMeter;
pub use outbound::{Asking, Outbound};
use scope::{Annotations, RequestScope};
pub use waiter::{Above, Waiter, WorkerPool};

/// A guest that has been instantiated.
pub struct Worker {
    store: Store<GuestState>,
    guest: Exports,
    cpu: Rc<CpuMeter>,
    ahead: Rc<Lookahead>,
    /// The engine counts fuel.
    fuel: bool,
    /// It has served no request yet.
    is_new: bool,
    /// Given back when the store, with what it has of the engine, is gone.
    _permit: WorkerPermit,
}

/// A worker's permit, of those that its world may have.
struct WorkerPermit(Rc<Host>);

impl WorkerPermit {
    fn take(host: &Rc<Host>) -> Option<Self> {
        host.permits.set(host.permits.get().checked_sub(1)?);
        Some(Self(Rc::clone(host)))
    }
}

impl Drop for WorkerPermit {
    fn drop(&mut self) {
        self.0.permits.set(self.0.permits.get() + 1);
    }
}

impl Worker {
    /// Instantiates a guest. `ordinal` tells the workers of a replica apart.
    pub async fn new(
        code: &GuestCode,
        host: &Rc<Host>,
        identity: &Rc<Identity>,
        ordinal: u32,
    ) -> Result<Self, GuestFailure> {
        let permit = WorkerPermit::take(host).ok_or_else(exhausted)?;
        let state = GuestState::new(host, identity, ordinal);
        let (cpu, ahead) = (Rc::clone(&state.local.get().cpu), Rc::clone(&state.local.get().ahead));
        let mut store = Store::new(code.engine(), state);
        store.limiter(|state| &mut state.memory);
        store.set_max_component_handles(HANDLES);
        store.set_hostcall_fuel(argument_bytes(&identity.limits));
        let fuel = cpu::bound(&mut store);
        cpu::allow(&mut store, fuel, identity.limits.cpu_time)?;
        let instance = {
            let instantiating = pin!(async {
                cpu::begin(&store, &ahead, &identity.limits);
                let instance = code.instantiate(&mut store).await;
                cpu::catch_up(&store, &ahead).await;
                instance
            });
            in_time(&host.sched, &identity.limits, cpu.measure(fuel, instantiating)).await?
        };
        match instance {
            Ok(guest) => Ok(Self { store, guest, cpu, ahead, fuel, is_new: true, _permit: permit }),
            Err(error) => Err(failure(&error, store.data())),
        }
    }

    /// Asks the guest for its routes; none of one that serves no requests.
    ///
    /// # Errors
    /// It did not answer. That it refuses its configuration is an answer.
    pub async fn routes(&mut self) -> Result<Option<Described<Route>>, GuestFailure> {
        self.ask(async |guest, store| guest.routes(store).await).await
    }

    /// Asks the guest for the names of its jobs; none of one that has no jobs.
    ///
    /// # Errors
    /// As those of [`routes`](Self::routes).
    pub async fn jobs(&mut self) -> Result<Option<Described<String>>, GuestFailure> {
        self.ask(async |guest, store| guest.jobs(store).await).await
    }

    /// Asks the guest for the topics whose messages it takes; `*` stands for all.
    ///
    /// # Errors
    /// As those of [`routes`](Self::routes).
    pub async fn topics(&mut self) -> Result<Option<Described<String>>, GuestFailure> {
        self.ask(async |guest, store| guest.topics(store).await).await
    }

    /// Asks the guest something, without a request.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&Exports, &mut Store<GuestState>) -> wasmtime::Result<T>,
    ) -> Result<T, GuestFailure> {
        let cpu_time = self.store.data().local.get().identity.limits.cpu_time;
        self.prepare(None, cpu_time.saturating_mul(ASKED_TIMES))?;
        let local = self.store.data().local.get();
        let (host, limits) = (Rc::clone(&local.host), local.identity.limits.clone());
        let answer = {
            let asking = pin!(question(&self.guest, &mut self.store));
            in_time(&host.sched, &limits, self.cpu.measure(self.fuel, asking)).await
        };
        self.store.data().local.get().output.finish();
        self.cpu.answered(self.computed().unwrap_or_else(|| self.cpu.spent()));
        answer?.map_err(|error| unasked(failure(&error, self.store.data()), &limits))
    }

    /// What it has computed to answer questions: nanoseconds.
    pub fn asked(&self) -> Nanos {
        self.cpu.asked()
    }

    /// What the host may hold for its requests.
    #[inline]
    pub fn budget(&self) -> Rc<Budget> {
        Rc::clone(&self.store.data().local.get().budget)
    }

    /// The request that it is about to serve was brought by this call; none from outside.
    #[inline]
    pub fn brought(&self, above: Option<Above>) {
        self.store.data().local.get().interfaces.bus.waiter.brought(above);
    }

    /// Gets ready for one request: its trace, its chance, its bounds. For the first one the guest also makes
    /// what it tells when it is asked. Where that alone takes most of its time, it gets as much more.
    #[inline]
    pub fn begin(&mut self, scope: Box<RequestScope>) -> Result<(), GuestFailure> {
        let identity = &self.store.data().local.get().identity;
        let (cpu_time, preparing) = (identity.limits.cpu_time, identity.preparing);
        let is_new = std::mem::take(&mut self.is_new);
        let more = if is_new && preparing > cpu_time / 2 { preparing } else { 0 };
        self.prepare(Some(scope), cpu_time.saturating_add(more))
    }

    /// Takes `bytes` of the worker's memory for as long as it lives.
    ///
    /// # Errors
    /// With that it has more than it may have: drop it.
    pub fn leak(&mut self, bytes: u64) -> Result<(), GuestFailure> {
        let state = self.store.data_mut();
        if state.memory.leak(bytes) {
            Ok(())
        } else {
            Err(memory_exceeded(&state.local.get().identity.limits))
        }
    }

    /// Serves the request that [`begin`](Self::begin) has announced. Its guest exports `handler`: nothing
    /// else is asked. After an error the worker is worth nothing: drop it.
    ///
    /// The future may be dropped before it ends; then call
    /// [`finish`](Self::finish) and drop the worker.
    pub async fn handle(&mut self, route: Option<u32>) -> Result<Response, GuestFailure> {
        cpu::begin(&self.store, &self.ahead, &self.store.data().local.get().identity.limits);
        let answer = {
            let handle = self.guest.handle.expect("a guest that is asked exports `handler`");
            let answering = pin!(handle.call_async(&mut self.store, (route,)));
            self.cpu.measure(self.fuel, answering).await
        };
        let outcome = match answer {
            Ok((response,)) => checked(response, &self.store.data().local.get().identity.limits),
            Err(error) => Err(failure(&error, self.store.data())),
        };
        // What it has computed has taken its time, also where it has failed.
        cpu::catch_up(&self.store, &self.ahead).await;
        outcome
    }

    /// Runs the job of this name, for which [`begin`](Self::begin) has prepared. Its guest exports `job`:
    /// nothing else is asked. After an error the worker is worth nothing: drop it. That the job itself
    /// fails is no such error.
    ///
    /// The future may be dropped before it ends, as that of [`handle`](Self::handle).
    pub async fn run_job(&mut self, name: &str) -> Result<Result<(), String>, GuestFailure> {
        cpu::begin(&self.store, &self.ahead, &self.store.data().local.get().identity.limits);
        let ended = {
            let job = self.guest.job.as_ref().expect("a guest whose job runs exports `job`");
            let running = pin!(job.call_run(&mut self.store, name));
            self.cpu.measure(self.fuel, running).await
        };
        let outcome = ended.map_err(|error| failure(&error, self.store.data()));
        cpu::catch_up(&self.store, &self.ahead).await;
        outcome
    }

    /// Processes the messages that [`begin`](Self::begin) has announced, as [`handle`](Self::handle) serves a
    /// request. Its guest exports `consumer`: nothing else is asked.
    pub async fn receive(&mut self) -> Result<Outcome, GuestFailure> {
        cpu::begin(&self.store, &self.ahead, &self.store.data().local.get().identity.limits);
        let answer = {
            let receive = self.guest.receive.expect("a guest that consumes exports `consumer`");
            let receiving = pin!(receive.call_async(&mut self.store, ()));
            self.cpu.measure(self.fuel, receiving).await
        };
        let outcome = answer.map(|(outcome,)| outcome);
        let outcome = outcome.map_err(|error| failure(&error, self.store.data()));
        cpu::catch_up(&self.store, &self.ahead).await;
        outcome
    }

    /// How much longer the request's work has taken as its process is slow: nanoseconds.
    pub fn stretched(&self) -> Nanos {
        self.ahead.stretched()
    }

    /// What the guest has computed for the request so far, the host's work for it
    /// included: units of fuel, which are nanoseconds. None in real time, where no
    /// fuel is counted.
    pub fn computed(&self) -> Option<Nanos> {
        let left = self.store.get_fuel().ok()?;
        Some(self.cpu.limit().saturating_sub(left))
    }

    /// What the guest has computed for the request, without what makes its process slow: nanoseconds of
    /// simulated time, also where that follows real time. None where computing takes no time.
    pub fn cpu_time(&self) -> Nanos {
        if self.fuel { self.ahead.computed() } else { self.cpu.spent() }
    }

    /// Ends what the request left open, and returns what the guest said of its SERVER span.
    pub fn finish(&mut self) -> Annotations {
        let local = self.store.data_mut().local.get_mut();
        local.output.finish();
        local.output.current.set(None);
        local.interfaces.finish();
        let Some(scope) = &mut local.scope else { return Annotations::default() };
        scope.end_all(&local.host.recorder, local.ahead.last(), local.identity.resource);
        let annotations = std::mem::take(&mut scope.annotations);
        local.scope = None;
        annotations
    }

    fn prepare(&mut self, scope: Option<Box<RequestScope>>, cpu_time: Nanos) -> Result<(), GuestFailure> {
        let state = self.store.data_mut();
        let local = state.local.get_mut();
        let limits = &local.identity.limits;
        local.output.begin(limits.spans);
        local.cpu.begin(cpu_time);
        local.budget.begin();
        state.memory.reached = false;
        local.ahead.forget();
        if let Some(scope) = &scope {
            state.env.random = Chance::of(scope.random());
            local.output.current.set(scope.current());
        }
        local.scope = scope;
        cpu::allow(&mut self.store, self.fuel, cpu_time)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("service", &self.store.data().local.get().identity.name)
            .finish_non_exhaustive()
    }
}

/// Waits for a guest no longer than `limits.request_time`.
pub async fn in_time<T>(
    sched: &Sched,
    limits: &Limits,
    future: impl Future<Output = T>,
) -> Result<T, GuestFailure> {
    match select(pin!(future), sched.sleep(limits.request_time)).await {
        Either::Left((outcome, _)) => Ok(outcome),
        Either::Right(_) => Err(GuestFailure {
            kind: "request_time_exceeded",
            message: format!(
                "the guest took longer than limits.request-time = {}",
                crate::clock::show(limits.request_time)
            ),
            backtrace: None,
        }),
    }
}
