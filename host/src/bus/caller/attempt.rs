//! One attempt at a call: a CLIENT span, one message there and one back.
//!
//! [`Attempt::open`] begins the span, [`Attempt::leave`] checks the request and
//! sends it, [`Flight`] is the wait for what comes back.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::{Rc, Weak};

use futures_util::future::{Either, select};

use crate::bus::callee::CalleeSide;
use crate::bus::redact;
use crate::bus::spans::{ClientAttributes, Connection, OpenSpan};
use crate::bus::stats::{PolicyAccount, Ticket};
use crate::bus::visit::{Hop, Outcome, RoundTrip, Visit, kept, pick};
use crate::context::{self, SpanContext};
use crate::fault::UnderWay;
use crate::guest::budget::Share;
use crate::guest::scope::Caller;
use crate::guest::{Above, CallError};
use crate::link::{Leg, Link};
use crate::message::{Request, is_target, is_token};
use crate::metrics::{BREAKER_STATES, HttpVersion, PolicyCounts};
use crate::model::{Nanos, ServiceId};
use crate::rng::{Key, Purpose};
use crate::sched;
use crate::tally;
use crate::telemetry::record::KeyValue;

use super::CallerSide;
use super::measured::{Destination, Sent};
use super::resolve::{Callee, address_of};

/// One request that is to leave its caller, and for how long the caller waits.
pub(super) struct Attempt {
    /// Its `span` is the id of the attempt's CLIENT span.
    pub caller: Caller,
    pub callee: Callee,
    pub request: Request,
    /// Which attempt of its call it is, from 0.
    pub number: u32,
    /// The caller waits for the response no longer: nanoseconds.
    pub patience: Option<Nanos>,
    /// Whether the callee is told so.
    pub tells: bool,
    /// Whether the request is a copy, of which the call keeps another.
    pub is_copy: bool,
}

/// An attempt on its way. Whoever drops it has given up, and the callee works on.
pub(super) struct Flight {
    side: Rc<CallerSide>,
    response: sched::Receiver<Outcome>,
    patience: Option<Nanos>,
    /// Names how late the caller notices that its patience is over.
    chance: Key,
    /// The calling service and its replica.
    from: Option<(ServiceId, u32)>,
}

impl Attempt {
    /// Begins the CLIENT span.
    pub fn open(&self, services: &Rc<CalleeSide>) -> ClientSpan {
        let Self { caller, callee, request, .. } = self;
        let now = services.now();
        let span = match callee {
            Callee::Known(id) => {
                let node = services.node(*id);
                OpenSpan::client(caller, request, &node.base, &node.client, now)
            }
            Callee::Foreign(base) => foreign_span(caller, request, base, now),
        };
        let destination = match callee {
            Callee::Known(id) => Destination::Service(id.0),
            Callee::Foreign(base) => Destination::Base(base),
        };
        let sent = services.sends(caller, &request.method, request.body.len(), destination);
        ClientSpan::new(services, caller, callee.id(), span, sent)
    }

    /// Sends the request on its way, over the link to its callee, if the topology has one.
    ///
    /// # Errors
    /// The request could not go over the wire, or is over a bound.
    pub fn leave(
        mut self,
        side: &Rc<CallerSide>,
        link: Option<&Link>,
        span: &mut ClientSpan,
    ) -> Result<Flight, CallError> {
        side.check(&self.caller, &self.callee, &mut self.request)?;
        let share = self.share()?;
        span.sent(&side.callee, &self);
        let (patience, from) = (self.patience, self.caller.home());
        let chance = self.caller.trace.chance(Purpose::Latency, self.caller.span);
        let response = side.send(self, link, share, span);
        Ok(Flight { side: Rc::clone(side), response, patience, chance, from })
    }
}

impl Attempt {
    /// What the attempt keeps of its caller's budget until its callee is done.
    fn share(&self) -> Result<Option<Share>, CallError> {
        let Some(hold) = &self.caller.hold else { return Ok(None) };
        let share = if self.is_copy { hold.copy(&self.request) } else { Some(hold.share()) };
        share.filter(|_| !hold.is_refused()).map(Some).ok_or_else(|| CallError::HostMemory(hold.to_string()))
    }
}

