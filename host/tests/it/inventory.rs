//! The inventory of the orders system, as its configuration shapes it, and the
//! guests that ship, as files.

use std::fs;

use crate::support::{ORDER, Topology, guest};
use sha2::{Digest, Sha256};

const INVENTORY: &str = "guest = \"inventory\"";

/// The first line of each answer: `POST /orders answered 201 in …`.
fn statuses(stdout: &str) -> Vec<&str> {
    let answers = stdout.lines().filter_map(|line| line.strip_prefix("POST /orders answered "));
    answers.map(|answer| answer.split(' ').next().expect("a status")).collect()
}

#[test]
fn stock_that_is_consumed_runs_out() {
    let config = "config = { stock.book = 5, consume-stock = true }";
    let topology = Topology::orders().with(INVENTORY, config);
    let run = topology.run(&["--virtual", "--request", ORDER, "--request", ORDER, "--request", ORDER]);
    assert_eq!(statuses(run.success()), ["201", "201", "409"]);
}

#[test]
fn stock_that_is_not_consumed_lasts_for_ever() {
    let topology = Topology::orders().with(INVENTORY, "config = { stock.book = 2 }");
    let run = topology.run(&["--virtual", "--request", ORDER, "--request", ORDER, "--request", ORDER]);
    assert_eq!(statuses(run.success()), ["201", "201", "201"]);
}

#[test]
fn each_worker_has_a_shelf_of_its_own() {
    let order = r#"/orders {"item":"book","quantity":2,"price":9.99}"#;
    let config = "config = { stock.book = 2, consume-stock = true }\nreplicas = 50";
    let topology = Topology::orders().with(INVENTORY, config);
    let request = format!("POST {order}");
    let run = topology.run(&["--virtual", "--request", &request, "--request", &request]);
    // Stock is checked and reserved on shelves that chance picks out of fifty: the
    // second order hardly ever meets the one that the first has emptied.
    assert_eq!(statuses(run.success()), ["201", "201"]);
}

#[test]
fn without_sleeps_only_the_links_take_time() {
    let topology = Topology::orders().with(INVENTORY, "config = { sleeps = false }");
    let topology = topology.with("seed = 42", "\n[network]\nlatency = \"300us\"");
    let run = topology.run(&["--virtual", "--request", ORDER]);
    // Four calls, there and back, 300 us each way.
    assert!(run.success().starts_with("POST /orders answered 201 in 2.4ms\n"), "{}", run.success());
}

#[test]
fn a_configuration_that_the_guest_cannot_read_is_refused_with_its_words() {
    let topology = Topology::orders().with(INVENTORY, "config = { sleeps = \"perhaps\" }");
    let run = topology.run(&["--virtual", "--request", ORDER]);
    assert_eq!(run.code, Some(2));
    assert!(run.stderr.contains("sleeps") && run.stderr.contains("perhaps"), "{}", run.stderr);
}

#[test]
fn the_guests_that_ship_are_small_and_are_what_their_sums_say() {
    const MOST: usize = 272 << 10;
    let folder = format!("{}/../guests/dist", env!("CARGO_MANIFEST_DIR"));
    let sums = fs::read_to_string(format!("{folder}/SHA256SUMS")).expect("the sums");
    for line in sums.lines() {
        let (sum, file) = line.split_once("  ").expect("a sum and a file");
        let bytes = fs::read(format!("{folder}/{file}")).expect("the file");
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, sum, "{file}");
    }
    for name in ["orders", "inventory", "payment", "notification"] {
        let size = fs::metadata(guest(name)).expect("the guest").len() as usize;
        assert!(size <= MOST, "{name} has {size} bytes, more than {MOST}");
    }
}
