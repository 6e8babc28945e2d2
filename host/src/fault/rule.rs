//! One fault, ready to strike: whom it matches, what it draws, what it has done.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::model::{
    Chance, Condition, Fault, FaultKind, Grows, Nanos, Schedule, ServiceId, Target, TopicTarget, When,
};
use crate::rng::Key;

use super::account::{Account, Suppression};
use super::candidate::Candidate;
use super::chance::{self, Count, Held};
use super::schedule::Window;

/// A fault of the model and its state in this run.
#[derive(Debug)]
pub struct Rule {
    /// Its place in the model.
    pub index: usize,
    pub name: Rc<str>,
    pub kind: &'static FaultKind,
    pub target: Option<Target>,
    /// The database that it strikes: an index into [`Model::databases`](crate::model::Model::databases).
    pub database: Option<usize>,
    /// The cache that it strikes: an index into [`Model::caches`](crate::model::Model::caches).
    pub cache: Option<usize>,
    /// The topic that it strikes, and what of it.
    pub topic: Option<TopicTarget>,
    pub conditions: Vec<Condition>,
    pub when: When,
    pub chance: RefCell<Chance>,
    /// Names what is drawn for the fault itself, whatever requests come.
    pub key: Key,
    /// What it may match, as an account says it.
    of: &'static str,
    enabled: bool,
    route: Option<u32>,
    active: Cell<bool>,
    window: Cell<Window>,
    windows: Cell<u64>,
    pub(super) count: Rc<Count>,
}

/// A rule has struck a request.
#[derive(Debug)]
pub struct Strike {
    /// For what the fault draws beyond whether it strikes.
    pub key: Key,
    /// From 0 to 1: how far the fault has grown in. It is for kinds that grow by their
    /// [magnitude](Grows::Magnitude); others strike less often.
    pub strength: f64,
    /// The number of the window in which it has.
    pub window: u64,
    /// Keep it as long as the request is under way; none where nobody counts these.
    pub held: Option<Held>,
}

impl Strike {
    /// A length of time, as much shorter as the fault is weaker than at its full strength.
    pub fn scale(&self, nanos: Nanos) -> Nanos {
        if self.strength < 1.0 { (nanos as f64 * self.strength) as Nanos } else { nanos }
    }
}

impl Rule {
    /// `key` names the run's faults; `route_of` finds a route's index by its text.
    pub fn new(
        index: usize,
        fault: &Fault,
        key: Key,
        route_of: impl Fn(ServiceId, &str) -> Option<u32>,
    ) -> Self {
        let route = fault.target.as_ref().and_then(|target| {
            let (route, _) = target.route.as_ref()?;
            route_of(target.service, route)
        });
        Self {
            index,
            name: fault.name.as_str().into(),
            kind: fault.kind,
            target: fault.target.clone(),
            database: fault.database(),
            cache: fault.cache(),
            topic: fault.topic().cloned(),
            conditions: fault.conditions.clone(),
            when: fault.when.clone(),
            chance: RefCell::new(fault.chance.clone()),
            key: key.with_name(&fault.name),
            of: fault.effect.matches(),
            enabled: fault.enabled,
            route,
            active: Cell::new(false),
            window: Cell::new(Window { opens: 0, closes: None }),
            windows: Cell::new(0),
            count: Rc::default(),
        }
    }

    /// Whether its schedule counts; it may be switched on by hand in any case.
    pub const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether it strikes anything at all while it is active.
    pub fn has_chance(&self) -> bool {
        self.probability() > 0.0
    }

    /// From 0 to 1, as the topology has it, or a change by hand.
    pub fn probability(&self) -> f64 {
        self.chance.borrow().probability
    }

    /// The probability with which a request is struck at an instant: what has not grown in
    /// yet strikes less often, unless it does less.
    pub fn probability_at(&self, now: Nanos) -> f64 {
        let strength = match self.kind.grows {
            Grows::Magnitude => 1.0,
            Grows::Frequency | Grows::Never => self.strength(now),
        };
        self.probability() * strength
    }

    /// Of those that match, this share is struck from now on.
    pub fn set_probability(&self, probability: f64) {
        self.chance.borrow_mut().probability = probability;
    }

    /// Whether its windows follow those of `other`.
    pub fn follows(&self, other: &Self) -> bool {
        self.enabled && matches!(self.when.schedule, Schedule::After { fault, .. } if fault == other.index)
    }

    pub const fn is_active(&self) -> bool {
        self.active.get()
    }

    /// The window in which it is active, or was the last time.
    pub const fn window(&self) -> Window {
        self.window.get()
    }

    /// How often it has become active: the number of the window, from 1.
    pub const fn windows(&self) -> u64 {
        self.windows.get()
    }

    /// For what the fault draws once in each window.
    pub const fn window_key(&self) -> Key {
        self.key.with(self.windows.get())
    }

