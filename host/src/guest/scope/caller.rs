//! Who calls, and who comes: what a request has with it on its way.

use std::rc::Rc;
use std::sync::Arc;

use crate::context::{Baggage, SpanContext, SpanId};
use crate::model::{Nanos, ServiceId};
use crate::telemetry::record::ResourceId;
use crate::topic::Lineage;

use super::Trace;
use crate::guest::budget::Hold;
use crate::guest::endpoint::Endpoint;
use crate::guest::waiter::Waiter;

/// Who calls, and from within which span.
#[derive(Clone, Debug)]
pub struct Caller {
    /// None for what comes from outside of the topology.
    pub service: Option<ServiceId>,
    /// Of that service.
    pub replica: u32,
    pub resource: ResourceId,
    /// Where its requests come from.
    pub endpoint: Rc<Endpoint>,
    pub trace: Trace,
    /// The span that is current where the call is made.
    pub parent: Option<SpanId>,
    /// The SERVER span of the request that the call is made for.
    pub within: Option<SpanId>,
    /// The id that the CLIENT span is to have.
    pub span: SpanId,
    pub baggage: Baggage,
    /// Calls above this one.
    pub depth: u32,
    /// The topics of the messages above this call.
    pub lineage: Lineage,
    /// The instant from which on nobody waits for the caller itself, if it was told so.
    pub deadline: Option<Nanos>,
    /// What the call holds of its worker's budget; none of a client outside.
    pub hold: Option<Rc<Hold>>,
    /// The worker that makes the call, where it waits for the call as long as that takes.
    pub waiter: Option<Rc<Waiter>>,
}

/// How long the sender of a request waits for the answer, as it has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// Milliseconds from the request's arrival on.
    pub allowed: u64,
    /// The instant at which they are over.
    pub at: Nanos,
}

impl Deadline {
    /// That of a request that arrives now.
    pub const fn from_now(allowed: u64, now: Nanos) -> Self {
        Self { allowed, at: now.saturating_add(allowed.saturating_mul(1_000_000)) }
    }
}

impl Caller {
    /// The calling service and its replica; none for what comes from outside.
    pub fn home(&self) -> Option<(ServiceId, u32)> {
        Some((self.service?, self.replica))
    }
}

/// Where a request comes from, as its worker needs to know.
#[derive(Debug)]
pub struct Visitor {
    /// The calling service and its replica; none from outside of the topology.
    pub from: Option<(ServiceId, u32)>,
    /// What the service counts its route as, whichever release serves it.
    pub slot: Option<u32>,
    /// Which attempt of its call it is, from 0.
    pub attempt: u32,
    pub trace: Trace,
    pub server: SpanId,
    pub baggage: Baggage,
    pub depth: u32,
    pub lineage: Lineage,
    /// The context that came along; none where it is among the request's headers.
    pub context: Option<SpanContext>,
    /// What the caller's requests call themselves; none where it is among the headers.
    pub agent: Option<Arc<str>>,
    pub deadline: Option<Deadline>,
}
