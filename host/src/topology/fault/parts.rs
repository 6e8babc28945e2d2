//! The keys of `match`: parts of a request, and tests of their values.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value as Json, json};

use super::super::key::{Key, Optional, Type};
use super::super::reader::Value;
use super::super::schema::{Defs, any};
use super::super::section::{self, Section};
use super::super::shapes::{By, Written};
use super::super::types::{ANY, FLAG};
use crate::error::{Problem, quote};

/// Values of an `in`.
pub(super) const VALUES_AT_MOST: usize = 1_000;

/// Characters of a regular expression, and bytes that it takes when it is compiled:
/// a word of any length in any script takes 64 KiB, hundreds of them take this.
const REGEX_AT_MOST: usize = 1_000;
const COMPILED_AT_MOST: usize = 1 << 20;

pub(super) static MATCH: Key<Conditions, Optional> = Key {
    name: "match",
    of: Conditions,
    absent: Optional("none"),
    says: "what has to hold of a request: see [match](faults.md#match)",
};

/// Conditions on the parts of a request.
#[derive(Debug)]
pub(super) struct Conditions;

/// The parts of a request. Those with a point are many: what is behind it is a name.
pub(super) static PARTS: Section = Section {
    name: "match",
    says: "conditions on a request. All of them must hold",
    keys: &[&METHOD, &HEADER, &BAGGAGE, &PARAM, &BODY],
    rules: &[],
};

pub(super) static METHOD: Key<Written, Optional> = part("method", TEST, "`\"POST\"`");
pub(super) static HEADER: Key<Written, Optional> =
    part("header.NAME", TEST, "if there are several headers of that name, one is enough");
pub(super) static BAGGAGE: Key<Written, Optional> =
    part("baggage.KEY", TEST, "a value of the W3C baggage of the request");
pub(super) static PARAM: Key<Written, Optional> =
    part("param.NAME", TEST, "a parameter of the route's path, decoded");
pub(super) static BODY: Key<Written, Optional> = part(
    "body./POINTER",
    Written { words: "a value or a test", schema: |_| json!({}) },
    "a value of a JSON body (RFC 6901); any other body has no values",
);

const fn part(name: &'static str, of: Written, says: &'static str) -> Key<Written, Optional> {
    Key { name, of, absent: Optional("none"), says }
}

const TEST: Written = Written {
    words: "a value or a test",
    schema: |defs| any([json!({ "type": ["string", "number", "boolean"] }), TESTS.refer(defs)]),
};

/// The words in front of the points in [`PARTS`].
pub(super) fn part_words() -> impl Iterator<Item = &'static str> {
    section::names(PARTS.keys).map(|name| name.split_once('.').map_or(name, |(word, _)| word))
}

impl Type for Conditions {
    type Read = ();

    fn read(&self, _: &Value<'_>) -> Option<()> {
        Some(())
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a table")
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        defs.tables.push((PARTS.name, section::table(PARTS.keys)));
        let (mut properties, mut patterns) = (Map::new(), Map::new());
        for part in PARTS.keys {
            let schema = part.schema(defs);
            let Some((word, _)) = part.name().split_once('.') else {
                properties.insert(part.name().to_owned(), schema);
                continue;
            };
            // header.x-tier without quotes: TOML makes tables of it.
            let nested = json!({ "type": "object", "additionalProperties": schema, "minProperties": 1 });
            properties.insert(word.to_owned(), nested);
            patterns.insert(format!("^{word}\\."), schema);
        }
        json!({
            "type": "object",
            "properties": properties,
            "patternProperties": patterns,
            "additionalProperties": false,
            "minProperties": 1,
        })
    }
}

/// What is asked of a part of a request.
pub(super) static TESTS: Section = Section {
    name: "test",
    says: "tests of a value, all of which must hold",
    keys: &[&EQ, &NE, &GT, &GE, &LT, &LE, &IN, &REGEX, &EXISTS],
    rules: &[],
};

pub(super) static EQ: Key<Written, Optional> = part("eq", ANY, "equal");
pub(super) static NE: Key<Written, Optional> = part("ne", ANY, "not equal; a missing value is not equal");
pub(super) static GT: Key<By<f64>, Optional> = bound("gt", "above this number, which may be text");
pub(super) static GE: Key<By<f64>, Optional> = bound("ge", "this number or above, which may be text");
pub(super) static LT: Key<By<f64>, Optional> = bound("lt", "below this number, which may be text");
pub(super) static LE: Key<By<f64>, Optional> = bound("le", "this number or below, which may be text");
pub(super) static IN: Key<Written, Optional> = part(
    "in",
    Written {
        words: "a list of values",
        schema: |_| json!({ "type": "array", "minItems": 1, "maxItems": VALUES_AT_MOST }),
    },
    "one of these",
);
pub(super) static REGEX: Key<By<Regex>, Optional> = Key {
    name: "regex",
    of: By {
        words: "a regular expression",
        schema: |_| json!({ "type": "string", "maxLength": REGEX_AT_MOST }),
        read: |value| regex(value),
    },
    absent: Optional("none"),
    says: "matches anywhere in the text, unless `^` and `$` bind it; in Rust's [syntax](https://docs.rs/regex/#syntax), \
           which takes linear time",
};
pub(super) static EXISTS: Key<By<bool>, Optional> =
    Key { name: "exists", of: FLAG, absent: Optional("none"), says: "whether there is a value" };

const fn bound(name: &'static str, says: &'static str) -> Key<By<f64>, Optional> {
    let of = By {
        words: "a number",
        schema: |_| json!({ "type": "number" }),
        read: |value| value.number("a number, as in { gt = 5 }", |_| true),
    };
    Key { name, of, absent: Optional("none"), says }
}

fn regex(value: &Value<'_>) -> Option<Regex> {
    value.read(|text| {
        let wrong = |what: &str, label: &str, help: String| {
            Err(Problem::new(format!("{} is {what}", quote(text))).label(label).help(help))
        };
        if text.chars().count() > REGEX_AT_MOST {
            return wrong(
                "too long for a regular expression here",
                "too long",
                format!("write at most {REGEX_AT_MOST} characters; in takes many values"),
            );
        }
        match RegexBuilder::new(text).size_limit(COMPILED_AT_MOST).build() {
            Ok(regex) => Ok(regex),
            Err(regex::Error::CompiledTooBig(_)) => wrong(
                "too large a regular expression",
                "too large",
                "repeat less, as {1000} copies what it repeats; (?-u) takes ASCII alone for \\w and \\d"
                    .to_owned(),
            ),
            Err(error) => {
                let told = error.to_string();
                let reason = told.lines().last().unwrap_or_default().trim_start_matches("error: ");
                wrong(
                    "no regular expression",
                    reason,
                    "see https://docs.rs/regex/#syntax for what one may hold".to_owned(),
                )
            }
        }
    })
}
