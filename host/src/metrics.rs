//! The metrics of a world, by the semantic conventions of OpenTelemetry: what is counted and measured as it
//! happens, and the records that are made of it at each collection. For the core thread only.
//!
//! What is kept belongs to a process, which is a Resource: a replica, or a load that has spans. It is
//! cumulative and dies with the process. [`Metrics::collect`] makes [`MetricRecord`]s of it.
//! `docs/internals/metrics.md` says how one measures.

pub mod catalogue;
mod collecting;
mod exemplars;
mod exponential;
mod guest;
mod histogram;
mod jobs;
mod life;
mod messages;
mod operations;
mod pools;
mod process;
mod requests;
mod series;
mod settings;
mod value;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use indexmap::IndexSet;
use rustc_hash::FxBuildHasher;

use crate::database::PoolEvent;
use crate::model::Nanos;
use crate::telemetry::env::{HistogramAggregation, TemporalityPreference};
use crate::telemetry::record::{KeyValue, MetricRecord, ResourceId};

use catalogue::Catalogue;
pub use catalogue::Own;
pub use catalogue::{DEFAULT_BOUNDS, DURATIONS};
use collecting::Collecting;
use exemplars::ExemplarRule;
pub use exemplars::Origin;
use guest::Misuses;
pub use guest::{Definition, GuestKind, INSTRUMENTS, InstrumentId, Misuse, Misused, OTHERS};
use histogram::Shape;
pub use jobs::JobKey;
pub use life::Change;
use life::Life;
pub use messages::{Exchanged, MessageKey};
use messages::{PROCESSED, SENT};
pub use operations::{Operated, OperationKey, Server};
pub use pools::PoolOf;
use process::ProcessMetrics;
pub use process::{BREAKER_STATES, METHODS, Observed, PolicyCounts};
use requests::{CLIENT, SERVER};
pub use requests::{Ended, HttpVersion, RequestKey, Sizes};
pub use series::{ATTRIBUTE_SETS, OVERFLOW};
pub use settings::Settings;
pub use value::Measured;

/// What there is at one instant.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the order of their processes.
    pub records: Vec<MetricRecord>,
    /// The processes that are deployed, and whether each could be asked: it is not down and does not stand
    /// still.
    pub processes: Vec<(ResourceId, bool)>,
}

/// What was looked at: an instrument of the core, and a value for each attribute set.
pub type LookedAt = (Own, Vec<(Arc<[KeyValue]>, i64)>);

/// A process, which may die: what is measured for one that is no more counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    of: ResourceId,
    /// How many there were with this Resource before.
    number: u32,
}

/// The metrics of a world.
#[derive(Debug)]
pub struct Metrics {
    settings: Settings,
    shape: Shape,
    rule: ExemplarRule,
    catalogue: Catalogue,
    /// The first Resource of the world.
    first: ResourceId,
    /// When the world began: nanoseconds since the Unix epoch.
    start: Nanos,
    /// When they were collected last.
    last: Cell<Nanos>,
    /// By Resource.
    processes: RefCell<Vec<ProcessMetrics>>,
    /// URLs of servers that are no services of the topology.
    externals: RefCell<IndexSet<Arc<str>, FxBuildHasher>>,
    /// What guests do wrong. It is kept when a process dies.
    misuses: RefCell<Misuses>,
}

impl Metrics {
    /// Of a world that begins at `start` and whose Resources begin with `first`; `root` is
    /// [`Model::root`](crate::model::Model::root).
    pub fn new(settings: Settings, root: u64, first: ResourceId, start: Nanos) -> Self {
        Self {
            settings,
            shape: Shape::of(&settings),
            rule: ExemplarRule::new(settings.exemplars, root),
            catalogue: Catalogue::default(),
            first,
            start,
            last: Cell::new(start),
            processes: RefCell::default(),
            externals: RefCell::default(),
            misuses: RefCell::default(),
        }
    }

    /// When they were collected last, or the world began: nanoseconds since the Unix epoch.
    pub const fn last(&self) -> Nanos {
        self.last.get()
    }

    /// All processes were collected at `now`.
    pub fn collected(&self, now: Nanos) {
        self.last.set(now);
    }

    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A replica has answered a request. `attributes` gives those that `key` stands for.
    #[inline]
    pub fn served(
        &self,
        of: Incarnation,
        key: RequestKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        ended: Ended,
    ) {
        let kept = (self.shape, &self.rule);
        self.alive(of, |process| process.served.note(kept, SERVER, key, attributes, ended));
    }

    /// A process has an answer to a request that it has sent, or gave it up. `attributes` gives those that
    /// `key` stands for.
    #[inline]
    pub fn sent(
        &self,
        of: Incarnation,
        key: RequestKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        ended: Ended,
    ) {
        let kept = (self.shape, &self.rule);
        self.alive(of, |process| process.sent.note(kept, CLIENT, key, attributes, ended));
    }

    /// A process has the answer of a database or a cache, or gave it up. `attributes` gives those that `key`
    /// stands for.
    pub fn operated(
        &self,
        of: Incarnation,
        key: OperationKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        operated: Operated,
    ) {
        let kept = (self.shape, &self.rule);
        self.alive(of, |process| process.operations_mut().note(kept, key, attributes, operated));
    }

