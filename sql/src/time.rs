//! Timestamps as microseconds since 1970 in UTC, and as PostgreSQL writes them.
//!
//! They are stored as text in one format, so that their order as text is their order in time for years 0001
//! to 9999.

mod interval;

use std::ops::RangeInclusive;

use crate::error::{Failure, Result, sqlstate};

pub(crate) use interval::Interval;

pub(crate) const SECOND: i64 = 1_000_000;
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// A moment by the Gregorian calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    /// Microseconds since midnight.
    pub rest: i64,
}

/// Days since 1970-01-01. By Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
pub(crate) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Civil {
    pub(crate) fn of(micros: i64) -> Self {
        let shifted = micros.div_euclid(DAY) + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Self { year, month, day, rest: micros.rem_euclid(DAY) }
    }

    pub(crate) fn micros(self) -> i64 {
        days(self.year, self.month, self.day) * DAY + self.rest
    }
}

pub(crate) fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2026-11-29`.
pub(crate) fn date_text(micros: i64) -> String {
    let civil = Civil::of(micros);
    format!("{:04}-{:02}-{:02}", civil.year, civil.month, civil.day)
}

/// `12:30:05.25`: without trailing zeros.
pub(crate) fn time_text(rest: i64) -> String {
    let seconds = rest / SECOND;
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest % SECOND != 0 {
        let fraction = format!("{:06}", rest % SECOND);
        text.push('.');
        text.push_str(fraction.trim_end_matches('0'));
    }
    text
}

/// `2026-11-29 12:30:05.25`, with `+00` behind it for a timestamptz in UTC.
pub(crate) fn timestamp_text(micros: i64, zone: bool) -> String {
    format!("{} {}{}", date_text(micros), time_text(micros.rem_euclid(DAY)), if zone { "+00" } else { "" })
}

/// Reads a date, a timestamp, or one with an offset from UTC, in ISO 8601; `kind` is for the message.
/// An offset counts if `zone`, and is left out otherwise, as PostgreSQL does.
pub(crate) fn parse_timestamp(text: &str, kind: &str, zone: bool) -> Result<i64> {
    let invalid = || invalid(kind, text);
    let trimmed = text.trim();
    let (date, clock) = match trimmed.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, Some(clock.trim_start())),
        None => (trimmed, None),
    };
    let mut parts = date.splitn(3, '-');
    let mut part = |digits: RangeInclusive<usize>| number(parts.next(), digits).ok_or_else(invalid);
    let (year, month, day) = (part(4..=4)?, part(1..=2)?, part(1..=2)?);
    if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) || year == 0 {
        return Err(out_of_range(text));
    }
    let midnight = days(year, month, day) * DAY;
    let Some(clock) = clock else { return Ok(midnight) };
    let utc = ["UTC", "GMT"].into_iter().find_map(|name| clock.strip_suffix(name));
    let (time, offset) = match clock.find(['Z', 'z', '+', '-']) {
        _ if utc.is_some() => (utc.unwrap_or_default(), 0),
        Some(at) => (&clock[..at], parse_offset(&clock[at..]).ok_or_else(invalid)?),
        None => (clock, 0),
    };
    let moment = midnight + time_of_day(time.trim_end(), text, kind)? - if zone { offset } else { 0 };
    if (1..=9_999).contains(&Civil::of(moment).year) { Ok(moment) } else { Err(out_of_range(text)) }
}

pub(crate) fn invalid(kind: &str, text: &str) -> Failure {
    let hint = match kind {
        "interval" => "write it as '1 day 02:00:00', '90 minutes' or 'P1DT2H'",
        "date" => "write it as '2026-01-31'",
        "time without time zone" => "write it as '12:30:05'",
        _ => "write it as '2026-01-31 12:30:05', with +01 behind it for another time zone",
    };
    let message = format!("invalid input syntax for type {kind}: \"{text}\"");
    Failure::new(sqlstate::INVALID_DATETIME, message).hint(hint)
}

pub(crate) fn out_of_range(text: &str) -> Failure {
    let message = format!("date/time field value out of range: \"{text}\"");
    Failure::new(sqlstate::DATETIME_OVERFLOW, message)
        .hint("write a day of the calendar, from year 0001 to 9999, and hours up to 24:00:00")
}

/// `12:30`, `12:30:05` or `12:30:05.25` as microseconds since midnight; `whole` and `kind` are for messages.
pub(crate) fn time_of_day(text: &str, whole: &str, kind: &str) -> Result<i64> {
    let clock = Clock::parse(text, 2).ok_or_else(|| invalid(kind, whole))?;
    let micros = clock.micros();
    if clock.minutes < 60 && clock.seconds <= 60 && micros <= DAY {
        Ok(micros)
    } else {
        Err(out_of_range(whole))
    }
}

/// Hours, minutes and seconds, as they are written.
struct Clock {
    hours: i64,
    minutes: i64,
    seconds: i64,
    micros: i64,
}

impl Clock {
    fn parse(text: &str, digits_of_hours: usize) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let hours = number(parts.next(), 1..=digits_of_hours)?;
        let minutes = number(parts.next(), 1..=2)?;
        let Some(seconds) = parts.next() else { return Some(Self { hours, minutes, seconds: 0, micros: 0 }) };
        let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
        if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
        let rounded_up = fraction.as_bytes().get(6).is_some_and(|digit| *digit >= b'5');
        Some(Self {
            hours,
            minutes,
            seconds: number(Some(whole), 1..=2)?,
            micros: number(Some(&digits), 6..=6)? + i64::from(rounded_up),
        })
    }

    fn micros(&self) -> i64 {
        ((self.hours * 60 + self.minutes) * 60 + self.seconds) * SECOND + self.micros
    }
}

/// `Z`, `+01`, `+0100` or `-01:30`, in microseconds.
fn parse_offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { number(Some(minutes), 2..=2)? };
    let offset = (number(Some(hours), 2..=2)? * 60 + minutes) * 60 * SECOND;
    Some(if sign == "-" { -offset } else { offset })
}

fn number(text: Option<&str>, digits: RangeInclusive<usize>) -> Option<i64> {
    let text = text?;
    let valid = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

/// The beginning of the hour, month … in which a moment lies.
pub(crate) fn truncate(field: &str, micros: i64) -> Option<i64> {
    let civil = Civil::of(micros);
    let first_of = |year, month| days(year, month, 1) * DAY;
    let step = |size: i64| micros - micros.rem_euclid(size);
    Some(match field {
        "microsecond" | "microseconds" => micros,
        "millisecond" | "milliseconds" => step(1_000),
        "second" => step(SECOND),
        "minute" => step(60 * SECOND),
        "hour" => step(3_600 * SECOND),
        "day" => step(DAY),
        // 1970-01-01 was a Thursday; weeks begin on Monday.
        "week" => micros - (micros + 3 * DAY).rem_euclid(7 * DAY),
        "month" => first_of(civil.year, civil.month),
        "quarter" => first_of(civil.year, (civil.month - 1) / 3 * 3 + 1),
        "year" => first_of(civil.year, 1),
        "decade" => first_of(civil.year.div_euclid(10) * 10, 1),
        _ => return None,
    })
}

/// A part of a moment, as `extract` gives it.
pub(crate) fn extract(field: &str, micros: i64) -> Option<f64> {
    let civil = Civil::of(micros);
    let seconds = civil.rest / SECOND;
    let of_minute = civil.rest % (60 * SECOND);
    let weekday = (micros.div_euclid(DAY) + 4).rem_euclid(7);
    Some(match field {
        "epoch" => micros as f64 / SECOND as f64,
        "microseconds" | "microsecond" => of_minute as f64,
        "milliseconds" | "millisecond" => of_minute as f64 / 1_000.0,
        "second" => of_minute as f64 / SECOND as f64,
        "minute" => (seconds / 60 % 60) as f64,
        "hour" => (seconds / 3_600) as f64,
        "day" => civil.day as f64,
        "month" => civil.month as f64,
        "quarter" => ((civil.month - 1) / 3 + 1) as f64,
        "year" => civil.year as f64,
        "dow" => weekday as f64,
        "isodow" => (if weekday == 0 { 7 } else { weekday }) as f64,
        "doy" => (days(civil.year, civil.month, civil.day) - days(civil.year, 1, 1) + 1) as f64,
        "week" => {
            // The week of a year is that of its Thursday.
            let thursday = truncate("week", micros)? + 3 * DAY;
            let first = days(Civil::of(thursday).year, 1, 1) * DAY;
            ((thursday - first) / (7 * DAY) + 1) as f64
        }
        _ => return None,
    })
}

/// A part of the time between two moments, which has days and a time.
pub(crate) fn extract_between(field: &str, micros: i64) -> Option<f64> {
    let rest = micros % DAY;
    Some(match field {
        "epoch" => micros as f64 / SECOND as f64,
        "day" => (micros / DAY) as f64,
        "hour" => (rest / (3_600 * SECOND)) as f64,
        "minute" => (rest / (60 * SECOND) % 60) as f64,
        "second" => (rest % (60 * SECOND)) as f64 / SECOND as f64,
        "milliseconds" | "millisecond" => (rest % (60 * SECOND)) as f64 / 1_000.0,
        "microseconds" | "microsecond" => (rest % (60 * SECOND)) as f64,
        "year" | "quarter" | "month" | "decade" | "century" => 0.0,
        _ => return None,
    })
}
