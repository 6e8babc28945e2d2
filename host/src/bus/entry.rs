//! What comes from outside of the topology: who a request is, its trace, its answer.

use std::rc::Rc;

use futures_util::future::FutureExt;

use crate::context::{self, SpanContext, SpanId};
use crate::fault::Entered;
use crate::fault::NetworkVerdict;
use crate::guest::CallError;
use crate::guest::scope::{Caller, Deadline, Trace};
use crate::message::{Request, Response};
use crate::model::{Nanos, ServiceId};
use crate::rng::Key;
use crate::sched;
use crate::tally;
use crate::topic::Lineage;

use super::Bus;
use super::caller::{Destination, Sent};
use super::spans::{ClientAttributes, OpenSpan};
use super::stats::Ticket;
use super::visit::{Hop, OfClient, Outcome, RoundTrip, Visit};

/// A request from outside of the topology.
#[derive(Debug)]
pub struct Entry {
    pub to: ServiceId,
    pub request: Request,
    pub shown: OfClient,
    pub identity: RequestIdentity,
    /// The recorded CLIENT span that waits for it, if a load has one.
    pub client: Option<SpanId>,
}

/// Who a request from outside is: its chance and, unless its sender has begun
/// one, its trace follow from this and the run's root.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequestIdentity {
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

/// What a client outside keeps of a response.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub status: u16,
    /// Bytes of its body.
    pub body: usize,
}

impl From<&Response> for Received {
    fn from(response: &Response) -> Self {
        Self { status: response.status, body: response.body.len() }
    }
}

/// A request that was let in, and is about to be served.
#[derive(Debug)]
pub struct Admitted {
    bus: Rc<Bus>,
    visit: Visit,
    /// What strikes it on its way.
    verdict: Option<Box<NetworkVerdict>>,
    ticket: Ticket,
    inside: Inside,
    entered: Option<Entered>,
    /// The SERVER span's context; none when the request has no span.
    pub context: Option<SpanContext>,
}

