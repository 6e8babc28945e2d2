//! What a change of a topology changes: nothing, if nothing comes of it; else
//! the traces that it touches.

use std::collections::BTreeMap;

use crate::determinism::left::{Left, assert_same};
use crate::determinism::shop::{END, SERVICES, command, run, shop, usual};
use crate::support::Topology;

/// Faults that would strike, were they on or had they any chance.
const STRIKING: &str = r#"
[[faults]]
name = "broken-shop"
kind = "error"
status = 500
target = { service = "shop" }
"#;
const DELAYING: &str = r#"
[[faults]]
name = "slow-stock"
kind = "latency"
delay = "30ms +/- 9ms"
target = { service = "stock", route = "GET /items/{id}", from = "shop" }
"#;

const LOAD: &str = r#"
[[load]]
name = "more"
to = "stock"
request = { path = "/items/1" }
arrivals = { poisson = "100/s" }
"#;

const IDLE: &str = r#"
[services.idle]
guest = "service"
replicas = 3
config = { work = "5ms", calls = "stock/items/1" }
"#;

/// Objectives are judged when all is over.
const OBJECTIVES: &str = r#"
[objectives]
shop = { p99 = "10s", errors = "100%" }
"stock GET /items/{id}" = { max = "1h" }
"#;

/// Runs the shop with `more` below the line `line`, and with further flags.
fn changed(line: &str, more: &str, flags: &[&str]) -> Left {
    Left::by(command(&shop(false).with(line, more)).args(flags))
}

#[test]
fn a_fault_that_is_off_or_has_no_chance_changes_no_byte() {
    for fault in [STRIKING, DELAYING] {
        for state in ["enabled = false", "probability = 0", "probability = 0.0\nenabled = true"] {
            assert_same(state, usual(), &changed(END, &format!("{fault}{state}\n"), &[]));
        }
        let name = fault.split('"').nth(1).expect("a name");
        assert_same("switched off", usual(), &changed(END, fault, &["--fault", &format!("{name}=off")]));
        let on = changed(END, &format!("{fault}enabled = false"), &["--fault", &format!("{name}=on")]);
        assert_ne!(usual().digest(), on.digest(), "{name} does something when it is on");
    }
}

#[test]
fn a_load_that_is_off_changes_no_byte() {
    assert_same("a load is off", usual(), &changed(END, LOAD, &["--load", "more=off"]));
    let on = changed(END, &format!("{LOAD}real-time = false"), &[]);
    assert_ne!(usual().digest(), on.digest(), "the load does something when it is on");
}

#[test]
fn a_service_that_nobody_calls_changes_no_byte() {
    for line in [SERVICES, END] {
        assert_same("an idle service", usual(), &changed(line, IDLE, &[]));
    }
    let settings = "[[links]]\nfrom = \"idle\"\nto = \"stock\"\nlatency = \"9ms\"\ntimeout = \"1ms\"\n\
                    [[faults]]\nname = \"idle\"\nkind = \"error\"\nstatus = 500\n\
                    target = { service = \"stock\", from = \"idle\" }\n";
    let left = changed(END, &format!("{IDLE}{settings}"), &[]);
    // A fault that is on has its row, though it met nothing.
    let row = left.fault("idle");
    assert_eq!((&row["matched"], &row["injected"]), (&0.into(), &0.into()), "{row}");
    let faults = "/faults";
    assert_same("links of an idle service", &usual().clone().without(faults), &left.without(faults));
}

#[test]
fn an_objective_changes_nothing_but_what_is_judged() {
    let left = changed(END, OBJECTIVES, &[]);
    assert_eq!(left.json()["objectives"].as_array().map(Vec::len), Some(3));
    let judged = "/objectives";
    assert_same("objectives", &usual().clone().without(judged), &left.without(judged));
}

#[test]
fn how_a_topology_is_written_changes_no_byte() {
    let spaced = changed(SERVICES, "\n   # A comment.\n\n", &["--seed", "7"]);
    assert_same("comments, and the seed that the file has", usual(), &spaced);
}

/// The traces of two runs, by what became of them.
#[derive(Debug, Default)]
struct Compared {
    same: usize,
    other: Vec<String>,
}

fn compare(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Compared {
    assert!(before.keys().eq(after.keys()), "the same traces, by their ids");
    let mut compared = Compared::default();
    for (id, trace) in before {
        if after[id] == *trace {
            compared.same += 1;
        } else {
            compared.other.push(id.clone());
        }
    }
    compared
}

/// With workers for all, no request waits for another, so one that is struck is
/// nobody else's business.
#[test]
fn a_fault_changes_those_traces_that_it_strikes_and_no_other() {
    let before = run(&shop(true)).traces();
    // A status that nothing else here answers with.
    let struck = format!("{}probability = 0.1\n", STRIKING.replace("500", "599"));
    let after = run(&shop(true).with(END, &struck)).traces();
    let Compared { same, other } = compare(&before, &after);
    let marked: Vec<_> = after.iter().filter(|(_, trace)| trace.contains("\"599\"")).collect();
    assert!(marked.iter().map(|(id, _)| *id).eq(&other), "{} struck, {} changed", marked.len(), other.len());
    assert!(other.len() > 20 && same > 200, "{} changed, {same} the same", other.len());
}

/// A delay leaves no mark; the report says how often it struck. Each trace has
/// one request to the shop.
#[test]
fn a_delay_changes_as_many_traces_as_it_strikes() {
    let before = run(&shop(true)).traces();
    let delay = DELAYING.replace("\"stock\", route = \"GET /items/{id}\", from", "\"prices\", from");
    let left = run(&shop(true).with(END, &format!("{delay}probability = 0.1\n")));
    let Compared { same, other } = compare(&before, &left.traces());
    assert_eq!(left.fault("slow-stock")["injected"], other.len());
    assert!(other.len() > 20 && same > 200, "{} changed, {same} the same", other.len());
}

/// Chance is named by where a request stands, so what another load does, or a
/// service that is slower, moves none of it.
#[test]
fn another_load_changes_no_trace_of_the_first_ones() {
    let before = run(&shop(true)).traces();
    let after = run(&shop(true).with(END, LOAD)).traces();
    let kept = before.iter().filter(|(id, trace)| after.get(*id) == Some(trace)).count();
    assert_eq!(kept, before.len());
    assert!(after.len() > before.len() + 300, "the other load has run");
}

/// With few workers, requests of one load wait for those of another; ids and
/// chance are theirs nevertheless.
#[test]
fn requests_that_wait_longer_are_the_same_requests() {
    let crowded = changed(END, LOAD, &[]).traces();
    let alone = usual().traces();
    assert!(alone.keys().all(|id| crowded.contains_key(id)), "each request has its trace id");
    let waited = alone.iter().filter(|(id, trace)| crowded[*id] != **trace).count();
    assert!(waited > 100, "{waited} of {} were moved", alone.len());
}

/// The guests of the orders system are real code with memory.
#[test]
fn a_fault_of_the_orders_changes_those_traces_that_it_strikes_and_no_other() {
    let orders = |fault: &str| {
        let flags = ["--virtual", "--for", "4s", "--seed", "7", "--fault", fault];
        Left::of(&Topology::orders().path(), &flags)
    };
    let before = orders("payment-errors=off").traces();
    for fault in ["payment-errors", "slow-index-scan"] {
        let left = orders(&format!("{fault}=on"));
        let Compared { other, .. } = compare(&before, &left.traces());
        assert_eq!(left.fault(fault)["injected"], other.len(), "{fault}");
        assert!(!other.is_empty(), "{fault}");
    }
}
