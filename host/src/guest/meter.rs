//! How long a guest computes in real time.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::model::Nanos;
use crate::sched::Sched;

/// Measures how long a guest computes, in real time: from each turn's beginning
/// to its end. At each tick of the epoch a computing guest is asked for its
/// account, and yields, so that others get their turn.
pub(super) struct CpuMeter {
    /// How long it may compute.
    limit: Cell<Duration>,
    sched: Sched,
    /// In the turns that have ended, since the request began.
    spent: Cell<Duration>,
    /// Since the present turn began.
    turn: Cell<Option<Stopwatch>>,
    /// What it has computed to answer questions: nanoseconds.
    asked: Cell<Nanos>,
}

impl CpuMeter {
    pub const fn new(cpu_time: Nanos, sched: Sched) -> Self {
        let limit = Cell::new(Duration::from_nanos(cpu_time));
        let (spent, turn) = (Cell::new(Duration::ZERO), Cell::new(None));
        Self { limit, sched, spent, turn, asked: Cell::new(0) }
    }

    /// Another request begins, which may compute for `cpu_time`.
    pub fn begin(&self, cpu_time: Nanos) {
        self.limit.set(Duration::from_nanos(cpu_time));
        self.spent.set(Duration::ZERO);
    }

    /// How long it may compute for what it does now: nanoseconds.
    pub fn limit(&self) -> Nanos {
        u64::try_from(self.limit.get().as_nanos()).unwrap_or(u64::MAX)
    }

    /// It has answered a question, and computed this long for it: nanoseconds.
    pub fn answered(&self, computed: Nanos) {
        self.asked.set(self.asked.get().saturating_add(computed));
    }

    pub const fn asked(&self) -> Nanos {
        self.asked.get()
    }

    /// Polls `future`, keeping the account; where fuel is counted there is no need.
    /// It borrows the future, which its caller holds already: one that it took by
    /// value would be there twice.
    pub fn measure<T>(
        &self,
        fuel: bool,
        mut future: Pin<&mut impl Future<Output = T>>,
    ) -> impl Future<Output = T> {
        std::future::poll_fn(move |context| {
            if fuel {
                return future.as_mut().poll(context);
            }
            let turn = Stopwatch::start();
            self.turn.set(Some(turn));
            let poll = self.sched.computing(|| future.as_mut().poll(context));
            self.turn.set(None);
            self.spent.set(self.spent.get() + turn.elapsed());
            poll
        })
    }

    /// How long the guest has computed since the request began, by the clock of its world: nanoseconds.
    pub fn spent(&self) -> Nanos {
        self.sched.simulated(self.spent.get())
    }

    /// Whether the guest has computed as long as it may: looked at within a turn.
    pub fn is_over(&self) -> bool {
        let turn = self.turn.get().map_or(Duration::ZERO, Stopwatch::elapsed);
        self.spent.get() + turn >= self.limit.get()
    }
}
