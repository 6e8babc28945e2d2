//! Jobs that run while a run goes on: the schedules of a topology.
//!
//! Start at [`Jobs::start`]. Each schedule is a task, or one for each replica, that waits for each instant at
//! which a run is due. What a run draws depends only on the seed, the service, the job and the run's number:
//! whatever else happens, it stays the same. At a replica a run goes on in `bus/callee/job.rs`.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{AbortHandle, abortable};

use crate::bus::{Bus, JobRun};
use crate::model::{JobSchedule, Model, Nanos, OnReplicas, Overlap};
use crate::rng::{Key, Purpose};
use crate::sched::{NEVER, Sched};
use crate::tally::Tally;

/// Runs of one schedule that wait for the one before, with `overlap = "queue"`. One more is skipped.
const WAITING_AT_MOST: usize = 1_000;

/// Runs of one schedule that go on at a time, at all replicas together, with `overlap = "allow"`. One more is
/// skipped, unless its replica has none.
const RUNNING_AT_MOST: u32 = 10_000;

/// The jobs of a run, under way. For the core thread only.
pub struct Jobs(Vec<Rc<Running>>);

/// What the runs of one schedule have done so far.
#[derive(Clone, Debug)]
pub struct JobStats {
    pub service: Arc<str>,
    pub job: Arc<str>,
    /// Runs that began.
    pub started: u64,
    /// Of those, the ones that have not ended.
    pub in_flight: u32,
    /// Runs that were due and left out, as the one before went on.
    pub skipped: u64,
    /// For how long runs were due: nanoseconds.
    pub duration: Nanos,
    /// Runs that ended, with their times from their beginning, the wait for a worker included.
    pub tally: Tally,
}

impl JobStats {
    /// Takes in what the same schedule has done in another world.
    pub fn merge(&mut self, other: &Self) {
        self.started += other.started;
        self.in_flight += other.in_flight;
        self.skipped += other.skipped;
        self.duration = self.duration.max(other.duration);
        self.tally.merge(&other.tally);
    }
}

/// One schedule.
struct Running {
    schedule: JobSchedule,
    /// Its place in the topology.
    place: u32,
    service: Arc<str>,
    job: Arc<str>,
    replicas: u32,
    /// Its draws are made of it.
    key: Key,
    bus: Rc<Bus>,
    sched: Sched,
    /// When the run of simhost began, and from when on no run is due.
    origin: Nanos,
    end: Nanos,
    /// Since when no run is due.
    over: Cell<Option<Nanos>>,
    ticking: RefCell<Vec<AbortHandle>>,
    /// Where its runs overlap: one, or one for each replica.
    lanes: Vec<Lane>,
    /// Runs that go on in all lanes.
    running: Cell<u32>,
    started: Cell<u64>,
    skipped: Cell<u64>,
    tally: RefCell<Tally>,
}

/// Runs that may overlap one another.
#[derive(Debug, Default)]
struct Lane {
    running: Cell<u32>,
    /// Numbers of runs that wait for the one before.
    waiting: RefCell<VecDeque<u64>>,
}

impl Jobs {
    /// Sets the schedules going that are enabled. No run is due `until` nanoseconds from now or later.
    pub fn start(model: &Model, bus: &Rc<Bus>, sched: &Sched, until: Option<Nanos>) -> Self {
        let origin = sched.now();
        let end = until.map_or(NEVER, |until| origin.saturating_add(until));
        let schedules = model.schedules.iter().zip(0..).filter(|(schedule, _)| schedule.enabled);
        let running = schedules.map(|(schedule, place)| {
            let service = model.service(schedule.service);
            let lanes = match schedule.on {
                OnReplicas::One => 1,
                OnReplicas::All => service.replicas,
            };
            let key = Key::new(model.root(), Purpose::Job).with_name(&service.name).with_name(&schedule.job);
            Rc::new(Running {
                schedule: schedule.clone(),
                place,
                service: service.name.as_str().into(),
                job: schedule.job.as_str().into(),
                replicas: service.replicas,
                key,
                bus: Rc::clone(bus),
                sched: sched.clone(),
                origin,
                end,
                over: Cell::default(),
                ticking: RefCell::default(),
                lanes: (0..lanes).map(|_| Lane::default()).collect(),
                running: Cell::default(),
                started: Cell::default(),
                skipped: Cell::default(),
                tally: RefCell::default(),
            })
        });
        let jobs = Self(running.collect());
        for running in &jobs.0 {
            for lane in 0..running.lanes.len() {
                let (ticking, handle) = abortable(Rc::clone(running).tick(lane));
                running.ticking.borrow_mut().push(handle);
                sched.spawn(async {
                    // Stopped or over: either way no further run is due.
                    ticking.await.ok();
                });
            }
        }
        jobs
    }

