//! The bus: it carries a request from caller to callee and the response back.
//!
//! Follow one call: [`Bus::admit`] (in `entry`) for what comes from outside, and
//! `Outbound::call` for what a guest sends; both end in [`Bus::serve`], the
//! callee's side. The stages are those of ARCHITECTURE.md, "One call".

mod attempt;
mod call;
mod deadlock;
mod entry;
mod fault_target;
mod network;
mod policies;
mod redact;
mod refusal;
mod release;
mod remarks;
pub mod replica;
pub mod replica_faults;
mod resolve;
pub mod routes;
mod serve_mortal;
mod server_span;
mod span_delay;
pub mod spans;
pub mod stats;

use std::borrow::Cow;
use std::cell::{Cell, OnceCell};
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use rustc_hash::FxHashMap;

use crate::context::{Baggage, SpanContext, SpanId};
use crate::engine::Engine;
use crate::fault::{Faults, Records, Verdict};
use crate::guest::budget::{Budget, Share};
use crate::guest::endpoint::Endpoint;
use crate::guest::scope::{Deadline, RequestScope, Trace, Visitor};
use crate::guest::{self, Above, CallError, GuestFailure, Host, Outbound, Worker};
use crate::link::Links;
use crate::message::{Request, Response};
use crate::model::{Bounds, Limits, Nanos, ServiceId};
use crate::tally;
use crate::telemetry::recorder::Recorder;
use crate::telemetry::sampler::Sampler;

pub use attempt::Outcome;
use deadlock::Deadlocks;
pub use entry::{Admitted, Answer, Entry, Identity, OfClient, trace_mask};
pub use release::{Release, Stand};
use replica::{Replica, Wish};
use replica_faults::Presence;
pub use resolve::address_of;
use routes::{Match, Route};
use spans::{ClientAttributes, Connection, OpenSpan};
use stats::{At, Capacity, ServiceAccount, Stats};

/// A real server that a call goes out to; implemented where the network is.
pub trait External {
    /// Sends `request` to `base` (`http://host:port`) and waits for the response.
    fn send(&self, base: &str, request: Request) -> LocalBoxFuture<'static, Result<Exchange, CallError>>;
}

/// What a real server has answered.
#[derive(Debug)]
pub struct Exchange {
    pub response: Response,
    pub connection: Connection,
}

/// The services of a run, and what lies between them. For the core thread only.
pub struct Bus {
    me: Weak<Bus>,
    host: Rc<Host>,
    /// Its epoch goes on as long as there are guests to interrupt.
    _engine: Arc<Engine>,
    nodes: Vec<Node>,
    names: FxHashMap<Arc<str>, ServiceId>,
    links: Links,
    pub faults: Faults,
    /// Faults of records; none where the topology has none.
    records: Option<Rc<Records>>,
    sampler: Sampler,
    external: Option<Rc<dyn External>>,
    settings: BusSettings,
    pub stats: Stats,
    /// Requests that came from outside so far; of those, the numbered; and those under way.
    entered: Cell<u64>,
    numbered: Cell<u64>,
    inside: Cell<u32>,
    deadlocks: Deadlocks,
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
    /// As the topology has it.
    pub stand: Stand,
    /// The names of its routes, and behind them those that only another release has.
    pub routes: Vec<Arc<str>>,
    /// What faults deploy.
    pub releases: Vec<Release>,
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
}

/// A request at the callee's door.
#[derive(Clone, Debug)]
struct Visit {
    to: ServiceId,
    /// The calling service and its replica.
    from: Option<(ServiceId, u32)>,
    trace: Trace,
    parent: Option<SpanId>,
    span: SpanId,
    /// The CLIENT span of the call that brings it, whatever context comes along.
    call: Option<SpanId>,
    /// The CLIENT span that waits for it: of that call, or of a load.
    client: Option<SpanId>,
    baggage: Baggage,
    depth: u32,
    /// Set when it arrives, if its sender has said how long it waits.
    deadline: Option<Deadline>,
    /// Which attempt of its call it is, from 0.
    attempt: u32,
    /// The worker that waits for it, however long it takes.
    above: Option<Above>,
    request: Request,
    /// What it holds of its caller's budget; none from outside.
    hold: Option<Share>,
    way: Way,
}

/// How a request has come.
#[derive(Clone, Debug)]
enum Way {
    /// From outside; with further attributes of the SERVER span.
    Outer(OfClient),
    /// From a service of the topology: from there, with the context that came along; none
    /// where it is among the request's headers, or did not come.
    Inner(Rc<Endpoint>, Option<SpanContext>),
    /// To a real server; it takes in what becomes known of the connection.
    Wire(Rc<OnceCell<Connection>>),
}