    /// How far it has grown in, from 0 to 1.
    pub fn strength(&self, now: Nanos) -> f64 {
        self.window.get().strength(now, self.when.ramp)
    }

    pub(super) fn open(&self, window: Window) {
        self.active.set(true);
        self.windows.set(self.windows.get() + 1);
        self.count.begin();
        self.set_window(window);
    }

    /// It is active as before, and for longer or shorter than was known.
    pub(super) fn set_window(&self, window: Window) {
        self.window.set(window);
    }

    pub(super) fn close(&self) {
        self.active.set(false);
    }

    /// The service that is called, or whose replicas or spans are meant.
    pub fn service(&self) -> Option<ServiceId> {
        self.target.as_ref().map(|target| target.service)
    }

    /// The index of the route that it is for, if it is for one alone.
    pub const fn route(&self) -> Option<u32> {
        self.route
    }

    /// Whether requests that meet `route` may be struck.
    pub fn is_for_route(&self, route: Option<u32>) -> bool {
        self.target
            .as_ref()
            .is_none_or(|target| target.route.is_none() || route.is_some() && self.route == route)
    }

    /// Whether it looks into the messages that it may strike.
    pub fn looks_into(&self) -> bool {
        !self.conditions.is_empty() || self.chance.borrow().by_caller
    }

    /// Looks at a request, and decides. The caller has filtered by route already.
    pub fn strike(self: &Rc<Self>, candidate: &Candidate<'_>, now: Nanos) -> Option<Strike> {
        if !self.meets(candidate) {
            return None;
        }
        self.count.matched.set(self.count.matched.get() + 1);
        let key = candidate.key.with_name(&self.name);
        let (chance, probability) = (self.chance.borrow(), self.probability_at(now));
        let held = chance::decide((&self.name, &chance, &self.count), candidate, key, probability).ok()?;
        self.count.injected.set(self.count.injected.get() + 1);
        let (strength, window) = (self.strength(now), self.windows.get());
        Some(Strike { key: key.with(1), strength, window, held })
    }

    /// It has struck, and another fault has been before it: nothing comes of it.
    pub fn overridden(&self) {
        self.spare(Suppression::Overridden);
    }

    /// It has struck, and nothing has come of it.
    pub(super) fn spare(&self, why: Suppression) {
        self.count.injected.set(self.count.injected.get() - 1);
        self.count.suppress(why);
    }

    /// Decides by its probability alone, with a draw of this key, whether it strikes what no
    /// request asks it for.
    pub fn decides(&self, key: Key) -> bool {
        let strikes = !self.spares(key, self.probability());
        if strikes {
            self.acted();
        }
        strikes
    }

    /// Whether a draw with this probability spares what the rule matches.
    /// One that is spared is counted.
    pub fn spares(&self, key: Key, probability: f64) -> bool {
        let is_spared = self.count.draw(key, probability).is_err();
        if is_spared {
            self.count.matched.set(self.count.matched.get() + 1);
        }
        is_spared
    }

    /// It has done something that no request has asked it for.
    pub fn acted(&self) {
        self.count.matched.set(self.count.matched.get() + 1);
        self.count.injected.set(self.count.injected.get() + 1);
    }

    /// It has ended the process of a replica. Whom that strikes is counted apart.
    pub fn has_killed(&self) {
        self.count.deaths.set(self.count.deaths.get() + 1);
    }

    /// Whether it matches a request, whose route is one of its own.
    pub fn meets(&self, candidate: &Candidate<'_>) -> bool {
        self.is_target(candidate) && self.conditions.iter().all(|condition| condition.holds(candidate))
    }

    fn is_target(&self, candidate: &Candidate<'_>) -> bool {
        let Some(target) = &self.target else { return true };
        let from = candidate.from.map(|(service, _)| service);
        let from_replica = candidate.from.map(|(_, replica)| replica);
        target.from.is_none_or(|wanted| from == Some(wanted))
            && target.from_replica.is_none_or(|wanted| from_replica == Some(wanted))
            && target.replica.is_none_or(|wanted| candidate.replica == Some(wanted))
    }

    /// What it has done so far; none of a fault that was never there: one that is
    /// disabled or without a chance, and was never switched on.
    pub fn account(&self) -> Option<Account> {
        let was_there = self.enabled && self.has_chance() || self.windows.get() > 0;
        was_there.then(|| self.counts())
    }

    /// What it has done so far.
    pub fn counts(&self) -> Account {
        Account {
            name: self.name.to_string(),
            of: self.of,
            matched: self.count.matched.get(),
            injected: self.count.injected.get(),
            suppressed: self.count.suppressed(),
            windows: self.windows.get(),
            deaths: self.count.deaths.get(),
            luck: self.count.luck(),
        }
    }
}
