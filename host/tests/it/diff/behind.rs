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
