//! Faults of databases, in the topologies that ship for them: which statements they strike, and how it shows.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::telemetry::{self, Span};
use crate::support::{finish, simhost};

const MS: u64 = 1_000_000;

/// The topology of a kind.
fn shipped(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/faults/{kind}.toml"))
}

/// What a run told: the lines of the truth, and its spans.
struct Told {
    lines: Vec<Value>,
    spans: Vec<Span>,
}

fn run(kind: &str) -> Told {
    let folder = tempfile::tempdir().expect("a folder");
    let [truth, out] = ["truth.jsonl", "out.jsonl"].map(|name| folder.path().join(name));
    let flags = ["--virtual", "--for", "45s", "--seed", "5", "--compute", "0"];
    let mut command = simhost();
    command.arg("run").arg(shipped(kind)).args(flags).arg("--truth").arg(&truth).arg("--out").arg(&out);
    finish(&mut command).success();
    let lines = std::fs::read_to_string(truth).expect("the truth");
    let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    Told { lines, spans: telemetry::read(&std::fs::read_to_string(out).expect("the records")) }
}

impl Told {
    fn records(&self, record: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["record"] == record).collect()
    }

    fn summary(&self) -> &Value {
        &self.lines.last().expect("a last line")["faults"][0]
    }

    /// The firings, each with the CLIENT span that shows it.
    fn strikes(&self) -> Vec<(&Value, &Span)> {
        let shown = |firing: &Value| {
            let found = self.spans.iter().find(|span| firing["span_id"] == *span.id);
            found.unwrap_or_else(|| panic!("no span of {firing}"))
        };
        self.records("firing").into_iter().map(|firing| (firing, shown(firing))).collect()
    }

    /// That windows, firings and causes name the database, whoever asks it.
    #[track_caller]
    fn assert_whole(&self) {
        let windows = self.records("window");
        let states: Vec<_> = windows.iter().map(|window| &window["state"]).collect();
        assert_eq!(states, ["opened", "closed"]);
        for window in windows {
            let target = (&window["target"]["service"], &window["target"]["database"]);
            assert_eq!(target, (&Value::Null, &Value::from("inventory")), "{window}");
        }
        for (firing, span) in self.strikes() {
            let told = ["database", "service"].map(|key| &firing[key]);
            assert_eq!(told, ["inventory", "stock"], "{firing}");
            assert_eq!(firing["span_kind"], span.kind_name().to_lowercase(), "{firing}");
            assert_eq!(firing["trace_id"], *span.trace);
            assert!(firing["route"].as_str().is_some_and(|route| route.contains(" /")), "{firing}");
        }
        let summary = self.summary();
        assert_eq!(summary["injected"], self.records("firing").len());
        assert!(summary["causes"]["changed"].as_u64() > Some(10), "{summary}");
        assert_eq!(summary["causes"]["services"][0]["role"], "struck");
    }
}

#[test]
fn a_lost_index_strikes_the_statements_that_scan_the_table_for_it() {
    let told = run("drop-index");
    told.assert_whole();
    let named = |span: &&Span| span.name == "SELECT stock";
    let scans = told.spans.iter().filter(named).filter(|span| span.end - span.start > 50 * MS).count();
    assert!(scans > 200 && told.strikes().len() == scans, "{scans}");
    assert!(told.strikes().iter().all(|(_, span)| span.end - span.start > 50 * MS));
    assert_eq!(told.summary()["causes"]["errors_caused"], 0);
}

#[test]
fn a_locked_table_strikes_those_who_wait_for_it_and_no_one_twice() {
    let told = run("lock-table");
    told.assert_whole();
    let strikes = told.strikes();
    let mut ids: Vec<&str> = strikes.iter().map(|(_, span)| span.id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() == strikes.len() && ids.len() > 20, "{} of {}", ids.len(), strikes.len());
    let late =
        strikes.iter().filter(|(_, span)| span.attributes.get("error.type").is_some_and(|e| *e == "55P03"));
    assert!(late.count() > 10);
    // Who finds no connection meanwhile has waited for those who wait for the lock.
    let waited = told.spans.iter().filter(|span| span.name == "get connection inventory");
    let waited: Vec<_> = waited.collect();
    assert!(!waited.is_empty());
    for span in waited {
        let took = span.end - span.start;
        assert!(span.kind_name() == "INTERNAL" && (3_000 * MS..3_010 * MS).contains(&took), "{took}");
        assert_eq!(span.attributes["error.type"], "timeout");
        assert_eq!(span.attributes["db.client.connection.pool.name"], "inventory");
    }
}

#[test]
fn a_slow_disk_says_by_how_much_each_statement_and_each_commit_took_longer() {
    let told = run("slow-disk");
    told.assert_whole();
    let mut names: Vec<&str> = told.strikes().iter().map(|(_, span)| span.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names, ["COMMIT", "UPDATE stock"]);
    for (firing, span) in told.strikes() {
        let delay = firing["drawn"]["delay_ms"].as_f64().expect("a delay");
        let took = (span.end - span.start) as f64 / MS as f64;
        assert!(delay > 0.0 && delay < took, "{firing} {span:?}");
        // A commit takes forty times as long, at most.
        assert!(span.name != "COMMIT" || delay <= took * 39.0 / 40.0, "{firing}");
    }
}

#[test]
fn connections_that_others_have_are_refused_and_a_span_says_so() {
    let told = run("too-many-connections");
    told.assert_whole();
    for (firing, span) in told.strikes() {
        assert_eq!((span.name.as_str(), span.kind_name()), ("CONNECT inventory", "CLIENT"));
        for (key, expected) in [
            ("error.type", "53300"),
            ("db.response.status_code", "53300"),
            ("db.operation.name", "CONNECT"),
            ("db.system.name", "postgresql"),
            ("server.address", "inventory"),
        ] {
            assert_eq!(span.attributes[key], *expected, "{firing}");
        }
    }
    let causes = &told.summary()["causes"];
    assert_eq!(causes["errors_caused"], told.strikes().len());
}

