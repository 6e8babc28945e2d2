//! Requests that are made while a run goes on: the loads of a topology.
//!
//! Start at [`Loads::start`]. A load with `arrivals` is a task that waits for
//! each instant which `arrivals` says; each of its `users` is one. What a request
//! says is `template`'s, how it gets to its service and back `client`'s.
//!
//! A request's ids, values and draws depend only on the seed, the load's name and its number
//! there: whatever else a run does, they stay the same.

mod arrivals;
mod client;
pub mod files;
mod template;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use futures_util::future::{AbortHandle, Either, abortable, select};
use tokio::sync::watch;

use crate::bus::Bus;
use crate::guest::CallError;
use crate::model::{Load, Model, Nanos, Traffic, Users};
use crate::rng::{Key, Purpose};
use crate::sched::{self, NEVER, Sched};
use crate::tally::timeline::Timeline;
use crate::tally::{self, Tally};
use crate::telemetry::record::ResourceId;

use arrivals::Due;
use client::{Client, SentRequest};
use template::Who;

pub use client::Transport;
pub use template::{example, in_path};

/// A request over `max-in-flight` is not sent, and fails for this reason.
const OVERLOAD: &str = "overload";

/// Requests that one load makes at a stretch before others get their turn.
const BURST: u32 = 64;

/// The loads of a run, under way. For the core thread only.
pub struct Loads {
    loads: Vec<Rc<Running>>,
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
    /// are among the errors of `tally`, of the type `overload`.
    pub dropped: u64,
    /// When the load began, from the run's start, and for how long it made requests: nanoseconds.
    pub start: Nanos,
    pub duration: Nanos,
    /// Of those that came to an end, the ones that did so later than that.
    pub drained: u64,
    /// Requests that came to an end, with their times from the instant at which
    /// they were due: what waited for the host has waited.
    pub tally: Tally,
    /// The same by the instant at which they were due.
    pub timeline: Timeline,
}

impl LoadStats {
    /// Takes in what the same load has done in another world.
    pub fn merge(&mut self, other: &Self) {
        self.started += other.started;
        self.in_flight += other.in_flight;
        self.dropped += other.dropped;
        self.start = self.start.min(other.start);
        self.duration = self.duration.max(other.duration);
        self.drained += other.drained;
        self.tally.merge(&other.tally);
        self.timeline.merge(&other.timeline);
    }
}

/// What loads need of their run.
#[derive(Debug)]
pub struct Surroundings<'a> {
    pub model: &'a Model,
    pub bus: &'a Rc<Bus>,
    pub sched: &'a Sched,
    pub transport: &'a Transport,
    /// The Resource of the first load that has one, behind which are the others'.
    pub resource: ResourceId,
    /// Nanoseconds from now after which no load makes a request.
    pub until: Option<Nanos>,
}

/// One load.
struct Running {
    load: Load,
    /// [`Model::root`](crate::model::Model::root): its chance is made of it.
    root: u64,
    sched: Sched,
    client: Client,
    /// When it begins, and before which it makes its last request.
    begin: Nanos,
    end: Nanos,
    /// Since when it makes no further requests.
    over: Cell<Option<Nanos>>,
    /// Its tasks that may make further requests, and how many have not ended.
    tasks: RefCell<Vec<AbortHandle>>,
    going: Cell<usize>,
    started: Cell<u64>,
    in_flight: Cell<u32>,
    dropped: Cell<u64>,
    drained: Cell<u64>,
    tally: RefCell<Tally>,
    /// When the run began.
    origin: Nanos,
    timeline: RefCell<Timeline>,
}

