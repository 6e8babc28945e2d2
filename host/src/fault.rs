//! Faults: rules that change what happens to the requests that they match.
//!
//! Each rule answers a request with a [`Verdict`]; the bus carries it out.
//! Dice are keyed by the fault's name and the request's span, so that faults
//! are independent and adding one moves no other. Delay comes before an answer.
//! A fault that is disabled or has no chance is not even installed.

use std::cell::Cell;

use crate::model::{self, FaultKind, Model, Nanos, ServiceId};
use crate::rng::Key;

/// The faults of a run, by the service at which they strike.
#[derive(Debug)]
pub struct Faults {
    rules: Vec<Vec<Rule>>,
}

/// A request as a fault sees it: taken by a worker, not yet looked at.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub service: ServiceId,
    /// None from outside of the topology.
    pub from: Option<ServiceId>,
    /// The index of the guest's route, if one matched.
    pub route: Option<u32>,
    /// Names the dice: of the SERVER span, which each attempt of a call has another of.
    pub dice: Key,
}

/// What befalls a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Waited first.
    pub delay: Nanos,
    /// Answered then, instead of by the guest.
    pub status: Option<u16>,
}

/// What a fault did during a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub name: String,
    /// Requests that met the target.
    pub matched: u64,
    /// Of those, the ones that the dice chose.
    pub injected: u64,
}

#[derive(Debug)]
struct Rule {
    name: String,
    kind: FaultKind,
    route: Option<u32>,
    from: Option<ServiceId>,
    probability: f64,
    matched: Cell<u64>,
    injected: Cell<u64>,
}

impl Faults {
    /// Installs the model's faults. `route_of` finds a route's index by its text.
    pub fn new(model: &Model, route_of: impl Fn(ServiceId, &str) -> Option<u32>) -> Self {
        let mut rules: Vec<Vec<Rule>> = model.services.iter().map(|_| Vec::new()).collect();
        for fault in model.faults.iter().filter(|fault| fault.enabled && fault.probability > 0.0) {
            let model::Target { service, route, from } = &fault.target;
            rules[service.index()].push(Rule {
                name: fault.name.clone(),
                kind: fault.kind.clone(),
                route: route.as_ref().and_then(|(route, _)| route_of(*service, route)),
                from: *from,
                probability: fault.probability,
                matched: Cell::new(0),
                injected: Cell::new(0),
            });
        }
        Self { rules }
    }

    /// Rolls the dice for one request.
    pub fn judge(&self, arrival: Arrival) -> Verdict {
        let mut verdict = Verdict::default();
        for rule in &self.rules[arrival.service.index()] {
            rule.apply(arrival, &mut verdict);
        }
        verdict
    }

    /// What each installed fault did, in the order of the services.
    pub fn accounts(&self) -> Vec<Account> {
        let rules = self.rules.iter().flatten();
        rules
            .map(|rule| Account {
                name: rule.name.clone(),
                matched: rule.matched.get(),
                injected: rule.injected.get(),
            })
            .collect()
    }
}

impl Rule {
    fn apply(&self, arrival: Arrival, verdict: &mut Verdict) {
        let hit = self.route.is_none_or(|route| arrival.route == Some(route))
            && self.from.is_none_or(|from| arrival.from == Some(from));
        if !hit {
            return;
        }
        self.matched.set(self.matched.get() + 1);
        let dice = arrival.dice.with_name(&self.name);
        if dice.unit() >= self.probability {
            return;
        }
        match &self.kind {
            FaultKind::Latency { delay } => {
                let delay = delay.sample(&mut dice.with(1).stream());
                verdict.delay = verdict.delay.saturating_add(delay);
            }
            // Another fault answers already.
            FaultKind::Error { .. } if verdict.status.is_some() => return,
            FaultKind::Error { status } => verdict.status = Some(*status),
        }
        self.injected.set(self.injected.get() + 1);
    }
}
