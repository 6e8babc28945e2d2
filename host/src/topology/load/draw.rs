//! Values that requests draw: `{ pick = … }`, `{ range = … }` and their like.

use std::path::Path;

use toml::de::DeValue;

use super::super::address;
use super::super::reader::{Table, Value};
use crate::error::{Problem, quote};
use crate::model::{self, Draw, Literal, Names};

/// What a table names that draws a value.
const KINDS: [&str; 5] = ["pick", "range", "sequence", "uuid", "names"];

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
    let [pick_value, range_value, digits, sequence_value, uuid, names_value] =
        table.keys(["pick", "range", "digits", "sequence", "uuid", "names"]);
    None.or_else(|| pick_value.and_then(|value| pick(&value)))
        .or_else(|| range_value.and_then(|value| range(&value, digits)))
        .or_else(|| sequence_value.and_then(|value| sequence(&value)))
        .or_else(|| uuid.and_then(|value| value.choice("UUID version", &[("v4", ())])).map(|()| Draw::Uuid))
        .or_else(|| names_value.and_then(|value| names(&value, folder)).map(Draw::Names))
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
        Some(value) => Some(u8::try_from(value.count(0..=DIGITS_AT_MOST)?).ok()?),
        None => None,
    };
    Some(Draw::Float { min, max, digits })
}

/// `sequence = 1` or `sequence = { from = 1, step = 2 }`.
fn sequence(value: &Value<'_>) -> Option<Draw> {
    let DeValue::Table(_) = value.item() else {
        return Some(Draw::Sequence { from: whole(value)?, step: 1 });
    };
    let table = value.table("the sequence")?;
    let [from, step] = table.keys(["from", "step"]);
    let from = from.map_or(Some(1), |value| whole(&value));
    let step = step.map_or(Some(1), |value| whole(&value));
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
