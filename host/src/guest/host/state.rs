//! What the host keeps for a worker, in the store of its guest.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;

use fragile::Fragile;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::cache::Caches;
use crate::database::Databases;
use crate::metrics::{Incarnation, Metrics};
use crate::model::Limits;
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::recorder::Recorder;
use crate::topic::Topics;
use crate::wasi::{self, Bill, Chance, GuestEnv, Lookahead, Output, WithGuestEnv};

use super::States;
use crate::guest::budget::Budget;
use crate::guest::identity::Identity;
use crate::guest::memory::MemoryLimit;
use crate::guest::meter::CpuMeter;
use crate::guest::outbound::Outbound;
use crate::guest::scope::RequestScope;

/// Handles that a worker has at a time: its spans, its calls under way, its timers. One
/// more stops the guest.
pub(in crate::guest) const HANDLES: usize = 16_384;

/// What a guest may pass to the host, or give back to it, at once: bytes. It has to let the
/// largest message through, as wasmtime counts it.
pub(in crate::guest) fn argument_bytes(limits: &Limits) -> usize {
    const FIELD_AT_LEAST: u64 = 4;
    let fields = limits.headers / FIELD_AT_LEAST * size_of::<(String, String)>() as u64;
    limits.host_memory().max(limits.body + limits.headers + fields) as usize
}

/// What all workers of a run share with the host.
pub struct Host {
    pub sched: Sched,
    pub recorder: Rc<Recorder>,
    /// None where nobody asks for any.
    pub metrics: Option<Rc<Metrics>>,
    pub span_limits: SpanLimits,
    /// [`Model::root`](crate::model::Model::root): every draw is made of it.
    pub root: u64,
    /// Workers that may still be made. The engine has room for those of all
    /// worlds: no world may take another's.
    pub permits: Cell<u64>,
    pub databases: Databases,
    pub caches: Caches,
    pub topics: Topics,
    /// Set once the bus exists; a guest that calls before gets `invalid`.
    pub outbound: OnceCell<Rc<dyn Outbound>>,
}

/// The data of a worker's store, which wasmtime wants to be `Send`.
pub struct GuestState {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(in crate::guest) env: GuestEnv,
    pub(in crate::guest) memory: MemoryLimit,
    pub(in crate::guest) local: Fragile<Local>,
}

/// What of it belongs to the core thread.
pub(in crate::guest) struct Local {
    pub output: Rc<Output>,
    pub cpu: Rc<CpuMeter>,
    pub ahead: Rc<Lookahead>,
    pub budget: Rc<Budget>,
    pub host: Rc<Host>,
    pub identity: Rc<Identity>,
    /// The process that the worker is in; none without metrics.
    pub process: Option<Incarnation>,
    /// In a box, as it goes from hand to hand.
    pub scope: Option<Box<RequestScope>>,
    /// What single interfaces keep for the worker.
    pub interfaces: States,
    /// Handles that this worker has given out: spans and calls.
    handles: u32,
}

impl Local {
    /// A number for what the guest holds, which nothing else that it holds has:
    /// a handle from an earlier request means nothing any more.
    pub fn next_handle(&mut self) -> u32 {
        self.handles = self.handles.wrapping_add(1);
        self.handles
    }

    /// Log records refer to what is current from now on.
    pub fn note_current(&self) {
        self.output.current.set(self.scope.as_ref().and_then(|scope| scope.current()));
    }
}

impl GuestState {
    /// What a worker of this replica starts with. `ordinal` tells the workers of a replica apart.
    pub(in crate::guest) fn new(host: &Rc<Host>, identity: &Rc<Identity>, ordinal: u32) -> Self {
        let start = Key::new(host.root, Purpose::GuestStart)
            .with_name(&identity.name)
            .with(u64::from(identity.replica))
            .with(u64::from(ordinal));
        let bill = Bill::default();
        let ahead = Rc::new(Lookahead::new(&identity.process, identity.compute, bill.clone()));
        let budget = Budget::new(identity.limits.host_memory(), &identity.under_way);
        let output = {
            let (recorder, budget) = (Rc::clone(&host.recorder), Rc::clone(&budget));
            let keep = move |bytes| budget.record(bytes);
            Rc::new(Output::new(&ahead, recorder, identity.resource, bill.clone(), keep))
        };
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        Self {
            wasi: wasi::context(&identity.environment, &output),
            table,
            env: GuestEnv {
                ahead: Fragile::new(Rc::clone(&ahead)),
                random: Chance::of(start),
                hash_seed: start.draw(),
                bill: bill.clone(),
            },
            memory: MemoryLimit::new(identity.limits.memory as usize, Arc::clone(&identity.memory), bill),
            local: Fragile::new(Local {
                output,
                cpu: Rc::new(CpuMeter::new(identity.limits.cpu_time, host.sched.clone())),
                ahead,
                budget,
                host: Rc::clone(host),
                identity: Rc::clone(identity),
                process: host.metrics.as_ref().map(|metrics| metrics.incarnation(identity.resource)),
                scope: None,
                interfaces: States::new(identity),
                handles: 0,
            }),
        }
    }

    /// Adds the price of what the host does now to what the guest owes: units of fuel.
    pub(in crate::guest) fn charge(&self, fuel: u64) {
        self.env.bill.charge(fuel);
    }
}

impl WasiView for GuestState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WithGuestEnv for GuestState {
    fn env(&mut self) -> (&mut GuestEnv, &mut ResourceTable) {
        (&mut self.env, &mut self.table)
    }
}
