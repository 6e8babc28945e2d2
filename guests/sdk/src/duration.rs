//! Durations as people write them.

use std::time::Duration;

const UNITS: [(&str, f64); 7] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Reads `300us`, `500ms`, `1.5s`, `2m` or `1h`; a bare `0` too.
///
/// # Errors
/// Says what is wrong, and the form that is right.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..digits], text[digits..].trim_start());
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    match (number.parse::<f64>(), scale) {
        // A cast of what is too large gives the largest, which is longer than any run.
        (Ok(number), Some(scale)) => Ok(Duration::from_nanos((number * scale).round() as u64)),
        _ => Err("a duration is a number with a unit: 300us, 500ms, 2s, 1m, 1h".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_durations() {
        let expected = [
            ("0", 0),
            ("0s", 0),
            ("7ns", 7),
            ("300us", 300_000),
            ("300µs", 300_000),
            ("500ms", 500_000_000),
            ("0.3ms", 300_000),
            ("2s", 2_000_000_000),
            (" 1.5 s ", 1_500_000_000),
            ("1m", 60_000_000_000),
            ("2h", 7_200_000_000_000),
        ];
        for (text, nanoseconds) in expected {
            assert_eq!(parse_duration(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "5", "ms", "-1s", "1.2.3s", "1 day", "1e3ms", "NaNs", "infs", "1s2"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
