//! The command line: what it takes, what it refuses and how, what it prints.

use std::io::Read;
use std::process::{Command, Stdio};

use crate::support;
use crate::support::{Finished, ORDER, Topology, guest, simhost};
use assert_cmd::assert::Assert;
use predicates::prelude::{PredicateBooleanExt as _, predicate};
use predicates::str::contains;
use serde_json::Value;

/// `simhost` with arguments, to be asserted about.
fn cli(arguments: &[&str]) -> Assert {
    assert_cmd(simhost().args(arguments))
}

/// What `simhost run` of the orders topology does.
fn run(arguments: &[&str]) -> Assert {
    assert_cmd(&mut Topology::orders().command(arguments))
}

fn assert_cmd(command: &mut Command) -> Assert {
    command.output().map(Assert::new).expect("the program starts")
}

/// Refused: exit code 2, nothing on standard output, and these words.
#[track_caller]
fn refused(assert: Assert, words: &[&str]) {
    let mut assert = assert.code(2).stdout("");
    for words in words {
        assert = assert.stderr(contains(*words));
    }
    assert.stderr(predicate::str::contains("panicked").not());
}

#[test]
fn every_flag_says_what_it_does() {
    for command in ["run", "check", "diff"] {
        let help = cli(&[command, "-h"]).success().get_output().stdout.clone();
        let help = String::from_utf8(help).expect("text");
        let mut lines = help.lines().map(str::trim).peekable();
        let mut flags = 0;
        while let Some(line) = lines.next() {
            if !line.starts_with("--") && !line.starts_with("-h") {
                continue;
            }
            flags += 1;
            let below = lines.peek().is_some_and(|next| !next.is_empty() && !next.starts_with('-'));
            assert!(line.contains("  ") || below, "{command} explains {line}");
        }
        assert!(flags >= 8, "{help}");
    }
}

#[test]
fn without_arguments_it_says_what_there_is() {
    cli(&[]).code(2).stderr(contains("Usage: simhost [OPTIONS] <COMMAND>").and(contains("run  ")));
    cli(&["--version"]).success().stdout(predicate::str::starts_with("simhost "));
    refused(cli(&["rum"]), &["'run'"]);
}

#[test]
fn check_shows_what_it_would_run() {
    let expected = "\
orders: good to run

order-service: orders (built in), version 1.4.2, 64 workers
  GET /health
  POST /orders
    calls GET inventory-service/stock/{item},
      POST inventory-service/stock/{item}/reserve, POST payment-service/charges,
      POST notification-service/notify?

inventory-service: inventory (built in), version 2.0.1, 64 workers
  GET /health
  GET /stock/{item}
  POST /stock/{item}/reserve

payment-service: payment (built in), version 1.1.0, 64 workers
  GET /health
  POST /charges

notification-service: notification (built in), version 0.9.3, 64 workers
  GET /health
  POST /notify

ingress: http://127.0.0.1:8001 to order-service
load shoppers: to order-service, in virtual time only
fault slow-index-scan: off, latency of 350ms +/- 20ms at inventory-service
  POST /stock/{item}/reserve called by order-service
fault payment-errors: off, error 503 at payment-service, 20% of them
";
    let topology = Topology::orders();
    assert_cmd(simhost().arg("check").arg(topology.path())).success().stdout(expected).stderr("");
    // A file is good or not, whichever clock it would run by, and with nothing to do.
    assert_cmd(simhost().arg("check").arg(topology.path()).arg("--virtual")).success().stdout(expected);
}

/// What `simhost check` says of a topology, from the first `beginning` on.
fn checked(topology: &str, beginning: &str) -> String {
    let topology = Topology::new("shop", topology);
    let said = assert_cmd(simhost().arg("check").arg(topology.path())).success();
    let said = String::from_utf8(said.get_output().stdout.clone()).expect("text");
    // Its lines are of 80 columns.
    said[said.find(beginning).expect("it is there")..].replace("\n  ", " ")
}

