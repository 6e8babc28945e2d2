//! What is wrong with a text that is no TOML.

use crate::error::{Problem, quote};

/// What the TOML parser could not read.
pub(crate) fn problem(text: &str, error: &toml::de::Error) -> Problem {
    let place = error.span().unwrap_or(0..0);
    let written = text.get(place.clone()).unwrap_or("");
    let (reason, expected) = match error.message().split_once(", expected ") {
        Some((reason, expected)) => (reason, Some(expected)),
        None => (error.message(), None),
    };
    let help = match (reason, expected) {
        ("duplicate key", _) => "each key and each [table] may stand once".to_owned(),
        ("string values must be quoted", _) => format!("write {}", quote(written)),
        (_, Some(expected)) => format!("expected {expected}"),
        (_, None) => "see https://toml.io for what a TOML file may hold".to_owned(),
    };
    Problem::new(format!("not valid TOML: {reason}")).at(place, "here").help(help)
}
