//! `--blind`: for an exercise, nothing that a person sees names a fault.

use std::path::Path;

use crate::support::{Topology, finish, simhost};
use serde_json::Value;

use super::{BOTH, lines, summary, written};

/// Names that a leak would have in it: of the faults, and of what labels are called.
const NAMES: [&str; 3] = ["slow-index-scan", "payment-errors", "simhost.fault"];

#[track_caller]
fn assert_blind(text: &str) {
    for name in NAMES {
        assert!(!text.contains(name), "{name}: {text}");
    }
}

#[test]
fn a_blind_run_names_its_faults_in_the_truth_alone() {
    let topology = Topology::orders();
    let run = |flags: &[&str]| {
        let common = ["--virtual", "--for", "2s", "--truth", "truth.jsonl"];
        topology.run(&[&common[..], &BOTH, flags].concat())
    };
    let seeing = run(&[]);
    let truth = written(&topology);
    let blind = run(&["--blind"]);
    let report = blind.success();
    assert!(NAMES[..2].iter().all(|name| seeing.success().contains(name)));
    assert_blind(report);
    assert_blind(&blind.stderr);
    // All else is the same.
    let others: Vec<_> = seeing.stdout.lines().filter(|line| !line.starts_with("fault ")).collect();
    assert_eq!(report.lines().collect::<Vec<_>>(), others);
    assert!(written(&topology) == truth, "the truth is whole");
    assert!(summary(&lines(&truth), "payment-errors")["injected"].as_u64() > Some(10));
    let json = run(&["--blind", "--json"]);
    assert_blind(json.success());
    let json: Value = serde_json::from_str(&json.stdout).expect("a report");
    assert_eq!(json["faults"], serde_json::json!([]));
}

#[test]
fn a_blind_run_labels_no_span_and_draws_none_with_a_name() {
    let topology = Topology::orders();
    let labelled = std::fs::read_to_string(topology.path()).expect("the topology")
        + "\n[telemetry]\nlabel-faults = true\n";
    let topology = Topology::new("orders", labelled);
    let (seeing, labelled) = topology.records(&[&["--for", "1s", "--show", "traces"], &BOTH[..]].concat());
    seeing.success();
    assert!(labelled.contains("simhost.fault.name"));
    let (blind, records) =
        topology.records(&[&["--for", "1s", "--show", "traces", "--blind"], &BOTH[..]].concat());
    assert_blind(blind.success());
    assert_blind(&records);
}

#[test]
fn a_blind_check_and_a_blind_failure_name_no_fault() {
    let topology = Topology::orders();
    let check = |flags: &[&str]| finish(simhost().arg("check").arg(topology.path()).args(flags));
    assert!(check(&[]).success().contains("fault slow-index-scan"));
    assert_blind(check(&["--blind"]).success());
    let json = check(&["--blind", "--json"]);
    assert_blind(json.success());
    let document: Value = serde_json::from_str(&json.stdout).expect("a document");
    assert_eq!(document["faults"], serde_json::json!([]));
    // What is doubtful about a fault names it.
    let late = "[[faults]]\nname = \"payment-errors-late\"\nkind = \"error\"\nstatus = 503\n\
                target = { service = \"payment-service\" }\nwhen = { at = \"1h\" }\n";
    let text = std::fs::read_to_string(topology.path()).expect("the topology");
    let doubtful = Topology::new("orders", format!("{text}\n{late}"));
    let check = |flags: &[&str]| {
        let flags = [&["--virtual", "--for", "1m"], flags].concat();
        finish(simhost().arg("check").arg(doubtful.path()).args(flags))
    };
    assert!(check(&["--json"]).success().contains("payment-errors-late"));
    for flags in [&["--blind"][..], &["--blind", "--json"]] {
        let blind = check(flags);
        assert_blind(blind.success());
        assert_blind(&blind.stderr);
    }
    // Nor does a misspelt one.
    let misspelt = topology.run(&["--virtual", "--request", "GET /health", "--blind", "--fault", "nope=on"]);
    assert_eq!(misspelt.code, Some(2));
    assert_blind(&misspelt.stderr);
    let flags = [&["--virtual", "--request", "GET /health", "--strict", "--blind"], &BOTH[..]].concat();
    let strict = topology.run(&flags);
    assert_eq!(strict.code, Some(1), "{}", strict.stderr);
    assert!(strict.stderr.contains("a fault struck nothing; the truth says which"), "{}", strict.stderr);
    assert_blind(&strict.stderr);
    assert_blind(&strict.stdout);
}

#[test]
fn a_blind_refusal_names_no_fault() {
    let text = std::fs::read_to_string(Topology::orders().path()).expect("the topology");
    let fault = "\n[[faults]]\nname = \"slow-index-scan-2\"\nkind = \"latency\"\ndelay = \"9ms\"\n\
                 target = { link = \"payment-service -> order-service\" }\n\n[telemetry]\nexclude = [\"/x*\"]\n";
    let topology = Topology::new("orders", text + fault);
    let run = |flags: &[&str]| {
        topology.run(&[&["--virtual", "--request", "GET /health", "--strict"], flags].concat())
    };
    let (seeing, blind) = (run(&[]), run(&["--blind"]));
    assert!(seeing.stderr.contains("slow-index-scan-2"), "{}", seeing.stderr);
    assert_eq!((blind.code, blind.stdout.as_str()), (Some(2), ""));
    assert_blind(&blind.stderr);
    for word in ["1 warning about faults", "excludes this very path only"] {
        assert!(blind.stderr.contains(word), "{}", blind.stderr);
    }
}

/// A deployment that does not come up is a note, and names the fault that deploys it.
#[test]
fn no_note_of_a_blind_run_names_a_fault() {
    let text = "[topology]\nname = \"deploy\"\n[ingress]\nto = \"a\"\n[services.a]\nguest = \"service\"\n\
                [[faults]]\nname = \"bad-one\"\nkind = \"bad-deploy\"\nguest = \"service\"\n\
                config.work = \"nonsense\"\ntarget = { service = \"a\" }\n";
    let topology = Topology::new("deploy", text);
    let run = |flags: &[&str]| topology.run(&[&["--virtual", "--request", "GET /"], flags].concat());
    let (seeing, blind) = (run(&[]), run(&["--blind"]));
    assert!(seeing.stderr.contains("bad-one"), "{}", seeing.stderr);
    assert!(!(blind.stderr + &blind.stdout).contains("bad-one"));
}

/// An incident is called after its cause: its telemetry and a blind report go by its namespace.
#[test]
fn no_telemetry_and_no_blind_report_has_the_name_of_an_incident() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/incidents");
    let entries = std::fs::read_dir(folder).expect("the incidents");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let incidents: Vec<_> = paths.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    assert!(incidents.len() >= 12, "{incidents:?}");
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/sql").display().to_string();
    for path in &incidents {
        let text = std::fs::read_to_string(path).expect("a topology");
        let topology = Topology::new("incident", text.replace("../sql", &schemas));
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name");
        let (run, records) = topology.records(&["--for", "1s", "--show", "summary", "--blind"]);
        let shown = run.success().to_owned() + &run.stderr;
        assert!(records.contains("service.namespace"), "{name}");
        for text in [shown, records] {
            assert!(!text.contains(name), "{name}: {text}");
        }
        for command in ["check", "graph"] {
            let blind = finish(simhost().arg(command).arg(topology.path()).arg("--blind"));
            assert!(!blind.success().contains(name), "{name}: {}", blind.stdout);
        }
    }
}
