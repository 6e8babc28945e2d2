//! Faults that never strike.

use crate::check::{check, shop, warned};
use std::collections::BTreeSet;

use crate::support::{Topology, guest, refused, said, telemetry};

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
fn a_fault_within_a_span_that_no_guest_makes_is_a_warning() {
    let within = |target: &str, more: &str| {
        let fault = fault(target, more);
        fault.with("config.item = { route = \"GET /items/{id}\" }", "config.span = \"SELECT items\"")
    };
    let topology = within("service = \"stock\", span = \"SELECT item\"", "");
    warned(
        &topology,
        &[
            "the fault \"slow\" never strikes: \"stock\" makes no span \"SELECT item\"",
            "did you mean \"SELECT items\"? Known spans: \"SELECT items\"",
            "span = \"SELECT item\" }",
            "no such span",
            "1 warning",
        ],
    );
    let good = [
        within("service = \"stock\", span = \"SELECT items\"", ""),
        // What a deployment makes counts while it is on.
        within(
            "service = \"stock\", span = \"SELECT more\"",
            "[[faults]]\nname = \"release\"\nkind = \"bad-deploy\"\nguest = \"service\"\n\
             config.item = { route = \"GET /items/{id}\", span = \"SELECT more\" }\n\
             target = { service = \"stock\" }",
        ),
    ];
    for topology in good {
        let checked = check(&topology, &["--strict"]);
        assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    }
    // What a guest in a file makes is not known.
    let swap = format!("stock={}", guest("tests/probe"));
    let swapped = check(&topology, &["--guest", &swap]);
    assert!(!swapped.stderr.contains("makes no span"), "{}", swapped.stderr);
}

