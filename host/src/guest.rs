//! The code of a service, as the host runs it: a worker serves one request at
//! a time and keeps its memory between requests.
//!
//! Start at [`Worker::handle`]. What a guest may call is in [`host`], the spans
//! of its request in [`scope`].

pub mod bindings;
mod call_error;
pub mod endpoint;
pub mod host;
mod memory;
mod outbound;
pub mod scope;
pub mod stall;

use std::cell::{Cell, OnceCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use fragile::Fragile;
use futures_util::future::{Either, select};
use wasmtime::component::ResourceTable;
use wasmtime::{PoolConcurrencyLimitError, Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::clock::Stopwatch;
use crate::message::{Headers, Response};
use crate::model::{Limits, Nanos, ServiceId};
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{KeyValue, ResourceId};
use crate::telemetry::recorder::Recorder;
use crate::wasi::{self, Chance, Natural, Nature, Output};

use bindings::exports::simhost::service::handler;
pub use call_error::{CallError, DEADLINE_EXCEEDED};
use endpoint::Endpoint;
use host::PendingCall;
use memory::{MemoryLimit, memory_exceeded};
pub use outbound::Outbound;
use scope::RequestScope;

/// How often a computing guest is interrupted in real time: nanoseconds.
pub const EPOCH_TICK: Nanos = 10_000_000;

/// What all workers of a run share with the host.
pub struct Host {
    pub sched: Sched,
    pub recorder: Rc<Recorder>,
    pub span_limits: SpanLimits,
    /// [`Model::root`](crate::model::Model::root): every draw is made of it.
    pub root: u64,
    /// Workers that may still be made. The engine has places for those of all
    /// worlds: no world may take another's.
    pub places: Cell<u64>,
    /// Set once the bus exists; a guest that calls before gets `invalid`.
    pub outbound: OnceCell<Rc<dyn Outbound>>,
}

/// One replica of a service, as its workers see it.
#[derive(Debug)]
pub struct Identity {
    pub service: ServiceId,
    pub name: String,
    pub replica: u32,
    /// What its workers live and die in.
    pub process: Rc<Process>,
    pub resource: ResourceId,
    /// Where it is in the network.
    pub endpoint: Rc<Endpoint>,
    pub config: Vec<(String, String)>,
    pub environment: Vec<(String, String)>,
    pub limits: Limits,
}

/// The kind of failure when as many workers exist as may exist.
pub const WORKERS_EXHAUSTED: &str = "workers_exhausted";

/// Why a guest did not answer, or not acceptably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFailure {
    /// The `error.type` of the SERVER span: low in cardinality.
    pub kind: &'static str,
    pub message: String,
    /// The guest's own, innermost frame first.
    pub backtrace: Option<String>,
}

impl GuestFailure {
    /// The key of `[limits]` that the guest met, if it did.
    pub fn bound(&self) -> Option<&'static str> {
        match self.kind {
            "request_time_exceeded" => Some("limits.request-time"),
            "cpu_time_exceeded" => Some("limits.cpu-time"),
            "memory_exceeded" => Some("limits.memory"),
            WORKERS_EXHAUSTED => Some("limits.workers"),
            _ => None,
        }
    }
}

impl fmt::Display for GuestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// The data of a worker's store, which wasmtime wants to be `Send`.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    nature: Nature,
    memory: MemoryLimit,
    local: Fragile<Local>,
}