impl Loads {
    /// Sets the loads going that are enabled.
    pub fn start(around: &Surroundings<'_>) -> Self {
        let now = around.sched.now();
        let mut loads = Self { loads: Vec::new(), going: watch::Sender::new(0) };
        let until = around.until.map_or(NEVER, |until| now.saturating_add(until));
        let mut resource = around.resource;
        for load in around.model.loads.iter().filter(|load| load.enabled) {
            let begin = now.saturating_add(load.start);
            let own = load.span.then_some(resource);
            resource.0 += u32::from(load.span);
            let running = Rc::new(Running {
                load: load.clone(),
                root: around.model.root(),
                sched: around.sched.clone(),
                client: Client::new(load, around.bus, around.transport, own),
                begin,
                end: load.lasts.map_or(until, |lasts| until.min(begin.saturating_add(lasts))),
                over: Cell::default(),
                tasks: RefCell::default(),
                going: Cell::default(),
                started: Cell::default(),
                in_flight: Cell::default(),
                dropped: Cell::default(),
                drained: Cell::default(),
                tally: RefCell::default(),
                origin: now,
                timeline: RefCell::default(),
            });
            match &load.traffic {
                Traffic::Open(arrivals) => {
                    let due = Due::new(arrivals, running.key(Purpose::Arrival));
                    loads.spawn(&running, Rc::clone(&running).keep_arriving(due));
                }
                Traffic::Closed(users) => {
                    for user in 0..users.count {
                        loads.spawn(&running, Rc::clone(&running).be_user(user, users.clone()));
                    }
                    running.send_home();
                }
            }
            loads.loads.push(running);
        }
        loads
    }

    /// Starts a task of a load, which may make requests.
    fn spawn(&self, running: &Rc<Running>, task: impl Future<Output = ()> + 'static) {
        let (task, handle) = abortable(task);
        let (going, load) = (self.going.clone(), Rc::clone(running));
        if load.going.replace(load.going.get() + 1) == 0 {
            going.send_modify(|going| *going += 1);
        }
        running.tasks.borrow_mut().push(handle);
        running.sched.spawn(async move {
            // Stopped or over: either way it makes no further requests.
            task.await.ok();
            load.going.set(load.going.get() - 1);
            if load.going.get() == 0 {
                load.stop();
                going.send_modify(|going| *going -= 1);
            }
        });
    }

    /// When the first of them begins: nanoseconds since the Unix epoch; none where there is none.
    pub fn begin(&self) -> Option<Nanos> {
        self.loads.iter().map(|load| load.begin).min()
    }

    /// Waits until no load makes further requests. Those under way go on.
    pub async fn over(&self) {
        // The sender lives as long as this does.
        self.going.subscribe().wait_for(|going| *going == 0).await.ok();
    }

    /// Lets no load make further requests. Those under way go on.
    pub fn stop(&self) {
        self.loads.iter().for_each(|load| load.stop());
    }

    /// What each load has done so far, by its name, in the order of the topology.
    pub fn snapshot(&self) -> Vec<(String, LoadStats)> {
        let one = |running: &Rc<Running>| {
            let stats = LoadStats {
                started: running.started.get(),
                in_flight: running.in_flight.get(),
                dropped: running.dropped.get(),
                start: running.begin - running.origin,
                duration: running.duration(),
                drained: running.drained.get(),
                tally: running.tally.borrow().clone(),
                timeline: running.timeline.borrow().clone(),
            };
            (running.load.name.clone(), stats)
        };
        self.loads.iter().map(one).collect()
    }
}

impl Running {
    /// Lets it make no further requests.
    fn stop(&self) {
        if self.over.get().is_none() {
            self.over.set(Some(self.sched.now()));
        }
        self.tasks.borrow_mut().drain(..).for_each(|task| task.abort());
    }

    /// For how long it has made requests so far.
    fn duration(&self) -> Nanos {
        let until = self.over.get().unwrap_or_else(|| self.sched.now());
        until.saturating_sub(self.begin)
    }

    /// Open loop: makes each request when it is due, whatever became of those before. It
    /// is over when its time is, or when one more request would be due than it makes.
    async fn keep_arriving(self: Rc<Self>, mut due: Due) {
        let mut at_a_stretch = 0;
        for number in 0.. {
            let next = due.next();
            let at = self.begin.saturating_add(next.unwrap_or_else(|| due.lasts()));
            if next.is_none() || number >= self.most() || at >= self.end {
                self.sched.sleep_until(at.min(self.end)).await;
                return;
            }
            if at > self.sched.now() {
                self.sched.sleep_until(at).await;
                at_a_stretch = 0;
            } else if at_a_stretch == BURST {
                others_turn().await;
                at_a_stretch = 0;
            }
            at_a_stretch += 1;
            self.make(Who::Arrival(number), at, None);
        }
    }

