//! One world, from its first instant to its last: the scheduler, the bus, and
//! what drives them. All of it is one thread's.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use simhost_sql::Database;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use crate::bus::Bus;
use crate::bus::stats::Accounts;
use crate::cache::CacheAccount;
use crate::clock::Clock;
use crate::database::{DatabaseAccount, Opened};
use crate::fault::impact::ImpactSummary;
use crate::fault::{self, FaultScheduler, Ledger};
use crate::jobs::JobStats;
use crate::load::LoadStats;
use crate::metrics::Misused;
use crate::model::{Model, Nanos};
use crate::progress::{Progress, Seen};
use crate::sched::Sched;
use crate::socket::Shortage;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::pipeline::Pace;
use crate::telemetry::recorder::{Counts, Recorder};
use crate::telemetry::sampler::Sampler;
use crate::telemetry::signal::{Batch, Signal};
use crate::topic::TopicAccount;

use super::drive::{Drive, Driven};
use super::event::RunEvent;
use super::loaded::Loaded;
use super::network::{external, http_client};
use super::scrape::Scraping;
use super::self_telemetry::Watched;
use super::truth::WorldTruth;
use super::wiring::{behind_replicas, build, host};
use super::{Failure, Options, Reply, RunError, control, failure};

/// A world that can begin, and its ways to the outside.
pub struct World<'a> {
    pub options: &'a Options,
    pub model: &'a Model,
    pub telemetry: &'a TelemetrySettings,
    pub loaded: Loaded,
    /// Its databases, where they were opened for it.
    pub databases: Vec<Opened>,
    pub clock: Clock,
    pub pace: Pace,
    /// Whether anybody wants the records.
    pub is_recorded: bool,
    pub network: &'a Runtime,
    /// The ingress, where there is one.
    pub listener: Option<TcpListener>,
    /// Where faults are switched, if they can be.
    pub control: Option<TcpListener>,
    /// Where Prometheus scrapes, if it does.
    pub scraping: Option<Scraping>,
    /// Turns true when the world is told to stop, and when it cannot go on.
    pub stop: &'a watch::Sender<bool>,
    pub progress: Progress,
    /// Who is told when the system gives no more connections.
    pub shortage: &'a Shortage,
    /// What is to be known of the faults, if anybody wants to.
    pub notes: Option<WorldTruth>,
    /// Whoever watches the simulator itself.
    pub watched: Watched,
}

/// What a world has done, when it is over.
#[derive(Debug)]
pub struct Simulated {
    /// Answers to the requests of the command line, in order.
    pub replies: Vec<Reply>,
    pub loads: Vec<(String, LoadStats)>,
    pub jobs: Vec<JobStats>,
    pub accounts: Accounts,
    pub faults: Vec<fault::Account>,
    /// Whom the faults struck, of each world, where that is noted.
    pub seen: Vec<ImpactSummary>,
    pub recorded: Counts,
    /// In the order of the topology.
    pub topics: Vec<TopicAccount>,
    /// What guests have done wrong with their instruments.
    pub misused: Vec<Misused>,
    /// What was asked of databases, in the order of the topology.
    pub databases: Vec<DatabaseAccount>,
    /// What was asked of caches, in the order of the topology.
    pub caches: Vec<CacheAccount>,
    /// The databases themselves, if they are kept: those of the first world.
    pub engines: Vec<Database>,
    /// Scrapes that were answered with metrics; none where nobody can scrape it.
    pub scrapes: Option<u64>,
    /// When it began: nanoseconds since the Unix epoch.
    pub start: Nanos,
    /// Nanoseconds from its start to its end.
    pub simulated: Nanos,
    /// Requests that came from outside.
    pub requests: u64,
    /// Tasks that were still under way at the end.
    pub tasks: u64,
    /// Why it could not go on, if it could not; of several worlds, why each could not.
    pub halted: Vec<Failure>,
}

