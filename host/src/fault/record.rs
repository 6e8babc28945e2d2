//! Faults of records: what a process says of itself is late, lost, or wrong. The
//! world goes on as it would; only who looks at its traces is misled.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::context::{Baggage, SpanId};
use crate::message::Request;
use crate::model::{Effect, Model, Nanos, RecordFault, ServiceId};
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::telemetry::record::{
    Attributes, KeyValue, LogRecord, MetricRecord, ResourceId, SpanKind, SpanRecord, Text, Value,
};
use crate::telemetry::recorder::Editor;

use super::account::Suppression;
use super::candidate::{Candidate, Json};
use super::clocks::Clocks;
use super::event::{Drawn, Firing};
use super::labels::Labels;
use super::ledger::Ledger;
use super::rule::{Rule, Strike};
use super::signs::{Side, Spans};

/// Spans that are held back, at most: one more is not late.
const HELD_BACK: usize = 65_536;

/// A replica, as its records name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub service: ServiceId,
    pub replica: u32,
    pub resource: ResourceId,
}

/// A rule that strikes spans, and what it does.
type SpanRule = (Rc<Rule>, RecordFault);

/// The faults of records, and what they hold back.
pub struct Records {
    sched: Sched,
    ledger: Rc<Ledger>,
    /// Names what is drawn for spans, by their ids.
    key: Key,
    labels: Option<Rc<Labels>>,
    /// The routes of each service, by the names that SERVER spans have.
    routes: Box<[FxHashMap<Arc<str>, u32>]>,
    origins: BTreeMap<ResourceId, Origin>,
    /// Under which Resource a fault has the records of another.
    aliases: FxHashMap<(usize, ResourceId), ResourceId>,
    /// Active ones that strike spans, by service.
    spans: RefCell<BTreeMap<ServiceId, Vec<SpanRule>>>,
    /// Active ones that rename replicas, in the order in which they became so.
    names: RefCell<Vec<(usize, ResourceId)>>,
    clocks: Clocks,
    late: RefCell<BTreeMap<(Nanos, u64), SpanRecord>>,
    held: Cell<u64>,
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
        let is_meant = model.faults.iter().any(|fault| matches!(fault.effect, Effect::Record(_)));
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
            clocks: Clocks::default(),
            late: RefCell::default(),
            held: Cell::new(0),
        }))
    }

    /// A rule that concerns records has become active.
    pub fn opened(&self, rule: &Rc<Rule>, fault: &RecordFault) {
        match *fault {
            RecordFault::ClockSkew { by } => {
                for replica in self.struck(rule) {
                    for origin in &replica {
                        self.clocks.set(rule, by, origin.resource);
                    }
                    self.ledger.fired(self.firing(rule, replica[0], Drawn::Shift(by)));
                }
            }
            RecordFault::WrongServiceName { .. } => {
                for replica in self.struck(rule) {
                    let names = replica.iter().map(|origin| (rule.index, origin.resource));
                    self.names.borrow_mut().extend(names);
                    self.ledger.fired(self.firing(rule, replica[0], Drawn::Nothing));
                }
            }
            RecordFault::LoseSpans | RecordFault::LateSpans { .. } | RecordFault::Cardinality { .. } => {
                let Some(service) = rule.service() else { return };
                let mut spans = self.spans.borrow_mut();
                let rules = spans.entry(service).or_default();
                rules.push((Rc::clone(rule), fault.clone()));
                rules.sort_by_key(|(rule, _)| rule.index);
            }
        }
    }

    /// It is no longer active.
    pub fn closed(&self, rule: &Rc<Rule>) {
        self.clocks.closed(rule, self.sched.now());
        self.names.borrow_mut().retain(|(index, _)| *index != rule.index);
        for rules in self.spans.borrow_mut().values_mut() {
            rules.retain(|(other, _)| other.index != rule.index);
        }
    }

    /// By how much the clock of a replica is wrong at an instant: nanoseconds.
    pub fn skew(&self, resource: ResourceId, instant: Nanos) -> i64 {
        self.clocks.skew(resource, instant)
    }

    /// The replicas that a rule strikes which has become active, by its target and its
    /// probability: each with all Resources that it has, of which deployments add some.
    fn struck(&self, rule: &Rule) -> Vec<Vec<Origin>> {
        let Some(target) = &rule.target else { return Vec::new() };
        let mut meant: BTreeMap<u32, Vec<Origin>> = BTreeMap::new();
        for origin in self.origins.values().filter(|origin| origin.service == target.service) {
            if target.replica.is_none_or(|wanted| wanted == origin.replica) {
                meant.entry(origin.replica).or_default().push(*origin);
            }
        }
        let key = |replica| rule.window_key().with_name("replica").with(u64::from(replica));
        meant.retain(|replica, _| rule.decides(key(*replica)));
        meant.into_values().collect()
    }

    /// What a fault has done to a replica.
    fn firing(&self, rule: &Rule, origin: Origin, drawn: Drawn) -> Firing {
        let replica = (origin.service, origin.replica, origin.resource);
        Firing::of_replica(rule, replica, rule.windows(), self.sched.now(), drawn)
    }

    /// Notes that a fault has struck a span of a replica.
    fn struck_span(&self, (rule, fault): &SpanRule, origin: Origin, span: &SpanRecord, drawn: Drawn) {
        let spans = Spans { own: Some(span.span_id), ..Spans::default() };
        let firing = Firing {
            route: self.route(origin.service, span),
            trace: Some(span.trace_id),
            within: around(span),
            ..self.firing(rule, origin, drawn)
        };
        self.ledger.fired(firing.shown_by(spans, fault.signs()));
    }

    /// What the service counts the route of a span as: its SERVER spans say so.
    fn route(&self, service: ServiceId, span: &SpanRecord) -> Option<u32> {
        let is_server = span.kind == SpanKind::Server;
        is_server.then(|| self.routes[service.index()].get(&*span.name).copied()).flatten()
    }

    /// Whether a rule strikes this span.
    fn strikes(
        &self,
        rule: &Rc<Rule>,
        fault: &RecordFault,
        span: &SpanRecord,
        origin: Origin,
    ) -> Option<Strike> {
        if !is_meant(rule, fault, span) {
            return None;
        }
        let candidate = Candidate {
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
            key: self.key_of(span.span_id),
        };
        rule.strike(&candidate, self.sched.now())
    }

    fn key_of(&self, span: SpanId) -> Key {
        self.key.with(span.0.get())
    }

    /// Lets the active rules strike a span: when it is to be kept, if at all.
    fn strike(&self, span: &mut SpanRecord, origin: Origin) -> Option<Nanos> {
        let mut due = self.sched.now();
        let spans = self.spans.borrow();
        for struck in spans.get(&origin.service).into_iter().flatten() {
            let (rule, fault) = struck;
            let Some(strike) = self.strikes(rule, fault, span, origin) else { continue };
            match fault {
                RecordFault::LoseSpans => {
                    self.struck_span(struck, origin, span, Drawn::Nothing);
                    return None;
                }
                RecordFault::LateSpans { .. } if self.late.borrow().len() >= HELD_BACK => {
                    rule.spare(Suppression::NoRoom);
                }
                RecordFault::LateSpans { by } => {
                    let by = by.sample(&mut strike.key.stream());
                    due = due.saturating_add(by);
                    self.struck_span(struck, origin, span, Drawn::Delay(by));
                }
                RecordFault::Cardinality { attribute, values } => {
                    let drawn = strike.key.draw();
                    let drawn = values.map_or(drawn, |values| drawn % values);
                    spoil(&mut span.attributes, attribute, drawn);
                    self.struck_span(struck, origin, span, Drawn::Number(drawn));
                }
                // These strike replicas, and no span by itself.
                RecordFault::ClockSkew { .. } | RecordFault::WrongServiceName { .. } => {}
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
            Some(origin) => self.strike(&mut span, *origin),
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

    fn metric(&self, mut metric: MetricRecord) -> MetricRecord {
        let own = metric.resource;
        let shift = |instant: &mut u64| *instant = instant.saturating_add_signed(self.skew(own, *instant));
        shift(&mut metric.start);
        shift(&mut metric.time);
        metric.points.exemplars().for_each(|exemplar| shift(&mut exemplar.time));
        metric.resource = self.resource(own);
        metric
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

impl RecordFault {
    /// Whether it can make any request end otherwise, or later: guests look at their clocks.
    pub(super) const fn may_change_requests(&self) -> bool {
        match self {
            Self::ClockSkew { .. } => true,
            Self::LoseSpans
            | Self::LateSpans { .. }
            | Self::WrongServiceName { .. }
            | Self::Cardinality { .. } => false,
        }
    }

    /// The spans that show it, the best first.
    pub(super) const fn signs(&self) -> &'static [Side] {
        match self {
            Self::LateSpans { .. } | Self::Cardinality { .. } => &[Side::Own],
            Self::ClockSkew { .. } | Self::LoseSpans | Self::WrongServiceName { .. } => &[],
        }
    }
}

/// The Resources that faults want besides those of the replicas, which `origins` has
/// by Resource: the fault's place in the model, that of the Resource, and the name
/// that it is to have instead.
pub fn aliases<'a>(model: &'a Model, origins: &[Option<(ServiceId, u32)>]) -> Vec<(usize, usize, &'a str)> {
    let mut aliases = Vec::new();
    for (index, fault) in model.faults.iter().enumerate() {
        let (Effect::Record(RecordFault::WrongServiceName { name }), Some(target)) =
            (&fault.effect, &fault.target)
        else {
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
fn is_meant(rule: &Rule, fault: &RecordFault, span: &SpanRecord) -> bool {
    let Some(target) = &rule.target else { return true };
    let is_server = span.kind == SpanKind::Server;
    let of_route = target.route.as_ref().is_none_or(|(route, _)| is_server && *span.name == **route);
    let of_name = target.span.as_ref().is_none_or(|(name, _)| *span.name == **name);
    let is_any = target.span.is_some() || !matches!(fault, RecordFault::Cardinality { .. });
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
