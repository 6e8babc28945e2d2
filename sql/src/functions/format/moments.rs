//! Moments as texts by a pattern, and back.

use crate::error::{Failure, Result, sqlstate};
use crate::price::Price;
use crate::state::Shared;
use crate::time::{Civil, DAY, SECOND, days, days_of_month, extract};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// Parts with letters of their own case, the longer ones before those that they begin with.
const NAMES: [&str; 22] = [
    "Month", "MONTH", "month", "Mon", "MON", "mon", "Day", "DAY", "day", "Dy", "DY", "dy", "A.M.", "P.M.",
    "a.m.", "p.m.", "AM", "PM", "am", "pm", "TZ", "tz",
];

/// Parts in capitals or in small letters, in the same order; and those of PostgreSQL that are not had.
const DIGITS: [(&str, bool); 43] = [
    ("Y,YYY", false),
    ("YYYY", true),
    ("YYY", false),
    ("YY", true),
    ("Y", false),
    ("IYYY", true),
    ("IYY", false),
    ("IY", false),
    ("IDDD", false),
    ("ID", true),
    ("IW", true),
    ("I", false),
    ("MM", true),
    ("MI", true),
    ("MS", true),
    ("DDD", true),
    ("DD", true),
    ("D", true),
    ("HH24", true),
    ("HH12", true),
    ("HH", true),
    ("SSSSS", true),
    ("SSSS", true),
    ("SS", true),
    ("US", true),
    ("CC", true),
    ("WW", true),
    ("W", true),
    ("J", true),
    ("Q", true),
    ("FF1", false),
    ("FF2", false),
    ("FF3", false),
    ("FF4", false),
    ("FF5", false),
    ("FF6", false),
    ("FX", false),
    ("OF", false),
    ("RM", false),
    ("A.D.", false),
    ("B.C.", false),
    ("AD", false),
    ("BC", false),
];

/// What a pattern begins with.
enum Token<'a> {
    /// A part, in capitals if it is of digits.
    Part(&'static str),
    /// The next part has no blanks and zeros.
    Compact,
    /// What stands for itself, between quotes or not.
    Text(&'a str),
}

impl Token<'_> {
    fn price(&self) -> u64 {
        match self {
            Token::Part(_) => Price::of_moment(),
            Token::Compact | Token::Text(_) => Price::of_search(),
        }
    }
}

/// The first token of a pattern that is not empty, and what stands behind it.
fn token(pattern: &str) -> Result<(Token<'_>, &str)> {
    let cased = |word: &str| {
        let begin = pattern.get(..word.len())?;
        (begin == word || begin == word.to_ascii_lowercase()).then_some(&pattern[word.len()..])
    };
    if let Some(quoted) = pattern.strip_prefix('"') {
        let (inside, behind) = quoted.split_once('"').unwrap_or((quoted, ""));
        return Ok((Token::Text(inside), behind));
    }
    if let Some(rest) = pattern.strip_prefix("\\\"") {
        return Ok((Token::Text("\""), rest));
    }
    if let Some(behind) = cased("FM") {
        return Ok((Token::Compact, behind));
    }
    if cased("TM").is_some() || cased("TZH").is_some() || cased("TZM").is_some() {
        return Err(unknown(&pattern[..2]));
    }
    let named = NAMES.into_iter().find_map(|name| Some((name, pattern.strip_prefix(name)?)));
    let (part, behind) = match named {
        Some(named) => named,
        None => match DIGITS.into_iter().find_map(|(name, had)| Some((name, had, cased(name)?))) {
            Some((name, true, behind)) => (name, behind),
            Some((name, false, _)) => return Err(unknown(name)),
            None => {
                let letter = pattern.chars().next().map_or(0, char::len_utf8);
                return Ok((Token::Text(&pattern[..letter]), &pattern[letter..]));
            }
        },
    };
    if behind.starts_with("TH") || behind.starts_with("th") {
        return Err(unknown(&format!("{part}TH")));
    }
    Ok((Token::Part(part), behind))
}

