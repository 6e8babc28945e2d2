//! Faults of records: what a process says of itself is late, lost, or wrong. The
//! world goes on as it would; only who looks at its traces is misled.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::context::{Baggage, SpanId};
use crate::message::Request;
use crate::model::{FaultKind, Model, Nanos, ServiceId, Way};
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::telemetry::record::{
    Attributes, KeyValue, LogRecord, ResourceId, SpanKind, SpanRecord, Text, Value,
};
use crate::telemetry::recorder::Editor;

use super::ledger::{Drawn, Firing, Suppression};
use super::schedule::Window;
use super::signs::{Spans, shown_by};
use super::{Json, Labels, Ledger, Point, Rule, Strike, Subject};

/// Spans that are held back, at most: one more is not late.
const HELD_BACK: usize = 65_536;

/// Windows in which a clock was wrong that are remembered, of each replica: a span
/// that began in an earlier one has the right time.
const REMEMBERED: usize = 64;

/// A replica, as its records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub service: ServiceId,
    pub replica: u32,
    pub resource: ResourceId,
}

/// The faults of records, and what they hold back.
pub struct Records {
    sched: Sched,
    ledger: Rc<Ledger>,
    /// Names the dice of spans, by their ids.
    key: Key,
    labels: Option<Rc<Labels>>,
    /// The routes of each service, by the names that SERVER spans have.
    routes: Box<[FxHashMap<Arc<str>, u32>]>,
    origins: BTreeMap<ResourceId, Origin>,
    /// Under which Resource a fault has the records of another.
    aliases: FxHashMap<(usize, ResourceId), ResourceId>,
    /// Active ones that strike spans, by service.
    spans: RefCell<BTreeMap<ServiceId, Vec<Rc<Rule>>>>,
    /// Active ones that rename replicas, in the order in which they became so.
    names: RefCell<Vec<(usize, ResourceId)>>,
    clocks: RefCell<BTreeMap<ResourceId, VecDeque<Skew>>>,
    late: RefCell<BTreeMap<(Nanos, u64), SpanRecord>>,
    held: Cell<u64>,
}

/// A clock is wrong by so much, for a while.
#[derive(Clone, Debug)]
struct Skew {
    rule: Rc<Rule>,
    by: i64,
    window: Window,
    /// Since when it is right again.
    until: Option<Nanos>,
}

impl Skew {
    /// By how much the clock is wrong at an instant: nanoseconds.
    fn at(&self, instant: Nanos) -> i64 {
        let window = if self.until.is_none() { self.rule.window() } else { self.window };
        if instant < window.opens || self.until.is_some_and(|until| instant >= until) {
            return 0;
        }
        (self.by as f64 * window.strength(instant, self.rule.when.ramp)) as i64
    }
}

impl Records {
    /// Of a world with these replicas, and these routes of each service; none where no
    /// fault of the model concerns records. `resources` are those of replicas and loads:
    /// behind them are the ones that [`aliases`] asks for, in its order.
    pub fn new(
        model: &Model,
        sched: &Sched,
        ledger: Rc<Ledger>,
        origins: &[Origin],
        routes: impl Iterator<Item = Vec<Arc<str>>>,
        resources: Range<ResourceId>,
    ) -> Option<Rc<Self>> {
        let is_meant = model.faults.iter().any(|fault| fault.kind.point() == Point::Record);
        let labels = ledger.labels().cloned();
        if !is_meant && labels.is_none() {
            return None;
        }
        let mut by_resource = vec![None; (resources.end.0 - resources.start.0) as usize];
        for origin in origins {
            by_resource[(origin.resource.0 - resources.start.0) as usize] =
                Some((origin.service, origin.replica));
        }
        let renamed = (resources.end.0..).zip(aliases(model, &by_resource));
        let renamed = renamed.map(|(alias, (fault, at, _))| {
            ((fault, ResourceId(resources.start.0 + at as u32)), ResourceId(alias))
        });
        Some(Rc::new(Self {
            sched: sched.clone(),
            ledger,
            key: Key::new(model.root(), Purpose::Record),
            labels,
            routes: routes.map(|routes| routes.into_iter().zip(0..).collect()).collect(),
            origins: origins.iter().map(|origin| (origin.resource, *origin)).collect(),
            aliases: renamed.collect(),
            spans: RefCell::default(),
            names: RefCell::default(),
            clocks: RefCell::default(),
            late: RefCell::default(),
            held: Cell::new(0),
        }))
    }

