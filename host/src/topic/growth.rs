//! How many messages a world may send. Messages that lead to more messages may do so without end.

use std::cell::{Cell, RefCell};
use std::task::{Poll, Waker};

/// Messages that a world may send whatever happens in it.
const IN_ANY_CASE: u64 = 100_000;

/// Further ones for each request from outside and each run of a job.
const FOR_EACH_CAUSE: u64 = 10_000;

/// Messages that were sent, and what may have led to them.
#[derive(Debug, Default)]
pub struct Growth {
    causes: Cell<u64>,
    sent: Cell<u64>,
    /// Who waits for [too many](Self::is_over).
    waiting: RefCell<Option<Waker>>,
}

impl Growth {
    /// A request has come from outside, or a run of a job begins.
    pub fn begins(&self) {
        self.causes.set(self.causes.get() + 1);
    }

    /// A message was sent.
    pub(super) fn sends(&self) {
        self.sent.set(self.sent.get() + 1);
        if self.is_over()
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
    }

    /// Messages that were sent so far.
    pub const fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Requests from outside and runs of jobs so far.
    pub const fn causes(&self) -> u64 {
        self.causes.get()
    }

    /// The most messages that these may lead to.
    pub const fn most(&self) -> u64 {
        IN_ANY_CASE.saturating_add(FOR_EACH_CAUSE.saturating_mul(self.causes.get()))
    }

    /// Whether more were sent.
    pub const fn is_over(&self) -> bool {
        self.sent.get() > self.most()
    }

    /// Waits until more were sent. One task waits at a time.
    pub async fn over(&self) {
        std::future::poll_fn(|context| {
            if self.is_over() {
                return Poll::Ready(());
            }
            *self.waiting.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}
