//! The tasks that can go on, in the order in which they were woken.
//!
//! Nearly all are woken by the core thread itself, by a task that it runs. Those
//! go to a queue of its own, without a lock; what other threads wake goes to a
//! queue with one, from which the core thread fetches it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;
use std::thread::Thread;

thread_local! {
    /// The queue of the world that this thread is running.
    static RUNNING: RefCell<Option<Rc<Local>>> = const { RefCell::new(None) };
}

/// Both queues, as the core thread has them.
pub struct Ready(Rc<Local>);

struct Local {
    queue: RefCell<VecDeque<Arc<TaskWaker>>>,
    shared: Arc<Shared>,
}

/// What wakers have of it, wherever they are.
struct Shared {
    queue: Mutex<VecDeque<Arc<TaskWaker>>>,
    /// There is something in the queue; changes under its lock.
    filled: AtomicBool,
    /// The core thread sleeps, or is about to: a wake-up has to rouse it.
    parked: AtomicBool,
    core: Thread,
}

/// What wakes one task.
pub struct TaskWaker {
    /// The task's place, or none for the future of `block_on`.
    pub place: Option<usize>,
    queued: AtomicBool,
    shared: Arc<Shared>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        // A waker may outlive this thread's variables.
        let running = RUNNING.try_with(|running| match &*running.borrow() {
            Some(local) if Arc::ptr_eq(&local.shared, &self.shared) => Some(Rc::clone(local)),
            _ => None,
        });
        match running {
            Ok(Some(local)) => local.queue.borrow_mut().push_back(self),
            _ => Arc::clone(&self.shared).push(self),
        }
    }
}

impl TaskWaker {
    /// The task is about to be polled: what happens from now on wakes it again.
    pub fn taken(&self) {
        self.queued.store(false, Ordering::Release);
    }
}

impl Shared {
    fn push(&self, task: Arc<TaskWaker>) {
        let mut queue = self.lock();
        queue.push_back(task);
        self.filled.store(true, Ordering::Release);
        drop(queue);
        if self.parked.load(Ordering::SeqCst) {
            self.core.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<TaskWaker>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ready {
    /// Of the world whose core thread is this one.
    pub fn new() -> Self {
        let shared = Shared {
            queue: Mutex::default(),
            filled: AtomicBool::new(false),
            parked: AtomicBool::new(false),
            core: std::thread::current(),
        };
        Self(Rc::new(Local { queue: RefCell::default(), shared: Arc::new(shared) }))
    }

    /// A waker for the task at `place`.
    pub fn waker(&self, place: Option<usize>) -> Arc<TaskWaker> {
        let (queued, shared) = (AtomicBool::new(false), Arc::clone(&self.0.shared));
        Arc::new(TaskWaker { place, queued, shared })
    }

    /// From here on, and until the guard is dropped, this thread runs this world.
    pub fn run(&self) -> Running {
        // What was woken before comes first.
        self.fetch();
        Running(RUNNING.replace(Some(Rc::clone(&self.0))))
    }

    /// The next task.
    pub fn next(&self) -> Option<Arc<TaskWaker>> {
        if self.0.shared.filled.load(Ordering::Acquire) {
            self.fetch();
        }
        self.0.queue.borrow_mut().pop_front()
    }

    pub fn is_empty(&self) -> bool {
        self.0.queue.borrow().is_empty() && self.0.shared.lock().is_empty()
    }

    /// Lets `sleep` put the thread to sleep, from which a wake-up rouses it;
    /// does nothing when there is a task already, and tells whether it did.
    pub fn park(&self, sleep: impl FnOnce()) -> bool {
        let parked = &self.0.shared.parked;
        parked.store(true, Ordering::SeqCst);
        let is_idle = self.is_empty();
        if is_idle {
            sleep();
        }
        parked.store(false, Ordering::SeqCst);
        is_idle
    }

    fn fetch(&self) {
        let mut shared = self.0.shared.lock();
        self.0.shared.filled.store(false, Ordering::Release);
        self.0.queue.borrow_mut().append(&mut shared);
    }
}

/// While it lives, its thread runs a world; then the one before, if there was one.
pub struct Running(Option<Rc<Local>>);

impl Drop for Running {
    fn drop(&mut self) {
        RUNNING.set(self.0.take());
    }
}
