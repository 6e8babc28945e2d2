//! Lengths of time and sizes, from the way people write them.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::reader::Value;
use crate::clock;
use crate::error::{Problem, quote};
use crate::model::Nanos;

/// No simulated time may be longer: 365 days, in nanoseconds.
pub(crate) const LONGEST: Nanos = 365 * 86_400 * 1_000_000_000;

pub(crate) const TIME_UNITS: [(&str, u64); 6] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

pub(crate) const INSTRUCTION_UNITS: [(&str, u64); 3] = [("ps", 1), ("ns", 1_000), ("us", 1_000_000)];

/// What else people write for a unit of time.
const TIME_WORDS: [(&str, &str); 22] = [
    ("nsec", "ns"),
    ("nanos", "ns"),
    ("nanoseconds", "ns"),
    ("usec", "us"),
    ("micros", "us"),
    ("microseconds", "us"),
    ("\u{b5}s", "us"),
    ("\u{3bc}s", "us"),
    ("msec", "ms"),
    ("millis", "ms"),
    ("milliseconds", "ms"),
    ("sec", "s"),
    ("secs", "s"),
    ("second", "s"),
    ("seconds", "s"),
    ("min", "m"),
    ("mins", "m"),
    ("minute", "m"),
    ("minutes", "m"),
    ("hr", "h"),
    ("hour", "h"),
    ("hours", "h"),
];

pub(crate) const SIZE_UNITS: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
];

pub(crate) const BIT_UNITS: [(&str, u64); 4] =
    [("bit", 1), ("kbit", 1_000), ("Mbit", 1_000_000), ("Gbit", 1_000_000_000)];

/// What else people write for a unit of size.
const SIZE_WORDS: [(&str, &str); 12] = [
    ("b", "B"),
    ("bytes", "B"),
    ("k", "KiB"),
    ("K", "KiB"),
    ("KB", "kB"),
    ("Ki", "KiB"),
    ("m", "MiB"),
    ("M", "MiB"),
    ("Mi", "MiB"),
    ("g", "GiB"),
    ("G", "GiB"),
    ("Gi", "GiB"),
];

/// A kind of quantity: its name, its units and its examples.
pub(crate) struct Quantity {
    pub what: &'static str,
    pub units: &'static [(&'static str, u64)],
    pub words: &'static [(&'static str, &'static str)],
    /// The unit that a bare number most likely meant.
    pub usual: &'static str,
    /// As a person calls it.
    pub usual_name: &'static str,
    pub remedy: &'static str,
    pub list: &'static str,
    /// The smallest there is, in the plural.
    pub grain: &'static str,
}

const TIME: Quantity = Quantity {
    what: "length of time",
    units: &TIME_UNITS,
    words: &TIME_WORDS,
    usual: "s",
    usual_name: "seconds",
    remedy: r#"write a number and one of ns, us, ms, s, m, h, as in "350ms" or "1.5s""#,
    list: "ns, us, ms, s, m, h",
    grain: "nanoseconds",
};

const SHORT_TIME: Quantity = Quantity { usual: "ms", usual_name: "milliseconds", ..TIME };

/// Keys whose times are milliseconds rather than seconds.
const SHORT_TIMES: [&str; 13] = [
    "latency",
    "delay",
    "work",
    "backoff",
    "after",
    "by",
    "retransmit",
    // Of objectives.
    "mean",
    "max",
    "p50",
    "p90",
    "p95",
    "p99",
];

const SIZE: Quantity = Quantity {
    what: "size",
    units: &SIZE_UNITS,
    words: &SIZE_WORDS,
    usual: "MiB",
    usual_name: "MiB",
    remedy: r#"write a number and one of B, kB, KiB, MB, MiB, GB, GiB, as in "64MiB""#,
    list: "B, kB, KiB, MB, MiB, GB, GiB",
    grain: "bytes",
};

const BITS: Quantity = Quantity {
    what: "number of bits",
    units: &BIT_UNITS,
    words: &[],
    usual: "Mbit",
    usual_name: "Mbit",
    remedy: BANDWIDTH_REMEDY,
    list: "bit, kbit, Mbit, Gbit",
    grain: "bits",
};

/// A fixed length of time: `"350ms"`.
pub(crate) fn duration(value: &Value<'_>) -> Option<Nanos> {
    duration_of(value, value.key)
}

/// [`duration`] as a part of what `key` says: the key tells which unit is meant where there is none.
pub(crate) fn duration_of(value: &Value<'_>, key: &str) -> Option<Nanos> {
    let time = time_of(value, key);
    refuse_bare(value, time)?;
    value.read(|text| match text.contains("+/-") {
        true => Err(Problem::new(format!(
            "{} wants a fixed length of time, not {}",
            quote(value.key),
            quote(text)
        ))
        .label("this one varies")
        .help("write one length of time; only latencies and delays may vary")),
        false => bounded(text, time),
    })
}

