//! Two runs of the same seed, compared: `simhost diff`.
//!
//! `BLESS=1 cargo test --test it diff::` writes the golden files and the schema anew;
//! read the difference before committing it.

mod behind;

use std::path::{Path, PathBuf};

use crate::support;
use crate::support::schema;
use crate::support::{Finished, METRICS, ORDER, Topology, finish, golden, guest, refused};
use serde_json::Value;

/// An order that is slow, as it is large.
const LARGE: &str = r#"POST /orders {"item":"book","quantity":8,"price":1}"#;

/// `simhost diff` of the topology with `arguments`, started in its folder.
fn diff(topology: &Topology, arguments: &[&str]) -> Finished {
    let mut command = support::simhost();
    let path = topology.path();
    command.current_dir(path.parent().expect("a folder"));
    command.arg("diff").arg(path.file_name().expect("a name")).args(arguments);
    finish(&mut command)
}

fn json(topology: &Topology, arguments: &[&str]) -> Value {
    let finished = diff(topology, &[arguments, &["--json"]].concat());
    finished.success();
    finished.json()
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/diff").join(name)
}

/// The row of this service or load, and of this route or name of spans.
#[track_caller]
fn row<'a>(rows: &'a Value, of: &str, name: Option<&str>) -> &'a Value {
    let rows = rows.as_array().expect("rows");
    let found = rows.iter().find(|row| row["of"] == of && row["name"].as_str() == name);
    found.unwrap_or_else(|| panic!("{of} {name:?} is in {rows:?}"))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

#[test]
fn a_slow_service_is_found_by_what_the_fault_changes() {
    let finished = diff(&Topology::orders(), &["--with", "slow-index-scan", "--for", "4s"]);
    golden(&file("slow_index_scan.txt"), finished.success());
}

#[test]
fn of_a_fault_that_strikes_some_requests_the_others_stay_identical() {
    let topology = Topology::orders();
    let finished = diff(&topology, &["--with", "payment-errors", "--for", "4s"]);
    golden(&file("payment_errors.txt"), finished.success());
    let difference = json(&topology, &["--with", "payment-errors", "--for", "4s"]);
    let run = ["--virtual", "--for", "4s", "--fault", "payment-errors=on", "--json"];
    let report = topology.run(&run).json();
    let struck = &report["faults"][0]["injected"];
    assert!(number(struck) > 0);
    let traces = &difference["traces"];
    assert_eq!((&traces["differing"], &traces["newly_failed"]), (struck, struck));
    assert_eq!(number(&traces["identical"]), number(&traces["matched"]) - number(struck));
    assert_eq!(traces["moved"], 0);
}

#[test]
fn without_a_fault_is_the_mirror_of_with_it() {
    let topology = Topology::orders();
    let with = json(&topology, &["--with", "slow-index-scan", "--for", "2s"]);
    let on = ["--without", "slow-index-scan", "--fault", "slow-index-scan=on", "--for", "2s"];
    let without = json(&topology, &on);
    assert_eq!(
        (&with["change"], &without["change"]),
        (&"with slow-index-scan".into(), &"without slow-index-scan".into())
    );
    assert_eq!((&with["before"], &with["after"]), (&without["after"], &without["before"]));
    for rows in ["loads", "routes", "services", "links", "spans"] {
        let (with, without) = (with[rows].as_array().expect("rows"), without[rows].as_array().expect("rows"));
        assert!(!with.is_empty() && with.len() == without.len(), "{rows}");
        for mirrored in with {
            let name = mirrored["name"].as_str();
            let row =
                row(&Value::from(without.clone()), mirrored["of"].as_str().expect("a name"), name).clone();
            assert_eq!((&row["before"], &row["after"]), (&mirrored["after"], &mirrored["before"]));
        }
    }
    assert_eq!(with["traces"]["slower"], without["traces"]["faster"]);
    assert_eq!(with["largest"]["trace_id"], without["largest"]["trace_id"]);
}

