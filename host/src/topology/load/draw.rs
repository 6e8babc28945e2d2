//! Values that requests draw: `{ pick = … }`, `{ range = … }` and their like.

use std::path::Path;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::super::address;
use super::super::key::{Key, Optional, Type, Usual};
use super::super::reader::{Table, Value};
use super::super::schema::any;
use super::super::section::{Rule, Section};
use super::super::shapes::{By, Choice, Count, Written};
use crate::error::{Problem, quote};
use crate::model::{self, Draw, Literal, Names};

/// What a table names that draws a value.
const KINDS: [&str; 5] = ["pick", "range", "sequence", "uuid", "names"];

/// A table that draws a value.
pub(super) static DRAW: Section = Section {
    name: "value",
    says: "a value that each request draws",
    keys: &[&PICK, &RANGE, &DIGITS, &SEQUENCE, &UUID, &NAMES],
    rules: &[Rule::One(&KINDS)],
};

static PICK: Key<Written, Optional> = Key {
    name: "pick",
    of: Written {
        words: "a list of pairs",
        schema: |_| json!({ "type": "array", "items": pair_schema(), "minItems": 1 }),
    },
    absent: Optional("none"),
    says: "one of several, by weight: `[[0.9, 2], [0.1, 8]]`",
};

static RANGE: Key<Written, Optional> = Key {
    name: "range",
    of: Written {
        words: "a pair of numbers",
        schema: |_| json!({ "type": "array", "items": { "type": "number" }, "minItems": 2, "maxItems": 2 }),
    },
    absent: Optional("none"),
    says: "a number, both ends included: `[1, 10]`, `[0.5, 99.5]`",
};

static DIGITS: Key<Count, Optional> = Key {
    name: "digits",
    of: Count(0, DIGITS_AT_MOST),
    absent: Optional("all"),
    says: "beside a `range` of numbers with a point: digits behind it",
};

static SEQUENCE: Key<Written, Optional> = Key {
    name: "sequence",
    of: Written {
        words: "a whole number, or a table",
        schema: |defs| any([json!({ "type": "integer" }), COUNTED.refer(defs)]),
    },
    absent: Optional("none"),
    says: "counts the requests: `1`, `{ from = 100, step = 10 }`",
};

static UUID: Key<Choice<()>, Optional> = Key {
    name: "uuid",
    of: Choice { what: "UUID version", words: &[("v4", ())] },
    absent: Optional("none"),
    says: "a random UUID",
};

static NAMES: Key<Written, Optional> = Key {
    name: "names",
    of: Written {
        words: "a list of texts, or a file",
        schema: |_| {
            let list = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
            any([json!({ "type": "string", "minLength": 1 }), list])
        },
    },
    absent: Optional("none"),
    says: "one of several, all equally likely: `[\"Ann\", \"Bob\"]`, `\"people.txt\"`; a file has one per line",
};

static COUNTED: Section =
    Section { name: "sequence", says: "how requests are counted", keys: &[&FROM, &STEP], rules: &[] };

static FROM: Key<By<i64>, Usual> =
    Key { name: "from", of: INTEGER, absent: Usual("1"), says: "the number of the first request" };

static STEP: Key<By<i64>, Usual> =
    Key { name: "step", of: INTEGER, absent: Usual("1"), says: "from one request to the next" };

const INTEGER: By<i64> =
    By { words: "a whole number", schema: |_| json!({ "type": "integer" }), read: |value| whole(value) };

/// A list of two: for editors that know no `prefixItems`, of any two.
pub(super) fn pair_schema() -> Json {
    json!({ "type": "array", "minItems": 2, "maxItems": 2 })
}

/// Digits behind the point: what a double has.
const DIGITS_AT_MOST: u32 = 17;

const EXAMPLES: &str =
    "write for example { pick = [[0.9, \"book\"], [0.1, \"pen\"]] } or { range = [1, 10] }";

/// `values = { item = { pick = … } }`.
pub(super) fn values(value: &Value<'_>, folder: &Path) -> Option<Vec<model::Value>> {
    let table = value.table("the values")?;
    let read = |entry: &Value<'_>| {
        if let Err(problem) = address::name(entry.key) {
            return entry.refuse_key(problem);
        }
        let table = entry.table(format!("the value {}", quote(entry.key)))?;
        match draws(&table) {
            true => Some(model::Value { name: entry.key.to_owned(), draw: draw(&table, folder)? }),
            false => entry.refuse(
                Problem::new(format!("the value {} has no generator", quote(entry.key)))
                    .label("none of pick, range, sequence, uuid, names")
                    .help(EXAMPLES),
            ),
        }
    };
    let read: Vec<_> = table.entries().iter().map(read).collect();
    read.into_iter().collect()
}

/// Whether a table draws a value, and is none itself.
pub(super) fn draws(table: &Table<'_>) -> bool {
    match table.entries() {
        [only] => KINDS.contains(&only.key),
        [one, other] => matches!((one.key, other.key), ("range", "digits") | ("digits", "range")),
        _ => false,
    }
}

/// How a table for which [`draws`] is true draws its value.
pub(super) fn draw(table: &Table<'_>, folder: &Path) -> Option<Draw> {
    DRAW.keys_of(table);
    None.or_else(|| PICK.get(table).and_then(|value| pick(&value)))
        .or_else(|| RANGE.get(table).and_then(|value| range(&value, DIGITS.get(table))))
        .or_else(|| SEQUENCE.get(table).and_then(|value| sequence(&value)))
        .or_else(|| UUID.written(table).map(|()| Draw::Uuid))
        .or_else(|| NAMES.get(table).and_then(|value| names(&value, folder)).map(Draw::Names))
}

