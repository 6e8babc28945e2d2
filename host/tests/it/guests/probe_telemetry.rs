//! Spans, log records and baggage, as a guest makes them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::telemetry::{Attributes, StatusCode};
use crate::support::{Run, SpanKind, World};

fn spans() -> Run {
    World::of("probe", "").virtually(&["GET /spans"])
}

/// The attributes as one JSON object.
fn object(attributes: &Attributes) -> Value {
    attributes.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[test]
fn what_a_guest_prints_and_logs_becomes_log_records_of_its_span_in_order() {
    let run = World::of("probe", "").virtually(&["GET /print"]);
    let said: Vec<_> = run.logs().iter().map(|log| (log.severity.as_str(), log.body.as_str())).collect();
    let expected = [
        ("INFO", "a line on stdout"),
        ("ERROR", "a line on stderr"),
        ("INFO", "two lines"),
        ("INFO", "in one go"),
        ("INFO", ""),
        ("INFO", "a record by the SDK"),
        ("WARN", "a record with attributes"),
        ("INFO", "begun here, ended there"),
        ("INFO", "left without an end"),
    ];
    assert_eq!(said, expected);
    let server = run.span("GET /print");
    for log in run.logs() {
        assert_eq!((&log.trace, &log.span), (&server.trace, &server.id), "{log:?}");
    }
    let attributes = json!({
        "print.text": "text",
        "print.int": 7,
        "print.float": 0.5,
        "print.bool": true,
        "print.texts": ["a", "b"],
        "print.ints": [1, 2],
    });
    assert_eq!(object(&run.logs()[6].attributes), attributes);
}

#[test]
fn spans_nest_as_the_guest_opened_them() {
    let run = spans();
    let parents: BTreeMap<_, _> = run
        .spans()
        .iter()
        .map(|span| {
            let parent = run.spans().iter().find(|parent| parent.id == span.parent);
            (span.name.as_str(), parent.map(|parent| parent.name.as_str()))
        })
        .collect();
    let expected = BTreeMap::from([
        ("GET /spans", None),
        ("outer", Some("GET /spans")),
        ("inner", Some("outer")),
        ("innermost", Some("inner")),
        ("renamed", Some("outer")),
        ("first to end", Some("GET /spans")),
        ("second to end", Some("first to end")),
        ("child of the second", Some("second to end")),
        ("leaked", Some("GET /spans")),
    ]);
    assert_eq!(parents, expected);
    assert!(run.spans().iter().all(|span| span.trace == run.spans()[0].trace));
}

#[test]
fn a_guest_sees_the_ids_that_are_exported() {
    let run = spans();
    let seen = run.answers[0].json();
    let pairs = [
        (&seen["server"], "GET /spans"),
        (&seen["nested"]["outer"], "outer"),
        (&seen["nested"]["renamed_is_current"], "renamed"),
        (&seen["leaked_is_current"], "leaked"),
    ];
    for (ids, name) in pairs {
        let span = run.span(name);
        assert_eq!(*ids, json!({ "trace_id": span.trace, "span_id": span.id, "sampled": true }), "{name}");
    }
}

#[test]
fn a_span_carries_attributes_of_every_type() {
    let run = spans();
    let outer = run.span("outer");
    assert_eq!(outer.kind, SpanKind::Producer);
    let expected = json!({
        "probe.early": "set at the start",
        "probe.text": "text",
        "probe.bool": true,
        "probe.int": i64::MIN,
        "probe.float": -0.5,
        "probe.texts": ["a", "b"],
        "probe.ints": [1, -2],
        "probe.empty": [],
        "probe.replaced": 2,
    });
    assert_eq!(object(&outer.attributes), expected);
    assert_eq!(outer.events.len(), 1);
    assert_eq!((outer.events[0].name.as_str(), outer.events[0].time), ("an event", outer.start));
    assert_eq!(object(&outer.events[0].attributes), json!({ "event.number": 1 }));
    assert_eq!(*run.span("GET /spans").get("probe.annotated"), true);
    assert_eq!(outer.scope, "simhost.guest");
}

#[test]
fn a_guest_adds_to_its_server_span_and_changes_nothing_that_the_host_says() {
    let run = spans();
    let server = run.span("GET /spans");
    for (key, value) in [
        ("probe.annotated", json!(true)),
        ("http.route", json!("/spans")),
        ("http.response.status_code", json!(200)),
    ] {
        assert_eq!(*server.get(key), value, "{key}");
    }
    assert_eq!(server.scope, "simhost.bus");
}

#[test]
fn an_error_marks_the_spans_that_it_crosses_and_no_other() {
    let run = spans();
    for name in ["inner", "innermost"] {
        let span = run.span(name);
        let description = "HttpError: 418: short and stout";
        assert_eq!((span.status, span.description.as_str()), (StatusCode::Error, description), "{name}");
        let exception = json!({ "exception.type": "HttpError", "exception.message": "418: short and stout" });
        assert_eq!(object(span.exception()), exception);
    }
    assert_eq!(run.span("outer").status, StatusCode::Unset);
    assert_eq!(run.span("GET /spans").status, StatusCode::Unset);
    // Recorded, and dealt with: an exception does not set the status by itself.
    let renamed = run.span("renamed");
    assert_eq!(renamed.status, StatusCode::Ok);
    assert_eq!(renamed.exception()["exception.type"], "Handled");
}

#[test]
fn a_span_that_outlives_its_parent_goes_on() {
    let run = spans();
    let second = run.span("second to end");
    assert_eq!(second.events[0].name, "still open");
    assert_eq!(run.children(second).len(), 1);
}

#[test]
fn a_leaked_span_ends_with_its_request() {
    let run = spans();
    let (leaked, server) = (run.span("leaked"), run.span("GET /spans"));
    assert_eq!(leaked.end, server.end);
}

#[test]
fn baggage_goes_along_with_the_calls_that_follow() {
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "");
    let server = world.serve();
    let carried = [("baggage", "tier=gold,other=kept")];
    let target = "/baggage?key=tier&value=very%20gold%3B%20really";
    let answer = server.send(Request { method: "GET", target, headers: &carried, body: "" }).json();
    assert_eq!(answer["got"], "gold");
    assert_eq!(answer["set"], "very gold; really");
    let next: Value = serde_json::from_str(answer["next"]["body"].as_str().expect("a body")).expect("JSON");
    assert_eq!(next, json!({ "got": "very gold; really" }));
    let target = "/baggage?key=other&value=changed";
    let answer = server.send(Request { method: "GET", target, headers: &[], body: "" }).json();
    assert_eq!(answer["got"], Value::Null, "another request has other baggage");
}
