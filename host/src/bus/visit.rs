//! A request on its way from caller to callee, as the bus carries it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;

use crate::context::{Baggage, SpanContext, SpanId};
use crate::fault::{Candidate, Json, Spans};
use crate::guest::budget::Share;
use crate::guest::endpoint::Endpoint;
use crate::guest::scope::{Deadline, Trace};
use crate::guest::{Above, CallError, Identity};
use crate::message::{Request, Response};
use crate::metrics::HttpVersion;
use crate::model::{Nanos, ServiceId};
use crate::rng::Purpose;
use crate::telemetry::record::KeyValue;
use crate::topic::Lineage;

use super::spans::Connection;

/// What comes back of an attempt.
pub type Outcome = Result<Response, CallError>;

/// The outcome of an attempt, kept on its caller's budget; an answer for which that has
/// no room is none.
pub(super) fn kept(outcome: Outcome, share: Option<&Share>) -> Outcome {
    match (&outcome, share) {
        (Ok(response), Some(share)) if !share.hold().answer(response) => {
            Err(CallError::HostMemory(share.hold().to_string()))
        }
        _ => outcome,
    }
}

/// A request at the callee's door.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub to: ServiceId,
    /// The calling service and its replica.
    pub from: Option<(ServiceId, u32)>,
    pub trace: Trace,
    pub parent: Option<SpanId>,
    pub span: SpanId,
    /// The CLIENT span of the call that brings it, whatever context comes along.
    pub call: Option<SpanId>,
    /// The CLIENT span that waits for it: of that call, or of a load.
    pub client: Option<SpanId>,
    pub baggage: Baggage,
    pub depth: u32,
    /// The topics of the messages above it.
    pub lineage: Lineage,
    /// Set when it arrives, if its sender has said how long it waits.
    pub deadline: Option<Deadline>,
    /// Which attempt of its call it is, from 0.
    pub attempt: u32,
    /// The worker that waits for it, however long it takes.
    pub above: Option<Above>,
    pub request: Request,
    /// What it holds of its caller's budget; none from outside.
    pub hold: Option<Share>,
    pub hop: Hop,
}

/// What the SERVER span says of a client outside and its connection: `server.*`,
/// `client.address`, `network.*`.
#[derive(Clone, Debug, Default)]
pub struct OfClient {
    /// What is the same for all its requests.
    pub shared: Option<Arc<[KeyValue]>>,
    pub own: Vec<KeyValue>,
    /// Once more, for metrics.
    pub version: HttpVersion,
}

/// How a request goes from its sender to its receiver.
#[derive(Clone, Debug)]
pub(super) enum Hop {
    /// From outside; with further attributes of the SERVER span.
    FromOutside(OfClient),
    /// From a service of the topology: from there, with the context that came along; none
    /// where it is among the request's headers, or did not come.
    BetweenServices(Rc<Endpoint>, Option<SpanContext>),
    /// To a real server; it takes in what becomes known of the connection.
    ToRealServer(Rc<OnceCell<Connection>>),
}

/// One way there and back: nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundTrip {
    pub there: Nanos,
    pub back: Nanos,
    /// How long the caller waits, or is alive at least: nanoseconds.
    pub patience: Nanos,
    /// The callee is told so: milliseconds.
    pub allowed: Option<u64>,
}

/// The number of a SERVER span among the children of its CLIENT span, where the
/// request arrives twice. Attempts are numbered from below.
const SECOND_ARRIVAL: u32 = u32::MAX;

impl Visit {
    pub const fn is_outer(&self) -> bool {
        matches!(self.hop, Hop::FromOutside(_))
    }

    /// The request as faults see it that show at `span`.
    pub fn candidate<'a>(
        &'a self,
        route: Option<u32>,
        replica: Option<u32>,
        params: &'a [(String, String)],
        span: SpanId,
    ) -> Candidate<'a> {
        Candidate {
            service: self.to,
            route,
            replica,
            from: self.from,
            resource: None,
            request: &self.request,
            params,
            baggage: &self.baggage,
            json: Json::default(),
            attempt: self.attempt,
            trace: self.trace.trace_id,
            span,
            spans: Spans { server: Some(self.span), client: self.client, own: None },
            key: self.trace.chance(Purpose::Fault, span),
        }
    }

    /// The request as faults see it that has come to a replica.
    pub fn candidate_at<'a>(
        &'a self,
        route: Option<u32>,
        replica: &Identity,
        params: &'a [(String, String)],
    ) -> Candidate<'a> {
        let candidate = self.candidate(route, Some(replica.replica), params, self.span);
        Candidate { resource: Some(replica.resource), ..candidate }
    }

    /// The id of the SERVER span, should the request arrive once more.
    pub fn second_arrival(&self) -> SpanId {
        self.trace.child_id(Some(self.outermost()), SECOND_ARRIVAL)
    }

    /// Which of `replicas` serves it.
    pub fn pick(&self, replicas: usize) -> usize {
        pick(&self.trace, replicas, || self.span)
    }

    /// The span that shows what happens on the way: CLIENT, where it is ours.
    pub const fn outermost(&self) -> SpanId {
        match self.call {
            Some(call) => call,
            None => self.span,
        }
    }
}

/// Which of `replicas` serves the request of this SERVER span: any, with equal chance.
pub(super) fn pick(trace: &Trace, replicas: usize, server: impl FnOnce() -> SpanId) -> usize {
    if replicas == 1 {
        return 0;
    }
    let chance = trace.chance(Purpose::Replica, server());
    ((chance.unit() * replicas as f64) as usize).min(replicas - 1)
}
