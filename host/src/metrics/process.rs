//! The metrics of one process: of a replica, or of a load with spans of its own.

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::catalogue::Own;
use super::collecting::{Collecting, Counter};
use super::guest::GuestInstruments;
use super::histogram::{Histogram, Shape};
use super::jobs::Jobs;
use super::life::{Change, Life};
use super::messages::{Messages, PROCESSED, SENT};
use super::operations::Operations;
use super::pools::Pools;
use super::requests::{CLIENT, Requests, SERVER};
use super::value::{Measured, seconds};

/// Methods that are told apart: the known ones, and one for all others.
pub const METHODS: usize = 11;

/// What a replica is like at the instant of a collection.
#[derive(Clone, Copy, Debug, Default)]
pub struct Observed {
    /// Requests in its queue.
    pub waiting: u64,
    /// Workers that exist, and those that have a request.
    pub workers: u64,
    pub busy: u64,
    /// Bytes of its workers' memories.
    pub memory: u64,
}

/// What the policies of a link did: how much is to be added.
#[derive(Clone, Copy, Debug, Default)]
pub struct PolicyCounts {
    pub retries: u64,
    pub withheld: u64,
    pub opened: u64,
    pub fallbacks: u64,
}

/// The states of a circuit breaker, by number.
pub const BREAKER_STATES: usize = 3;

/// What is kept for a process.
#[derive(Debug)]
pub struct ProcessMetrics {
    life: Life,
    /// How many processes there were here before.
    number: u32,
    /// When it was collected last, if it was.
    collected: Option<Nanos>,
    restarts: u64,
    pub served: Requests,
    pub sent: Requests,
    /// None before the first.
    operations: Option<Box<Operations>>,
    pools: Option<Box<Pools>>,
    /// What it has sent, and what it has processed; none before the first.
    messages: Option<Box<[Messages; 2]>>,
    jobs: Option<Box<Jobs>>,
    /// Requests that its workers have, by method; none before the first.
    active: Option<Box<[Active; METHODS]>>,
    waits: Option<Box<Histogram>>,
    /// In the order in which the callees came.
    policies: Vec<Policies>,
    computed: Option<Box<Counter>>,
    pub guest: GuestInstruments,
}

/// The requests of one method, and their attributes once there were any.
#[derive(Clone, Debug, Default)]
struct Active {
    count: i64,
    attributes: Option<Arc<[KeyValue]>>,
}

/// The policies of a link to one callee.
#[derive(Debug)]
struct Policies {
    callee: u32,
    attributes: Arc<[KeyValue]>,
    /// Retries, withheld, opened, fallbacks.
    counts: [Counter; 4],
    /// The breaker's state, and the attributes of each; none without a breaker.
    breaker: Option<(usize, [Arc<[KeyValue]>; BREAKER_STATES])>,
}

impl ProcessMetrics {
    /// Nothing counted yet.
    pub fn new(life: Life) -> Self {
        Self {
            life,
            number: 0,
            collected: None,
            restarts: 0,
            served: Requests::default(),
            sent: Requests::default(),
            operations: None,
            pools: None,
            messages: None,
            jobs: None,
            active: None,
            waits: None,
            policies: Vec::new(),
            computed: None,
            guest: GuestInstruments::default(),
        }
    }

    /// How many processes there were here before the one that is there, or comes up.
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// What it is at an instant.
    pub const fn life(&self, now: Nanos) -> Life {
        self.life.at(now)
    }

    /// Something happens to it at this instant. With another process all is lost that was counted.
    pub fn change(&mut self, change: Change, now: Nanos) {
        let (before, after) = (self.life.at(now), self.life.after(change, now));
        if after == before || before.since().is_some() && after.since() == before.since() {
            self.life = after;
            return;
        }
        let restarts = match (before, after) {
            (Life::Up(_), Life::Down(_)) => self.restarts + 1,
            (Life::Down(_), Life::Down(_)) => self.restarts,
            _ => 0,
        };
        *self = Self { number: self.number + 1, restarts, ..Self::new(after) };
    }

