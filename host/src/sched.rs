//! The executor of the simulated world: one thread, tasks, and timers in the
//! order of (due, sequence).
//!
//! When nothing is ready, virtual time jumps to the next timer, and real time
//! waits for it or for a wake-up from another thread. That is all the
//! difference between the two: tasks cannot tell. Virtual time that is paced
//! waits for real time to come as far, and then jumps.

mod aside;
mod halt;
mod oneshot;
mod ready;
mod timers;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use fragile::Fragile;

use crate::clock::Clock;
use crate::model::Nanos;

pub use aside::Aside;
pub use halt::Halt;
pub use oneshot::{Gone, Receiver, Sender, oneshot};
use ready::{Ready, TaskWaker};
use timers::{TimerId, Timers};

/// Tasks polled before timers get their turn again, in real time.
const READY_BURST: usize = 256;

/// Tasks polled at one instant of virtual time before it counts as one that does
/// not end; some seconds of work. Each task that is alive is allowed
/// [`POLLS_FOR_EACH`] besides: a great many may begin at once. Tests of this
/// crate's inside have less patience.
const POLLS_AT_ONCE: u64 = if cfg!(test) { 100_000 } else { 1_000_000 };

const POLLS_FOR_EACH: u64 = 1_000;

/// A timer that is due at the end of time never fires.
pub const NEVER: Nanos = Nanos::MAX;

/// The last instant at which a timer fires.
pub const LAST_INSTANT: Nanos = NEVER - 1;

/// A handle to the scheduler: cheap to copy, for the core thread only.
#[derive(Clone)]
pub struct Sched(Rc<Inner>);

struct Inner {
    clock: Clock,
    /// Real time at the beginning of the poll that goes on, which is its instant; none
    /// between polls, and while it [computes](Sched::computing).
    instant: Cell<Option<Nanos>>,
    tasks: RefCell<Tasks>,
    ready: Ready,
    timers: RefCell<Timers>,
    /// Who waits for the last task to end.
    drained: RefCell<Option<Waker>>,
    /// Called when an instant seems not to end, before it is given up.
    alarm: RefCell<Option<Box<dyn FnMut()>>>,
    /// Whether the task that is polled runs in the background.
    background: Cell<bool>,
    /// Polls of tasks that do more than that.
    polls: Cell<u64>,
}

/// What a task does.
pub type Work = Pin<Box<dyn Future<Output = ()>>>;

/// The tasks that have not ended, each in a place of its own.
#[derive(Default)]
struct Tasks {
    places: Vec<Task>,
    /// Places that are free.
    free: Vec<usize>,
    /// Tasks that run in the background.
    background: usize,
}

struct Task {
    /// None while the task is being polled, and when the place is free.
    future: Option<Work>,
    /// The task's own; the next one at this place inherits it when nobody else has it.
    waker: Arc<TaskWaker>,
    /// It runs in the background.
    background: bool,
}

impl Tasks {
    /// Tasks that the world waits for.
    fn len(&self) -> usize {
        self.places.len() - self.free.len() - self.background
    }

    /// Gives a task a place.
    fn insert(&mut self, future: Work, background: bool, ready: &Ready) -> Arc<TaskWaker> {
        let place = self.free.pop().unwrap_or_else(|| {
            let place = self.places.len();
            self.places.push(Task { future: None, waker: ready.waker(Some(place)), background });
            place
        });
        let task = &mut self.places[place];
        task.future = Some(future);
        task.background = background;
        self.background += usize::from(background);
        Arc::clone(&task.waker)
    }

    /// Takes the future that a waker is for, to poll it, and says whether it runs
    /// in the background.
    fn take(&mut self, waker: &Arc<TaskWaker>) -> Option<(Work, bool)> {
        let task = self.places.get_mut(waker.place?)?;
        // A waker may outlive its task; the place may be another's by then.
        if Arc::ptr_eq(&task.waker, waker) { Some((task.future.take()?, task.background)) } else { None }
    }

    /// Puts the future back: the task goes on waiting.
    fn put(&mut self, place: usize, future: Work) {
        // The place is gone when the task has cleared the world.
        if let Some(task) = self.places.get_mut(place) {
            task.future = Some(future);
        }
    }

    /// The task at this place has ended.
    fn end(&mut self, place: usize, ready: &Ready) {
        let Some(task) = self.places.get_mut(place) else { return };
        if Arc::strong_count(&task.waker) > 1 {
            task.waker = ready.waker(Some(place));
        }
        self.background -= usize::from(task.background);
        self.free.push(place);
    }
}

