//! Files that are none, or not whole.

use serde_json::json;

use super::{Desk, import};
use crate::support::{Finished, finish, refused, said, simhost};

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
fn messages_and_requests_of_one_name_with_a_parameter_have_paths_of_their_own() {
    let attribute = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let topic = json!([
        attribute("messaging.system", "kafka"),
        attribute("messaging.destination.name", "x"),
        attribute("messaging.operation.type", "process"),
    ]);
    let spans = [("1", "", 5, topic), ("2", "1", 2, json!([]))].map(|(id, parent, kind, attributes)| {
        json!({
            "traceId": "00000000000000000000000000000001", "spanId": format!("{id:0>16}"), "kind": kind,
            "parentSpanId": if parent.is_empty() { String::new() } else { format!("{parent:0>16}") },
            "name": "POST /b/{id}", "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000",
            "attributes": attributes,
        })
    });
    let resource = json!({ "attributes": [attribute("service.name", "a")] });
    let line = json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] });
    let finished = of(&line.to_string());
    let sketch = finished.success();
    assert!(sketch.contains("route = \"POST /x\""), "{sketch}");
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

/// OTLP has 0 where a time is not known: rates are those of the other spans.
#[test]
fn spans_without_a_start_or_an_end_do_not_change_rates() {
    const SECOND: u64 = 1_000_000_000;
    const START: u64 = 1_767_225_600 * SECOND;
    let request = |trace: u32, start: u64, end: u64| {
        let span = json!({
            "traceId": format!("{trace:032x}"), "spanId": "0000000000000001", "kind": 2, "name": "GET /",
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": end.to_string(),
        });
        let resource = json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "a" } }] });
        let line =
            json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [span] }] }] });
        line.to_string() + "\n"
    };
    let at = |number: u32| START + u64::from(number) * SECOND;
    let whole: String = (1..=10).map(|number| request(number, at(number), at(number) + SECOND)).collect();
    let rate = |text: &str| text.lines().find(|line| line.starts_with("arrivals")).map(str::to_owned);
    let plain = rate(of(&whole).success());
    assert!(plain.is_some());
    let odd = of(&(whole.clone() + &request(11, 0, SECOND)));
    assert_eq!(rate(odd.success()), plain);
    said(&odd, &["1 span left out: no start"]);
    let endless = of(&(whole + &request(11, at(10), 0)));
    endless.success();
    said(&endless, &["1 span counted as taking no time: no end, or one before the start"]);
}

/// A document that this topology is read from is read in these forms too.
#[test]
fn a_document_may_be_spread_over_lines_or_stand_in_a_list_and_have_the_forms_of_other_writers() {
    let line = span("0000000000000001", 2);
    let read = |text: String| of(&text).success().to_owned();
    let plain = read(line.clone());
    assert!(plain.contains("[services.a]"), "{plain}");
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let spread = serde_json::to_string_pretty(&value).expect("JSON");
    let list = serde_json::to_string_pretty(&json!([value, { "resourceLogs": [] }])).expect("JSON");
    let named = line.replace("\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\"");
    let in_base64 = line
        .replace("00000000000000000000000000000001", "AAAAAAAAAAAAAAAAAAAAAQ==")
        .replace("0000000000000001", "AAAAAAAAAAE=");
    assert!(named != line && !in_base64.contains("000001\""), "{in_base64}");
    // Answers of Tempo.
    for text in [json!({ "trace": value }), json!({ "batches": value["resourceSpans"] })] {
        assert_eq!(read(text.to_string()), plain, "{text}");
    }
    for text in [
        spread.clone(),
        format!("\n{spread}\n{{\"resourceLogs\":[]}}\n"),
        list,
        format!("[{line}]"),
        named,
        in_base64,
    ] {
        assert_eq!(read(text.clone()), plain, "{text}");
    }
    assert_eq!(read(format!("\u{feff}{line}\n")), plain);
}