impl World<'_> {
    /// Lets everything happen, on this thread. `hand_over` gets the records, with
    /// the instant at which it does.
    ///
    /// # Errors
    /// The ingress cannot be opened, the system refuses what a client needs.
    pub fn simulate(
        self,
        hand_over: impl FnMut(Nanos, Batch) + 'static,
        on_event: impl Fn(RunEvent),
    ) -> Result<Simulated, RunError> {
        let Self { options, model, network, stop, progress, pace, watched, .. } = self;
        watched.begin();
        let sched = Sched::new(self.clock);
        let start = sched.now();
        let recorder = recorder(&sched, self.is_recorded, hand_over);
        // Without anybody who takes records there are no metrics.
        let first = (self.is_recorded || self.scraping.is_some()).then_some(self.loaded.first);
        let host = host(&sched, &recorder, model, self.telemetry, first, self.databases);
        let sampler = if self.is_recorded { self.telemetry.sampler.clone() } else { Sampler::off() };
        let loads = behind_replicas(model, &self.loaded);
        let ledger = ledger(self.notes, model, start);
        let bus = build(model, start, self.loaded, host, sampler, external(options, model, network)?, ledger);
        if options.destinations.keeps_exemplars() {
            bus.stats().keep_exemplars();
        }
        let (shortage, drains) = (self.shortage, &|| watched.drains());
        let scheduler = FaultScheduler::begin(bus.stage(), &sched);
        bus.begin_collections();
        if let Some(listener) = self.control {
            let told = stop.subscribe();
            on_event(control::attend(listener, network, told, &scheduler, &sched, model, shortage)?);
        }
        let endpoint = self.scraping.map(|scraping| scraping.attend(&bus, network, shortage)).transpose()?;
        endpoint.iter().for_each(|endpoint| on_event(RunEvent::Prometheus { address: endpoint.address }));
        let client = if options.through_ingress { Some(http_client(network)?) } else { None };
        let drive = Drive { bus: &bus, sched: &sched, model, options, loads, client, stop, shortage, drains };
        // In real time a person waits for the records; in virtual time only full
        // batches go, as time moves too often for any other.
        let idle = || {
            if pace != Pace::Virtual {
                recorder.flush();
            }
            progress.beat(|| Seen {
                simulated: sched.now() - start,
                requests: bus.entered(),
                errors: bus.stats().outside().1,
                spans: recorder.counts().recorded[Signal::Traces],
            });
        };
        let (doubted, is_halted) = (alarm(&sched, &bus), Cell::new(false));
        let mut tell = |event| {
            if !is_halted.get() {
                on_event(event)
            }
        };
        let mut driving = Box::pin(drive.run(self.listener, network, &mut tell));
        let driven = sched.block_on(driving.as_mut(), idle);
        let (now, tasks) = (sched.now(), sched.tasks() as u64);
        let (simulated, accounts) = (now - start, bus.stats().close(now));
        let (topics, caches) = (bus.host().topics.accounts(), bus.host().caches.accounts(now));
        bus.collect_last();
        bus.end_faults();
        // What is cut off here still ends the spans of its calls.
        sched.clear();
        let mut halted = Vec::new();
        let Driven { replies, loads, jobs, left } = match driven {
            Ok(driven) => {
                drop(driving);
                driven?
            }
            Err(halt) => {
                halted.push(failure::halted(halt, simulated, doubted.borrow().as_ref(), &accounts));
                // With no task left, whoever is told to stop tells what there was so far.
                is_halted.set(true);
                stop.send_replace(true);
                sched.block_on(driving, idle).ok().transpose()?.unwrap_or_default()
            }
        };
        halted.extend(left);
        let engines = if options.keeps_databases { databases(&sched, &bus) } else { Vec::new() };
        recorder.finish();
        bus.faults().ledger.finish();
        let (faults, recorded, requests) = (bus.faults().accounts(), recorder.counts(), bus.entered());
        watched.end(simulated, requests, &halted);
        Ok(Simulated {
            replies,
            loads,
            jobs,
            accounts,
            faults,
            seen: bus.faults().ledger.impact().into_iter().collect(),
            recorded,
            topics,
            misused: bus.misused(),
            databases: bus.host().databases.accounts(),
            caches,
            engines,
            scrapes: endpoint.map(|endpoint| endpoint.answered()),
            start,
            simulated,
            requests,
            tasks,
            halted,
        })
    }
}

/// Leaves records to `hand_over`, with the instant at which it does.
fn recorder(
    sched: &Sched,
    is_recorded: bool,
    mut hand_over: impl FnMut(Nanos, Batch) + 'static,
) -> Rc<Recorder> {
    let sched = sched.clone();
    let recorder = Rc::new(Recorder::new(move |batch| hand_over(sched.now(), batch)));
    if !is_recorded {
        recorder.turn_off_logs();
    }
    recorder
}

/// Takes the databases out of a world that is over.
fn databases(sched: &Sched, bus: &Bus) -> Vec<Database> {
    // Nothing but their own threads can keep them.
    sched.block_on(bus.host().databases.take(), || {}).unwrap_or_default()
}

/// Where the faults of a world that begins at `start` say what they do.
fn ledger(notes: Option<WorldTruth>, model: &Model, start: Nanos) -> Ledger {
    let ledger = notes.map(|notes| notes.ledger(model.faults.len(), start)).unwrap_or_default();
    if model.telemetry.label_faults { ledger.with_labels() } else { ledger }
}

impl Simulated {
    /// Takes in what another world has done. Together they have taken as long as
    /// the last of them: who has ended earlier is idle.
    pub fn merge(&mut self, other: Self) {
        self.replies.extend(other.replies);
        for (name, stats) in other.loads {
            match self.loads.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => known.merge(&stats),
                // A world that cannot go on may know nothing of its loads.
                None => self.loads.push((name, stats)),
            }
        }
        if self.jobs.is_empty() {
            self.jobs = other.jobs;
        } else {
            self.jobs.iter_mut().zip(&other.jobs).for_each(|(mine, theirs)| mine.merge(theirs));
        }
        self.accounts.merge(&other.accounts);
        for (mine, theirs) in self.faults.iter_mut().zip(&other.faults) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.topics.iter_mut().zip(&other.topics) {
            mine.merge(theirs);
        }
        self.seen.extend(other.seen);
        self.recorded += other.recorded;
        self.misused.extend(other.misused);
        for (mine, theirs) in self.databases.iter_mut().zip(&other.databases) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.caches.iter_mut().zip(&other.caches) {
            mine.merge(theirs);
        }
        self.simulated = self.simulated.max(other.simulated);
        self.requests += other.requests;
        self.tasks += other.tasks;
        self.halted.extend(other.halted);
    }
}

/// What was counted when the scheduler began to doubt that an instant would end.
fn alarm(sched: &Sched, bus: &Rc<Bus>) -> Rc<RefCell<Option<Accounts>>> {
    let doubted = Rc::new(RefCell::new(None));
    let (kept, world, bus) = (Rc::clone(&doubted), sched.clone(), Rc::downgrade(bus));
    sched.when_in_doubt(move || {
        *kept.borrow_mut() = bus.upgrade().map(|bus| bus.stats().snapshot(world.now()));
    });
    doubted
}