impl Flight {
    /// Waits for the response, as long as the caller would.
    pub async fn outcome(&mut self) -> Outcome {
        let outcome = match self.patience {
            None => (&mut self.response).await,
            Some(patience) => match select(&mut self.response, self.side.sched().sleep(patience)).await {
                Either::Left((response, _)) => response,
                Either::Right(_) => {
                    self.side.sched().sleep(self.side.links.slack(self.chance)).await;
                    Ok(Err(CallError::Timeout))
                }
            },
        };
        // A process that stands still notices nothing.
        self.side.callee.awaken(self.from).await;
        outcome.unwrap_or_else(|_| Err(CallError::Reset("the run is over".to_owned())))
    }

    /// Waits for the response, and ends the span with it.
    #[expect(clippy::manual_async_fn, reason = "it would hold the flight twice: as argument and as variable")]
    pub fn land(mut self, span: ClientSpan) -> impl Future<Output = Outcome> {
        async move {
            let outcome = self.outcome().await;
            span.finish(&outcome);
            outcome
        }
    }
}

impl CallerSide {
    /// Leaves the CLIENT span of a call that leads nowhere.
    pub(super) fn unresolved(&self, caller: &Caller, service: &str, request: &Request, error: &CallError) {
        let origin = redact::origin(service);
        let span = foreign_span(caller, request, &origin, self.sched().now());
        let (size, destination) = (request.body.len(), Destination::Base(&origin));
        let sent = self.callee.sends(caller, &request.method, size, destination);
        ClientSpan::new(&self.callee, caller, None, span, sent).finish(&Err(error.clone()));
    }

    /// Refuses a request that could not go over the wire, or is over a bound.
    fn check(&self, caller: &Caller, callee: &Callee, request: &mut Request) -> Result<(), CallError> {
        if caller.depth > self.call_depth {
            return Err(CallError::DepthExceeded(self.call_depth));
        }
        let invalid = |why: String| Err(CallError::Invalid(why));
        if !is_token(&request.method) {
            return invalid(format!("{:?} is not a method", request.method));
        }
        if !is_target(&request.target) {
            return invalid(format!(
                "{:?} is not a path: it starts with / and is percent-encoded",
                redact::target(&request.target)
            ));
        }
        let limits = callee.id().or(caller.service).map(|id| &self.callee.node(id).limits);
        let Some(limits) = limits else { return request.headers.normalise().map_err(CallError::Invalid) };
        let (headers, body) = (request.headers.size() as u64, request.body.len() as u64);
        if headers > limits.headers {
            return invalid(format!("{headers} bytes of headers exceed limits.headers = {}", limits.headers));
        }
        if body > limits.body {
            return invalid(format!("a body of {body} bytes exceeds limits.body = {}", limits.body));
        }
        // After the bound on their size: the error quotes them.
        request.headers.normalise().map_err(CallError::Invalid)
    }

