//! The clock of a run: whether its time is real or virtual, when it begins, and how fast it passes.

use crate::clock::{self, Clock, VIRTUAL_START};
use crate::error::{Problem, quote};
use crate::model::{Model, Nanos};
use crate::report::between::turned;
use crate::telemetry::env::Settings;
use crate::telemetry::pipeline::Pace;

use super::start::{Speed, Start, show};
use super::{Options, loads};

/// What is wrong with the start that was asked for.
pub fn problems(options: &Options, model: &Model) -> Vec<Problem> {
    let mut problems = Vec::new();
    if options.start.is_some() && !options.virtual_time {
        let problem = Problem::new("--start was given, but time is real: the run begins when it begins");
        problems.push(problem.help("add --virtual, or leave --start out"));
    }
    if let (Some(Start::At(start)), Some(length)) = (options.start, loads::length(options, model))
        && start.checked_add(length).is_none()
    {
        let who = if options.stop_after.is_some() { "--for" } else { "a load's end after" };
        let problem = Problem::new(format!(
            "{who} {} from --start {} on leads beyond the end of simulated time, {}",
            clock::show(length),
            quote(&show(start)),
            show(Nanos::MAX)
        ));
        problems.push(problem.help("start earlier, or run for a shorter time"));
    }
    problems
}

/// What a person should know of flags without effect.
pub fn note(options: &Options) -> Option<String> {
    let is_in_vain = options.compute.is_some() && !options.virtual_time;
    is_in_vain
        .then(|| "--compute has no effect: in real time computing takes the time that it takes".to_owned())
}

/// What a person should know of an interval of traces that ends before it begins: an end is an instant, and
/// the other one a time after the start of the run.
pub fn between(options: &Options, model: &Model, telemetry: &Settings) -> Option<String> {
    let between = options.destinations.choice.between.filter(|_| options.virtual_time)?;
    let (_, clock) = pace_and_clock(options, model, telemetry);
    let (what, help) = turned(between, clock.now(), "the run")?;
    Some(format!("{what}; {help}"))
}

/// How the pipeline takes records, and the run's clock at its start.
pub fn pace_and_clock(options: &Options, model: &Model, telemetry: &Settings) -> (Pace, Clock) {
    let speed = options.speed.map(Speed::factor);
    if !options.virtual_time {
        return (Pace::Real, Clock::real(speed.unwrap_or(1.0)));
    }
    let is_scraped = telemetry.metrics.prometheus.is_some();
    let to_backend = (telemetry.otlp.is_some() || is_scraped) && !telemetry.disabled;
    let start = match options.start {
        Some(Start::At(start)) => start,
        Some(Start::Now) => to_the_second(clock::wall()),
        None if to_backend => before_now(clock::wall(), loads::length(options, model).unwrap_or(0), speed),
        // A file is to be the same every time.
        None => VIRTUAL_START,
    };
    match speed {
        Some(speed) => (Pace::Paced, Clock::paced(start, speed)),
        None => (Pace::Virtual, Clock::virtual_from(start)),
    }
}

/// Backends drop what is far from now, and most what is yet to come: a run that
/// lasts `length` begins so that it is now when it ends.
fn before_now(now: Nanos, length: Nanos, speed: Option<f64>) -> Nanos {
    let takes = speed.map_or(0, |speed| (length as f64 / speed) as Nanos);
    to_the_second(now.saturating_sub(length.saturating_sub(takes)))
}

/// The second that has begun. Guests compute with seconds and nanoseconds, which carries over more or less
/// often where a run begins between two seconds: they would need some instructions more, or fewer.
const fn to_the_second(instant: Nanos) -> Nanos {
    instant - instant % 1_000_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_for_a_backend_ends_now_and_never_in_what_is_to_come() {
        let (now, hour) = (1_800_000_000_000_000_000, 3_600_000_000_000);
        assert_eq!(before_now(now, hour, None), now - hour);
        assert_eq!(before_now(now, 0, None), now);
        assert_eq!(before_now(now, hour, Some(1.0)), now, "it passes as the wall clock does");
        assert_eq!(before_now(now, hour, Some(2.0)), now - hour / 2);
        assert_eq!(before_now(now, hour, Some(0.5)), now, "it falls behind");
        assert_eq!(before_now(5, hour, None), 0);
        assert_eq!(before_now(now + 999_999_999, hour, None), now - hour, "at a whole second");
    }
}