#[test]
fn check_says_what_each_fault_does_in_a_line() {
    let text = r#"
[topology]
name = "shop"

[ingress]
to = "order-service"

[services.order-service]
guest = "orders"

[services.inventory-service]
guest = "inventory"

[[faults]]
name = "slow"
kind = "latency"
delay = { lognormal = { median = "350ms", sigma = 0.2 } }
target = { link = "order-service -> inventory-service", replica = 0, from-replica = 0 }
match = { method = { in = ["GET", "POST"] }, "header.x-tier" = "gold", "body./quantity" = { gt = 5 } }
probability = 0.07
fail-first = { attempts = 2 }
max-active = 5
max-total = 100
by-caller = true
when = { at = "30s", for = "2m", every = "10m", ramp = "10s" }

[[faults]]
name = "lost"
kind = "lose-spans"
target = { service = "inventory-service", route = "GET /stock/{item}", span = "slow_lookup" }
when = { between = { exponential = { mean = "10m" } }, hold = { uniform = { min = "5s", max = "15s" } } }

[[faults]]
name = "behind"
kind = "clock-skew"
by = "-250ms"
target = { service = "inventory-service" }
when = { after = "lost", delay = "5s", for = "1m" }
enabled = false

[[faults]]
name = "silence"
kind = "collector-down"
"#;
    let expected = "\
fault slow: on, latency of some 350ms at inventory-service (replica 0) called by order-service (replica 0) if \
method is one of \"GET\", \"POST\" and header.x-tier is \"gold\" and body./quantity is above 5, where the caller \
asks for it, the first 2 attempts of each call, 7% of them, at most 5 at a time, at most 100 in all, from 30s for \
2m every 10m, growing over 10s
fault lost: on, lose-spans at inventory-service GET /stock/{item} in slow_lookup, by itself: after 10m on average \
for 5s to 15s
fault behind: off, clock-skew of 250ms behind at inventory-service, 5s after lost for 1m
fault silence: on, collector-down
";
    assert_eq!(checked(text, "fault slow:"), expected);
}

#[test]
fn check_says_what_each_link_does_in_a_line() {
    let text = r#"
[topology]
name = "shop"

[ingress]
to = "order-service"

[services.order-service]
guest = "orders"

[services.inventory-service]
guest = "inventory"

[services.payment-service]
guest = "payment"

[services.notification-service]
guest = "notification"

[[links]]
from = "order-service"
to = "inventory-service"
latency = { normal = { mean = "2ms", stddev = "300us" } }
timeout = "250ms"
deadline = true

[links.retry]
attempts = 3
backoff = "25ms"
methods = ["GET", "POST"]
budget = { share = 0.1, min = "1/s" }

[links.breaker]
failures = 5

[[links]]
from = "order-service"
to = "payment-service"
hedge = { after = "50ms", on = ["5xx", "429"], methods = "all" }
bulkhead = { max-concurrent = 8, queue = 4 }
fallback = { status = 202, body = "later" }

[[links]]
from = "order-service"
to = "notification-service"
timeout = "1s"
hedge = { after = "100ms" }
breaker = { rate = 0.5 }

[[links]]
from = "order-service"
to = "bank"

[services.bank]
url = "http://127.0.0.1:9"
"#;
    let expected = "\
link order-service -> inventory-service: latency of 2ms +/- 300us each way; timeout 250ms; tells the callee its \
deadline; up to 3 attempts of GET, POST on 502 to 504, timeout, reset, refused, after 25ms times 2 each, 1s at most, \
+/- 20%, a budget of 10% of the calls of 10s and 1/s besides, heeds Retry-After; breaker: opens for 5s at 5 \
failures in a row within 10s (5xx, timeout, reset, refused), then one trial
link order-service -> payment-service: latency of some 300us each way, the network's; up to 2 requests at a time, \
another one after 50ms or on 5xx, 429; bulkhead: 8 at a time, 4 more wait; fallback: 202 for 5xx, timeout, reset, \
refused and what the caller refuses itself
link order-service -> notification-service: latency of some 300us each way, the network's; timeout 1s; up to 2 requests \
at a time of idempotent methods, another one after 100ms; breaker: opens for 5s at 50% failures of 20 attempts \
or more within 10s (5xx, timeout, reset, refused), then one trial
link order-service -> bank: as it comes
";
    assert_eq!(checked(text, "link "), expected);
}

