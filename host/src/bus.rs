//! The bus: it carries a request from caller to callee and the response back.
//!
//! Follow one call: [`Bus::enter`] for what comes from outside, and
//! `Outbound::call` for what a guest sends; both end in [`Bus::serve`], the
//! callee's side. The stages are those of ARCHITECTURE.md, "One call".

mod call;
pub mod replica;
pub mod routes;
pub mod spans;
pub mod stats;

use std::borrow::Cow;
use std::cell::Cell;
use std::num::NonZeroU128;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use opentelemetry_semantic_conventions::attribute;
use rustc_hash::FxHashMap;

use crate::context::{self, Baggage, SpanContext, SpanId, TraceFlags, TraceId};
use crate::engine::{Code, Engine};
use crate::fault::{Arrival, Faults, Verdict};
use crate::guest::scope::{RequestScope, Trace, Visitor};
use crate::guest::{self, CallError, GuestFailure, Host, Outbound, Worker};
use crate::link::Links;
use crate::message::{Request, Response};
use crate::model::{Bounds, Limits, Nanos, ServiceId};
use crate::rng::{Key, Purpose};
use crate::sched;
use crate::tally;
use crate::telemetry::record::{Attributes, KeyValue, Text};
use crate::telemetry::sampler::Sampler;

pub use call::address_of;
use replica::{NoWorker, Replica};
use routes::{Match, Route, Routes};
use spans::{ClientAttributes, OpenSpan};
use stats::{Capacity, ServiceAccount, Stats};

/// A real server that a call goes out to; implemented where the network is.
pub trait External {
    /// Sends `request` to `base` (`http://host:port`) and waits for the response.
    fn send(&self, base: &str, request: Request) -> LocalBoxFuture<'static, Result<Response, CallError>>;
}

/// The services of a run, and what lies between them. For the core thread only.
pub struct Bus {
    me: Weak<Bus>,
    host: Rc<Host>,
    /// Its epoch goes on as long as there are guests to interrupt.
    _engine: Engine,
    nodes: Vec<Node>,
    names: FxHashMap<Arc<str>, ServiceId>,
    links: Links,
    pub faults: Faults,
    sampler: Sampler,
    external: Option<Rc<dyn External>>,
    settings: BusSettings,
    pub stats: Stats,
    /// Requests that came from outside so far; of those, the numbered; and those under way.
    entered: Cell<u64>,
    numbered: Cell<u64>,
    inside: Cell<u32>,
}

/// What the bus takes from the model as it is.
#[derive(Clone, Debug)]
pub struct BusSettings {
    /// Tells the trace ids of runs apart that begin at different instants: a
    /// backend must not take two runs for one.
    pub epoch: Nanos,
    pub bounds: Bounds,
    /// Paths that get no spans.
    pub exclude: Vec<String>,
    /// `host` or `host:port` that guests may call by an absolute URL.
    pub allowed_hosts: Vec<String>,
}

/// A service on the bus.
#[derive(Debug)]
pub struct Node {
    pub name: Arc<str>,
    /// `http://inventory-service`: what comes before a path in `url.full`.
    pub base: String,
    pub client: ClientAttributes,
    pub limits: Limits,
    pub code: NodeCode,
}

/// What answers for a service.
#[derive(Debug)]
pub enum NodeCode {
    Guest(Box<GuestNode>),
    External,
}

/// A service with a guest.
#[derive(Debug)]
pub struct GuestNode {
    pub code: Code,
    pub routes: Routes,
    pub replicas: Vec<Replica>,
}

/// The parts of a bus.
pub struct Parts {
    pub host: Rc<Host>,
    pub engine: Engine,
    pub nodes: Vec<Node>,
    pub links: Links,
    pub faults: Faults,
    pub sampler: Sampler,
    pub external: Option<Rc<dyn External>>,
    pub settings: BusSettings,
}

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