impl Admitted {
    /// Says on the client's own span where the request goes.
    pub fn tell(&self, span: &mut OpenSpan) {
        if let Some(guest) = self.bus.callee.guest(self.visit.to) {
            let replicas = &guest.set.replicas;
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
            let outcome = match self.verdict.take() {
                None => self.bus.callee.serve(&mut self.visit).await,
                Some(verdict) => {
                    let patience = self.bus.callee.node(self.visit.to).limits.request_time;
                    let trip = RoundTrip { there: 0, back: 0, patience, allowed: None };
                    // In a box, as it is large and rare.
                    Box::pin(Rc::clone(&self.bus.callee).convey(verdict, &mut self.visit, trip)).await
                }
            };
            let now = self.bus.now();
            let error = match &outcome {
                Ok(response) => tally::error_type(response.status),
                Err(error) => Some(error.kind().into()),
            };
            self.bus.callee.stats.called(self.ticket, now, error);
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

    /// Serves a request from outside, in a task of its own, which gives the answer to `reply`: a client
    /// that hangs up does not stop the system. When the run is over before there
    /// is an answer, `reply` is dropped.
    pub fn enter_then(self: &Rc<Self>, entry: Entry, reply: impl FnOnce(Answer) + 'static) {
        match self.admit(entry) {
            Ok(mut admitted) => {
                let context = admitted.context.take();
                let answering = admitted.serve().map(|outcome| reply(Answer { outcome, context }));
                self.callee.host.sched.spawn(answering);
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
        self.callee.host.topics.growth.begins();
        let number = self.number(entry.identity);
        let now = self.now();
        let mut ticket = self.callee.stats.calling(None, Some(entry.to));
        self.callee.stats.sent(&mut ticket, false, now);
        if self.inside.get() >= self.requests {
            let limit = self.requests;
            let response = Response::bounded(
                503,
                "limits.requests",
                format!("more than limits.requests = {limit} are under way"),
            );
            self.callee.stats.called(ticket, now, tally::error_type(response.status));
            self.turned_away(&entry, number, response.status);
            return Err(response);
        }
        let incoming = context::extract(&entry.request.headers);
        let excluded = self.callee.tracing.excludes(&entry.request);
        let parent = incoming.parent.as_ref().map(|parent| parent.span_id);
        let trace = self.callee.tracing.trace(number, incoming.parent, excluded);
        let span = trace.child_id(parent, 0);
        let entered = self
            .callee
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
            lineage: Lineage::default(),
            attempt: 0,
            above: None,
            deadline: entry.request.headers.deadline().map(|allowed| Deadline::from_now(allowed, now)),
            request: entry.request,
            hold: None,
            hop: Hop::FromOutside(entry.shown),
        };
        let verdict = self.callee.network_faults(&mut visit);
        let context = (!excluded).then(|| SpanContext {
            trace_id: visit.trace.trace_id,
            span_id: span,
            flags: visit.trace.flags,
            trace_state: visit.trace.trace_state.clone(),
        });
        let inside = Inside::new(self);
        Ok(Admitted { bus: Rc::clone(self), visit, verdict, ticket, inside, entered, context })
    }

    /// Notes a request of a load that is not sent, where somebody keeps account. `key` is who
    /// it is, `has_span` whether it would have come with a CLIENT span, and `wanted` what it asks for.
    pub fn unsent(
        self: &Rc<Self>,
        key: Key,
        has_span: bool,
        due: Nanos,
        wanted: impl FnOnce() -> (ServiceId, Request),
        why: &'static str,
    ) {
        let ledger = &self.callee.faults.ledger;
        if !ledger.tracks_impact() {
            return;
        }
        let trace = self.callee.tracing.trace(key.draw(), None, false);
        let above = has_span.then(|| trace.child_id(None, 0));
        let (service, request) = wanted();
        let to = || (service, self.route(service, &request));
        if let Some(entered) = ledger.enters(trace.trace_id, trace.child_id(above, 0), due, to) {
            entered.unsent(due, why);
        }
    }

    /// Notes a request from outside that nobody serves, where somebody keeps account.
    fn turned_away(&self, entry: &Entry, number: u64, status: u16) {
        if !self.callee.faults.ledger.tracks_impact() {
            return;
        }
        let (now, parent) = (self.now(), context::extract(&entry.request.headers).parent);
        let above = parent.as_ref().map(|parent| parent.span_id);
        let trace = self.callee.tracing.trace(number, parent, false);
        let to = || (entry.to, self.route(entry.to, &entry.request));
        let entered = self.callee.faults.ledger.enters(trace.trace_id, trace.child_id(above, 0), now, to);
        if let Some(entered) = entered {
            entered.answered(now, Ok(status));
        }
    }

    /// The route of a service that a request meets.
    fn route(&self, service: ServiceId, request: &Request) -> Option<u32> {
        self.callee.guest(service)?.set.routes.find(&request.method, request.path()).route()
    }

    /// The trace of a request that begins at its client, outside of the topology.
    pub fn begin(&self, key: Key, request: &Request) -> Trace {
        self.callee.tracing.trace(key.draw(), None, self.callee.tracing.excludes(request))
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
        self.callee.host.recorder.opened();
        OpenSpan::client(caller, request, base, attributes, self.now())
    }

    /// What metrics have to know of a request that a client outside sends now.
    pub fn sends(&self, caller: &Caller, request: &Request, to: Destination<'_>) -> Option<Sent> {
        self.callee.sends(caller, &request.method, request.body.len(), to)
    }

    /// A request that a client outside has sent has ended: with this answer, or with an error.
    pub fn measure_sent(&self, sent: Option<Sent>, outcome: Result<Received, &'static str>) {
        match outcome {
            Ok(Received { status, body }) => {
                self.callee.measure_end_of(sent, Some(status), Some(body), None);
            }
            Err(error) => self.callee.measure_end_of(sent, None, None, Some(error)),
        }
    }

    /// The number that a request's chance and trace are made of. Those of keys
    /// are spread over 64 bits: that one meets a count is as likely as that two
    /// trace ids are the same.
    fn number(&self, identity: RequestIdentity) -> u64 {
        match identity {
            RequestIdentity::Own(key) => key.draw(),
            RequestIdentity::Numbered => {
                self.numbered.set(self.numbered.get() + 1);
                self.numbered.get()
            }
        }
    }
}
