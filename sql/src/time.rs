//! Timestamps as microseconds since 1970 in UTC, and as PostgreSQL writes them.
//!
//! They are stored as text in one format, so that their order as text is their order in time for years 0001
//! to 9999.

use crate::error::{Failure, Result, sqlstate};

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
    let (date, rest) = trimmed.split_at_checked(10).ok_or_else(invalid)?;
    let mut parts = date.splitn(3, '-');
    let mut part = |digits: usize| number(parts.next(), digits).ok_or_else(invalid);
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if !(1..=12).contains(&month) || !(1..=days_of_month(year, month)).contains(&day) || year == 0 {
        let message = format!("date/time field value out of range: \"{text}\"");
        return Err(Failure::new(sqlstate::DATETIME_OVERFLOW, message));
    }
    let midnight = days(year, month, day) * DAY;
    if rest.is_empty() {
        return Ok(midnight);
    }
    let clock = rest.strip_prefix(['T', ' ']).ok_or_else(invalid)?;
    let (time, offset) = match clock.find(['Z', 'z', '+', '-']) {
        Some(at) => (clock[..at].trim_end(), parse_offset(&clock[at..]).ok_or_else(invalid)?),
        None => (clock, 0),
    };
    let time = parse_time(time).ok_or_else(invalid)?;
    Ok(midnight + time - if zone { offset } else { 0 })
}

pub(crate) fn invalid(kind: &str, text: &str) -> Failure {
    Failure::new(sqlstate::INVALID_DATETIME, format!("invalid input syntax for type {kind}: \"{text}\""))
}

/// `12:30`, `12:30:05` or `12:30:05.25`, as microseconds since midnight.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    let mut parts = text.splitn(3, ':');
    let hours = number(parts.next(), 2)?;
    let minutes = number(parts.next(), 2)?;
    let (seconds, micros) = match parts.next() {
        None => (0, 0),
        Some(seconds) => {
            let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
            let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
            (number(Some(whole), 2)?, number(Some(&digits), 6)?)
        }
    };
    let valid = hours < 24 && minutes < 60 && seconds < 60;
    valid.then(|| ((hours * 60 + minutes) * 60 + seconds) * SECOND + micros)
}

/// `Z`, `+01`, `+0100` or `-01:30`, in microseconds.
fn parse_offset(text: &str) -> Option<i64> {
    if text.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, digits) = text.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let (hours, minutes) = digits.split_at_checked(2)?;
    let minutes = if minutes.is_empty() { 0 } else { number(Some(minutes), 2)? };
    let offset = (number(Some(hours), 2)? * 60 + minutes) * 60 * SECOND;
    Some(if sign == "-" { -offset } else { offset })
}

fn number(text: Option<&str>, digits: usize) -> Option<i64> {
    let text = text?;
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
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

/// An interval: months, days and microseconds are kept apart, because neither has a fixed length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

impl Interval {
    /// `1 day 2 hours`, `90 minutes`, `01:30:00`, `-1 month`, `2 weeks ago`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let failure = || invalid("interval", text);
        let mut words: Vec<&str> = text.split_whitespace().collect();
        let ago = words.last() == Some(&"ago");
        if ago {
            words.pop();
        }
        let mut interval = Self::default();
        let mut words = words.into_iter().peekable();
        if words.peek().is_none() {
            return Err(failure());
        }
        while let Some(word) = words.next() {
            if word.contains(':') {
                let (negative, clock) = (word.starts_with('-'), word.trim_start_matches(['-', '+']));
                let time = parse_time(clock).ok_or_else(failure)?;
                interval.micros += if negative { -time } else { time };
                continue;
            }
            // `1day` and `1 day`.
            let end = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
            let (amount, unit) = word.split_at(end);
            let amount: f64 = amount.parse().map_err(|_| failure())?;
            let unit = if unit.is_empty() { words.next().ok_or_else(failure)? } else { unit };
            interval.add_unit(amount, unit).ok_or_else(failure)?;
        }
        Ok(if ago { interval.times(-1.0) } else { interval })
    }

    fn add_unit(&mut self, amount: f64, unit: &str) -> Option<()> {
        if !amount.is_finite() || amount.abs() > 1e9 {
            return None;
        }
        let unit = unit.to_ascii_lowercase();
        let unit = if unit.len() > 3 { unit.trim_end_matches('s') } else { &unit };
        let micros = |size: i64| (amount * size as f64) as i64;
        match unit {
            "year" | "y" | "yr" => self.months += (amount * 12.0) as i64,
            "month" | "mon" => {
                self.months += amount as i64;
                self.days += ((amount - libm::trunc(amount)) * 30.0) as i64;
            }
            "week" | "w" => self.add_days(amount * 7.0),
            "day" | "d" => self.add_days(amount),
            "hour" | "h" | "hr" => self.micros += micros(3_600 * SECOND),
            "minute" | "m" | "min" => self.micros += micros(60 * SECOND),
            "second" | "s" | "sec" => self.micros += micros(SECOND),
            "millisecond" | "ms" => self.micros += micros(1_000),
            "microsecond" | "us" => self.micros += micros(1),
            _ => return None,
        }
        Some(())
    }

    fn add_days(&mut self, amount: f64) {
        self.days += amount as i64;
        self.micros += ((amount - libm::trunc(amount)) * DAY as f64) as i64;
    }

    pub(crate) fn times(self, factor: f64) -> Self {
        let mut product = Self { months: (self.months as f64 * factor) as i64, ..Self::default() };
        product.add_days(self.days as f64 * factor);
        product.micros += (self.micros as f64 * factor) as i64;
        product
    }

    /// The moment that lies this much later: the last day of a month that is too short.
    pub(crate) fn after(self, micros: i64) -> Option<i64> {
        let civil = Civil::of(micros);
        let months = (civil.year * 12 + civil.month - 1).checked_add(self.months)?;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        if !(1..=9_999).contains(&year) {
            return None;
        }
        let day = civil.day.min(days_of_month(year, month));
        let moved = Civil { year, month, day, rest: civil.rest }.micros();
        let moved = moved.checked_add(self.days.checked_mul(DAY)?)?.checked_add(self.micros)?;
        (1..=9_999).contains(&Civil::of(moved).year).then_some(moved)
    }
}
