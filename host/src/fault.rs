//! Faults: rules that change what happens to the requests that they match.
//!
//! The bus asks at each [`Point`] that a request passes, [`Faults::at`], which
//! rules are active there; mostly there are none. A rule that [strikes](Rule::strike)
//! says so in the [`Ledger`], and its effect becomes part of what the bus is told
//! to do: the [`WorkerVerdict`] of a worker's faults, for example. Dice are keyed by the
//! fault's name and the request's span, so that faults are independent and adding
//! one moves no other. Delay comes before an answer.
//!
//! Only active rules are in the lists, so that an inactive fault costs nothing.

mod account;
mod awaiting;
mod candidate;
mod chance;
mod clocks;
mod condition;
mod door;
mod edit;
mod event;
pub mod impact;
mod labels;
mod ledger;
mod message;
mod network;
mod record;
mod rule;
mod schedule;
mod scheduler;
mod signs;
mod span;
mod under_way;
pub mod work;
mod worker;

use std::cell::RefCell;
use std::rc::Rc;

use crate::model::{
    CacheEffect, CacheFault, Chance, DatabaseFault, Effect, ExportFault, Fault, Model, Nanos, RecordFault,
    ReplicaFault, ServiceId, SpanFault, TopicFault, TopicTarget, WorkerFault,
};
use crate::rng::{Key, Purpose};

pub use account::{Account, Suppression};
pub use candidate::{Candidate, Json};
pub use chance::{BAGGAGE, HEADER, Held};
pub use door::DOOR_SIGNS;
pub use event::{After, Cause, Drawn, Event, FaultChange, Firing, ManualChange, Site, WindowChange};
pub use labels::Labels;
pub use ledger::Ledger;
pub use network::{End, NetworkVerdict};
pub use record::{Origin, Records, aliases};
pub use rule::{Rule, Strike};
pub use schedule::{SHORTEST, Window, Windows};
pub use scheduler::{FaultScheduler, WindowHandler};
pub use signs::{DEATH_SIGNS, Side, Spans};
pub use span::SpanVerdict;
pub use under_way::{Entered, UnderWay};
pub use worker::WorkerVerdict;

use door::DoorAction;
use network::NetworkAction;

/// Where a fault takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    Network,
    Door,
    Worker,
    Replica,
    Span,
    Record,
    Database,
    Cache,
    Topic,
    Export,
}

/// What a rule does in this run: its fault's effect, with what the kind remembers of the
/// messages and requests that it has struck.
#[derive(Debug)]
pub enum Action {
    Network(Rc<NetworkAction>),
    Door(DoorAction),
    Worker(WorkerFault),
    Replica(ReplicaFault),
    Span(SpanFault),
    Record(RecordFault),
    /// Of the database with this index.
    Database(usize, DatabaseFault),
    /// Of the cache with this index.
    Cache(usize, CacheFault),
    Topic(TopicTarget, TopicFault),
    Export(ExportFault),
}

impl Action {
    pub fn of(fault: &Fault) -> Self {
        match &fault.effect {
            Effect::Network(effect) => Self::Network(Rc::new(NetworkAction::of(effect))),
            Effect::Door(effect) => Self::Door(DoorAction::of(effect)),
            Effect::Worker(effect) => Self::Worker(effect.clone()),
            Effect::Replica(ReplicaFault::Crash { restart }) if chooses_requests(fault) => {
                Self::Worker(WorkerFault::Crash { restart: restart.clone() })
            }
            Effect::Replica(effect) => Self::Replica(effect.clone()),
            Effect::Span(effect) => Self::Span(effect.clone()),
            Effect::Record(effect) => Self::Record(effect.clone()),
            Effect::Database { database, fault, .. } => Self::Database(*database, fault.clone()),
            Effect::Cache(CacheEffect { cache, fault, .. }) => Self::Cache(*cache, fault.clone()),
            Effect::Topic { target, fault, .. } => Self::Topic(target.clone(), fault.clone()),
            Effect::Export(effect) => Self::Export(effect.clone()),
        }
    }

    pub const fn point(&self) -> Point {
        match self {
            Self::Network(_) => Point::Network,
            Self::Door(_) => Point::Door,
            Self::Worker(_) => Point::Worker,
            Self::Replica(_) => Point::Replica,
            Self::Span(_) => Point::Span,
            Self::Record(_) => Point::Record,
            Self::Database(..) => Point::Database,
            Self::Cache(..) => Point::Cache,
            Self::Topic(..) => Point::Topic,
            Self::Export(_) => Point::Export,
        }
    }
}

/// Whether a fault is some requests' doing and not the time's.
fn chooses_requests(fault: &Fault) -> bool {
    !fault.conditions.is_empty()
        || fault.chance != Chance::default()
        || fault.target.as_ref().is_some_and(|target| target.route.is_some() || target.from.is_some())
}

