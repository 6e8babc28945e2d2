//! One simulated process of a service: its workers, and the queue before them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use futures_util::future::{Either, select};

use crate::bus::replica_faults::{Occupant, ReplicaFaults};
use crate::bus::stats::Stats;
use crate::engine::CompiledGuest;
use crate::guest::{
    Above, DEADLINE_EXCEEDED, GuestFailure, Host, Identity, WORKERS_EXHAUSTED, Waiter, Worker,
};
use crate::metrics::{Incarnation, Observed};
use crate::model::Nanos;
use crate::sched;

/// A replica: requests take a worker or wait for one, first come, first served.
#[derive(Debug)]
pub struct Replica {
    pub identity: Rc<Identity>,
    /// What has struck it; none where nothing can.
    faults: Option<Rc<ReplicaFaults>>,
    /// Workers that may exist.
    workers: u32,
    /// Requests that may wait.
    queue: u32,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<Worker>,
    /// Workers that exist or are being made.
    alive: u32,
    /// Workers made so far: their ordinals.
    made: u32,
    waiting: VecDeque<Waiting>,
    /// Workers are let go as soon as they are done: nothing new comes.
    retired: bool,
}

/// A request in the queue.
#[derive(Debug)]
struct Waiting {
    turn: sched::Sender<Turn>,
    /// The scheduler's polls when it came.
    since: u64,
    /// The worker that waits for it, however long it takes.
    above: Option<Above>,
}

/// Where a request waits that a worker waits for.
#[derive(Clone, Copy, Debug)]
pub struct Awaited {
    /// The scheduler's polls when it came: of two requests, in whichever queues, the later has more.
    pub since: u64,
    /// Its place in the queue, from 0.
    place: usize,
}

impl State {
    /// Workers that have a request.
    fn busy(&self) -> usize {
        self.alive as usize - self.idle.len()
    }
}

/// What it takes to get a worker.
pub struct WorkerRequest<'a> {
    pub code: &'a CompiledGuest,
    pub host: &'a Rc<Host>,
    pub stats: &'a Stats,
    /// From this instant on a worker's time would be wasted.
    pub deadline: Option<Nanos>,
    /// The request, where something may strike the replica.
    pub occupant: Option<&'a Occupant<'a>>,
    /// The worker that waits for the request, however long it takes.
    pub above: Option<&'a Above>,
    /// Called when the request is in the queue, and what waits for it may wait for ever.
    pub queued: &'a dyn Fn(),
    /// The process that it has come to; none without metrics.
    pub process: Option<Incarnation>,
}

/// What a waiting request gets.
#[derive(Debug)]
enum Turn {
    Take(Worker),
    /// A worker has died: make another.
    Make,
    /// All workers wait for this request, or others in the queue.
    Never,
}

/// Why a request gets no worker.
#[derive(Debug)]
pub enum NoWorker {
    /// The queue is full.
    Full,
    /// All services together have as many workers as may exist.
    Exhausted,
    /// The guest cannot be instantiated.
    Broken(GuestFailure),
    /// Nobody waits for the answer any more.
    TooLate,
    /// All workers wait for this request, or others in the queue: none ever comes free.
    Deadlock,
    /// Faults keep all workers, so that none has come for as long as a request may last.
    Taken,
}

/// What a request for a worker gets.
#[derive(Debug)]
pub enum Acquired {
    Worker(Worker),
    /// None, and an answer that says why.
    Refused(NoWorker),
    /// The replica has died meanwhile: no answer.
    Dead,
}

/// How a wait in the queue has ended.
enum Waited {
    Turn(Turn),
    /// With the replica.
    Dead,
    /// Faults keep workers, and a request may not last longer.
    TooLong,
}

impl From<Result<Turn, sched::Gone>> for Waited {
    /// The queue is dropped when the replica dies.
    fn from(turn: Result<Turn, sched::Gone>) -> Self {
        turn.map_or(Self::Dead, Self::Turn)
    }
}

impl NoWorker {
    /// The `error.type` of the SERVER span.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Full => "queue_full",
            Self::Exhausted => WORKERS_EXHAUSTED,
            Self::Broken(failure) => failure.kind,
            Self::TooLate => DEADLINE_EXCEEDED,
            Self::Deadlock => "deadlock",
            Self::Taken => "no_worker_in_time",
        }
    }
}

impl Replica {
    pub fn new(identity: Rc<Identity>, faults: Option<Rc<ReplicaFaults>>, workers: u32, queue: u32) -> Self {
        identity.pool.size.set(workers);
        Self { identity, faults, workers, queue, state: RefCell::default() }
    }

