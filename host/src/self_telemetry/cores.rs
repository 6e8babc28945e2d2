//! How busy the core thread of a world is, and how fast its time passes: read by another thread.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use crate::clock::{Stopwatch, ThreadClock};
use crate::model::Nanos;

/// How simulated time passes.
pub enum Ratio {
    /// It follows real time: this many simulated seconds in each real one.
    Exact(f64),
    /// As it comes: the simulated time since the world's start can be asked for.
    Measured(Box<dyn Fn() -> Nanos + Send + Sync>),
}

/// A world's thread, as others see it.
pub struct Core {
    ratio: Ratio,
    watch: Stopwatch,
    thread: OnceLock<Option<ThreadClock>>,
    /// What was seen last.
    last: Mutex<Sample>,
    /// What there was at the end of the simulation. What the thread does afterwards does not count.
    end: OnceLock<Sample>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// Where a world stands.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// Real time since its start.
    elapsed: Duration,
    simulated: Nanos,
    /// Time that its thread has computed.
    computed: Option<Duration>,
}

/// What has happened since it was asked for last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Share of the time in which the thread has computed; none where the system does not tell.
    pub utilisation: Option<f64>,
    /// Simulated seconds in each real one.
    pub time_ratio: f64,
}

impl Core {
    pub fn new(ratio: Ratio) -> Self {
        let (thread, end) = (OnceLock::new(), OnceLock::new());
        Self { ratio, watch: Stopwatch::start(), thread, last: Mutex::default(), end }
    }

    /// This thread begins to simulate the world.
    pub fn begin(&self) {
        let clock = ThreadClock::of_this_thread();
        let computed = clock.as_ref().and_then(ThreadClock::elapsed);
        let sample = Sample { elapsed: self.watch.elapsed(), simulated: 0, computed };
        self.thread.set(clock).ok();
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = sample;
    }

    /// The world has ended after so much simulated time. Called on its thread.
    pub fn end(&self, simulated: Nanos) {
        self.end.set(self.sample(simulated)).ok();
    }

    /// What has happened since it was asked for last; none before the world has begun and after its end.
    pub fn rates(&self) -> Option<Rates> {
        self.thread.get()?;
        let now = match (self.end.get(), &self.ratio) {
            (Some(end), _) => *end,
            (None, Ratio::Exact(_)) => self.sample(0),
            (None, Ratio::Measured(simulated)) => self.sample(simulated()),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::replace(&mut *last, now);
        let elapsed = now.elapsed.saturating_sub(before.elapsed).as_secs_f64();
        if elapsed <= 0.0 {
            return None;
        }
        let computed = now.computed.zip(before.computed);
        let computed = computed.map(|(now, before)| now.saturating_sub(before).as_secs_f64());
        Some(Rates {
            utilisation: computed.map(|computed| (computed / elapsed).min(1.0)),
            time_ratio: match self.ratio {
                Ratio::Exact(ratio) => ratio,
                Ratio::Measured(_) => now.simulated.saturating_sub(before.simulated) as f64 / 1e9 / elapsed,
            },
        })
    }

    fn sample(&self, simulated: Nanos) -> Sample {
        let computed = self.thread.get().and_then(Option::as_ref).and_then(ThreadClock::elapsed);
        Sample { elapsed: self.watch.elapsed(), simulated, computed }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_world_has_rates_from_its_beginning_to_its_end() {
        let simulated = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&simulated);
        let core = Core::new(Ratio::Measured(Box::new(move || told.load(Ordering::Relaxed))));
        assert_eq!(core.rates(), None, "it has not begun");
        core.begin();
        simulated.store(3_600_000_000_000, Ordering::Relaxed);
        let rates = core.rates().expect("it goes on");
        assert!(rates.time_ratio > 1.0, "{rates:?}: an hour has passed in no time");
        assert!(rates.utilisation.is_none_or(|share| (0.0..=1.0).contains(&share)), "{rates:?}");
        core.end(3_600_000_000_000);
        let last = core.rates().expect("some time has passed until the end");
        assert_eq!(last.time_ratio, 0.0, "and no simulated time");
        assert_eq!(core.rates(), None, "it is over");
    }

    #[test]
    fn time_that_follows_real_time_has_the_ratio_that_was_asked_for() {
        let core = Core::new(Ratio::Exact(12.5));
        core.begin();
        assert_eq!(core.rates().map(|rates| rates.time_ratio), Some(12.5));
    }
}