#[test]
fn check_says_everything_that_is_wrong_at_once() {
    let topology = Topology::orders().with("name = \"orders\"", "sed = 1").with("[ingress]", "lisn = 1");
    let assert = assert_cmd(simhost().arg("check").arg(topology.path()));
    refused(
        assert,
        &["\"sed\"", "did you mean \"seed\"", "\"lisn\"", "did you mean \"listen\"", "2 problems"],
    );
    refused(
        cli(&["check", "nope.toml"]),
        &["there is no file \"nope.toml\"", "relative paths start at the current directory"],
    );
}

#[test]
fn a_file_that_is_not_there_is_told_in_words_that_fit_the_command() {
    for command in ["run", "check", "graph", "diff"] {
        let change = if command == "diff" { &["--with", "slow"][..] } else { &[] };
        let assert = cli(&[&[command, "nowhere.toml"], change].concat());
        refused(assert, &["there is no file \"nowhere.toml\"", "\nnothing was done: 1 problem\n"]);
    }
}

#[test]
fn the_flags_of_a_command_come_before_those_that_all_have() {
    let help = cli(&["run", "--help"]).success().get_output().stdout.clone();
    let help = String::from_utf8(help).expect("text");
    let at = |word: &str| help.find(word).unwrap_or_else(|| panic!("{word} is in {help}"));
    let order =
        ["\nOptions:", "--virtual", "--json", "\nWhich traces:", "\nGlobal options:", "--color"].map(at);
    assert!(order.is_sorted(), "{help}");
}

#[test]
fn a_name_that_the_topology_does_not_have_gets_a_hint() {
    let swap = format!("inventry-service={}", guest("payment"));
    let assert = run(&["--guest", &swap, "--fault", "slow-index-scn=on"]);
    let words = [
        "--guest names the service \"inventry-service\"",
        "did you mean \"inventory-service\"?",
        "--fault names the fault \"slow-index-scn\"",
        "did you mean \"slow-index-scan\"?",
        "2 problems",
    ];
    refused(assert, &words);
}

#[test]
fn a_guest_that_is_none_is_refused_by_its_flag() {
    let core = format!("payment-service={}", guest("tests/core-module"));
    refused(run(&["--guest", &core]), &["--guest payment-service", "not a component", "wasm32-wasip2"]);
    let none = run(&["--guest", "payment-service=nowhere.wasm"]);
    refused(none, &["nowhere.wasm cannot be read", "begin at the current directory"]);
    let near = run(&["--guest", "payment-service=paymnt"]);
    refused(near, &["paymnt cannot be read", "the built-in guest \"payment\"?"]);
    let other = format!("inventory-service={}", guest("payment"));
    let on = ["--guest", &other, "--fault", "slow-index-scan=on", "--strict"];
    refused(run(&on), &["has no route \"POST /stock/{item}/reserve\"", "POST /charges"]);
}

#[test]
fn a_guest_that_is_built_in_runs_by_its_name_in_place_of_another() {
    let swap = ["--virtual", "--guest", "payment-service=noop", "--request", ORDER];
    let run = Topology::orders().run(&swap);
    assert!(run.success().starts_with("POST /orders answered 502"), "{}", run.stdout);
    let checked = support::finish(simhost().arg("check").arg(Topology::orders().path()).args(&swap[1..3]));
    assert!(checked.success().contains("payment-service: noop (built in)"), "{}", checked.stdout);
}

