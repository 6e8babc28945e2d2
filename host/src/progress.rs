//! The line on a terminal that says how far a run has come.
//!
//! The core thread leaves a few numbers behind now and then; another thread
//! draws them. Nothing is drawn where standard error is no terminal, nor in a
//! run that is over at once.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing::level_filters::LevelFilter;

use crate::clock::{self, Stopwatch};
use crate::model::Nanos;
use crate::report::words::{count, counted, number, time};
use crate::telemetry::exporter::Account;
use crate::telemetry::signal::Signal;

/// A run that ends sooner shows no line.
pub const SHOWN_AFTER: Duration = Duration::from_millis(500);

/// The line is drawn anew this often.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// In virtual time the core has an idle moment at every instant. It leaves its
/// numbers behind at one idle moment in 1,024.
const BEATS: u64 = 1_024;

/// How far one world of a run has come, and the line that says so of all.
#[derive(Debug)]
pub struct Progress {
    line: Line,
    shared: Arc<Shared>,
    world: usize,
    beats: Cell<u64>,
}

/// The line: what else is written to the terminal goes above it.
#[derive(Clone, Debug)]
pub struct Line(ProgressBar);

/// What the line is about.
#[derive(Debug)]
pub struct Course {
    /// What it is, where it is not the run itself.
    pub what: Option<String>,
    pub is_virtual: bool,
    /// Simulated time until the run ends, if that is known.
    pub total: Option<Nanos>,
    pub exporters: Vec<Arc<Account>>,
    /// Whether others than the line ask how far it has come.
    pub is_watched: bool,
    /// Worlds that run beside one another.
    pub worlds: usize,
    /// Since the run began.
    pub watch: Stopwatch,
}

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Since the run's start.
    pub simulated: Nanos,
    /// From outside.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Recorded.
    pub spans: u64,
}

#[derive(Debug)]
struct Shared {
    course: Course,
    /// Of each world.
    seen: Vec<[AtomicU64; 4]>,
    /// Of each world: grows as long as that goes on.
    beats: Vec<AtomicU64>,
}

impl Progress {
    /// Of the first world. `wanted` is whether a line may be drawn at all; it is, on a terminal,
    /// once [`Line::show`] is called.
    pub fn new(course: Course, wanted: bool) -> Self {
        let seen = (0..course.worlds).map(|_| Default::default()).collect();
        let beats = (0..course.worlds).map(|_| AtomicU64::new(0)).collect();
        let shared = Arc::new(Shared { course, seen, beats });
        let told = Arc::clone(&shared);
        let style = ProgressStyle::with_template("{line}").expect("the template is valid");
        let style = style.with_key("line", move |_: &_, to: &mut dyn std::fmt::Write| {
            to.write_str(&told.line()).expect("a line can be written");
        });
        let bar = ProgressBar::with_draw_target(None, target(wanted)).with_style(style);
        Self { line: Line(bar), shared, world: 0, beats: Cell::new(0) }
    }

    /// That of another world, with the same line.
    pub fn of_world(&self, world: usize) -> Self {
        Self { line: self.line(), shared: Arc::clone(&self.shared), world, beats: Cell::new(0) }
    }

    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// The simulated time since the run's start as this world has left it behind, for other threads.
    pub fn simulated(&self) -> impl Fn() -> Nanos + Send + Sync + 'static {
        let (shared, world) = (Arc::clone(&self.shared), self.world);
        move || {
            let [simulated, ..] = &shared.seen[world];
            simulated.load(Ordering::Relaxed)
        }
    }

    /// A number that grows as long as the simulation goes on, for other threads.
    pub fn beats(&self) -> impl Fn() -> u64 + Send + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.beats.iter().map(|beats| beats.load(Ordering::Relaxed)).sum()
    }

    /// An idle moment of the core: a good time to leave the numbers behind.
    pub fn beat(&self, seen: impl FnOnce() -> Seen) {
        let beats = self.beats.get().wrapping_add(1);
        self.beats.set(beats);
        // Nobody else writes it.
        self.shared.beats[self.world].store(beats, Ordering::Relaxed);
        // Whether the line is hidden takes a lock to tell.
        let Course { is_virtual, is_watched, .. } = self.shared.course;
        if is_virtual && !beats.is_multiple_of(BEATS) {
            return;
        }
        if self.line.0.is_hidden() && !is_watched {
            return;
        }
        let Seen { simulated, requests, errors, spans } = seen();
        for (shared, number) in self.shared.seen[self.world].iter().zip([simulated, requests, errors, spans])
        {
            shared.store(number, Ordering::Relaxed);
        }
    }
}

