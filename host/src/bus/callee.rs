//! The callee's side of a call: what becomes of a request on its way to a service, and there.
//!
//! Start at `deliver`, the way there and back, or at [`CalleeSide::serve`], the arrival.

mod arrival;
mod consume;
mod dead_letters;
mod deadlock;
mod deliver;
pub mod job;
mod measured;
pub mod node;
pub mod outside;
mod receive;
mod refusal;
mod release;
pub mod replica;
pub mod routes;
mod serve;
mod server_span;

use std::rc::Rc;
use std::sync::Arc;

use crate::engine::Engine;
use crate::fault::{Faults, Records};
use crate::guest::{CallError, Host};
use crate::model::{Nanos, ServiceId};

use super::spans::OpenSpan;
use super::stats::Stats;
use super::tracing::Tracing;
pub(super) use arrival::{Arrival, Work};
use consume::Consumers;
pub(super) use consume::Storm;
use deadlock::Deadlocks;
use node::{GuestNode, Node, NodeCode};
use outside::External;
pub(super) use receive::as_request;

/// The services of a run, as they are called. For the core thread only.
pub struct CalleeSide {
    pub(super) host: Rc<Host>,
    /// Its epoch goes on as long as there are guests to interrupt.
    _engine: Arc<Engine>,
    pub(super) nodes: Vec<Node>,
    pub(super) faults: Faults,
    /// Faults of records; none where the topology has none.
    pub(super) records: Option<Rc<Records>>,
    pub(super) tracing: Rc<Tracing>,
    external: Option<Rc<dyn External>>,
    pub(super) stats: Stats,
    deadlocks: Deadlocks,
    pub(super) consumers: Consumers,
    /// Whether something may strike any replica.
    pub(super) is_any_mortal: bool,
}

impl CalleeSide {
    pub(super) fn new(
        host: Rc<Host>,
        engine: Arc<Engine>,
        nodes: Vec<Node>,
        faults: Faults,
        records: Option<Rc<Records>>,
        tracing: Tracing,
        external: Option<Rc<dyn External>>,
    ) -> Self {
        let stats = Stats::new(nodes.iter().map(Node::account).collect(), host.sched.now());
        let consumers = Consumers::new(&host.topics, nodes.len());
        let is_any_mortal = nodes.iter().any(Node::is_mortal);
        Self {
            host,
            _engine: engine,
            nodes,
            faults,
            records,
            tracing: Rc::new(tracing),
            external,
            stats,
            deadlocks: Deadlocks::default(),
            consumers,
            is_any_mortal,
        }
    }

    /// The instant, in simulated time.
    pub(super) fn now(&self) -> Nanos {
        self.host.sched.now()
    }

    pub(super) fn node(&self, id: ServiceId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The guest that answers for a service; none of a real server.
    pub(super) fn guest(&self, id: ServiceId) -> Option<&GuestNode> {
        match &self.node(id).code {
            NodeCode::Guest(guest) => Some(guest),
            NodeCode::External => None,
        }
    }

    /// Records a span that has ended, unless its trace is not kept.
    pub(super) fn record(&self, span: OpenSpan) {
        span.end(self.now(), &self.host.recorder);
    }

    pub(super) fn nobody_at(&self, service: ServiceId) -> CallError {
        CallError::Refused(format!("nobody listens at {}", self.node(service).name))
    }
}

impl std::fmt::Debug for CalleeSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CalleeSide").field("nodes", &self.nodes).finish_non_exhaustive()
    }
}
