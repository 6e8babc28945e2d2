//! What a call of a function counts, beside the one step that SQLite counts for it.
//!
//! A call counts the steps of its class, whatever its values are. Its arguments and its value count by their
//! bytes as well, from behind the first [`FREE_BYTES`] of either. Only what bounds compare is counted so:
//! simulated time is made of the steps of SQLite.
//!
//! A release build takes about 100 instructions of the processor, or 13 ns, for a step of SQLite. The
//! constants are such that a step that a function counts stands for 200 to 350 instructions, or 25 to 45 ns,
//! by callgrind, and so that 50 million steps end within about 2 s.
//!
//! | class | instructions of a call with 8 bytes | for each byte of 980 |
//! |---|---|---|
//! | numbers | 400 to 900 | |
//! | texts | 700 to 1,500 | 2 to 40 |
//! | searches | 1,000 to 2,500 | 10 to 180 |
//! | moments | 4,500 to 8,500 | |
//! | JSON | 2,000 | 60 to 150 |
//! | a comparison of LIKE | 45 | |
//! | a visit of a state of a regular expression | 50 to 100 | |

/// The price of the functions of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Price {
    /// Steps of each call.
    steps: u64,
    /// Bytes that count one step more.
    bytes: usize,
}

/// Functions of numbers.
const NUMBERS: Price = Price { steps: 1, bytes: 8 };

/// Functions that go through their texts character by character, or copy them; and those without a class.
const TEXTS: Price = Price { steps: 3, bytes: 8 };

/// Functions that look for one text in another.
const SEARCHES: Price = Price { steps: 4, bytes: 2 };

/// Functions that read and write a date or a timestamp.
const MOMENTS: Price = Price { steps: 30, bytes: 8 };

/// What is read as JSON, or written as JSON.
const JSON: Price = Price { steps: 16, bytes: 4 };

/// Bytes of the arguments of a call, and of its value, that count nothing.
const FREE_BYTES: usize = 64;

/// Comparisons of a character that count as one step in LIKE, which takes the product of its text and its
/// pattern at worst.
pub(crate) const COMPARISONS_PER_STEP: usize = 4;

/// Visits of a state that count as one step in a regular expression: 6 to 14 ns each.
pub(crate) const VISITS_PER_STEP: usize = 4;

impl Price {
    /// The price of a function by its name in SQLite.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "pg_plus" | "pg_minus" | "pg_times" | "pg_div" | "pg_quotient" | "pg_mod" | "pg_gcd"
            | "pg_lcm" | "pg_power" | "pg_sqrt" | "pg_cbrt" | "pg_exp" | "pg_ln" | "pg_log" | "pg_ceil"
            | "pg_floor" | "pg_trunc" | "pg_sin" | "pg_cos" | "pg_tan" | "pg_asin" | "pg_acos"
            | "pg_atan" | "pg_degrees" | "pg_radians" | "pg_pi" | "pg_variance" | "pg_limit"
            | "pg_offset" | "pg_random" | "pg_rowid" | "pg_nextval" | "pg_currval" | "pg_setval"
            | "pg_unlocked" => NUMBERS,
            "pg_replace" | "pg_translate" | "pg_split_part" | "pg_strpos" | "pg_btrim" | "pg_ltrim"
            | "pg_rtrim" => SEARCHES,
            "pg_date_trunc" | "pg_extract" | "pg_between" | "pg_to_timestamp" | "pg_shift" | "pg_day"
            | "pg_date_add" | "pg_to_char" | "pg_parse_moment" | "pg_make_moment" => MOMENTS,
            "pg_read" | "pg_gathered" | "pg_json_of" | "pg_array" | "pg_array_join" | "pg_array_split"
            | "pg_array_text" | "pg_zip" | "pg_contains" => JSON,
            _ => TEXTS,
        }
    }

    /// What a cast to a date or a timestamp counts beside its call, and each part of a pattern of moments.
    pub(crate) fn of_moment() -> u64 {
        MOMENTS.steps - TEXTS.steps
    }

    /// What a letter of a pattern counts that is no part of it.
    pub(crate) fn of_search() -> u64 {
        SEARCHES.steps
    }

    /// Steps of bytes that are gone through beside those of a call.
    pub(crate) fn of_bytes(bytes: usize) -> u64 {
        (bytes / TEXTS.bytes) as u64
    }

    /// Steps of a call with arguments of so many bytes.
    pub(crate) fn call(self, bytes: usize) -> u64 {
        self.steps + self.value(bytes)
    }

    /// Steps of a value of so many bytes.
    pub(crate) fn value(self, bytes: usize) -> u64 {
        (bytes.saturating_sub(FREE_BYTES) / self.bytes) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_values_count_no_more_than_their_call() {
        for name in ["pg_plus", "pg_lower", "pg_replace", "pg_shift", "pg_read", "pg_made_tomorrow"] {
            let price = Price::of(name);
            assert_eq!((price.call(FREE_BYTES), price.value(FREE_BYTES)), (price.steps, 0), "{name}");
            assert!(price.call(1_000) > price.call(FREE_BYTES) + 100, "{name}");
        }
    }
}
