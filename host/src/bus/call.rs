//! The caller's side of a call: CLIENT span, context, link, timeout.

use std::borrow::Cow;
use std::rc::{Rc, Weak};

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};

use crate::context::{self, SpanContext};
use crate::error::{did_you_mean, quote};
use crate::fault::Subject;
use crate::guest::scope::Caller;
use crate::guest::{CallError, Outbound};
use crate::link::Leg;
use crate::message::{Request, Response, is_target, is_token};
use crate::model::{Nanos, ServiceId};
use crate::rng::Purpose;
use crate::sched;
use crate::tally;

use super::spans::{ClientAttributes, OpenSpan};
use super::stats::Ticket;
use super::{Bus, Node, NodeCode, Visit, Way};

impl Outbound for Weak<Bus> {
    fn call(
        &self,
        caller: Caller,
        service: String,
        request: Request,
        timeout: Option<Nanos>,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        match self.upgrade() {
            Some(bus) => bus.carry(caller, &service, request, timeout),
            None => std::future::ready(Err(CallError::Reset("the run is over".to_owned()))).boxed_local(),
        }
    }
}

/// Where a call goes.
enum Callee<'a> {
    /// A service of the topology.
    Known(ServiceId, &'a Node),
    /// A host that the topology allows: `http://host:port`.
    Foreign(String),
}

impl Callee<'_> {
    const fn id(&self) -> Option<ServiceId> {
        match self {
            Self::Known(id, _) => Some(*id),
            Self::Foreign(_) => None,
        }
    }

    /// Whether a guest answers for it, with a SERVER span of ours.
    const fn is_guest(&self) -> bool {
        matches!(self, Self::Known(_, Node { code: NodeCode::Guest(_), .. }))
    }
}

impl Bus {
    /// Carries one call of a guest: all that happens at the caller's. The request
    /// is on its way when this returns; the future is the wait for the response.
    fn carry(
        self: Rc<Self>,
        caller: Caller,
        service: &str,
        mut request: Request,
        timeout: Option<Nanos>,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        let callee = self.resolve(service);
        let span = self.client_span(&caller, service, &callee, &request);
        let ready = callee.and_then(|callee| {
            self.check(&caller, &callee, &mut request)?;
            Ok(callee)
        });
        match ready {
            Ok(callee) => {
                span.sent(&callee);
                let timeout = self.time_limit(&caller, &callee, timeout);
                let response = self.send(caller, callee, request);
                self.wait(span, response, timeout).boxed_local()
            }
            Err(error) => {
                let outcome = Err(error);
                span.finish(&outcome, self.host.sched.now());
                std::future::ready(outcome).boxed_local()
            }
        }
    }

    /// Waits for the response, as long as the caller would.
    #[expect(clippy::manual_async_fn, reason = "it would hold the span twice: as argument and as variable")]
    fn wait(
        self: Rc<Self>,
        span: ClientSpan,
        response: sched::Receiver<Result<Response, CallError>>,
        timeout: Option<Nanos>,
    ) -> impl Future<Output = Result<Response, CallError>> {
        async move {
            let outcome = match timeout {
                None => response.await,
                Some(timeout) => match select(response, self.host.sched.sleep(timeout)).await {
                    Either::Left((response, _)) => response,
                    Either::Right(_) => Ok(Err(CallError::Timeout)),
                },
            };
            let outcome = outcome.unwrap_or_else(|_| Err(CallError::Reset("the run is over".to_owned())));
            span.finish(&outcome, self.host.sched.now());
            outcome
        }
    }

    /// How long the caller waits: as it asks for, and no longer than the link lets it.
    fn time_limit(&self, caller: &Caller, callee: &Callee<'_>, asked: Option<Nanos>) -> Option<Nanos> {
        match (caller.service, callee.id()) {
            (Some(from), Some(to)) => self.links.timeout(from, to, asked),
            _ => asked,
        }
    }

