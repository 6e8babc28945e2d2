//! What comes from outside of the topology: who a request is, its trace, its answer.

use std::num::NonZeroU128;
use std::rc::Rc;

use futures_util::future::FutureExt;

use crate::clock::VIRTUAL_START;
use crate::context::{self, SpanContext, SpanId, TraceFlags, TraceId};
use crate::fault::Passage;
use crate::fault::witness::Entered;
use crate::guest::CallError;
use crate::guest::scope::{Caller, Deadline, Trace};
use crate::message::{Request, Response};
use crate::model::{Nanos, ServiceId};
use crate::rng::{Key, Purpose};
use crate::sched;
use crate::tally;

use super::spans::{ClientAttributes, OpenSpan};
use super::stats::Ticket;
use super::visit::{OfClient, Outcome, Trip, Visit, Way};
use super::{Bus, NodeCode};

/// A request from outside of the topology.
#[derive(Debug)]
pub struct Entry {
    pub to: ServiceId,
    pub request: Request,
    pub shown: OfClient,
    pub identity: Identity,
    /// The recorded CLIENT span that waits for it, if a load has one.
    pub client: Option<SpanId>,
}

/// Who a request from outside is: its chance and, unless its sender has begun
/// one, its trace follow from this and the run's root.
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
    /// The response, or why there is none.
    pub outcome: Outcome,
    /// The SERVER span's context; none when the request has no span.
    pub context: Option<SpanContext>,
}

/// A request that was let in, and is about to be served.
#[derive(Debug)]
pub struct Admitted {
    bus: Rc<Bus>,
    visit: Visit,
    /// What befalls it on its way.
    passage: Option<Box<Passage>>,
    ticket: Ticket,
    inside: Inside,
    entered: Option<Entered>,
    /// The SERVER span's context; none when the request has no span.
    pub context: Option<SpanContext>,
}

impl Admitted {
    /// Says on the client's own span where the request goes.
    pub fn tell(&self, span: &mut OpenSpan) {
        let node = &self.bus.nodes[self.visit.to.index()];
        if let NodeCode::Guest(guest) = &node.code {
            let replicas = &guest.stand.replicas;
            span.sent_to(&replicas[self.visit.pick(replicas.len())].identity.endpoint);
        }
    }

    /// Its client keeps account of how it ends, where anybody does: a load, for which it was
    /// due at this instant.
    pub fn client(&self, due: Nanos) -> Option<Entered> {
        self.entered.as_ref().map(|entered| entered.client(due))
    }

    /// Serves it. Dropping this stops the service in the middle of it: a client that
    /// no longer waits must not.
    ///
    /// # Errors
    /// Faults on the way leave it without an answer.
    #[expect(clippy::manual_async_fn, reason = "it would hold the visit twice: as argument and as variable")]
    pub fn serve(mut self) -> impl Future<Output = Outcome> {
        async move {
            let outcome = match self.passage.take() {
                None => self.bus.serve(&mut self.visit).await,
                Some(passage) => {
                    let patience = self.bus.nodes[self.visit.to.index()].limits.request_time;
                    let trip = Trip { there: 0, back: 0, patience, allowed: None };
                    // In a box, as it is large and rare.
                    Box::pin(Rc::clone(&self.bus).convey(passage, &mut self.visit, trip)).await
                }
            };
            let now = self.bus.host.sched.now();
            let error = match &outcome {
                Ok(response) => tally::error_type(response.status),
                Err(error) => Some(error.kind().into()),
            };
            self.bus.stats.called(self.ticket, now, error);
            if let Some(entered) = self.entered.take() {
                let answer = outcome.as_ref().map(|response| response.status).map_err(CallError::kind);
                entered.answered(now, answer);
            }
            // The block would not even hold what it does not name.
            drop(self.inside);
            outcome
        }
    }
}

/// Counts a request from outside among those under way, until it is dropped.
#[derive(Debug)]
struct Inside(Rc<Bus>);

impl Inside {
    fn new(bus: &Rc<Bus>) -> Self {
        bus.inside.set(bus.inside.get() + 1);
        Self(Rc::clone(bus))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.inside.set(self.0.inside.get() - 1);
    }
}

impl Bus {
    /// Serves a request from outside: continues its trace or starts one.
    pub async fn enter(self: Rc<Self>, entry: Entry) -> Answer {
        let (send, receive) = sched::oneshot();
        self.enter_then(entry, move |answer| {
            send.send(answer).ok();
        });
        let over = |_| Answer { outcome: Ok(Response::detail(503, "the run is over")), context: None };
        receive.await.unwrap_or_else(over)
    }

    /// Likewise, in a task of its own, which gives the answer to `reply`: a client
    /// that hangs up does not stop the system. When the run is over before there
    /// is an answer, `reply` is dropped.
    pub fn enter_then(self: &Rc<Self>, entry: Entry, reply: impl FnOnce(Answer) + 'static) {
        match self.admit(entry) {
            Ok(mut admitted) => {
                let context = admitted.context.take();
                let answering = admitted.serve().map(|outcome| reply(Answer { outcome, context }));
                self.host.sched.spawn(answering);
            }
            Err(response) => reply(Answer { outcome: Ok(response), context: None }),
        }
    }