#[test]
fn values_of_flags_are_refused_with_what_would_do() {
    let cases: [(&str, &str, &[&str]); 12] = [
        ("--guest", "payment-service", &["SERVICE=GUEST"]),
        ("--guest", "=file", &["SERVICE=GUEST"]),
        ("--fault", "payment-errors", &["NAME=on or NAME=off"]),
        ("--fault", "payment-errors=maybe", &["NAME=on or NAME=off"]),
        ("--seed", "x", &["'x'", "--seed <N>", "a whole number from 0 to 18446744073709551615"]),
        ("--seed", "-1", &["'-1'"]),
        ("--listen", "8001", &["\"8001\" is not an address to listen at", "127.0.0.1:8080"]),
        ("--listen", "localhost:80", &["127.0.0.1:80"]),
        ("--for", "10", &["\"10\" has no unit", "write \"10s\""]),
        ("--request", "GET", &["METHOD /path [body]"]),
        ("--request", "get /", &["\"get\" is not a method"]),
        ("--request", "GET health", &["\"health\" is not a path", "starts with /"]),
    ];
    for (flag, value, words) in cases {
        refused(run(&[flag, value]), words);
    }
    refused(run(&["--lissen", "127.0.0.1:0"]), &["--listen"]);
    refused(
        run(&["--virtual", "--load", "shoppers=off"]),
        &["has nothing to do", "--load shoppers=on", "--request"],
    );
    // What the ingress's service answers, and none of another topology's.
    let service = |route: &str, ingress: &str| {
        let text = format!(
            "[topology]\nname = \"shop\"\n{ingress}[services.shop]\nguest = \"service\"\n\
             config.show = {{ route = \"{route}\" }}\n"
        );
        assert_cmd(&mut Topology::new("shop", text).command(&["--virtual"]))
    };
    let ingress = "[ingress]\nto = \"shop\"\n";
    refused(service("GET /carts/{id}", ingress), &["nothing to do", "--request 'GET /carts/1'"]);
    refused(service("PUT /carts/{id}", ingress), &["nothing to do", "--request 'PUT /carts/1'"]);
    let without = service("GET /carts/{id}", "").get_output().stderr.clone();
    let without = String::from_utf8(without).expect("text");
    assert!(without.contains("[[load]]") && !without.contains("--request"), "{without}");
    refused(run(&["--load", "shopers=off"]), &["\"shopers\"", "did you mean \"shoppers\"?"]);
    refused(run(&["--otlp", "localhost"]), &["--otlp is not a URL: `localhost`", "write http://localhost"]);
}

#[test]
fn a_variable_of_opentelemetry_that_is_wrong_is_named() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER]);
    command.env("OTEL_TRACES_SAMPLER", "sometimes").env("OTEL_BSP_MAX_QUEUE_SIZE", "many");
    let words =
        ["OTEL_TRACES_SAMPLER is `sometimes`", "traceidratio", "OTEL_BSP_MAX_QUEUE_SIZE", "2 problems"];
    refused(assert_cmd(&mut command), &words);
}

#[test]
fn a_topology_and_an_environment_that_are_both_wrong_are_refused_together() {
    let topology = Topology::orders().with("[topology]", "sed = 1");
    let mut command = topology.command(&["--virtual", "--request", ORDER]);
    command.env("OTEL_TRACES_SAMPLER", "sometimes");
    refused(assert_cmd(&mut command), &["unknown key \"sed\"", "OTEL_TRACES_SAMPLER", "2 problems"]);
}

#[test]
fn flags_for_listening_do_not_go_with_requests() {
    let topology = Topology::orders();
    for flags in [["--for", "3s"], ["--listen", "127.0.0.1:0"]] {
        let mut command = topology.command(&["--virtual", "--request", ORDER, flags[0], flags[1]]);
        refused(assert_cmd(&mut command), &["cannot be used with", flags[0], "--request"]);
    }
}

#[test]
fn who_names_a_receiver_that_is_not_there_is_told_before_the_report() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER, "--otlp", "http://127.0.0.1:1"]);
    command.env("OTEL_BSP_EXPORT_TIMEOUT", "1500");
    let told = contains("warning: otlp http://127.0.0.1:1 has trouble, and tries again");
    let lost = contains("error: otlp http://127.0.0.1:1: 17 of 17 records were lost: 17 spans, out of time");
    assert_cmd(&mut command).code(1).stderr(told.and(lost));
}

