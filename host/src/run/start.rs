//! When a run begins, and how its time passes.

use std::str::FromStr;

use jiff::Timestamp;

use crate::clock::{self, Clock, VIRTUAL_START};
use crate::error::{Problem, quote};
use crate::model::Nanos;
use crate::telemetry::env::Settings;
use crate::telemetry::pipeline::Pace;

use super::Options;

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
            "write an instant with its distance from UTC, for example 2026-01-01T00:00:00Z or \
             2026-01-01T09:00:00+09:00, or now"
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
pub fn problems(options: &Options) -> Vec<Problem> {
    let mut problems = Vec::new();
    if options.start.is_some() && !options.virtual_time {
        let problem = Problem::new("--start was given, but time is real: the run begins when it begins");
        problems.push(problem.help("add --virtual, or leave --start out"));
    }
    if let (Some(Start::At(start)), Some(length)) = (options.start, options.stop_after)
        && start.checked_add(length).is_none()
    {
        let problem = Problem::new(format!(
            "--for {} from --start {} on leads beyond the end of simulated time, {}",
            clock::show(length),
            quote(&show(start)),
            show(Nanos::MAX)
        ));
        problems.push(problem.help("start earlier, or run for a shorter time"));
    }
    problems
}

/// How the pipeline takes records, and the run's clock at its start.
pub fn pace_and_clock(options: &Options, telemetry: &Settings) -> (Pace, Clock) {
    if !options.virtual_time {
        return (Pace::Real, Clock::real());
    }
    let to_backend = telemetry.otlp.is_some() && !telemetry.disabled;
    let start = match options.start {
        Some(Start::At(start)) => start,
        Some(Start::Now) => clock::wall(),
        // Backends drop what is far from now, and most what is yet to come: the
        // run ends now.
        None if to_backend => clock::wall().saturating_sub(options.stop_after.unwrap_or(0)),
        // A file is to be the same every time.
        None => VIRTUAL_START,
    };
    (Pace::Virtual, Clock::virtual_from(start))
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
}
