//! What a run says at its end: to a person, to a program, and by its exit code.
//!
//! `BLESS=1 cargo test --test it report::` writes the golden files and the schema
//! anew; read the difference before committing it.

mod interval;
mod lag;
mod timeline;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::support;
use crate::support::http::Dead;
use crate::support::schema;
use crate::support::{Finished, ORDER, Topology, finish, golden, guest};
use serde_json::Value;

/// Large orders, which are slow.
const LARGE: &str = r#"POST /orders {"item":"book","quantity":8,"price":1}"#;

/// So many requests, one in three of them slow.
fn requests(count: usize) -> Vec<&'static str> {
    (0..count).flat_map(|number| ["--request", if number % 3 == 0 { LARGE } else { ORDER }]).collect()
}

fn virtually(topology: &Topology, flags: &[&str], count: usize) -> Finished {
    topology.run(&[&["--virtual", "--show", "summary"], flags, &requests(count)[..]].concat())
}

/// The report alone, without the answers.
fn report(finished: &Finished) -> &str {
    finished.stdout.split_once("\n\n").map_or(&finished.stdout, |(_, report)| report)
}

/// The same without its digest, which every new build of a guest changes.
fn without_digest(report: &str) -> String {
    let (before, digest) = report.rsplit_once("digest").expect("a run in virtual time has a digest");
    let start = digest.find(|c: char| c.is_ascii_hexdigit()).expect("a digest");
    let (hex, after) = digest[start..].split_at(64);
    assert!(hex.chars().all(|c| c.is_ascii_hexdigit()), "{hex}");
    format!("{before}digest{}…{after}", &digest[..start])
}

#[track_caller]
fn assert_near(found: &Value, expected: f64) {
    let found = found.as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/report").join(name)
}

#[test]
fn one_request_gets_its_times_alone() {
    let finished = virtually(&Topology::orders(), &[], 1);
    golden(&file("one.txt"), &without_digest(report(&finished)));
}

#[test]
fn a_few_requests_get_no_quantiles() {
    let finished = virtually(&Topology::orders(), &["--fault", "payment-errors=on", "--seed", "3"], 5);
    golden(&file("few.txt"), &without_digest(report(&finished)));
}

#[test]
fn a_load_gets_loads_routes_services_and_links() {
    let run = |flags: &[&str]| {
        let load = ["--virtual", "--for", "10s", "--show", "summary", "--fault", "payment-errors=on"];
        Topology::orders().run(&[&load[..], flags].concat())
    };
    golden(&file("load.txt"), &without_digest(run(&[]).success()));
    golden(&file("load.json"), &without_digest(run(&["--json"]).success()));
}

/// All that a report can hold: errors of many kinds, real time, an exporter in trouble.
#[test]
fn every_report_is_as_the_schema_describes() {
    let text = simhost::report::Report::schema();
    let text = serde_json::to_string_pretty(&text).expect("JSON") + "\n";
    golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/report.schema.json"), &text);
    let schema: Value = serde_json::from_str(&text).expect("JSON");

    let objectives = "[objectives]\n\"order-service POST /orders\" = { p99 = \"1ms\", errors = \"0%\" }\n\
                      payment-service = { rate = \">= 1/s\" }\n";
    let topology = Topology::orders().with("seed = 42", &format!("{objectives}\n"));
    let dead = Dead::open();
    let mut unheard =
        topology.command(&["--json", "--virtual", "--otlp", &dead.url(), "--request", "GET /nowhere"]);
    unheard.env("OTEL_BSP_EXPORT_TIMEOUT", "1500");
    let runs = [
        virtually(&topology, &["--json", "--fault", "payment-errors=on"], 12),
        topology.run(&["--json", "--out", "spans.jsonl", "--request", ORDER]),
        finish(&mut unheard),
    ];
    for run in &runs {
        let document = run.json();
        assert_eq!(schema::problems(&schema, &document), [""; 0], "{run:?}");
        assert_eq!(document["schema"], simhost::report::SCHEMA);
    }
    assert_eq!(runs[0].json()["elapsed_ns"], Value::Null);
    assert!(runs[1].json()["elapsed_ns"].is_u64());
    assert_eq!(runs[2].json()["routes"][0]["route"], Value::Null);
    assert!(runs[2].json()["telemetry"]["exporters"][0]["trouble"].is_string());
}