    /// Sends the request, in a task of its own: when the caller gives up, the
    /// callee works on.
    fn send(
        &self,
        attempt: Attempt,
        link: Option<&Link>,
        share: Option<Share>,
        span: &mut ClientSpan,
    ) -> sched::Receiver<Outcome> {
        let (reply, response) = sched::oneshot();
        let sched = self.sched();
        let Attempt { caller, callee, mut request, number, patience, tells, is_copy: _ } = attempt;
        // Rounded up, so that a little time is not none.
        let allowed = patience.filter(|_| tells).map(|patience| patience.div_ceil(1_000_000));
        let context = SpanContext {
            trace_id: caller.trace.trace_id,
            span_id: caller.span,
            flags: caller.trace.flags,
            trace_state: caller.trace.trace_state.clone(),
        };
        let services = Rc::clone(&self.callee);
        match callee {
            Callee::Known(to) if services.guest(to).is_some() => {
                // Its guest gets the context in headers when it looks at them, which few do.
                context::strip(&mut request.headers);
                request.headers.set_deadline(None);
                let trip = self.trip(&caller, (to, link), patience, allowed);
                let hop = Hop::BetweenServices(Rc::clone(&caller.endpoint), Some(context));
                let visit = visit(caller, number, to, hop, (request, share));
                sched.spawn_boxed(services.deliver(visit, trip, reply));
            }
            Callee::Known(to) => {
                caller.introduce(&context, allowed, &mut request);
                let trip = self.trip(&caller, (to, link), patience, None);
                let visit =
                    visit(caller, number, to, Hop::ToRealServer(span.over_the_wire()), (request, share));
                sched.spawn(async move {
                    reply.send(services.deliver_outside(visit, trip).await).ok();
                });
            }
            Callee::Foreign(base) => {
                caller.introduce(&context, None, &mut request);
                let connection = span.over_the_wire();
                sched.spawn(async move {
                    let outcome = services.send_out(&base, request, &connection).await;
                    reply.send(kept(outcome, share.as_ref())).ok();
                });
            }
        }
        response
    }

    /// How long the link takes, there and back; a real server's network takes its own time.
    fn trip(
        &self,
        caller: &Caller,
        (to, link): (ServiceId, Option<&Link>),
        patience: Option<Nanos>,
        allowed: Option<u64>,
    ) -> RoundTrip {
        let chance = caller.trace.chance(Purpose::Latency, caller.span);
        let latency = |leg| match caller.service {
            None => 0,
            Some(_) if self.callee.guest(to).is_some() => self.links.latency(link, chance, leg),
            Some(_) => link.map_or(0, |link| link.extra_latency(chance, leg)),
        };
        // Who does not say how long it waits is gone when its own time is up.
        let own = || self.callee.node(caller.service.unwrap_or(to)).limits.request_time;
        let patience = patience.unwrap_or_else(own);
        RoundTrip { there: latency(Leg::Request), back: latency(Leg::Response), patience, allowed }
    }
}

/// The request of a caller, on its way.
fn visit(
    caller: Caller,
    attempt: u32,
    to: ServiceId,
    hop: Hop,
    (request, hold): (Request, Option<Share>),
) -> Visit {
    let client = caller.span;
    let above = caller.waiter.map(|by| Above { by, call: client });
    Visit {
        to,
        from: caller.service.map(|from| (from, caller.replica)),
        parent: Some(client),
        span: caller.trace.child_id(Some(client), 0),
        call: Some(client),
        client: Some(client),
        trace: caller.trace,
        baggage: caller.baggage,
        depth: caller.depth,
        lineage: caller.lineage,
        attempt,
        above,
        deadline: None,
        request,
        hold,
        hop,
    }
}

impl Caller {
    /// Adds the header fields that a request to a real server brings along.
    fn introduce(&self, context: &SpanContext, allowed: Option<u64>, request: &mut Request) {
        context::inject(context, &self.baggage, &mut request.headers);
        request.headers.set_deadline(allowed);
        if request.headers.get("user-agent").is_none() {
            request.headers.push("user-agent", &*self.endpoint.agent);
        }
    }
}

/// A span towards what is no service of the topology.
fn foreign_span(caller: &Caller, request: &Request, base: &str, now: Nanos) -> OpenSpan {
    let (address, port) = address_of(base);
    OpenSpan::client(caller, request, base, &ClientAttributes::new(&address, port, None), now)
}

/// A CLIENT span, and its call in the report, that end in every case: also when
/// their caller is stopped.
pub(super) struct ClientSpan {
    services: Weak<CalleeSide>,
    ticket: Ticket,
    span: Option<OpenSpan>,
    /// What becomes known of the connection to a real server.
    connection: Option<Rc<OnceCell<Connection>>>,
    /// What metrics have to know; none without metrics.
    sent: Option<Sent>,
    _under_way: Option<UnderWay>,
}

