//! The bus: it carries a request from caller to callee and the response back.
//!
//! A call has two sides, each with a type of its own. Guests call through a `CallerSide`, which resolves the
//! callee, applies the policies of the link and records CLIENT spans. A
//! [`CalleeSide`] has the services: it picks a replica, queues, gives the request to a worker and records
//! SERVER spans. What comes from outside, [`Bus::admit`] (in `entry`) brings to it. `docs/internals/call.md`
//! follows a call through them.

pub mod callee;
mod caller;
mod collection;
mod entry;
mod faults;
mod measure;
mod redact;
pub mod replica_faults;
pub mod spans;
pub mod stats;
mod tracing;
mod visit;

use std::cell::{Cell, RefCell};
use std::net::Ipv4Addr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::engine::Engine;
use crate::fault::{Faults, Records, WindowHandler};
use crate::guest::endpoint::Addresses;
use crate::guest::{Host, Outbound};
use crate::link::Links;
use crate::model::{Bounds, Nanos};
use crate::telemetry::recorder::Recorder;
use crate::telemetry::sampler::Sampler;

use callee::CalleeSide;
pub use callee::job::{JobFailure, JobRun};
pub use callee::node::{GuestNode, Node, NodeCode, Release, ReplicaSet};
pub use callee::outside::{Exchange, External};
pub use callee::{replica, routes};
use caller::CallerSide;
pub use caller::{Destination, Sent, address_of};
pub use entry::{Admitted, Answer, Entry, Received, RequestIdentity};
use spans::OpenSpan;
use stats::Stats;
use tracing::Tracing;
pub use tracing::trace_mask;
pub use visit::{OfClient, Outcome};

/// The services of a run, and what lies between them. For the core thread only.
#[derive(Debug)]
pub struct Bus {
    callee: Rc<CalleeSide>,
    /// Guests refer to it weakly: it lives as long as the bus.
    _caller: Rc<CallerSide>,
    /// Requests from outside that may be under way.
    requests: u32,
    /// Requests that came from outside so far; of those, the numbered; and those under way.
    entered: Cell<u64>,
    numbered: Cell<u64>,
    inside: Cell<u32>,
    /// Those that its replicas and clients have.
    addresses: RefCell<Addresses>,
    /// The Resources of loads that have spans.
    loads: Range<u32>,
    /// The Resources of brokers and caches, in their order.
    servers: Range<u32>,
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
    /// Those that the replicas have.
    pub addresses: Addresses,
    /// The Resources of loads that have spans.
    pub loads: Range<u32>,
    /// Those of [`brokers`](crate::topic::brokers), and of [`servers`](crate::cache::servers).
    pub servers: Range<u32>,
}

impl Bus {
    pub fn new(parts: Parts) -> Rc<Self> {
        let Parts { host, engine, nodes, links, faults, records, sampler, external, settings, .. } = parts;
        let BusSettings { trace_mask, bounds, exclude, allowed_hosts } = settings;
        let tracing = Tracing::new(host.root, trace_mask, sampler, exclude);
        let callee = Rc::new(CalleeSide::new(host, engine, nodes, faults, records, tracing, external));
        let caller = Rc::new(CallerSide::new(&callee, links, allowed_hosts, bounds.call_depth));
        let outbound: Rc<dyn Outbound> = Rc::new(Rc::downgrade(&caller));
        // A second bus on one host would be a defect of the wiring.
        assert!(callee.host.outbound.set(outbound).is_ok(), "a host has one bus");
        let bus = Rc::new(Self {
            callee,
            _caller: caller,
            requests: bounds.requests,
            entered: Cell::new(0),
            numbered: Cell::new(0),
            inside: Cell::new(0),
            addresses: RefCell::new(parts.addresses),
            loads: parts.loads,
            servers: parts.servers,
        });
        bus.await_deployments();
        bus.callee.begin_consuming();
        bus
    }

    /// The address of a client that sends requests to the bus: no replica and no other client has it.
    pub fn client_address(&self, name: &str) -> Ipv4Addr {
        self.addresses.borrow_mut().give(name, 0)
    }

    /// The instant, in simulated time.
    pub fn now(&self) -> Nanos {
        self.callee.now()
    }

    pub fn host(&self) -> &Rc<Host> {
        &self.callee.host
    }

    pub fn nodes(&self) -> &[Node] {
        &self.callee.nodes
    }

    pub fn faults(&self) -> &Faults {
        &self.callee.faults
    }

    /// What is opened and closed when faults come and go.
    pub fn stage(&self) -> Rc<dyn WindowHandler> {
        Rc::clone(&self.callee) as Rc<dyn WindowHandler>
    }

    pub fn stats(&self) -> &Stats {
        &self.callee.stats
    }

    /// Where spans and log records go.
    pub fn recorder(&self) -> &Recorder {
        &self.callee.host.recorder
    }

    /// Requests from outside that are under way.
    pub const fn inside(&self) -> u32 {
        self.inside.get()
    }

    /// Requests from outside so far.
    pub const fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// Runs a job.
    ///
    /// # Errors
    /// Why it failed.
    pub fn run_job(&self, run: JobRun) -> impl Future<Output = Result<(), JobFailure>> + use<> {
        Rc::clone(&self.callee).run_job(run)
    }

    /// Counts a run of a job that is left out.
    pub fn skip_job(&self, run: &JobRun) {
        self.callee.skip_job(run);
    }

    /// The run is over: tells what faults keep from happening until then.
    pub fn end_faults(&self) {
        self.callee.strike_kept();
    }

    /// Records a span that has ended, unless its trace is not kept.
    pub fn record(&self, span: OpenSpan) {
        self.callee.record(span);
    }
}
