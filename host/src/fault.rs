//! Faults: rules that change what happens to the requests that they match.
//!
//! The bus asks at each [`Point`] that a request passes, [`Faults::at`], which
//! rules are active there; mostly there are none. A rule that [strikes](Rule::strike)
//! says so in the [`Ledger`], and its effect becomes part of what the bus is told
//! to do: the [`Verdict`] of a worker's faults, for example. Dice are keyed by the
//! fault's name and the request's span, so that faults are independent and adding
//! one moves no other. Delay comes before an answer.
//!
//! Only active rules are in the lists, so that an inactive fault costs nothing.

mod chance;
mod condition;
mod conductor;
mod door;
mod edit;
mod labels;
mod ledger;
mod passage;
mod record;
mod rule;
mod schedule;
mod signs;
mod span;
pub mod witness;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

use crate::context::{Baggage, SpanId, TraceId};
use crate::message::Request;
use crate::model::{Chance, Fault, FaultKind, Model, Moment, Nanos, ServiceId};
use crate::rng::{Key, Purpose};
use crate::telemetry::record::ResourceId;

pub use chance::{BAGGAGE, HEADER, Held};
pub use condition::Json;
pub use conductor::{Conductor, Hand, Stage};
pub use labels::Labels;
pub use ledger::{Account, After, Cause, Change, Drawn, Event, Firing, Ledger, Site, Suppression, Turn};
pub use passage::{End, Passage};
pub use record::{Origin, Records, aliases};
pub use rule::{Rule, Strike};
pub use schedule::{SHORTEST, Window, Windows};
pub use signs::Spans;
pub use span::Stall;
pub use worker::Verdict;

/// Where a rule looks at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Between caller and callee, once for each attempt of a call: links and connections.
    Passage,
    /// The request has arrived, and no worker has it.
    Door,
    /// A worker has the request, and the guest has not looked at it.
    Worker,
    /// The guest begins a span of its own.
    Span,
    /// No request is looked at: the state of replicas.
    Replica,
    /// A span is recorded.
    Record,
    /// Records leave for their receivers.
    Export,
}

impl FaultKind {
    /// Where this kind strikes.
    pub const fn point(&self) -> Point {
        match self {
            Self::Latency { on: Moment::Handler, .. } | Self::Error { .. } => Point::Worker,
            Self::MemoryLeak { .. } => Point::Worker,
            Self::Latency { on: Moment::Span, .. } => Point::Span,
            Self::Latency { on: Moment::Request | Moment::Response, .. }
            | Self::Reset { .. }
            | Self::Refuse
            | Self::Blackhole
            | Self::Corrupt { .. }
            | Self::Mutate { .. }
            | Self::Partition { .. }
            | Self::Loss { .. }
            | Self::Duplicate
            | Self::Bandwidth { .. }
            | Self::Jitter { .. }
            | Self::DropContext { .. }
            | Self::Unsample => Point::Passage,
            Self::RateLimit { .. } | Self::BadDeploy { .. } => Point::Door,
            Self::Cpu { .. }
            | Self::Pause
            | Self::PoolExhaustion { .. }
            | Self::Crash { .. }
            | Self::RestartLoop { .. }
            | Self::Down => Point::Replica,
            Self::ClockSkew { .. }
            | Self::LoseSpans
            | Self::LateSpans { .. }
            | Self::WrongServiceName { .. }
            | Self::Cardinality { .. } => Point::Record,
            Self::CollectorDown => Point::Export,
        }
    }

    /// Whether it can make any request end otherwise, or later: what is only done to
    /// records cannot. But guests look at their clocks.
    pub const fn may_change_requests(&self) -> bool {
        match self.point() {
            Point::Record => matches!(self, Self::ClockSkew { .. }),
            Point::Export => false,
            Point::Passage | Point::Door | Point::Worker | Point::Span | Point::Replica => true,
        }
    }
}

impl Fault {
    /// Where this fault strikes: at its kind's point, save a crash that is a request's
    /// doing and not the time's.
    pub fn point(&self) -> Point {
        let names_requests = !self.conditions.is_empty()
            || self.chance != Chance::default()
            || self.target.as_ref().is_some_and(|target| target.route.is_some() || target.from.is_some());
        match self.kind {
            FaultKind::Crash { .. } if names_requests => Point::Worker,
            _ => self.kind.point(),
        }
    }
}

/// Draws the target of each fault that has one of several, by the model's seed and the
/// fault's name. Call it again whenever the seed has become another.
pub fn draw_targets(model: &mut Model) {
    let key = Key::new(model.root(), Purpose::Target);
    for fault in model.faults.iter_mut().filter(|fault| !fault.one_of.is_empty()) {
        let drawn = key.with_name(&fault.name).unit() * fault.one_of.len() as f64;
        fault.target = Some(fault.one_of[drawn as usize].clone());
    }
}

/// Whether something may befall the replicas of a service, whatever its requests are.
pub fn befalls_replicas(model: &Model, service: ServiceId) -> bool {
    let mut aimed = model
        .faults
        .iter()
        .filter(|fault| fault.target.as_ref().is_some_and(|target| target.service == service));
    aimed.any(|fault| fault.kind.point() == Point::Replica)
}

