//! One simulated process of a service: its workers, and the queue before them.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::engine::Code;
use crate::guest::{DEADLINE_EXCEEDED, GuestFailure, Host, Identity, WORKERS_EXHAUSTED, Worker};
use crate::model::Nanos;
use crate::sched;

use super::stats::Stats;

/// A replica: requests take a worker or wait for one, first come, first served.
#[derive(Debug)]
pub struct Replica {
    pub identity: Rc<Identity>,
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
    waiting: VecDeque<sched::Sender<Turn>>,
}

/// What a waiting request gets.
#[derive(Debug)]
enum Turn {
    Take(Worker),
    /// A worker has died: make another.
    Make,
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
}

impl NoWorker {
    /// The `error.type` of the SERVER span.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Full => "queue_full",
            Self::Exhausted => WORKERS_EXHAUSTED,
            Self::Broken(failure) => failure.kind,
            Self::TooLate => DEADLINE_EXCEEDED,
        }
    }
}

impl Replica {
    pub fn new(identity: Rc<Identity>, workers: u32, queue: u32) -> Self {
        Self { identity, workers, queue, state: RefCell::default() }
    }

    pub const fn workers(&self) -> u32 {
        self.workers
    }

    /// Requests that may wait.
    pub const fn queue(&self) -> u32 {
        self.queue
    }

    /// Takes a worker, or waits for one in the queue. Give it back with
    /// [`release`](Self::release) or, when it is spent, [`replace`](Self::replace).
    /// From `deadline` on there is none: a worker's time would be wasted.
    pub async fn acquire(
        &self,
        code: &Code,
        host: &Rc<Host>,
        stats: &Stats,
        deadline: Option<Nanos>,
    ) -> Result<Worker, NoWorker> {
        let service = self.identity.service;
        let arrived = host.sched.now();
        let is_late = |now| deadline.is_some_and(|deadline| now >= deadline);
        if is_late(arrived) {
            return Err(NoWorker::TooLate);
        }
        let turn = {
            let mut state = self.state.borrow_mut();
            if let Some(worker) = state.idle.pop() {
                return Ok(worker);
            }
            if state.alive < self.workers {
                state.alive += 1;
                None
            } else if state.waiting.len() < self.queue as usize {
                let (send, receive) = sched::oneshot();
                state.waiting.push_back(send);
                stats.queued(service, state.waiting.len(), arrived);
                Some(receive)
            } else {
                return Err(NoWorker::Full);
            }
        };
        match turn {
            Some(turn) => {
                let turn = turn.await;
                stats.called_up(service, arrived, host.sched.now());
                match turn {
                    Ok(turn) if is_late(host.sched.now()) => {
                        self.pass_on(turn);
                        Err(NoWorker::TooLate)
                    }
                    Ok(Turn::Take(worker)) => Ok(worker),
                    Ok(Turn::Make) => Box::pin(self.make(code, host)).await,
                    Err(_) => Err(NoWorker::Full),
                }
            }
            // In a box, as it is large and rare: every task would have room for it.
            None => Box::pin(self.make(code, host)).await,
        }
    }

    /// Makes a worker; its place is counted already.
    async fn make(&self, code: &Code, host: &Rc<Host>) -> Result<Worker, NoWorker> {
        let ordinal = {
            let mut state = self.state.borrow_mut();
            state.made += 1;
            state.made - 1
        };
        Worker::new(&code.pre, host, &self.identity, ordinal).await.map_err(|failure| {
            self.replace();
            match failure.kind {
                WORKERS_EXHAUSTED => NoWorker::Exhausted,
                _ => NoWorker::Broken(failure),
            }
        })
    }

    /// Gives a turn back that came too late.
    fn pass_on(&self, turn: Turn) {
        match turn {
            Turn::Take(worker) => self.release(worker),
            Turn::Make => self.replace(),
        }
    }

    /// Gives a worker back: to the first that waits, or to the idle ones.
    pub fn release(&self, mut worker: Worker) {
        let mut state = self.state.borrow_mut();
        while let Some(next) = state.waiting.pop_front() {
            match next.send(Turn::Take(worker)) {
                Ok(()) => return,
                // That request is gone; the worker came back.
                Err(Turn::Take(returned)) => worker = returned,
                Err(Turn::Make) => return,
            }
        }
        state.idle.push(worker);
    }

    /// Gives the place of a worker back that is no more.
    pub fn replace(&self) {
        let mut state = self.state.borrow_mut();
        while let Some(next) = state.waiting.pop_front() {
            if next.send(Turn::Make).is_ok() {
                return;
            }
        }
        state.alive -= 1;
    }
}