    /// What it has asked of databases and caches.
    pub fn operations_mut(&mut self) -> &mut Operations {
        self.operations.get_or_insert_default()
    }

    /// Its connections to databases.
    pub fn pools_mut(&mut self) -> &mut Pools {
        self.pools.get_or_insert_default()
    }

    /// The messages that it has sent, and those that it has processed.
    pub fn messages_mut(&mut self) -> &mut [Messages; 2] {
        self.messages.get_or_insert_default()
    }

    /// The jobs that have run in it.
    pub fn jobs_mut(&mut self) -> &mut Jobs {
        self.jobs.get_or_insert_default()
    }

    /// A worker has a request.
    pub fn began(&mut self, method: u8, attributes: impl FnOnce() -> Arc<[KeyValue]>) {
        let active = &mut self.active.get_or_insert_default()[usize::from(method)];
        active.count += 1;
        active.attributes.get_or_insert_with(attributes);
    }

    /// A worker no longer has a request, and has computed for it.
    pub fn ended(&mut self, method: u8, computed: Nanos) {
        if let Some(active) = &mut self.active {
            active[usize::from(method)].count -= 1;
        }
        self.computed(computed);
    }

    /// It has computed this long: nanoseconds of processor time.
    pub fn computed(&mut self, computed: Nanos) {
        if computed > 0 {
            let computed = Measured::Time(computed);
            self.computed.get_or_insert_with(|| Box::new(Counter::new(computed))).add(computed);
        }
    }

    /// A request has waited for a worker.
    pub fn waited(&mut self, shape: Shape, wait: Nanos) {
        let (wait, bounds) = (Measured::Time(wait), Own::QueueWait.bounds());
        let waits = self.waits.get_or_insert_with(|| Box::new(Histogram::new(shape, bounds, wait)));
        waits.record(wait, bounds, None);
    }

    /// The policies of the link to `callee` did something. `attributes` are the callee's.
    pub fn policies(
        &mut self,
        callee: u32,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        counts: PolicyCounts,
    ) {
        let PolicyCounts { retries, withheld, opened, fallbacks } = counts;
        let policies = self.link(callee, attributes);
        for (counter, count) in policies.counts.iter_mut().zip([retries, withheld, opened, fallbacks]) {
            counter.add(Measured::Whole(count as i64));
        }
    }

    /// The breaker of the link to `callee` is in this state; `states` gives the attributes of each state.
    pub fn breaker(
        &mut self,
        callee: u32,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        state: usize,
        states: impl FnOnce(&[KeyValue]) -> [Arc<[KeyValue]>; BREAKER_STATES],
    ) {
        let Policies { attributes, breaker, .. } = self.link(callee, attributes);
        breaker.get_or_insert_with(|| (state, states(attributes))).0 = state;
    }

    fn link(&mut self, callee: u32, attributes: impl FnOnce() -> Arc<[KeyValue]>) -> &mut Policies {
        let known = self.policies.iter().position(|policies| policies.callee == callee);
        let at = known.unwrap_or_else(|| {
            let counts = [(); 4].map(|()| Counter::new(Measured::Whole(0)));
            self.policies.push(Policies { callee, attributes: attributes(), counts, breaker: None });
            self.policies.len() - 1
        });
        &mut self.policies[at]
    }

    /// Since when it is there, and when it was collected last, or came up; none where nobody is there.
    pub fn interval(&self, now: Nanos) -> Option<(Nanos, Nanos)> {
        let start = self.life.at(now).since()?;
        Some((start, self.collected.unwrap_or(start)))
    }

