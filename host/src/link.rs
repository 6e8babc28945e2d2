//! What lies between two services: how long a message takes, how long a caller
//! waits, and which policies its calls go by.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::model::{Distribution, Model, Nanos, Policies, ServiceId};
use crate::rng::Key;

/// One of the two ways over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Leg {
    Request = 0,
    Response = 1,
}

/// Tells the draw of [`Links::slack`] from those of the two legs.
const SLACK: u64 = 2;

/// The links of a run.
#[derive(Debug)]
pub struct Links {
    latency: Distribution,
    slack: Distribution,
    links: FxHashMap<(ServiceId, ServiceId), Link>,
}

/// What the topology says of two services.
#[derive(Debug)]
pub struct Link {
    latency: Option<Distribution>,
    /// Of one attempt.
    pub timeout: Option<Nanos>,
    /// Shared with what each calling replica remembers for them.
    pub policies: Option<Rc<Policies>>,
}

impl Links {
    pub fn new(model: &Model) -> Self {
        let links = model.links.iter().map(|link| {
            let policies = link.policies.clone().map(Rc::new);
            let between = Link { latency: link.latency.clone(), timeout: link.timeout, policies };
            ((link.from, link.to), between)
        });
        Self { latency: model.latency.clone(), slack: model.timer_slack.clone(), links: links.collect() }
    }

    /// What the topology says of these two services, if it does.
    pub fn between(&self, from: ServiceId, to: ServiceId) -> Option<&Link> {
        self.links.get(&(from, to))
    }

    /// How late a caller notices that its patience is over; `chance` is the CLIENT span's.
    pub fn slack(&self, chance: Key) -> Nanos {
        self.slack.sample(&mut chance.with(SLACK).stream())
    }

    /// How long one leg of a call takes over this link, or where the topology has none; `chance` is the
    /// CLIENT span's.
    pub fn latency(&self, link: Option<&Link>, chance: Key, leg: Leg) -> Nanos {
        let own = link.and_then(|link| link.latency.as_ref());
        draw(own.unwrap_or(&self.latency), chance, leg)
    }
}

impl Link {
    /// What one leg of a call to a real server takes longer, whose network takes real time already; `chance`
    /// is the CLIENT span's.
    pub fn extra_latency(&self, chance: Key, leg: Leg) -> Nanos {
        self.latency.as_ref().map_or(0, |latency| draw(latency, chance, leg))
    }

    /// How long the caller waits for a response: what it asks for and what the
    /// link says, whichever is shorter.
    pub fn patience(&self, asked: Option<Nanos>) -> Option<Nanos> {
        shorter(asked, self.timeout)
    }
}

/// The shorter of two times, of which there may be none.
pub fn shorter(one: Option<Nanos>, other: Option<Nanos>) -> Option<Nanos> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn draw(latency: &Distribution, chance: Key, leg: Leg) -> Nanos {
    match latency {
        Distribution::Fixed(nanos) => *nanos,
        random => random.sample(&mut chance.with(leg as u64).stream()),
    }
}
