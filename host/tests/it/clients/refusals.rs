//! Every refusal has a body, and the body names the bound.

use crate::support::Topology;
use crate::support::http::{Connection, Upstream};
use crate::support::server::Server;

/// Sends bytes; the status of the answer and its body.
fn ask(server: &Server, bytes: &str) -> (u16, serde_json::Value) {
    let mut client = Connection::open(server.address);
    client.try_send(bytes);
    let answer = client.receive();
    assert_eq!(answer.header("content-type"), Some("application/json"), "{answer:?}");
    let body = answer.json();
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{answer:?}");
    (answer.status(), body)
}

#[test]
fn a_request_of_http_1_1_says_once_whom_it_is_for() {
    let topology = Topology::probe();
    let server = Server::recorded(&topology);
    let wrong = [
        ("", "a request of HTTP/1.1 has a Host"),
        ("Host: a\r\nHost: a\r\n", "a request has one Host"),
        ("Host: a\r\nhost: b\r\n", "a request has one Host"),
        ("Host: a b\r\n", "Host is no name or address, with a port perhaps"),
        ("Host: http://a/\r\n", "Host is no name or address, with a port perhaps"),
    ];
    for (fields, detail) in wrong {
        let (status, body) = ask(&server, &format!("GET /now HTTP/1.1\r\n{fields}\r\n"));
        assert_eq!((status, &body["detail"]), (400, &detail.into()), "{fields:?}");
    }
    for good in ["1.1\r\nHost: a", "1.1\r\nHost:", "1.1\r\nhost: [::1]:80", "1.0", "1.0\r\nHost: a"] {
        let mut client = server.connect();
        assert_eq!(client.send(&format!("GET /now HTTP/{good}\r\n\r\n")).receive().status(), 200, "{good}");
    }
    assert_eq!(server.spans(&topology).len(), 5, "what does not come in leaves no span");
}

#[test]
fn what_is_no_http_is_refused_with_a_reason() {
    let topology = Topology::probe();
    let server = Server::start(&topology, &[]);
    let garbage = [
        "nonsense\r\n\r\n",
        "GET /now HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET \u{0} HTTP/1.1\r\n\r\n",
        "GET /now HTTP/9.9\r\n\r\n",
        "POST /headers HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    ];
    for bytes in garbage {
        let (status, body) = ask(&server, bytes);
        let expected = "this is not a request of HTTP/1.1 or HTTP/2";
        assert_eq!((status, &body["detail"]), (400, &expected.into()), "{bytes:?}");
    }
    // Also behind a request that was served.
    let mut client = server.connect();
    assert_eq!(client.get("/now", &[]).status(), 200);
    let answer = client.send("nonsense\r\n\r\n").receive();
    assert_eq!((answer.status(), client.rest()), (400, String::new()));
    assert!(answer.body.contains("not a request"), "{answer:?}");
    server.stop().success();
}

#[test]
fn every_refusal_names_the_bound() {
    let upstream = Upstream::open();
    let limits = "headers = \"4KiB\"\nbody = \"1KiB\"\nrequests = 1";
    let topology = Topology::probe().with_legacy(&upstream.url()).with("[limits]", limits);
    let server = Server::start(&topology, &[]);
    let get = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    let long = |bytes: usize| format!("/{}", "x".repeat(bytes));
    let bounded = [
        (get("/now", &format!("x: {}\r\n", "x".repeat(5_000))), 431, "limits.headers"),
        (get("/now", &format!("x: {}\r\n", "x".repeat(200_000))), 431, "limits.headers"),
        (get("/now", &"x: x\r\n".repeat(200)), 431, "limits.headers"),
        (get(&long(5_000), ""), 414, "limits.headers"),
        (get("/now", "Content-Length: 2000\r\n"), 413, "limits.body"),
        (get("/now", "Transfer-Encoding: chunked\r\n") + "800\r\n" + &long(2_000), 413, "limits.body"),
    ];
    for (request, status, bound) in bounded {
        let (answered, body) = ask(&server, &request);
        let start = &request[..40];
        assert_eq!((answered, &body["bound"]), (status, &bound.into()), "{start:?}: {body}");
    }
    let mut busy = server.connect();
    busy.request("GET /call?service=legacy&path=/x", &[], "");
    let (_, mut call) = upstream.accept();
    let (status, body) = ask(&server, &get("/now", ""));
    assert_eq!((status, &body["bound"]), (503, &"limits.requests".into()));
    call.respond("200 OK", "");
    assert_eq!(busy.receive().status(), 200);
    server.stop().success();
}

#[test]
fn a_bound_that_a_service_meets_is_in_its_answer() {
    let upstream = Upstream::open();
    let text = "cpu-time = \"200ms\"\nrequest-time = \"300ms\"";
    let topology = Topology::probe().with_legacy(&upstream.url()).with("[limits]", text);
    let topology = topology.with("[services.front]", "workers = 1\nqueue = 0");
    let server = Server::start(&topology, &[]);
    let get = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut busy = server.connect();
    busy.request("GET /call?service=legacy&path=/x", &[], "");
    let (_, call) = upstream.accept();
    let (status, body) = ask(&server, &get("/now"));
    assert_eq!((status, &body["bound"]), (503, &"services.front.queue".into()));
    let answer = busy.receive();
    assert_eq!((answer.status(), &answer.json()["bound"]), (500, &"limits.request-time".into()));
    drop(call);
    server.stop().success();
}