    /// What has struck it; none where nothing can.
    pub const fn faults(&self) -> Option<&Rc<ReplicaFaults>> {
        self.faults.as_ref()
    }

    /// How often it has died: a worker of an earlier life is none of its own.
    pub fn life(&self) -> u64 {
        self.identity.process.life()
    }

    /// Requests that may have a worker at a time.
    fn room(&self) -> usize {
        let taken = self.faults.as_ref().map_or(0, |faults| faults.taken(self.workers));
        (self.workers - taken) as usize
    }

    pub const fn workers(&self) -> u32 {
        self.workers
    }

    /// What it is like at this instant. Workers that faults have taken look as if they were busy.
    pub fn observed(&self) -> Observed {
        let state = self.state.borrow();
        let taken = self.workers as usize - self.room();
        let busy = (state.busy() + taken).min(self.workers as usize);
        let workers = busy.max(state.alive as usize);
        let memory = self.identity.memory.load(Ordering::Relaxed);
        Observed { waiting: state.waiting.len() as u64, workers: workers as u64, busy: busy as u64, memory }
    }

    /// Requests that may wait.
    pub const fn queue(&self) -> u32 {
        self.queue
    }

    /// Takes a worker, or waits for one in the queue. Give it back with
    /// [`release`](Self::release) or, when it is spent, [`replace`](Self::replace).
    pub async fn acquire(&self, wanted: &WorkerRequest<'_>) -> Acquired {
        let WorkerRequest { code, host, stats, deadline, occupant, above, queued, process } = wanted;
        let service = self.identity.service;
        let (arrived, life) = (host.sched.now(), self.life());
        let is_late = |now| deadline.is_some_and(|deadline| now >= deadline);
        if is_late(arrived) {
            return Acquired::Refused(NoWorker::TooLate);
        }
        let turn = {
            let mut state = self.state.borrow_mut();
            if state.busy() < self.room() {
                if let Some(worker) = state.idle.pop() {
                    return Acquired::Worker(worker);
                }
                state.alive += 1;
                None
            } else {
                if let Some(occupant) = occupant.filter(|_| state.busy() < self.workers as usize) {
                    occupant.found_workers_taken();
                }
                if state.waiting.len() >= self.queue as usize {
                    return Acquired::Refused(NoWorker::Full);
                }
                let (send, receive) = sched::oneshot();
                let since = host.sched.polls();
                state.waiting.push_back(Waiting { turn: send, since, above: above.cloned() });
                stats.queued(service, state.waiting.len(), arrived);
                Some(receive)
            }
        };
        let Some(turn) = turn else {
            // In a box, as it is large and rare: every task would have room for it.
            return Box::pin(self.make(code, host)).await;
        };
        if above.is_some() && self.is_stuck() {
            queued();
        }
        let waited = match occupant {
            None => turn.await.into(),
            Some(occupant) => Box::pin(self.in_time(turn, host, occupant)).await,
        };
        stats.called_up(service, arrived, host.sched.now());
        if let (Some(metrics), Some(process)) = (&host.metrics, process) {
            metrics.waited(*process, host.sched.now() - arrived);
        }
        match waited {
            // The turn is of the life that it was given in.
            Waited::Turn(_) if self.life() != life => Acquired::Dead,
            Waited::Turn(Turn::Never) => Acquired::Refused(NoWorker::Deadlock),
            Waited::Turn(turn) if is_late(host.sched.now()) => {
                self.pass_on(turn);
                Acquired::Refused(NoWorker::TooLate)
            }
            Waited::Turn(Turn::Take(worker)) => Acquired::Worker(worker),
            Waited::Turn(Turn::Make) => Box::pin(self.make(code, host)).await,
            Waited::Dead => Acquired::Dead,
            Waited::TooLong => Acquired::Refused(NoWorker::Taken),
        }
    }

    /// Waits for a turn. Workers that faults have taken may never be given back: while
    /// any are, no longer than a request may last. Then its place in the queue is free
    /// again. As long as none are, it waits as if there were no fault: without a clock.
    async fn in_time(&self, turn: sched::Receiver<Turn>, host: &Rc<Host>, occupant: &Occupant<'_>) -> Waited {
        let patience = pin!(async {
            loop {
                occupant.kept_waiting().await;
                host.sched.sleep(self.identity.limits.request_time).await;
                if occupant.faults.keeps_any(self.workers) {
                    return;
                }
            }
        });
        match select(turn, patience).await {
            Either::Left((turn, _)) => turn.into(),
            Either::Right((_, turn)) => {
                drop(turn);
                self.state.borrow_mut().waiting.retain(|waiting| !waiting.turn.is_abandoned());
                Waited::TooLong
            }
        }
    }

