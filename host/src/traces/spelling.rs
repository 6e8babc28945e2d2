//! Values of OTLP as JSON in another spelling. OTLP has enums as numbers; protobuf's JSON has names too,
//! which some writers use. Numbers that JSON has not are text in both, `"NaN"`, and protobuf's JSON has null
//! for what is not there. Before version 0.15 of OTLP scopes were instrumentation libraries. Tempo has spans
//! within documents of its own.

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Map, Value};

use super::base64;

/// One of these is in a document that may be OTLP in another spelling.
const SIGNS: [&str; 4] = ["\"resourceSpans\"", "\"resourceLogs\"", "\"resourceMetrics\"", "\"batches\""];

/// The value of an attribute that is a number, which may be text.
const DOUBLE: &str = "doubleValue";

/// What scopes were, and are.
const RENAMED: [(&str, &str); 3] = [
    ("instrumentationLibrarySpans", "scopeSpans"),
    ("instrumentationLibraryLogs", "scopeLogs"),
    ("instrumentationLibrary", "scope"),
];

/// Whether a document may have keys of before 0.15, which would be read over.
pub fn is_old(text: &str) -> bool {
    text.contains(RENAMED[2].0)
}

/// The document with numbers in place of names, and of numbers that are text; those that JSON has not are
/// values of text. Ids are hexadecimal. None of what is no such document.
pub fn plain(text: &str) -> Option<Value> {
    if !SIGNS.iter().any(|sign| text.contains(sign)) {
        return None;
    }
    let mut document = unwrapped(serde_json::from_str(text).ok()?);
    respell(&mut document);
    each(&mut document, &["resourceSpans", "scopeSpans", "spans"], &mut |span| {
        number(span, "kind", |name| SpanKind::from_str_name(name).map(i32::from));
        if let Some(status) = span.get_mut("status") {
            number(status, "code", |name| StatusCode::from_str_name(name).map(i32::from));
        }
        ["traceId", "spanId", "parentSpanId"].into_iter().for_each(|key| base64::id(span, key));
        each(span, &["links"], &mut |link| {
            ["traceId", "spanId"].into_iter().for_each(|key| base64::id(link, key));
        });
    });
    each(&mut document, &["resourceLogs", "scopeLogs", "logRecords"], &mut |record| {
        number(record, "severityNumber", |name| SeverityNumber::from_str_name(name).map(i32::from));
        ["traceId", "spanId"].into_iter().for_each(|key| base64::id(record, key));
    });
    Some(document)
}

/// The answers of Tempo to who asks for a trace: `{"trace":{"resourceSpans":[…]}}`, and `{"batches":[…]}`,
/// the older one.
fn unwrapped(mut document: Value) -> Value {
    if let Some(trace) = document.get_mut("trace").filter(|trace| trace.get("resourceSpans").is_some()) {
        return trace.take();
    }
    match document.get_mut("batches").map(Value::take) {
        Some(batches) => Value::Object(Map::from_iter([("resourceSpans".to_owned(), batches)])),
        None => document,
    }
}

/// Spells keys and values anew, wherever they stand. JSON is no deeper than its parser goes.
fn respell(value: &mut Value) {
    match value {
        Value::Array(members) => members.iter_mut().for_each(respell),
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            for (old, new) in RENAMED {
                if let Some(member) = members.remove(old) {
                    members.entry(new).or_insert(member);
                }
            }
            if let Some(Value::String(text)) = members.get(DOUBLE) {
                let finite = text.parse().ok().and_then(serde_json::Number::from_f64);
                let (key, value) = match finite {
                    Some(number) => (DOUBLE, Value::Number(number)),
                    None => ("stringValue", Value::String(text.clone())),
                };
                members.remove(DOUBLE);
                members.insert(key.to_owned(), value);
            }
            members.values_mut().for_each(respell);
        }
        _ => {}
    }
}

/// Each member of the lists at the end of a path of lists.
fn each(value: &mut Value, path: &[&str], change: &mut impl FnMut(&mut Value)) {
    let Some((key, rest)) = path.split_first() else { return change(value) };
    let members = value.get_mut(*key).and_then(Value::as_array_mut);
    members.into_iter().flatten().for_each(|member| each(member, rest, change));
}

fn number(value: &mut Value, key: &str, of: impl Fn(&str) -> Option<i32>) {
    if let Some(name) = value.get_mut(key)
        && let Some(number) = name.as_str().and_then(of)
    {
        *name = number.into();
    }
}