impl Sched {
    /// The scheduler of this thread, which becomes the core thread of a run.
    pub fn new(clock: Clock) -> Self {
        Self(Rc::new(Inner {
            clock,
            instant: Cell::default(),
            tasks: RefCell::default(),
            ready: Ready::new(),
            timers: RefCell::default(),
            drained: RefCell::default(),
            alarm: RefCell::default(),
            background: Cell::default(),
            polls: Cell::default(),
        }))
    }

    /// Nanoseconds since the Unix epoch, in the simulated world. While a task is polled
    /// it is the instant at which that began, unless it is [computing](Self::computing):
    /// to look at a real clock takes its time.
    pub fn now(&self) -> Nanos {
        self.0.instant.get().unwrap_or_else(|| self.0.clock.now())
    }

    /// Has something done that takes real time, of which it may want to know how much:
    /// each look at the clock is a new one, and what follows is later.
    pub fn computing<T>(&self, compute: impl FnOnce() -> T) -> T {
        let before = self.0.instant.take();
        let done = compute();
        self.0.instant.set(before.map(|_| self.0.clock.now()));
        done
    }

    /// How much simulated time passes while something is done that takes this long in reality:
    /// nanoseconds, none in virtual time.
    pub fn simulated(&self, took: Duration) -> Nanos {
        self.0.clock.simulated(took)
    }

    /// Polls a future at one instant.
    fn poll<T>(&self, future: Pin<&mut (impl Future<Output = T> + ?Sized)>, waker: &Waker) -> Poll<T> {
        if !self.is_virtual() {
            self.0.instant.set(Some(self.0.clock.now()));
        }
        let poll = future.poll(&mut Context::from_waker(waker));
        self.0.instant.set(None);
        poll
    }

    pub fn is_virtual(&self) -> bool {
        self.0.clock.is_virtual()
    }

