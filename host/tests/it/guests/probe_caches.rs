//! Caches, as guests find them.

use serde_json::{Value, json};

use crate::support::metrics::Measured;
use crate::support::{Run, SpanKind, World, at_once};

const CACHES: &str = "[caches.shared]\nmemory = \"3MiB\"\nentries = 4\nlatency = \"200us\"";

/// Two services with a cache in common.
fn world(settings: &str) -> World {
    let settings = format!("caches = [\"shared\"]\n{settings}");
    World::of("probe", &settings).and("back", "probe", "caches = [\"shared\"]").with(CACHES)
}

fn answers(run: &Run) -> Vec<Value> {
    run.answers.iter().map(|answer| answer.json()).collect()
}

#[test]
fn a_guest_sets_gets_counts_and_deletes() {
    let run = world("").virtually(&[
        "GET /cache/all",
        "GET /cache/get?cache=shared&key=a",
        "GET /cache/set?cache=shared&key=a&value=7",
        "GET /cache/increment?cache=shared&key=a&by=-9",
        "GET /cache/get-many?cache=shared&key=a,b,a",
        "GET /cache/delete?cache=shared&key=a",
        "GET /cache/delete?cache=shared&key=a",
        "GET /cache/made?cache=shared&key=m&value=made",
        "GET /cache/made?cache=shared&key=m&value=again",
    ]);
    let expected = [
        json!(["shared"]),
        json!({ "ok": null }),
        json!({ "ok": null }),
        json!({ "ok": -2 }),
        json!({ "ok": ["-2", null, "-2"] }),
        json!({ "ok": true }),
        json!({ "ok": false }),
        json!({ "value": "made", "made": true }),
        json!({ "value": "made", "made": false }),
    ];
    assert_eq!(answers(&run), expected);
}

#[test]
fn what_one_service_sets_another_one_finds_whatever_the_replica() {
    let back = |path: &str| format!("GET /call?service=back&path={path}%3Fcache=shared%26key=a");
    let run = world("replicas = 3").virtually(&[
        "GET /cache/set?cache=shared&key=a&value=one",
        &back("/cache/get"),
        "GET /cache/get?cache=shared&key=a",
        "GET /cache/get?cache=shared&key=a",
    ]);
    let bodies = run.bodies();
    assert!(bodies[1].contains("one"), "{bodies:?}");
    assert_eq!((bodies[2], bodies[3]), (r#"{"ok":"one"}"#, r#"{"ok":"one"}"#));
}

#[test]
fn a_full_cache_evicts_what_was_used_least_recently() {
    let mut requests: Vec<String> =
        ["a", "b", "c", "d"].map(|key| format!("GET /cache/set?cache=shared&key={key}&value=1")).into();
    requests.push("GET /cache/get?cache=shared&key=a".to_owned());
    requests.push("GET /cache/set?cache=shared&key=e&value=1".to_owned());
    requests.push("GET /cache/get-many?cache=shared&key=a,b,c,d,e".to_owned());
    // Three values of 1 MiB do not fit into 3 MiB.
    requests.extend(["x", "y", "z"].map(|key| format!("GET /cache/set?cache=shared&key={key}&size=1048576")));
    requests.push("GET /cache/get-many?cache=shared&key=a,e,x,y,z".to_owned());
    let run = world("").virtually(&requests.iter().map(String::as_str).collect::<Vec<_>>());
    let answers = answers(&run);
    assert_eq!(answers[6], json!({ "ok": ["1", null, "1", "1", "1"] }));
    assert_eq!(answers[10], json!({ "ok": [null, null, null, 1_048_576, 1_048_576] }));
}

#[test]
fn a_command_has_a_span_below_the_current_one_and_a_measurement() {
    let run = world("").measured(60_000).virtually(&["GET /cache/get?cache=shared&key=a"]);
    let (server, get) = (run.span("GET /cache/get"), run.span("GET"));
    assert_eq!((get.kind, &get.parent), (SpanKind::Client, &server.id));
    assert_eq!(get.end - get.start, 400_000);
    assert!((server.start..=server.end).contains(&get.end));
    for (key, value) in [
        ("db.system.name", "redis"),
        ("db.namespace", "0"),
        ("db.operation.name", "GET"),
        ("db.query.text", "GET a"),
        ("server.address", "shared"),
    ] {
        assert_eq!(get.attributes.get(key).and_then(Value::as_str), Some(value), "{key}");
    }
    let points = run.points();
    let point = points.iter().find(|point| point.metric == "db.client.operation.duration").expect("a point");
    assert!(
        matches!(&point.value, Measured::Histogram(of) if of.count == 1 && of.sum == 0.000_4),
        "{point:?}"
    );
    assert_eq!((point.unit.as_str(), point.scope.as_str()), ("s", "simhost.bus"));
    assert_eq!(point.exemplars[0].span, get.id);
}

#[test]
fn what_is_over_a_bound_is_refused_and_said() {
    let run = world("").virtually(&["GET /cache/misuse?cache=shared"]);
    let said = answers(&run).remove(0);
    let expected = json!([
        "Error::TooLarge(\"a key of 1025 bytes is longer than 1024\")",
        "Error::TooLarge(\"a value of 1048577 bytes is longer than 1048576\")",
        "done",
        "Error::TooLarge(\"257 keys are more than 256\")",
        "Error::TooLarge(\"the values have 5242880 bytes, more than 4194304\")",
        "done",
        "Error::NotANumber",
        "Error::UnknownCache(\"known caches of this service: \\\"shared\\\"\")",
    ]);
    assert_eq!(said, expected);
}

#[test]
fn a_service_that_may_use_no_cache_is_told_how_it_may() {
    let run = World::of("probe", "").with(CACHES).virtually(&["GET /cache/get?cache=shared"]);
    let said = answers(&run).remove(0);
    assert_eq!(
        said,
        json!({ "error": "shared: unknown cache: this service may use no cache: write caches = [\"…\"] in it" })
    );
}

#[test]
fn the_draws_of_a_cache_follow_from_the_seed() {
    let caches = "[caches.shared]\nlatency = { lognormal = { median = \"1ms\", sigma = 0.5 } }";
    let settings = "caches = [\"shared\"]";
    let run = |_: &u32| {
        let requests: Vec<_> = (0..5).map(|_| "GET /cache/increment?cache=shared&key=n").collect();
        World::of("probe", settings).with(caches).virtually(&requests).bytes
    };
    let [one, again] = at_once(&[1, 2], run).try_into().expect("two runs");
    assert!(one == again && one.contains("INCRBY"));
}

#[test]
fn a_cache_that_nobody_uses_changes_nothing() {
    let without = World::of("probe", "").virtually(&["GET /spans"]).bytes;
    assert_eq!(World::of("probe", "").with(CACHES).virtually(&["GET /spans"]).bytes, without);
}
