//! Requests over real HTTP: what a client may send, what it gets, and the spans of it.

use std::collections::BTreeSet;

use crate::support::http::Message;
use crate::support::server::Server;
use crate::support::telemetry::Span;
use crate::support::{Topology, http};
use serde_json::Value;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const CALL_HEADERS: &str = "/call?service=back&path=/headers";

fn named<'a>(spans: &'a [Span], service: &str, kind: &str) -> &'a Span {
    let mut found = spans.iter().filter(|span| span.service == service && span.kind_name() == kind);
    let span = found.next().unwrap_or_else(|| panic!("a {kind} span of {service}"));
    assert!(found.next().is_none(), "one {kind} span of {service}");
    span
}

/// The headers that `back` got, from the answer to [`CALL_HEADERS`].
fn callees_headers(answer: &Message) -> Vec<(String, String)> {
    let body = answer.json()["body"].as_str().map(str::to_owned).expect("the callee's answer");
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let pair = |pair: &Value| {
        let text = |index: usize| pair[index].as_str().map(str::to_owned);
        Some((text(0)?, text(1)?))
    };
    body["headers"].as_array().expect("headers").iter().map(|json| pair(json).expect("a header")).collect()
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

#[test]
fn a_clients_trace_is_continued_by_every_service() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let traceparent = format!("TraceParent: 00-{TRACE}-{PARENT}-01");
    let sent = [traceparent.as_str(), "TRACESTATE: a=1", "tracestate: b=2,c=3", "bAgGaGe: user=ann;x=y,n=1"];
    let answer = server.connect().get(CALL_HEADERS, &sent);
    assert_eq!(answer.status(), 200);
    let spans = server.spans(&topology);

    let front = named(&spans, "front", "SERVER");
    assert_eq!((front.trace.as_str(), front.parent.as_str()), (TRACE, PARENT));
    assert!(spans.iter().all(|span| span.trace == TRACE && span.trace_state == "a=1,b=2,c=3"));
    // The client does not say that the id is random, so nobody does.
    assert_eq!(front.flags, 0x301);
    assert_eq!(answer.header("x-trace-id"), Some(TRACE));
    assert_eq!(answer.header("traceresponse"), Some(format!("00-{TRACE}-{}-01", front.id).as_str()));

    let call = named(&spans, "front", "CLIENT");
    let back = named(&spans, "back", "SERVER");
    assert_eq!((call.parent.as_str(), back.parent.as_str()), (front.id.as_str(), call.id.as_str()));
    let received = callees_headers(&answer);
    assert_eq!(header(&received, "traceparent"), Some(format!("00-{TRACE}-{}-01", call.id).as_str()));
    assert_eq!(header(&received, "tracestate"), Some("a=1,b=2,c=3"));
    assert_eq!(header(&received, "baggage"), Some("user=ann;x=y,n=1"));
}

#[test]
fn an_unsampled_trace_is_passed_on_and_not_recorded() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let answer = server.connect().get(CALL_HEADERS, &[&format!("traceparent: 00-{TRACE}-{PARENT}-00")]);
    let received = callees_headers(&answer);
    let passed = header(&received, "traceparent").expect("a traceparent").to_owned();
    assert!(passed.starts_with(&format!("00-{TRACE}-")) && passed.ends_with("-00"), "{passed}");
    assert!(!passed.contains(PARENT), "the caller is another span: {passed}");
    assert!(answer.header("traceresponse").is_some_and(|value| value.ends_with("-00")));
    assert_eq!(server.spans(&topology), []);
}

#[test]
fn a_malformed_traceparent_is_as_good_as_none() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let malformed = [
        "traceparent: ".to_owned(),
        "traceparent: nonsense".to_owned(),
        format!("traceparent: 00-{TRACE}-{PARENT}"),
        format!("traceparent: 00-{}-{PARENT}-01", TRACE.to_uppercase()),
        format!("traceparent: ff-{TRACE}-{PARENT}-01"),
        format!("traceparent: 00-{}-{PARENT}-01", "0".repeat(32)),
        format!("traceparent: 00-{TRACE}-{PARENT}-01\r\ntraceparent: 00-{TRACE}-{PARENT}-01"),
    ];
    let mut connection = server.connect();
    for header in &malformed {
        let answer = connection.get(CALL_HEADERS, &[header, "tracestate: a=1"]);
        assert_eq!(answer.status(), 200, "{header}");
        let received = callees_headers(&answer);
        assert!(received.iter().all(|(name, _)| name != "tracestate"), "{header}");
        assert_ne!(answer.header("x-trace-id"), Some(TRACE), "{header}");
    }
    let spans = server.spans(&topology);
    let traces: BTreeSet<_> = spans.iter().map(|span| &span.trace).collect();
    assert_eq!(traces.len(), malformed.len());
    let roots = spans.iter().filter(|span| span.parent.is_empty());
    assert!(
        roots
            .clone()
            .all(|span| span.service == "front" && span.kind_name() == "SERVER" && span.flags == 0x103)
    );
    assert_eq!(roots.count(), malformed.len());
}

