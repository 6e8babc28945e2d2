//! What `simhost diff` says of topics and groups, jobs, databases and caches.

use std::path::Path;

use serde_json::Value;

use super::{diff, file, json, number, row};
use crate::support::{Topology, golden};

/// A topology that ships, with all that it names.
fn shipped(name: &str) -> Topology {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies");
    let text = std::fs::read_to_string(root.join(format!("{name}.toml"))).expect("a topology");
    let sql = root.join("sql").canonicalize().expect("a folder");
    Topology::new("behind", text.replace("../sql/", &format!("{}/", sql.display())))
}

/// The rows of this kind that are not the same on both sides.
fn changed<'a>(difference: &'a Value, kind: &str) -> Vec<&'a Value> {
    let rows = difference[kind].as_array().unwrap_or_else(|| panic!("no {kind} in {difference:#}"));
    rows.iter().filter(|row| row["before"] != row["after"]).collect()
}

#[test]
fn a_group_that_is_not_paused_lags_less_and_its_messages_are_younger() {
    let topology = shipped("faults/consumer-pause");
    let flags = ["--without", "mails-stopped", "--for", "45s", "--seed", "5"];
    golden(&file("paused_group.txt"), diff(&topology, &flags).success());
    let difference = json(&topology, &flags);
    assert_eq!(difference["differs"], true);
    // What changed most comes first.
    let first = &difference["groups"][0];
    assert_eq!((&first["of"], &first["name"]), (&"mails".into(), &"order-events".into()));
    let both = |of: &str| (number(&first["before"][of]), number(&first["after"][of]));
    let (lag, age, done) = (both("lag_max"), both("age_p99_ns"), both("done"));
    assert!(lag.0 > 300 && lag.1 < 20, "{first:#}");
    assert!(age.0 > 10_000_000_000 && age.1 < 1_000_000_000 && done.0 == done.1, "{first:#}");
    assert_eq!(row(&difference["groups"], "invoices", Some("order-events"))["of"], "invoices");
    // The same messages are published.
    assert_eq!(changed(&difference, "topics"), [&Value::Null; 0]);
    // Nobody waits for a message: traces end earlier, and no request does.
    let traces = &difference["traces"];
    assert_eq!((&traces["faster"]["count"], &traces["longer"]["count"]), (&0.into(), &0.into()));
    assert_eq!(traces["shorter"]["count"], traces["differing"]);
    let largest = &difference["largest"];
    assert_eq!(largest["before"]["duration_ns"], largest["after"]["duration_ns"]);
    let lasted = ["before", "after"].map(|side| number(&largest[side]["lasted_ns"]));
    assert_eq!(lasted[0] - lasted[1], number(&traces["shorter"]["max_ns"]));
}

#[test]
fn consumers_that_fail_give_up_more_and_have_more_dead_letters() {
    let topology = shipped("messages");
    let flags = ["--with", "no-mail", "--fault", "no-mail=off", "--for", "40s"];
    let difference = json(&topology, &flags);
    let group = row(&difference["groups"], "mailer", Some("order-events"));
    let both = |of: &str| (number(&group["before"][of]), number(&group["after"][of]));
    assert!(both("dead_letters").1 > 0 && both("dead_letters").0 == 0, "{group:#}");
    assert!(both("redelivered").1 > both("redelivered").0, "{group:#}");
    let errors = ["before", "after"].map(|side| number(&group[side]["processing"]["errors"]));
    assert!(errors[1] > errors[0], "{group:#}");
    let kinds = &group["after"]["processing"]["errors_by_type"];
    assert!(number(&kinds["retry"]) > 0, "{group:#}");
    // The dead letters are a topic too, which took none before.
    let dead = row(&difference["topics"], "order-events.failed", None);
    assert_eq!(
        (&dead["before"], number(&dead["after"]["published"])),
        (&Value::Null, both("dead_letters").1)
    );
    let text = diff(&topology, &flags).success().to_owned();
    let head = text.lines().find(|line| line.starts_with(" group ")).unwrap_or_else(|| panic!("{text}"));
    // What has no room is told; dead letters are the last to go.
    assert!(head.contains("  given up  dead letters  ") && text.contains("redelivered, failed"), "{text}");
}

#[test]
fn statements_without_an_index_scan_more_rows() {
    let topology = shipped("faults/drop-index");
    let flags = ["--with", "lost-index", "--fault", "lost-index=off", "--for", "25s"];
    let difference = json(&topology, &flags);
    let changed = changed(&difference, "statements");
    let statement = changed.first().expect("a statement");
    assert_eq!((&statement["of"], &statement["name"]), (&"inventory".into(), &"SELECT stock".into()));
    let scanned = ["before", "after"].map(|side| number(&statement[side]["rows_scanned"]));
    assert!(scanned[1] > scanned[0] + 20_000, "{statement:#}");
    assert_eq!(row(&difference["pools"], "stock", Some("inventory"))["of"], "stock");
    let text = diff(&topology, &flags).success().to_owned();
    assert!(text.contains("\n statement ") && text.contains("\n inventory SELECT stock "), "{text}");
}