/// Three calls at once to `back`, which has one worker and room for one more.
fn crowd(flags: &[&str]) -> Finished {
    let text = format!(
        "[topology]\nname = \"crowd\"\n[ingress]\nto = \"front\"\n[network]\nlatency = \"1ms\"\n\
         [services.front]\nguest = {probe:?}\nconfig = {{ next = \"back\" }}\n\
         [services.back]\nguest = {probe:?}\nworkers = 1\nqueue = 1\n",
        probe = guest("tests/probe")
    );
    let request = ["--virtual", "--request", "GET /parallel?ms=10"];
    Topology::new("crowd", text).run(&[&request[..], flags].concat())
}

#[test]
fn waits_in_a_queue_and_what_it_turned_away_are_counted() {
    let report = crowd(&["--json"]).json();
    let back = &report["services"][1];
    let (none, ten, twenty) = (Value::from(0), Value::from(10_000_000), Value::from(20_000_000));
    assert_eq!(back["service"], "back");
    assert_eq!((&back["count"], &back["errors"]), (&3.into(), &1.into()));
    assert_eq!(back["errors_by_type"], serde_json::json!({ "queue_full": 1 }));
    // One was served at once, one waited for 10 ms, one was turned away.
    assert_eq!((&back["waited"], &back["waiting_max"]), (&1.into(), &1.into()));
    assert_eq!((&back["wait_mean_ns"], &back["wait_max_ns"]), (&5_000_000.into(), &ten));
    assert_eq!((&back["busy_ns"], &back["max_ns"]), (&ten, &twenty));
    assert_ne!(back["wait_p99_ns"], none);
    // Of 22 ms, in which two calls took 12 and 22, and the third 2.
    assert_near(&back["utilisation"], 20.0 / 22.0);
    assert_near(&back["waiting_mean"], 10.0 / 22.0);
    let link = &report["links"][1];
    assert_eq!((&link["from"], &link["to"]), (&"front".into(), &"back".into()));
    assert_eq!(link["errors_by_type"], serde_json::json!({ "503": 1 }));
    assert_eq!((&link["in_flight_max"], &link["max_ns"]), (&3.into(), &22_000_000.into()));
    assert_near(&link["in_flight_mean"], 36.0 / 22.0);
}

/// What a caller gives up is an error of the link, and none of the callee.
#[test]
fn a_timeout_is_the_links_error_and_not_the_callees() {
    let topology = Topology::orders()
        .with("guest = \"notification\"", "config = { delay = \"700ms\" }")
        .with("guest = \"orders\"", "config = { notify-timeout = \"200ms\" }");
    let report = topology.run(&["--virtual", "--json", "--request", ORDER]).json();
    let links = report["links"].as_array().expect("links");
    let link = links.iter().find(|link| link["to"] == "notification-service").expect("a link");
    assert_eq!(link["errors_by_type"], serde_json::json!({ "timeout": 1 }));
    // It is noticed a little late.
    let longest = link["max_ns"].as_u64().expect("a time");
    assert!((200_000_000..210_000_000).contains(&longest), "{longest}");
    let services = report["services"].as_array().expect("services");
    let service = services.iter().find(|row| row["service"] == "notification-service").expect("a service");
    assert_eq!((&service["count"], &service["errors"]), (&1.into(), &0.into()));
    // It works on when its caller has gone, and the run waits for it.
    assert_eq!(service["max_ns"], 700_000_000);
    assert_eq!(report["simulated_ns"].as_u64().map(|time| time / 1_000_000_000), Some(0));
}

const OBJECTIVES: &str = "[objectives]\n\
    \"order-service POST /orders\" = { p50 = \"1s\", p99 = \"200ms\", errors = \"0%\" }\n\
    payment-service = { errors = \"50%\", rate = \">= 1/s\" }\n\
    \"order-service GET /health\" = { max = \"1ms\" }\n";

#[test]
fn objectives_that_are_missed_fail_the_run_and_say_by_how_much() {
    let topology = Topology::orders().with("seed = 42", OBJECTIVES);
    let finished = virtually(&topology, &["--fault", "payment-errors=on"], 30);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.stderr, "error: 2 of 5 objectives missed\n");
    let judged = |line: &&str| line.starts_with("met: ") || line.starts_with("missed: ");
    let lines: Vec<_> = finished.stdout.lines().filter(judged).collect();
    golden(&file("objectives.txt"), &(lines.join("\n") + "\n"));

    let finished = virtually(&topology, &["--json", "--fault", "payment-errors=on"], 30);
    assert_eq!(finished.code, Some(1));
    let objective = &finished.json()["objectives"][1];
    assert_eq!(
        (&objective["subject"], &objective["measure"]),
        (&"order-service POST /orders".into(), &"p99".into())
    );
    assert_eq!((&objective["unit"], &objective["limit"]), (&"nanoseconds".into(), &2e8.into()));
    assert_eq!(objective["met"], false);
    assert!(objective["actual"].as_f64() > Some(2e8), "{objective}");
}