    /// Closed loop: one user, who waits for each answer and thinks before the next request.
    async fn be_user(self: Rc<Self>, user: u32, users: Users) {
        let stagger = u128::from(users.ramp_up) * u128::from(user) / u128::from(users.count);
        let mut next = self.begin.saturating_add(stagger as Nanos);
        for iteration in 0..users.iterations.unwrap_or(u64::MAX) {
            if self.started.get() < self.most() {
                self.sched.sleep_until(next.min(self.end)).await;
            }
            // Others may have made the last request meanwhile.
            if next >= self.end || self.started.get() >= self.most() {
                // The others need not come back to see it.
                return self.stop();
            }
            let who = Who::User { user, iteration, users: users.count };
            let (answered, answer) = sched::oneshot();
            self.make(who, next, Some(answered));
            answer.await.ok();
            let think = users.think.sample(&mut who.of(self.key(Purpose::Think)).stream());
            next = self.sched.now().saturating_add(think);
        }
    }

    /// Ends a closed loop when its time is over: all of its users may still wait for answers then.
    fn send_home(self: &Rc<Self>) {
        if self.end == NEVER {
            return;
        }
        let load = Rc::clone(self);
        let (over, handle) = abortable(async move {
            load.sched.sleep_until(load.end).await;
            load.stop();
        });
        self.tasks.borrow_mut().push(handle);
        self.sched.spawn(async {
            over.await.ok();
        });
    }

    fn most(&self) -> u64 {
        self.load.max_requests.unwrap_or(u64::MAX)
    }

    fn key(&self, purpose: Purpose) -> Key {
        Key::new(self.root, purpose).with_name(&self.load.name)
    }

    /// Makes a request that is due at `due`. Who waits for its end hears of it from `answered`.
    fn make(self: &Rc<Self>, who: Who, due: Nanos, answered: Option<sched::Sender<()>>) {
        self.started.set(self.started.get() + 1);
        let request = || template::request(&self.load, |purpose| self.key(purpose), who);
        let key = who.of(self.key(Purpose::Load));
        if self.in_flight.get() >= self.load.max_in_flight {
            self.dropped.set(self.dropped.get() + 1);
            self.tally.borrow_mut().refuse(Cow::Borrowed(OVERLOAD));
            self.timeline.borrow_mut().note(due - self.origin, None, true);
            self.client.unsent(key, request, due, OVERLOAD);
            return;
        }
        self.in_flight.set(self.in_flight.get() + 1);
        let (load, request) = (Rc::clone(self), request());
        // In a task of its own: a user who is stopped does not stop the system.
        self.sched.spawn(async move {
            let SentRequest { span, entered, answer } = load.client.ask(key, request, due, load.load.timeout);
            let mut asking = pin!(answer);
            let outcome = match load.load.timeout {
                None => Some(asking.as_mut().await),
                Some(timeout) => match select(asking.as_mut(), load.sched.sleep(timeout)).await {
                    Either::Left((outcome, _)) => Some(outcome),
                    Either::Right(_) => None,
                },
            };
            let timely = outcome.is_some();
            let outcome = outcome.unwrap_or(Err(CallError::Timeout));
            if let Some(span) = span {
                span.conclude(&outcome);
            }
            if let Some(entered) = entered {
                let answer = outcome.as_ref().map(|received| received.status);
                entered.answered(load.sched.now(), answer.map_err(CallError::kind));
            }
            load.finish(due, outcome.as_ref().map(|received| received.status));
            if let Some(answered) = answered {
                answered.send(()).ok();
            }
            if !timely {
                // Nobody waits for it, but who serves it works on.
                asking.await.ok();
            }
        });
    }

    /// Notes how the request that was due at `due` has ended.
    fn finish(&self, due: Nanos, outcome: Result<u16, &CallError>) {
        let error = match outcome {
            Ok(status) => tally::error_type(status),
            Err(error) => Some(Cow::Borrowed(error.kind())),
        };
        let now = self.sched.now();
        let took = now.saturating_sub(due);
        self.timeline.borrow_mut().note(due - self.origin, Some(took), error.is_some());
        self.tally.borrow_mut().note(took, error);
        if self.over.get().is_some_and(|over| now > over) {
            self.drained.set(self.drained.get() + 1);
        }
        self.in_flight.set(self.in_flight.get() - 1);
    }
}

/// Lets the tasks that are ready go on first.
async fn others_turn() {
    let mut had = false;
    poll_fn(|context| {
        if had {
            return Poll::Ready(());
        }
        had = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl std::fmt::Debug for Loads {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loads").field("loads", &self.snapshot()).finish_non_exhaustive()
    }
}
