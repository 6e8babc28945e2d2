//! Real servers that a topology names: what they are asked, and what becomes of
//! their answers.

use std::thread;

use crate::support::http::{Dead, Message, Upstream};
use crate::support::server::Server;
use crate::support::telemetry::Span;
use crate::support::{ORDER, Topology, telemetry};
use serde_json::Value;

/// Sends one request to a probe while `upstream` answers one; with the probe's
/// answer, the request as the upstream got it, and the spans.
fn exchange(upstream: &Upstream, target: &str, head: &str, body: &str) -> (Value, Message, Vec<Span>) {
    let topology = Topology::probe().with_legacy(&upstream.url());
    let server = Server::recorded(&topology);
    let (answer, request) = thread::scope(|scope| {
        let asked = scope.spawn(|| upstream.answer(head, body));
        let answer = server.connect().get(target, &["User-Agent: test/1"]).json();
        (answer, asked.join().expect("the upstream is asked"))
    });
    (answer, request, server.spans(&topology))
}

fn call(spans: &[Span]) -> &Span {
    spans.iter().find(|span| span.kind_name() == "CLIENT").expect("a call")
}

#[test]
fn a_real_server_gets_the_context_of_the_call() {
    let upstream = Upstream::open();
    let target = "/call?service=legacy&path=/stock/red%2520book&method=POST&body=hello";
    let (answer, request, spans) = exchange(&upstream, target, "200 OK\r\nX-Legacy: yes", "world");
    assert_eq!((&answer["status"], &answer["body"]), (&Value::from(200), &Value::from("world")));
    let headers = answer["headers"].to_string();
    assert!(headers.contains(r#"["x-legacy","yes"]"#), "{headers}");

    assert_eq!(request.start, "POST /stock/red%20book HTTP/1.1");
    assert_eq!(request.body, "hello");
    assert_eq!(request.header("host"), Some(format!("127.0.0.1:{}", upstream.port()).as_str()));
    let span = call(&spans);
    let traceparent = format!("00-{}-{}-03", span.trace, span.id);
    assert_eq!(request.header("traceparent"), Some(traceparent.as_str()));
    assert_eq!(spans.len(), 2, "what the real server does is its own affair");
}

#[test]
fn a_call_to_a_real_server_has_a_client_span() {
    let upstream = Upstream::open();
    let (_, _, spans) = exchange(&upstream, "/call?service=legacy&path=/x", "404 Not Found", "");
    let span = call(&spans);
    let texts = [
        ("http.request.method", "GET"),
        ("server.address", "127.0.0.1"),
        ("url.full", &format!("{}/x", upstream.url())),
        ("peer.service", "legacy"),
        ("service.peer.name", "legacy"),
        ("network.protocol.version", "1.1"),
        ("network.peer.address", "127.0.0.1"),
        ("error.type", "404"),
    ];
    for (key, value) in texts {
        assert_eq!(span.text(key), Some(value), "{key}");
    }
    let port = Some(i64::from(upstream.port()));
    assert_eq!((span.int("server.port"), span.int("network.peer.port")), (port, port));
    assert_eq!(span.int("http.response.status_code"), Some(404));
    assert_eq!((span.name.as_str(), span.status_text().as_str()), ("GET", "ERROR"));
    assert_eq!(span.service, "front");
}

#[test]
fn a_real_server_gets_the_path_that_the_span_shows() {
    for path in
        ["/items/..", "/a/./b/../../c", "/%2e%2e/x", "//a//b", "/a;b=1,2:@!$'()*+~[]", "/?", "/a?b=../c"]
    {
        let upstream = Upstream::open();
        let escaped: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let target = format!("/call?service=legacy&path={escaped}");
        let (answer, request, spans) = exchange(&upstream, &target, "200 OK", "");
        assert_eq!(answer["status"], 200, "{path}: {answer}");
        assert_eq!(request.start, format!("GET {path} HTTP/1.1"));
        assert_eq!(call(&spans).text("url.full"), Some(format!("{}{path}", upstream.url()).as_str()));
    }
}

#[test]
fn a_request_that_has_content_says_so_if_it_is_empty() {
    for (method, length) in [("POST", Some("0")), ("PUT", Some("0")), ("PATCH", Some("0")), ("GET", None)] {
        let upstream = Upstream::open();
        let target = format!("/call?service=legacy&path=/x&method={method}");
        let (_, request, _) = exchange(&upstream, &target, "200 OK", "");
        assert_eq!(
            (request.start.as_str(), request.header("content-length")),
            (&*format!("{method} /x HTTP/1.1"), length)
        );
    }
}

#[test]
fn a_real_server_gets_the_secrets_that_the_span_does_not_show() {
    let upstream = Upstream::open();
    let target = "/call?service=legacy&path=/x?AWSAccessKeyId=id%26Signature=s3cret%26sig=s3cret%26X-Goog-Signature=s3cret%26a=1";
    let (_, request, spans) = exchange(&upstream, target, "200 OK", "");
    let sent = "GET /x?AWSAccessKeyId=id&Signature=s3cret&sig=s3cret&X-Goog-Signature=s3cret&a=1 HTTP/1.1";
    assert_eq!(request.start, sent);
    let shown = "AWSAccessKeyId=REDACTED&Signature=REDACTED&sig=REDACTED&X-Goog-Signature=REDACTED&a=1";
    assert_eq!(call(&spans).text("url.full"), Some(format!("{}/x?{shown}", upstream.url()).as_str()));
}

#[test]
fn a_redirect_is_an_answer() {
    let upstream = Upstream::open();
    let head = format!("302 Found\r\nLocation: {}/elsewhere", upstream.url());
    let (answer, request, spans) = exchange(&upstream, "/call?service=legacy&path=/x", &head, "");
    assert_eq!(answer["status"], 302);
    assert_eq!(request.start, "GET /x HTTP/1.1");
    assert_eq!(call(&spans).status_text(), "UNSET");
}

#[test]
fn a_server_that_is_not_there_is_an_error_of_the_call() {
    let dead = Dead::open();
    let topology = Topology::probe().with_legacy(&dead.url());
    let server = Server::recorded(&topology);
    let answer = server.connect().get("/call?service=legacy", &[]).json();
    assert_eq!(answer["error"], "refused", "{answer}");
    let spans = server.spans(&topology);
    let span = call(&spans);
    assert_eq!(span.text("error.type"), Some("connection_refused"));
    assert_eq!(span.text("network.protocol.version"), None, "nobody has spoken any");
    assert_eq!(span.int("http.response.status_code"), None);
    assert!(span.status_text().starts_with("ERROR connection refused"), "{}", span.status_text());
    assert_eq!(span.events[0].attributes["exception.type"], "connection_refused");
}

#[test]
fn a_payment_service_that_is_down_fails_the_order() {
    let dead = Dead::open();
    let guest = "guest = \"payment\"\nversion = \"1.1.0\"\nworkers = 64";
    let text = std::fs::read_to_string(Topology::orders().path()).expect("orders");
    assert!(text.contains(guest));
    let topology = Topology::new("orders", text.replace(guest, &format!("url = {:?}", dead.url())));
    let finished = topology.run(&["--request", ORDER, "--out", "records.jsonl"]);
    assert!(finished.success().starts_with("POST /orders answered 500 in "), "{}", finished.stdout);
    let spans = telemetry::read(&std::fs::read_to_string(topology.beside("records.jsonl")).expect("records"));
    assert_eq!(spans.len(), 13);
    let failed: Vec<_> = spans.iter().filter(|span| span.status_text().starts_with("ERROR")).collect();
    let names: Vec<_> = failed.iter().map(|span| format!("{} {}", span.name, span.kind_name())).collect();
    let expected =
        ["POST CLIENT", "POST /orders SERVER", "charge_payment INTERNAL", "process_order INTERNAL"];
    assert_eq!(std::collections::BTreeSet::from_iter(names), expected.map(str::to_owned).into());
}

#[test]
fn a_server_that_breaks_off_is_an_error_of_the_call() {
    let upstream = Upstream::open();
    let topology = Topology::probe().with_legacy(&upstream.url());
    let server = Server::recorded(&topology);
    for said in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"] {
        let answer = thread::scope(|scope| {
            scope.spawn(|| upstream.accept().1.send(said).no_more_from_here());
            server.connect().get("/call?service=legacy", &[]).json()
        });
        assert_eq!(answer["error"], "reset", "{said:?}: {answer}");
    }
    let spans = server.spans(&topology);
    let kinds = spans.iter().filter_map(|span| span.text("error.type"));
    assert_eq!(kinds.collect::<Vec<_>>(), ["connection_reset"; 3]);
}

#[test]
fn a_server_that_is_too_slow_for_its_caller_times_out() {
    let upstream = Upstream::open();
    let topology = Topology::probe().with_legacy(&upstream.url());
    let server = Server::recorded(&topology);
    let (answer, _kept_open) = thread::scope(|scope| {
        let accepted = scope.spawn(|| upstream.accept());
        let answer = server.connect().get("/call?service=legacy&timeout-ms=20", &[]).json();
        (answer, accepted.join().expect("a connection"))
    });
    assert_eq!(answer["error"], "timeout", "{answer}");
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let upstream = Upstream::open();
    let topology = Topology::probe().with_legacy(&upstream.url());
    let server = Server::recorded(&topology);
    let answer = thread::scope(|scope| {
        scope.spawn(|| {
            let (_, mut connection) = upstream.accept();
            connection.send("HTTP/1.1 200 OK\r\n\r\n");
            let piece = "x".repeat(64 << 10);
            while connection.try_send(&piece) {}
        });
        server.connect().get("/call?service=legacy", &[]).json()
    });
    assert_eq!(answer["error"], "reset", "{answer}");
    assert!(answer["message"].as_str().is_some_and(|text| text.contains("longer than")), "{answer}");
    server.stop().success();
}

#[test]
fn an_absolute_url_is_called_only_where_the_topology_allows_its_host() {
    let (allowed, other) = (Upstream::open(), Upstream::open());
    let network = format!("allow = [\"127.0.0.1:{}\"]\n", allowed.port());
    let topology = Topology::probe().with("[network]", &network);
    let server = Server::recorded(&topology);
    let ask = |url: &str| server.connect().get(&format!("/call?service={url}&path=/x"), &[]).json();
    let answer = thread::scope(|scope| {
        scope.spawn(|| allowed.answer("200 OK", "allowed"));
        ask(&allowed.url())
    });
    assert_eq!(answer["body"], "allowed");
    let refused = ask(&other.url());
    assert_eq!(refused["error"], "invalid", "{refused}");
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("network.allow")), "{refused}");
    // A host that is a service's name is the service.
    assert_eq!(ask("http://back")["status"], 404);

    let spans = server.spans(&topology);
    let calls: Vec<_> = spans.iter().filter(|span| span.kind_name() == "CLIENT").collect();
    assert_eq!(calls[0].text("url.full"), Some(format!("{}/x", allowed.url()).as_str()));
    assert_eq!(calls[0].int("server.port"), Some(i64::from(allowed.port())));
    assert_eq!(calls[0].text("peer.service"), None, "no service of the topology has this host");
    assert_eq!(calls[1].text("error.type"), Some("invalid_request"));
    assert_eq!(calls[2].text("peer.service"), Some("back"));
}

#[test]
fn virtual_time_waits_for_no_real_server() {
    let topology = Topology::probe().with_legacy("http://127.0.0.1:1");
    let finished = topology.run(&["--virtual", "--request", "GET /now"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    assert!(finished.stderr.contains("\"legacy\" is a real server, which virtual time cannot wait for"));
    assert!(finished.stderr.contains("run without --virtual"), "{}", finished.stderr);
}
