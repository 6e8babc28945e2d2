//! Faults that never strike.

use crate::check::{check, refused, said, shop, warned};
use crate::support::{Topology, guest};

fn fault(target: &str, more: &str) -> Topology {
    let fault = format!(
        "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"9ms\"\ntarget = {{ {target} }}\n{more}\n"
    );
    shop("stock/items/{id}", &fault)
}

#[test]
fn a_fault_on_a_call_that_nobody_makes_is_a_warning() {
    let words = ["the fault \"slow\" never strikes: \"stock\" does not call \"shop\""];
    warned(&fault("link = \"stock -> shop\"", ""), &words);
    let words = ["\"shop\" does not call \"POST /items\" of \"stock\"", "\"shop\" calls \"GET /items/{id}\""];
    warned(&fault("service = \"stock\", from = \"shop\", route = \"POST /items\"", ""), &words);
    let checked =
        check(&fault("service = \"stock\", from = \"shop\", route = \"GET /items/{id}\"", ""), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_match_that_contradicts_the_route_is_an_error() {
    let topology = fault("service = \"stock\", route = \"POST /items\"", "match = { method = \"GET\" }");
    refused(
        &check(&topology, &[]),
        &["never strikes", "its match wants a method that \"POST /items\" does not have"],
    );
    let any = fault("service = \"stock\"", "match = { method = \"DELETE\" }");
    warned(
        &any,
        &[
            "its match wants a method that no route of \"stock\" has",
            "match one of \"GET\", \"POST\", \"HEAD\"",
        ],
    );
    let param = fault("service = \"stock\"", "match = { \"param.item\" = \"7\" }");
    warned(&param, &["no route of \"stock\" has the parameter \"item\""]);
    let good = fault("service = \"stock\"", "match = { method = \"HEAD\", \"param.id\" = \"7\" }");
    let checked = check(&good, &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_fault_whose_window_opens_after_the_end_is_a_warning() {
    let load = "[[load]]\nname = \"users\"\nto = \"shop\"\nrequest = { path = \"/products/7\" }\narrivals = { constant = \"10/s\" }\n";
    let topology = fault("service = \"stock\"", &format!("when = {{ at = \"30s\" }}\n\n{load}"));
    let finished = topology.run(&["--virtual", "--for", "10s"]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    said(&finished, &["never strikes: its window opens at 30s, and the run ends at 10s", "1 warning"]);
    let off = topology.run(&["--virtual", "--for", "10s", "--fault", "slow=off"]);
    assert!(!off.stderr.contains("never strikes"), "{}", off.stderr);
    let long = topology.run(&["--virtual", "--for", "40s"]);
    assert!(!long.stderr.contains("never strikes"), "{}", long.stderr);
}

#[test]
fn a_fault_that_is_off_does_not_stop_a_guest_that_was_swapped() {
    let topology = fault("service = \"stock\", route = \"GET /items/{id}\"", "enabled = false");
    let swap = format!("stock={}", guest("payment"));
    let checked = check(&topology, &["--guest", &swap]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    said(&checked, &["\"stock\" has no route \"GET /items/{id}\"", "warnings"]);
    refused(&check(&topology, &["--guest", &swap, "--fault", "slow=on"]), &["\"stock\" has no route"]);
}

#[test]
fn a_window_is_checked_against_the_length_of_the_run() {
    let load = "[[load]]\nname = \"clients\"\nto = \"shop\"\narrivals = { constant = \"5/s\" }\n\
                request = { path = \"/products/1\" }\n";
    let fault = "[[faults]]\nname = \"late\"\nkind = \"latency\"\ndelay = \"1s\"\n\
                 target = { service = \"shop\" }\nwhen = { at = \"2m\" }\n";
    let topology = shop("stock/items/{id}", &format!("{load}{fault}"));
    let checked = check(&topology, &["--virtual", "--for", "5m", "--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let checked = check(&topology, &["--virtual", "--for", "1m"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    said(&checked, &["the fault \"late\" never strikes: its window opens at"]);
    let none = check(&topology, &["--virtual", "--for", "0s"]);
    assert_eq!(none.code, Some(2));
    said(&none, &["a run of no time does nothing"]);
}
