//! One fault, ready to strike: whom it matches, what its dice say, what it has done.

use std::cell::{Cell, RefCell};

use crate::model::{Chance, Condition, Fault, FaultKind, Nanos, ServiceId, Target, When};
use crate::rng::Key;

use super::Subject;
use super::ledger::{Account, Suppression};

/// A fault of the model and its state in this run.
#[derive(Debug)]
pub struct Rule {
    /// Its place in the model.
    pub index: usize,
    pub name: String,
    pub kind: FaultKind,
    pub target: Option<Target>,
    pub conditions: Vec<Condition>,
    pub when: When,
    pub chance: RefCell<Chance>,
    enabled: bool,
    route: Option<u32>,
    active: Cell<bool>,
    matched: Cell<u64>,
    injected: Cell<u64>,
    suppressed: RefCell<[u64; Suppression::ALL.len()]>,
}

/// A rule has struck a request.
#[derive(Clone, Copy, Debug)]
pub struct Strike {
    /// For what the fault draws beyond whether it strikes.
    pub dice: Key,
    /// From 0 to 1: how far the fault has grown in.
    pub strength: f64,
}

impl Rule {
    pub fn new(index: usize, fault: &Fault, route_of: impl Fn(ServiceId, &str) -> Option<u32>) -> Self {
        let route = fault.target.as_ref().and_then(|target| {
            let (route, _) = target.route.as_ref()?;
            route_of(target.service, route)
        });
        Self {
            index,
            name: fault.name.clone(),
            kind: fault.kind.clone(),
            target: fault.target.clone(),
            conditions: fault.conditions.clone(),
            when: fault.when.clone(),
            chance: RefCell::new(fault.chance.clone()),
            enabled: fault.enabled,
            route,
            active: Cell::new(false),
            matched: Cell::new(0),
            injected: Cell::new(0),
            suppressed: RefCell::default(),
        }
    }

    /// Whether it can strike at all: it is enabled and has a chance.
    pub fn is_possible(&self) -> bool {
        self.enabled && self.chance.borrow().probability > 0.0
    }

    pub const fn is_active(&self) -> bool {
        self.active.get()
    }

    pub fn set_active(&self, active: bool) {
        self.active.set(active);
    }

    /// The service that is called, or whose replicas or spans are meant.
    pub fn service(&self) -> Option<ServiceId> {
        self.target.as_ref().map(|target| target.service)
    }

    /// Whether requests that meet `route` may be struck.
    pub fn is_for_route(&self, route: Option<u32>) -> bool {
        self.target
            .as_ref()
            .is_none_or(|target| target.route.is_none() || route.is_some() && self.route == route)
    }

    /// Looks at a request, and decides. The route is looked at by who made the lists.
    pub fn strike(&self, subject: &Subject<'_>, _now: Nanos) -> Option<Strike> {
        if !self.meets(subject) {
            return None;
        }
        self.matched.set(self.matched.get() + 1);
        let dice = subject.dice.with_name(&self.name);
        if dice.unit() >= self.chance.borrow().probability {
            self.suppress(Suppression::Probability);
            return None;
        }
        self.injected.set(self.injected.get() + 1);
        Some(Strike { dice: dice.with(1), strength: 1.0 })
    }

    /// It has struck, and another fault has been before it: nothing comes of it.
    pub fn overridden(&self) {
        self.injected.set(self.injected.get() - 1);
        self.suppress(Suppression::Overridden);
    }

    fn meets(&self, subject: &Subject<'_>) -> bool {
        let Some(target) = &self.target else { return true };
        let from = subject.from.map(|(service, _)| service);
        let from_replica = subject.from.map(|(_, replica)| replica);
        target.from.is_none_or(|wanted| from == Some(wanted))
            && target.from_replica.is_none_or(|wanted| from_replica == Some(wanted))
            && target.replica.is_none_or(|wanted| subject.replica == Some(wanted))
    }

    fn suppress(&self, why: Suppression) {
        self.suppressed.borrow_mut()[why as usize] += 1;
    }

    /// What it has done so far.
    pub fn account(&self) -> Account {
        Account {
            name: self.name.clone(),
            matched: self.matched.get(),
            injected: self.injected.get(),
            suppressed: *self.suppressed.borrow(),
        }
    }
}