#[test]
fn a_sampler_that_keeps_nothing_leaves_no_spans() {
    let topology = Topology::orders();
    for (sampler, argument, spans) in
        [("always_off", "", 0), ("traceidratio", "0.0", 0), ("always_on", "", 17)]
    {
        let mut command = topology.command(&["--request", ORDER]);
        command.env("OTEL_TRACES_SAMPLER", sampler).env("OTEL_TRACES_SAMPLER_ARG", argument);
        let (run, records) = topology.records_of(&mut command);
        run.success();
        assert_eq!(records.matches("\"spanId\"").count(), spans, "{sampler}");
    }
}

#[test]
fn a_variable_without_effect_is_noted() {
    let topology = Topology::orders();
    let mut command = topology.command(&["--virtual", "--request", ORDER]);
    command.env("OTEL_SERVICE_NAME", "mine");
    assert_cmd(&mut command).success().stderr(contains("note: OTEL_SERVICE_NAME has no effect"));
}

#[test]
fn what_is_shown_is_a_matter_of_show() {
    let topology = Topology::orders();
    let show = |show| topology.run(&["--virtual", "--request", ORDER, "--show", show]).success().to_owned();
    assert_eq!(show("none"), "");
    let (summary, traces) = (show("summary"), show("traces"));
    assert!(summary.starts_with("POST /orders answered 201 in 47.1ms\n{\"order_id\":"), "{summary}");
    assert!(!summary.contains("process_order"));
    let nowhere = "\n17 spans recorded, not exported: use --show traces, --out or --otlp\n";
    assert!(summary.contains(nowhere), "{summary}");
    assert!(traces.contains("process_order"));
    let (_, report) =
        traces.split_once("\n\norders: 1 request in 47.1ms of simulated time, seed 42\n").expect("a report");
    assert!(report.contains(" POST /stock/{item}/reserve  44.8ms\n"), "{report}");
    assert!(report.contains("\n17 spans recorded\nconsole: 17 spans exported\ndigest: "), "{report}");
}

#[test]
fn records_can_go_to_standard_output() {
    let topology = Topology::orders();
    let Finished { stdout, stderr, .. } = topology.run(&["--virtual", "--request", ORDER, "--out", "-"]);
    assert_eq!(support::telemetry::read(&stdout).len(), 17);
    assert!(stderr.contains("standard output: 17 spans exported"), "{stderr}");
}

/// Traces are for people: they do not spoil what a program reads.
#[test]
fn traces_stay_out_of_a_document_on_standard_output() {
    let topology = Topology::orders();
    let run = |flags: &[&str]| {
        let finished =
            topology.run(&[&["--virtual", "--request", ORDER, "--show", "traces"], flags].concat());
        assert!(finished.stderr.contains("process_order"), "{}", finished.stderr);
        finished.success().to_owned()
    };
    assert_eq!(serde_json::from_str::<Value>(&run(&["--json"])).expect("JSON")["topology"], "orders");
    assert_eq!(support::telemetry::read(&run(&["--out", "-"])).len(), 17);
    assert_eq!(support::telemetry::read(&run(&["--out", "-", "--json"])).len(), 17);

    let server = support::server::Server::start(&topology, &["--show", "traces", "--out", "-"]);
    assert_eq!(server.connect().order(2, &[]).status(), 201);
    let finished = server.stop();
    assert_eq!(support::telemetry::read(finished.success()).len(), 17);
    assert!(finished.stderr.contains("process_order"), "{}", finished.stderr);
}