/// [`duration`] of more than nothing.
pub(crate) fn positive_duration(value: &Value<'_>) -> Option<Nanos> {
    positive_duration_of(value, value.key)
}

/// [`duration_of`] of more than nothing.
pub(crate) fn positive_duration_of(value: &Value<'_>, key: &str) -> Option<Nanos> {
    match duration_of(value, key)? {
        0 => value.refuse(
            Problem::new(format!("{} must be longer than zero", quote(value.key)))
                .label("no time at all")
                .help(r#"write a longer time, such as "1ms""#),
        ),
        nanos => Some(nanos),
    }
}

/// [`duration`] within `range`.
pub(crate) fn duration_within(value: &Value<'_>, range: RangeInclusive<Nanos>) -> Option<Nanos> {
    let nanos = duration(value)?;
    if range.contains(&nanos) {
        return Some(nanos);
    }
    let (least, most) = (clock::show(*range.start()), clock::show(*range.end()));
    value.refuse(
        Problem::new(format!("{} is out of range: {}", quote(value.key), clock::show(nanos)))
            .label(if nanos > *range.end() { "too long" } else { "too short" })
            .help(format!("write a time from {least} to {most}")),
    )
}

/// A size in bytes within `range`: `"64MiB"`.
pub(crate) fn size(value: &Value<'_>, range: RangeInclusive<u64>) -> Option<u64> {
    refuse_bare(value, &SIZE)?;
    let bytes = value.read(|text| read(text, &SIZE))?;
    if let Some(bytes) = bytes.filter(|bytes| range.contains(bytes)) {
        return Some(bytes);
    }
    let (least, most) = (show_size(*range.start()), show_size(*range.end()));
    let shown = bytes.map_or_else(|| value.written().to_owned(), show_size);
    value.refuse(
        Problem::new(format!("{} is out of range: {shown}", quote(value.key)))
            .label(if bytes.is_some_and(|bytes| bytes < *range.start()) { "too small" } else { "too large" })
            .help(format!("write a size from {least} to {most}")),
    )
}

/// How to write what a link carries.
const BANDWIDTH_REMEDY: &str = r#"write bytes or bits and a second, as in "1MiB/s", "500kB/s" or "10Mbit/s""#;

/// What a link carries, in bytes per second: `"1MiB/s"`, `"10Mbit/s"`.
pub(crate) fn bandwidth(value: &Value<'_>) -> Option<u64> {
    if let DeValue::Integer(_) | DeValue::Float(_) = value.item() {
        let problem = Problem::new(format!("{} is a number without a unit", quote(value.key)));
        return value.refuse(problem.label("of what, and in which time?").help(BANDWIDTH_REMEDY));
    }
    value.read(|text| {
        let wrong = |label: &str| {
            let problem = Problem::new(format!("{} is not a bandwidth", quote(text)));
            Err(problem.label(label).help(BANDWIDTH_REMEDY))
        };
        let Some(amount) = text.strip_suffix("/s") else { return wrong("no \"/s\" behind it") };
        // Eight bits are a byte; what is left of one is carried too.
        let bits = text.contains("bit").then(|| parse(amount, &BITS).map(|bits| bits.div_ceil(8)));
        match bits.unwrap_or_else(|| parse(amount, &SIZE)) {
            Ok(0) => wrong("nothing, ever"),
            Ok(bytes) => Ok(bytes),
            Err(_) if amount.starts_with(['-', '\u{2212}']) => wrong("negative"),
            Err(problem) => wrong(&problem.label),
        }
    })
}

/// A length of time that may be negative, but not zero: `"-250ms"`.
pub(crate) fn offset(value: &Value<'_>) -> Option<i64> {
    refuse_bare(value, time_of(value, value.key))?;
    value.read(|text| {
        let behind = text.strip_prefix(['-', '\u{2212}']);
        let length = behind.or_else(|| text.strip_prefix('+')).unwrap_or(text);
        let nanos = i64::try_from(parse_duration(length)?).unwrap_or(i64::MAX);
        match (nanos, behind) {
            (0, _) => Err(Problem::new(format!("{} is no offset", quote(text)))
                .label("no time at all")
                .help(r#"write how far it is ahead, "5s", or behind, "-250ms""#)),
            (nanos, Some(_)) => Ok(-nanos),
            (nanos, None) => Ok(nanos),
        }
    })
}

/// Notes a number that lacks its unit, with the unit that it most likely wants.
pub(crate) fn refuse_bare_duration(value: &Value<'_>) -> Option<()> {
    refuse_bare(value, time_of(value, value.key))
}

/// Lengths of time as a number without a unit most likely means them, under this key: latencies and their
/// like in milliseconds, times of a run in seconds.
fn time_of(value: &Value<'_>, key: &str) -> &'static Quantity {
    let is_long = value.written().trim_matches('"').parse().is_ok_and(|number: f64| number >= 100.0);
    match key {
        key if SHORT_TIMES.contains(&key) => &SHORT_TIME,
        // Nobody waits for minutes, and a run may take some.
        "timeout" | "request-time" | "cpu-time" if is_long => &SHORT_TIME,
        _ => &TIME,
    }
}

pub(crate) fn refuse_bare(value: &Value<'_>, quantity: &Quantity) -> Option<()> {
    let number = match value.item() {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        DeValue::Float(float) => float.as_str(),
        _ => return Some(()),
    };
    let problem = Problem::new(format!("{} is a number without a unit", quote(value.key)));
    value.refuse(problem.label("of what?").help(quantity.unit_missing(number)))
}

/// A number of TOML in plain digits, `1000` for `1_000` and for `1e3`; none of what is negative or not
/// finite.
pub(crate) fn plain(number: &str) -> Option<String> {
    let number: f64 = number.replace('_', "").parse().ok()?;
    (number.is_finite() && number >= 0.0).then(|| number.abs().to_string())
}

impl Quantity {
    /// The unit of this name, or the one that people mean by it.
    fn unit(&self, name: &str) -> Option<&'static str> {
        let mut units = self.units.iter().map(|(unit, _)| *unit);
        let word = self.words.iter().find(|(word, _)| *word == name).map(|(_, unit)| *unit);
        let exact = units.clone().find(|unit| *unit == name);
        exact.or(word).or_else(|| units.find(|unit| unit.eq_ignore_ascii_case(name)))
    }

    /// The help for a number without a unit: what is suggested is accepted.
    fn unit_missing(&self, number: &str) -> String {
        let suggestion = plain(number).map(|number| format!("{number}{}", self.usual));
        match suggestion.filter(|text| bounded(text, self).is_ok()) {
            Some(text) => {
                format!(
                    "if you mean {}, write {}; the units are {}",
                    self.usual_name,
                    quote(&text),
                    self.list
                )
            }
            None => self.remedy.to_owned(),
        }
    }
}

/// `"1.5s"`, `"1m30s"`, at most [`LONGEST`].
pub(crate) fn parse_duration(text: &str) -> Result<Nanos, Problem> {
    bounded(text, &TIME)
}

/// [`parse_duration`] of a part of this value, whose key tells which unit is meant where there is none.
pub(crate) fn parse_duration_of(value: &Value<'_>, text: &str) -> Result<Nanos, Problem> {
    bounded(text, time_of(value, value.key))
}

fn bounded(text: &str, quantity: &Quantity) -> Result<Nanos, Problem> {
    let text = text.trim();
    let read = match parts(text, quantity) {
        Some(parts) => sum(text, &parts, quantity),
        None => parse(text, quantity),
    };
    let read = read.map_err(|problem| {
        let meant = meant(text, quantity).filter(|meant| meant != text && bounded(meant, quantity).is_ok());
        match meant {
            // Its units are known, if it differs by what is between them alone.
            Some(meant) if text.replace(is_between, "") == meant => {
                problem.label("not written so").help(format!("write {}", quote(&meant)))
            }
            Some(meant) => problem.help(format!("write {}", quote(&meant))),
            None => problem,
        }
    });
    match read? {
        nanos if nanos > LONGEST => Err(too_much(text, quantity)),
        nanos => Ok(nanos),
    }
}

/// What people write between the parts of a number or of a length of time.
const fn is_between(c: char) -> bool {
    c.is_whitespace() || c == '_'
}

/// A text of numbers and units as it has to be written: without what stands between them, with the units
/// that are meant. None of any other text.
fn meant(text: &str, quantity: &Quantity) -> Option<String> {
    let text = text.replace(is_between, "");
    let (mut meant, mut rest) = (String::new(), &*text);
    while !rest.is_empty() {
        let name = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let end = rest[name..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |length| name + length);
        meant.push_str(&rest[..name]);
        meant.push_str(quantity.unit(&rest[name..end])?);
        rest = &rest[end..];
    }
    Some(meant)
}

/// The parts of a text such as `1h02m03s`: several numbers, each with a smaller unit than the one before,
/// of which the last alone may have a fraction. None of any other text.
fn parts<'a>(text: &'a str, quantity: &Quantity) -> Option<Vec<&'a str>> {
    let mut parts = Vec::new();
    let (mut rest, mut last) = (text, u64::MAX);
    while !rest.is_empty() {
        let unit = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let length = rest[unit..].find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len() - unit);
        let (part, further) = rest.split_at(unit + length);
        let (_, factor) = quantity.units.iter().find(|(name, _)| *name == &part[unit..])?;
        let is_whole = !part.contains('.');
        if unit == 0 || *factor >= last || !(is_whole || further.is_empty()) {
            return None;
        }
        parts.push(part);
        (rest, last) = (further, *factor);
    }
    (parts.len() > 1).then_some(parts)
}