    /// A rule that concerns records has become active.
    pub fn opened(&self, rule: &Rc<Rule>) {
        match rule.kind {
            FaultKind::ClockSkew { by } => {
                for replica in self.struck(rule) {
                    for origin in &replica {
                        self.set_clock(rule, by, *origin);
                    }
                    self.fired(rule, replica[0], None, Drawn::Shift(by));
                }
            }
            FaultKind::WrongServiceName { .. } => {
                for replica in self.struck(rule) {
                    let names = replica.iter().map(|origin| (rule.index, origin.resource));
                    self.names.borrow_mut().extend(names);
                    self.fired(rule, replica[0], None, Drawn::Nothing);
                }
            }
            _ => {
                let Some(service) = rule.service() else { return };
                let mut spans = self.spans.borrow_mut();
                let rules = spans.entry(service).or_default();
                rules.push(Rc::clone(rule));
                rules.sort_by_key(|rule| rule.index);
            }
        }
    }

    /// It is no longer active.
    pub fn closed(&self, rule: &Rc<Rule>) {
        let now = self.sched.now();
        for skew in self.clocks.borrow_mut().values_mut().flatten() {
            if skew.rule.index == rule.index && skew.until.is_none() {
                (skew.window, skew.until) = (rule.window(), Some(now));
            }
        }
        self.names.borrow_mut().retain(|(index, _)| *index != rule.index);
        for rules in self.spans.borrow_mut().values_mut() {
            rules.retain(|other| other.index != rule.index);
        }
    }

    /// By how much the clock of a replica is wrong at an instant: nanoseconds.
    pub fn skew(&self, resource: ResourceId, instant: Nanos) -> i64 {
        let clocks = self.clocks.borrow();
        let Some(clock) = clocks.get(&resource) else { return 0 };
        clock.iter().map(|skew| skew.at(instant)).fold(0, i64::saturating_add)
    }

    /// The clock of a replica is wrong from now on.
    fn set_clock(&self, rule: &Rc<Rule>, by: i64, origin: Origin) {
        let mut clocks = self.clocks.borrow_mut();
        let clock = clocks.entry(origin.resource).or_default();
        if clock.len() == REMEMBERED {
            clock.pop_front();
        }
        clock.push_back(Skew { rule: Rc::clone(rule), by, window: rule.window(), until: None });
    }

    /// The replicas that a rule strikes which has become active, by its target and its
    /// dice: each with all Resources that it has, of which deployments add some.
    fn struck(&self, rule: &Rule) -> Vec<Vec<Origin>> {
        let Some(target) = &rule.target else { return Vec::new() };
        let mut meant: BTreeMap<u32, Vec<Origin>> = BTreeMap::new();
        for origin in self.origins.values().filter(|origin| origin.service == target.service) {
            if target.replica.is_none_or(|wanted| wanted == origin.replica) {
                meant.entry(origin.replica).or_default().push(*origin);
            }
        }
        let dice = |replica| rule.dice_of_window().with_name("replica").with(u64::from(replica));
        meant.retain(|replica, _| rule.decides(dice(*replica)));
        meant.into_values().collect()
    }

