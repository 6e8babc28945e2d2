//! Records as a receiver sees them: OTLP JSON lines, read back into spans.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

pub type Attributes = BTreeMap<String, Value>;

/// One span, with the Resource that it is from.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub service: String,
    pub resource: Attributes,
    pub scope: String,
    pub trace_id: String,
    pub id: String,
    /// Empty at the root.
    pub parent: String,
    pub trace_state: String,
    pub flags: u64,
    pub name: String,
    pub kind: &'static str,
    pub start: u64,
    pub end: u64,
    pub attributes: Attributes,
    pub events: Vec<Event>,
    /// UNSET, OK, ERROR, or ERROR and the description.
    pub status: String,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: String,
    pub time: u64,
    pub attributes: Attributes,
}

impl Span {
    pub fn text(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).and_then(Value::as_str)
    }

    pub fn int(&self, key: &str) -> Option<i64> {
        self.attributes.get(key).and_then(Value::as_i64)
    }
}

/// The spans of a file, in its order.
pub fn read(lines: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    for line in lines.lines() {
        let line: Value = serde_json::from_str(line).expect("a line of JSON");
        for of_resource in list(&line["resourceSpans"]) {
            let resource = attributes(&of_resource["resource"]);
            for of_scope in list(&of_resource["scopeSpans"]) {
                let scope = string(&of_scope["scope"]["name"]);
                spans.extend(list(&of_scope["spans"]).iter().map(|json| span(json, &resource, &scope)));
            }
        }
    }
    spans
}

fn span(json: &Value, resource: &Attributes, scope: &str) -> Span {
    const KINDS: [&str; 6] = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];
    const CODES: [&str; 3] = ["UNSET", "OK", "ERROR"];
    let status = &json["status"];
    let code = CODES[status["code"].as_u64().unwrap_or(0) as usize];
    let event = |json: &Value| Event {
        name: string(&json["name"]),
        time: nanos(&json["timeUnixNano"]),
        attributes: attributes(json),
    };
    Span {
        service: resource["service.name"].as_str().expect("a name").to_owned(),
        resource: resource.clone(),
        scope: scope.to_owned(),
        trace_id: string(&json["traceId"]),
        id: string(&json["spanId"]),
        parent: string(&json["parentSpanId"]),
        trace_state: string(&json["traceState"]),
        flags: json["flags"].as_u64().expect("flags"),
        name: string(&json["name"]),
        kind: KINDS[json["kind"].as_u64().expect("a kind") as usize],
        start: nanos(&json["startTimeUnixNano"]),
        end: nanos(&json["endTimeUnixNano"]),
        attributes: attributes(json),
        events: list(&json["events"]).iter().map(event).collect(),
        status: format!("{code} {}", status["message"].as_str().unwrap_or("")).trim_end().to_owned(),
    }
}

fn attributes(json: &Value) -> Attributes {
    let pairs = list(&json["attributes"]).iter();
    let pairs: Vec<_> = pairs.map(|pair| (string(&pair["key"]), value(&pair["value"]))).collect();
    let (count, attributes) = (pairs.len(), Attributes::from_iter(pairs));
    assert_eq!(attributes.len(), count, "keys are unique in {json}");
    attributes
}

/// An OTLP value as plain JSON; 64-bit integers come as texts.
fn value(json: &Value) -> Value {
    let (kind, value) = json.as_object().and_then(|object| object.iter().next()).expect("a value");
    match kind.as_str() {
        "intValue" => string(value).parse::<i64>().expect("an integer").into(),
        _ => value.clone(),
    }
}

fn list(json: &Value) -> &[Value] {
    json.as_array().map_or(&[], Vec::as_slice)
}

fn string(json: &Value) -> String {
    json.as_str().unwrap_or_default().to_owned()
}

fn nanos(json: &Value) -> u64 {
    string(json).parse().expect("nanoseconds")
}

/// Every trace as a tree: children below their parents, in the order in which
/// they started. Times count from the trace's start.
pub fn tree(spans: &[Span]) -> String {
    let mut text = String::new();
    let mut roots: Vec<_> = spans.iter().filter(|span| span.parent.is_empty()).collect();
    roots.sort_by_key(|span| span.start);
    for root in roots {
        branch(&mut text, spans, root, root.start, 0);
    }
    text
}

/// The spans whose parent is `span`, in the order in which they started; those
/// that started together, in the order in which they ended.
pub fn children<'a>(spans: &'a [Span], span: &Span) -> Vec<&'a Span> {
    let of_span = |other: &&Span| other.parent == span.id && other.trace_id == span.trace_id;
    let mut children: Vec<_> = spans.iter().filter(of_span).collect();
    children.sort_by_key(|span| (span.start, span.end));
    children
}

fn branch(text: &mut String, spans: &[Span], span: &Span, zero: u64, depth: usize) {
    let Span { service, name, kind, flags, status, start, end, .. } = span;
    let indent = "  ".repeat(depth);
    let (at, took) = (micros(start - zero), micros(end - start));
    writeln!(text, "{indent}{service}: {name} {kind} {status}, at {at} for {took}, flags {flags:#x}")
        .expect("a String takes every write");
    list_attributes(text, &format!("{indent}  | "), &span.attributes);
    for Event { name, time, attributes } in &span.events {
        writeln!(text, "{indent}  ! {name} at {}", micros(time - zero)).expect("a String takes every write");
        list_attributes(text, &format!("{indent}    | "), attributes);
    }
    for child in children(spans, span) {
        branch(text, spans, child, zero, depth + 1);
    }
}

fn list_attributes(text: &mut String, indent: &str, attributes: &Attributes) {
    for (key, value) in attributes {
        writeln!(text, "{indent}{key} = {value}").expect("a String takes every write");
    }
}

fn micros(nanos: u64) -> String {
    format!("{}.{:03} us", nanos / 1_000, nanos % 1_000)
}