impl Effect {
    /// Whether it can make any request end otherwise, or later.
    pub const fn may_change_requests(&self) -> bool {
        match self {
            Self::Network(_)
            | Self::Door(_)
            | Self::Worker(_)
            | Self::Replica(_)
            | Self::Span(_)
            | Self::Database { .. }
            | Self::Cache(_)
            | Self::Topic { .. } => true,
            Self::Record(fault) => fault.may_change_requests(),
            Self::Export(ExportFault::CollectorDown) => false,
        }
    }
}

/// Draws the target of each fault that has one of several, by the model's seed and the
/// fault's name. Call it again whenever the seed has become another.
pub fn draw_targets(model: &mut Model) {
    let key = Key::new(model.root(), Purpose::Target);
    for fault in &mut model.faults {
        let key = key.with_name(&fault.name);
        let drawn = |of: usize| (key.unit() * of as f64) as usize;
        if !fault.one_of.is_empty() {
            fault.target = Some(fault.one_of[drawn(fault.one_of.len())].clone());
        }
        match &mut fault.effect {
            Effect::Cache(CacheEffect { cache: store, one_of, .. })
            | Effect::Database { database: store, one_of, .. }
                if !one_of.is_empty() =>
            {
                *store = one_of[drawn(one_of.len())];
            }
            Effect::Topic { target, one_of, .. } if !one_of.is_empty() => {
                *target = one_of[drawn(one_of.len())].clone();
            }
            _ => {}
        }
    }
}

/// Whether something may strike the replicas of a service, whatever its requests are.
pub fn strikes_replicas(model: &Model, service: ServiceId) -> bool {
    let mut aimed = model
        .faults
        .iter()
        .filter(|fault| fault.target.as_ref().is_some_and(|target| target.service == service));
    aimed.any(|fault| matches!(fault.effect, Effect::Replica(_)))
}

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    /// All of the model's, in its order.
    rules: Box<[Rc<Rule>]>,
    /// What each of them does.
    actions: Box<[Action]>,
    /// By service.
    stations: Box<[Station]>,
    /// By topic, the active rules that strike its messages; none without any.
    topics: Box<[RefCell<Option<ActiveRules>>]>,
    has_topics: bool,
    pub ledger: Rc<Ledger>,
}

/// Active rules, in the order of the model.
type ActiveRules = Rc<[Rc<Rule>]>;

/// The active rules of a service, by point.
#[derive(Debug, Default)]
struct Station {
    /// How many routes the service has.
    routes: usize,
    network: RefCell<Rules>,
    door: RefCell<Rules>,
    worker: RefCell<Rules>,
    span: RefCell<Rules>,
}

impl Station {
    /// None: no request asks at this point.
    const fn rules(&self, point: Point) -> Option<&RefCell<Rules>> {
        match point {
            Point::Network => Some(&self.network),
            Point::Door => Some(&self.door),
            Point::Worker => Some(&self.worker),
            Point::Span => Some(&self.span),
            Point::Replica
            | Point::Record
            | Point::Database
            | Point::Cache
            | Point::Topic
            | Point::Export => None,
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
    /// Takes in the model's faults, none of which is active before the [`FaultScheduler`]
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
            actions: model.faults.iter().map(Action::of).collect(),
            stations: (0..model.services.len() as u32).map(station).collect(),
            has_topics: model.faults.iter().any(|fault| fault.topic().is_some()),
            topics: model.topics.iter().map(|_| RefCell::default()).collect(),
            ledger,
        }
    }

    /// All rules, also those that are not active, in the order of the model.
    pub fn rules(&self) -> &[Rc<Rule>] {
        &self.rules
    }

    /// What a rule does.
    pub fn action(&self, rule: &Rule) -> &Action {
        &self.actions[rule.index]
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

    /// Whether any rule, active or not, is of a topic.
    pub const fn has_topics(&self) -> bool {
        self.has_topics
    }

    /// What strikes a request that a worker has.
    pub fn worker(&self, candidate: &Candidate<'_>, now: Nanos) -> WorkerVerdict {
        match self.at(Point::Worker, candidate.service, candidate.route) {
            Some(rules) => self.worker_by(&rules, candidate, now),
            None => WorkerVerdict::default(),
        }
    }

    /// Makes the list anew in which a rule is, or is not, after it was switched.
    fn refresh(&self, switched: &Rule) {
        if let Action::Topic(target, _) = self.action(switched) {
            return self.refresh_topic(target.topic);
        }
        let Some(service) = switched.service() else { return };
        let station = &self.stations[service.index()];
        let point = self.action(switched).point();
        let Some(list) = station.rules(point) else { return };
        let is_meant = |rule: &&Rc<Rule>| {
            rule.is_active() && rule.service() == Some(service) && self.action(rule).point() == point
        };
        let active: Vec<_> = self.rules.iter().filter(is_meant).collect();
        *list.borrow_mut() = Rules::of(&active, station.routes);
    }

    /// What each fault did that was there, in the order of the model.
    pub fn accounts(&self) -> Vec<Account> {
        self.rules.iter().filter_map(|rule| rule.account()).collect()
    }
}
