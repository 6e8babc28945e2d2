//! Files that are none, or not whole.

use serde_json::json;

use super::{Desk, import};
use crate::support::{Finished, refused, said};

fn of(text: &str) -> Finished {
    let desk = Desk::new();
    let path = desk.write("traces.jsonl", text);
    import(&[path.to_str().expect("UTF-8")])
}

/// A line with one span of these attributes.
fn span(id: &str, kind: u8) -> String {
    let span = json!({
        "traceId": "00000000000000000000000000000001", "spanId": id, "kind": kind, "name": "GET /",
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000",
    });
    let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "a" } }] });
    json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [span] }] }] }).to_string()
}

#[test]
fn what_is_no_file_of_traces_is_refused_with_what_to_name_instead() {
    refused(&import(&["no-such-file.jsonl"]), &["cannot read \"no-such-file.jsonl\""]);
    refused(&of("hello\nworld\n"), &["no line of", "is OTLP as JSON"]);
    refused(&of(""), &["\"traces.jsonl\" has no spans", "name a file of traces"]);
    refused(&of("{\"resourceLogs\":[]}\n"), &["\"traces.jsonl\" has no spans"]);
    refused(&of("{\"record\":\"run\",\"a\":1}\n"), &["this is the truth of a run"]);
    refused(&of(&span("0000000000000001", 4)), &["\"traces.jsonl\" belong to no request", "record SERVER"]);
}

#[test]
fn broken_lines_and_spans_that_cannot_be_used_are_counted() {
    let whole = span("0000000000000001", 2);
    let text = format!("{whole}\nbroken\n{whole}\n{}\n", span("", 2));
    let finished = of(&text);
    finished.success();
    said(
        &finished,
        &[
            "1 line left out: no OTLP as JSON",
            "1 span left out: no trace id or span id",
            "1 span left out: in the file before",
        ],
    );
}

#[test]
fn one_request_gives_a_topology_with_a_guessed_rate() {
    let finished = of(&span("0000000000000001", 2));
    let text = finished.success();
    assert!(text.contains("# guessed: all requests came at once, so there is no rate\n"), "{text}");
    assert!(text.contains("arrivals = { poisson = \"1/s\" }"), "{text}");
}

#[test]
fn a_flag_that_cannot_be_is_refused() {
    refused(&import(&["traces.jsonl", "--name", "a b"]), &["\"a b\" is not a name"]);
}