#[test]
fn each_side_is_the_run_that_run_would_make() {
    let topology = Topology::orders();
    let difference = json(&topology, &["--with", "slow-index-scan", "--for", "2s", "--seed", "9"]);
    for (side, fault) in [("before", "slow-index-scan=off"), ("after", "slow-index-scan=on")] {
        let run = ["--virtual", "--for", "2s", "--seed", "9", "--fault", fault, "--json"];
        // With metrics, which are in the digest: a comparison has no environment.
        let mut command = support::simhost();
        command.env(METRICS, "").arg("run").arg(topology.path()).args(run);
        let report = finish(&mut command).json();
        let side = &difference[side];
        assert!(report["digest"].is_string());
        assert_eq!((&side["digest"], &side["requests"]), (&report["digest"], &report["requests"]));
    }
}

#[test]
fn the_same_comparison_prints_the_same_bytes() {
    let topology = Topology::orders();
    for format in [
        &["--with", "payment-errors", "--for", "2s"][..],
        &["--with", "payment-errors", "--for", "2s", "--json"],
    ] {
        assert_eq!(diff(&topology, format).success(), diff(&topology, format).success());
    }
}

/// In the orders topology nothing goes on in parallel and nobody gives up: the own
/// times of all spans are the time that the orders take.
#[test]
fn own_times_add_up_to_the_time_that_requests_take() {
    let difference = json(&Topology::orders(), &["--with", "slow-index-scan", "--for", "4s"]);
    let orders = row(&difference["routes"], "order-service", Some("POST /orders"));
    for side in ["before", "after"] {
        let spans = difference["spans"].as_array().expect("spans");
        let own: u64 = spans.iter().map(|row| number(&row[side]["own_ns"])).sum();
        let (count, mean) = (number(&orders[side]["count"]), number(&orders[side]["mean_ns"]));
        // A span of no length has one nanosecond, which may be behind its parent's end.
        assert!(own.abs_diff(count * mean) <= 3 * count, "{own} of {count} times {mean}");
        let trace = difference["largest"]["spans"].as_array().expect("spans");
        let own: u64 = trace.iter().map(|span| number(&span[side]["own_ns"])).sum();
        let duration = number(&difference["largest"][side]["duration_ns"]);
        assert!(own.abs_diff(duration) <= trace.len() as u64, "{own} of {duration}");
    }
    let slow = &difference["spans"][0];
    assert_eq!(
        (&slow["of"], &slow["name"]),
        (&"inventory-service".into(), &"POST /stock/{item}/reserve".into())
    );
}

#[test]
fn what_does_not_differ_is_said_to_be_the_same() {
    let topology = Topology::orders();
    let finished = diff(&topology, &["orders.toml", "--for", "2s", "--exit-code"]);
    golden(&file("no_difference.txt"), finished.success());
    // The same component, from a file: only the build that the Resource names is another.
    let inventory = format!("inventory-service={}", guest("inventory"));
    let finished = diff(&topology, &["--guest", &inventory, "--request", ORDER]);
    assert!(finished.success().contains("no difference.\nThe one trace is identical."), "{finished:?}");
}

#[test]
fn the_exit_code_tells_of_a_difference_when_it_is_asked_for() {
    let topology = Topology::orders();
    let with = ["--with", "slow-index-scan", "--request", ORDER];
    assert_eq!(diff(&topology, &with).code, Some(0));
    let asked = diff(&topology, &[&with[..], &["--exit-code"]].concat());
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.stdout.starts_with("With slow-index-scan: POST /orders p95 "), "{asked:?}");
}

#[test]
fn requests_of_the_command_line_are_compared_too() {
    let arguments = ["--with", "slow-index-scan", "--request", ORDER, "--request", LARGE];
    let finished = diff(&Topology::orders(), &arguments);
    golden(&file("requests.txt"), finished.success());
}

#[test]
fn another_guest_is_a_change() {
    let topology = Topology::orders();
    let payment = format!("notification-service={}", guest("payment"));
    let difference = json(&topology, &["--guest", &payment, "--for", "2s"]);
    assert_eq!(difference["change"], format!("with {} as notification-service", guest("payment")));
    assert_eq!(difference["traces"]["identical"], 0);
    let notify = row(&difference["routes"], "notification-service", Some("POST /notify"));
    assert!(number(&notify["before"]["count"]) > 0);
    assert_eq!(notify["after"], Value::Null);
    let unmatched = row(&difference["routes"], "notification-service", Some("(no route)"));
    assert_eq!(
        (&unmatched["before"], &unmatched["after"]["count"]),
        (&Value::Null, &notify["before"]["count"])
    );
}

