//! What a run recorded gives a system whose report agrees, within the bounds of the guide.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Desk;
use crate::support::{finish, simhost};

/// Routes with fewer requests differ by chance alone.
const FEWEST: u64 = 1_000;

pub fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies").join(name)
}

/// The report of a run in virtual time.
pub fn report(topology: &Path, flags: &[&str], out: Option<&Path>) -> Value {
    let mut command = simhost();
    command.arg("run").arg(topology).args(["--virtual", "--json"]).args(flags);
    if let Some(out) = out {
        command.arg("--out").arg(out);
    }
    let finished = finish(&mut command);
    finished.success();
    finished.json()
}

fn routes(report: &Value) -> BTreeMap<(String, String), &Value> {
    let rows = report["routes"].as_array().expect("routes");
    let text = |row: &'_ Value, name: &str| row[name].as_str().expect("a text").to_owned();
    rows.iter().map(|row| ((text(row, "service"), text(row, "route")), row)).collect()
}

/// Who calls whom, with requests from outside.
fn edges(report: &Value) -> BTreeSet<(Option<&str>, &str)> {
    let links = report["links"].as_array().expect("links");
    links.iter().map(|link| (link["from"].as_str(), link["to"].as_str().expect("a callee"))).collect()
}

/// Compares two reports by route, for five or more of them, and who calls whom.
pub fn assert_agree(recorded: &Value, imported: &Value) {
    assert_routes_agree(recorded, imported, 5);
}

/// Compares two reports by route: p50 within 5 %, p95 within 10 %, rates within 5 %, error shares within a
/// point. At least so many routes have requests enough for that.
pub fn assert_routes_agree(recorded: &Value, imported: &Value, fewest: usize) {
    let (ours, theirs) = (routes(imported), routes(recorded));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let mut compared = 0;
    for (key, row) in theirs.iter().filter(|(_, row)| row["count"].as_u64() >= Some(FEWEST)) {
        let number = |row: &Value, name: &str| row[name].as_f64().expect("a number");
        for (name, bound) in [("p50_ns", 0.05), ("p95_ns", 0.10), ("rate", 0.05)] {
            let (ours, theirs) = (number(ours[key], name), number(row, name));
            assert!(near(ours, theirs, bound), "{key:?} {name}: {theirs} became {ours}");
        }
        let share = |row: &Value| number(row, "errors") / number(row, "count");
        assert!((share(ours[key]) - share(row)).abs() <= 0.01, "{key:?}: {row} became {}", ours[key]);
        compared += 1;
    }
    assert!(compared >= fewest, "only {compared} routes had requests enough");
    assert_eq!(edges(imported), edges(recorded));
}

/// Whether a number differs from another by no more than this share of it.
pub fn near(ours: f64, theirs: f64, bound: f64) -> bool {
    (ours - theirs).abs() <= bound * theirs
}

/// A list of a document.
pub fn rows<'a>(document: &'a Value, name: &str) -> &'a Vec<Value> {
    document[name].as_array().unwrap_or_else(|| panic!("no {name}: {document}"))
}

/// Records a topology, imports it, and gives the reports of both.
pub fn both(desk: &Desk, topology: &Path, flags: &[&str]) -> (Value, Value) {
    let traces = desk.path("traces.jsonl");
    let recorded = report(topology, flags, Some(&traces));
    let (imported, _) = desk.import(&traces);
    (recorded, report(&imported, flags, None))
}

fn agrees(topology: &str, flags: &[&str]) {
    let desk = Desk::new();
    let (recorded, imported) = both(&desk, &shipped(topology), flags);
    assert_agree(&recorded, &imported);
}

#[test]
fn what_orders_recorded_gives_a_system_whose_report_agrees() {
    agrees("orders.toml", &["--for", "3m"]);
}

#[test]
fn the_calm_minutes_of_an_incident_give_a_system_whose_report_agrees() {
    // Its fault does not begin before the third minute has ended.
    agrees("incidents/timeout-cascade.toml", &["--for", "3m"]);
}

#[test]
fn a_thousand_services_keep_every_call_that_was_recorded() {
    let desk = Desk::new();
    let traces = desk.path("traces.jsonl");
    let recorded = report(&shipped("generated/services-1000.toml"), &["--for", "5s"], Some(&traces));
    let (imported, _) = desk.import(&traces);
    let checked = finish(simhost().args(["check", "--json"]).arg(&imported)).json();
    let calls = checked["calls"].as_array().expect("calls");
    let drawn: BTreeSet<_> = calls.iter().map(|call| (call["from"].as_str(), call["to"].as_str())).collect();
    let recorded = edges(&recorded).into_iter().filter(|(from, _)| from.is_some());
    let recorded: BTreeSet<_> = recorded.map(|(from, to)| (from, Some(to))).collect();
    assert!(recorded.len() > 500, "{}", recorded.len());
    assert_eq!(drawn, recorded);
}
