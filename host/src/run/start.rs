//! When a run begins, and how its time passes.

use std::str::FromStr;

use jiff::Timestamp;

use crate::clock::{self, Clock, VIRTUAL_START};
use crate::error::{Problem, quote};
use crate::model::{Model, Nanos};
use crate::telemetry::env::Settings;
use crate::telemetry::pipeline::Pace;

use super::{Options, loads};

/// When a run in virtual time begins: `--start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Now,
    /// Nanoseconds since the Unix epoch.
    At(Nanos),
}

impl FromStr for Start {
    type Err = String;

    /// `now`, or an instant as RFC 3339 writes it, from 1970 to 2554.
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self::Now);
        }
        let instant: Timestamp = text.parse().map_err(|_| {
            "write an instant from 1970 to 2554 with its distance from UTC, for example \
             2026-01-01T00:00:00Z or 2026-01-01T09:00:00+09:00, or now"
                .to_owned()
        })?;
        Nanos::try_from(instant.as_nanosecond()).map(Self::At).map_err(|_| {
            format!("simulated time begins at {} and ends at {}", show(Nanos::MIN), show(Nanos::MAX))
        })
    }
}

/// An instant as RFC 3339 writes it, to whole seconds.
fn show(instant: Nanos) -> String {
    let second = i64::try_from(instant / 1_000_000_000).expect("a u64 of nanoseconds has few seconds");
    Timestamp::from_second(second).expect("a u64 of nanoseconds ends in 2554").to_string()
}

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

/// How fast simulated time passes, at the most, for each second of real time: `--speed`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Speed {
    const SLOWEST: f64 = 0.001;
    const FASTEST: f64 = 1_000_000.0;
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(speed) if (Self::SLOWEST..=Self::FASTEST).contains(&speed) => Ok(Self(speed)),
            _ => Err(format!(
                "write how many times as fast as real time, from {} to {}, for example 10 or 0.5",
                Self::SLOWEST,
                Self::FASTEST
            )),
        }
    }
}

/// How the pipeline takes records, and the run's clock at its start.
pub fn pace_and_clock(options: &Options, model: &Model, telemetry: &Settings) -> (Pace, Clock) {
    let speed = options.speed.map(|Speed(speed)| speed);
    if !options.virtual_time {
        return (Pace::Real, Clock::real(speed.unwrap_or(1.0)));
    }
    let to_backend = telemetry.otlp.is_some() && !telemetry.disabled;
    let start = match options.start {
        Some(Start::At(start)) => start,
        Some(Start::Now) => clock::wall(),
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
    now.saturating_sub(length.saturating_sub(takes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_read_wherever_on_earth_it_was_written() {
        let utc = "2026-01-01T00:00:00Z".parse();
        assert_eq!(utc, Ok(Start::At(VIRTUAL_START)));
        assert_eq!("2026-01-01T09:00:00+09:00".parse(), utc);
        assert_eq!("2025-12-31t19:00:00.000-05:00".parse(), utc);
        assert_eq!("1970-01-01T00:00:00.000000001Z".parse(), Ok(Start::At(1)));
        assert_eq!("2554-07-21T23:34:33.709551615Z".parse(), Ok(Start::At(Nanos::MAX)));
        assert_eq!("now".parse(), Ok(Start::Now));
    }

    #[test]
    fn what_is_no_instant_is_refused_with_how_to_write_one() {
        for text in
            ["", "yesterday", "2026-01-01", "2026-01-01T00:00:00", "1767225600", "2026-13-01T00:00:00Z"]
        {
            let refused = text.parse::<Start>().unwrap_err();
            assert!(refused.contains("for example 2026-01-01T00:00:00Z"), "{text}: {refused}");
        }
    }

    #[test]
    fn an_instant_that_no_clock_of_ours_shows_is_refused_with_the_bounds() {
        for text in ["1969-12-31T23:59:59Z", "2554-07-21T23:34:34Z", "9000-01-01T00:00:00Z"] {
            let refused = text.parse::<Start>().unwrap_err();
            assert_eq!(
                refused,
                "simulated time begins at 1970-01-01T00:00:00Z and ends at 2554-07-21T23:34:33Z"
            );
        }
    }

    #[test]
    fn a_speed_is_a_number_above_zero_that_a_clock_can_keep() {
        assert_eq!("10".parse(), Ok(Speed(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed(0.5)));
        for text in ["0", "-1", "inf", "nan", "1e9", "1e-9", "fast", ""] {
            let refused = text.parse::<Speed>().unwrap_err();
            assert!(refused.contains("from 0.001 to 1000000, for example 10 or 0.5"), "{text}: {refused}");
        }
    }

    #[test]
    fn a_run_for_a_backend_ends_now_and_never_in_what_is_to_come() {
        let (now, hour) = (1_800_000_000_000_000_000, 3_600_000_000_000);
        assert_eq!(before_now(now, hour, None), now - hour);
        assert_eq!(before_now(now, 0, None), now);
        assert_eq!(before_now(now, hour, Some(1.0)), now, "it passes as the wall clock does");
        assert_eq!(before_now(now, hour, Some(2.0)), now - hour / 2);
        assert_eq!(before_now(now, hour, Some(0.5)), now, "it falls behind");
        assert_eq!(before_now(5, hour, None), 0);
    }
}
