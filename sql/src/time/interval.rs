//! Intervals, as they are written and added.

use super::{Civil, Clock, DAY, SECOND, days_of_month, invalid};
use crate::error::{Failure, Result, sqlstate};

/// An interval: months, days and microseconds are kept apart, because neither has a fixed length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interval {
    pub months: i64,
    pub days: i64,
    pub micros: i64,
}

/// Why a text is no interval.
enum Wrong {
    Syntax,
    TooLarge,
}

/// Digits of the hours of an interval.
const DIGITS_OF_HOURS: usize = 7;

/// Months and days of an interval at most, as in PostgreSQL; and microseconds.
const MOST: f64 = 2_147_483_647.0;
const MOST_MICROS: f64 = 9.2e18;

fn within(amount: f64, most: f64) -> std::result::Result<i64, Wrong> {
    if amount.abs() <= most { Ok(amount as i64) } else { Err(Wrong::TooLarge) }
}

/// To twelve digits behind the point: 0.7 months are 21 days, and 1.7 months not less.
fn rounded(amount: f64) -> f64 {
    const DIGITS: f64 = 1e12;
    if amount.abs() < 1e3 { libm::rint(amount * DIGITS) / DIGITS } else { amount }
}

impl Interval {
    /// `1 day 2 hours`, `90 minutes`, `01:30:00`, `-1 month`, `2 weeks ago`, `1-2` for years and months,
    /// `P1DT2H`.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let read = match trimmed.strip_prefix(['P', 'p']) {
            Some(designators) => Self::of_designators(designators),
            None => Self::of_words(trimmed),
        };
        read.map_err(|wrong| match wrong {
            Wrong::Syntax => invalid("interval", text),
            Wrong::TooLarge => {
                let message = format!("interval field value out of range: \"{text}\"");
                Failure::new(sqlstate::INTERVAL_OVERFLOW, message).hint("write a shorter interval")
            }
        })
    }

    fn of_words(text: &str) -> std::result::Result<Self, Wrong> {
        let mut words: Vec<&str> = text.split_whitespace().filter(|word| *word != "@").collect();
        let ago = words.last() == Some(&"ago");
        if ago {
            words.pop();
        }
        let mut interval = Self::default();
        let mut words = words.into_iter().peekable();
        if words.peek().is_none() {
            return Err(Wrong::Syntax);
        }
        while let Some(word) = words.next() {
            let (sign, unsigned) = match word.strip_prefix('-') {
                Some(rest) => (-1, rest),
                None => (1, word.strip_prefix('+').unwrap_or(word)),
            };
            if word.contains(':') {
                let clock = Clock::parse(unsigned, DIGITS_OF_HOURS).ok_or(Wrong::Syntax)?;
                if clock.minutes > 59 || clock.seconds > 60 {
                    return Err(Wrong::TooLarge);
                }
                interval.add_micros(clock.micros() as f64 * f64::from(sign))?;
                continue;
            }
            if let Some((years, months)) = unsigned.split_once('-') {
                let part = |digits: &str| digits.parse::<u32>().map(f64::from).map_err(|_| Wrong::Syntax);
                let months = part(years)? * 12.0 + part(months)?;
                interval.add_unit(months * f64::from(sign), "month")?;
                continue;
            }
            // `1day` and `1 day`; a number before a time counts days, and one alone counts seconds.
            let end = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
            let (amount, unit) = word.split_at(end);
            let amount: f64 = amount.parse().map_err(|_| Wrong::Syntax)?;
            let unit = match words.peek() {
                _ if !unit.is_empty() => unit,
                Some(next) if next.contains(':') => "day",
                Some(_) => words.next().unwrap_or_default(),
                None => "second",
            };
            interval.add_unit(amount, unit)?;
        }
        Ok(if ago { interval.times(-1.0) } else { interval })
    }

    /// ISO 8601, without the `P`: `1Y2M`, `3W`, `1DT2H30M`.
    fn of_designators(text: &str) -> std::result::Result<Self, Wrong> {
        let mut interval = Self::default();
        let (date, time) = text.split_once(['T', 't']).unwrap_or((text, ""));
        let parts = [
            (date, [("Y", "year"), ("M", "month"), ("W", "week"), ("D", "day")].as_slice()),
            (time, [("H", "hour"), ("M", "minute"), ("S", "second")].as_slice()),
        ];
        for (mut rest, units) in parts {
            while !rest.is_empty() {
                let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(Wrong::Syntax)?;
                let amount: f64 = rest[..end].parse().map_err(|_| Wrong::Syntax)?;
                let (letter, behind) = rest[end..].split_at(1);
                let unit = units.iter().find(|(known, _)| known.eq_ignore_ascii_case(letter));
                interval.add_unit(amount, unit.ok_or(Wrong::Syntax)?.1)?;
                rest = behind;
            }
        }
        if text.is_empty() { Err(Wrong::Syntax) } else { Ok(interval) }
    }

    fn add_unit(&mut self, amount: f64, unit: &str) -> std::result::Result<(), Wrong> {
        if !amount.is_finite() {
            return Err(Wrong::Syntax);
        }
        let unit = unit.to_ascii_lowercase();
        let unit = if unit.len() > 3 { unit.trim_end_matches('s') } else { &unit };
        let mut years = |years: f64| self.add_months(libm::rint(amount * 12.0 * years));
        let size = match unit {
            "millennium" | "millennia" | "mil" => return years(1_000.0),
            "century" | "centurie" | "c" | "cent" => return years(100.0),
            "decade" | "dec" => return years(10.0),
            "year" | "y" | "yr" => return years(1.0),
            "month" | "mon" => {
                self.add_months(amount)?;
                return self.add_days(rounded((amount - libm::trunc(amount)) * 30.0));
            }
            "week" | "w" => return self.add_days(amount * 7.0),
            "day" | "d" => return self.add_days(amount),
            "hour" | "h" | "hr" => 3_600 * SECOND,
            "minute" | "m" | "min" => 60 * SECOND,
            "second" | "s" | "sec" => SECOND,
            "millisecond" | "ms" | "msec" => 1_000,
            "microsecond" | "us" | "usec" => 1,
            _ => return Err(Wrong::Syntax),
        };
        self.add_micros(amount * size as f64)
    }

    fn add_months(&mut self, amount: f64) -> std::result::Result<(), Wrong> {
        self.months = self.months.checked_add(within(amount, MOST)?).ok_or(Wrong::TooLarge)?;
        Ok(())
    }

    fn add_whole_days(&mut self, amount: f64) -> std::result::Result<(), Wrong> {
        self.days = self.days.checked_add(within(amount, MOST)?).ok_or(Wrong::TooLarge)?;
        Ok(())
    }

    fn add_days(&mut self, amount: f64) -> std::result::Result<(), Wrong> {
        self.add_whole_days(amount)?;
        self.add_micros((amount - libm::trunc(amount)) * DAY as f64)
    }

    fn add_micros(&mut self, amount: f64) -> std::result::Result<(), Wrong> {
        let amount = within(libm::rint(amount), MOST_MICROS)?;
        self.micros = self.micros.checked_add(amount).ok_or(Wrong::TooLarge)?;
        Ok(())
    }

    /// A part of a month are days, of which it has 30, and a part of a day is a time, as in PostgreSQL.
    pub(crate) fn times(self, factor: f64) -> Self {
        let (months, days) = (self.months as f64 * factor, self.days as f64 * factor);
        let of_month = rounded((months - libm::trunc(months)) * 30.0);
        let of_day = rounded(days - libm::trunc(days) + of_month - libm::trunc(of_month));
        let more = libm::trunc(of_day);
        Self {
            months: months as i64,
            days: (days as i64).saturating_add((libm::trunc(of_month) + more) as i64),
            micros: libm::rint(self.micros as f64 * factor + (of_day - more) * DAY as f64) as i64,
        }
    }

    /// Its length for a comparison, where a month has 30 days.
    pub(crate) fn seconds(self) -> f64 {
        let days = self.months as f64 * 30.0 + self.days as f64;
        days * (DAY / SECOND) as f64 + self.micros as f64 / SECOND as f64
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
