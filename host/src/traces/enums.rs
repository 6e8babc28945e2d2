//! Names of enums in OTLP as JSON. OTLP has numbers alone; protobuf's JSON has names too, which some writers
//! use.

use opentelemetry_proto::tonic::logs::v1::SeverityNumber;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

/// How their names begin.
const PREFIXES: [&str; 3] = ["\"SPAN_KIND_", "\"STATUS_CODE_", "\"SEVERITY_NUMBER_"];

/// The document with numbers in place of names; none of one without names.
pub fn numbered(text: &str) -> Option<Value> {
    if !PREFIXES.iter().any(|prefix| text.contains(prefix)) {
        return None;
    }
    let mut document = serde_json::from_str(text).ok()?;
    each(&mut document, &["resourceSpans", "scopeSpans", "spans"], &mut |span| {
        number(span, "kind", |name| SpanKind::from_str_name(name).map(i32::from));
        if let Some(status) = span.get_mut("status") {
            number(status, "code", |name| StatusCode::from_str_name(name).map(i32::from));
        }
    });
    each(&mut document, &["resourceLogs", "scopeLogs", "logRecords"], &mut |record| {
        number(record, "severityNumber", |name| SeverityNumber::from_str_name(name).map(i32::from));
    });
    Some(document)
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