    /// Lets a request from outside in, to be served at once.
    ///
    /// # Errors
    /// The answer to one too many.
    pub fn admit(self: &Rc<Self>, entry: Entry) -> Result<Admitted, Response> {
        self.entered.set(self.entered.get() + 1);
        let number = self.number(entry.identity);
        let now = self.host.sched.now();
        let mut ticket = self.stats.calling(None, Some(entry.to));
        self.stats.sent(&mut ticket, false, now);
        if self.inside.get() >= self.settings.bounds.requests {
            let limit = self.settings.bounds.requests;
            let response = Response::bounded(
                503,
                "limits.requests",
                format!("more than limits.requests = {limit} are under way"),
            );
            self.stats.called(ticket, now, tally::error_type(response.status));
            self.turned_away(&entry, number, response.status);
            return Err(response);
        }
        let incoming = context::extract(&entry.request.headers);
        let excluded = self.excluded(&entry.request);
        let parent = incoming.parent.as_ref().map(|parent| parent.span_id);
        let trace = self.trace(number, incoming.parent, excluded);
        let span = trace.child_id(parent, 0);
        let entered = self
            .faults
            .ledger
            .enters(trace.trace_id, span, now, || (entry.to, self.route(entry.to, &entry.request)));
        let mut visit = Visit {
            to: entry.to,
            from: None,
            trace,
            parent,
            span,
            call: None,
            client: entry.client,
            baggage: incoming.baggage,
            depth: 0,
            attempt: 0,
            above: None,
            deadline: entry.request.headers.deadline().map(|allowed| Deadline::from_now(allowed, now)),
            request: entry.request,
            hold: None,
            way: Way::Outer(entry.shown),
        };
        let passage = self.passage(&mut visit);
        let context = (!excluded).then(|| SpanContext {
            trace_id: visit.trace.trace_id,
            span_id: span,
            flags: visit.trace.flags,
            trace_state: visit.trace.trace_state.clone(),
        });
        let inside = Inside::new(self);
        Ok(Admitted { bus: Rc::clone(self), visit, passage, ticket, inside, entered, context })
    }

    /// Notes a request of a load that is not sent, where somebody keeps account. `key` is who
    /// it is, and `has_span` whether it would have come with a CLIENT span.
    pub fn unsent(
        self: &Rc<Self>,
        key: Key,
        has_span: bool,
        due: Nanos,
        spot: impl FnOnce() -> (ServiceId, Request),
        why: &'static str,
    ) {
        let ledger = &self.faults.ledger;
        if !ledger.is_witnessed() {
            return;
        }
        let trace = self.trace(key.draw(), None, false);
        let above = has_span.then(|| trace.child_id(None, 0));
        let (to, request) = spot();
        let spot = || (to, self.route(to, &request));
        if let Some(entered) = ledger.enters(trace.trace_id, trace.child_id(above, 0), due, spot) {
            entered.unsent(due, why);
        }
    }

    /// Notes a request from outside that nobody serves, where somebody keeps account.
    fn turned_away(&self, entry: &Entry, number: u64, status: u16) {
        if !self.faults.ledger.is_witnessed() {
            return;
        }
        let (now, parent) = (self.host.sched.now(), context::extract(&entry.request.headers).parent);
        let above = parent.as_ref().map(|parent| parent.span_id);
        let trace = self.trace(number, parent, false);
        let spot = || (entry.to, self.route(entry.to, &entry.request));
        let entered = self.faults.ledger.enters(trace.trace_id, trace.child_id(above, 0), now, spot);
        if let Some(entered) = entered {
            entered.answered(now, Ok(status));
        }
    }

    /// The route of a service that a request meets.
    fn route(&self, service: ServiceId, request: &Request) -> Option<u32> {
        let NodeCode::Guest(guest) = &self.nodes[service.index()].code else { return None };
        guest.stand.routes.find(&request.method, request.path()).route()
    }

    /// The trace of a request that begins at its client, outside of the topology.
    pub fn begin(&self, key: Key, request: &Request) -> Trace {
        self.trace(key.draw(), None, self.excluded(request))
    }

    /// Begins the CLIENT span of a client outside; `base` (`http://order-service`)
    /// and `attributes` are its callee's. It ends with [`record`](Self::record).
    pub fn open_client(
        &self,
        caller: &Caller,
        request: &Request,
        base: &str,
        attributes: &ClientAttributes,
    ) -> OpenSpan {
        self.host.recorder.opened();
        OpenSpan::client(caller, request, base, attributes, self.host.sched.now())
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
        let key = Key::new(self.host.root, Purpose::Trace).with(number);
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
        self.trace_id_of(Key::new(self.host.root, Purpose::TraceId).with(number))
    }

    pub(super) fn trace_id_of(&self, key: Key) -> TraceId {
        let upper = key.with(0).draw() ^ self.settings.trace_mask;
        let id = u128::from(upper) << 64 | u128::from(key.with(1).draw());
        TraceId(NonZeroU128::new(id).unwrap_or(NonZeroU128::MIN))
    }
}

/// Tells the trace ids of runs apart that begin at different instants, in
/// nanoseconds since the Unix epoch: a backend must not take two runs for one.
/// It goes over the upper half of each id by exclusive or; samplers look at the
/// lower half, so that every run of a seed keeps the same traces. A run that
/// begins at [`VIRTUAL_START`] has no mask.
pub fn trace_mask(start: Nanos) -> u64 {
    let drawn = |start| Key::new(start, Purpose::TraceId).draw();
    drawn(start) ^ drawn(VIRTUAL_START)
}
