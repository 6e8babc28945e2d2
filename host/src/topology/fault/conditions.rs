//! `match = { … }`: what must hold of a request.

use serde_json::Value as Json;
use toml::de::DeValue;

use super::super::address;
use super::super::answer::header_name;
use super::super::key::Type;
use super::super::load::json as as_json;
use super::super::parameters;
use super::super::reader::{Table, Value};
use super::super::section;
use super::parts::{EQ, EXISTS, GE, GT, IN, LE, LT, NE, REGEX, TESTS, VALUES_AT_MOST, part_words};
use crate::error::{Problem, did_you_mean, list, nearest, quote};
use crate::message::is_token;
use crate::model::{Condition, Part, Test};

/// Conditions of a fault.
const CONDITIONS_AT_MOST: usize = 100;

const EXAMPLE: &str = "write for example match = { \"header.x-tier\" = \"gold\" }";

/// All that must hold. `routes` are those of the targets, where each of them names one.
pub(super) fn conditions(value: &Value<'_>, routes: &[&str]) -> Option<Vec<Condition>> {
    let table = value.table("match")?;
    if table.entries().is_empty() {
        let problem = Problem::new("match asks for nothing").label("empty");
        return value.refuse(problem.help(format!("leave it out, or {EXAMPLE}")));
    }
    let mut read = Some(Vec::new());
    for entry in table.entries() {
        let (part, name) = match entry.key.split_once('.') {
            Some((part, name)) => (part, Some(name)),
            None => (entry.key, None),
        };
        let more = match (part, name) {
            ("method", None) => tests(entry, &Part::Method),
            ("header" | "baggage" | "param" | "body", Some(name)) => named(entry, part, name, routes),
            // header.x-tier without quotes: TOML makes tables of it.
            ("header" | "baggage" | "param" | "body", None) => nested(entry, part, routes),
            _ => unknown(entry, part),
        };
        read = read.zip(more).map(|(mut all, more)| {
            all.extend(more);
            all
        });
    }
    let read = read?;
    if read.len() > CONDITIONS_AT_MOST {
        let problem = Problem::new(format!("match has {} conditions", read.len())).label("too many");
        return value.refuse(problem.help(format!("{CONDITIONS_AT_MOST} are allowed: in takes many values")));
    }
    Some(read)
}

fn unknown(entry: &Value<'_>, part: &str) -> Option<Vec<Condition>> {
    let help = match nearest(part, part_words()) {
        Some("method") if part == "method" => {
            "write method alone, as in match = { method = \"POST\" }".to_owned()
        }
        _ if part == "path" => {
            "name the route in the target: target = { service = \"…\", route = \"…\" }".to_owned()
        }
        Some(near) => format!("did you mean {}?", quote(&entry.key.replacen(part, near, 1))),
        None => format!(
            "write \"method\", \"header.NAME\", \"baggage.KEY\", \"param.NAME\" or \"body./POINTER\"; {EXAMPLE}"
        ),
    };
    let problem = Problem::new(format!("a request has no part {}", quote(entry.key)));
    entry.refuse_key(problem.label("no part of a request").help(help))
}

fn nested(entry: &Value<'_>, part: &str, routes: &[&str]) -> Option<Vec<Condition>> {
    let table = entry.table(format!("match.{part}"))?;
    if table.entries().is_empty() {
        let problem = Problem::new(format!("match.{part} asks for nothing")).label("empty");
        return entry.refuse(problem.help(EXAMPLE));
    }
    let read: Vec<_> = table.entries().iter().map(|entry| named(entry, part, entry.key, routes)).collect();
    read.into_iter().collect::<Option<Vec<_>>>().map(|read| read.into_iter().flatten().collect())
}

/// Conditions on a header, a value of baggage, a parameter or a value of the body.
fn named(entry: &Value<'_>, part: &str, name: &str, routes: &[&str]) -> Option<Vec<Condition>> {
    let part = match part {
        "header" => header_name(entry, name).map(Part::Header),
        "baggage" => baggage_key(entry, name).map(Part::Baggage),
        "param" => param(entry, name, routes).map(Part::Param),
        _ => is_pointer(entry, name).map(|name| Part::Body(name.to_owned())),
    };
    tests(entry, &part?)
}

fn baggage_key(entry: &Value<'_>, name: &str) -> Option<String> {
    if is_token(name) {
        return Some(name.to_owned());
    }
    let problem = Problem::new(format!("{} is not a key of baggage", quote(name))).label("not a key");
    entry.refuse_key(problem.help("keys of baggage are words without blanks, as in \"baggage.user-id\""))
}

/// A parameter of the path; of routes that are known, one that at least one of them has.
fn param(entry: &Value<'_>, name: &str, routes: &[&str]) -> Option<String> {
    let has = |route: &&str| parameters(route).any(|known| known == name);
    let without = if routes.iter().any(has) { None } else { routes.first() };
    match without {
        Some(route) => {
            let known: Vec<_> = parameters(route).collect();
            let help = match known.is_empty() {
                true => "leave it out: the path is always the same".to_owned(),
                false => did_you_mean(name, "parameters", known.iter().copied()),
            };
            let problem = Problem::new(format!("{} has no parameter {}", quote(route), quote(name)));
            entry.refuse_key(problem.label("no such parameter").help(help))
        }
        _ if name.is_empty() => {
            let problem = Problem::new("a parameter has a name").label("which one?");
            entry.refuse_key(problem.help("write it as in \"param.item\""))
        }
        _ => Some(name.to_owned()),
    }
}

