//! The service's `config` table in the topology.
//!
//! Read it in the function that builds the [`Router`](crate::Router) and keep it as
//! [state](crate::Router::state): a value that does not parse is then reported when the topology is loaded.

use crate::bindings::simhost::service::config;
use crate::duration::parse_duration;
use std::any::type_name;
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
pub fn parse<T: FromStr<Err: Display> + Display>(key: &str, default: T) -> T {
    let Some(value) = get(key) else { return default };
    value.parse().unwrap_or_else(|error| panic!("{}", complaint::<T>(key, &value, &error, &default)))
}

/// The value of a key as a [duration](parse_duration) such as `500ms`, or a default.
///
/// # Panics
/// As [`parse`].
pub fn duration(key: &str, default: Duration) -> Duration {
    let Some(value) = get(key) else { return default };
    parse_duration(&value).unwrap_or_else(|error| {
        panic!("{}", complaint::<Duration>(key, &value, &error, &format!("{default:?}")))
    })
}

/// The value of a key as a probability from 0 to 1, or a default.
///
/// # Panics
/// As [`parse`].
pub fn probability(key: &str, default: f64) -> f64 {
    let value = parse(key, default);
    if !(0.0..=1.0).contains(&value) {
        panic!(
            "{}",
            complaint::<f64>(key, &value.to_string(), &"a probability lies between 0 and 1", &default)
        );
    }
    value
}

fn complaint<T>(key: &str, value: &str, error: &dyn Display, default: &dyn Display) -> String {
    let kind = type_name::<T>().rsplit("::").next().unwrap_or_default();
    format!(
        "config `{key}` is {value:?}, not a valid {kind}: {error}; correct it or remove it for the default, {default}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_has_the_key_the_value_and_the_remedy() {
        let error = "many".parse::<u32>().unwrap_err();
        assert_eq!(
            complaint::<u32>("attempts", "many", &error, &3),
            "config `attempts` is \"many\", not a valid u32: invalid digit found in string; \
             correct it or remove it for the default, 3"
        );
    }
}