fn sum(text: &str, parts: &[&str], quantity: &Quantity) -> Result<u64, Problem> {
    parts.iter().try_fold(0_u64, |sum, part| {
        let part = parse(part, quantity)?;
        sum.checked_add(part).ok_or_else(|| too_much(text, quantity))
    })
}

/// Reads `1.5s`, and `1.5 s` too: guests that use the SDK take both.
pub(crate) fn parse(text: &str, quantity: &Quantity) -> Result<u64, Problem> {
    read(text, quantity)?.ok_or_else(|| too_much(text.trim(), quantity))
}

/// [`parse`]; none of more than can be counted.
fn read(text: &str, quantity: &Quantity) -> Result<Option<u64>, Problem> {
    let (what, text) = (quantity.what, text.trim());
    let wrong = |label: &str| {
        Problem::new(format!("{} is not a {what}", quote(text))).label(label).help(quantity.remedy)
    };
    if text.starts_with(['-', '\u{2212}']) {
        return Err(Problem::new(format!("a {what} cannot be negative: {}", quote(text)))
            .label("negative")
            .help(quantity.remedy));
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(wrong(if number.is_empty() { "no number in front" } else { "not a number" }));
    }
    let Some((_, factor)) = quantity.units.iter().find(|(name, _)| *name == unit) else {
        return Err(wrong_unit(text, number, unit, quantity));
    };
    let fraction = fraction.trim_end_matches('0');
    let Some(exact) = scaled(whole, fraction, *factor) else { return Ok(None) };
    exact.map(Some).ok_or_else(|| {
        Problem::new(format!("{} is not a whole number of {}", quote(text), quantity.grain))
            .label("too fine")
            .help(format!("round it to whole {}", quantity.grain))
    })
}