#[test]
fn two_topologies_can_be_compared() {
    let topology = Topology::orders();
    let text = std::fs::read_to_string(topology.path()).expect("the topology");
    let slower = text.replace("seed = 42\n", "seed = 42\n\n[network]\nlatency = \"2ms\"\n");
    assert_ne!(text, slower);
    // Another name would be other requests, were they not made as the first's.
    let slower = slower.replace("name = \"orders\"", "name = \"far\"");
    std::fs::write(topology.beside("far.toml"), slower).expect("a topology");
    let finished = diff(&topology, &["far.toml", "--for", "2s"]);
    golden(&file("two_topologies.txt"), finished.success());
}

#[test]
fn requests_that_only_one_run_makes_are_counted() {
    let topology = Topology::orders();
    let text = std::fs::read_to_string(topology.path()).expect("the topology");
    for (name, rate) in [("ten.toml", "10/s"), ("twenty.toml", "20/s")] {
        let text = text.replace("poisson = \"50/s\"", &format!("constant = \"{rate}\""));
        std::fs::write(topology.beside(name), text).expect("a topology");
    }
    std::fs::copy(topology.beside("ten.toml"), topology.path()).expect("a topology");
    let difference = json(&topology, &["twenty.toml", "--for", "2s"]);
    let (before, after) =
        (number(&difference["before"]["requests"]), number(&difference["after"]["requests"]));
    assert!((19..=21).contains(&before) && (39..=41).contains(&after), "{before} and {after}");
    let traces = &difference["traces"];
    assert_eq!((number(&traces["matched"]), number(&traces["only_after"])), (before, after - before));
    // The same requests, with the same chance, at other times.
    assert_eq!((&traces["identical"], &traces["only_before"]), (&before.into(), &0.into()));
    assert!(number(&traces["moved"]) >= before - 1, "{traces}");
    let finished = diff(&topology, &["twenty.toml", "--for", "2s"]);
    assert!(
        finished.success().contains("more in the run after the change alone: nothing began them before it"),
        "{finished:?}"
    );
}

/// Users that wait longer ask less often; the requests that they do make are the same.
#[test]
fn users_who_wait_longer_ask_less_often() {
    let topology = Topology::orders();
    let text = std::fs::read_to_string(topology.path()).expect("the topology");
    let closed = text.replace("arrivals = { poisson = \"50/s\" }", "users = 5\nthink = \"200ms\"");
    assert_ne!(text, closed);
    std::fs::write(topology.path(), closed).expect("a topology");
    let difference = json(&topology, &["--with", "slow-index-scan", "--for", "4s"]);
    let (before, after) =
        (number(&difference["before"]["requests"]), number(&difference["after"]["requests"]));
    let traces = &difference["traces"];
    assert!(after < before);
    assert_eq!((&traces["matched"], &traces["only_after"]), (&after.into(), &0.into()));
    assert_eq!(number(&traces["only_before"]), before - after);
    // Every order is hit, by a delay that does not depend on when it comes.
    assert_eq!((&traces["differing"], &traces["slower"]["count"]), (&after.into(), &after.into()));
}

/// One worker, which the fault takes for five seconds.
const STALLED: &str = r#"
[topology]
name = "queue"
seed = 1

[services.a]
guest = "service"
workers = 1
config = { work = "10ms" }

[[load]]
name = "clients"
to = "a"
request = { path = "/" }
arrivals = { poisson = "50/s" }

[[faults]]
name = "stall"
kind = "pool-exhaustion"
workers = 1
target = { service = "a" }
when = { at = "5s", for = "5s" }
enabled = false
"#;