/// Where a line is drawn, if it is wanted: on a terminal that has no events as lines.
fn target(wanted: bool) -> ProgressDrawTarget {
    let wanted = wanted && LevelFilter::current() == LevelFilter::OFF;
    if wanted { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}

impl Line {
    /// A line of words, with none yet. What is wider than the terminal is cut.
    pub fn of_words() -> Self {
        let style = ProgressStyle::with_template("{wide_msg}").expect("the template is valid");
        Self(ProgressBar::with_draw_target(None, target(true)).with_style(style))
    }

    /// What the line says from now on.
    pub fn say(&self, words: String) {
        self.0.set_message(words);
    }

    /// Draws the line from now on.
    pub fn show(&self) {
        if !self.0.is_finished() {
            self.0.enable_steady_tick(DRAWN_EVERY);
        }
    }

    /// Does what may write to the terminal, without the line in its way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Takes the line away for good.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}

impl Shared {
    /// What has happened in all worlds. They have come as far as the last of them.
    fn seen(&self) -> Seen {
        let worlds = self.seen.iter().map(|world| {
            let [simulated, requests, errors, spans] =
                world.each_ref().map(|number| number.load(Ordering::Relaxed));
            Seen { simulated, requests, errors, spans }
        });
        let sum = |one: Seen, other: Seen| Seen {
            simulated: one.simulated.min(other.simulated),
            requests: one.requests + other.requests,
            errors: one.errors + other.errors,
            spans: one.spans + other.spans,
        };
        worlds.reduce(sum).unwrap_or_default()
    }

    fn line(&self) -> String {
        let seen = self.seen();
        let exporters = self.course.exporters.iter().map(|account| {
            let totals = account.totals();
            (totals.exported[Signal::Traces], totals.settled()[Signal::Traces])
        });
        let elapsed = self.course.watch.elapsed();
        self.course.line(seen, elapsed, exporters.min())
    }
}

impl Course {
    /// `12m of 1h, 36,012 requests, 12 errors, 96 times real time, 612,000 spans
    /// exported, 3,100 waiting`; `exported` are the spans that the slowest
    /// exporter has got rid of well, and altogether.
    fn line(&self, seen: Seen, elapsed: Duration, exported: Option<(u64, u64)>) -> String {
        // In real time the core may rest for long, and time goes on.
        let simulated = if self.is_virtual { seen.simulated } else { clock::nanos(elapsed) };
        let what = self.what.as_ref().map(|what| format!("{what}: ")).unwrap_or_default();
        let mut parts = vec![match self.total {
            Some(total) if simulated > total => {
                format!("{what}{}, drained for {}", time(total), time(simulated - total))
            }
            Some(total) => format!("{what}{} of {}", time(simulated), time(total)),
            None => format!("{what}{}", time(simulated)),
        }];
        parts.push(counted(seen.requests, "request"));
        parts.push(counted(seen.errors, "error"));
        if self.is_virtual {
            parts.push(format!("{} times real time", number(factor(simulated, elapsed))));
        }
        if let Some((exported, settled)) = exported {
            parts.push(format!("{} exported", counted(exported, "span")));
            parts.push(format!("{} waiting", count(seen.spans.saturating_sub(settled))));
        }
        parts.join(", ")
    }
}

/// How much faster than real time.
pub fn factor(simulated: Nanos, elapsed: Duration) -> f64 {
    simulated as f64 / 1e9 / elapsed.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(is_virtual: bool, total: Option<Nanos>) -> Course {
        let (exporters, watch) = (Vec::new(), Stopwatch::start());
        Course { what: None, is_virtual, total, exporters, is_watched: false, worlds: 2, watch }
    }

    #[test]
    fn the_line_says_how_far_the_run_has_come() {
        let seen = Seen { simulated: 720_000_000_000, requests: 36_012, errors: 1, spans: 615_100 };
        let elapsed = Duration::from_millis(7_500);
        let line = course(true, Some(3_600_000_000_000)).line(seen, elapsed, Some((612_000, 612_000)));
        let expected = "12m of 1h, 36,012 requests, 1 error, 96 times real time, \
                        612,000 spans exported, 3,100 waiting";
        assert_eq!(line, expected);
        let late = Seen { simulated: 780_000_000_000, ..Seen::default() };
        let line = course(true, Some(720_000_000_000)).line(late, elapsed, None);
        assert_eq!(line, "12m, drained for 1m, 0 requests, 0 errors, 104 times real time");
        let line = course(false, None).line(Seen::default(), elapsed, None);
        assert_eq!(line, "7.5s, 0 requests, 0 errors");
        let without = Course { what: Some("without slow (1 of 2)".to_owned()), ..course(true, None) };
        let line = without.line(Seen::default(), elapsed, None);
        assert_eq!(line, "without slow (1 of 2): 0s, 0 requests, 0 errors, 0 times real time");
    }

    #[test]
    fn worlds_add_up_and_have_come_as_far_as_the_last() {
        let first = Progress::new(course(true, None), false);
        let second = first.of_world(1);
        for (progress, numbers) in [(&first, [9, 20, 3, 400]), (&second, [7, 10, 1, 200])] {
            let seen = &first.shared.seen[progress.world];
            seen.iter().zip(numbers).for_each(|(seen, number)| seen.store(number, Ordering::Relaxed));
        }
        assert_eq!(first.shared.seen(), Seen { simulated: 7, requests: 30, errors: 4, spans: 600 });
    }

    #[test]
    fn every_idle_moment_of_every_world_counts_as_a_beat() {
        for is_virtual in [true, false] {
            let first = Progress::new(course(is_virtual, None), false);
            let (second, beats) = (first.of_world(1), first.beats());
            assert_eq!(beats(), 0);
            for progress in [&first, &second, &second] {
                progress.beat(|| panic!("nobody asks for the numbers"));
            }
            assert_eq!(beats(), 3);
        }
    }

    #[test]
    fn a_line_that_nobody_sees_costs_nothing() {
        let progress = Progress::new(course(false, None), false);
        progress.beat(|| panic!("nobody asks for the numbers"));
        assert_eq!(progress.line().suspend(|| 7), 7);
    }
}
