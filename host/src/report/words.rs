//! Numbers as the report spells them: three significant digits, one spelling for each.

use crate::model::Nanos;

pub use crate::error::show_share as share;
use crate::telemetry::console::quantity::digits;
pub use crate::telemetry::console::quantity::{number, time};
pub use crate::telemetry::console::text::grouped as count;

/// A time with two digits, for one that is known within 1 %: `37ms`, `600us`.
/// What rounds to more than `longest` is that.
pub fn about(nanos: Nanos, longest: Nanos) -> String {
    let unit = 10_u64.pow(nanos.checked_ilog10().unwrap_or(0).saturating_sub(1));
    let rounded = nanos.saturating_add(unit / 2) / unit * unit;
    time(rounded.min(longest))
}

/// A share, `0.0..=1.0`, in percent: `0%`, `1.25%`, `100%`.
pub fn percent(share: f64) -> String {
    format!("{}%", digits(share * 100.0))
}

/// `1 span`, `1,204 spans`.
pub fn counted(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {what}{plural}", count(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_three_digits_and_the_unit_that_suits_it() {
        let shown =
            [0, 7, 999, 1_000, 12_345, 999_400, 999_500, 36_724_000, 289_124_000, 999_999_999].map(time);
        assert_eq!(shown, ["0s", "7ns", "999ns", "1us", "12.3us", "999us", "1ms", "36.7ms", "289ms", "1s"]);
        let s = 1_000_000_000;
        let shown = [s, 3 * s / 2, 59 * s + 900_000_000, 60 * s - 1, 90 * s, 3_600 * s, 7_530 * s].map(time);
        assert_eq!(shown, ["1s", "1.5s", "59.9s", "1m", "1m30s", "1h", "2h05m"]);
        let shown = [0, 7, 602_100, 36_724_000, 299_124_000].map(|nanos| about(nanos, 299_200_000));
        assert_eq!(shown, ["0s", "7ns", "600us", "37ms", "299ms"]);
        assert_eq!(time(u64::MAX), "5,124,095h34m");
    }

    #[test]
    fn numbers_have_three_digits_and_groups() {
        let shown = [0.0, 0.012_345, 0.999_6, 9.996, 50.0, 999.4, 999.6, 1_204.4].map(number);
        assert_eq!(shown, ["0", "0.0123", "1", "10", "50", "999", "1,000", "1,204"]);
        assert_eq!([0.0, 0.000_123, 0.0125, 1.0].map(percent), ["0%", "0.0123%", "1.25%", "100%"]);
        assert_eq!([0.2, 0.07, 0.123_456, 0.000_5].map(share), ["20%", "7%", "12.3456%", "0.05%"]);
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([counted(1, "span"), counted(2_000, "span")], ["1 span", "2,000 spans"]);
    }
}