/// `pick = [[0.9, 2], [0.1, 8]]`: pairs of weight and value.
fn pick(value: &Value<'_>) -> Option<Draw> {
    const REMEDY: &str = "write weights and values, as in pick = [[0.9, 2], [0.1, 8]]";
    let mut choices = Vec::new();
    let mut sum = 0.0;
    for pair in value.list()? {
        let [weight, choice] = &self::pair(&pair, REMEDY)?;
        sum += weight.number("a weight from 0 to 1e9", |weight| (0.0..=1e9).contains(&weight))?;
        choices.push((sum, literal(choice)?));
    }
    if sum > 0.0 {
        return Some(Draw::Pick(choices));
    }
    let problem = Problem::new("pick has nothing to choose from").label("no choice with a weight above 0");
    value.refuse(problem.help(REMEDY))
}

/// One of a list of pairs.
pub(super) fn pair<'a>(value: &Value<'a>, remedy: &str) -> Option<[Value<'a>; 2]> {
    let items = if let DeValue::Array(_) = value.item() { value.list()? } else { Vec::new() };
    items.try_into().ok().or_else(|| {
        let problem = Problem::new(format!("each of {} must be a pair", quote(value.key)));
        value.refuse(problem.label("not a pair").help(remedy))
    })
}

/// `range = [1, 10]` or `range = [0.5, 99.99], digits = 2`.
fn range(value: &Value<'_>, digits: Option<Value<'_>>) -> Option<Draw> {
    let ends = value.list()?;
    let [low, high] = &ends[..] else {
        let problem = Problem::new("a range has two ends").label(format!("{} of them", ends.len()));
        return value.refuse(problem.help("write the smallest and the largest, as in range = [1, 10]"));
    };
    let falls =
        |problem: Problem| high.refuse(problem.label("below the first").help("put the smaller first"));
    if let (DeValue::Integer(_), DeValue::Integer(_)) = (low.item(), high.item()) {
        if let Some(digits) = &digits {
            let problem = Problem::new("digits is for ranges of numbers with a point").label("has no effect");
            return digits.refuse_key(problem.help("leave it out, or write the ends as in [1.0, 10.0]"));
        }
        let (min, max) = (whole(low)?, whole(high)?);
        return if min <= max {
            Some(Draw::Int { min, max })
        } else {
            falls(Problem::new(format!("the range from {min} to {max} is empty")))
        };
    }
    let finite = |value: &Value<'_>| value.number("a number up to 1e300", |number| number.abs() <= 1e300);
    let (min, max) = (finite(low)?, finite(high)?);
    if min > max {
        return falls(Problem::new(format!("the range from {min} to {max} is empty")));
    }
    let digits = match digits {
        Some(value) => Some(u8::try_from(DIGITS.of.read(&value)?).ok()?),
        None => None,
    };
    Some(Draw::Float { min, max, digits })
}

/// `sequence = 1` or `sequence = { from = 1, step = 2 }`.
fn sequence(value: &Value<'_>) -> Option<Draw> {
    let DeValue::Table(_) = value.item() else {
        return Some(Draw::Sequence { from: whole(value)?, step: STEP.usual() });
    };
    let table = COUNTED.open(value, "the sequence")?;
    let (from, step) = (FROM.read(&table), STEP.read(&table));
    Some(Draw::Sequence { from: from?, step: step? })
}

/// `names = ["Ann", "Bob"]` or `names = "people.txt"`.
fn names(value: &Value<'_>, folder: &Path) -> Option<Names> {
    if let DeValue::String(_) = value.item() {
        return Some(Names::File { path: folder.join(value.filled()?), place: value.place() });
    }
    let names: Vec<_> = value.list()?.iter().map(|name| name.text().map(str::to_owned)).collect();
    let names: Vec<_> = names.into_iter().collect::<Option<_>>()?;
    if names.is_empty() {
        let problem = Problem::new("names is empty").label("nothing to choose from");
        return value.refuse(problem.help("write names = [\"Ann\", \"Bob\"], or the name of a file"));
    }
    Some(Names::Read(names.into()))
}

fn whole(value: &Value<'_>) -> Option<i64> {
    let DeValue::Integer(integer) = value.item() else {
        return value.refuse_kind("a whole number", "write it without quotes and without a point");
    };
    i64::from_str_radix(integer.as_str(), integer.radix()).ok().or_else(|| {
        value.refuse(
            Problem::new(format!("{} does not fit into 64 bits", value.written()))
                .label("too large")
                .help("put it in quotes to send it as text"),
        )
    })
}

/// A value that is the same in every request.
pub(super) fn literal(value: &Value<'_>) -> Option<Literal> {
    let json = json(value)?;
    let text = match value.item() {
        DeValue::String(text) => text.clone().into_owned(),
        _ => json.clone(),
    };
    Some(Literal { json, text })
}

/// A value as JSON, as it is.
pub(in super::super) fn json(value: &Value<'_>) -> Option<String> {
    Some(match value.item() {
        DeValue::String(text) => quoted(text),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Float(_) => format!("{:?}", value.number("a finite number", |_| true)?),
        DeValue::Integer(_) => whole(value)?.to_string(),
        DeValue::Array(_) => {
            let items: Option<Vec<_>> = value.list()?.iter().map(json).collect();
            format!("[{}]", items?.join(","))
        }
        DeValue::Table(_) => {
            let table = value.table(quote(value.key))?;
            let entry = |entry: &Value<'_>| Some(format!("{}:{}", quoted(entry.key), json(entry)?));
            let entries: Option<Vec<_>> = table.entries().iter().map(entry).collect();
            format!("{{{}}}", entries?.join(","))
        }
        DeValue::Datetime(_) => {
            return value.refuse_kind("a value that JSON has", "put a date in quotes to send it as text");
        }
    })
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
