//! Policies towards real servers, in real time that is made to pass quickly.

use std::thread;

use serde_json::Value;

use crate::support::Topology;
use crate::support::http::{Dead, Message, Upstream};
use crate::support::server::Server;
use crate::support::telemetry::Span;

fn topology(url: &str, link: &str) -> Topology {
    let link = format!("[[links]]\nfrom = \"front\"\nto = \"legacy\"\n{link}");
    Topology::probe().with_legacy(url).with("[limits]", &link)
}

/// Asks the probe for a call while `upstream` gives these answers; with what the
/// probe says, the requests that the upstream got, and the CLIENT spans.
fn exchange(upstream: &Upstream, link: &str, answers: &[&str]) -> (Value, Vec<Message>, Vec<Span>) {
    let topology = topology(&upstream.url(), link);
    let server = Server::start(&topology, &["--speed", "20", "--out", "records.jsonl"]);
    let (answer, requests) = thread::scope(|scope| {
        let asked = scope.spawn(|| answers.iter().map(|head| upstream.answer(head, "")).collect());
        let answer = server.connect().get("/call?service=legacy&path=/x&timeout-ms=30000", &[]).json();
        (answer, asked.join().expect("the upstream is asked"))
    });
    (answer, requests, calls(server.spans(&topology)))
}

fn calls(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| span.kind_name() == "CLIENT");
    spans.sort_by_key(|span| span.start);
    spans
}

fn backoff(span: &Span) -> Option<f64> {
    span.attributes.get("simhost.link.retry.backoff").and_then(Value::as_f64)
}

const BUSY: &str = "503 Service Unavailable\r\nRetry-After: 2";

#[test]
fn retry_after_is_waited_for() {
    let link = "retry = { attempts = 3, backoff = \"10ms\", max-backoff = \"2s\" }";
    let (answer, requests, spans) = exchange(&Upstream::open(), link, &[BUSY, "200 OK"]);
    assert_eq!((&answer["status"], requests.len()), (&Value::from(200), 2));
    let [first, second] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!((backoff(first), backoff(second)), (None, Some(2.0)));
    assert!(second.start - first.end >= 2_000_000_000, "{spans:?}");
    // Each attempt is a call of its own to who gets it.
    let of = |span: &Span| format!("00-{}-{}-03", span.trace, span.id);
    let got: Vec<_> = requests.iter().map(|request| request.header("traceparent")).collect();
    assert_eq!(got, [Some(of(first).as_str()), Some(of(second).as_str())]);
}

#[test]
fn retry_after_beyond_the_longest_wait_ends_the_call() {
    let link = "retry = { attempts = 3, backoff = \"10ms\", max-backoff = \"1s\" }";
    let (answer, _, spans) = exchange(&Upstream::open(), link, &[BUSY]);
    assert_eq!(answer["status"], 503);
    let [only] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(only.events[0].attributes["simhost.link.retry.reason"], "retry_after");
}

#[test]
fn retry_after_may_be_left_alone() {
    let link = "retry = { attempts = 2, backoff = \"10ms\", jitter = 0.0, retry-after = false }";
    let (answer, _, spans) = exchange(&Upstream::open(), link, &[BUSY, "200 OK"]);
    assert_eq!((&answer["status"], backoff(&spans[1])), (&Value::from(200), Some(0.01)));
}

#[test]
fn a_date_in_retry_after_counts_from_the_answers_own_date() {
    let link = "retry = { attempts = 2, backoff = \"10ms\", jitter = 0.0, max-backoff = \"2s\" }";
    let busy =
        |date: &str| format!("503 Service Unavailable\r\n{date}Retry-After: Fri, 31 Dec 2100 23:59:59 GMT");
    let dated = busy("Date: Fri, 31 Dec 2100 23:59:57 GMT\r\n");
    let (_, _, spans) = exchange(&Upstream::open(), link, &[&dated, "200 OK"]);
    assert_eq!(backoff(&spans[1]), Some(2.0));
    // Without one it is a date of the simulated time, and far away.
    let (_, _, spans) = exchange(&Upstream::open(), link, &[&busy("")]);
    let [only] = &spans[..] else { panic!("{spans:?}") };
    assert_eq!(only.events[0].attributes["simhost.link.retry.reason"], "retry_after");
}

#[test]
fn a_server_that_is_not_there_is_tried_again_and_stood_for() {
    let dead = Dead::open();
    let link = "retry = { attempts = 3, backoff = \"1ms\" }\nfallback = { status = 203 }";
    let topology = topology(&dead.url(), link);
    let server = Server::start(&topology, &["--out", "records.jsonl"]);
    let answer = server.connect().get("/call?service=legacy&path=/x", &[]).json();
    assert_eq!(answer["status"], 203);
    let spans = calls(server.spans(&topology));
    let errors: Vec<_> = spans.iter().map(|span| span.text("error.type")).collect();
    assert_eq!(errors, [Some("connection_refused"); 3]);
}

#[test]
fn a_real_server_is_told_the_deadline() {
    let (_, requests, spans) = exchange(&Upstream::open(), "deadline = true", &["200 OK"]);
    let told: f64 = requests[0].header("x-simhost-deadline").expect("it is told").parse().expect("a number");
    let waits = spans[0].attributes["simhost.link.timeout"].as_f64().expect("seconds");
    assert_eq!(told, (waits * 1e3).ceil());
    assert!((20_000.0..=30_000.0).contains(&told), "{told} ms of 30 s are left");
}