/// A request at the callee's door.
struct Visit {
    to: ServiceId,
    from: Option<ServiceId>,
    trace: Trace,
    parent: Option<SpanId>,
    span: SpanId,
    baggage: Baggage,
    depth: u32,
    request: Request,
    /// For a request from outside: further attributes of the SERVER span.
    outer: Option<Vec<KeyValue>>,
}

/// A request in a worker's hands.
///
/// The asynchronous part of [`Bus::serve`] borrows it: what an `async fn` takes
/// by value, its future holds twice.
struct Job {
    span: OpenSpan,
    /// None once the guest has it.
    scope: Option<RequestScope>,
    route: Option<u32>,
    verdict: Verdict,
}

impl Node {
    /// Nothing counted yet.
    fn account(&self) -> ServiceAccount {
        let NodeCode::Guest(guest) = &self.code else { return ServiceAccount::of_server(self.name.clone()) };
        let capacity = guest.replicas.first().map(|replica| Capacity {
            replicas: guest.replicas.len() as u32,
            workers: replica.workers(),
            queue: replica.queue(),
        });
        ServiceAccount::of_guest(self.name.clone(), guest.routes.shared(), capacity.unwrap_or_default())
    }
}

impl Bus {
    pub fn new(parts: Parts) -> Rc<Self> {
        let Parts { host, engine, nodes, links, faults, sampler, external, settings } = parts;
        let names = nodes.iter().enumerate();
        let names = names.map(|(index, node)| (Arc::clone(&node.name), ServiceId(index as u32))).collect();
        let stats = Stats::new(nodes.iter().map(Node::account).collect());
        let bus = Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            host,
            _engine: engine,
            nodes,
            names,
            links,
            faults,
            sampler,
            external,
            settings,
            stats,
            entered: Cell::new(0),
            numbered: Cell::new(0),
            inside: Cell::new(0),
        });
        let outbound: Rc<dyn Outbound> = Rc::new(Weak::clone(&bus.me));
        // A second bus on one host would be a defect of the wiring.
        assert!(bus.host.outbound.set(outbound).is_ok(), "a host has one bus");
        bus
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Requests from outside so far.
    pub const fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// Serves a request from outside: continues its trace or starts one.
    pub async fn enter(self: Rc<Self>, entry: Entry) -> Answer {
        self.entered.set(self.entered.get() + 1);
        let number = self.number(entry.identity);
        let now = self.host.sched.now();
        let ticket = self.stats.calling(None, Some(entry.to), now);
        if self.inside.get() >= self.settings.bounds.requests {
            let limit = self.settings.bounds.requests;
            let response =
                Response::detail(503, format!("more than limits.requests = {limit} are under way"));
            self.stats.called(ticket, now, tally::error_type(response.status));
            return Answer { response, context: None };
        }
        let incoming = context::extract(&entry.request.headers);
        let excluded = self.excluded(&entry.request);
        let parent = incoming.parent.as_ref().map(|parent| parent.span_id);
        let trace = self.trace(number, incoming.parent, excluded);
        let span = trace.child_id(parent, 0);
        let visit = Visit {
            to: entry.to,
            from: None,
            trace: trace.clone(),
            parent,
            span,
            baggage: incoming.baggage,
            depth: 0,
            request: entry.request,
            outer: Some(entry.attributes),
        };
        // In a task of its own: a client that hangs up does not stop the system.
        let (send, receive) = sched::oneshot();
        let bus = Rc::clone(&self);
        self.inside.set(self.inside.get() + 1);
        self.host.sched.spawn(async move {
            let response = bus.serve(visit).await;
            bus.inside.set(bus.inside.get() - 1);
            bus.stats.called(ticket, bus.host.sched.now(), tally::error_type(response.status));
            send.send(response).ok();
        });
        let response = match receive.await {
            Ok(response) => response,
            Err(_) => Response::detail(503, "the run is over"),
        };
        let Trace { trace_id, flags, trace_state, .. } = trace;
        let context = (!excluded).then_some(SpanContext { trace_id, span_id: span, flags, trace_state });
        Answer { response, context }
    }

    /// Whether the request leaves no spans, nor what it calls.
    fn excluded(&self, request: &Request) -> bool {
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

    /// The callee's side of a call: queue, worker, SERVER span, faults, guest.
    async fn serve(&self, mut visit: Visit) -> Response {
        let arrived = self.host.sched.now();
        if visit.trace.recording && self.excluded(&visit.request) {
            visit.trace.stop_recording();
        }
        let node = &self.nodes[visit.to.index()];
        let NodeCode::Guest(guest) = &node.code else {
            return Response::detail(502, "the entry of a topology is a guest, not an external service");
        };
        let GuestNode { code, routes, replicas } = &**guest;
        let replica = &replicas[pick(visit.trace.chance(Purpose::Replica, visit.span), replicas.len())];
        let to = visit.to;
        self.stats.arrived(to, visit.from.is_some(), arrived);
        let (route, params) = match routes.find(&visit.request.method, visit.request.path()) {
            Match::Found(route, params) => (route, params),
            unmatched => return self.turn_away(visit, routes, replica, &unmatched),
        };
        let (response, failure) = match replica.acquire(code, &self.host, &self.stats).await {
            Ok(mut worker) => {
                let begun = self.host.sched.now();
                self.stats.begun(to, begun);
                let known = route.map(|route| (route, routes.get(route)));
                let mut job = self.accept(visit, known, params, replica);
                let outcome = self.work(&mut job, &mut worker, &node.limits).await;
                let failure = outcome.as_ref().err().map(|failure| failure.kind);
                self.stats.done(to, begun, self.host.sched.now());
                (self.conclude(job.span, worker, replica, outcome), failure)
            }
            Err(reason) => {
                let kind = reason.kind();
                (self.no_worker(visit, routes, route, replica, reason), Some(kind))
            }
        };
        let error = failure.map(Cow::Borrowed).or_else(|| tally::error_type(response.status));
        self.stats.left(to, route, arrived, self.host.sched.now(), error);
        response
    }

    /// A worker has the request: from here to the answer is the SERVER span.
    fn accept(
        &self,
        visit: Visit,
        route: Option<(u32, &Route)>,
        params: Vec<(String, String)>,
        replica: &Replica,
    ) -> Job {
        let span = self.server_span(&visit, route.map(|(_, route)| route), replica);
        let Visit { to, from, trace, span: id, baggage, depth, request, .. } = visit;
        let route = route.map(|(index, _)| index);
        let dice = trace.chance(Purpose::Fault, id);
        let verdict = self.faults.judge(Arrival { service: to, from, route, dice });
        let visitor = Visitor { trace, server: id, baggage, depth };
        let scope = RequestScope::new(visitor, request, params, self.nodes[to.index()].limits.spans);
        Job { span, scope: Some(scope), route, verdict }
    }

    /// Lets a worker do its job, as faults allow.
    async fn work(
        &self,
        job: &mut Job,
        worker: &mut Worker,
        limits: &Limits,
    ) -> Result<Response, GuestFailure> {
        let sched = &self.host.sched;
        if job.verdict.delay > 0 {
            sched.sleep(job.verdict.delay).await;
        }
        if let Some(status) = job.verdict.status {
            return Ok(Response::standard(status));
        }
        if let Some(scope) = job.scope.take() {
            worker.begin(scope)?;
        }
        let handling = pin!(worker.handle(job.route));
        guest::in_time(sched, limits, handling).await?
    }

    /// The job is done, or given up: ends the SERVER span and frees the worker.
    fn conclude(
        &self,
        mut span: OpenSpan,
        mut worker: Worker,
        replica: &Replica,
        outcome: Result<Response, GuestFailure>,
    ) -> Response {
        let annotations = worker.finish();
        let response = match outcome {
            Ok(response) => {
                replica.release(worker);
                response
            }
            Err(failure) => {
                drop(worker);
                replica.replace();
                let response = Response::detail(500, format!("the guest failed: {}", failure.kind));
                span.guest_failed(failure, self.host.sched.now());
                response
            }
        };
        span.respond(response.status);
        // Last: what the host says of a request, no guest replaces.
        span.annotate(annotations);
        self.record(span);
        response
    }

    fn server_span(&self, visit: &Visit, known: Option<&Route>, replica: &Replica) -> OpenSpan {
        let request = &visit.request;
        let mut own = Vec::with_capacity(6);
        let exact = known.filter(|route| route.method == request.method);
        let (name, shared) = match (exact, known) {
            (Some(route), _) => {
                let shared = if visit.outer.is_some() { &route.outer } else { &route.inner };
                (Text::Shared(Arc::clone(&route.name)), Some(Arc::clone(shared)))
            }
            (None, known) => {
                own.push(spans::method_attribute(&request.method));
                own.extend(spans::original_method(&request.method));
                own.push(KeyValue::new(attribute::URL_SCHEME, "http"));
                if visit.outer.is_none() {
                    own.extend(spans::simulated_server(&self.nodes[visit.to.index()].name));
                }
                let path = known.map(|route| &route.path);
                own.extend(path.map(|path| KeyValue::new(attribute::HTTP_ROUTE, Arc::clone(path))));
                (spans::name(&request.method, path.map(|path| &**path)), None)
            }
        };
        if exact.is_none_or(|route| !route.fixed) {
            own.push(KeyValue::new(attribute::URL_PATH, request.path().to_owned()));
        }
        let query = request.query().filter(|query| !query.is_empty());
        own.extend(query.map(|query| KeyValue::new(attribute::URL_QUERY, query.to_owned())));
        own.extend(spans::user_agent(request));
        own.extend(visit.outer.iter().flatten().cloned());
        let attributes = Attributes { shared, own };
        let resource = replica.identity.resource;
        let now = self.host.sched.now();
        self.host.recorder.opened();
        OpenSpan::server(&visit.trace, visit.span, visit.parent, resource, name, attributes, now)
    }

    /// Answers for the guest what none of its routes meets.
    fn turn_away(&self, visit: Visit, routes: &Routes, replica: &Replica, unmatched: &Match) -> Response {
        let (response, route) = match unmatched {
            Match::WrongMethod(allowed, route) => {
                let detail = format!("{} is not allowed here", visit.request.method);
                let mut response = Response::detail(405, detail);
                response.headers.push("allow", allowed.join(", "));
                (response, Some(routes.get(*route)))
            }
            _ => (Response::detail(404, format!("no route for {}", visit.request.path())), None),
        };
        let mut span = self.server_span(&visit, route, replica);
        span.respond(response.status);
        self.record(span);
        let now = self.host.sched.now();
        self.stats.left(visit.to, None, now, now, None);
        response
    }

    /// Answers a request that gets no worker.
    fn no_worker(
        &self,
        visit: Visit,
        routes: &Routes,
        route: Option<u32>,
        replica: &Replica,
        reason: NoWorker,
    ) -> Response {
        let mut span = self.server_span(&visit, route.map(|route| routes.get(route)), replica);
        let response = match reason {
            NoWorker::Full => {
                span.fail("queue_full");
                Response::detail(503, "the queue is full")
            }
            NoWorker::Broken(failure) => {
                let response = Response::detail(500, format!("the guest failed: {}", failure.kind));
                span.guest_failed(failure, self.host.sched.now());
                response
            }
        };
        span.respond(response.status);
        self.record(span);
        response
    }

    fn record(&self, span: OpenSpan) {
        self.host.recorder.closed();
        if let Some(record) = span.end(self.host.sched.now()) {
            self.host.recorder.span(record);
        }
    }
}

/// Which replica serves a request: any, with equal chance.
fn pick(chance: Key, replicas: usize) -> usize {
    if replicas == 1 {
        return 0;
    }
    ((chance.unit() * replicas as f64) as usize).min(replicas - 1)
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("nodes", &self.nodes)
            .field("entered", &self.entered)
            .finish_non_exhaustive()
    }
}
