//! The service's `config` table in the topology.
//!
//! Read it in the function that builds the [`Router`](crate::Router) and keep it as
//! [state](crate::Router::state): a value that does not parse is then reported when the topology is loaded.

use crate::bindings::simhost::service::config;
use crate::distribution::Distribution;
use crate::duration::parse_duration;
use crate::error::short_type_name;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// The value of a key, as text.
pub fn get(key: &str) -> Option<String> {
    config::get(key)
}

/// All keys and values.
pub fn all() -> Vec<(String, String)> {
    config::all()
}

/// The value of a key as text, or a default.
pub fn text(key: &str, default: &str) -> String {
    get(key).unwrap_or_else(|| default.to_owned())
}

/// The value of a key, or a default: `config::parse("attempts", 3)`.
///
/// # Panics
/// If the value does not parse. The message has the key, the value and the remedy.
#[track_caller]
pub fn parse<T: FromStr<Err: Display>>(key: &str, default: T) -> T {
    read(key, |value| value.parse().map_err(|error: T::Err| error.to_string())).unwrap_or(default)
}

/// The value of a key as a [duration](parse_duration) such as `500ms`, or a default.
///
/// # Panics
/// As [`parse`].
#[track_caller]
pub fn duration(key: &str, default: Duration) -> Duration {
    read(key, parse_duration).unwrap_or(default)
}

/// The value of a key as a probability from 0 to 1, or a default.
///
/// # Panics
/// As [`parse`].
#[track_caller]
pub fn probability(key: &str, default: f64) -> f64 {
    let read = read(key, |value| match value.parse() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("a probability lies between 0 and 1".into()),
    });
    read.unwrap_or(default)
}

/// The value of a key as a [distribution](Distribution) of lengths of time, or a default. The topology writes it as it
/// writes latencies: `work = "5ms"`, `work = "5ms +/- 1ms"`, `work = { exponential = { mean = "5ms" } }`.
///
/// # Panics
/// As [`parse`].
#[track_caller]
pub fn distribution(key: &str, default: Distribution) -> Distribution {
    let fields = below(&all(), key);
    if fields.is_empty() {
        return default;
    }
    match Distribution::from_fields(&fields) {
        Ok(distribution) => distribution,
        Err(problem) => panic!("config `{key}` is not a valid Distribution: {problem}"),
    }
}

/// What stands at a key and in the table below it, of all keys and values: of `work`, `exponential.mean` for
/// `work.exponential.mean`.
pub fn below(all: &[(String, String)], key: &str) -> Vec<(String, String)> {
    let inside = |name: &str| match name.strip_prefix(key)? {
        "" => Some(String::new()),
        rest => rest.strip_prefix('.').map(str::to_owned),
    };
    all.iter().filter_map(|(name, value)| Some((inside(name)?, value.clone()))).collect()
}

#[track_caller]
fn read<T>(key: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
    let value = get(key)?;
    match parse(&value) {
        Ok(parsed) => Some(parsed),
        Err(problem) => panic!("{}", complaint::<T>(key, &value, &problem)),
    }
}

fn complaint<T>(key: &str, value: &str, problem: &str) -> String {
    let kind = short_type_name::<T>();
    format!(
        "config `{key}` is `{value}`, not a valid {kind}: {problem}; correct it, or remove it for the default"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_what_stands_below_its_key() {
        let all = [("work", "1"), ("work.a.b", "2"), ("workers", "3"), ("other", "4")];
        let all = all.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let expected = [("", "1"), ("a.b", "2")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(below(&all, "work"), expected);
    }

    #[test]
    fn a_complaint_has_the_key_the_value_and_the_remedy() {
        assert_eq!(
            complaint::<u32>("attempts", "many", "invalid digit found in string"),
            "config `attempts` is `many`, not a valid u32: invalid digit found in string; \
             correct it, or remove it for the default"
        );
    }
}