    /// Finds the callee by name, or by an absolute URL where the topology allows its host.
    fn resolve(&self, service: &str) -> Result<Callee<'_>, CallError> {
        if let Some(id) = self.names.get(service) {
            return Ok(Callee::Known(*id, &self.nodes[id.index()]));
        }
        if service.starts_with("http://") || service.starts_with("https://") {
            return self.resolve_url(service);
        }
        let known = did_you_mean(service, "services", self.nodes.iter().map(|node| &*node.name));
        Err(CallError::UnknownService(format!("no service {} in this topology; {known}", quote(service))))
    }

    fn resolve_url(&self, url: &str) -> Result<Callee<'_>, CallError> {
        let Ok(parsed) = reqwest::Url::parse(url) else {
            return Err(CallError::Invalid("this is not a URL".to_owned()));
        };
        // Without user name and password, which are nobody's business.
        let base = parsed.origin().ascii_serialization();
        let invalid = |why: &str| Err(CallError::Invalid(format!("{base} {why}")));
        let Some(host) = parsed.host_str() else { return invalid("names no host") };
        let has_user = !parsed.username().is_empty() || parsed.password().is_some();
        if parsed.path() != "/" || parsed.query().is_some() || has_user {
            return invalid("has more than scheme, host and port: the path goes into the request");
        }
        // A service's own name as a host is the service: http://inventory-service.
        if let Some(id) = self.names.get(host) {
            return Ok(Callee::Known(*id, &self.nodes[id.index()]));
        }
        let known =
            self.nodes.iter().position(|node| matches!(node.code, NodeCode::External) && node.base == base);
        if let Some(index) = known {
            return Ok(Callee::Known(ServiceId(index as u32), &self.nodes[index]));
        }
        let with_port = parsed.port_or_known_default().map(|port| format!("{host}:{port}"));
        let allowed = &self.settings.allowed_hosts;
        if !allowed.iter().any(|name| name == host || Some(name) == with_port.as_ref()) {
            return invalid("is not among the hosts that the topology allows: add it to network.allow");
        }
        Ok(Callee::Foreign(base))
    }

    fn client_span(
        &self,
        caller: &Caller,
        service: &str,
        callee: &Result<Callee<'_>, CallError>,
        request: &Request,
    ) -> ClientSpan {
        let now = self.host.sched.now();
        let span = match callee {
            Ok(Callee::Known(_, node)) => OpenSpan::client(caller, request, &node.base, &node.client, now),
            Ok(Callee::Foreign(base)) => {
                let (address, port) = address_of(base);
                let shared = ClientAttributes::new(&address, port, None);
                OpenSpan::client(caller, request, base, &shared, now)
            }
            Err(_) => {
                let url = reqwest::Url::parse(service).ok().filter(|url| url.has_host());
                let base =
                    url.map_or_else(|| format!("http://{service}"), |url| url.origin().ascii_serialization());
                let (address, port) = address_of(&base);
                let shared = ClientAttributes::new(&address, port, None);
                OpenSpan::client(caller, request, &base, &shared, now)
            }
        };
        self.host.recorder.opened();
        let to = callee.as_ref().ok().and_then(Callee::id);
        let ticket = self.stats.calling(caller.service, to, now);
        ClientSpan { bus: Weak::clone(&self.me), ticket, span: Some(span) }
    }

    /// Refuses a request that could not go over the wire, or is over a bound.
    fn check(&self, caller: &Caller, callee: &Callee<'_>, request: &mut Request) -> Result<(), CallError> {
        if caller.depth > self.settings.bounds.call_depth {
            return Err(CallError::DepthExceeded(self.settings.bounds.call_depth));
        }
        let invalid = |why: String| Err(CallError::Invalid(why));
        if !is_token(&request.method) {
            return invalid(format!("{:?} is not a method", request.method));
        }
        if !is_target(&request.target) {
            return invalid(format!(
                "{:?} is not a path: it starts with / and is percent-encoded",
                request.target
            ));
        }
        let limits = match callee {
            Callee::Known(_, node) => Some(&node.limits),
            Callee::Foreign(_) => caller.service.map(|id| &self.nodes[id.index()].limits),
        };
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
        self: &Rc<Self>,
        caller: Caller,
        callee: Callee<'_>,
        mut request: Request,
    ) -> sched::Receiver<Result<Response, CallError>> {
        let (reply, response) = sched::oneshot();
        let sched = &self.host.sched;
        let context = SpanContext {
            trace_id: caller.trace.trace_id,
            span_id: caller.span,
            flags: caller.trace.flags,
            trace_state: caller.trace.trace_state.clone(),
        };
        let bus = Rc::clone(self);
        match callee {
            Callee::Known(to, Node { code: NodeCode::Guest(_), .. }) => {
                // Its guest gets the context in headers when it looks at them, which few do.
                context::strip(&mut request.headers);
                sched.spawn(bus.deliver(caller, to, context, request, reply));
            }
            Callee::Known(to, _) => {
                context::inject(&context, &caller.baggage, &mut request.headers);
                sched.spawn(async move {
                    reply.send(bus.deliver_outside(caller, to, request).await).ok();
                });
            }
            Callee::Foreign(base) => {
                context::inject(&context, &caller.baggage, &mut request.headers);
                sched.spawn(async move {
                    reply.send(bus.send_out(&base, request).await).ok();
                });
            }
        }
        response
    }

    /// One message there and one back.
    fn deliver(
        self: Rc<Self>,
        caller: Caller,
        to: ServiceId,
        context: SpanContext,
        request: Request,
        reply: sched::Sender<Result<Response, CallError>>,
    ) -> impl Future<Output = ()> {
        let (client, from) = (caller.span, caller.service);
        let chance = caller.trace.chance(Purpose::Latency, client);
        let latency = |leg| from.map_or(0, |from| self.links.latency(from, to, chance, leg));
        let (there, back) = (latency(Leg::Request), latency(Leg::Response));
        let mut visit = Visit {
            to,
            from: from.map(|from| (from, caller.replica)),
            parent: Some(client),
            span: caller.trace.child_id(Some(client), 0),
            trace: caller.trace,
            baggage: caller.baggage,
            depth: caller.depth,
            request,
            way: Way::Inner(context),
        };
        async move {
            let sched = &self.host.sched;
            sched.sleep(there).await;
            let response = self.serve(&mut visit).await;
            sched.sleep(back).await;
            reply.send(Ok(response)).ok();
        }
    }

    /// Likewise to a real server; faults strike before the request leaves.
    async fn deliver_outside(
        self: Rc<Self>,
        caller: Caller,
        to: ServiceId,
        request: Request,
    ) -> Result<Response, CallError> {
        let (client, from) = (caller.span, caller.service);
        let sched = self.host.sched.clone();
        let dice = caller.trace.chance(Purpose::Fault, client);
        let chance = caller.trace.chance(Purpose::Latency, client);
        let subject = Subject {
            service: to,
            route: None,
            replica: None,
            from: from.map(|from| (from, caller.replica)),
            request: &request,
            params: &[],
            baggage: &caller.baggage,
            trace: caller.trace.trace_id,
            span: client,
            dice,
        };
        let verdict = self.faults.judge(&subject, sched.now());
        let extra = |leg| from.map_or(0, |from| self.links.extra_latency(from, to, chance, leg));
        sched.sleep(verdict.delay.saturating_add(extra(Leg::Request))).await;
        if let Some(answer) = verdict.answer {
            return Ok(answer);
        }
        let response = Rc::clone(&self).send_out(&self.nodes[to.index()].base, request).await;
        sched.sleep(extra(Leg::Response)).await;
        response
    }

    async fn send_out(self: Rc<Self>, base: &str, request: Request) -> Result<Response, CallError> {
        match &self.external {
            Some(external) => external.send(base, request).await,
            None => Err(CallError::Refused("a run in virtual time reaches no real servers".to_owned())),
        }
    }
}