#[test]
fn a_server_span_knows_the_client_and_the_connection() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let answer = server.connect().get("/headers?x=%20y&z", &["User-Agent: test/1"]);
    assert_eq!(answer.json()["path_and_query"], "/headers?x=%20y&z");
    server.connect().send("GET /headers HTTP/1.0\r\n\r\n").receive();
    let spans = server.spans(&topology);
    let (first, second) = (&spans[0], &spans[1]);
    let texts = [
        ("server.address", "test"),
        ("client.address", "127.0.0.1"),
        ("user_agent.original", "test/1"),
        ("url.path", "/headers"),
        ("url.query", "x=%20y&z"),
        ("url.scheme", "http"),
        ("http.route", "/headers"),
        ("network.protocol.version", "1.1"),
    ];
    for (key, value) in texts {
        assert_eq!(first.text(key), Some(value), "{key}");
    }
    assert_eq!(first.int("server.port"), Some(8001));
    assert_eq!(first.text("network.peer.address"), Some("127.0.0.1"));
    assert!(first.int("network.peer.port").is_some_and(|port| port > 0));
    assert_eq!(second.text("network.protocol.version"), Some("1.0"));
    assert_eq!(second.text("server.address"), None);
    assert_eq!(second.text("url.query"), None);
}

#[test]
fn what_no_route_meets_is_answered_by_the_host() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let mut connection = server.connect();
    let unknown = connection.get("/nope", &[]);
    assert_eq!(
        (unknown.status(), unknown.json()),
        (404, serde_json::json!({"detail": "no route for /nope"}))
    );
    let wrong = connection.request("DELETE /headers", &[], "").receive();
    assert_eq!((wrong.status(), wrong.header("allow")), (405, Some("GET, POST")));
    // Who serves GET serves HEAD. Its answer has no body: the next one is understood.
    let head = connection.request("HEAD /now", &[], "").receive_with_body(false);
    assert_eq!(head.status(), 200);
    assert_ne!(head.header("content-length"), Some("0"), "as a body would have");
    let odd = connection.request("BREW /now", &[], "").receive();
    assert_eq!(odd.status(), 405);
    assert_eq!(connection.get("/now", &[]).status(), 200);

    let spans = server.spans(&topology);
    let seen = spans.iter().map(|span| (span.name.as_str(), span.int("http.response.status_code")));
    let expected =
        [("GET", 404), ("DELETE /headers", 405), ("HEAD /now", 200), ("HTTP /now", 405), ("GET /now", 200)];
    assert!(seen.eq(expected.map(|(name, code)| (name, Some(code)))));
    assert!(spans.iter().all(|span| span.status_text() == "UNSET"));
    assert_eq!(spans[3].text("http.request.method"), Some("_OTHER"));
    assert_eq!(spans[3].text("http.request.method_original"), Some("BREW"));
}

#[test]
fn parameters_in_the_path_are_decoded() {
    let text = std::fs::read_to_string(Topology::orders().path()).expect("orders");
    let text = text.replace("to = \"order-service\"", "to = \"inventory-service\"");
    let topology = Topology::new("orders", text);
    let server = Server::recorded(&topology);
    let mut connection = server.connect();
    assert_eq!(connection.get("/stock/b%6Fok", &[]).json()["item"], "book");
    assert_eq!(connection.get("/stock/book%2Fcase", &[]).status(), 404);
    assert_eq!(connection.get("/stock/%FF", &[]).status(), 404);
    let spans = server.spans(&topology);
    assert!(spans.iter().all(|span| span.name == "GET /stock/{item}"), "a slash that is encoded is none");
    assert_eq!(spans[1].text("url.path"), Some("/stock/book%2Fcase"));
}

#[test]
fn what_is_too_large_is_refused_with_its_bound() {
    let limits = "headers = \"1KiB\"\nbody = \"1KiB\"";
    let topology = Topology::probe().with("[limits]", limits);
    let server = Server::recorded(&topology);
    let long = format!("x-long: {}", "x".repeat(1_000));
    let answer = server.connect().get("/now", &[&long]);
    assert_eq!(answer.status(), 431);
    assert!(answer.body.contains("limits.headers = 1024 bytes"), "{}", answer.body);

    let body = "x".repeat(1_024);
    assert_eq!(server.connect().request("POST /now", &[], &body).receive().status(), 405);
    let answer = server.connect().request("POST /now", &[], &format!("{body}x")).receive();
    assert_eq!(answer.status(), 413);
    assert!(answer.body.contains("limits.body = 1024 bytes"), "{}", answer.body);
    // One that announces too much need not send it.
    let announced = server.connect().request("POST /now", &["content-length: 1000000000"], "").receive();
    assert_eq!(announced.status(), 413);
    assert_eq!(chunks_of(server.connect(), &[&body, "x"]).status(), 413);
    assert_eq!(server.spans(&topology).len(), 1, "what does not come in leaves no span");
}

