//! What lies between two services: how long a message takes, how long a caller
//! waits, and what else it does about a callee that fails.
//!
//! The rules of the policies are here, each in a file of its own; the bus lets
//! calls go by them.

mod backoff;
mod breaker;
mod budget;
mod bulkhead;
mod window;

use std::cell::RefCell;
use std::rc::Rc;

use rustc_hash::FxHashMap;

use crate::model::{Distribution, Model, Nanos, Policies, ServiceId};
use crate::rng::Key;

pub use backoff::backoff;
pub use breaker::{Breaker, BreakerPermit, BreakerState, Refusal};
pub use budget::Budget;
pub use bulkhead::{Bulkhead, BulkheadEntry, BulkheadPermit};

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
    timeout: Option<Nanos>,
    guarded: Option<Guarded>,
}

/// A link with policies. Each calling replica is a process of its own: it knows
/// nothing of what the others have seen.
#[derive(Debug)]
struct Guarded {
    policies: Rc<Policies>,
    states: RefCell<FxHashMap<u32, Rc<ClientState>>>,
}

/// How one replica stands with a callee: what its policies remember.
#[derive(Debug)]
pub struct ClientState {
    pub policies: Rc<Policies>,
    /// The link's own timeout, of one attempt.
    pub timeout: Option<Nanos>,
    pub breaker: Option<RefCell<Breaker>>,
    pub budget: Option<RefCell<Budget>>,
    pub bulkhead: Option<Rc<Bulkhead>>,
}

impl Links {
    pub fn new(model: &Model) -> Self {
        let links = model.links.iter().map(|link| {
            let guarded = link
                .policies
                .clone()
                .map(|policies| Guarded { policies: Rc::new(policies), states: RefCell::default() });
            let between = Link { latency: link.latency.clone(), timeout: link.timeout, guarded };
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

    /// How this replica stands with the callee; none where no policy asks.
    /// `replica` is its number among all replicas of the run.
    pub fn client_state(&self, replica: u32) -> Option<Rc<ClientState>> {
        let guarded = self.guarded.as_ref()?;
        let mut states = guarded.states.borrow_mut();
        let fresh = || Rc::new(ClientState::new(&guarded.policies, self.timeout));
        Some(Rc::clone(states.entry(replica).or_insert_with(fresh)))
    }
}

impl ClientState {
    /// Nothing has happened yet.
    fn new(policies: &Rc<Policies>, timeout: Option<Nanos>) -> Self {
        // A new policy is sorted here: whether it remembers anything.
        let Policies { retry, breaker, bulkhead, hedge: _, fallback: _, deadline: _ } = &**policies;
        let budget = retry.as_ref().and_then(|retry| retry.budget);
        Self {
            timeout,
            breaker: breaker.clone().map(|breaker| RefCell::new(Breaker::new(breaker))),
            budget: budget.map(|budget| RefCell::new(Budget::new(budget))),
            bulkhead: bulkhead.map(Bulkhead::new),
            policies: Rc::clone(policies),
        }
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
