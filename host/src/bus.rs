//! The bus: it carries a request from caller to callee and the response back.
//!
//! Follow one call: [`Bus::admit`] (in `entry`) for what comes from outside, and
//! `Outbound::call` for what a guest sends; both end in [`Bus::serve`], the
//! callee's side. The stages are those of ARCHITECTURE.md, "One call".

pub mod callee;
mod caller;
mod entry;
mod fault_target;
mod network;
mod redact;
pub mod replica_faults;
mod serve_mortal;
mod span_delay;
pub mod spans;
pub mod stats;
mod visit;

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::engine::Engine;
use crate::fault::{Faults, Records};
use crate::guest::{Host, Outbound};
use crate::link::Links;
use crate::message::Request;
use crate::model::{Bounds, Nanos, ServiceId};
use crate::telemetry::recorder::Recorder;
use crate::telemetry::sampler::Sampler;

use callee::Deadlocks;
pub use callee::node::{Exchange, External, GuestNode, Node, NodeCode, Release, Stand};
pub use callee::{replica, routes};
pub use caller::address_of;
pub use entry::{Admitted, Answer, Entry, Identity, trace_mask};
use spans::OpenSpan;
use stats::Stats;
pub use visit::{OfClient, Outcome};

/// The services of a run, and what lies between them. For the core thread only.
pub struct Bus {
    me: Weak<Bus>,
    host: Rc<Host>,
    /// Its epoch goes on as long as there are guests to interrupt.
    _engine: Arc<Engine>,
    nodes: Vec<Node>,
    names: FxHashMap<Arc<str>, ServiceId>,
    links: Links,
    pub faults: Faults,
    /// Faults of records; none where the topology has none.
    records: Option<Rc<Records>>,
    sampler: Sampler,
    external: Option<Rc<dyn External>>,
    settings: BusSettings,
    pub stats: Stats,
    /// Requests that came from outside so far; of those, the numbered; and those under way.
    entered: Cell<u64>,
    numbered: Cell<u64>,
    inside: Cell<u32>,
    deadlocks: Deadlocks,
}

/// What the bus takes from the model as it is.
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// For the upper halves of trace ids: see [`trace_mask`].
    pub trace_mask: u64,
    pub bounds: Bounds,
    /// Paths that get no spans.
    pub exclude: Vec<String>,
    /// `host` or `host:port` that guests may call by an absolute URL.
    pub allowed_hosts: Vec<String>,
}

/// The parts of a bus.
pub struct Parts {
    pub host: Rc<Host>,
    pub engine: Arc<Engine>,
    pub nodes: Vec<Node>,
    pub links: Links,
    pub faults: Faults,
    pub records: Option<Rc<Records>>,
    pub sampler: Sampler,
    pub external: Option<Rc<dyn External>>,
    pub settings: BusSettings,
}

impl Bus {
    pub fn new(parts: Parts) -> Rc<Self> {
        let Parts { host, engine, nodes, links, faults, records, sampler, external, settings } = parts;
        let names = nodes.iter().enumerate();
        let names = names.map(|(index, node)| (Arc::clone(&node.name), ServiceId(index as u32))).collect();
        let stats = Stats::new(nodes.iter().map(Node::account).collect(), host.sched.now());
        let bus = Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            host,
            _engine: engine,
            nodes,
            names,
            links,
            faults,
            records,
            sampler,
            external,
            settings,
            stats,
            entered: Cell::new(0),
            numbered: Cell::new(0),
            inside: Cell::new(0),
            deadlocks: Deadlocks::default(),
        });
        let outbound: Rc<dyn Outbound> = Rc::new(Weak::clone(&bus.me));
        // A second bus on one host would be a defect of the wiring.
        assert!(bus.host.outbound.set(outbound).is_ok(), "a host has one bus");
        bus
    }

    /// The instant, in simulated time.
    pub fn now(&self) -> Nanos {
        self.host.sched.now()
    }

    pub const fn host(&self) -> &Rc<Host> {
        &self.host
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where spans and log records go.
    pub fn recorder(&self) -> &Recorder {
        &self.host.recorder
    }

    /// Requests from outside so far.
    pub const fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// Whether the request leaves no spans, nor what it calls.
    fn excluded(&self, request: &Request) -> bool {
        self.settings.exclude.iter().any(|path| path == request.path())
    }

    /// Records a span that has ended, unless its trace is not kept.
    pub fn record(&self, span: OpenSpan) {
        span.end(self.host.sched.now(), &self.host.recorder);
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("nodes", &self.nodes)
            .field("entered", &self.entered)
            .finish_non_exhaustive()
    }
}
