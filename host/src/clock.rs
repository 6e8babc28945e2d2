//! What time it is in the simulated world, and lengths of time as people write them.
//!
//! This is the only place that reads the wall clock.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::model::Nanos;

/// Where a virtual run begins unless told otherwise: 2026-01-01T00:00:00Z, so
/// that a file or a digest of a run is the same whenever it is made.
pub const VIRTUAL_START: Nanos = 1_767_225_600_000_000_000;

/// The clock of a run: nanoseconds since the Unix epoch, never running backwards.
#[derive(Clone, Debug)]
pub enum Clock {
    /// Time passes by itself.
    Real(Rate),
    /// Time passes when the scheduler says so; with a rate, not before this shows it.
    Virtual { now: Cell<Nanos>, rate: Option<Rate> },
}

/// Simulated time that follows real time.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    origin: Instant,
    start: Nanos,
    /// Simulated seconds in each real one; above zero.
    speed: f64,
}

impl Clock {
    /// A clock that follows the wall clock from now on, unmoved by its later
    /// corrections, `speed` times as fast.
    pub fn real(speed: f64) -> Self {
        Self::Real(Rate::new(wall(), speed))
    }

    /// A clock that stands at `start`, in nanoseconds since the Unix epoch.
    pub const fn virtual_from(start: Nanos) -> Self {
        Self::Virtual { now: Cell::new(start), rate: None }
    }

    /// A clock that stands at `start` and may jump. It passes no more than `speed` simulated
    /// seconds in each real one.
    pub fn paced(start: Nanos, speed: f64) -> Self {
        Self::Virtual { now: Cell::new(start), rate: Some(Rate::new(start, speed)) }
    }

    pub fn now(&self) -> Nanos {
        match self {
            Self::Real(rate) => rate.now(),
            Self::Virtual { now, .. } => now.get(),
        }
    }

    /// How long that is for the simulated world, which took this long in reality while the clock ran.
    /// Nothing of a virtual clock: it stands while something is done.
    pub fn simulated(&self, took: Duration) -> Nanos {
        match self {
            Self::Real(rate) => rate.simulated(took),
            Self::Virtual { .. } => 0,
        }
    }

    pub const fn is_virtual(&self) -> bool {
        matches!(self, Self::Virtual { .. })
    }

    /// How long it takes in reality until the clock may show `due`.
    pub fn left(&self, due: Nanos) -> Duration {
        match self {
            Self::Real(rate) | Self::Virtual { rate: Some(rate), .. } => rate.left(due),
            Self::Virtual { rate: None, .. } => Duration::ZERO,
        }
    }
}

impl Rate {
    fn new(start: Nanos, speed: f64) -> Self {
        Self { origin: instant(), start, speed }
    }

    /// It stays at the end of time.
    fn now(&self) -> Nanos {
        self.start.saturating_add(self.simulated(instant().duration_since(self.origin)))
    }

    fn simulated(&self, took: Duration) -> Nanos {
        let took = nanos(took);
        // A float holds a hundred days to the nanosecond; at the usual speed it need not.
        if self.speed == 1.0 { took } else { (took as f64 * self.speed) as Nanos }
    }

    /// Rounded up: whoever waits for this time is not too early, and need not wait again.
    fn left(&self, due: Nanos) -> Duration {
        let left = due.saturating_sub(self.now());
        Duration::from_nanos(if self.speed == 1.0 { left } else { (left as f64 / self.speed).ceil() as u64 })
    }
}

/// The wall clock, in nanoseconds since the Unix epoch: for a run's start only.
pub fn wall() -> Nanos {
    #[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).map_or(0, nanos)
}

/// How long something takes in reality: for what a run costs, never for what it simulates.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    pub fn start() -> Self {
        Self(instant())
    }

    pub fn elapsed(self) -> Duration {
        instant().duration_since(self.0)
    }
}

/// How long this thread has computed, whatever else the machine does meanwhile;
/// none where the system does not tell.
pub fn thread_time() -> Option<Duration> {
    computed(Path::new("/proc/thread-self/schedstat"))
}

/// How long a thread has computed, to be read by other threads while it lives.
#[derive(Clone, Debug)]
pub struct ThreadClock(PathBuf);

impl ThreadClock {
    /// The clock of this thread; none where the system does not tell.
    pub fn of_this_thread() -> Option<Self> {
        // A link to PROCESS/task/THREAD.
        let thread = std::fs::read_link("/proc/thread-self").ok()?;
        Some(Self(Path::new("/proc").join(thread).join("schedstat")))
    }

    /// See [`thread_time`]; none once the thread has ended.
    pub fn elapsed(&self) -> Option<Duration> {
        computed(&self.0)
    }
}

fn computed(statistics: &Path) -> Option<Duration> {
    // The first number: nanoseconds on a processor (Linux, "sched-stats.rst").
    let statistics = std::fs::read_to_string(statistics).ok()?;
    let nanos = statistics.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

#[expect(clippy::disallowed_methods, reason = "this is the place that the ban points to")]
fn instant() -> Instant {
    Instant::now()
}

/// A duration in nanoseconds; u64 holds 584 years of them.
pub fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// A length of time as a topology writes it: `350ms`, `1.5s`, `12.3us`, `0ns`, `3m`, `1m30s`, `2h`. At most
/// three digits after the point.
pub fn show(nanos: Nanos) -> String {
    const MINUTE: Nanos = 60_000_000_000;
    const HOUR: Nanos = 60 * MINUTE;
    if nanos >= MINUTE {
        let parts = [(nanos / HOUR, "h"), (nanos % HOUR / MINUTE, "m")];
        let text: String = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| format!("{count}{unit}"))
            .collect();
        let rest = nanos % MINUTE;
        return if rest < 1_000_000 { text } else { text + &show(rest) };
    }
    let (unit, name) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, rest) = (nanos / unit, nanos % unit * 1_000 / unit);
    let text = format!("{whole}.{rest:03}");
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_shown_in_its_largest_unit() {
        let shown = [0, 999, 1_000, 12_345, 350_000_000, 1_500_000_000].map(show);
        assert_eq!(shown, ["0ns", "999ns", "1us", "12.345us", "350ms", "1.5s"]);
        let seconds = [60.0, 90.5, 180.0, 3_600.0, 3_605.0, 90_000.0, 7_260.0];
        let shown = seconds.map(|seconds| show((seconds * 1e9) as Nanos));
        assert_eq!(shown, ["1m", "1m30.5s", "3m", "1h", "1h5s", "25h", "2h1m"]);
    }
}
