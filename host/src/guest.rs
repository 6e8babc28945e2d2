//! The code of a service, as the host runs it: a worker serves one request at
//! a time and keeps its memory between requests.
//!
//! Start at [`Worker::handle`]. What a guest may call is in [`host`], the spans
//! of its request in [`scope`].

pub mod bindings;
pub mod host;
pub mod scope;

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::LocalBoxFuture;
use send_wrapper::SendWrapper;
use slab::Slab;
use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, StoreContextMut, Trap, UpdateDeadline, WasmBacktrace};
use wasmtime_wasi::{I32Exit, WasiCtx, WasiCtxView, WasiView};

use crate::message::{Headers, Request, Response};
use crate::model::{Limits, Nanos, ServiceId};
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Recorder;
use crate::wasi::{self, Natural, Nature, Output};

use bindings::exports::simhost::service::handler;
use host::PendingCall;
use scope::{Caller, RequestScope};

/// How often a computing guest is interrupted in real time: nanoseconds.
pub const EPOCH_TICK: Nanos = 10_000_000;

/// Where a guest's calls to other services go. Declared here and implemented by
/// the bus, so that imports point one way.
pub trait Outbound {
    /// Carries one call. The future may be dropped: the callee works on.
    fn call(
        &self,
        caller: Caller,
        service: String,
        request: Request,
        timeout: Option<Nanos>,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>>;
}

/// Why a call has no response, as in `simhost:service/bus`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("{0}")]
    UnknownService(String),
    #[error("no response in time")]
    Timeout,
    #[error("connection refused: {0}")]
    Refused(String),
    #[error("connection reset: {0}")]
    Reset(String),
    #[error("call depth {0} exceeds the topology's limit; is there a cycle?")]
    DepthExceeded(u32),
    #[error("invalid request: {0}")]
    Invalid(String),
}

impl CallError {
    /// The `error.type` of the CLIENT span: low in cardinality.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::UnknownService(_) => "unknown_service",
            Self::Timeout => "timeout",
            Self::Refused(_) => "connection_refused",
            Self::Reset(_) => "connection_reset",
            Self::DepthExceeded(_) => "call_depth_exceeded",
            Self::Invalid(_) => "invalid_request",
        }
    }
}

/// What all workers of a run share with the host.
pub struct Host {
    pub sched: Sched,
    pub recorder: Rc<Recorder>,
    pub span_limits: SpanLimits,
    pub seed: u64,
    /// Set once the bus exists; a guest that calls before gets `invalid`.
    pub outbound: OnceCell<Rc<dyn Outbound>>,
}

/// One replica of a service, as its workers see it.
#[derive(Debug)]
pub struct Identity {
    pub service: ServiceId,
    pub name: String,
    pub replica: u32,
    pub resource: ResourceId,
    pub config: Vec<(String, String)>,
    pub environment: Vec<(String, String)>,
    pub limits: Limits,
}

/// Why a guest did not answer, or not acceptably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestFailure {
    /// The `error.type` of the SERVER span: low in cardinality.
    pub kind: &'static str,
    pub message: String,
    /// The guest's own, innermost frame first.
    pub backtrace: Option<String>,
}

impl fmt::Display for GuestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.message)
    }
}

/// The data of a worker's store.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    nature: Nature,
    output: SendWrapper<Rc<Output>>,
    memory: MemoryLimit,
    cpu: CpuMeter,
    host: SendWrapper<Rc<Host>>,
    identity: SendWrapper<Rc<Identity>>,
    scope: Option<RequestScope>,
    pending: Slab<PendingCall>,
    /// Spans that this worker has opened.
    spans: u32,
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
    /// Counts how often the worker got its turn: see [`CpuMeter`].
    turns: Rc<Cell<u64>>,
    /// The engine counts fuel.
    fuel: bool,
}

impl Worker {
    /// Instantiates a guest. `ordinal` tells the workers of a replica apart.
    pub async fn new(
        code: &bindings::ServicePre<GuestState>,
        host: &Rc<Host>,
        identity: &Rc<Identity>,
        ordinal: u32,
    ) -> Result<Self, GuestFailure> {
        let start = Key::new(host.seed, Purpose::GuestStart)
            .with_name(&identity.name)
            .with(u64::from(identity.replica))
            .with(u64::from(ordinal));
        let output = Rc::new(Output::new(host.sched.clone(), Rc::clone(&host.recorder), identity.resource));
        let turns = Rc::new(Cell::new(0));
        let state = GuestState {
            wasi: wasi::context(&identity.environment, &output),
            table: ResourceTable::new(),
            nature: Nature {
                sched: SendWrapper::new(host.sched.clone()),
                random: start.stream(),
                hash_seed: start.draw(),
            },
            output: SendWrapper::new(output),
            memory: MemoryLimit { bytes: identity.limits.memory as usize, reached: false },
            cpu: CpuMeter {
                turns: SendWrapper::new(Rc::clone(&turns)),
                expected: 0,
                ticks: 0,
                limit: identity.limits.cpu_time.div_ceil(EPOCH_TICK).max(1),
            },
            host: SendWrapper::new(Rc::clone(host)),
            identity: SendWrapper::new(Rc::clone(identity)),
            scope: None,
            pending: Slab::new(),
            spans: 0,
        };
        let mut store = Store::new(code.engine(), state);
        store.limiter(|state| &mut state.memory);
        // Where the engine counts no fuel, it is interrupted by its epoch instead.
        let fuel = store.set_fuel(0).is_ok();
        store.epoch_deadline_callback(CpuMeter::tick);
        allow_cpu_time(&mut store, fuel, identity.limits.cpu_time)?;
        let guest = match code.instantiate_async(&mut store).await {
            Ok(guest) => guest,
            Err(error) => return Err(failure(&error, store.data())),
        };
        Ok(Self { store, guest, turns, fuel })
    }

