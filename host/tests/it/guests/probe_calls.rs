//! Calls as a guest makes them, and all that can come of them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use serde_json::{Value, json};

use crate::support::client::Request;
use crate::support::telemetry::StatusCode;
use crate::support::{Run, SpanKind, World};

const MS: u64 = 1_000_000;

/// `front` calls `back`; a message takes 300 us each way, as in each world of these tests.
fn two() -> World {
    World::of("probe", "config = { next = \"back\" }").and("back", "probe", "")
}

/// The CLIENT span of the only call.
fn client(run: &Run) -> &crate::support::Span {
    let [client] = run.of("front", SpanKind::Client)[..] else { panic!("{:?}", run.spans()) };
    client
}

#[test]
fn parallel_calls_run_at_the_same_time() {
    let run = two().virtually(&["GET /parallel?ms=100"]);
    assert_eq!(run.answers[0].json()["elapsed_ns"], 100 * MS + 600_000);
    let (clients, servers) = (run.of("front", SpanKind::Client), run.of("back", SpanKind::Server));
    assert_eq!((clients.len(), servers.len()), (3, 3));
    assert!(clients.iter().all(|span| (span.start, span.end) == (clients[0].start, clients[0].end)));
    assert!(servers.iter().all(|span| span.duration() == 100 * MS));
}

#[test]
fn in_real_time_parallel_calls_overlap() {
    let server = two().serve();
    let answer = server.get("/parallel?ms=100");
    let run = server.stop();
    assert!(answer.json()["elapsed_ns"].as_u64() >= Some(100 * MS), "{}", answer.body);
    let servers = run.of("back", SpanKind::Server);
    let last_start = servers.iter().map(|span| span.start).max();
    let first_end = servers.iter().map(|span| span.end).min();
    assert!(servers.len() == 3 && last_start < first_end, "{servers:?}");
}

#[test]
fn a_call_that_nobody_waits_for_outlives_its_caller() {
    let run = two().virtually(&["GET /fire-and-forget"]);
    assert_eq!(run.answers[0].json(), json!({ "elapsed_ns": 0 }));
    let (caller, client) = (run.span("GET /fire-and-forget"), client(&run));
    let callee = run.span("GET /sleep/{ms}");
    assert_eq!(caller.duration(), 1);
    assert_eq!((client.parent.as_str(), client.duration()), (caller.id.as_str(), 50 * MS + 600_000));
    assert_eq!((callee.parent.as_str(), callee.duration()), (client.id.as_str(), 50 * MS));
}

#[test]
fn a_run_in_real_time_ends_only_when_the_last_callee_has() {
    let server = two().serve();
    assert_eq!(server.get("/fire-and-forget").status, 200);
    let run = server.stop();
    assert!(run.span("GET /sleep/{ms}").end > run.span("GET /fire-and-forget").end);
}

#[test]
fn a_second_wait_on_a_call_is_an_error() {
    let run = two().virtually(&["GET /double-wait"]);
    let waits = run.answers[0].json();
    assert_eq!(waits[0]["status"], 200);
    assert_eq!(waits[1]["error"], "invalid");
    assert_eq!(run.of("back", SpanKind::Server).len(), 1);
}

#[test]
fn a_callee_sees_the_request_as_it_was_sent_with_the_context_added() {
    let run = two().virtually(&["GET /call?service=back&path=/headers%3Fa=b%2520c&method=POST&body=text"]);
    let seen = run.answers[0].json();
    let seen: Value = serde_json::from_str(seen["body"].as_str().expect("a body")).expect("JSON");
    let client = client(&run);
    let traceparent = format!("00-{}-{}-03", client.trace, client.id);
    let expected = json!({
        "method": "POST",
        "path_and_query": "/headers?a=b%20c",
        "headers": [["user-agent", "front"], ["traceparent", traceparent]],
        "body": "text",
    });
    assert_eq!(seen, expected);
    assert_eq!(*client.get("url.full"), "http://back/headers?a=b%20c");
}