/// No span shows it: they begin when a worker has the request.
#[test]
fn a_wait_for_a_worker_is_part_of_what_a_request_takes() {
    let topology = Topology::new("queue", STALLED);
    let arguments = ["--with", "stall", "--for", "20s"];
    let difference = json(&topology, &arguments);
    let traces = &difference["traces"];
    let (matched, identical) = (number(&traces["matched"]), number(&traces["identical"]));
    assert!(identical > 200 && matched - identical > 200, "{traces}");
    assert_eq!(number(&traces["slower"]["count"]), number(&traces["differing"]));
    let (load, largest) = (&difference["loads"][0], &difference["largest"]);
    assert!(number(&traces["slower"]["max_ns"]) > 4_000_000_000, "{traces}");
    let [before, after] = [&largest["before"], &largest["after"]].map(|side| number(&side["duration_ns"]));
    assert_eq!(after - before, number(&traces["slower"]["max_ns"]));
    assert!(number(&load["after"]["max_ns"]) >= after, "{load}");
    let waited = number(&largest["after"]["waited_ns"]);
    let span = number(&largest["spans"][0]["after"]["duration_ns"]);
    assert_eq!(waited + span, after);
    // What requests take is their waits and the own times of their spans.
    for side in ["before", "after"] {
        let spans = difference["spans"].as_array().expect("spans");
        let own: u64 =
            spans.iter().filter(|row| row[side].is_object()).map(|row| number(&row[side]["own_ns"])).sum();
        let (count, mean) = (number(&load[side]["count"]), number(&load[side]["mean_ns"]));
        assert!(own.abs_diff(count * mean) <= count, "{own} of {count} times {mean}");
    }
    let wait = row(&difference["spans"], "a", Some("(wait before the first span)"));
    assert_eq!(wait, &difference["spans"][0]);
    let text = diff(&topology, &arguments);
    assert!(text.success().contains("\nwaited 0s → 4."), "{text:?}");
    assert!(!text.stdout.contains("identical to"), "{text:?}");
}

/// A load gives up, and sends no more than it may: its spans end as they would without.
#[test]
fn what_a_client_gives_up_and_never_sends_has_failed() {
    let text = STALLED
        .replace("poisson = \"50/s\" }", "poisson = \"50/s\" }\ntimeout = \"100ms\"\nmax-in-flight = 3");
    let topology = Topology::new("queue", text);
    let difference = json(&topology, &["--with", "stall", "--for", "20s"]);
    let load = &difference["loads"][0];
    let types = &load["after"]["errors_by_type"];
    assert!(number(&types["overload"]) > 50 && number(&types["timeout"]) > 10, "{types}");
    let errors = number(&load["after"]["errors"]) - number(&load["before"]["errors"]);
    let traces = &difference["traces"];
    assert_eq!(number(&traces["newly_failed"]) - number(&traces["newly_succeeded"]), errors, "{traces}");
    assert_eq!(number(&traces["matched"]), number(&load["after"]["count"]));
}

/// The caller gives up after 100 ms, the callee goes on: its time is its own.
#[test]
fn what_outlives_its_caller_is_compared_with_it() {
    let topology = Topology::orders()
        .with("guest = \"notification\"", "config = { delay = \"2s\", delay-rate = 1.0 }")
        .with("guest = \"orders\"", "config = { notify-timeout = \"100ms\" }");
    let difference = json(&topology, &["--with", "slow-index-scan", "--request", ORDER]);
    assert_eq!(difference["traces"]["late_spans"], 0);
    let notify = row(&difference["spans"], "notification-service", Some("POST /notify"));
    assert_eq!(notify["before"], notify["after"]);
    let call = difference["largest"]["spans"].as_array().expect("spans");
    let late = call.iter().find(|span| span["name"] == "POST /notify").expect("the callee's span");
    let (duration, own) = (number(&late["after"]["duration_ns"]), number(&late["after"]["own_ns"]));
    assert!(duration >= 2_000_000_000, "{late}");
    let given_up = call.iter().find(|span| span["span_id"] == late["parent_span_id"]).expect("the call");
    // It is noticed a little late.
    let waited = number(&given_up["after"]["duration_ns"]);
    assert!(
        (100_000_000..110_000_000).contains(&waited) && given_up["after"]["failed"] == true,
        "{given_up}"
    );
    assert!(own <= duration && number(&notify["after"]["own_ns"]) == own, "{late}");
}

