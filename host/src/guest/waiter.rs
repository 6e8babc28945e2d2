//! What a worker with a request waits for, so that a wait that cannot end is noticed: one
//! of all workers of a replica for requests in its own queue.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::context::SpanId;

/// A worker, while it has a request: whom it waits for, and who waits for it.
#[derive(Debug)]
pub struct Waiter {
    pool: Rc<WorkerPool>,
    /// The CLIENT span of the call that its guest waits for, and for nothing else.
    waits_for: Cell<Option<SpanId>>,
    /// The call that has brought its request; none from outside, and where the caller may give up.
    above: RefCell<Option<Above>>,
    /// The last round in which it was marked.
    marked: Cell<u64>,
}

/// A call, and the worker that makes it and waits until it is answered.
#[derive(Clone, Debug)]
pub struct Above {
    pub by: Rc<Waiter>,
    /// Its CLIENT span.
    pub call: SpanId,
}

/// The workers of a replica.
#[derive(Debug, Default)]
pub struct WorkerPool {
    /// How many there may be.
    pub size: Cell<u32>,
    /// Those whose guest waits for a call.
    waiting: Cell<u32>,
    /// How many were marked in which round.
    marked: Cell<(u64, u32)>,
    /// The last round in which all of them may be in a deadlock.
    suspected: Cell<u64>,
}

impl Waiter {
    pub fn new(pool: &Rc<WorkerPool>) -> Self {
        Self {
            pool: Rc::clone(pool),
            waits_for: Cell::default(),
            above: RefCell::default(),
            marked: Cell::default(),
        }
    }

    /// Its guest waits for this call.
    pub fn waits_for(&self, call: SpanId) {
        if self.waits_for.replace(Some(call)).is_none() {
            self.pool.waiting.set(self.pool.waiting.get() + 1);
        }
    }

    /// Its guest goes on.
    pub fn goes_on(&self) {
        if self.waits_for.take().is_some() {
            self.pool.waiting.set(self.pool.waiting.get() - 1);
        }
    }

    /// The call that brings its next request.
    pub fn brought(&self, above: Option<Above>) {
        *self.above.borrow_mut() = above;
    }

    /// It has no request any more.
    pub fn free(&self) {
        self.goes_on();
        self.above.take();
    }

    /// Counts it among the marked of its replica, once in each round.
    pub fn mark(&self, round: u64) {
        if self.marked.replace(round) != round {
            self.pool.marked.set((round, self.pool.marked(round) + 1));
        }
    }

    /// Whether it is one of a replica that is suspected in this round.
    pub fn is_suspected(&self, round: u64) -> bool {
        self.pool.suspected.get() == round
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.goes_on();
    }
}

impl Above {
    /// The workers that wait for this call: the one that makes it and, if that one waits for
    /// nothing else, the one that waits for its request, and so on.
    pub fn waiting(&self) -> impl Iterator<Item = Rc<Waiter>> {
        let first = Some(self.clone());
        let above = std::iter::successors(first, |call| call.by.above.borrow().clone());
        above.take_while(|call| call.by.waits_for.get() == Some(call.call)).map(|call| call.by)
    }
}

impl WorkerPool {
    /// Whether every worker that there may be waits for a call.
    pub const fn all_wait(&self) -> bool {
        self.waiting.get() >= self.size.get()
    }

    /// In this round all of them may be in a deadlock.
    pub fn suspect(&self, round: u64) {
        self.suspected.set(round);
    }

    /// How many were marked in this round.
    pub fn marked(&self, round: u64) -> u32 {
        let (last, marked) = self.marked.get();
        if last == round { marked } else { 0 }
    }
}