fn unknown(part: &str) -> Failure {
    let hint = "use YYYY, YY, MM, Month, Mon, DD, DDD, Day, Dy, D, HH24, HH12, MI, SS, MS, US, AM, IYYY, \
                IW, ID, WW, W, Q, CC, J, SSSS, TZ and FM; put other text in double quotes, and a T \
                between them as \"T\"";
    Failure::unsupported(format!("`{part}` in the pattern of a moment"), hint)
}

/// A moment by a pattern. Each part of it counts as a cast to a moment.
pub(super) fn written(micros: i64, pattern: &str, shared: &Shared) -> Result<String> {
    let (mut written, mut rest, mut padded) = (String::new(), pattern, true);
    while !rest.is_empty() {
        let (token, behind) = token(rest)?;
        shared.take(token.price())?;
        rest = behind;
        match token {
            Token::Text(text) => written.push_str(text),
            Token::Compact => padded = false,
            Token::Part(part) => {
                written.push_str(&part_text(micros, part, padded));
                padded = true;
            }
        }
    }
    Ok(written)
}

fn part_text(micros: i64, part: &str, padded: bool) -> String {
    let civil = Civil::of(micros);
    let seconds = civil.rest / SECOND;
    let hour = seconds / 3_600;
    let field = |name: &str| extract(name, micros).unwrap_or(0.0) as i64;
    let named = |name: &str, short: bool| {
        let name = if short { &name[..3] } else { name };
        let cased = match part.chars().nth(1) {
            Some(second) if second.is_uppercase() => name.to_uppercase(),
            _ if part.starts_with(char::is_lowercase) => name.to_lowercase(),
            _ => name.to_owned(),
        };
        if padded && !short { format!("{cased:<9}") } else { cased }
    };
    let month = MONTHS[(civil.month - 1) as usize];
    let weekday = WEEKDAYS[field("dow") as usize];
    let (number, digits) = match part {
        "Month" | "MONTH" | "month" => return named(month, false),
        "Mon" | "MON" | "mon" => return named(month, true),
        "Day" | "DAY" | "day" => return named(weekday, false),
        "Dy" | "DY" | "dy" => return named(weekday, true),
        "AM" | "PM" => return if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "am" | "pm" => return if hour < 12 { "am" } else { "pm" }.to_owned(),
        "A.M." | "P.M." => return if hour < 12 { "A.M." } else { "P.M." }.to_owned(),
        "a.m." | "p.m." => return if hour < 12 { "a.m." } else { "p.m." }.to_owned(),
        "TZ" => return "UTC".to_owned(),
        "tz" => return "utc".to_owned(),
        "YYYY" => (civil.year, 4),
        "IYYY" => {
            let thursday = micros.div_euclid(DAY) * DAY + (4 - field("isodow")) * DAY;
            (Civil::of(thursday).year, 4)
        }
        "YY" => (civil.year % 100, 2),
        "CC" => ((civil.year + 99) / 100, 2),
        "MM" => (civil.month, 2),
        "DD" => (civil.day, 2),
        "DDD" => (field("doy"), 3),
        "D" => (field("dow") + 1, 1),
        "ID" => (field("isodow"), 1),
        "IW" => (field("week"), 2),
        "WW" => ((field("doy") - 1) / 7 + 1, 2),
        "W" => ((civil.day - 1) / 7 + 1, 1),
        // The day of 1970-01-01 as Julian days count it.
        "J" => (micros.div_euclid(DAY) + 2_440_588, 1),
        "Q" => (field("quarter"), 1),
        "HH24" => (hour, 2),
        "HH12" | "HH" => ((hour + 11) % 12 + 1, 2),
        "MI" => (seconds / 60 % 60, 2),
        "SSSS" | "SSSSS" => (seconds, 1),
        "SS" => (seconds % 60, 2),
        "MS" => (civil.rest % SECOND / 1_000, 3),
        _ => (civil.rest % SECOND, 6),
    };
    if padded { format!("{number:0digits$}") } else { number.to_string() }
}

/// A text that is read by a pattern.
struct Reading<'a> {
    text: &'a str,
    /// Year, month, day, hour, minute, second and microseconds.
    fields: [i64; 7],
    afternoon: Option<bool>,
    has_year: bool,
}

