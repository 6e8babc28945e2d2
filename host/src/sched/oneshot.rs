//! One value from one task to another, on the core thread: without the locks
//! and atomic counters that channels between threads need.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Both ends of a channel for one value.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let slot = Rc::new(Slot { value: Cell::new(None), waiting: Cell::new(None) });
    (Sender(Rc::clone(&slot)), Receiver(slot))
}

/// Each end holds it once, so its count tells one end whether the other is there.
struct Slot<T> {
    value: Cell<Option<T>>,
    waiting: Cell<Option<Waker>>,
}

/// Where the value goes in.
pub struct Sender<T>(Rc<Slot<T>>);

/// Where it comes out: a future.
pub struct Receiver<T>(Rc<Slot<T>>);

/// The sender is gone without a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left to send a value")]
pub struct Gone;

impl<T> Sender<T> {
    /// Sends the value.
    ///
    /// # Errors
    /// The value itself, when the receiver is gone.
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_abandoned() {
            return Err(value);
        }
        self.0.value.set(Some(value));
        Ok(())
    }

    /// Whether the receiver is gone.
    pub fn is_abandoned(&self) -> bool {
        Rc::strong_count(&self.0) == 1
    }
}

impl<T> Drop for Sender<T> {
    /// Wakes the receiver, whether there is a value or not.
    fn drop(&mut self) {
        if let Some(waiting) = self.0.waiting.take() {
            waiting.wake();
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Gone>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(value) = self.0.value.take() {
            return Poll::Ready(Ok(value));
        }
        if Rc::strong_count(&self.0) == 1 {
            return Poll::Ready(Err(Gone));
        }
        self.0.waiting.set(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl<T> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

impl<T> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}
