//! The executor of the simulated world: one thread, tasks, and timers in the
//! order of (due, sequence).
//!
//! When nothing is ready, virtual time jumps to the next timer, and real time
//! waits for it or for a wake-up from another thread. That is all the
//! difference between the two: tasks cannot tell.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use slab::Slab;

use crate::clock::Clock;
use crate::model::Nanos;

/// Tasks polled before timers get their turn again, in real time.
const READY_BURST: usize = 256;

/// A cancelled timer leaves its entry in the heap; so many are left before a sweep.
const STALE_TIMERS: usize = 1_024;

/// A handle to the scheduler: cheap to copy, for the core thread only.
#[derive(Clone)]
pub struct Sched(Rc<World>);

struct World {
    clock: Clock,
    tasks: RefCell<Slab<Task>>,
    ready: Arc<Ready>,
    timers: RefCell<Timers>,
    /// Who waits for the last task to end.
    drained: RefCell<Option<Waker>>,
}

struct Task {
    /// None while the task is being polled.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    waker: Arc<TaskWaker>,
}

/// The tasks that can go on, in the order in which they were woken.
struct Ready {
    queue: Mutex<VecDeque<Arc<TaskWaker>>>,
    /// The core thread sleeps, or is about to: a wake-up has to rouse it.
    parked: AtomicBool,
    core: Thread,
}

struct TaskWaker {
    /// The task's place, or none for the future of `block_on`.
    place: Option<usize>,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let ready = Arc::clone(&self.ready);
        ready.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(self);
        if ready.parked.load(Ordering::SeqCst) {
            ready.core.unpark();
        }
    }
}

#[derive(Default)]
struct Timers {
    /// What is due when; entries of cancelled timers stay until they are met or swept.
    heap: BinaryHeap<Reverse<(Nanos, u64, usize)>>,
    slots: Slab<Timer>,
    sequence: u64,
    stale: usize,
}

struct Timer {
    sequence: u64,
    waker: Waker,
}

#[derive(Clone, Copy, Debug)]
struct TimerId {
    slot: usize,
    sequence: u64,
}

impl Timers {
    fn insert(&mut self, due: Nanos, waker: Waker) -> TimerId {
        self.sequence += 1;
        let sequence = self.sequence;
        let slot = self.slots.insert(Timer { sequence, waker });
        self.heap.push(Reverse((due, sequence, slot)));
        TimerId { slot, sequence }
    }

    /// The timer, unless it has fired: its slot may be another's by then.
    fn get(&mut self, id: TimerId) -> Option<&mut Timer> {
        self.slots.get_mut(id.slot).filter(|timer| timer.sequence == id.sequence)
    }

    fn cancel(&mut self, id: TimerId) {
        if self.get(id).is_none() {
            return;
        }
        self.slots.remove(id.slot);
        self.stale += 1;
        if self.stale > STALE_TIMERS && self.stale * 2 > self.heap.len() {
            let slots = &self.slots;
            self.heap.retain(|Reverse((_, sequence, slot))| {
                slots.get(*slot).is_some_and(|timer| timer.sequence == *sequence)
            });
            self.stale = 0;
        }
    }

    /// The instant of the next timer that still stands.
    fn next_due(&mut self) -> Option<Nanos> {
        while let Some(Reverse((due, sequence, slot))) = self.heap.peek() {
            if self.slots.get(*slot).is_some_and(|timer| timer.sequence == *sequence) {
                return Some(*due);
            }
            self.heap.pop();
            self.stale = self.stale.saturating_sub(1);
        }
        None
    }

    /// Takes the next timer if it is due at `now`.
    fn pop(&mut self, now: Nanos) -> Option<Waker> {
        if self.next_due()? > now {
            return None;
        }
        let Reverse((_, _, slot)) = self.heap.pop()?;
        Some(self.slots.remove(slot).waker)
    }
}

/// Nothing can happen any more: no task is ready, no timer is set, and in
/// virtual time nobody else could wake one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the simulation has come to a stop: every task waits for another, and no timer is set")]
pub struct Stalled;

impl Sched {
    /// The scheduler of this thread, which becomes the core thread of a run.
    pub fn new(clock: Clock) -> Self {
        let ready =
            Ready { queue: Mutex::default(), parked: AtomicBool::new(false), core: std::thread::current() };
        Self(Rc::new(World {
            clock,
            tasks: RefCell::default(),
            ready: Arc::new(ready),
            timers: RefCell::default(),
            drained: RefCell::default(),
        }))
    }

    /// Nanoseconds since the Unix epoch, in the simulated world.
    pub fn now(&self) -> Nanos {
        self.0.clock.now()
    }

    pub fn is_virtual(&self) -> bool {
        self.0.clock.is_virtual()
    }