#[test]
fn every_difference_is_as_the_schema_describes() {
    let text = simhost::diff::Difference::schema();
    let text = serde_json::to_string_pretty(&text).expect("a schema is JSON") + "\n";
    golden(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/diff.schema.json"), &text);
    let schema: Value = serde_json::from_str(&text).expect("JSON");
    let topology = Topology::orders();
    let payment = format!("notification-service={}", guest("payment"));
    let questions: [&[&str]; 3] = [
        &["--with", "payment-errors", "--for", "2s"],
        &["--guest", &payment, "--request", ORDER],
        &["orders.toml", "--request", ORDER],
    ];
    for question in questions {
        let document = json(&topology, question);
        assert_eq!(schema::problems(&schema, &document), [""; 0], "{question:?}");
        assert_eq!(document["schema"], simhost::diff::SCHEMA);
    }
}

#[test]
fn a_question_without_an_answer_is_refused() {
    let topology = Topology::orders();
    refused(&diff(&topology, &[]), &["nothing to compare", "--without FAULT"]);
    let off = diff(&topology, &["--without", "slow-index-scan", "--for", "1s"]);
    refused(&off, &["the fault is off already", "--with slow-index-scan, or --fault slow-index-scan=on"]);
    let on = ["--with", "slow-index-scan", "--fault", "slow-index-scan=on", "--for", "1s"];
    refused(&diff(&topology, &on), &["the fault is on already"]);
    let never = Topology::orders().with("name = \"slow-index-scan\"", "probability = 0.0");
    refused(&diff(&never, &["--with", "slow-index-scan", "--for", "1s"]), &["strikes nothing, on or off"]);
    let both = ["--with", "payment-errors", "--without", "payment-errors", "--for", "1s"];
    refused(&diff(&topology, &both), &["to be both on and off"]);
    refused(&diff(&topology, &["--with", "payment-errors"]), &["never ends"]);
}

#[test]
fn all_that_is_wrong_with_a_question_is_said_at_once() {
    let topology = Topology::orders();
    let arguments =
        ["--with", "slow-index-scn", "--without", "nope", "--guest", "stock=x.wasm", "--for", "1s"];
    let words = [
        "--with names the fault \"slow-index-scn\"",
        "did you mean \"slow-index-scan\"",
        "--without names the fault \"nope\"",
        "--guest names the service \"stock\"",
    ];
    refused(&diff(&topology, &arguments), &words);
    std::fs::write(topology.beside("bad.toml"), "[topology]\nnam = \"bad\"\n").expect("a file");
    let bad = diff(&topology, &["bad.toml", "--load", "nope=off", "--for", "1s"]);
    refused(&bad, &["bad.toml", "nam"]);
    refused(&diff(&topology, &["none.toml", "--for", "1s"]), &["none.toml"]);
}

#[test]
fn warnings_of_the_topologies_are_told_of_once() {
    let text = |name: &str| {
        format!(
            "[topology]\nname = \"{name}\"\n[telemetry]\nexclude = [\"/health*\"]\n[ingress]\nto = \"web\"\n\
             [services.web]\nguest = \"service\"\n[[faults]]\nname = \"slow\"\nkind = \"latency\"\n\
             delay = \"1s\"\ntarget = {{ service = \"web\" }}\nenabled = false\n"
        )
    };
    let topology = Topology::new("one", text("one"));
    let warnings = |finished: &Finished| finished.stderr.matches("excludes this very path only").count();
    let alone = diff(&topology, &["--with", "slow", "--request", "GET /"]);
    assert!(alone.success().contains("differ"), "{}", alone.stdout);
    assert_eq!(warnings(&alone), 1, "{}", alone.stderr);
    std::fs::write(topology.beside("two.toml"), text("two")).expect("a topology");
    let both = diff(&topology, &["two.toml", "--request", "GET /"]);
    both.success();
    assert_eq!(warnings(&both), 2, "{}", both.stderr);
    assert!(both.stderr.contains("one.toml:") && both.stderr.contains("two.toml:"), "{}", both.stderr);
}