    /// Makes a worker; its place is counted already.
    async fn make(&self, code: &CompiledGuest, host: &Rc<Host>) -> Acquired {
        let ordinal = {
            let mut state = self.state.borrow_mut();
            state.made += 1;
            state.made - 1
        };
        let life = self.life();
        let made = Worker::new(&code.pre, host, &self.identity, ordinal).await;
        if self.life() != life {
            return Acquired::Dead;
        }
        made.map_or_else(
            |failure| {
                self.replace();
                Acquired::Refused(match failure.kind {
                    WORKERS_EXHAUSTED => NoWorker::Exhausted,
                    _ => NoWorker::Broken(failure),
                })
            },
            Acquired::Worker,
        )
    }

    /// Gives a turn back that came too late.
    fn pass_on(&self, turn: Turn) {
        match turn {
            Turn::Take(worker) => self.release(worker),
            Turn::Make => self.replace(),
            Turn::Never => {}
        }
    }

    /// Gives a worker back: to the first that waits, or to the idle ones.
    pub fn release(&self, worker: Worker) {
        self.state.borrow_mut().idle.push(worker);
        self.call_up();
        self.let_go();
    }

    /// Whether its workers are let go as soon as they are done.
    pub fn retire(&self, retired: bool) {
        self.state.borrow_mut().retired = retired;
        self.let_go();
    }

    fn let_go(&self) {
        let mut state = self.state.borrow_mut();
        if state.retired {
            state.alive -= state.idle.len() as u32;
            state.idle.clear();
        }
    }

    /// Gives the place of a worker back that is no more.
    pub fn replace(&self) {
        self.state.borrow_mut().alive -= 1;
        self.call_up();
    }

    /// Lets as many that wait have their turn as there is room for.
    pub fn call_up(&self) {
        let mut state = self.state.borrow_mut();
        while !state.waiting.is_empty() && state.busy() < self.room() {
            let turn = state.idle.pop().map_or(Turn::Make, Turn::Take);
            if matches!(turn, Turn::Make) {
                state.alive += 1;
            }
            let next = state.waiting.pop_front();
            // A request that is gone leaves its turn to the next.
            match next.and_then(|next| next.turn.send(turn).err()) {
                Some(Turn::Take(worker)) => state.idle.push(worker),
                Some(Turn::Make) => state.alive -= 1,
                Some(Turn::Never) | None => {}
            }
        }
    }

    /// Whether every worker it may have waits for a call, and nothing but an answer can free one.
    pub fn is_stuck(&self) -> bool {
        self.faults.is_none() && self.identity.pool.all_wait()
    }

    /// Shows the workers that wait for requests in the queue, and for nothing else.
    pub fn each_waiting(&self, mut show: impl FnMut(&Rc<Waiter>)) {
        let state = self.state.borrow();
        state.waiting.iter().filter_map(|waiting| waiting.above.as_ref()).for_each(|above| {
            above.waiting().for_each(|waiter| show(&waiter));
        });
    }

    /// The last request in the queue that a worker waits for whose replica is suspected in this round.
    pub fn last_awaited(&self, round: u64) -> Option<Awaited> {
        let state = self.state.borrow();
        let is_awaited = |waiting: &Waiting| {
            let above = waiting.above.as_ref();
            above.is_some_and(|above| above.waiting().any(|waiter| waiter.is_suspected(round)))
        };
        let place = state.waiting.iter().rposition(is_awaited)?;
        Some(Awaited { since: state.waiting[place].since, place })
    }

    /// Refuses a request that nobody could ever serve.
    pub fn refuse(&self, awaited: Awaited) {
        let refused = self.state.borrow_mut().waiting.remove(awaited.place);
        // Outside of the borrow, as this wakes the task that waits. One that is gone needs no answer.
        if let Some(refused) = refused {
            refused.turn.send(Turn::Never).ok();
        }
    }

    /// Its process has died: nobody waits in it, and no worker is its own any more.
    pub fn forget(&self) {
        let gone = {
            let mut state = self.state.borrow_mut();
            let fresh = State { made: state.made, retired: state.retired, ..State::default() };
            std::mem::replace(&mut *state, fresh)
        };
        // Outside of the borrow, as this wakes the tasks that wait.
        drop(gone);
    }
}