    /// Notes that a fault has struck a replica, or a span of it.
    fn fired(&self, rule: &Rule, origin: Origin, span: Option<&SpanRecord>, drawn: Drawn) {
        let (service, replica, resource) = (origin.service, origin.replica, origin.resource);
        let now = self.sched.now();
        let firing = Firing::of_replica(rule, (service, replica, resource), rule.windows(), now, drawn);
        let Some(span) = span else { return self.ledger.fired(firing) };
        let spans = Spans { own: Some(span.span_id), ..Spans::default() };
        self.ledger.fired(Firing {
            route: self.route(service, span),
            trace: Some(span.trace_id),
            within: around(span),
            signs: spans.of(shown_by(&rule.kind, Way::Both)),
            ..firing
        });
    }

    /// What the service counts the route of a span as: its SERVER spans say so.
    fn route(&self, service: ServiceId, span: &SpanRecord) -> Option<u32> {
        let is_server = span.kind == SpanKind::Server;
        is_server.then(|| self.routes[service.index()].get(&*span.name).copied()).flatten()
    }

    /// Whether a rule strikes this span.
    fn strikes(&self, rule: &Rc<Rule>, span: &SpanRecord, origin: Origin) -> Option<Strike> {
        if !is_meant(rule, span) {
            return None;
        }
        let subject = Subject {
            service: origin.service,
            route: None,
            replica: Some(origin.replica),
            resource: Some(origin.resource),
            from: None,
            request: &Request::default(),
            params: &[],
            baggage: &Baggage::default(),
            json: Json::default(),
            attempt: 0,
            trace: span.trace_id,
            span: span.span_id,
            spans: Spans::default(),
            dice: self.dice(span.span_id),
        };
        rule.strike(&subject, self.sched.now())
    }

    fn dice(&self, span: SpanId) -> Key {
        self.key.with(span.0.get())
    }

    /// Lets the active rules strike a span: when it is to be kept, if at all.
    fn befall(&self, span: &mut SpanRecord, origin: Origin) -> Option<Nanos> {
        let mut due = self.sched.now();
        let spans = self.spans.borrow();
        for rule in spans.get(&origin.service).into_iter().flatten() {
            let Some(strike) = self.strikes(rule, span, origin) else { continue };
            match &rule.kind {
                FaultKind::LoseSpans => {
                    self.fired(rule, origin, Some(span), Drawn::Nothing);
                    return None;
                }
                FaultKind::LateSpans { .. } if self.late.borrow().len() >= HELD_BACK => {
                    rule.spare(Suppression::NoRoom);
                }
                FaultKind::LateSpans { by } => {
                    let by = by.sample(&mut strike.dice.stream());
                    due = due.saturating_add(by);
                    self.fired(rule, origin, Some(span), Drawn::Delay(by));
                }
                FaultKind::Cardinality { attribute, values } => {
                    let drawn = strike.dice.draw();
                    let drawn = values.map_or(drawn, |values| drawn % values);
                    spoil(&mut span.attributes, attribute, drawn);
                    self.fired(rule, origin, Some(span), Drawn::Number(drawn));
                }
                _ => {}
            }
        }
        Some(due)
    }

    /// The Resource that a record has: that of its replica, or the one that the latest
    /// fault gives it.
    fn resource(&self, own: ResourceId) -> ResourceId {
        let names = self.names.borrow();
        let latest = names.iter().rev().find(|(_, resource)| *resource == own);
        latest.and_then(|key| self.aliases.get(key)).copied().unwrap_or(own)
    }
}

impl Editor for Records {
    fn span(&self, mut span: SpanRecord, keep: &mut dyn FnMut(SpanRecord)) -> bool {
        let own = span.resource;
        let due = match self.origins.get(&own) {
            Some(origin) => self.befall(&mut span, *origin),
            None => Some(self.sched.now()),
        };
        if let Some(labels) = &self.labels {
            labels.put(&mut span);
        }
        let Some(due) = due else { return false };
        let skew = self.skew(own, span.start);
        if skew != 0 {
            shift(&mut span, skew);
        }
        span.resource = self.resource(own);
        if due > self.sched.now() {
            self.held.set(self.held.get() + 1);
            self.late.borrow_mut().insert((due, self.held.get()), span);
        } else {
            keep(span);
        }
        true
    }