/// `whole.fraction * factor`: none when it overflows, and within, none when it is not whole.
fn scaled(whole: &str, fraction: &str, factor: u64) -> Option<Option<u64>> {
    let whole = whole.parse::<u64>().ok()?.checked_mul(factor)?;
    if fraction.is_empty() {
        return Some(Some(whole));
    }
    // Nobody writes a longer fraction for a whole number of nanoseconds or bytes.
    let Some(tens) = u32::try_from(fraction.len()).ok().filter(|len| *len <= 18) else {
        return Some(None);
    };
    let parts = u128::from(fraction.parse::<u64>().ok()?) * u128::from(factor);
    let unit = 10_u128.pow(tens);
    if parts % unit != 0 {
        return Some(None);
    }
    let parts = u64::try_from(parts / unit).ok()?;
    Some(Some(whole.checked_add(parts)?))
}

fn too_much(text: &str, quantity: &Quantity) -> Problem {
    let (label, help) = match quantity.grain {
        "nanoseconds" => ("longer than a year", "write a time up to 8760h, which are 365 days"),
        "picoseconds" => ("too long", quantity.remedy),
        _ => ("too large", quantity.remedy),
    };
    Problem::new(format!("{} is out of range", quote(text))).label(label).help(help)
}

fn wrong_unit(text: &str, number: &str, unit: &str, quantity: &Quantity) -> Problem {
    if unit.is_empty() {
        let problem = Problem::new(format!("{} has no unit", quote(text))).label("of what?");
        return problem.help(quantity.unit_missing(number));
    }
    let is_time = quantity.grain == TIME.grain;
    let known = quantity.unit(unit).map(|unit| format!("{number}{unit}"));
    // What is suggested is accepted.
    let known = known.filter(|known| !is_time || bounded(known, &TIME).is_ok());
    let meant = known.or_else(|| in_hours(number, unit).filter(|_| is_time));
    let help = meant.map_or_else(|| quantity.remedy.to_owned(), |meant| format!("write {}", quote(&meant)));
    Problem::new(format!("{} is not a {}", quote(text), quantity.what)).label("unknown unit").help(help)
}

/// Days and weeks, which no topology has.
fn in_hours(number: &str, unit: &str) -> Option<String> {
    let hours = match unit {
        "d" | "day" | "days" => 24.0,
        "w" | "week" | "weeks" => 168.0,
        _ => return None,
    };
    let hours = format!("{}h", number.parse::<f64>().ok()? * hours);
    bounded(&hours, &TIME).is_ok().then_some(hours)
}

/// A size in the largest binary unit that leaves a whole number: `64MiB`.
pub fn show_size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, bits)| bytes != 0 && bytes.trailing_zeros() >= *bits) {
        Some((unit, bits)) => format!("{}{unit}", bytes >> bits),
        None => format!("{bytes}B"),
    }
}

#[cfg(test)]
mod tests;
