//! Numbers, times and measured values as people read them: three significant digits, one spelling
//! for each.

use super::text::grouped as count;
use crate::model::Nanos;

/// Factors of bytes.
const BYTES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];

/// A longer time is shown as a number: nanoseconds of more have no room in 64 bits.
const MOST_SECONDS: f64 = 1.8e10;

/// A greater number has a power of ten: not all of its digits mean something.
const MOST_DIGITS: f64 = 1e15;

/// A measured value in a unit of the Unified Code for Units of Measure: times and bytes in the unit
/// that suits them, others as numbers, with a unit that is no more than a remark left out.
pub fn measured(value: f64, unit: &str) -> String {
    let seconds = match unit {
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" => Some(1e-6),
        "ns" => Some(1e-9),
        _ => None,
    };
    if !value.is_finite() {
        return format!("{value}");
    }
    let sign = if value < 0.0 { "-" } else { "" };
    let size = value.abs();
    if let Some(seconds) = seconds.filter(|seconds| size * seconds < MOST_SECONDS) {
        return format!("{sign}{}", time((size * seconds * 1e9).round() as Nanos));
    }
    if unit == "By" {
        let (mut scaled, mut unit) = (size, 0);
        while scaled >= 1024.0 && unit + 1 < BYTES.len() {
            (scaled, unit) = (scaled / 1024.0, unit + 1);
        }
        return format!("{sign}{} {}", number(scaled), BYTES[unit]);
    }
    let remark = unit.is_empty() || unit == "1" || unit.starts_with('{');
    format!("{sign}{}{}", number(size), if remark { String::new() } else { format!(" {unit}") })
}

/// A length of time in the unit that suits it: `0s`, `36.7ms`, `1.5s`, `1m30s`, `2h05m`.
pub fn time(nanos: Nanos) -> String {
    // What rounds to a thousand of a unit is one of the next: 999.9us is 1ms.
    let (unit, name) = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..999_500 => (1_000, "us"),
        999_500..999_500_000 => (1_000_000, "ms"),
        999_500_000..59_950_000_000 => (1_000_000_000, "s"),
        _ => return long(nanos.saturating_add(500_000_000) / 1_000_000_000),
    };
    format!("{}{name}", digits(nanos as f64 / f64::from(unit)))
}

/// A minute or more, in whole seconds.
fn long(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let two = |high: u64, one: &str, low: u64, other: &str| match low {
        0 => format!("{}{one}", count(high)),
        _ => format!("{}{one}{low:02}{other}", count(high)),
    };
    if hours > 0 { two(hours, "h", minutes, "m") } else { two(minutes, "m", rest, "s") }
}

/// A number with three significant digits, whole ones in groups: `0.0123`, `50`, `1,204`, `9.22e18`.
pub fn number(number: f64) -> String {
    let sign = if number < 0.0 { "-" } else { "" };
    match number.abs() {
        size if size >= MOST_DIGITS => {
            let text = format!("{number:.2e}");
            let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
            format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        size if size >= 999.5 => format!("{sign}{}", count(size.round() as u64)),
        _ => digits(number),
    }
}

/// Three significant digits, without zeros behind the point at the end.
pub fn digits(number: f64) -> String {
    // The form that rounds first: "9.996" has its point behind two digits.
    let rounded = format!("{number:.2e}");
    let exponent: i32 = rounded.split_once('e').map_or(0, |(_, exponent)| exponent.parse().unwrap_or(0));
    let decimals = (2 - exponent).clamp(0, 12) as usize;
    let text = format!("{number:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measured_value_has_the_unit_that_suits_it() {
        let shown =
            [(0.0367, "s"), (-2.0, "ms"), (90.0, "s"), (0.0, "s")].map(|(of, unit)| measured(of, unit));
        assert_eq!(shown, ["36.7ms", "-2ms", "1m30s", "0s"]);
        let shown = [0.0, 1023.0, 1536.0, 38e6, 5e15].map(|bytes| measured(bytes, "By"));
        assert_eq!(shown, ["0 B", "1,023 B", "1.5 KiB", "36.2 MiB", "4,547 TiB"]);
        let shown = [(3.0, "{request}"), (0.25, "1"), (-1_500.0, ""), (21.5, "Cel")];
        assert_eq!(shown.map(|(of, unit)| measured(of, unit)), ["3", "0.25", "-1,500", "21.5 Cel"]);
        let shown = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(|value| measured(value, "s"));
        assert_eq!(shown, ["NaN", "inf", "-inf"]);
        let shown = [(i64::MAX as f64, ""), (-1.797e308, "1"), (1e300, "s"), (1.8e301, "By"), (1e-300, "")];
        let shown = shown.map(|(of, unit)| measured(of, unit));
        assert_eq!(shown, ["9.22e18", "-1.8e308", "1e300 s", "1.64e289 TiB", "0"]);
        assert_eq!([-1_204.4, 999_999_999_999_999.0].map(number), ["-1,204", "999,999,999,999,999"]);
    }
}
