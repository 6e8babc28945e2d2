//! A simulated process, as the code in it notices it: how long its work takes,
//! whether it goes on at all, and when it dies.
//!
//! The bus changes it, as faults say; guests and their WASI wait in it.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use slab::Slab;

use crate::model::Nanos;
use crate::sched::{self, Receiver, Sched, Sender, Sleep};

/// How many times as long work takes that begins at an instant.
type Slowness = Box<dyn Fn(Nanos) -> f64>;

/// By how much a clock is ahead at an instant: nanoseconds.
type Skew = Box<dyn Fn(Nanos) -> i64>;

/// One process. For the core thread only.
pub struct Process {
    pub sched: Sched,
    may_die: bool,
    /// How many hold it at a standstill.
    pauses: Cell<u32>,
    /// Who goes on when it does, in the order in which they stopped.
    stopped: RefCell<Vec<Sender<()>>>,
    /// None: work takes as long as ever.
    slowness: RefCell<Option<Slowness>>,
    /// None: its clock is right.
    skew: OnceCell<Skew>,
    /// How often it has died.
    deaths: Cell<u64>,
    /// Who dies with it.
    mortals: RefCell<Slab<Sender<()>>>,
}

/// An instant that is over in every run.
const PAST: Nanos = 0;

impl Process {
    /// A process that runs. Where it cannot die, nobody need wait for its death.
    pub fn new(sched: &Sched, may_die: bool) -> Rc<Self> {
        Rc::new(Self {
            sched: sched.clone(),
            may_die,
            pauses: Cell::new(0),
            stopped: RefCell::default(),
            slowness: RefCell::default(),
            skew: OnceCell::new(),
            deaths: Cell::new(0),
            mortals: RefCell::default(),
        })
    }

    /// Code of the process waits for an instant: it notices it when the process goes on.
    pub fn wait(self: &Rc<Self>, due: Nanos) -> Wait {
        Wait { process: Rc::clone(self), sleep: self.sched.sleep_until(due), stopped: None }
    }

    /// Waits until the process goes on: mostly it does.
    pub fn go_on(self: &Rc<Self>) -> Wait {
        self.wait(PAST)
    }

    /// How long work takes that would take `nanos` and begins now: nanoseconds.
    pub fn length(&self, nanos: Nanos) -> Nanos {
        match &*self.slowness.borrow() {
            // Whole nanoseconds: a float has no more than 53 bits of them.
            Some(slowness) => (nanos as f64 * slowness(self.sched.now()).max(1.0)) as Nanos,
            None => nanos,
        }
    }

    /// From now on work takes this multiple of its time; none: its own time.
    pub fn slow_down(&self, slowness: Option<Slowness>) {
        *self.slowness.borrow_mut() = slowness;
    }

    /// What its clock shows at an instant: nanoseconds since the Unix epoch.
    pub fn wall_at(&self, now: Nanos) -> Nanos {
        self.skew.get().map_or(now, |skew| now.saturating_add_signed(skew(now)))
    }

    /// Its clock is wrong in this way from now on, and in no other.
    pub fn set_skew(&self, skew: Skew) {
        assert!(self.skew.set(skew).is_ok(), "a process has one clock");
    }

    pub const fn is_paused(&self) -> bool {
        self.pauses.get() > 0
    }

    /// Nothing in it goes on until it is [resumed](Self::resume) as often.
    pub fn pause(&self) {
        self.pauses.set(self.pauses.get() + 1);
    }

    pub fn resume(&self) {
        self.pauses.set(self.pauses.get() - 1);
        if !self.is_paused() {
            // Outside of the borrow: dropping them wakes who waits.
            let stopped = std::mem::take(&mut *self.stopped.borrow_mut());
            drop(stopped);
        }
    }

    /// Whether anything can end it before the run does.
    pub const fn may_die(&self) -> bool {
        self.may_die
    }

    /// How often it has died: what has another number is of an earlier life.
    pub const fn life(&self) -> u64 {
        self.deaths.get()
    }

    /// Ends all that waits for its [death](Self::death), and all that has stopped.
    pub fn die(&self) {
        self.deaths.set(self.deaths.get() + 1);
        // Outside of the borrows: dropping them wakes who waits.
        let mortals = std::mem::take(&mut *self.mortals.borrow_mut());
        drop(mortals);
        let stopped = std::mem::take(&mut *self.stopped.borrow_mut());
        drop(stopped);
    }

    /// Waits until the process dies.
    pub fn death(self: &Rc<Self>) -> Death {
        let (send, receive) = sched::oneshot();
        let place = self.mortals.borrow_mut().insert(send);
        Death { process: Rc::clone(self), life: self.life(), place, receive }
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("paused", &self.is_paused())
            .field("life", &self.life())
            .finish_non_exhaustive()
    }
}

/// A wait of code in a process.
#[derive(Debug)]
pub struct Wait {
    process: Rc<Process>,
    sleep: Sleep,
    /// The process stands still.
    stopped: Option<Receiver<()>>,
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Pin::new(&mut self.sleep).poll(context).is_pending() {
            return Poll::Pending;
        }
        loop {
            if let Some(stopped) = &mut self.stopped
                && Pin::new(stopped).poll(context).is_pending()
            {
                return Poll::Pending;
            }
            self.stopped = None;
            if !self.process.is_paused() {
                return Poll::Ready(());
            }
            let (send, receive) = sched::oneshot();
            self.process.stopped.borrow_mut().push(send);
            self.stopped = Some(receive);
        }
    }
}

/// A wait for the end of a process.
#[derive(Debug)]
pub struct Death {
    process: Rc<Process>,
    life: u64,
    place: usize,
    receive: Receiver<()>,
}

impl Future for Death {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.receive).poll(context).map(|_| ())
    }
}

impl Drop for Death {
    fn drop(&mut self) {
        // The place is another's after a death.
        if self.life == self.process.life() {
            self.process.mortals.borrow_mut().remove(self.place);
        }
    }
}

#[cfg(test)]
mod tests;