    /// Something has happened in a pool of connections that a process has.
    pub fn pooled(&self, of: Incarnation, pool: PoolOf<'_>, event: PoolEvent) {
        self.alive(of, |process| process.pools_mut().note(self.shape, pool, event));
    }

    /// A process has sent messages, or could not. `attributes` gives those that `key` stands for.
    pub fn sent_messages(
        &self,
        of: Incarnation,
        key: MessageKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        exchanged: Exchanged,
    ) {
        let kept = (self.shape, &self.rule);
        self.alive(of, |process| process.messages_mut()[0].note(kept, SENT, key, attributes, exchanged));
    }

    /// A process has processed messages, or failed to. `attributes` gives those that `key` stands for.
    pub fn processed_messages(
        &self,
        of: Incarnation,
        key: MessageKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        exchanged: Exchanged,
    ) {
        let kept = (self.shape, &self.rule);
        self.alive(of, |process| process.messages_mut()[1].note(kept, PROCESSED, key, attributes, exchanged));
    }

    /// A run of a job has ended after `took` nanoseconds. `attributes` gives those that `key` stands for.
    pub fn job_ended(
        &self,
        of: Incarnation,
        key: JobKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        took: Nanos,
    ) {
        self.alive(of, |process| process.jobs_mut().note(self.shape, key, attributes, took));
    }

    /// A run of a job was left out. `attributes` gives those of the job.
    pub fn job_skipped(&self, of: Incarnation, schedule: u32, attributes: impl FnOnce() -> Arc<[KeyValue]>) {
        self.alive(of, |process| process.jobs_mut().skip(schedule, attributes));
    }

    /// A worker of a replica has a request. `attributes` gives those of its method.
    #[inline]
    pub fn began(&self, of: Incarnation, method: u8, attributes: impl FnOnce() -> Arc<[KeyValue]>) {
        self.alive(of, |process| process.began(method, attributes));
    }

    /// A worker no longer has a request, and has computed this long for it: nanoseconds of processor time.
    #[inline]
    pub fn ended(&self, of: Incarnation, method: u8, computed: Nanos) {
        self.alive(of, |process| process.ended(method, computed));
    }

    /// A worker has computed this long for messages: nanoseconds of processor time.
    pub fn computed(&self, of: Incarnation, computed: Nanos) {
        self.alive(of, |process| process.computed(computed));
    }

    /// A request has waited for a worker: nanoseconds.
    pub fn waited(&self, of: Incarnation, wait: Nanos) {
        self.alive(of, |process| process.waited(self.shape, wait));
    }

    /// The policies of the link to `callee` did something. `attributes` gives those of the callee.
    pub fn policies(
        &self,
        of: Incarnation,
        callee: u32,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        counts: PolicyCounts,
    ) {
        self.alive(of, |process| process.policies(callee, attributes, counts));
    }

    /// The breaker of the link to `callee` is in a state, by number. `states` gives the attributes of all
    /// states from those of the callee.
    pub fn breaker(
        &self,
        of: Incarnation,
        callee: u32,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        state: usize,
        states: impl FnOnce(&[KeyValue]) -> [Arc<[KeyValue]>; BREAKER_STATES],
    ) {
        self.alive(of, |process| process.breaker(callee, attributes, state, states));
    }

    /// An instrument of a replica's guest: it is made, or is there already. Where there cannot be such a one,
    /// what is recorded with the id is counted as misuse.
    pub fn instrument(&self, of: Incarnation, definition: Definition) -> InstrumentId {
        // One of a process that is dead is never measured with.
        let of_dead = Ok(InstrumentId::of_number(0));
        self.alive(of, |process| process.guest.get(&definition)).unwrap_or(of_dead).unwrap_or_else(|misuse| {
            let name = &definition.instrument.name;
            InstrumentId::of_misuse(self.misuses.borrow_mut().place(of.of, name, misuse))
        })
    }

    /// A guest has measured a value, a whole number where those of its instrument are; `origin` is the span
    /// that is current in it, if there is one.
    pub fn record(
        &self,
        of: Incarnation,
        instrument: InstrumentId,
        value: Measured,
        attributes: Vec<KeyValue>,
        origin: Option<Origin>,
    ) {
        if let Some(place) = instrument.misuse() {
            return self.misuses.borrow_mut().measured(of.of, place);
        }
        let kept = (self.shape, &self.rule);
        self.alive(of, |process| {
            if let Err(misuse) = process.guest.record(kept, instrument, value, attributes, origin)
                && let Some(described) = process.guest.described(instrument)
            {
                let mut misuses = self.misuses.borrow_mut();
                let place = misuses.place(of.of, &described.name, misuse);
                misuses.measured(of.of, place);
            }
        });
    }

    /// What guests have done wrong with their instruments, by replica.
    pub fn misused(&self) -> Vec<Misused> {
        self.misuses.borrow().all()
    }