/// A request in a worker's hands.
struct Job {
    span: OpenSpan,
    /// None once the worker has it.
    scope: Option<Box<RequestScope>>,
    route: Option<u32>,
    verdict: Verdict,
}

impl Visit {
    const fn is_outer(&self) -> bool {
        matches!(self.way, Way::Outer(_))
    }
}

impl Node {
    /// Nothing counted yet.
    fn account(&self) -> ServiceAccount {
        let NodeCode::Guest(guest) = &self.code else { return ServiceAccount::of_server(self.name.clone()) };
        let replicas = &guest.stand.replicas;
        let capacity = replicas.first().map(|replica| Capacity {
            replicas: replicas.len() as u32,
            workers: replica.workers(),
            queue: replica.queue(),
        });
        let account =
            ServiceAccount::of_guest(self.name.clone(), guest.routes.clone(), capacity.unwrap_or_default());
        let is_single = guest.stand.replicas.len() == 1 && guest.releases.is_empty();
        if is_single { account } else { account.by_instance() }
    }
}

impl Bus {
    pub fn new(parts: Parts) -> Rc<Self> {
        let Parts { host, engine, nodes, links, faults, records, sampler, external, settings } = parts;
        let names = nodes.iter().enumerate();
        let names = names.map(|(index, node)| (Arc::clone(&node.name), ServiceId(index as u32))).collect();
        let stats = Stats::new(nodes.iter().map(Node::account).collect(), host.sched.now());
        let bus = Rc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            host,
            _engine: engine,
            nodes,
            names,
            links,
            faults,
            records,
            sampler,
            external,
            settings,
            stats,
            entered: Cell::new(0),
            numbered: Cell::new(0),
            inside: Cell::new(0),
            deadlocks: Deadlocks::default(),
        });
        let outbound: Rc<dyn Outbound> = Rc::new(Weak::clone(&bus.me));
        // A second bus on one host would be a defect of the wiring.
        assert!(bus.host.outbound.set(outbound).is_ok(), "a host has one bus");
        bus
    }

    /// The instant, in simulated time.
    pub fn now(&self) -> Nanos {
        self.host.sched.now()
    }

    pub const fn host(&self) -> &Rc<Host> {
        &self.host
    }

    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Where spans and log records go.
    pub fn recorder(&self) -> &Recorder {
        &self.host.recorder
    }

    /// Requests from outside so far.
    pub const fn entered(&self) -> u64 {
        self.entered.get()
    }

    /// Whether the request leaves no spans, nor what it calls.
    fn excluded(&self, request: &Request) -> bool {
        self.settings.exclude.iter().any(|path| path == request.path())
    }

    /// The callee's side of a call: queue, worker, SERVER span, faults, guest.
    ///
    /// It borrows the visit: what an `async fn` takes by value, its future holds
    /// twice, and the task's future is copied when the task starts.
    async fn serve(&self, visit: &mut Visit) -> Outcome {
        let _under_way = self.faults.ledger.visits(visit.span, visit.call);
        if visit.trace.recording && self.excluded(&visit.request) {
            visit.trace.stop_recording();
        }
        let node = &self.nodes[visit.to.index()];
        let NodeCode::Guest(guest) = &node.code else {
            let detail = "the entry of a topology is a guest, not an external service";
            return Ok(Response::detail(502, detail));
        };
        let replica = visit.pick(guest.stand.replicas.len());
        let chosen = self.choose(guest, visit, replica)?;
        let stand = chosen.stand;
        let replica = &stand.replicas[replica];
        let found = stand.routes.find(&visit.request.method, visit.request.path());
        match replica.plight() {
            None => self.attend(visit, stand, replica, found, None).await,
            // In a box, as it is rare: every task would have room for it.
            Some(plight) => Box::pin(self.serve_exposed(visit, stand, replica, found, plight)).await,
        }
    }

    /// The request is at a replica: queue, worker, answer.
    async fn attend(
        &self,
        visit: &mut Visit,
        stand: &Stand,
        replica: &Replica,
        found: Match,
        presence: Option<&Presence<'_>>,
    ) -> Outcome {
        let (to, arrived, slot) = (visit.to, self.host.sched.now(), stand.slot(found.route()));
        let limits = &self.nodes[to.index()].limits;
        let at = At { service: to, route: slot, instance: replica.identity.resource };
        self.stats.arrived(to, visit.from.is_some(), arrived);
        self.faults.ledger.meets(visit.span, (to, slot));
        if let Some(presence) = presence
            && !self.goes_on(&presence.plight.process, limits).await
        {
            return self.cut_off(at, arrived);
        }
        let (route, params) = match found {
            Match::Found(route, params) => (route, params),
            unmatched => return Ok(self.turn_away(visit, &stand.routes, replica, arrived, &unmatched)),
        };
        if let Some(response) = self.refuse(visit, (stand, route), &params, replica, arrived) {
            return Ok(response);
        }
        let deadline = visit.deadline.map(|deadline| deadline.at);
        let wish = Wish {
            code: &stand.code,
            host: &self.host,
            stats: &self.stats,
            deadline,
            presence,
            above: visit.above.as_ref(),
            queued: &|| self.untangle(to),
        };
        let Ok(acquired) = replica.acquire(&wish).await else { return self.cut_off(at, arrived) };
        let (response, failure) = match acquired {
            Ok(mut worker) => {
                // Who may die frees its callers.
                worker.brought(visit.above.take().filter(|_| presence.is_none()));
                let (begun, life) = (self.host.sched.now(), replica.life());
                self.stats.begun(to, begun);
                let known = route.map(|route| (route, stand.routes.get(route)));
                let mut job = self.accept(visit, known, slot, params, (replica, worker.budget()));
                let outcome = match presence {
                    None => Some(self.work(&mut job, &mut worker, limits).await),
                    Some(presence) => self.work_exposed(&mut job, &mut worker, limits, presence).await,
                };
                self.stats.done(to, begun, self.host.sched.now());
                let Some(outcome) = outcome else {
                    self.perish(job.span, worker, replica, life);
                    return self.cut_off(at, arrived);
                };
                let failure = outcome.as_ref().err().map(|failure| failure.kind);
                (self.conclude(job.span, worker, replica, outcome), failure)
            }
            Err(reason) => {
                let kind = reason.kind();
                (self.no_worker(visit, &stand.routes, route, replica, reason), Some(kind))
            }
        };
        let error = failure.map(Cow::Borrowed).or_else(|| tally::error_type(response.status));
        self.stats.left(at, arrived, self.host.sched.now(), error);
        Ok(response)
    }

    /// A worker has the request: from here to the answer is the SERVER span.
    fn accept(
        &self,
        visit: &mut Visit,
        route: Option<(u32, &Route)>,
        slot: Option<u32>,
        params: Vec<(String, String)>,
        (replica, budget): (&Replica, Rc<Budget>),
    ) -> Job {
        let span = self.server_span(visit, route.map(|(_, route)| route), replica);
        let route = route.map(|(index, _)| index);
        let subject = visit.subject_at(slot, replica, &params);
        let verdict = self.faults.judge(&subject, self.host.sched.now());
        let (context, agent) = match &visit.way {
            Way::Inner(client, context) => {
                let says_itself = visit.request.headers.get("user-agent").is_some();
                (context.clone(), (!says_itself).then(|| Arc::clone(&client.agent)))
            }
            Way::Outer(_) | Way::Wire(_) => (None, None),
        };
        let visitor = Visitor {
            from: visit.from,
            slot,
            attempt: visit.attempt,
            trace: visit.trace.clone(),
            server: visit.span,
            baggage: std::mem::take(&mut visit.baggage),
            depth: visit.depth,
            context,
            agent,
            deadline: visit.deadline,
        };
        let request = std::mem::take(&mut visit.request);
        let spans = self.nodes[visit.to.index()].limits.spans;
        let scope = RequestScope::new(visitor, request, params, spans, budget);
        Job { span, scope: Some(Box::new(scope)), route, verdict }
    }

    /// Lets a worker do its job, as faults allow.
    async fn work(
        &self,
        job: &mut Job,
        worker: &mut Worker,
        limits: &Limits,
    ) -> Result<Response, GuestFailure> {
        let sched = &self.host.sched;
        if let Some(scope) = job.scope.take() {
            worker.begin(scope)?;
        }
        if job.verdict.delay > 0 {
            sched.sleep(job.verdict.delay).await;
        }
        if job.verdict.leak > 0 {
            worker.leak(job.verdict.leak)?;
        }
        if let Some(answer) = job.verdict.answer.take() {
            return Ok(answer);
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
                let response = refusal::guest_failed(&failure);
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

    /// Records a span that has ended, unless its trace is not kept.
    pub fn record(&self, span: OpenSpan) {
        span.end(self.host.sched.now(), &self.host.recorder);
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus")
            .field("nodes", &self.nodes)
            .field("entered", &self.entered)
            .finish_non_exhaustive()
    }
}