#[test]
fn faults_may_name_every_span_that_the_guests_of_the_orders_make() {
    let (finished, records) = Topology::orders().records(&["--for", "5s"]);
    finished.success();
    let spans = telemetry::read(&records).into_iter().filter(|span| span.scope == "simhost.guest");
    let spans: BTreeSet<_> = spans.map(|span| (span.service, span.name)).collect();
    assert!(spans.len() >= 8, "{spans:?}");
    let faults = spans.iter().enumerate().map(|(number, (service, span))| {
        format!(
            "[[faults]]\nname = \"slow-{number}\"\nkind = \"latency\"\ndelay = \"1ms\"\n\
             target = {{ service = \"{service}\", span = \"{span}\" }}\n"
        )
    });
    let faults = faults.collect::<String>();
    let text = std::fs::read_to_string(Topology::orders().path()).expect("a topology");
    let checked = check(&Topology::new("orders", format!("{text}\n{faults}")), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "{spans:?}");
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
    let swap = format!("stock={}", guest("tests/probe"));
    let checked = check(&topology, &["--guest", &swap]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    said(&checked, &["\"stock\" has no route \"GET /items/{id}\"", "warnings"]);
    // Another guest may be half done: it may have the route tomorrow.
    let on = check(&topology, &["--guest", &swap, "--fault", "slow=on"]);
    assert_eq!(on.code, Some(0), "{}", on.stderr);
    said(&on, &["\"stock\" has no route \"GET /items/{id}\"", "warnings"]);
    let on = topology.run(&[
        "--virtual",
        "--guest",
        &swap,
        "--fault",
        "slow=on",
        "--request",
        "GET /products/7",
        "--strict",
    ]);
    refused(&on, &["\"stock\" has no route"]);
}

/// A deployment at `service` that is off.
fn deployment(service: &str, more: &str) -> String {
    format!(
        "[[faults]]\nname = \"release\"\nkind = \"bad-deploy\"\nguest = \"service\"\nenabled = false\n\
         {more}\ntarget = {{ service = \"{service}\" }}\n"
    )
}

#[test]
fn a_deployment_that_is_off_gives_warnings_only() {
    let calls = deployment("stock", "config.item = { route = \"GET /items/{id}\", calls = \"nobody/x\" }");
    let topology = shop("stock/items/{id}", &calls);
    warned(&topology, &["\"stock\" calls \"nobody\", which is no service", "1 warning"]);
    refused(&check(&topology, &["--fault", "release=on"]), &["\"stock\" calls \"nobody\"", "1 problem"]);
    let missing = deployment("stock", "").replace("guest = \"service\"", "guest = \"gone.wasm\"");
    let topology = shop("stock/items/{id}", &missing);
    warned(&topology, &["gone.wasm cannot be read: there is no such file", "1 warning"]);
    refused(
        &check(&topology, &["--fault", "release=on"]),
        &["gone.wasm cannot be read: there is no such file"],
    );
}

#[test]
fn the_routes_and_calls_of_a_deployment_that_is_off_do_not_count() {
    let route = deployment("stock", "config.more = { route = \"GET /more\" }");
    let topology = shop("stock/more", &route);
    refused(&check(&topology, &[]), &["calls \"GET /more\" of \"stock\", which has no such route"]);
    let on = check(&topology, &["--fault", "release=on", "--strict"]);
    assert_eq!((on.code, on.stderr.as_str()), (Some(0), ""));
    let back = deployment("stock", "config.item.calls = \"shop/products/{id}\"");
    let topology = shop("stock/items/{id}", &back);
    let checked = check(&topology, &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
    let on = check(&topology, &["--fault", "release=on"]);
    said(&on, &["a cycle of calls"]);
}

#[test]
fn what_a_deployment_takes_over_from_its_service_is_reported_once() {
    let topology = shop("stok/items/{id}", &deployment("shop", "config.show.work = \"1ms\""));
    for flags in [&[][..], &["--fault", "release=on"]] {
        refused(&check(&topology, flags), &["\"shop\" calls \"stok\"", "1 problem"]);
    }
}

#[test]
fn a_fault_of_several_targets_is_wrong_where_none_of_them_is_right() {
    let several = |one: &str, other: &str, more: &str| {
        fault(
            &format!("one-of = [{{ service = \"stock\", {one} }}, {{ service = \"stock\", {other} }}]"),
            more,
        )
    };
    let (get, post) = ("route = \"GET /items/{id}\"", "route = \"POST /items\"");
    let topology = several(get, post, "match = { method = \"GET\" }");
    let words = [
        "where it is drawn for \"stock\", the fault \"slow\" never strikes: its match wants a method that \"POST /items\"",
        "1 warning",
    ];
    warned(&topology, &words);
    let topology = several(get, post, "match = { method = \"DELETE\" }");
    refused(&check(&topology, &[]), &["the fault \"slow\" never strikes", "2 problems"]);
    let topology = several(get, post, "match = { \"param.id\" = \"7\" }");
    warned(&topology, &["\"POST /items\" does not have the parameter \"id\"", "1 warning"]);
    let topology = several("from = \"shop\"", "from = \"stock\"", "");
    warned(&topology, &["where it is drawn for \"stock\"", "\"stock\" does not call \"stock\"", "1 warning"]);
}

#[test]
fn whether_a_fault_can_reach_its_targets_does_not_depend_on_the_seed() {
    let more = "enabled = false\n\n[services.bank]\nurl = \"http://127.0.0.1:9\"\n";
    let targets = "one-of = [{ service = \"stock\", replica = 0 }, { service = \"bank\" }]";
    let topology = fault(targets, more);
    for seed in 1..=8 {
        let on = check(&topology, &["--fault", "slow=on", "--strict", "--seed", &seed.to_string()]);
        assert_eq!((on.code, on.stderr.as_str()), (Some(0), ""), "a delay on the way to it needs no guest");
    }
    let topology = fault(&targets.replace("\"bank\"", "\"bank\", replica = 0"), more);
    for seed in 1..=8 {
        let on = check(&topology, &["--fault", "slow=on", "--seed", &seed.to_string()]);
        refused(&on, &["cannot reach into a real server", "give \"bank\" a guest"]);
    }
}

#[test]
fn a_run_that_listens_does_not_end_with_its_loads() {
    let load = "[[load]]\nname = \"users\"\nto = \"shop\"\nrequest = { path = \"/products/7\" }\n\
                arrivals = { constant = \"10/s\" }\nfor = \"1s\"\n";
    let topology = fault("service = \"stock\"", &format!("when = {{ at = \"30s\" }}\n\n{load}"));
    let checked = check(&topology, &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""), "people may come after the load");
    said(&check(&topology, &["--virtual"]), &["its window opens at 30s, and the run ends at 1s"]);
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
