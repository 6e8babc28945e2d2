//! Requests that are made while a run goes on: the loads of a topology, on the bus.
//!
//! Start at [`Loads::start`]. Each load is a task of its own: `arrivals` says when
//! its next request is due, `template` what it says. A request is who it is by the
//! seed, the load's name and its number there: whatever else a run does, its
//! trace, its values and its chance stay the same.

mod arrivals;
mod template;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::{AbortHandle, abortable};
use tokio::sync::watch;

use crate::bus::{Bus, Entry, Identity};
use crate::model::{Load, Model, Nanos, Traffic};
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::tally::Tally;

use arrivals::Due;

/// A request over `max-in-flight` is not sent, and fails for this reason.
const OVERLOAD: &str = "overload";

/// The loads of a run, under way. For the core thread only.
pub struct Loads {
    loads: Vec<Rc<Running>>,
    tasks: Vec<AbortHandle>,
    /// Loads that may make further requests.
    going: watch::Sender<usize>,
}

/// What a load has done so far.
#[derive(Clone, Debug, Default)]
pub struct LoadStats {
    /// Requests that came due.
    pub started: u64,
    /// Of those, the ones that have no answer yet.
    pub in_flight: u32,
    /// Of those, the ones that were not sent, as too many were under way. They
    /// are among the errors of `tally`.
    pub dropped: u64,
    /// Requests that came to an end, with their times from the instant at which
    /// they were due: what waited for the host waited.
    pub tally: Tally,
}

/// One load.
struct Running {
    load: Load,
    /// Names its chance.
    seed: u64,
    bus: Rc<Bus>,
    sched: Sched,
    started: Cell<u64>,
    in_flight: Cell<u32>,
    dropped: Cell<u64>,
    tally: RefCell<Tally>,
}

impl Loads {
    /// Sets the loads going. They end on their own, or at `until`, in
    /// nanoseconds after now, whichever is first.
    pub fn start(model: &Model, bus: &Rc<Bus>, sched: &Sched, until: Option<Nanos>) -> Self {
        let start = sched.now();
        let until = until.map_or(Nanos::MAX, |until| start.saturating_add(until));
        let going = watch::Sender::new(model.loads.len());
        let (mut loads, mut tasks) = (Vec::new(), Vec::new());
        for load in &model.loads {
            let running = Rc::new(Running {
                load: load.clone(),
                seed: model.seed,
                bus: Rc::clone(bus),
                sched: sched.clone(),
                started: Cell::default(),
                in_flight: Cell::default(),
                dropped: Cell::default(),
                tally: RefCell::default(),
            });
            let begin = start.saturating_add(load.start);
            let end = load.lasts.map_or(until, |lasts| until.min(begin.saturating_add(lasts)));
            let Traffic::Open(arrivals) = &load.traffic;
            let due =
                Due::new(arrivals.clone(), Key::new(model.seed, Purpose::Arrival).with_name(&load.name));
            let (task, handle) = abortable(Rc::clone(&running).keep_arriving(due, begin, end));
            let going = going.clone();
            sched.spawn(async move {
                task.await.ok();
                going.send_modify(|going| *going -= 1);
            });
            loads.push(running);
            tasks.push(handle);
        }
        Self { loads, tasks, going }
    }

    /// Waits until no load makes further requests. Those under way go on.
    pub async fn over(&self) {
        // The sender lives as long as this does.
        self.going.subscribe().wait_for(|going| *going == 0).await.ok();
    }

    /// Lets no load make further requests. Those under way go on.
    pub fn stop(&self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }

    /// What each load has done so far, by its name, in the order of the topology.
    pub fn snapshot(&self) -> Vec<(String, LoadStats)> {
        let one = |running: &Rc<Running>| {
            let stats = LoadStats {
                started: running.started.get(),
                in_flight: running.in_flight.get(),
                dropped: running.dropped.get(),
                tally: running.tally.borrow().clone(),
            };
            (running.load.name.clone(), stats)
        };
        self.loads.iter().map(one).collect()
    }
}

impl Running {
    /// Open loop: makes each request when it is due, whatever became of those before.
    async fn keep_arriving(self: Rc<Self>, mut due: Due, begin: Nanos, end: Nanos) {
        let most = self.load.max_requests.unwrap_or(u64::MAX);
        while self.started.get() < most {
            let Some(at) = due.next().map(|after| begin.saturating_add(after)) else { return };
            if at >= end {
                return;
            }
            self.sched.sleep_until(at).await;
            self.make(at);
        }
    }

    /// Makes the request that is due at `due`.
    fn make(self: &Rc<Self>, due: Nanos) {
        let number = self.started.get();
        self.started.set(number + 1);
        if self.in_flight.get() >= self.load.max_in_flight {
            self.dropped.set(self.dropped.get() + 1);
            self.tally.borrow_mut().note(0, Some(Cow::Borrowed(OVERLOAD)));
            return;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        let key = |purpose| Key::new(self.seed, purpose).with_name(&self.load.name);
        let request = template::request(&self.load, key, number);
        let identity = Identity::Own(key(Purpose::Load).with(number));
        let entry = Entry { to: self.load.to, request, attributes: Vec::new(), identity };
        let load = Rc::clone(self);
        self.sched.spawn(async move {
            let answer = Rc::clone(&load.bus).enter(entry).await;
            let status = answer.response.status;
            let error = (status >= 500).then(|| Cow::Owned(status.to_string()));
            load.tally.borrow_mut().note(load.sched.now() - due, error);
            load.in_flight.set(load.in_flight.get() - 1);
        });
    }
}

impl std::fmt::Debug for Loads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loads").field("loads", &self.snapshot()).finish_non_exhaustive()
    }
}
