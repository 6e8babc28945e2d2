//! Requests from outside of the topology: who they are, and how they come onto the bus.

use std::num::NonZeroU128;
use std::rc::Rc;

use tokio::sync::oneshot;

use crate::context::{self, SpanContext, TraceFlags, TraceId};
use crate::guest::scope::Trace;
use crate::message::{Request, Response};
use crate::model::ServiceId;
use crate::rng::{Key, Purpose};
use crate::tally;
use crate::telemetry::record::KeyValue;

use super::stats::Ticket;
use super::{Bus, Visit};

/// A request from outside of the topology.
#[derive(Debug)]
pub struct Entry {
    pub to: ServiceId,
    pub request: Request,
    /// What the ingress knows of the client and the connection.
    pub attributes: Vec<KeyValue>,
    pub identity: Identity,
}

/// Who a request from outside is: its chance and, unless its sender has begun
/// one, its trace follow from this and the seed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The next of those that have no identity of their own.
    #[default]
    Numbered,
    /// That of this key. However many others there are, it stays who it is.
    Own(Key),
}

/// The answer to a request from outside.
#[derive(Debug)]
pub struct Answer {
    pub response: Response,
    /// The SERVER span's context; none when the request has no span.
    pub context: Option<SpanContext>,
}

/// A request that was let in, and is about to be served.
#[derive(Debug)]
pub struct Admitted {
    bus: Rc<Bus>,
    visit: Visit,
    ticket: Ticket,
    /// The SERVER span's context; none when the request has no span.
    pub context: Option<SpanContext>,
}

impl Admitted {
    /// Serves it. Dropping this stops the service in the middle of it: a client that
    /// no longer waits must not.
    pub async fn serve(self) -> Response {
        let Self { bus, visit, ticket, .. } = self;
        bus.inside.set(bus.inside.get() + 1);
        let response = bus.serve(visit).await;
        bus.inside.set(bus.inside.get() - 1);
        bus.stats.called(ticket, bus.host.sched.now(), tally::error_type(response.status));
        response
    }
}

impl Bus {
    /// Requests from outside so far.
    pub const fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// Serves a request from outside: continues its trace or starts one.
    pub async fn enter(self: Rc<Self>, entry: Entry) -> Answer {
        let mut admitted = match self.admit(entry) {
            Ok(admitted) => admitted,
            Err(response) => return Answer { response, context: None },
        };
        let context = admitted.context.take();
        // In a task of its own: a client that hangs up does not stop the system.
        let (send, receive) = oneshot::channel();
        self.host.sched.spawn(async move {
            send.send(admitted.serve().await).ok();
        });
        let response = match receive.await {
            Ok(response) => response,
            Err(_) => Response::detail(503, "the run is over"),
        };
        Answer { response, context }
    }

    /// Lets a request from outside in, to be served at once.
    ///
    /// # Errors
    /// The answer to one too many.
    pub fn admit(self: &Rc<Self>, entry: Entry) -> Result<Admitted, Response> {
        self.entered.set(self.entered.get() + 1);
        let number = self.number(entry.identity);
        let now = self.host.sched.now();
        let ticket = self.stats.calling(None, Some(entry.to), now);
        if self.inside.get() >= self.settings.bounds.requests {
            let limit = self.settings.bounds.requests;
            let response =
                Response::detail(503, format!("more than limits.requests = {limit} are under way"));
            self.stats.called(ticket, now, tally::error_type(response.status));
            return Err(response);
        }
        let incoming = context::extract(&entry.request.headers);
        let excluded = self.excluded(&entry.request);
        let parent = incoming.parent.as_ref().map(|parent| parent.span_id);
        let trace = self.trace(number, incoming.parent, excluded);
        let span = trace.child_id(parent, 0);
        let context = (!excluded).then(|| SpanContext {
            trace_id: trace.trace_id,
            span_id: span,
            flags: trace.flags,
            trace_state: trace.trace_state.clone(),
        });
        let visit = Visit {
            to: entry.to,
            from: None,
            trace,
            parent,
            span,
            baggage: incoming.baggage,
            depth: 0,
            request: entry.request,
            outer: Some(entry.attributes),
        };
        Ok(Admitted { bus: Rc::clone(self), visit, ticket, context })
    }

    /// The trace of a request that begins at its client, outside of the topology.
    pub fn begin(&self, key: Key, request: &Request) -> Trace {
        self.trace(key.draw(), None, self.excluded(request))
    }

    /// Whether the request leaves no spans, nor what it calls.
    pub(super) fn excluded(&self, request: &Request) -> bool {
        self.settings.exclude.iter().any(|path| path == request.path())
    }

    /// The number that a request's chance and trace are made of. Those of keys
    /// are spread over 64 bits: that one meets a count is as likely as that two
    /// trace ids are the same.
    fn number(&self, identity: Identity) -> u64 {
        match identity {
            Identity::Own(key) => key.draw(),
            Identity::Numbered => {
                self.numbered.set(self.numbered.get() + 1);
                self.numbered.get()
            }
        }
    }

    /// The trace of request `number`: the caller's, or a new one.
    fn trace(&self, number: u64, parent: Option<SpanContext>, excluded: bool) -> Trace {
        let key = Key::new(self.host.seed, Purpose::Trace).with(number);
        let trace_id = parent.as_ref().map_or_else(|| self.trace_id(number), |parent| parent.trace_id);
        let sampled = !excluded && self.sampler.decide(parent.as_ref(), trace_id);
        let (flags, trace_state) = match parent {
            Some(SpanContext { flags, trace_state, .. }) => (flags.0 & TraceFlags::RANDOM, trace_state),
            None => (TraceFlags::RANDOM, None),
        };
        let flags = TraceFlags(flags | if sampled { TraceFlags::SAMPLED } else { 0 });
        Trace { trace_id, flags, trace_state, recording: sampled, key }
    }

    fn trace_id(&self, number: u64) -> TraceId {
        let key = Key::new(self.host.seed, Purpose::TraceId).with(self.settings.epoch).with(number);
        let id = u128::from(key.with(0).draw()) << 64 | u128::from(key.with(1).draw());
        TraceId(NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN))
    }
}
