//! What has to hold of a request: tests of its parts.

use serde_json::Value;

use crate::model::{Condition, Part, Test};

use super::candidate::Candidate;

impl Condition {
    /// Whether it holds of a request. Of several header fields of one name, one that
    /// meets the test is enough; what is not to be equal has to differ from each.
    pub fn holds(&self, candidate: &Candidate<'_>) -> bool {
        let test = &self.test;
        match &self.of {
            Part::Method => test.texts([&*candidate.request.method]),
            Part::Header(name) => test.texts(candidate.request.headers.get_all(name)),
            Part::Baggage(key) => test.texts(candidate.baggage.get(key).as_deref()),
            Part::Param(name) => {
                let param = candidate.params.iter().find(|(key, _)| key == name);
                test.texts(param.map(|(_, value)| value.as_str()))
            }
            Part::Body(pointer) => {
                test.value(candidate.json.of(candidate.request).and_then(|json| json.pointer(pointer)))
            }
        }
    }
}

impl Test {
    /// Whether it holds of a part that may be there several times, as text.
    pub fn texts<'a>(&self, texts: impl IntoIterator<Item = &'a str>) -> bool {
        let mut texts = texts.into_iter();
        match self {
            Self::Exists(wanted) => texts.next().is_some() == *wanted,
            Self::Ne(value) => !texts.any(|text| text_is(text, value)),
            _ => texts.any(|text| self.text(text)),
        }
    }

    fn text(&self, text: &str) -> bool {
        match self {
            Self::Exists(wanted) => *wanted,
            Self::Eq(value) => text_is(text, value),
            Self::Ne(value) => !text_is(text, value),
            Self::In(values) => values.iter().any(|value| text_is(text, value)),
            Self::Regex(regex) => regex.is_match(text),
            Self::Gt(_) | Self::Ge(_) | Self::Lt(_) | Self::Le(_) => self.number(number(text)),
        }
    }

    /// Of a value in a JSON body.
    fn value(&self, found: Option<&Value>) -> bool {
        let Some(found) = found else { return matches!(self, Self::Exists(false) | Self::Ne(_)) };
        match self {
            Self::Exists(wanted) => *wanted,
            Self::Eq(value) => is_same(found, value),
            Self::Ne(value) => !is_same(found, value),
            Self::In(values) => values.iter().any(|value| is_same(found, value)),
            Self::Regex(regex) => match found {
                Value::String(text) => regex.is_match(text),
                Value::Number(_) | Value::Bool(_) => regex.is_match(&found.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => false,
            },
            Self::Gt(_) | Self::Ge(_) | Self::Lt(_) | Self::Le(_) => self.number(found.as_f64()),
        }
    }

    /// Of a number; what is none meets no comparison.
    fn number(&self, found: Option<f64>) -> bool {
        let Some(found) = found else { return false };
        match self {
            Self::Gt(limit) => found > *limit,
            Self::Ge(limit) => found >= *limit,
            Self::Lt(limit) => found < *limit,
            Self::Le(limit) => found <= *limit,
            _ => false,
        }
    }
}

/// A text that is written as a number.
fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Whether a text is what a value says: a number may be written in any way.
fn text_is(text: &str, value: &Value) -> bool {
    match value {
        Value::String(wanted) => text == wanted,
        Value::Number(wanted) => number(text).is_some() && number(text) == wanted.as_f64(),
        Value::Bool(wanted) => text == if *wanted { "true" } else { "false" },
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Equal as JSON is: 8 and 8.0 are the same number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in = |(key, value)| other.get(key).is_some_and(|found| is_same(value, found));
            one.len() == other.len() && one.iter().all(is_in)
        }
        _ => one == other,
    }
}