#[test]
fn a_guest_may_ask_for_a_part_of_its_request_as_often_as_it_likes() {
    let server = World::of("probe", "").serve();
    let headers = [("x-tier", "gold"), ("x-tier", "silver")];
    let asked = |header| {
        let target = format!("/incoming?header={header}");
        server.send(Request { method: "GET", target: &target, headers: &headers, body: "" }).json()
    };
    assert_eq!(asked("x-tier"), json!({ "header": "gold", "same_again": true }));
    assert_eq!(asked("x-none"), json!({ "header": null, "same_again": true }));
}

#[test]
fn a_request_for_an_excluded_path_leaves_no_span() {
    let run = two().virtually(&["GET /health", "GET /now"]);
    assert_eq!(run.statuses(), [200, 200]);
    assert_eq!(run.spans().len(), 1, "{:?}", run.spans());
}

#[test]
fn a_call_of_an_excluded_path_leaves_a_span_with_the_caller_only() {
    let run = two().virtually(&["GET /call?service=back&path=/health"]);
    assert_eq!(run.answers[0].json()["status"], 200);
    assert_eq!(*client(&run).get("url.full"), "http://back/health");
    assert_eq!(run.spans().len(), 2, "{:?}", run.spans());
}

#[test]
fn what_an_excluded_request_calls_leaves_no_spans_either() {
    let world = two().with("[telemetry]\nexclude = [\"/call\"]");
    let run = world.virtually(&["GET /call?service=back&path=/spans"]);
    assert_eq!(run.answers[0].json()["status"], 200);
    assert_eq!((run.spans().len(), run.logs().len()), (0, 0));
}

#[test]
fn a_callee_that_goes_on_long_after_the_last_answer_leaves_its_span() {
    let run = two().virtually(&["GET /call?service=back&path=/sleep/30000&timeout-ms=20"]);
    assert_eq!(run.answers[0].took, "20ms");
    assert_eq!(run.span("GET /sleep/{ms}").duration(), 30_000 * MS);
}

/// One failed call: what the guest saw of it, and what its CLIENT span says.
#[track_caller]
fn failed(run: &Run, name: &str, error_type: &str) -> String {
    let seen = run.answers[0].json();
    assert_eq!(seen["error"], name, "{seen}");
    let client = client(run);
    assert_eq!(*client.error_type(), error_type);
    assert_eq!(client.status, StatusCode::Error);
    assert_eq!(client.exception()["exception.type"], error_type);
    // What a call comes to is the caller's affair: it answered 200.
    assert_eq!(run.span("GET /call").status, StatusCode::Unset);
    seen["message"].as_str().expect("a message").to_owned()
}

#[test]
fn an_unknown_service_is_an_error_that_lists_the_known_ones() {
    let run = two().virtually(&["GET /call?service=bakc"]);
    let message = failed(&run, "unknown-service", "unknown_service");
    assert!(
        message.contains("\"bakc\"")
            && message.contains("did you mean \"back\"? Known services: \"front\", \"back\""),
        "{message}"
    );
}

#[test]
fn a_call_that_takes_too_long_ends_for_the_caller_and_goes_on_for_the_callee() {
    let run = two().virtually(&["GET /call?service=back&path=/sleep/100&timeout-ms=20"]);
    failed(&run, "timeout", "timeout");
    let (client, callee) = (client(&run), run.span("GET /sleep/{ms}"));
    assert_eq!(client.duration(), 20 * MS);
    assert_eq!(callee.duration(), 100 * MS);
    assert!(callee.end > client.end);
    assert_eq!((callee.status, &callee.parent), (StatusCode::Unset, &client.id));
}

#[test]
fn a_request_that_is_no_http_is_refused_by_name() {
    let cases = [
        ("method=GET%20IT", "\"GET IT\" is not a method"),
        ("path=elsewhere", "\"elsewhere\" is not a path"),
        ("path=/a%20b", "is not a path"),
    ];
    for (query, why) in cases {
        let run = two().virtually(&[&format!("GET /call?service=back&{query}")]);
        let message = failed(&run, "invalid", "invalid_request");
        assert!(message.contains(why), "{message}");
        assert_eq!(run.of("back", SpanKind::Server).len(), 0);
    }
}

