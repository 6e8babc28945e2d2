//! What faults on the way have done is told to the truth, strike by strike, with the
//! span that shows it.

use serde_json::Value;

use super::{assert_counts, between};
use crate::support::{Run, SpanKind, World};

const CALL: &str = "GET /call?service=back&path=/headers&timeout-ms=500";

/// Runs a world forty times asked, and gives the strikes that the truth tells of.
fn told(world: World, request: &str) -> (Run, Vec<Value>) {
    let folder = tempfile::tempdir().expect("a folder for the truth");
    let path = folder.path().join("truth.jsonl");
    let run = world.flags(&["--truth", &path.display().to_string()]).virtually(&[request; 40]);
    let text = std::fs::read_to_string(path).expect("the truth");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON"));
    (run, lines.filter(|line: &Value| line["record"] == "firing").collect())
}

#[test]
fn every_strike_on_the_way_names_the_span_that_shows_it() {
    for (kind, more, drawn) in [
        ("refuse", "", None),
        ("reset", "", None),
        ("blackhole", "", None),
        ("partition", "on = \"response\"", None),
        ("corrupt", "", Some("bytes")),
        ("mutate", "set = { \"/method\" = \"BREW\" }", None),
        ("loss", "on = \"request\"", Some("delay_ms")),
        ("duplicate", "", None),
        ("bandwidth", "rate = \"10KiB/s\"", Some("delay_ms")),
        ("jitter", "delay = \"5ms\"", Some("delay_ms")),
        ("latency", "delay = \"5ms\"\non = \"request\"", Some("delay_ms")),
        ("drop-context", "", None),
        ("unsample", "", None),
    ] {
        let (run, firings) = told(between(kind, &format!("{more}\nprobability = 0.4")), CALL);
        let clients = run.of("front", SpanKind::Client);
        for firing in &firings {
            // What is not recorded cannot be named; a request that arrives twice is seen at the callee.
            let shows = match kind {
                "unsample" => None,
                "duplicate" => run.spans().iter().find(|span| firing["span_id"] == *span.id),
                _ => clients.iter().copied().find(|span| firing["span_id"] == *span.id),
            };
            assert_eq!(shows.is_none(), kind == "unsample", "{firing}");
            assert!(shows.is_none_or(|span| firing["trace_id"] == *span.trace));
            assert_eq!((&firing["service"], &firing["from"]), (&"back".into(), &"front".into()));
            assert_eq!(firing["route"], "GET /headers");
            assert!(drawn.is_none_or(|key| firing["drawn"][key].as_f64() > Some(0.0)), "{firing}");
        }
        assert!(firings.len() >= 5, "{kind}: {}", firings.len());
        // Links with both ways have two messages for each of the forty calls.
        let messages = if matches!(kind, "bandwidth" | "jitter") { 80 } else { 40 };
        assert_counts(&run, messages, firings.len() as u64);
    }
}

#[test]
fn a_strike_within_a_span_names_that_span() {
    let fault = "[[faults]]\nname = \"it\"\nkind = \"latency\"\ndelay = \"40ms\"\nprobability = 0.4\n\
                 target = { service = \"shop\", span = \"lookup\" }";
    let world = World::of_services(&[("shop", "config = { work = \"5ms\", span = \"lookup\" }")]);
    let (run, firings) = told(world.with(fault), "GET /");
    assert!(firings.len() >= 5, "{}", firings.len());
    for firing in &firings {
        let span = run.spans().iter().find(|span| firing["span_id"] == *span.id).expect("the span");
        assert_eq!((span.name.as_str(), span.duration()), ("lookup", 45_000_000));
    }
}

#[test]
fn what_strikes_a_span_as_it_is_recorded_names_the_route_of_a_server_span() {
    for (kind, more, others) in
        [("lose-spans", "", 40), ("late-spans", "by = \"1s\"", 40), ("cardinality", "attribute = \"a\"", 0)]
    {
        let fault = format!(
            "[[faults]]\nname = \"it\"\nkind = \"{kind}\"\ntarget = {{ service = \"shop\" }}\n{more}"
        );
        let world = World::of_services(&[("shop", "config = { work = \"5ms\", span = \"lookup\" }")]);
        let (run, firings) = told(world.with(&fault), "GET /");
        let (servers, rest): (Vec<_>, Vec<_>) = firings.iter().partition(|firing| firing["route"] == "GET /");
        assert_eq!((servers.len(), rest.len()), (40, others), "{kind}");
        assert!(rest.iter().all(|firing| firing["route"].is_null()), "{kind}: {rest:?}");
        let is_server = |firing: &Value| {
            run.of("shop", SpanKind::Server).iter().any(|span| firing["span_id"] == *span.id)
        };
        if kind == "lose-spans" {
            assert!(firings.iter().all(|firing| firing["span_id"].is_null()));
            continue;
        }
        assert!(servers.iter().all(|firing| is_server(firing)), "{kind}");
        assert!(!rest.iter().any(|firing| is_server(firing)), "{kind}");
    }
}
