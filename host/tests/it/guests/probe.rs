//! The simulated world as a guest sees it: clocks, environment, chance, files.

use serde_json::{Value, json};

use crate::support::telemetry::StatusCode;
use crate::support::{Run, World};

/// 2026-01-01T00:00:00Z, where virtual time begins.
const START: u64 = 1_767_225_600_000_000_000;

const HOUR: u64 = 3_600_000_000_000;

fn probe() -> World {
    World::of("probe", "workers = 1\nlimits = { request-time = \"2h\" }")
}

#[test]
fn clocks_agree_and_computing_takes_no_virtual_time() {
    let run = probe().virtually(&["GET /now", "GET /now"]);
    for answer in &run.answers {
        let now = json!({ "system_time_ns": START, "clock_ns": START, "instant_elapsed_ns": 0 });
        assert_eq!(answer.json(), now);
    }
}

#[test]
fn an_hour_of_sleep_moves_every_clock_by_an_hour_and_takes_no_real_time() {
    // Twice: by `thread::sleep`, which polls a WASI clock, and by the contract's.
    let run = probe().virtually(&["GET /sleep/3600000", "GET /sleep/3600000?via=sdk", "GET /now"]);
    for (answer, via) in run.answers[..2].iter().zip(["thread", "sdk"]) {
        let slept = json!({ "via": via, "instant_ns": HOUR, "system_time_ns": HOUR, "clock_ns": HOUR });
        assert_eq!((answer.json(), answer.took.as_str()), (slept, "1h"));
    }
    assert_eq!(run.answers[2].json()["clock_ns"], START + 2 * HOUR);
    for span in run.named("GET /sleep/{ms}") {
        assert_eq!(span.duration(), HOUR);
    }
}

#[test]
fn in_real_time_the_clocks_follow_the_world() {
    let server = probe().serve();
    let first = server.get("/now").json();
    let slept = server.get("/sleep/20").json();
    let second = server.get("/now").json();
    let run = server.stop();
    let ns = |value: &Value, key: &str| value[key].as_u64().expect("nanoseconds");
    for key in ["instant_ns", "system_time_ns", "clock_ns"] {
        assert!(ns(&slept, key) >= 20_000_000, "{slept}");
    }
    assert!(ns(&first, "clock_ns") > START, "{first}");
    assert!(ns(&second, "clock_ns") - ns(&first, "clock_ns") >= 20_000_000, "{first} {second}");
    assert!(run.span("GET /sleep/{ms}").duration() >= 20_000_000);
}

#[test]
fn the_environment_holds_who_it_is_and_its_configuration_and_nothing_else() {
    let settings =
        "version = \"1.2.3\"\nconfig = { notify-timeout = \"500ms\", stock.book = 7, strict = true }";
    let run = World::of("probe", settings).virtually(&["GET /env"]);
    let seen = run.answers[0].json();
    let instance = run.span("GET /env").instance.clone();
    let environment = json!([
        ["SERVICE_NAME", "front"],
        ["SERVICE_NAMESPACE", "tests"],
        ["SERVICE_INSTANCE_ID", instance],
        ["SERVICE_VERSION", "1.2.3"],
        ["NOTIFY_TIMEOUT", "500ms"],
        ["STOCK_BOOK", "7"],
        ["STRICT", "true"],
    ]);
    assert_eq!(seen["env"], environment);
    assert_eq!(seen["config"], json!([["notify-timeout", "500ms"], ["stock.book", "7"], ["strict", "true"]]));
    assert_eq!(seen["args"], json!([]));
}

#[test]
fn chance_repeats_for_a_seed_and_is_another_for_another() {
    let draw = |seed: &str| probe().flags(&["--seed", seed]).virtually(&["GET /random", "GET /random"]);
    let (one, again, other) = (draw("1"), draw("1"), draw("2"));
    assert_eq!(one.bodies(), again.bodies());
    let draws = |run: &Run| run.answers.iter().map(|answer| answer.json()).collect::<Vec<_>>();
    let (one, other) = (draws(&one), draws(&other));
    for key in ["bytes", "u64", "uniform", "uuid", "hash_map_order"] {
        assert_ne!(one[0][key], other[0][key], "{key}: another seed");
        assert_ne!(one[0][key], one[1][key], "{key}: another request");
    }
}

#[test]
fn chance_is_the_same_in_real_time() {
    let virtually = probe().virtually(&["GET /random", "GET /random"]);
    let server = probe().serve();
    for answer in &virtually.answers {
        assert_eq!(server.get("/random").body, answer.body);
    }
}

#[test]
fn what_happens_in_one_request_does_not_move_the_chance_of_the_next() {
    let after = |first: &str| probe().virtually(&[first, "GET /random"]).answers[1].json();
    let (after_draws, after_none) = (after("GET /random"), after("GET /now"));
    for key in ["bytes", "u64", "uniform", "uuid"] {
        assert_eq!(after_draws[key], after_none[key], "{key}");
    }
}

#[test]
fn files_and_sockets_are_refused_without_a_trap() {
    let run = probe().virtually(&["GET /files"]);
    let seen = run.answers[0].json();
    for key in ["read", "write", "list", "tcp_connect", "tcp_resolve", "tcp_listen", "udp_bind"] {
        assert_ne!(seen[key], "ok", "{key}");
    }
    for key in ["tcp_connect", "tcp_listen", "udp_bind"] {
        let refused = seen[key].as_str().expect("text");
        assert!(refused.starts_with("PermissionDenied"), "{key}: {refused}");
    }
    assert_eq!(run.span("GET /files").status, StatusCode::Unset);
}

#[test]
fn a_run_leaves_the_same_bytes_every_time() {
    let world = probe()
        .and("back", "probe", "replicas = 3")
        .with("[network]\nlatency = \"1ms +/- 300us\"")
        .flags(&["--seed", "7"]);
    let requests = [
        "GET /now",
        "GET /random",
        "GET /spans",
        "GET /print",
        "GET /call?service=back&path=/random",
        "GET /call?service=back&path=/sleep/5&timeout-ms=3",
    ];
    let (one, again) = (world.virtually(&requests), world.virtually(&requests));
    assert_eq!(one.stdout, again.stdout);
    assert_eq!(one.bytes, again.bytes);
}