#[test]
fn a_cache_that_is_emptied_misses_more() {
    let topology = shipped("faults/flush-cache");
    let flags = ["--with", "flushall", "--fault", "flushall=off", "--for", "25s"];
    let difference = json(&topology, &flags);
    let cache = row(&difference["caches"], "pages", None);
    let misses = ["before", "after"].map(|side| number(&cache[side]["misses"]));
    assert!(misses[1] > misses[0], "{cache:#}");
    let text = diff(&topology, &flags).success().to_owned();
    assert!(text.contains("\n cache ") && text.contains("\n pages "), "{text}");
}

/// A job that fails where its callee does.
const JOBS: &str = r#"
[topology]
name = "nightly"
[services.billing]
guest = "service"
config.bill = { job = "bill", work = "1ms", calls = "ledger" }
[services.ledger]
guest = "service"
config.work = "20ms"
[[schedules]]
service = "billing"
job = "bill"
every = "1s"
[[faults]]
name = "ledger-fails"
kind = "error"
status = 503
target = { service = "ledger" }
enabled = false
"#;

#[test]
fn a_job_whose_runs_fail_is_told() {
    let topology = Topology::new("nightly", JOBS);
    let flags = ["--with", "ledger-fails", "--for", "20s"];
    let difference = json(&topology, &flags);
    let job = row(&difference["jobs"], "billing", Some("bill"));
    let errors = ["before", "after"].map(|side| number(&job[side]["errors"]));
    assert!(errors[0] == 0 && errors[1] > 15, "{job:#}");
    let text = diff(&topology, &flags).success().to_owned();
    assert!(text.contains("\n job ") && text.contains("\n billing bill "), "{text}");
}

#[test]
fn without_topics_jobs_databases_and_caches_nothing_is_said_of_them() {
    let difference = json(&Topology::orders(), &["--with", "slow-index-scan", "--for", "2s"]);
    for kind in ["topics", "groups", "jobs", "statements", "pools", "caches"] {
        assert!(difference.get(kind).is_none(), "{kind}");
    }
}

/// Traces begin with runs of jobs too, and no request is made.
#[test]
fn traces_that_one_run_has_alone_are_counted_as_traces() {
    let topology = Topology::new("nightly", JOBS);
    std::fs::write(topology.beside("seldom.toml"), JOBS.replace("every = \"1s\"", "every = \"2s\""))
        .expect("a file");
    let found = diff(&topology, &["seldom.toml", "--for", "20s"]);
    let said = "\n  10 more in the run before the change alone: nothing begins them after it\n";
    assert!(found.success().contains(said) && found.stdout.contains("0 requests"), "{}", found.stdout);
}

/// Mails take longer than a trace is held after its request.
const LATE: &str = r#"
[topology]
name = "late"
[ingress]
to = "shop"
[services.shop]
guest = "service"
config.place = { route = "GET /", work = "1ms", publish = "events" }
[services.mail]
guest = "service"
config.send = { topic = "events", work = "70s" }
[limits]
request-time = "10m"
[topics.events]
[[subscriptions]]
topic = "events"
service = "mail"
[[load]]
name = "clients"
to = "shop"
request = { path = "/" }
arrivals = { constant = "6/m" }
[[faults]]
name = "slow"
kind = "latency"
delay = "100ms"
target = { service = "shop" }
enabled = false
"#;

#[test]
fn a_kind_of_span_that_ends_too_late_is_named_and_not_compared() {
    let topology = Topology::new("late", LATE);
    let flags = ["--with", "slow", "--for", "30s"];
    let difference = json(&topology, &flags);
    let mails = row(&difference["spans"], "mail", Some("process events"));
    for side in ["before", "after"] {
        assert_eq!((number(&mails[side]["count"]), number(&mails[side]["own_ns"])), (0, 0), "{mails:#}");
        assert!(number(&mails[side]["late"]) > 0, "{mails:#}");
    }
    let late = ["before", "after"].map(|side| number(&mails[side]["late"]));
    assert_eq!(number(&difference["traces"]["late_spans"]), late[0] + late[1]);
    let found = diff(&topology, &flags);
    let said = found.success().split_whitespace().collect::<Vec<_>>().join(" ");
    let named =
        "spans ended too late for their own time to be counted, among them all of a run: mail process events";
    assert!(said.contains(named), "{}", found.stdout);
    // It is none of those that are the same.
    assert!(said.contains(" 1 kind of span unchanged"), "{}", found.stdout);
}

/// Mails lead to mails, without end.
#[test]
fn a_run_that_fails_is_named_by_its_side_of_the_change() {
    let flat = LATE.replace("70s", "1h").replace("request-time = \"10m\"", "request-time = \"2h\"");
    let ring = flat.replace("work = \"1h\"", "work = \"1h\", publish = \"events\"");
    assert_ne!(flat, ring);
    let topology = Topology::new("flat", flat);
    std::fs::write(topology.beside("ring.toml"), &ring).expect("a file");
    let turned = Topology::new("ring", ring);
    std::fs::copy(topology.path(), turned.beside("flat.toml")).expect("a file");
    for (topology, other, run) in [
        (&topology, "ring.toml", "the run after the change"),
        (&turned, "flat.toml", "the run before the change"),
    ] {
        let finished = diff(topology, &[other, "--for", "30s", "--exit-code"]);
        assert_eq!((finished.code, &*finished.stdout), (Some(2), ""), "{finished:?}");
        let said = finished.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(&format!("error: {run}: 25h after the last request messages")), "{said}");
        assert!(said.contains("help: let a consumer send fewer messages than it takes"), "{said}");
    }
}