#[test]
fn a_url_leads_to_a_service_or_a_host_that_the_topology_allows() {
    let cases = [
        ("http://example.org", "add it to network.allow"),
        ("http://back/path", "the path goes into the request"),
        ("http://", "is not a URL"),
    ];
    for (url, why) in cases {
        let run = two().virtually(&[&format!("GET /call?service={url}")]);
        let message = failed(&run, "invalid", "invalid_request");
        assert!(message.contains(why), "{message}");
    }
    let run = two().virtually(&["GET /call?service=http://back&path=/now"]);
    assert_eq!(run.answers[0].json()["status"], 200);
}

/// A run in real time that calls a real server at `address` once.
fn call_out(address: SocketAddr) -> Run {
    let server = two().with(&format!("[network]\nallow = [\"{address}\"]")).serve();
    let answer = server.get(&format!("/call?service=http://{address}"));
    let mut run = server.stop();
    run.answers.push(answer);
    run
}

#[test]
fn a_port_at_which_nobody_listens_refuses() {
    let address =
        TcpListener::bind("127.0.0.1:0").and_then(|closed| closed.local_addr()).expect("a free port");
    failed(&call_out(address), "refused", "connection_refused");
}

#[test]
fn a_connection_that_breaks_is_reset() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let rude = thread::spawn(move || drop(listener.accept()));
    failed(&call_out(address), "reset", "connection_reset");
    rude.join().expect("the server has hung up");
}

#[test]
fn virtual_time_reaches_no_real_server() {
    let run = two().with("[network]\nallow = [\"example.org\"]");
    let run = run.virtually(&["GET /call?service=http://example.org"]);
    let message = failed(&run, "refused", "connection_refused");
    assert!(message.contains("virtual time"), "{message}");
}

#[test]
fn a_real_server_is_called_with_the_context_of_the_trace() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("its address");
    let kind = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
        let head: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        (&stream).write_all(b"HTTP/1.1 201 Created\r\ncontent-length: 4\r\n\r\nreal").expect("it listens");
        head
    });
    let run = call_out(address);
    let seen = run.answers[0].json();
    assert_eq!((&seen["status"], &seen["body"]), (&json!(201), &json!("real")));
    let client = client(&run);
    let head = kind.join().expect("the server has answered");
    assert_eq!(head[0], "GET / HTTP/1.1");
    assert!(head.contains(&format!("traceparent: 00-{}-{}-03", client.trace, client.id)), "{head:?}");
    assert_eq!(*client.get("url.full"), format!("http://{address}/"));
    assert_eq!(*client.get("server.port"), address.port());
    assert_eq!(client.status, StatusCode::Unset);
}

#[test]
fn a_url_that_is_refused_leaves_no_password_in_the_span() {
    let run = two().virtually(&["GET /call?service=https://user:hunter2@example.org:8443&path=/v1"]);
    assert_eq!(run.answers[0].json()["error"], "invalid");
    let client = client(&run);
    assert_eq!(*client.get("server.address"), "example.org");
    assert_eq!(*client.get("server.port"), 8443);
    assert_eq!(*client.get("url.full"), "https://REDACTED:REDACTED@example.org:8443/v1");
    assert!(!format!("{client:?}").contains("hunter2"), "{client:?}");
}

#[test]
fn a_call_whose_caller_is_stopped_ends_as_cancelled() {
    let settings = "config = { next = \"back\" }\nlimits = { request-time = \"50ms\" }";
    let run = World::of("probe", settings)
        .and("back", "probe", "")
        .virtually(&["GET /call?service=back&path=/sleep/1000"]);
    assert_eq!(run.statuses(), [500]);
    let client = client(&run);
    assert_eq!((client.duration(), client.status), (50 * MS, StatusCode::Error));
    assert_eq!(*client.error_type(), "cancelled");
    // The callee cannot know, and works on.
    assert_eq!(run.span("GET /sleep/{ms}").duration(), 1_000 * MS);
}
