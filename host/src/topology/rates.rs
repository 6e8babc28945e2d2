//! Shares and rates, from the way people write them.

use simhost_notation::parse_share;
use toml::de::DeValue;

use super::reader::Value;
use super::units::plain;
use crate::error::{Problem, quote};
use crate::model::Rate;

/// No load may be faster: requests per second.
pub(super) const RATE_AT_MOST: Rate = 1e6;

/// What a rate is per, in seconds.
pub(super) const RATE_UNITS: [(&str, f64); 3] = [("s", 1.0), ("m", 60.0), ("h", 3_600.0)];

/// A share: `0.2` or `"20%"`, within `0.0..=1.0`.
pub(super) fn share(value: &Value<'_>) -> Option<f64> {
    let form = r#"a share from 0 to 1, such as 0.2 or "20%""#;
    if let DeValue::String(text) = value.item() {
        return value.read(|_| {
            parse_share(text).map_err(|why| {
                Problem::new(format!("{} is not a share", quote(text)))
                    .label(why)
                    .help(format!("write {form}"))
            })
        });
    }
    let as_percent = value.written();
    let in_percent = as_percent.parse().is_ok_and(|number: f64| number > 1.0 && number <= 100.0);
    if !in_percent {
        return value.number(form, |share| (0.0..=1.0).contains(&share));
    }
    let problem =
        Problem::new(format!("{} is out of range: {as_percent}", quote(value.key))).label("more than all");
    value.refuse(
        problem.help(format!("write {form}; {as_percent} percent is {}", quote(&format!("{as_percent}%")))),
    )
}

/// [`share`] of more than nothing.
pub(super) fn positive_share(value: &Value<'_>) -> Option<f64> {
    match share(value)? {
        0.0 => value.refuse(
            Problem::new(format!("{} must be above zero", quote(value.key)))
                .label("nothing at all")
                .help(r#"write a share above 0, up to 1, such as 0.2 or "20%""#),
        ),
        share => Some(share),
    }
}

/// How to write a rate.
pub(super) const RATE_REMEDY: &str =
    r#"write how many there are in a second, a minute or an hour, as in "50/s", "90/m" or "0.5/h""#;

/// Requests in a length of time, as a rate per second above 0: `"50/s"`.
pub(super) fn rate(value: &Value<'_>) -> Option<Rate> {
    let rate = rate_from_zero(value)?;
    if rate > 0.0 {
        return Some(rate);
    }
    let problem = Problem::new(format!("{} must be above zero", quote(value.key))).label("no request, ever");
    value.refuse(problem.help(RATE_REMEDY))
}

/// [`rate`] that may be 0.
pub(super) fn rate_from_zero(value: &Value<'_>) -> Option<Rate> {
    refuse_bare_rate(value)?;
    value.read(parse_rate)
}

/// Notes a number that lacks its time.
pub(super) fn refuse_bare_rate(value: &Value<'_>) -> Option<()> {
    let (DeValue::Integer(_) | DeValue::Float(_)) = value.item() else { return Some(()) };
    let suggestion = plain(value.written()).map(|number| format!("{number}/s"));
    let help = match suggestion.filter(|text| parse_rate(text).is_ok_and(|rate| rate > 0.0)) {
        Some(text) => format!("for a rate per second, write {}", quote(&text)),
        None => RATE_REMEDY.to_owned(),
    };
    let problem = Problem::new(format!("{} is a number without a unit", quote(value.key)));
    value.refuse(problem.label("in which time?").help(help))
}

/// [`rate_from_zero`] as text: `"50/s"`.
pub(super) fn parse_rate(text: &str) -> Result<Rate, Problem> {
    let wrong = |label: &str| {
        let meant = meant_rate(text).filter(|meant| meant != text && parse_rate(meant).is_ok());
        let help = meant.map_or_else(|| RATE_REMEDY.to_owned(), |meant| format!("write {}", quote(&meant)));
        Err(Problem::new(format!("{} is not a rate", quote(text))).label(label).help(help))
    };
    let Some((number, unit)) = text.split_once('/') else { return wrong("no unit of time") };
    let Some((_, seconds)) = RATE_UNITS.iter().find(|(name, _)| *name == unit) else {
        return wrong("the units of time are s, m and h");
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || b".e-+".contains(&byte));
    let Some(count) = number.parse::<f64>().ok().filter(|count| digits && count.is_finite()) else {
        return wrong("not a number");
    };
    let rate = count / seconds;
    if rate < 0.0 {
        return wrong("negative");
    }
    if rate > RATE_AT_MOST {
        let help = format!("a load makes at most {} requests in a second", show_rate(RATE_AT_MOST));
        return Err(Problem::new(format!("the rate {} is too high", quote(text)))
            .label("too high")
            .help(help));
    }
    Ok(rate)
}

/// A rate as it has to be written: without blanks, with the unit of time that is meant. None of a text that
/// has no number and no such unit.
fn meant_rate(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_whitespace() && *c != '_').collect();
    let per_second = || Some((text.strip_suffix("rps")?, "s"));
    let (number, unit) = text.split_once('/').or_else(per_second)?;
    let words = ["requests", "request", "reqs", "req"];
    let number = words.iter().find_map(|word| number.strip_suffix(word)).unwrap_or(number);
    let unit = match unit {
        "s" | "sec" | "second" => "s",
        "m" | "min" | "minute" => "m",
        "h" | "hr" | "hour" => "h",
        _ => return None,
    };
    Some(format!("{number}/{unit}"))
}

/// A rate in whole requests per second: `1,000,000`.
pub(super) fn show_rate(rate: Rate) -> String {
    let digits = format!("{rate:.0}");
    let groups: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_that_is_understood_is_refused_with_how_to_write_it() {
        for (text, meant) in [
            ("50 / s", "50/s"),
            ("50\u{a0}req/s", "50/s"),
            ("50rps", "50/s"),
            ("1_000/min", "1000/m"),
            ("0.5 requests per hour", ""),
            ("50/day", ""),
            ("fast/s", ""),
            ("50", ""),
        ] {
            let help = parse_rate(text).expect_err(text).help.expect("a remedy");
            let remedy = if meant.is_empty() { RATE_REMEDY.to_owned() } else { format!("write \"{meant}\"") };
            assert_eq!(help, remedy, "{text}");
        }
    }
}
