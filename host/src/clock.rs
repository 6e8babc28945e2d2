//! Lengths of time as people write them.

use crate::model::Nanos;

/// A length of time in the largest unit that leaves a whole or a short number:
/// `350ms`, `1.5s`, `12.3us`, `0ns`. At most three digits after the point.
pub fn show(nanos: Nanos) -> String {
    let (unit, name) = match nanos {
        0..1_000 => return format!("{nanos}ns"),
        1_000..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let (whole, rest) = (nanos / unit, nanos % unit * 1_000 / unit);
    let text = format!("{whole}.{rest:03}");
    format!("{}{name}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_shown_in_its_largest_unit() {
        let shown = [0, 999, 1_000, 12_345, 350_000_000, 1_500_000_000, 61_000_000_000].map(show);
        assert_eq!(shown, ["0ns", "999ns", "1us", "12.345us", "350ms", "1.5s", "61s"]);
    }
}
