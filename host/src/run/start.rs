//! When a run begins and how fast its time passes, as the command line says it: `--start`, `--speed`.

use std::str::FromStr;

use jiff::Timestamp;

use crate::model::Nanos;

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
pub fn show(instant: Nanos) -> String {
    let second = i64::try_from(instant / 1_000_000_000).expect("a u64 of nanoseconds has few seconds");
    Timestamp::from_second(second).expect("a u64 of nanoseconds ends in 2554").to_string()
}

/// How fast simulated time passes, at the most, for each second of real time: `--speed`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Speed {
    const SLOWEST: f64 = 0.001;
    const FASTEST: f64 = 1_000_000.0;

    /// Simulated seconds in each real one.
    pub const fn factor(self) -> f64 {
        self.0
    }
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

#[cfg(test)]
mod tests {
    use crate::clock::VIRTUAL_START;

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
}