/// A request as a fault sees it.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The called service.
    pub service: ServiceId,
    /// The index of the guest's route, if one matches.
    pub route: Option<u32>,
    /// The replica that has it; none before one is picked.
    pub replica: Option<u32>,
    /// The calling service and its replica; none from outside of the topology.
    pub from: Option<(ServiceId, u32)>,
    pub request: &'a Request,
    /// The parameters of its route's path, decoded.
    pub params: &'a [(String, String)],
    pub baggage: &'a Baggage,
    /// The request's body, when a condition has looked into it.
    pub json: Json,
    /// Which attempt of a call this is, from 0.
    pub attempt: u32,
    pub trace: TraceId,
    /// The Resource of that replica's process, where it is known.
    pub resource: Option<ResourceId>,
    /// The span that names the request here: CLIENT on the passage, SERVER behind it.
    pub span: SpanId,
    /// The spans around it.
    pub spans: Spans,
    /// Names the dice: of that span, which each attempt of a call has another of.
    pub dice: Key,
}

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    /// All of the model's, in its order.
    rules: Box<[Rc<Rule>]>,
    /// By service.
    stations: Box<[Station]>,
    pub ledger: Rc<Ledger>,
}

/// The active rules of a service, by point.
#[derive(Debug, Default)]
struct Station {
    /// How many routes the service has.
    routes: usize,
    passage: RefCell<Rules>,
    door: RefCell<Rules>,
    worker: RefCell<Rules>,
    span: RefCell<Rules>,
}

impl Station {
    /// None: no request asks at this point.
    const fn rules(&self, point: Point) -> Option<&RefCell<Rules>> {
        match point {
            Point::Passage => Some(&self.passage),
            Point::Door => Some(&self.door),
            Point::Worker => Some(&self.worker),
            Point::Span => Some(&self.span),
            Point::Replica | Point::Record | Point::Export => None,
        }
    }
}

/// Active rules by the index of the route that they are for; the last are for
/// requests that meet no route. In the order of the model.
#[derive(Debug, Default)]
struct Rules(Vec<Option<Rc<[Rc<Rule>]>>>);

impl Rules {
    /// Without any rule, nothing is held at all.
    fn of(active: &[&Rc<Rule>], routes: usize) -> Self {
        if active.is_empty() {
            return Self::default();
        }
        let for_route = |route: Option<u32>| {
            let rules: Rc<[_]> =
                active.iter().filter(|rule| rule.is_for_route(route)).map(|rule| Rc::clone(rule)).collect();
            (!rules.is_empty()).then_some(rules)
        };
        let known = (0..routes).map(|route| u32::try_from(route).ok());
        Self(known.chain([None]).map(for_route).collect())
    }

    const fn is_any(&self) -> bool {
        !self.0.is_empty()
    }

    fn get(&self, route: Option<u32>) -> Option<&Rc<[Rc<Rule>]>> {
        let last = self.0.len().checked_sub(1)?;
        self.0[route.map_or(last, |route| route as usize)].as_ref()
    }
}

impl Faults {
    /// Takes in the model's faults, none of which is active before the [`Conductor`]
    /// says so. `route_of` finds a route's index by its text,
    /// `routes` says how many a service has.
    pub fn new(
        model: &Model,
        route_of: impl Fn(ServiceId, &str) -> Option<u32>,
        routes: impl Fn(ServiceId) -> usize,
        ledger: Rc<Ledger>,
    ) -> Self {
        let key = Key::new(model.root(), Purpose::Window);
        let rule = |(index, fault)| Rc::new(Rule::new(index, fault, key, &route_of));
        let station = |index| Station { routes: routes(ServiceId(index)), ..Station::default() };
        Self {
            rules: model.faults.iter().enumerate().map(rule).collect(),
            stations: (0..model.services.len() as u32).map(station).collect(),
            ledger,
        }
    }

    /// All rules, also those that are not active, in the order of the model.
    pub fn rules(&self) -> &[Rc<Rule>] {
        &self.rules
    }

    /// Whether any rule of `service` is active at `point`.
    #[inline]
    pub fn has(&self, point: Point, service: ServiceId) -> bool {
        self.stations[service.index()].rules(point).is_some_and(|rules| rules.borrow().is_any())
    }

    /// The active rules of `service` at `point` for requests that meet `route`.
    #[inline]
    pub fn at(&self, point: Point, service: ServiceId, route: Option<u32>) -> Option<Rc<[Rc<Rule>]>> {
        self.stations[service.index()].rules(point)?.borrow().get(route).map(Rc::clone)
    }

    /// What befalls a request that a worker has.
    pub fn judge(&self, subject: &Subject<'_>, now: Nanos) -> Verdict {
        match self.at(Point::Worker, subject.service, subject.route) {
            Some(rules) => worker::judge(&rules, subject, &self.ledger, now),
            None => Verdict::default(),
        }
    }

    /// Makes the list anew in which a rule is, or is not, after it was switched.
    fn refresh(&self, switched: &Rule) {
        let Some(service) = switched.service() else { return };
        let station = &self.stations[service.index()];
        let point = switched.point;
        let Some(list) = station.rules(point) else { return };
        let is_meant =
            |rule: &&Rc<Rule>| rule.is_active() && rule.service() == Some(service) && rule.point == point;
        let active: Vec<_> = self.rules.iter().filter(is_meant).collect();
        *list.borrow_mut() = Rules::of(&active, station.routes);
    }

    /// What each fault did that was there, in the order of the model.
    pub fn accounts(&self) -> Vec<Account> {
        self.rules.iter().filter_map(|rule| rule.account()).collect()
    }
}
