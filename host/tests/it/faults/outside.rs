//! Faults between the outside and the topology: what clients get to see.

use std::io::{Read, Write};
use std::net::TcpStream;

use simhost::clock::Stopwatch;

use super::{MS, assert_counts};
use crate::support::{PATIENCE, Serving, SpanKind, World};

/// A fault of this kind at `front`, which takes requests in for half a second at most.
fn world(kind: &str, more: &str) -> World {
    let fault =
        format!("[[faults]]\nname = \"it\"\nkind = \"{kind}\"\ntarget = {{ service = \"front\" }}\n{more}");
    World::of("probe", "limits.request-time = \"500ms\"").with(&fault)
}

/// All bytes that a client gets before the connection is closed.
fn received(server: &Serving) -> String {
    let mut stream = TcpStream::connect(server.0).expect("simhost listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
    let request = format!("GET /now HTTP/1.1\r\nhost: {}\r\n\r\n", server.0);
    stream.write_all(request.as_bytes()).expect("simhost takes the request");
    let mut bytes = Vec::new();
    // A connection may be reset as well as closed: either way there is no answer.
    stream.read_to_end(&mut bytes).ok();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn a_request_of_the_command_line_says_that_it_got_no_answer() {
    let run = world("refuse", "max-total = 1").virtually(&["GET /now", "GET /now"]);
    assert_eq!(run.statuses(), [0, 200]);
    assert!(run.answers[0].body.starts_with("connection refused"), "{:?}", run.answers);
    assert_eq!(run.of("front", SpanKind::Server).len(), 1);
    assert_counts(&run, 2, 1);
}

#[test]
fn a_load_counts_what_it_got_instead_of_answers() {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                timeout = \"200ms\"\nrequest = { path = \"/now\" }";
    for (kind, more, error, served) in [
        ("refuse", "", "connection_refused", 0),
        ("reset", "", "connection_reset", 20),
        ("reset", "on = \"request\"", "connection_reset", 0),
        ("blackhole", "", "timeout", 0),
    ] {
        let world = world(kind, more).with(load).flags(&["--for", "2s", "--json"]);
        let run = world.virtually(&[]);
        let report = run.json();
        assert_eq!(report["loads"][0]["errors_by_type"], serde_json::json!({ error: 20 }), "{kind} {more}");
        assert_eq!(run.of("front", SpanKind::Server).len(), served, "{kind} {more}");
    }
}

#[test]
fn a_real_client_finds_its_connection_closed_without_an_answer() {
    for (kind, served) in [("refuse", 0), ("reset", 1)] {
        let server = world(kind, "").serve();
        assert_eq!(received(&server), "", "{kind}");
        let run = server.stop();
        assert_eq!(run.of("front", SpanKind::Server).len(), served, "{kind}");
    }
}

#[test]
fn a_real_client_waits_for_what_a_black_hole_has_taken() {
    let server = world("blackhole", "").serve();
    let before = Stopwatch::start();
    assert_eq!(received(&server), "");
    // Until the bound of the service's own requests is met.
    assert!(before.elapsed().as_nanos() as u64 >= 500 * MS);
    assert_eq!(server.stop().of("front", SpanKind::Server).len(), 0);
}
