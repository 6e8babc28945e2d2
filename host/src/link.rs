//! What lies between two services: how long a message takes, and how long a
//! caller waits.

use rustc_hash::FxHashMap;

use crate::model::{Distribution, Model, Nanos, ServiceId};
use crate::rng::Key;

/// One of the two ways over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Leg {
    Request = 0,
    Response = 1,
}

/// The links of a run.
#[derive(Debug)]
pub struct Links {
    latency: Distribution,
    links: FxHashMap<(ServiceId, ServiceId), Link>,
}

#[derive(Debug)]
struct Link {
    latency: Option<Distribution>,
    timeout: Option<Nanos>,
}

impl Links {
    pub fn new(model: &Model) -> Self {
        let links = model.links.iter().map(|link| {
            let between = Link { latency: link.latency.clone(), timeout: link.timeout };
            ((link.from, link.to), between)
        });
        Self { latency: model.latency.clone(), links: links.collect() }
    }

    /// How long one leg of a call takes; `chance` is the CLIENT span's.
    pub fn latency(&self, from: ServiceId, to: ServiceId, chance: Key, leg: Leg) -> Nanos {
        let own = self.links.get(&(from, to)).and_then(|link| link.latency.as_ref());
        draw(own.unwrap_or(&self.latency), chance, leg)
    }

    /// Likewise towards a real server: what the network takes is real already,
    /// so only a link that says so adds to it.
    pub fn extra_latency(&self, from: ServiceId, to: ServiceId, chance: Key, leg: Leg) -> Nanos {
        let own = self.links.get(&(from, to)).and_then(|link| link.latency.as_ref());
        own.map_or(0, |latency| draw(latency, chance, leg))
    }

    /// How long the caller waits for a response: what it asks for and what the
    /// link says, whichever is shorter.
    pub fn timeout(&self, from: ServiceId, to: ServiceId, asked: Option<Nanos>) -> Option<Nanos> {
        let own = self.links.get(&(from, to)).and_then(|link| link.timeout);
        match (asked, own) {
            (Some(asked), Some(own)) => Some(asked.min(own)),
            (asked, own) => asked.or(own),
        }
    }
}

fn draw(latency: &Distribution, chance: Key, leg: Leg) -> Nanos {
    match latency {
        Distribution::Fixed(nanos) => *nanos,
        random => random.sample(&mut chance.with(leg as u64).stream()),
    }
}
