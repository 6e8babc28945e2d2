//! What would take a processor without end.

use std::hint::black_box;
use std::io::Write as _;

use super::exports::simhost::service::handler::{Problem, Response, Route};
use super::simhost::service::metrics::{Definition, FloatInstrument, IntInstrument, Kind};
use super::simhost::service::tracing::{self, Span, SpanKind, Value};
use super::simhost::service::{bus, cache, clock, config, incoming, logging, messaging, sql};
use super::{PATIENT, answer, request};

/// Attributes of the list that is set at once.
const ATTRIBUTES: i64 = 1_000;

/// A message with this body.
fn letter(body: &str) -> messaging::Message {
    messaging::Message { key: None, headers: Vec::new(), body: body.as_bytes().to_vec() }
}

/// Does `what` for ever.
pub fn forever(what: &str) -> Response {
    times(what, u64::MAX)
}

/// Does `what` this many times, and answers.
pub fn times(what: &str, turns: u64) -> Response {
    let lines = vec![b'\n'; 4 << 10];
    let text = "x".repeat(64 << 10);
    let mut buffer = vec![0; 1 << 20];
    let attributes = if matches!(what, "attributes" | "measure-many") { attributes() } else { Vec::new() };
    let keys = vec![text[..1_000].to_owned(); if what == "cache-many" { 256 } else { 0 }];
    let whole = IntInstrument::new(&definition("hostile.whole".into(), Kind::Counter));
    let fraction = FloatInstrument::new(&definition("hostile.fraction".into(), Kind::Histogram(None)));
    for turn in 0..turns {
        match what {
            "nothing" => {
                black_box(turn);
            }
            "now" => {
                black_box(clock::now());
            }
            "sleep" => clock::sleep(0),
            "nap" => clock::sleep(1),
            "random" => getrandom::fill(&mut buffer).expect("there is randomness"),
            "random-word" => {
                black_box(getrandom::u64().expect("there is randomness"));
            }
            "instant" => {
                black_box(std::time::Instant::now());
            }
            "thread-sleep" => std::thread::sleep(std::time::Duration::from_nanos(1)),
            "method" => drop(black_box(incoming::method())),
            "body" => drop(black_box(incoming::body())),
            "headers" => drop(black_box(incoming::headers())),
            "header" => drop(black_box(incoming::header("x"))),
            "config" => drop(black_box(config::all())),
            "key" => drop(black_box(config::get("routes"))),
            "environment" => drop(black_box(std::env::vars().count())),
            "log" => logging::log(logging::Level::Info, &text, &[]),
            "log-nothing" => logging::log(logging::Level::Info, "", &[]),
            "span" => drop(Span::new("x", SpanKind::Internal, &[])),
            "context" => drop(black_box(tracing::current())),
            "annotate" => tracing::annotate(&[]),
            "attributes" => tracing::annotate(&attributes),
            "baggage" => tracing::set_baggage(&format!("k{}", turn % 64), &text[..100]),
            "get-baggage" => drop(black_box(tracing::get_baggage("k0"))),
            "measure" => whole.record(1, &[]),
            "measure-fraction" => fraction.record(f64::NAN, &[]),
            "measure-sets" => fraction.record(1.0, &[("turn".into(), Value::Int(turn as i64))]),
            "measure-text" => whole.record(1, &[("turn".into(), Value::Text(format!("{turn}{text}")))]),
            "measure-many" => whole.record(-1, &attributes),
            "query" => drop(black_box(sql::query("nobody", "SELECT 1", &[]))),
            "transaction" => drop(black_box(sql::Transaction::begin("nobody"))),
            "last-work" => drop(black_box(sql::last_work())),
            "instrument" => drop(IntInstrument::new(&definition("hostile.whole".into(), Kind::Counter))),
            "instruments" => {
                let bounds = (0..200).map(|bound| f64::from(bound) + turn as f64).collect();
                let one =
                    FloatInstrument::new(&definition(format!("of.{turn}"), Kind::Histogram(Some(bounds))));
                one.record(1.0, &[]);
            }
            "lines" => std::io::stdout().write_all(&lines).expect("there is standard output"),
            "output" => std::io::stdout().write_all(text.as_bytes()).expect("there is standard output"),
            "call" => drop(black_box(bus::call("back", &request("/ok".into(), Vec::new()), PATIENT))),
            "nobody" => drop(black_box(bus::call("nobody", &request("/".into(), Vec::new()), PATIENT))),
            "pending" => drop(bus::Pending::new("back", &request("/ok".into(), Vec::new()), PATIENT)),
            "cache" => drop(black_box(cache::set("shared", &format!("{turn}"), text.as_bytes(), None))),
            "cache-get" => drop(black_box(cache::get("shared", "0"))),
            "cache-many" => drop(black_box(cache::get_many("shared", &keys))),
            "no-cache" => drop(black_box(cache::get("nobody", "0"))),
            "caches" => drop(black_box(cache::all())),
            "send" => drop(black_box(messaging::send("letters", &letter(&text)))),
            "send-batch" => drop(black_box(messaging::send_batch("letters", &[letter(&text), letter("")]))),
            "no-topic" => drop(black_box(messaging::send("nothing", &letter("")))),
            "fill" => black_box(&mut buffer).fill(turn as u8),
            "copy" => black_box(&mut buffer).copy_within(1.., 0),
            "grow" => grow(),
            other => return answer(&format!("there is no spinning {other}")),
        }
    }
    answer(&format!("{turns} times"))
}

fn definition(name: String, kind: Kind) -> Definition {
    Definition { name, kind, unit: "1".into(), description: "What is measured without end".into() }
}

/// More attributes than a span keeps. No two keys are equal, and each differs from the others at its end only.
fn attributes() -> Vec<(String, Value)> {
    (0..ATTRIBUTES).map(|number| (format!("{number:064}"), Value::Int(number))).collect()
}

/// Asks for a page more, which soon nobody grants.
fn grow() {
    #[cfg(target_arch = "wasm32")]
    black_box(core::arch::wasm32::memory_grow(0, 1));
}

/// The routes, or what comes instead of them.
pub fn describe() -> Result<Vec<Route>, Vec<Problem>> {
    let route = |path: String| Route { method: "GET".into(), path };
    let problem =
        |number: u64, message: String| Problem { key: Some(format!("key.{number}")), message, remedy: None };
    match config::get("routes").unwrap_or_default().as_str() {
        "" => Ok(Vec::new()),
        "sleep-for-ever" => {
            clock::sleep(u64::MAX);
            Ok(Vec::new())
        }
        "million" => Ok((0..1_000_000).map(|number| route(format!("/{number}"))).collect()),
        "long" => Ok((0..1_000).map(|number| route(format!("/{number}/{}", "x".repeat(60_000)))).collect()),
        "problems" => Err((0..10_000).map(|number| problem(number, "it is wrong".into())).collect()),
        "long-problems" => Err((0..100).map(|number| problem(number, "x".repeat(60_000))).collect()),
        "no-problems" => Err(Vec::new()),
        what => {
            forever(what);
            Ok(Vec::new())
        }
    }
}