    /// Asks the guest for its routes.
    pub async fn routes(&mut self) -> Result<Vec<handler::Route>, GuestFailure> {
        self.prepare(None)?;
        let handler = self.guest.simhost_service_handler();
        let routes = counted(&self.turns, handler.call_routes(&mut self.store)).await;
        self.store.data().output.finish();
        routes.map_err(|error| failure(&error, self.store.data()))
    }

    /// Serves one request. After an error the worker is worth nothing: drop it.
    ///
    /// The future may be dropped before it ends; then call
    /// [`finish`](Self::finish) and drop the worker.
    pub async fn handle(
        &mut self,
        scope: RequestScope,
        route: Option<u32>,
        params: Vec<(String, String)>,
        request: Request,
    ) -> Result<Response, GuestFailure> {
        self.prepare(Some(scope))?;
        let request = handler::Request {
            method: request.method,
            path_and_query: request.target,
            headers: request.headers.0,
            body: request.body,
        };
        let handler = self.guest.simhost_service_handler();
        let call = handler.call_handle(&mut self.store, route, &params, &request);
        match counted(&self.turns, call).await {
            Ok(response) => checked(response, &self.store.data().identity.limits),
            Err(error) => Err(failure(&error, self.store.data())),
        }
    }

    /// Ends what the request left open and returns its scope.
    pub fn finish(&mut self) -> Option<RequestScope> {
        let state = self.store.data_mut();
        state.output.finish();
        state.output.current.set(None);
        state.pending.clear();
        let mut scope = state.scope.take()?;
        scope.end_all(&state.host, &state.identity);
        Some(scope)
    }

    fn prepare(&mut self, scope: Option<RequestScope>) -> Result<(), GuestFailure> {
        let state = self.store.data_mut();
        let limits = &state.identity.limits;
        state.output.left.set(limits.spans);
        state.cpu.ticks = 0;
        state.memory.reached = false;
        if let Some(scope) = &scope {
            state.nature.random = scope.random();
            state.output.current.set(scope.current());
        }
        state.scope = scope;
        let cpu_time = limits.cpu_time;
        allow_cpu_time(&mut self.store, self.fuel, cpu_time)
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("service", &self.store.data().identity.name).finish_non_exhaustive()
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

/// Polls `future`, counting its turns.
async fn counted<T>(turns: &Cell<u64>, future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    std::future::poll_fn(|context| {
        turns.set(turns.get() + 1);
        Pin::as_mut(&mut future).poll(context)
    })
    .await
}

/// Measures how long a guest computes, in real time.
///
/// At each tick of the epoch a computing guest yields, so that others get their
/// turn. A tick counts only when the guest has computed since the one before:
/// one that waited in between starts anew.
struct CpuMeter {
    turns: SendWrapper<Rc<Cell<u64>>>,
    /// The turn in which the next tick counts.
    expected: u64,
    ticks: u64,
    limit: u64,
}

impl CpuMeter {
    fn tick(mut store: StoreContextMut<'_, GuestState>) -> wasmtime::Result<UpdateDeadline> {
        let cpu = &mut store.data_mut().cpu;
        let turn = cpu.turns.get();
        if turn == cpu.expected {
            cpu.ticks += 1;
        }
        if cpu.ticks >= cpu.limit {
            return Err(OutOfTime.into());
        }
        cpu.expected = turn + 1;
        Ok(UpdateDeadline::Yield(1))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the guest computed for too long")]
struct OutOfTime;

/// Bounds a worker's memory, and remembers that it was reached: the guest only
/// sees an allocation fail, and most abort.
struct MemoryLimit {
    bytes: usize,
    reached: bool,
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.reached |= desired > self.bytes;
        Ok(desired <= self.bytes)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        const TABLE_ENTRIES: usize = 1 << 20;
        Ok(desired <= TABLE_ENTRIES)
    }
}

/// What a guest's error was, in words that name the bound it met.
fn failure(error: &wasmtime::Error, state: &GuestState) -> GuestFailure {
    let limits = &state.identity.limits;
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(ToString::to_string);
    let trap = error.downcast_ref::<Trap>();
    let (kind, message) = if let Some(I32Exit(code)) = error.downcast_ref() {
        // The code of WASI 0.2 is 0 or 1, whatever the guest's own was.
        let how = if *code == 0 { "" } else { " with an error" };
        ("guest_exit", format!("the guest exited{how} instead of answering"))
    } else if error.is::<OutOfTime>() || trap == Some(&Trap::OutOfFuel) {
        let limit = crate::clock::show(limits.cpu_time);
        ("cpu_time_exceeded", format!("the guest computed longer than limits.cpu-time = {limit}"))
    } else if state.memory.reached {
        let limit = limits.memory >> 10;
        ("memory_exceeded", format!("the guest needed more than limits.memory = {limit} KiB"))
    } else if trap == Some(&Trap::StackOverflow) {
        ("stack_overflow", "the guest's stack overflowed".to_owned())
    } else if let Some(trap) = trap {
        ("guest_trap", trap.to_string())
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
    if let Err(message) = headers.normalise() {
        return refuse(message);
    }
    if headers.size() as u64 > limits.headers {
        let (size, limit) = (headers.size(), limits.headers);
        return refuse(format!("{size} bytes of headers exceed limits.headers = {limit} bytes"));
    }
    if body.len() as u64 > limits.body {
        let (size, limit) = (body.len(), limits.body);
        return refuse(format!("a body of {size} bytes exceeds limits.body = {limit} bytes"));
    }
    Ok(Response { status, headers, body })
}