    /// The process that is there, or comes up.
    #[inline]
    pub fn incarnation(&self, of: ResourceId) -> Incarnation {
        Incarnation { of, number: self.process(of, |process| process.number()) }
    }

    /// Something happens to a process at `now`.
    pub fn change(&self, of: ResourceId, change: Change, now: Nanos) {
        self.process(of, |process| process.change(change, now));
    }

    /// A process is not there until a fault deploys it.
    pub fn await_deployment(&self, of: ResourceId) {
        self.process(of, |process| *process = ProcessMetrics::new(Life::Gone));
    }

    /// Whether it is about to end.
    pub fn is_retiring(&self, of: ResourceId, now: Nanos) -> bool {
        matches!(self.process(of, |process| process.life(now)), Life::Retiring(_))
    }

    /// The number of a server that is no service of the topology, from 0; none beyond the bound of
    /// attribute sets.
    pub fn external(&self, base: &str) -> Option<u32> {
        let mut externals = self.externals.borrow_mut();
        if let Some(number) = externals.get_index_of(base) {
            return Some(number as u32);
        }
        (externals.len() < ATTRIBUTE_SETS).then(|| externals.insert_full(base.into()).0 as u32)
    }

    /// Its URL.
    pub fn external_at(&self, number: u32) -> Option<Arc<str>> {
        self.externals.borrow().get_index(number as usize).cloned()
    }

    /// Leaves the records of a process at the instant `now`, if it is there. `observed` is what a replica is
    /// like; none of a load.
    pub fn collect(
        &self,
        of: ResourceId,
        observed: Option<Observed>,
        now: Nanos,
        leave: &mut dyn FnMut(MetricRecord),
    ) {
        self.process(of, |process| {
            if self.leave((of, process), &self.settings, observed, now, leave) {
                process.collected(observed, now);
            }
        });
    }

    /// Adds a process to a snapshot at the instant `now`, unless it is not deployed, or is replaced and done:
    /// cumulative records with explicit buckets, if it is there and does not stand still. Nothing counts as
    /// collected.
    pub fn snapshot(
        &self,
        of: ResourceId,
        observed: Option<Observed>,
        stands_still: bool,
        now: Nanos,
        into: &mut Snapshot,
    ) {
        let settings = Settings {
            temporality: TemporalityPreference::Cumulative,
            aggregation: HistogramAggregation::Explicit,
            ..self.settings
        };
        self.process(of, |process| {
            let is_idle = observed.is_none_or(|observed| observed.busy == 0);
            let life = process.life(now);
            let life = if is_idle { life.after(Change::Ended, now) } else { life };
            if life == Life::Gone {
                return;
            }
            let is_there = life.since().is_some() && !stands_still;
            into.processes.push((of, is_there));
            if is_there {
                let leave = &mut |record| into.records.push(record);
                self.leave((of, process), &settings, observed, now, leave);
            }
        });
    }

    /// Leaves the records of what is no process of the topology and is only looked at, at the instant `now`.
    pub fn collect_of(
        &self,
        of: ResourceId,
        looked_at: Vec<LookedAt>,
        now: Nanos,
        leave: &mut dyn FnMut(MetricRecord),
    ) {
        let (settings, catalogue) = (&self.settings, &self.catalogue);
        let (start, last) = (self.start, self.start);
        let mut collecting = Collecting { of, start, last, now, settings, catalogue, leave };
        for (own, points) in looked_at {
            collecting.observed(own, points.into_iter().map(|(set, value)| (set, Measured::Whole(value))));
        }
    }

    /// Adds that to a snapshot.
    pub fn snapshot_of(&self, of: ResourceId, looked_at: Vec<LookedAt>, now: Nanos, into: &mut Snapshot) {
        into.processes.push((of, true));
        self.collect_of(of, looked_at, now, &mut |record| into.records.push(record));
    }

    /// Leaves the records of a process, and changes nothing; whether it is there.
    fn leave(
        &self,
        (of, process): (ResourceId, &ProcessMetrics),
        settings: &Settings,
        observed: Option<Observed>,
        now: Nanos,
        leave: &mut dyn FnMut(MetricRecord),
    ) -> bool {
        let Some((start, last)) = process.interval(now) else { return false };
        let catalogue = &self.catalogue;
        let mut collecting = Collecting { of, start, last, now, settings, catalogue, leave };
        process.leave(&mut collecting, observed, self.start);
        true
    }

    /// What is kept for a process, if it is not dead.
    fn alive<T>(
        &self,
        Incarnation { of, number }: Incarnation,
        with: impl FnOnce(&mut ProcessMetrics) -> T,
    ) -> Option<T> {
        self.process(of, |process| (process.number() == number).then(|| with(process)))
    }

    fn process<T>(&self, of: ResourceId, with: impl FnOnce(&mut ProcessMetrics) -> T) -> T {
        let mut processes = self.processes.borrow_mut();
        let place = (of.0 - self.first.0) as usize;
        if place >= processes.len() {
            processes.resize_with(place + 1, || ProcessMetrics::new(Life::Up(self.start)));
        }
        with(&mut processes[place])
    }
}

#[cfg(test)]
mod tests;