#[test]
fn a_status_may_have_the_name_of_its_code() {
    let of_status = |code: serde_json::Value| {
        let mut value: serde_json::Value = serde_json::from_str(&span("0000000000000001", 2)).expect("JSON");
        value["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["status"] = json!({ "code": code });
        of(&value.to_string()).success().to_owned()
    };
    let failed = of_status(json!("STATUS_CODE_ERROR"));
    assert!(failed.contains("errors = 1.0"), "{failed}");
    assert_eq!(failed, of_status(json!(2)));
    assert!(!of_status(json!("STATUS_CODE_OK")).contains("errors"));
}

#[test]
fn other_formats_are_named_with_a_way_to_otlp() {
    let jaeger = r#"{"data":[{"traceID":"abc","spans":[],"processes":{}}]}"#;
    let zipkin =
        r#"[{"traceId":"5af7183fb1d4cf5f","id":"352bff9a74ca9ad2","kind":"SERVER","localEndpoint":{}}]"#;
    for text in [jaeger, "{\n  \"data\": [\n {\"traceID\":\"abc\"}]}"] {
        refused(
            &of(text),
            &["is OTLP as JSON: it has traces as Jaeger exports them", "a Collector with the receivers"],
        );
    }
    refused(&of(zipkin), &["is OTLP as JSON: it has spans of Zipkin", "the receiver zipkin"]);
    let strange = span("0000000000000001", 2).replace("00000000000000000000000000000001", "trace-1");
    refused(
        &of(&strange),
        &["its traces are neither hexadecimal nor base64", "write trace ids and span ids in hexadecimal"],
    );
    refused(&of("[1, 2]\n"), &["is OTLP as JSON"]);
}

#[test]
fn a_span_of_many_years_is_left_out_and_counted() {
    let long = span("0000000000000002", 2).replace("\"2000000000\"", "\"9223372036854775807\"");
    let finished = of(&format!("{}\n{long}\n", span("0000000000000001", 2)));
    assert!(!finished.success().contains("9223"), "{}", finished.stdout);
    said(&finished, &["1 span left out: longer than 12h"]);
}

#[test]
fn requests_that_took_minutes_may_take_as_long_in_the_sketch() {
    let desk = Desk::new();
    let long = span("0000000000000001", 2).replace("\"2000000000\"", "\"2001000000000\"");
    let (topology, _) = desk.import(&desk.write("t.jsonl", long));
    let text = std::fs::read_to_string(topology).expect("a topology");
    assert!(
        text.contains("[limits]\nrequest-time = \"4000s\"\n") && text.contains("work = \"2000s\""),
        "{text}"
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

/// A request of each text, as a statement, and a message of each name.
fn hostile(statements: &[String], topics: &[String]) -> String {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let span = |trace: usize, (id, parent, kind): (u64, u64, u8), attributes: Vec<serde_json::Value>| {
        let start = 1_000_000_000 + trace as u64 * 1_000_000;
        json!({
            "traceId": format!("{:032x}", trace + 1), "spanId": format!("{id:016x}"), "kind": kind, "name": "send",
            "parentSpanId": if parent == 0 { String::new() } else { format!("{parent:016x}") },
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 500_000).to_string(),
            "attributes": attributes,
        })
    };
    let trace = |trace: usize| {
        let mut spans = vec![span(trace, (1, 0, 2), vec![text("http.route", "/a")])];
        let database = |statement: &String| {
            vec![
                text("db.system.name", "postgresql"),
                text("db.namespace", "a"),
                text("db.query.text", statement),
            ]
        };
        let topic = |topic: &String| {
            vec![text("messaging.system", "kafka"), text("messaging.destination.name", topic)]
        };
        spans.extend(statements.get(trace).map(|statement| span(trace, (2, 1, 3), database(statement))));
        spans.extend(topics.get(trace).map(|name| span(trace, (3, 1, 4), topic(name))));
        let resource = json!({ "attributes": [text("service.name", "a")] });
        json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": spans }] }] }).to_string()
            + "\n"
    };
    (0..statements.len().max(topics.len())).map(trace).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn nothing_in_a_statement_or_a_name_gets_out_of_its_place() {
    let statements = [
        r#"SELECT "a\""b'''" FROM "t""); DROP TABLE x; --" WHERE c = 'd'; DELETE FROM e"#,
        r#"SELECT "a''' \ b" FROM "x""y)" WHERE c = 1"#,
        r#"SELECT "a{b}" FROM t WHERE c = '}{'"#,
        "SELECT \"new\nline\" FROM t",
        "SELECT \0 FROM t",
        "SELECT 'open",
        r#"INSERT INTO "sqlite_master" (a) VALUES (1)"#,
        "SELECT ((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((((1",
    ];
    let topics = owned(&["a", "a\"b", "a'''\n[services.x]", "{id}", "", "ü% 3x", "a.b_c-D"]);
    let desk = Desk::new();
    // Each statement is asked by most requests of its file.
    for statement in statements {
        let all = vec![statement.to_owned(); 10];
        let (topology, _) = desk.import(&desk.write("t.jsonl", hostile(&all, &topics)));
        let text = std::fs::read_to_string(topology).expect("a topology");
        let table: toml::Table = text.parse().expect("TOML");
        assert!(table["services"].as_table().expect("services").get("x").is_none(), "{text}");
    }
}

#[test]
fn a_file_with_more_than_there_is_room_for_is_cut_and_counted() {
    let mut statements = vec![format!("SELECT {} 1", "a, ".repeat(400_000))];
    statements.extend((0..12_000).map(|at| format!("SELECT a FROM t{at} WHERE b = 1")));
    let topics: Vec<_> = (0..12_000).map(|at| format!("topic-{at}")).collect();
    let desk = Desk::new();
    let (_, imported) = desk.import(&desk.write("t.jsonl", hostile(&statements, &topics)));
    let parts = [
        "1 statement without SQL that can be drawn",
        "2,000 spans left out: there are more than 10,000 topics",
    ];
    said(&imported, &parts);
    let columns: Vec<_> = (0..150).map(|at| format!("c{at}")).collect();
    let wide = vec![format!("SELECT {} FROM t WHERE b = 1", columns.join(", ")); 10];
    let (_, imported) = desk.import(&desk.write("t.jsonl", hostile(&wide, &[])));
    said(
        &imported,
        &["10 statements without SQL that can be drawn: the tables that it names do not take it"],
    );
}

#[test]
fn a_service_has_as_many_routes_as_its_guest_takes_and_those_beyond_are_counted() {
    let text = |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    let trace = |number: u64| {
        let (begin, end) = (1_000_000_000 + number * 1_000_000, 1_000_500_000 + number * 1_000_000);
        // The names of routes differ in their last letters only.
        let route = format!("/a-long-path-that-all-of-the-routes-have/{number}-");
        let span = json!({
            "traceId": format!("{number:032x}"), "spanId": format!("{number:016x}"), "kind": 2, "name": "GET",
            "startTimeUnixNano": begin.to_string(), "endTimeUnixNano": end.to_string(),
            "attributes": [text("http.route", &route), text("http.request.method", "GET")],
        });
        let resource = json!({ "attributes": [text("service.name", "a")] });
        json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [span] }] }] })
            .to_string()
            + "\n"
    };
    let desk = Desk::new();
    let all: String = (1..=1_010).map(trace).collect();
    let (topology, imported) = desk.import(&desk.write("t.jsonl", all));
    said(&imported, &["11 routes left out, those with the fewest requests: a service has 999 at most"]);
    let run = finish(simhost().arg("run").arg(&topology).args(["--virtual", "--for", "1s", "--json"]));
    run.success();
    let report = run.json();
    let errors = report["routes"].as_array().expect("routes").iter().map(|route| &route["errors"]);
    assert!(errors.clone().count() > 0 && errors.clone().all(|errors| *errors == 0), "{errors:?}");
}