    /// Starts a task. It first runs after the tasks that are ready already.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        let mut tasks = self.0.tasks.borrow_mut();
        let entry = tasks.vacant_entry();
        let waker = Arc::new(TaskWaker {
            place: Some(entry.key()),
            queued: AtomicBool::new(false),
            ready: Arc::clone(&self.0.ready),
        });
        entry.insert(Task { future: Some(Box::pin(future)), waker: Arc::clone(&waker) });
        drop(tasks);
        waker.wake();
    }

    /// Tasks that have not ended.
    pub fn tasks(&self) -> usize {
        self.0.tasks.borrow().len()
    }

    /// Waits until no task is left.
    pub async fn drained(&self) {
        std::future::poll_fn(|context| {
            if self.tasks() == 0 {
                return Poll::Ready(());
            }
            *self.0.drained.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Drops every task that is left: the run is over.
    pub fn clear(&self) {
        // Outside of the borrow: what a task owns may cancel timers or spawn.
        let tasks = std::mem::take(&mut *self.0.tasks.borrow_mut());
        drop(tasks);
    }

    /// Waits until the clock shows `due`; not at all when it does already.
    pub fn sleep_until(&self, due: Nanos) -> Sleep {
        Sleep { sched: self.clone(), due, timer: None }
    }

    /// Waits for `nanos` nanoseconds of simulated time.
    pub fn sleep(&self, nanos: Nanos) -> Sleep {
        self.sleep_until(self.now().saturating_add(nanos))
    }

    /// Runs `main` and every task until `main` ends. Tasks that are left wait
    /// for the next call. `idle` is called whenever nothing is ready, before time
    /// passes.
    pub fn block_on<T>(&self, main: impl Future<Output = T>, mut idle: impl FnMut()) -> Result<T, Stalled> {
        let mut main = pin!(main);
        let ready = &self.0.ready;
        let waker =
            Arc::new(TaskWaker { place: None, queued: AtomicBool::new(false), ready: Arc::clone(ready) });
        Arc::clone(&waker).wake();
        let main_waker = Waker::from(Arc::clone(&waker));
        loop {
            let mut burst = 0;
            while let Some(task) = self.next_ready() {
                task.queued.store(false, Ordering::Release);
                if Arc::ptr_eq(&task, &waker) {
                    if let Poll::Ready(value) = main.as_mut().poll(&mut Context::from_waker(&main_waker)) {
                        return Ok(value);
                    }
                } else {
                    self.poll_task(task);
                }
                burst += 1;
                if burst >= READY_BURST && !self.is_virtual() {
                    break;
                }
            }
            if burst < READY_BURST || self.is_virtual() {
                idle();
            }
            self.pass_time()?;
        }
    }

    fn next_ready(&self) -> Option<Arc<TaskWaker>> {
        self.0.ready.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    fn poll_task(&self, task: Arc<TaskWaker>) {
        let Some(place) = task.place else { return };
        let future = match self.0.tasks.borrow_mut().get_mut(place) {
            // A waker may outlive its task; the place may be another's by then.
            Some(found) if Arc::ptr_eq(&found.waker, &task) => found.future.take(),
            _ => return,
        };
        let Some(mut future) = future else { return };
        let waker = Waker::from(task);
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(()) => {
                let ended = self.0.tasks.borrow_mut().remove(place);
                // Outside of the borrow: what a task owns may spawn when it is dropped.
                drop(ended);
                drop(future);
                if self.tasks() == 0
                    && let Some(waiting) = self.0.drained.take()
                {
                    waiting.wake();
                }
            }
            Poll::Pending => {
                if let Some(found) = self.0.tasks.borrow_mut().get_mut(place) {
                    found.future = Some(future);
                }
            }
        }
    }

    /// Wakes what is due; when nothing is, lets time pass until something is.
    fn pass_time(&self) -> Result<(), Stalled> {
        let due = self.0.timers.borrow_mut().next_due();
        match &self.0.clock {
            Clock::Virtual { now } => match due {
                Some(due) => now.set(now.get().max(due)),
                None if self.has_ready() => return Ok(()),
                None => return Err(Stalled),
            },
            Clock::Real { .. } => self.park(due),
        }
        let now = self.now();
        loop {
            // One at a time: a waker's owner may set or cancel timers.
            let Some(waker) = self.0.timers.borrow_mut().pop(now) else { return Ok(()) };
            waker.wake();
        }
    }

    /// Sleeps until `due`, or until another thread wakes a task.
    fn park(&self, due: Option<Nanos>) {
        let ready = &self.0.ready;
        ready.parked.store(true, Ordering::SeqCst);
        if !self.has_ready() {
            match due {
                Some(due) => {
                    let left = due.saturating_sub(self.now());
                    if left > 0 {
                        std::thread::park_timeout(Duration::from_nanos(left));
                    }
                }
                None => std::thread::park(),
            }
        }
        ready.parked.store(false, Ordering::SeqCst);
    }

    fn has_ready(&self) -> bool {
        !self.0.ready.queue.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl std::fmt::Debug for Sched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sched")
            .field("now", &self.now())
            .field("tasks", &self.tasks())
            .finish_non_exhaustive()
    }
}

/// A wait of simulated time; dropping it cancels its timer.
#[derive(Debug)]
pub struct Sleep {
    sched: Sched,
    due: Nanos,
    timer: Option<TimerId>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.sched.now() >= self.due {
            return Poll::Ready(());
        }
        let world = Rc::clone(&self.sched.0);
        let mut timers = world.timers.borrow_mut();
        match self.timer.and_then(|id| timers.get(id)) {
            Some(timer) => timer.waker.clone_from(context.waker()),
            None => self.timer = Some(timers.insert(self.due, context.waker().clone())),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(id) = self.timer {
            self.sched.0.timers.borrow_mut().cancel(id);
        }
    }
}

#[cfg(test)]
mod tests;