#[test]
fn the_report_stands_apart_from_the_traces() {
    let topology = Topology::orders();
    let server = support::server::Server::start(&topology, &["--show", "traces"]);
    assert_eq!(server.connect().order(0, &[]).status(), 400);
    let stdout = server.stop().success().to_owned();
    assert!(stdout.contains("\n\norders: 1 request in "), "{stdout}");
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let topology = Topology::orders();
    let mut check = simhost();
    check.arg("check").arg(topology.path());
    let run =
        |arguments: &[&str]| topology.command(&[&["--virtual", "--request", ORDER], arguments].concat());
    let commands = [check, run(&["--show", "traces"]), run(&["--json"]), run(&["--out", "-"])];
    for mut command in commands {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
        assert_eq!(child.wait().expect("it ends").code(), Some(0), "{command:?}: {stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_that_says_so() {
    let full = || std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
    let topology = Topology::orders();
    let mut check = simhost();
    check.arg("check").arg(topology.path());
    for mut command in [check, topology.command(&["--virtual", "--request", ORDER])] {
        let output = command.stdout(full()).stderr(Stdio::piped()).output().expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.starts_with("error: cannot write to standard output: No space left"), "{stderr}");
    }
    // Nobody can be told; the exit code still can.
    let output = simhost().args(["check", "nope.toml"]).stderr(full()).status().expect("it starts");
    assert_eq!(output.code(), Some(2));
}

#[test]
fn a_file_that_cannot_be_created_is_refused_before_the_start() {
    let assert = run(&["--virtual", "--request", ORDER, "--out", "no/such/folder/records"]);
    refused(assert, &["--out no/such/folder/records", "a folder that exists"]);
}

#[test]
fn all_files_that_cannot_be_created_are_refused_at_once_and_no_other_is_emptied() {
    let topology = Topology::orders();
    let kept = topology.beside("kept.jsonl");
    std::fs::write(&kept, "kept").expect("a file");
    let refused = |flags: &[&str]| {
        let run = topology.run(&[&["--virtual", "--request", ORDER], flags].concat());
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        run.stderr
    };
    let both = refused(&["--out", "no/a", "--truth", "no/b"]);
    assert!(both.contains("--out no/a: ") && both.contains("--truth no/b: "), "{both}");
    let one = refused(&["--out", "kept.jsonl", "--truth", "no/b"]);
    assert!(one.contains("--truth no/b: ") && !one.contains("--out"), "{one}");
    assert_eq!(std::fs::read_to_string(&kept).expect("a file"), "kept");
    let other = refused(&["--out", "new.jsonl", "--truth", "no/b"]);
    assert!(other.contains("--truth no/b: "), "{other}");
    assert!(!topology.beside("new.jsonl").exists(), "nothing is left of a run that is refused");
}

#[cfg(target_os = "linux")]
#[test]
fn records_that_cannot_be_written_are_counted_and_the_run_goes_on_but_fails() {
    let topology = Topology::orders();
    let finished = topology.run(&["--virtual", "--request", ORDER, "--out", "/dev/full"]);
    let (stdout, told) = (&finished.stdout, finished.told());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(stdout.starts_with("POST /orders answered 201"), "{stdout}");
    assert!(
        stdout.contains("file /dev/full: 0 spans exported\n  lost: 17 spans, failed: cannot write"),
        "{stdout}"
    );
    assert!(stdout.contains("\ndigest: "), "{stdout}");
    let said = "error: file /dev/full: 17 of 17 records were lost: 17 spans, failed: cannot write to file \
                /dev/full: No space left";
    assert!(told.contains(said) && told.contains("--lossy accepts losses"), "{told}");
}

#[test]
fn an_answer_cannot_steer_the_terminal() {
    let text = format!(
        "[topology]\nname = \"probe\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"probe\"\n\
         [services.probe]\nguest = {:?}\n",
        guest("tests/probe")
    );
    let topology = Topology::new("probe", text);
    let finished =
        topology.run(&["--virtual", "--show", "summary", "--request", "POST /headers \u{1b}[31mred"]);
    let stdout = finished.success();
    assert!(stdout.contains("[31mred"), "{stdout}");
    assert!(!stdout.contains('\u{1b}'), "{stdout:?}");
}

// Elsewhere the system does not tell how much memory a process has.
#[cfg(target_os = "linux")]
#[test]
fn bench_measures_every_target() {
    let output = simhost().args(["bench", "--for", "1ms", "--rounds", "1", "--json"]).output();
    let rows: Value = serde_json::from_slice(&output.expect("it starts").stdout).expect("JSON");
    let rows = rows.as_array().expect("rows");
    let targets = rows.iter().filter(|row| row["target"].is_number());
    assert_eq!(targets.count(), 7, "{rows:?}");
    // A measurement that fails is not a number, which is null in JSON.
    assert!(rows.iter().all(|row| row["value"].as_f64().is_some()), "{rows:?}");
}