#[test]
fn objectives_that_are_met_let_the_run_succeed() {
    let met = "[objectives]\norder-service = { max = \"1s\", errors = \"0%\" }\n";
    let finished = virtually(&Topology::orders().with("seed = 42", met), &[], 1);
    let report = finished.success();
    let is_met =
        |line: &str| line.starts_with("met: order-service: max ") && line.ends_with(" of at most 1s");
    assert!(report.lines().any(is_met), "{report}");
    assert!(report.contains("\nmet: order-service: errors 0% of at most 0%\n"), "{report}");
    assert_eq!(finished.stderr, "");
}

/// A load has its objectives; one that is switched off has none to miss.
#[test]
fn an_objective_may_be_a_loads_and_an_idle_route_misses_its_own() {
    let wanted = "[objectives]\nshoppers = { p50 = \"100ms\" }\n\
                  \"order-service GET /health\" = { max = \"1ms\" }\n";
    let topology = Topology::orders().with("seed = 42", wanted);
    let finished = topology.run(&["--virtual", "--for", "2s"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("\nmet: shoppers: p50 "), "{}", finished.stdout);
    let idle = "\nmissed: order-service GET /health: max: there was no request\n";
    assert!(finished.stdout.contains(idle), "{}", finished.stdout);
    // A run that took long has said so before.
    assert!(finished.stderr.ends_with("error: 1 of 2 objectives missed\n"), "{}", finished.stderr);
    // The command line says which requests there are.
    let finished = topology.run(&["--virtual", "--request", ORDER]);
    assert!(!finished.success().contains("missed"), "{}", finished.stdout);
}

#[test]
fn a_missed_objective_fails_the_run_also_when_nobody_reads_the_report() {
    let topology = Topology::orders().with("seed = 42", OBJECTIVES);
    let mut command = topology.command(&["--virtual", "--json", "--request", ORDER]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "an order that succeeds misses nothing: {stderr}");
    let mut command = topology.command(&["--virtual", "--json", "--request", LARGE]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "error: 1 of 5 objectives missed\n");
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_a_full_disk_does_not_take_is_an_error_that_says_so() {
    for flags in [&["--json"][..], &["--show", "summary"], &["--out", "-"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let topology = Topology::orders();
        let mut command = topology.command(&[&["--virtual", "--for", "1s"], flags].concat());
        let output = command.stdout(full).stderr(Stdio::piped()).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        match flags {
            // The records are lost, and the report, on standard error, says how many.
            ["--out", "-"] => assert!(stderr.contains("  lost: "), "{stderr}"),
            _ => {
                // Before it, a run that took long says so.
                assert!(stderr.contains("error: cannot write to standard output: No space"), "{stderr}");
                assert_eq!(output.status.code(), Some(1), "{stderr}");
            }
        }
    }
}

#[test]
fn an_objective_for_a_route_that_no_guest_has_is_refused() {
    let wrong = "[objectives]\n\"order-service POST /order\" = { max = \"1s\" }\n";
    let finished = virtually(&Topology::orders().with("seed = 42", wrong), &[], 1);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""));
    for words in ["\"order-service\" has no route \"POST /order\"", "did you mean \"POST /orders\"?"] {
        assert!(finished.stderr.contains(words), "{}", finished.stderr);
    }
}

/// Every CLIENT span has its SERVER span, or an error that says why nobody was reached.
#[test]
fn every_call_has_its_server_or_a_reason() {
    const UNREACHED: [&str; 3] = ["unknown_service", "invalid_request", "call_depth_exceeded"];
    let flags = [&["--fault", "payment-errors=on"][..], &requests(20)].concat();
    let (_, mut records) = Topology::orders().records(&flags);
    let cycle = format!(
        "[topology]\nname = \"cycle\"\n[ingress]\nto = \"a\"\n[limits]\ncall-depth = 3\n\
         [services.a]\nguest = {:?}\nconfig = {{ next = \"a\" }}\n",
        guest("tests/hop")
    );
    records += &Topology::new("cycle", cycle).records(&["--request", "GET /"]).1;
    let spans = support::telemetry::read(&records);
    let (mut served, mut unreached) = (0, 0);
    for client in spans.iter().filter(|span| span.kind_name() == "CLIENT") {
        let server = spans.iter().any(|span| span.kind_name() == "SERVER" && span.parent == client.id);
        let reason = client.text("error.type").is_some_and(|kind| UNREACHED.contains(&kind));
        assert!(server != reason, "{client:?}");
        served += u32::from(server);
        unreached += u32::from(reason);
    }
    assert!(served > 60 && unreached == 1, "{served} served, {unreached} not");
}