/// The moment that a text says by a pattern.
pub(super) fn parsed(written: &str, pattern: &str, shared: &Shared) -> Result<i64> {
    let mut reading =
        Reading { text: written.trim(), fields: [1, 1, 1, 0, 0, 0, 0], afternoon: None, has_year: false };
    let mut rest = pattern;
    while !rest.is_empty() {
        let (token, behind) = token(rest)?;
        shared.take(token.price())?;
        rest = behind;
        let read = match token {
            Token::Compact => Some(()),
            Token::Text(text) => reading.skip(text),
            Token::Part(part) => reading.part(part)?,
        };
        if read.is_none() {
            let message = format!("invalid value \"{written}\" for the pattern \"{pattern}\"");
            return Err(Failure::new(sqlstate::INVALID_DATETIME, message).hint(
                "the pattern has YYYY, MM, DD, HH24, MI, SS, MS and US, and what stands between them",
            ));
        }
    }
    if !reading.has_year {
        let what = format!("the pattern \"{pattern}\" without a year");
        return Err(Failure::unsupported(what, "add YYYY to it, and a year to the text"));
    }
    reading.moment().ok_or_else(|| crate::time::out_of_range(written))
}

impl Reading<'_> {
    /// What stands between two parts may be any characters that are no part.
    fn skip(&mut self, text: &str) -> Option<()> {
        for letter in text.chars() {
            let other = self.text.chars().next()?;
            if !other.is_alphanumeric() || letter == other {
                self.text = &self.text[other.len_utf8()..];
            }
        }
        Some(())
    }

    fn part(&mut self, part: &str) -> Result<Option<()>> {
        Ok(match part {
            "YYYY" => {
                self.has_year = true;
                self.number(0, 4)
            }
            "MM" => self.number(1, 2),
            "DD" => self.number(2, 2),
            "HH24" => self.number(3, 2),
            "HH12" | "HH" => self.number(3, 2).filter(|()| (1..=12).contains(&self.fields[3])),
            "MI" => self.number(4, 2),
            "SS" => self.number(5, 2),
            "MS" => self.number(6, 3),
            "US" => self.number(6, 6),
            "Month" | "MONTH" | "month" => self.month(false),
            "Mon" | "MON" | "mon" => self.month(true),
            "AM" | "PM" | "am" | "pm" => self.half("am", "pm"),
            "A.M." | "P.M." | "a.m." | "p.m." => self.half("a.m.", "p.m."),
            other => {
                let hint = "read it by YYYY, MM, Month, Mon, DD, HH24, HH12, MI, SS, MS, US and AM";
                let what = format!("`{other}` in the pattern of a text that is read");
                return Err(Failure::unsupported(what, hint));
            }
        })
    }

    fn number(&mut self, field: usize, digits: usize) -> Option<()> {
        let end = self.text.bytes().take(digits).take_while(u8::is_ascii_digit).count();
        let number = self.text[..end].parse::<i64>().ok()?;
        let scale = if field == 6 { 10_i64.pow(6 - end as u32) } else { 1 };
        self.fields[field] = number * scale;
        self.text = &self.text[end..];
        Some(())
    }

    fn month(&mut self, short: bool) -> Option<()> {
        let begins = |name: &&str| {
            let name = if short { &name[..3] } else { *name };
            self.text.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        let found = MONTHS.iter().position(begins)?;
        self.fields[1] = found as i64 + 1;
        self.text = &self.text[if short { 3 } else { MONTHS[found].len() }..];
        Some(())
    }

    fn half(&mut self, morning: &str, evening: &str) -> Option<()> {
        let begin = self.text.get(..morning.len())?;
        let afternoon = begin.eq_ignore_ascii_case(evening);
        if !afternoon && !begin.eq_ignore_ascii_case(morning) {
            return None;
        }
        (self.afternoon, self.text) = (Some(afternoon), &self.text[morning.len()..]);
        Some(())
    }

    fn moment(&self) -> Option<i64> {
        let [year, month, day, mut hour, minute, second, micros] = self.fields;
        if let Some(afternoon) = self.afternoon {
            hour = hour % 12 + if afternoon { 12 } else { 0 };
        }
        let valid = (1..=9_999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_of_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second < 60;
        valid.then(|| days(year, month, day) * DAY + ((hour * 60 + minute) * 60 + second) * SECOND + micros)
    }
}