/// Splits `http://host:port`.
pub fn address_of(base: &str) -> (String, i64) {
    let url = reqwest::Url::parse(base).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or(base).to_owned();
    let port = url.as_ref().and_then(reqwest::Url::port_or_known_default).unwrap_or(80);
    (host, i64::from(port))
}

/// A CLIENT span, and its call in the report, that end in every case: also when
/// their caller is stopped.
struct ClientSpan {
    bus: Weak<Bus>,
    ticket: Ticket,
    span: Option<OpenSpan>,
}

impl ClientSpan {
    /// The request goes on its way.
    fn sent(&self, callee: &Callee<'_>) {
        if let Some(bus) = self.bus.upgrade().filter(|_| callee.is_guest()) {
            bus.stats.sent(self.ticket);
        }
    }

    fn finish(mut self, outcome: &Result<Response, CallError>, now: Nanos) {
        let Some(mut span) = self.span.take() else { return };
        let error = match outcome {
            Ok(response) => {
                span.respond(response.status);
                tally::error_type(response.status)
            }
            Err(error) => {
                span.call_failed(error, now);
                Some(error.kind().into())
            }
        };
        self.end(span, error);
    }

    fn end(&self, span: OpenSpan, error: Option<Cow<'static, str>>) {
        if let Some(bus) = self.bus.upgrade() {
            bus.stats.called(self.ticket, bus.host.sched.now(), error);
            bus.record(span);
        }
    }
}

impl Drop for ClientSpan {
    fn drop(&mut self) {
        const CANCELLED: &str = "cancelled";
        if let Some(mut span) = self.span.take() {
            span.fail(CANCELLED);
            self.end(span, Some(CANCELLED.into()));
        }
    }
}