    /// Starts a task. It first runs after the tasks that are ready already.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.spawn_boxed(Box::pin(future));
    }

    /// Starts a task whose future is in its box already. A large future is copied as a whole
    /// whenever it is passed on: where it is made, it goes straight into the box.
    pub fn spawn_boxed(&self, future: Work) {
        let waker = self.0.tasks.borrow_mut().insert(future, false, &self.0.ready);
        waker.wake();
    }

    /// Starts a task that goes on beside the world, as long as there is one: nobody
    /// waits for its end, and it is no sign of life. At each instant its timers are
    /// first.
    ///
    /// In virtual time the world goes on as long as there are timers, also its own:
    /// when [nobody else](Self::is_still) has one, it has to end.
    pub fn spawn_background(&self, future: impl Future<Output = ()> + 'static) {
        let waker = self.0.tasks.borrow_mut().insert(Box::pin(future), true, &self.0.ready);
        waker.wake();
    }

    /// Tasks that have not ended, save those that [run in the background](Self::spawn_background).
    pub fn tasks(&self) -> usize {
        self.0.tasks.borrow().len()
    }

    /// Whether nothing will happen by itself any more but what tasks do that
    /// [run in the background](Self::spawn_background).
    pub fn is_still(&self) -> bool {
        let timers = self.0.timers.borrow();
        self.0.ready.is_empty() && timers.all_background()
    }

    /// Whether nothing will happen by itself any more, whatever runs in the background: nobody is ready
    /// but the task that asks, and no timer stands.
    pub fn is_at_rest(&self) -> bool {
        self.0.ready.is_empty() && self.0.timers.borrow().is_empty()
    }

    /// How often tasks have been polled, save those that [run in the background](Self::spawn_background):
    /// what has not changed tells that nobody has done anything.
    pub fn polls(&self) -> u64 {
        self.0.polls.get()
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

    /// Has `alarm` called, once in each instant of virtual time that has had so
    /// many polls that it seems not to end; some do end. Who compares what was done
    /// at the last call with what is done when the world halts, finds the culprit.
    pub fn when_in_doubt(&self, alarm: impl FnMut() + 'static) {
        *self.0.alarm.borrow_mut() = Some(Box::new(alarm));
    }

    /// Drops every task that is left, and the alarm: the run is over.
    pub fn clear(&self) {
        // It may hold this world, which would hold it for ever.
        self.0.alarm.take();
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
    ///
    /// # Errors
    /// The world cannot go on; what is left of it can be looked at, and cleared.
    pub fn block_on<T>(&self, main: impl Future<Output = T>, mut idle: impl FnMut()) -> Result<T, Halt> {
        let mut main = pin!(main);
        let _running = self.0.ready.run();
        let waker = self.0.ready.waker(None);
        Arc::clone(&waker).wake();
        let main_waker = Waker::from(Arc::clone(&waker));
        let mut polls = 0;
        loop {
            let mut burst = 0;
            while let Some(task) = self.0.ready.next() {
                task.taken();
                if Arc::ptr_eq(&task, &waker) {
                    if let Poll::Ready(value) = self.poll(main.as_mut(), &main_waker) {
                        return Ok(value);
                    }
                } else {
                    self.poll_task(task);
                }
                burst += 1;
                if self.is_virtual() {
                    polls += 1;
                    if polls % (POLLS_AT_ONCE / 2) == 0 {
                        self.doubt(polls)?;
                    }
                } else if burst >= READY_BURST {
                    break;
                }
            }
            if burst < READY_BURST || self.is_virtual() {
                idle();
            }
            if self.pass_time()? {
                polls = 0;
            }
        }
    }

    fn poll_task(&self, task: Arc<TaskWaker>) {
        let (Some(place), Some((mut future, background))) =
            (task.place, self.0.tasks.borrow_mut().take(&task))
        else {
            return;
        };
        if !background {
            self.0.polls.set(self.0.polls.get() + 1);
        }
        let waker = Waker::from(task);
        self.0.background.set(background);
        let poll = self.poll(future.as_mut(), &waker);
        self.0.background.set(false);
        drop(waker);
        if poll.is_pending() {
            return self.0.tasks.borrow_mut().put(place, future);
        }
        // Outside of the borrow: what a task owns may spawn when it is dropped.
        drop(future);
        self.0.tasks.borrow_mut().end(place, &self.0.ready);
        if self.tasks() == 0
            && let Some(waiting) = self.0.drained.take()
        {
            waiting.wake();
        }
    }

    /// No time has passed in this number of polls: raises the alarm, and later gives up.
    #[cold]
    fn doubt(&self, polls: u64) -> Result<(), Halt> {
        if polls == POLLS_AT_ONCE / 2
            && let Some(alarm) = &mut *self.0.alarm.borrow_mut()
        {
            alarm();
        }
        let allowed = POLLS_AT_ONCE + POLLS_FOR_EACH * self.tasks() as u64;
        if polls >= allowed { Err(Halt::Endless { polls }) } else { Ok(()) }
    }

    /// Wakes what is due; when nothing is, lets time pass until something is.
    /// Tells whether virtual time has passed.
    fn pass_time(&self) -> Result<bool, Halt> {
        let due = self.0.timers.borrow_mut().next_due();
        let mut passed = false;
        match &self.0.clock {
            Clock::Virtual { now, .. } => match due {
                None | Some(NEVER) if !self.0.ready.is_empty() => return Ok(false),
                None => return Err(Halt::Stalled),
                Some(NEVER) => return Err(Halt::Over),
                Some(due) => {
                    if !self.wait_until(due) {
                        return Ok(false);
                    }
                    passed = due > now.get();
                    now.set(now.get().max(due));
                }
            },
            Clock::Real(_) => {
                self.wait_until(due.unwrap_or(NEVER));
            }
        }
        let now = self.now();
        loop {
            // One at a time: a waker's owner may set or cancel timers.
            let Some(waker) = self.0.timers.borrow_mut().pop(now) else { return Ok(passed) };
            waker.wake();
        }
    }

    /// Sleeps until the clock may show `due`, or until another thread wakes a
    /// task. Tells which: true is for the clock.
    fn wait_until(&self, due: Nanos) -> bool {
        loop {
            let left = self.0.clock.left(due);
            if left.is_zero() {
                return true;
            }
            if !self.0.ready.park(|| std::thread::park_timeout(left)) {
                return false;
            }
        }
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

/// Waits for something of the core thread where a future has to be `Send`, as
/// those of host functions have to be. It panics when another thread polls it.
pub fn here<F: Future + Unpin>(future: F) -> impl Future<Output = F::Output> + Send {
    let mut future = Fragile::new(future);
    std::future::poll_fn(move |context| Pin::new(future.get_mut()).poll(context))
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

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Self { sched, due, timer } = self.get_mut();
        if sched.now() >= *due {
            return Poll::Ready(());
        }
        let mut timers = sched.0.timers.borrow_mut();
        match timer.and_then(|id| timers.get(id)) {
            Some(standing) => standing.waker.clone_from(context.waker()),
            None => {
                let background = sched.0.background.get();
                *timer = Some(timers.insert(*due, context.waker().clone(), background));
            }
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