    fn log(&self, mut log: LogRecord) -> LogRecord {
        log.time = log.time.saturating_add_signed(self.skew(log.resource, log.time));
        log.resource = self.resource(log.resource);
        log
    }

    fn release(&self, is_end: bool, keep: &mut dyn FnMut(SpanRecord)) {
        let now = self.sched.now();
        loop {
            let mut late = self.late.borrow_mut();
            let Some(first) = late.first_entry().filter(|first| is_end || first.key().0 <= now) else {
                return;
            };
            let span = first.remove();
            drop(late);
            keep(span);
        }
    }
}

/// The Resources that faults want besides those of the replicas, which `origins` has
/// by Resource: the fault's place in the model, that of the Resource, and the name
/// that it is to have instead.
pub fn aliases<'a>(model: &'a Model, origins: &[Option<(ServiceId, u32)>]) -> Vec<(usize, usize, &'a str)> {
    let mut aliases = Vec::new();
    for (index, fault) in model.faults.iter().enumerate() {
        let (FaultKind::WrongServiceName { name }, Some(target)) = (&fault.kind, &fault.target) else {
            continue;
        };
        let is_meant = |origin: &Option<(ServiceId, u32)>| {
            origin.is_some_and(|(service, replica)| {
                service == target.service && target.replica.is_none_or(|wanted| wanted == replica)
            })
        };
        let meant = origins.iter().enumerate().filter(|(_, origin)| is_meant(origin));
        aliases.extend(meant.map(|(at, _)| (index, at, name.as_str())));
    }
    aliases
}

/// The SERVER or CLIENT span that a span is, or lies in: one that a guest has made of its
/// own accord mostly lies in a SERVER span.
fn around(span: &SpanRecord) -> Option<SpanId> {
    match span.kind {
        SpanKind::Server | SpanKind::Client => Some(span.span_id),
        SpanKind::Internal | SpanKind::Producer | SpanKind::Consumer => span.parent,
    }
}

/// Whether a rule is for spans like this one. A route is that of a SERVER span, and
/// only such a span has what others say of a service.
fn is_meant(rule: &Rule, span: &SpanRecord) -> bool {
    let Some(target) = &rule.target else { return true };
    let is_server = span.kind == SpanKind::Server;
    let of_route = target.route.as_ref().is_none_or(|(route, _)| is_server && *span.name == **route);
    let of_name = target.span.as_ref().is_none_or(|name| *span.name == **name);
    let is_any = target.span.is_some() || !matches!(rule.kind, FaultKind::Cardinality { .. });
    of_route && of_name && (is_any || is_server)
}

/// Gives an attribute a value that it has only here, in place of the one that it has.
/// Of a text the value becomes the last part, as a path has it.
fn spoil(attributes: &mut Attributes, key: &str, drawn: u64) {
    let value = match attributes.get(key) {
        Some(Value::Text(before)) => format!("{}/{drawn:x}", before.trim_end_matches('/')),
        _ => format!("{drawn:x}"),
    };
    if attributes.get(key).is_some() {
        attributes.own = attributes.iter().filter(|attribute| *attribute.key != *key).cloned().collect();
        (attributes.shared, attributes.peer) = (None, None);
    }
    attributes.own.push(KeyValue::new(key.to_owned(), Text::Owned(value)));
}

/// Moves a span as a whole: a process measures how long something takes by a clock
/// that nobody sets.
fn shift(span: &mut SpanRecord, by: i64) {
    let moved = |time: u64| time.saturating_add_signed(by);
    (span.start, span.end) = (moved(span.start), moved(span.end));
    for event in &mut span.events {
        event.time = moved(event.time);
    }
}
