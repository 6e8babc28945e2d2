//! Where two documents part, told so that a person can act on it.

use std::fmt::Write as _;

use serde_json::Value;

/// Characters of a text that are shown on either side of where it differs.
const BEFORE: usize = 30;
const AFTER: usize = 50;

/// The first difference of two texts; none if they are equal. Of JSON, in lines
/// or as one document, it says the path, and the span that it is in.
pub fn first(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    if let (Ok(one), Ok(other)) = (serde_json::from_str(one), serde_json::from_str(other))
        && let Some(difference) = in_json(&one, &other)
    {
        return Some(difference.told(""));
    }
    let (mut of_one, mut of_other) = (one.split('\n'), other.split('\n'));
    for number in 1.. {
        let (left, right) = match (of_one.next(), of_other.next()) {
            (Some(left), Some(right)) if left == right => continue,
            (Some(left), Some(right)) => (left, right),
            (left, right) => {
                let what =
                    |line: Option<&str>| line.map_or("(ends here)".to_owned(), |line| shorten(line, 0));
                let (left, right) = (what(left), what(right));
                return Some(format!("line {number}\n  one:   {left}\n  other: {right}"));
            }
        };
        return Some(in_line(number, left, right));
    }
    unreachable!("texts that differ have a line that does")
}

fn in_line(number: usize, one: &str, other: &str) -> String {
    if let (Ok(left), Ok(right)) = (serde_json::from_str(one), serde_json::from_str(other))
        && let Some(difference) = in_json(&left, &right)
    {
        return difference.told(&format!("line {number}, "));
    }
    let same = one.chars().zip(other.chars()).take_while(|(left, right)| left == right).count();
    let (one, other) = (shorten(one, same), shorten(other, same));
    format!("line {number}, column {}\n  one:   {one}\n  other: {other}", same + 1)
}

struct Difference {
    /// `$.resourceSpans[0]…`.
    path: String,
    /// The span, log record or row around it, if it has a name.
    within: Option<String>,
    one: String,
    other: String,
}

impl Difference {
    fn told(&self, place: &str) -> String {
        let mut text = format!("{place}{}", self.path);
        if let Some(within) = &self.within {
            write!(text, ", in {within}").expect("a String takes every write");
        }
        let same = self.one.chars().zip(self.other.chars()).take_while(|(left, right)| left == right).count();
        let (one, other) = (shorten(&self.one, same), shorten(&self.other, same));
        write!(text, "\n  one:   {one}\n  other: {other}").expect("a String takes every write");
        text
    }
}

/// None when the values are equal, though their texts may not be.
fn in_json(one: &Value, other: &Value) -> Option<Difference> {
    let deeper = |mut difference: Difference, step: String| {
        difference.path = format!("${step}{}", &difference.path[1..]);
        difference
    };
    let leaf = |one: Option<&Value>, other: Option<&Value>| {
        let text = |value: Option<&Value>| value.map_or("(is not there)".to_owned(), ToString::to_string);
        Difference { path: "$".to_owned(), within: None, one: text(one), other: text(other) }
    };
    let pair = |left: Option<&Value>, right: Option<&Value>| match (left, right) {
        (Some(left), Some(right)) => in_json(left, right),
        (None, None) => None,
        (left, right) => Some(leaf(left, right)),
    };
    match (one, other) {
        (Value::Array(left), Value::Array(right)) => (0..left.len().max(right.len()))
            .find_map(|at| Some(deeper(pair(left.get(at), right.get(at))?, format!("[{at}]")))),
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
            let found =
                keys.filter_map(|key| Some(deeper(pair(left.get(key), right.get(key))?, format!(".{key}"))));
            let mut found = found.take(1).collect::<Vec<_>>().pop()?;
            found.within = found.within.or_else(|| named(one));
            Some(found)
        }
        (left, right) if left == right => None,
        (left, right) => Some(leaf(Some(left), Some(right))),
    }
}

/// What an object calls itself: a span, or a row of the report.
fn named(object: &Value) -> Option<String> {
    let text = |key: &str| object.get(key).and_then(Value::as_str);
    if let (Some(name), Some(id)) = (text("name"), text("spanId")) {
        return Some(format!("span {name:?} {id} of trace {}", text("traceId").unwrap_or("?")));
    }
    let parts: Vec<_> = ["load", "service", "route", "from", "to"].into_iter().filter_map(text).collect();
    (!parts.is_empty()).then(|| format!("{:?}", parts.join(" ")))
}

/// The part of a text around the character at `place`.
fn shorten(text: &str, place: usize) -> String {
    let from = place.saturating_sub(BEFORE);
    let mut short: String = text.chars().skip(from).take(BEFORE + AFTER).collect();
    if from > 0 {
        short.insert(0, '…');
    }
    if text.chars().count() > from + BEFORE + AFTER {
        short.push('…');
    }
    short
}

#[test]
fn equal_texts_have_no_difference() {
    assert_eq!(first("a\nb\n", "a\nb\n"), None);
}

#[test]
fn a_difference_of_texts_is_a_line_and_a_column() {
    let told = "line 2, column 3\n  one:   b 1\n  other: b 2";
    assert_eq!(first("a\nb 1\nc", "a\nb 2\nd").as_deref(), Some(told));
    let longer = "line 2\n  one:   (ends here)\n  other: b";
    assert_eq!(first("a", "a\nb").as_deref(), Some(longer));
    let last = "line 2\n  one:   \n  other: (ends here)";
    assert_eq!(first("a\n", "a").as_deref(), Some(last));
}

#[test]
fn a_long_line_is_shown_where_it_differs() {
    let line = |middle: &str| format!("{}{middle}{}", "x".repeat(100), "y".repeat(100));
    let told = first(&line("1"), &line("2")).expect("they differ");
    let around = |middle: &str| format!("…{}{middle}{}…", "x".repeat(30), "y".repeat(49));
    let (one, other) = (around("1"), around("2"));
    assert_eq!(told, format!("line 1, column 101\n  one:   {one}\n  other: {other}"));
}

#[test]
fn a_difference_of_json_is_a_path_and_names_the_span() {
    let line = |end: &str| {
        format!(
            r#"{{"spans":[{{}},{{"traceId":"ab","spanId":"cd","name":"GET /","events":[{{"time":"{end}"}}]}}]}}"#
        )
    };
    let told = first(&format!("{{}}\n{}", line("1")), &format!("{{}}\n{}", line("2")));
    let expected = "line 2, $.spans[1].events[0].time, in span \"GET /\" cd of trace ab\n  \
                    one:   \"1\"\n  other: \"2\"";
    assert_eq!(told.as_deref(), Some(expected));
    let missing = first(r#"{"a":[1]}"#, r#"{"a":[1,2]}"#);
    assert_eq!(missing.as_deref(), Some("$.a[1]\n  one:   (is not there)\n  other: 2"));
    let other_key = first(r#"{"a":1}"#, r#"{"a":1,"b":2}"#);
    assert_eq!(other_key.as_deref(), Some("$.b\n  one:   (is not there)\n  other: 2"));
}

/// Bytes are what is promised, not what they mean.
#[test]
fn json_that_is_written_differently_differs() {
    let told = first("{\"a\":1.0}\n", "{\"a\": 1.0}\n").expect("they differ");
    assert!(told.starts_with("line 1, column 6"), "{told}");
}