#[test]
fn connections_that_are_not_given_back_make_requests_wait_for_the_rest() {
    let told = run("hold-connections");
    told.assert_whole();
    let (waited, given_up): (Vec<_>, Vec<_>) =
        told.strikes().into_iter().partition(|(_, span)| span.name == "SELECT stock");
    assert!(waited.len() > 50 && given_up.len() > 10, "{} and {}", waited.len(), given_up.len());
    // What comes late is the connection: statements are as quick as ever.
    assert!(waited.iter().all(|(_, span)| (60 * MS..70 * MS).contains(&(span.end - span.start))));
    for (firing, span) in &given_up {
        assert_eq!((span.name.as_str(), span.kind_name()), ("get connection inventory", "INTERNAL"));
        assert!((500 * MS..510 * MS).contains(&(span.end - span.start)), "{firing}");
    }
    assert_eq!(told.summary()["causes"]["errors_caused"], given_up.len());
}

#[test]
fn a_failover_breaks_what_is_under_way_and_refuses_what_comes_until_it_is_over() {
    let told = run("failover");
    told.assert_whole();
    let codes = |name: &str| -> Vec<String> {
        let strikes = told.strikes();
        let of_name =
            strikes.iter().filter(|(_, span)| (span.name == "CONNECT inventory") == (name == "CONNECT"));
        let code = |span: &Span| span.attributes["error.type"].as_str().expect("a code").to_owned();
        let mut codes: Vec<_> = of_name.map(|(_, span)| code(span)).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    };
    assert_eq!(codes("CONNECT"), ["57P03"]);
    assert_eq!(codes("others"), ["57P01"]);
    let last = told
        .strikes()
        .iter()
        .map(|(firing, _)| firing["at"].as_f64())
        .max_by(|a, b| a.partial_cmp(b).expect("numbers"));
    assert!(last.flatten() < Some(30.0), "{last:?}");
}

#[test]
fn a_fault_of_a_database_that_is_off_leaves_no_trace() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(shipped("failover")).expect("a topology");
    let folder_of =
        |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../").join(name).display().to_string();
    let text =
        text.replace("../../guests", &folder_of("guests")).replace("../sql", &folder_of("topologies/sql"));
    let (before, rest) = text.split_once("[[faults]]").expect("a fault");
    let without = format!("{before}{}", &rest[rest.find("[[load]]").expect("a load")..]);
    let digest = |name: &str, text: &str, flags: &[&str]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a topology");
        let mut command = simhost();
        let finished = finish(command.arg("run").arg(&path).args(["--virtual", "--for", "10s"]).args(flags));
        let said = finished.success().to_owned();
        said.lines().find_map(|line| line.strip_prefix("digest: ").map(str::to_owned)).expect("a digest")
    };
    let off = digest("off.toml", &text, &["--fault", "primary-lost=off"]);
    assert_eq!(off, digest("without.toml", &without, &[]));
}

#[test]
fn the_report_says_which_statements_scanned_waited_and_failed() {
    let report = |kind: &str| -> Value {
        let mut command = simhost();
        let flags = ["--virtual", "--for", "40s", "--seed", "5", "--compute", "0", "--json"];
        let finished = finish(command.arg("run").arg(shipped(kind)).args(flags));
        serde_json::from_str(finished.success()).expect("JSON")
    };
    let index = report("drop-index");
    let database = &index["databases"][0];
    assert_eq!(database["database"], "inventory");
    let statement = &database["statements"][0];
    assert_eq!((&statement["statement"], &statement["errors"]), (&"SELECT stock".into(), &0.into()));
    // Each of those that the fault struck has read all rows.
    let struck = index["faults"][0]["injected"].as_u64().expect("a number");
    assert_eq!(statement["rows_scanned"], struck * 20_000);
    assert_eq!(statement["count"], index["requests"]);
    let lock = report("lock-table");
    let rows = lock["databases"][0]["statements"].as_array().expect("rows");
    let names: Vec<_> = rows.iter().map(|row| row["statement"].as_str().expect("a name")).collect();
    assert_eq!(names, ["BEGIN", "UPDATE stock", "COMMIT", "ROLLBACK"]);
    let update = &rows[1];
    assert!(update["lock_waits"].as_u64() > Some(20), "{update}");
    assert!(update["errors_by_type"]["55P03"].as_u64() > Some(10), "{update}");
    let pool = &lock["databases"][0]["pools"][0];
    let timeouts = pool["timeouts"].as_u64().expect("a number");
    let begun = rows[0]["count"].as_u64().expect("a number");
    assert_eq!((&pool["service"], &pool["asked"]), (&"stock".into(), &(begun + timeouts).into()));
    assert!(timeouts > 0 && pool["waited"].as_u64() > Some(timeouts), "{pool}");
    let taken = report("too-many-connections");
    let refused = &taken["databases"][0]["pools"][0]["refused"];
    assert_eq!(refused, &taken["faults"][0]["injected"]);
    // Two worlds have asked twice, and their counts are put together.
    let mut command = simhost();
    let flags = ["--virtual", "--for", "10s", "--seed", "5", "--shards", "2", "--json"];
    let finished = finish(command.arg("run").arg(shipped("drop-index")).args(flags));
    let both: Value = serde_json::from_str(finished.success()).expect("JSON");
    assert_eq!(both["databases"][0]["statements"][0]["count"], both["requests"]);
    assert_eq!(both["databases"].as_array().map(Vec::len), Some(1));
}
