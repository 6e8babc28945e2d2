//! How much a caller has under way at a time.

use serde_json::{Value, json};

use crate::resilience::{attempts, report, windows, world};
use crate::support::{Run, Span, SpanKind};

/// Three calls at a time that take 50 ms each.
const THREE: &str = "GET /parallel?ms=50";

fn errors(run: &Run) -> Vec<Value> {
    attempts(run).iter().map(|span| span.error_type().clone()).collect()
}

fn waits(run: &Run) -> Vec<&Value> {
    attempts(run).into_iter().map(|span: &Span| span.get("simhost.link.bulkhead.wait")).collect()
}

#[test]
fn one_too_many_is_refused_at_once() {
    let run = world("bulkhead = { max-concurrent = 2 }").virtually(&[THREE]);
    let mut windows = windows(&run);
    windows.sort_unstable();
    assert_eq!(windows, [(0, 0), (0, 50), (0, 50)]);
    let refused: Vec<_> = errors(&run).into_iter().filter(|error| !error.is_null()).collect();
    assert_eq!(refused, ["bulkhead_full"]);
    assert_eq!(run.of("back", SpanKind::Server).len(), 2);
    let results = run.answers[0].json()["results"].clone();
    let third = &results[2];
    assert_eq!(third["error"], "bulkhead-full");
    let text = third["message"].as_str().expect("a text");
    assert!(text.contains("bulkhead full: 2 are under way and 0 wait"), "{text}");
}

#[test]
fn who_may_wait_gets_the_place_that_is_free_first() {
    let run = world("bulkhead = { max-concurrent = 1, queue = 2 }").virtually(&[THREE, THREE]);
    assert_eq!(windows(&run)[..3], [(0, 50), (50, 100), (100, 150)]);
    assert_eq!(waits(&run)[..3], [&Value::Null, &json!(0.05), &json!(0.1)]);
    assert!(errors(&run).iter().all(Value::is_null), "{run:?}");
    assert_eq!(run.answers[1].json()["elapsed_ns"], 150_000_000, "every place was given back");
}

#[test]
fn each_attempt_takes_a_place_of_its_own() {
    let link = "timeout = \"20ms\"\nbulkhead = { max-concurrent = 1, queue = 2 }\n\
                retry = { attempts = 2, backoff = \"5ms\", jitter = 0.0 }";
    // Between its attempts a call holds none: the next in line goes first.
    let run = world(link).virtually(&[THREE]);
    let windows = windows(&run);
    assert_eq!(windows, [(0, 20), (20, 40), (40, 60), (60, 80), (80, 100), (100, 120)]);
}

#[test]
fn nobody_waits_for_a_place_longer_than_for_the_answer() {
    let load = |name: &str, start: &str, patience: &str| {
        format!(
            "[[load]]\nname = \"{name}\"\nto = \"front\"\nstart = \"{start}\"\n\
             arrivals = {{ constant = \"1/s\" }}\nmax-requests = 1\n[load.request]\n\
             path = \"/call?service=back&path=/sleep/80\"\nheaders = {{ x-simhost-deadline = \"{patience}\" }}\n"
        )
    };
    let loads = load("one", "0s", "100") + &load("two", "10ms", "30") + &load("three", "20ms", "500");
    let run =
        world("deadline = true\nbulkhead = { max-concurrent = 1, queue = 2 }").with(&loads).virtually(&[]);
    assert_eq!(windows(&run), [(0, 80), (40, 40), (80, 160)]);
    assert_eq!(errors(&run), [Value::Null, json!("deadline_exceeded"), Value::Null]);
}

#[test]
fn the_report_counts_what_was_refused_apart_from_what_was_under_way() {
    let load = "[[load]]\nname = \"many\"\nto = \"front\"\narrivals = { constant = \"100/s\" }\n\
                request = { path = \"/call?service=back&path=/sleep/100\" }\nmax-requests = 500";
    let world = world("bulkhead = { max-concurrent = 2 }").with(load);
    let report = report(&world);
    let link = |to: &str| {
        let links = report["links"].as_array().expect("links");
        links.iter().find(|link| link["to"] == to).expect("the link").clone()
    };
    let link = link("back");
    assert_eq!((&link["in_flight_max"], &link["count"]), (&json!(2), &json!(500)));
    let refused = &link["errors_by_type"]["bulkhead_full"];
    assert_eq!((&link["unsent"], &link["errors"]), (refused, refused));
    assert!(refused.as_u64() > Some(300), "{link}");
    // The times are those of the calls that were sent: 100 ms each, within the 1 % of a link's histogram.
    for time in ["mean_ns", "p50_ns", "p99_ns", "max_ns"] {
        let nanos = link[time].as_u64().expect("a time");
        assert!((99_000_000..=101_000_000).contains(&nanos), "{time} is {nanos}");
    }
    let table = world.virtually(&[]).report;
    assert!(table.contains("unsent"), "{table}");
}