/// What of it belongs to the core thread.
struct Local {
    output: Rc<Output>,
    cpu: Rc<CpuMeter>,
    host: Rc<Host>,
    identity: Rc<Identity>,
    /// In a box, as it goes from hand to hand.
    scope: Option<Box<RequestScope>>,
    /// Calls that the guest may wait for, by its handles.
    pending: BTreeMap<u32, PendingCall>,
    /// Calls under way, those included that nobody waits for.
    live_calls: Rc<Cell<u32>>,
    /// Handles that this worker has given out: spans and calls.
    handles: u32,
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Natural for GuestState {
    fn nature(&mut self) -> (&mut Nature, &mut ResourceTable) {
        (&mut self.nature, &mut self.table)
    }
}

/// A guest that has been instantiated.
pub struct Worker {
    store: Store<GuestState>,
    guest: bindings::Service,
    cpu: Rc<CpuMeter>,
    /// The engine counts fuel.
    fuel: bool,
    /// Given back when the store, with what it has of the engine, is gone.
    _place: Place,
}

/// A worker's place among those that its world may have.
struct Place(Rc<Host>);

impl Place {
    fn take(host: &Rc<Host>) -> Option<Self> {
        host.places.set(host.places.get().checked_sub(1)?);
        Some(Self(Rc::clone(host)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.places.set(self.0.places.get() + 1);
    }
}

impl Worker {
    /// Instantiates a guest. `ordinal` tells the workers of a replica apart.
    pub async fn new(
        code: &bindings::ServicePre<GuestState>,
        host: &Rc<Host>,
        identity: &Rc<Identity>,
        ordinal: u32,
    ) -> Result<Self, GuestFailure> {
        let place = Place::take(host).ok_or_else(exhausted)?;
        let start = Key::new(host.root, Purpose::GuestStart)
            .with_name(&identity.name)
            .with(u64::from(identity.replica))
            .with(u64::from(ordinal));
        let output = Rc::new(Output::new(host.sched.clone(), Rc::clone(&host.recorder), identity.resource));
        let cpu = Rc::new(CpuMeter::new(identity.limits.cpu_time, host.sched.clone()));
        let state = GuestState {
            wasi: wasi::context(&identity.environment, &output),
            table: ResourceTable::new(),
            nature: Nature {
                process: Fragile::new(Rc::clone(&identity.process)),
                stretched: 0,
                random: Chance::of(start),
                hash_seed: start.draw(),
            },
            memory: MemoryLimit::new(identity.limits.memory as usize),
            local: Fragile::new(Local {
                output,
                cpu: Rc::clone(&cpu),
                host: Rc::clone(host),
                identity: Rc::clone(identity),
                scope: None,
                pending: BTreeMap::new(),
                live_calls: Rc::default(),
                handles: 0,
            }),
        };
        let mut store = Store::new(code.engine(), state);
        store.limiter(|state| &mut state.memory);
        // Where the engine counts no fuel, it is interrupted by its epoch instead.
        let fuel = store.set_fuel(0).is_ok();
        store.epoch_deadline_callback(CpuMeter::tick);
        allow_cpu_time(&mut store, fuel, identity.limits.cpu_time)?;
        let instance = {
            let instantiating = pin!(code.instantiate_async(&mut store));
            in_time(&host.sched, &identity.limits, cpu.measure(fuel, instantiating)).await?
        };
        match instance {
            Ok(guest) => Ok(Self { store, guest, cpu, fuel, _place: place }),
            Err(error) => Err(failure(&error, store.data())),
        }
    }

    /// Asks the guest for its routes.
    pub async fn routes(&mut self) -> Result<Vec<handler::Route>, GuestFailure> {
        self.prepare(None)?;
        let handler = self.guest.simhost_service_handler();
        let local = self.store.data().local.get();
        let (host, limits) = (Rc::clone(&local.host), local.identity.limits.clone());
        let routes = {
            let asking = pin!(handler.call_routes(&mut self.store));
            in_time(&host.sched, &limits, self.cpu.measure(self.fuel, asking)).await
        };
        self.store.data().local.get().output.finish();
        routes?.map_err(|error| failure(&error, self.store.data()))
    }

    /// Gets ready for one request: its trace, its chance, its bounds.
    pub fn begin(&mut self, scope: Box<RequestScope>) -> Result<(), GuestFailure> {
        self.prepare(Some(scope))
    }

    /// So many bytes more of the worker's memory are lost for as long as it lives.
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

    /// Serves the request that [`begin`](Self::begin) has announced. After an error
    /// the worker is worth nothing: drop it.
    ///
    /// The future may be dropped before it ends; then call
    /// [`finish`](Self::finish) and drop the worker.
    pub async fn handle(&mut self, route: Option<u32>) -> Result<Response, GuestFailure> {
        let handler = self.guest.simhost_service_handler();
        let answer = {
            let answering = pin!(handler.call_handle(&mut self.store, route));
            self.cpu.measure(self.fuel, answering).await
        };
        match answer {
            Ok(response) => checked(response, &self.store.data().local.get().identity.limits),
            Err(error) => Err(failure(&error, self.store.data())),
        }
    }

    /// How much longer the request's work has taken as its process is slow: nanoseconds.
    pub fn stretched(&self) -> Nanos {
        self.store.data().nature.stretched
    }

    /// Ends what the request left open, and returns what the guest said of its SERVER span.
    pub fn finish(&mut self) -> Vec<KeyValue> {
        let local = self.store.data_mut().local.get_mut();
        local.output.finish();
        local.output.current.set(None);
        local.pending.clear();
        let Some(scope) = &mut local.scope else { return Vec::new() };
        scope.end_all(&local.host, &local.identity);
        let annotations = std::mem::take(&mut scope.annotations);
        local.scope = None;
        annotations
    }

    fn prepare(&mut self, scope: Option<Box<RequestScope>>) -> Result<(), GuestFailure> {
        let state = self.store.data_mut();
        let local = state.local.get_mut();
        let limits = &local.identity.limits;
        local.output.begin(limits.spans);
        local.cpu.spent.set(Duration::ZERO);
        state.memory.reached = false;
        state.nature.stretched = 0;
        if let Some(scope) = &scope {
            state.nature.random = Chance::of(scope.random());
            local.output.current.set(scope.current());
        }
        local.scope = scope;
        let cpu_time = limits.cpu_time;
        allow_cpu_time(&mut self.store, self.fuel, cpu_time)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("service", &self.store.data().local.get().identity.name)
            .finish_non_exhaustive()
    }
}

/// Fuel where the engine counts it, so that a virtual run stops a guest at the
/// same instruction every time; else ticks of the epoch.
fn allow_cpu_time(store: &mut Store<GuestState>, fuel: bool, cpu_time: Nanos) -> Result<(), GuestFailure> {
    if !fuel {
        store.set_epoch_deadline(1);
        return Ok(());
    }
    store.set_fuel(cpu_time).map_err(|error| failure(&error, store.data()))
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

/// Measures how long a guest computes, in real time: from each turn's beginning
/// to its end. At each tick of the epoch a computing guest is asked for its
/// account, and yields, so that others get their turn.
struct CpuMeter {
    limit: Duration,
    sched: Sched,
    /// In the turns that have ended, since the request began.
    spent: Cell<Duration>,
    /// Since the present turn began.
    turn: Cell<Option<Stopwatch>>,
}

impl CpuMeter {
    const fn new(cpu_time: Nanos, sched: Sched) -> Self {
        let (spent, turn) = (Cell::new(Duration::ZERO), Cell::new(None));
        Self { limit: Duration::from_nanos(cpu_time), sched, spent, turn }
    }

    /// Polls `future`, keeping the account; where fuel is counted there is no need.
    /// It borrows the future, which its caller holds already: one that it took by
    /// value would be there twice.
    fn measure<T>(
        &self,
        fuel: bool,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> impl Future<Output = T> {
        std::future::poll_fn(move |context| {
            if fuel {
                return future.as_mut().poll(context);
            }
            let turn = Stopwatch::start();
            self.turn.set(Some(turn));
            let poll = self.sched.computing(|| future.as_mut().poll(context));
            self.turn.set(None);
            self.spent.set(self.spent.get() + turn.elapsed());
            poll
        })
    }

    fn tick(store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
        let cpu = &store.data().local.get().cpu;
        let turn = cpu.turn.get().map_or(Duration::ZERO, Stopwatch::elapsed);
        if cpu.spent.get() + turn >= cpu.limit {
            return Err(OutOfTime.into());
        }
        Ok(UpdateDeadline::Yield(1))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the guest computed for too long")]
struct OutOfTime;

fn exhausted() -> GuestFailure {
    let message = "as many workers exist as limits.workers allows".to_owned();
    GuestFailure { kind: WORKERS_EXHAUSTED, message, backtrace: None }
}

/// What a guest's error was, in words that name the bound it met.
fn failure(error: &wasmtime::Error, state: &GuestState) -> GuestFailure {
    let local = state.local.get();
    let limits = &local.identity.limits;
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let trap = error.downcast_ref::<Trap>();
    let (kind, message) = if let Some(I32Exit(code)) = error.downcast_ref() {
        // The code of WASI 0.2 is 0 or 1, whatever the guest's own was.
        let how = if *code == 0 { "" } else { " with an error" };
        ("guest_exit", format!("the guest exited{how} instead of answering"))
    } else if error.is::<OutOfTime>() || trap == Some(&Trap::OutOfFuel) {
        let limit = crate::clock::show(limits.cpu_time);
        ("cpu_time_exceeded", format!("the guest computed longer than limits.cpu-time = {limit}"))
    } else if error.is::<PoolConcurrencyLimitError>() {
        return exhausted();
    } else if trap == Some(&Trap::StackOverflow) {
        ("stack_overflow", "the guest's stack overflowed".to_owned())
    } else if state.memory.reached {
        let GuestFailure { kind, message, .. } = memory_exceeded(limits);
        (kind, message)
    } else if let Some(trap) = trap {
        match local.output.complaint() {
            said if said.is_empty() => ("guest_trap", trap.to_string()),
            said => ("guest_trap", format!("{trap}: {said}")),
        }
    } else {
        ("guest_error", error.root_cause().to_string())
    };
    GuestFailure { kind, message, backtrace }
}

/// Refuses a response that could not go over the wire, or is over a bound.
fn checked(response: handler::Response, limits: &Limits) -> Result<Response, GuestFailure> {
    let handler::Response { status, headers, body } = response;
    let refuse = |message: String| Err(GuestFailure { kind: "invalid_response", message, backtrace: None });
    if !(200..=599).contains(&status) {
        return refuse(format!("the guest answered status {status}; 200 to 599 are valid"));
    }
    let mut headers = Headers(headers);
    if headers.size() as u64 > limits.headers {
        let (size, limit) = (headers.size(), limits.headers);
        return refuse(format!("{size} bytes of headers exceed limits.headers = {limit} bytes"));
    }
    if let Err(message) = headers.normalise() {
        return refuse(message);
    }
    if body.len() as u64 > limits.body {
        let (size, limit) = (body.len(), limits.body);
        return refuse(format!("a body of {size} bytes exceeds limits.body = {limit} bytes"));
    }
    Ok(Response { status, headers, body })
}