    /// Its records have left: another interval begins at this instant, and a process that is replaced and
    /// done ends. `observed` is what its replica is like, if it is one.
    pub fn collected(&mut self, observed: Option<Observed>, now: Nanos) {
        self.collected = Some(now);
        for requests in [&mut self.served, &mut self.sent] {
            requests.collected(now);
        }
        self.operations.iter_mut().for_each(|operations| operations.collected(now));
        self.pools.iter_mut().for_each(|pools| pools.collected(now));
        let messages = self.messages.iter_mut().flat_map(|messages| messages.iter_mut());
        messages.for_each(|messages| messages.collected(now));
        self.jobs.iter_mut().for_each(|jobs| jobs.collected(now));
        self.waits.iter_mut().for_each(|waits| waits.collected(now));
        let counters = self.policies.iter_mut().flat_map(|policies| &mut policies.counts);
        counters.chain(self.computed.as_deref_mut()).for_each(|counter| counter.collected(now));
        self.guest.collected(now);
        if observed.is_none_or(|observed| observed.busy == 0) {
            self.change(Change::Ended, now);
        }
    }

    /// Leaves what there is at the instant of the collection, in which it is there, and changes nothing;
    /// `observed` is what its replica is like, if it is one. `began` is when the world did.
    pub fn leave(&self, collecting: &mut Collecting<'_>, observed: Option<Observed>, began: Nanos) {
        self.served.leave(SERVER, collecting);
        let active = self.active.iter().flat_map(|all| all.iter());
        let active = active.filter_map(|active| {
            Some((Arc::clone(active.attributes.as_ref()?), Measured::Whole(active.count)))
        });
        collecting.observed(Own::ServerActive, active);
        self.sent.leave(CLIENT, collecting);
        self.operations.iter().for_each(|operations| operations.leave(collecting));
        self.pools.iter().for_each(|pools| pools.leave(collecting));
        if let Some(messages) = &self.messages {
            let [sent, processed] = &**messages;
            sent.leave(SENT, collecting);
            processed.leave(PROCESSED, collecting);
        }
        self.jobs.iter().for_each(|jobs| jobs.leave(collecting));
        let plain: Arc<[KeyValue]> = Arc::default();
        let whole = |value: u64| [(Arc::clone(&plain), Measured::Whole(value as i64))];
        if let Some(Observed { waiting, workers, busy, .. }) = observed {
            collecting.observed(Own::QueueLength, whole(waiting));
            collecting.histograms(Own::QueueWait, self.waits.iter().map(|waits| (&plain, &**waits)));
            collecting.observed(Own::WorkerCount, whole(workers));
            collecting.observed(Own::WorkerBusy, whole(busy));
        }
        self.leave_policies(collecting);
        if let Some(Observed { memory, .. }) = observed {
            let user: Arc<[KeyValue]> = [KeyValue::new(attribute::CPU_MODE, "user")].into();
            let computed = self.computed.iter().map(|computed| (&user, &**computed));
            collecting.counters(Own::CpuTime, computed);
            collecting.observed(Own::MemoryUsage, whole(memory));
            let uptime = Measured::Float(seconds(collecting.now - collecting.start));
            collecting.observed(Own::Uptime, [(Arc::clone(&plain), uptime)]);
            if self.restarts > 0 {
                // Counted from outside of the process: since the run began.
                let start = std::mem::replace(&mut collecting.start, began);
                collecting.observed(Own::Restarts, whole(self.restarts));
                collecting.start = start;
            }
        }
        self.guest.leave(collecting);
    }

    fn leave_policies(&self, collecting: &mut Collecting<'_>) {
        let counters = [Own::RetryCount, Own::RetryWithheld, Own::BreakerOpened];
        for (at, own) in counters.into_iter().enumerate() {
            self.leave_count(at, own, collecting);
        }
        let states = self.policies.iter().filter_map(|policies| policies.breaker.as_ref());
        let states = states.flat_map(|(is, states)| {
            states
                .iter()
                .enumerate()
                .map(|(state, attributes)| (Arc::clone(attributes), Measured::Whole(i64::from(state == *is))))
        });
        collecting.observed(Own::BreakerState, states);
        self.leave_count(counters.len(), Own::FallbackCount, collecting);
    }

    fn leave_count(&self, at: usize, own: Own, collecting: &mut Collecting<'_>) {
        // What a link has no policy for never counts anything.
        let counts = self.policies.iter().map(|policies| (&policies.attributes, &policies.counts[at]));
        collecting.counters(own, counts.filter(|(_, counter)| counter.sum().as_f64() > 0.0));
    }
}