fn chunks_of(mut connection: http::Connection, chunks: &[&str]) -> Message {
    connection.request("POST /headers", &["Transfer-Encoding: chunked"], "");
    for chunk in chunks {
        connection.send(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    connection.send("0\r\n\r\n").receive()
}

#[test]
fn a_body_may_come_in_pieces() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let answer = chunks_of(server.connect(), &["a", "bc", "d"]);
    assert_eq!(answer.json()["body"], "abcd");
    let mut connection = server.connect();
    for piece in "POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc".split_inclusive("") {
        connection.send(piece);
    }
    assert_eq!(connection.receive().json()["body"], "abc");
    // A body that ends before its announced length is none.
    let mut short = server.connect();
    short.send("POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab").no_more_from_here();
    assert!(!short.rest().starts_with("HTTP/1.1 200"));
    assert_eq!(server.spans(&topology).len(), 2);
}

#[test]
fn a_connection_carries_one_request_after_the_other() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let mut connection = server.connect();
    assert_eq!(connection.get("/now", &[]).status(), 200);
    // Two at once: the answers come in order.
    connection.request("GET /now", &[], "").request("GET /nope", &[], "");
    assert_eq!((connection.receive().status(), connection.receive().status()), (200, 404));
    let last = connection.get("/now", &["Connection: close"]);
    assert_eq!((last.status(), connection.rest()), (200, String::new()));
    let spans = server.spans(&topology);
    let ports: BTreeSet<_> = spans.iter().map(|span| span.int("network.peer.port")).collect();
    assert_eq!((spans.len(), ports.len()), (4, 1));
}

#[test]
fn http_2_is_spoken_without_asking() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let url = format!("http://localhost:{}", server.address.port());
    rustls::crypto::ring::default_provider().install_default().expect("no other provider");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().expect("a client");
        let traceparent = format!("00-{TRACE}-{PARENT}-01");
        let get = || client.get(format!("{url}/headers")).header("traceparent", &traceparent).send();
        let answers = futures_util::future::join_all((0..20).map(|_| get())).await;
        for answer in answers {
            let answer = answer.expect("an answer");
            assert_eq!((answer.status().as_u16(), answer.version()), (200, reqwest::Version::HTTP_2));
            assert_eq!(answer.headers()["x-trace-id"], TRACE);
        }
        // As in HTTP/1.1: what limits.headers allows comes in.
        let long = client.get(format!("{url}/headers")).header("x-long", "x".repeat(30_000)).send().await;
        assert_eq!(long.expect("an answer").status().as_u16(), 200);
        // Who offers GET offers HEAD: what it would be, and nothing of it.
        let head = client.head(format!("{url}/headers")).send().await.expect("an answer");
        let length: u64 = head.headers()["content-length"].to_str().expect("text").parse().expect("a number");
        assert_eq!((head.status().as_u16(), length > 0), (200, true));
        assert_eq!(head.bytes().await.expect("a body").len(), 0);
    });
    // Ends the connection.
    drop(runtime);
    let spans = server.spans(&topology);
    assert_eq!(spans.len(), 22);
    for span in &spans {
        assert_eq!(span.text("network.protocol.version"), Some("2"));
        assert_eq!(span.text("server.address"), Some("localhost"));
    }
}

#[test]
fn health_leaves_no_span_and_no_trace_id() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let answer = server.connect().get("/health", &[&format!("traceparent: 00-{TRACE}-{PARENT}-01")]);
    assert_eq!(
        (answer.status(), answer.header("x-trace-id"), answer.header("traceresponse")),
        (200, None, None)
    );
    assert_eq!(server.spans(&topology), []);
}

#[test]
fn garbage_is_turned_away_and_harms_nobody() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let garbage = [
        "\r\n\r\n\r\n",
        "nonsense\r\n\r\n",
        "GET /now HTTP/9.9\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET \u{0} HTTP/1.1\r\n\r\n",
        "POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
        "POST /headers HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense",
        "\u{16}\u{3}\u{1}\u{2}\u{0}",
    ];
    for bytes in garbage {
        let mut connection = server.connect();
        connection.send(bytes).no_more_from_here();
        let rest = connection.rest();
        assert!(!rest.starts_with("HTTP/1.1 2"), "{bytes:?} is answered {rest:?}");
    }
    assert_eq!(server.connect().get("/now", &[]).status(), 200);
    assert_eq!(server.spans(&topology).len(), 1);
}