impl ClientSpan {
    fn new(
        services: &Rc<CalleeSide>,
        caller: &Caller,
        to: Option<ServiceId>,
        span: OpenSpan,
        sent: Option<Sent>,
    ) -> Self {
        services.host.recorder.opened();
        let ticket = services.stats.calling(caller.service, to);
        let under_way = services.faults.ledger.calls(caller.span, caller.within);
        let services = Rc::downgrade(services);
        Self { services, ticket, span: Some(span), connection: None, sent, _under_way: under_way }
    }

    /// The request goes on its way.
    fn sent(&mut self, services: &CalleeSide, attempt: &Attempt) {
        let Attempt { caller, callee, .. } = attempt;
        let guest = callee.id().and_then(|to| services.guest(to));
        services.stats.sent(&mut self.ticket, guest.is_some(), services.now());
        if let Some(sent) = self.sent.as_mut().filter(|_| guest.is_some()) {
            sent.version = HttpVersion::Http11;
        }
        if let (Some(guest), Some(span)) = (guest, &mut self.span)
            && caller.trace.recording
        {
            let server = || caller.trace.child_id(Some(caller.span), 0);
            let replica = pick(&caller.trace, guest.set.replicas.len(), server);
            span.sent_to(&guest.set.replicas[replica].identity.endpoint);
        }
    }

    /// The request goes to a real server; what it gives takes in what becomes known of the
    /// connection.
    fn over_the_wire(&mut self) -> Rc<OnceCell<Connection>> {
        Rc::clone(self.connection.get_or_insert_default())
    }

    /// Says something more on the span.
    pub fn say(&mut self, what: impl FnOnce(&mut OpenSpan, Nanos)) {
        if let (Some(span), Some(services)) = (&mut self.span, self.services.upgrade()) {
            what(span, services.now());
        }
    }

    /// Counts what the link's policies do.
    pub fn count(&self, note: impl FnOnce(&mut PolicyAccount)) {
        let Some(services) = self.services.upgrade() else { return };
        let mut did = PolicyAccount::default();
        note(&mut did);
        services.stats.policies(self.ticket, did);
        let PolicyAccount { resends, withheld, opened, fallbacks } = did;
        let counts = PolicyCounts { retries: resends, withheld, opened, fallbacks };
        services.measure_policies(self.sent.as_ref(), counts);
    }

    /// Measures what the link's breaker is: a state, of all that there are.
    pub fn measure_breaker(&self, state: usize, states: impl FnOnce() -> [KeyValue; BREAKER_STATES]) {
        if let Some(services) = self.services.upgrade() {
            services.measure_breaker(self.sent.as_ref(), state, states);
        }
    }

    /// Ends the span as the attempt has ended.
    pub fn finish(mut self, outcome: &Outcome) {
        let Some(mut span) = self.span.take() else { return };
        let Some(services) = self.services.upgrade() else { return };
        if let Some(connection) = self.connection.as_ref().and_then(|connection| connection.get()) {
            span.connected(*connection);
            self.sent.iter_mut().for_each(|sent| sent.version = HttpVersion::of(connection.version));
        }
        if let (Some(sent), Err(CallError::Refused(_))) = (&mut self.sent, outcome) {
            // Which version the callee speaks, nobody has learnt.
            sent.version = HttpVersion::Unknown;
        }
        services.measure_sent(self.sent, outcome);
        let error = match outcome {
            Ok(response) => {
                span.respond(response.status);
                tally::error_type(response.status)
            }
            Err(error) => {
                span.call_failed(error, services.now(), &services.host.recorder);
                Some(error.kind().into())
            }
        };
        self.end(&services, span, error);
    }

    fn end(&self, services: &CalleeSide, span: OpenSpan, error: Option<Cow<'static, str>>) {
        services.stats.called(self.ticket, services.now(), error);
        services.record(span);
    }
}

impl Drop for ClientSpan {
    fn drop(&mut self) {
        const CANCELLED: &str = "cancelled";
        if let (Some(mut span), Some(services)) = (self.span.take(), self.services.upgrade()) {
            span.fail(CANCELLED);
            services.measure_given_up(self.sent, CANCELLED);
            self.end(&services, span, Some(CANCELLED.into()));
        }
    }
}