/// A JSON pointer (RFC 6901) that stands in the key of `entry`.
pub(super) fn is_pointer<'n>(entry: &Value<'_>, pointer: &'n str) -> Option<&'n str> {
    let wrong = |label: &str, help: String| {
        let problem = Problem::new(format!("{} is not a JSON pointer", quote(pointer)));
        entry.refuse_key(problem.label(label).help(help))
    };
    if !pointer.starts_with('/') {
        let meant = format!("/{}", pointer.replace('.', "/"));
        return wrong("does not begin with '/'", format!("write {}", quote(&meant)));
    }
    let mut escapes = pointer.split('~').skip(1);
    if escapes.any(|behind| !behind.starts_with(['0', '1'])) {
        return wrong(
            "a '~' that stands for nothing",
            "write ~0 for '~' and ~1 for '/' in a name".to_owned(),
        );
    }
    Some(pointer)
}

/// `"gold"`, or `{ gt = 5, lt = 10 }`: each test is a condition of its own.
fn tests(value: &Value<'_>, part: &Part) -> Option<Vec<Condition>> {
    let DeValue::Table(_) = value.item() else {
        let test = Test::Eq(wanted(value, part)?);
        return Some(vec![Condition { of: part.clone(), test, place: value.place() }]);
    };
    let table = TESTS.open(value, format!("the test of {}", quote(value.key)))?;
    let read = of_table(&table, part);
    if let Some(why) = read.as_deref().and_then(contradiction) {
        let problem = Problem::new(format!("no value of {} meets these tests: {why}", quote(value.key)));
        return value.refuse(
            problem.label("they contradict one another").help("correct one of them, or leave it out"),
        );
    }
    if table.entries().is_empty() {
        let problem = Problem::new(format!("{} is not tested for anything", quote(value.key)));
        let help = format!("write a value, or a test: {}", list(section::names(TESTS.keys)));
        return value.refuse(problem.label("empty").help(help));
    }
    let condition = |test| Condition { of: part.clone(), test, place: value.place() };
    let conditions = read?.into_iter().map(condition);
    Some(conditions.collect())
}

/// Why no value at all can meet all these tests.
fn contradiction(tests: &[Test]) -> Option<String> {
    let has = |wanted: fn(&Test) -> bool| tests.iter().any(wanted);
    if has(|test| matches!(test, Test::Exists(false)))
        && has(|test| !matches!(test, Test::Exists(_) | Test::Ne(_)))
    {
        return Some("what is not there has no value".to_owned());
    }
    // The bound, and whether it is outside itself.
    let (mut least, mut most) = ((f64::NEG_INFINITY, false), (f64::INFINITY, false));
    for test in tests {
        let (low, high) = match test {
            Test::Gt(number) => (Some((*number, true)), None),
            Test::Ge(number) => (Some((*number, false)), None),
            Test::Lt(number) => (None, Some((*number, true))),
            Test::Le(number) => (None, Some((*number, false))),
            Test::Eq(value) => {
                let exactly = value.as_f64().map(|number| (number, false));
                (exactly, exactly)
            }
            _ => (None, None),
        };
        least = low.filter(|low| *low > least).unwrap_or(least);
        most = high.filter(|(high, open)| *high < most.0 || *high == most.0 && *open).unwrap_or(most);
    }
    let is_empty = least.0 > most.0 || least.0 == most.0 && (least.1 || most.1);
    is_empty.then(|| {
        let words = |(number, open): (f64, bool), side: &str, of: &str| {
            if open { format!("{side} {number}") } else { format!("{number} or {of}") }
        };
        format!("a number that is {} and {}", words(least, "above", "more"), words(most, "below", "less"))
    })
}

fn of_table(table: &Table<'_>, part: &Part) -> Option<Vec<Test>> {
    let all = [
        EQ.get(table).map(|value| wanted(&value, part).map(Test::Eq)),
        NE.get(table).map(|value| wanted(&value, part).map(Test::Ne)),
        GT.get(table).map(|value| GT.of.read(&value).map(Test::Gt)),
        GE.get(table).map(|value| GE.of.read(&value).map(Test::Ge)),
        LT.get(table).map(|value| LT.of.read(&value).map(Test::Lt)),
        LE.get(table).map(|value| LE.of.read(&value).map(Test::Le)),
        IN.get(table).map(|value| values(&value, part).map(Test::In)),
        REGEX.get(table).map(|value| REGEX.of.read(&value).map(Test::Regex)),
        EXISTS.get(table).map(|value| EXISTS.of.read(&value).map(Test::Exists)),
    ];
    all.into_iter().flatten().collect()
}

/// What a part is compared with. All but a body is text, in which a number may be written.
fn wanted(value: &Value<'_>, part: &Part) -> Option<Json> {
    if let Part::Body(_) = part {
        return json_value(value);
    }
    match (value.item(), part) {
        (DeValue::String(_), Part::Method) => value.read(address::method).map(Into::into),
        (DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_), _) => {
            json_value(value)
        }
        _ => {
            let remedy = "compare lists and tables only in a body, as in \"body./items\" = [1, 2]";
            value.refuse_kind("text, a number or a boolean", remedy)
        }
    }
}

/// A TOML value as the JSON that it stands for.
pub(super) fn json_value(value: &Value<'_>) -> Option<Json> {
    // What was written as JSON a moment ago can be read.
    serde_json::from_str(&as_json(value)?).ok()
}

/// `in = ["a", "b"]`.
fn values(value: &Value<'_>, part: &Part) -> Option<Vec<Json>> {
    let list = value.list()?;
    if !(1..=VALUES_AT_MOST).contains(&list.len()) {
        let problem = Problem::new(format!("in has {} values", list.len()));
        let problem = problem.label(format!("1 to {VALUES_AT_MOST} are needed"));
        return value.refuse(problem.help("write in = [\"a\", \"b\"]"));
    }
    let read: Vec<_> = list.iter().map(|value| wanted(value, part)).collect();
    read.into_iter().collect()
}