    /// Whether there is no schedule.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Lets no further run begin. Those under way go on; those that wait for one of them are skipped.
    pub fn stop(&self) {
        self.0.iter().for_each(|running| running.stop());
    }

    /// What each schedule has done so far, in the order of the topology.
    pub fn snapshot(&self) -> Vec<JobStats> {
        self.0.iter().map(|running| running.stats()).collect()
    }
}

impl Running {
    /// Lets each run of a lane begin when it is due.
    async fn tick(self: Rc<Self>, lane: usize) {
        for number in 0.. {
            let at = self.at(number, lane);
            if at >= self.end {
                return;
            }
            self.sched.sleep_until(at).await;
            self.due(number, lane);
        }
    }

    /// When a run is due in a lane.
    fn at(&self, number: u64, lane: usize) -> Nanos {
        let JobSchedule { every, start, jitter, .. } = self.schedule;
        let due = self.origin.saturating_add(start).saturating_add(every.saturating_mul(number));
        let late = (self.of(number, lane as u64).with(JITTER).unit() * jitter as f64) as Nanos;
        due.saturating_add(late)
    }

    /// A run is due in a lane.
    fn due(self: &Rc<Self>, number: u64, lane: usize) {
        let Lane { running, waiting } = &self.lanes[lane];
        let mut waiting = waiting.borrow_mut();
        match self.schedule.overlap {
            _ if running.get() == 0 => self.begin(number, lane),
            Overlap::Allow if self.running.get() < RUNNING_AT_MOST => self.begin(number, lane),
            Overlap::Queue if waiting.len() < WAITING_AT_MOST => waiting.push_back(number),
            Overlap::Skip | Overlap::Allow | Overlap::Queue => {
                self.skipped.set(self.skipped.get() + 1);
                self.bus.skip_job(&self.run(number, lane));
            }
        }
    }

    /// A run begins, in a task of its own, and after it the next of those that wait for it.
    fn begin(self: &Rc<Self>, number: u64, lane: usize) {
        let (all, began) = (Rc::clone(self), self.sched.now());
        self.started.set(self.started.get() + 1);
        self.lanes[lane].running.set(self.lanes[lane].running.get() + 1);
        self.running.set(self.running.get() + 1);
        let running = self.bus.run_job(self.run(number, lane));
        self.sched.spawn(async move {
            let error = running.await.err().map(|failure| Cow::Borrowed(failure.kind));
            all.tally.borrow_mut().note(all.sched.now() - began, error);
            let lane_of = &all.lanes[lane];
            lane_of.running.set(lane_of.running.get() - 1);
            all.running.set(all.running.get() - 1);
            let next = lane_of.waiting.borrow_mut().pop_front();
            if let Some(next) = next {
                all.begin(next, lane);
            }
        });
    }

    /// What a run is.
    fn run(&self, number: u64, lane: usize) -> JobRun {
        let key = self.of(number, lane as u64);
        let replica = match self.schedule.on {
            OnReplicas::All => lane,
            OnReplicas::One => (key.with(REPLICA).unit() * f64::from(self.replicas)) as usize,
        };
        JobRun {
            service: self.schedule.service,
            schedule: self.place,
            job: Arc::clone(&self.job),
            replica: replica.min(self.replicas as usize - 1),
            due: self.at(number, lane),
            timeout: self.schedule.timeout,
            key: key.with(TRACES),
        }
    }

    /// What a run draws from.
    const fn of(&self, number: u64, lane: u64) -> Key {
        self.key.with(number).with(lane)
    }

    fn stop(&self) {
        if self.over.get().is_none() {
            self.over.set(Some(self.sched.now()));
        }
        self.ticking.borrow_mut().drain(..).for_each(|ticking| ticking.abort());
        for (lane, Lane { waiting, .. }) in self.lanes.iter().enumerate() {
            for number in std::mem::take(&mut *waiting.borrow_mut()) {
                self.skipped.set(self.skipped.get() + 1);
                self.bus.skip_job(&self.run(number, lane));
            }
        }
    }

    fn stats(&self) -> JobStats {
        let until = self.over.get().unwrap_or_else(|| self.sched.now());
        JobStats {
            service: Arc::clone(&self.service),
            job: Arc::clone(&self.job),
            started: self.started.get(),
            in_flight: self.running.get(),
            skipped: self.skipped.get(),
            duration: until.saturating_sub(self.origin),
            tally: self.tally.borrow().clone(),
        }
    }
}

/// Parts of what a run draws.
const JITTER: u64 = 0;
const REPLICA: u64 = 1;
const TRACES: u64 = 2;

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").field("jobs", &self.snapshot()).finish()
    }
}
