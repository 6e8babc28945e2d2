//! What `simhost check` and `simhost run` say of topologies whose parts do not fit
//! together: errors where nothing else can be meant, warnings elsewhere.

mod calls;
mod databases;
mod document;
mod faults;
mod settings;
mod shares;
mod topics;
mod traffic;

use crate::support::shipped::Shipped;
use crate::support::{Finished, Topology, finish, refused, said, simhost};

/// A shop that calls its stock, and `more` of it.
pub fn shop(calls: &str, more: &str) -> Topology {
    let text = format!(
        r#"[topology]
name = "shop"

[ingress]
listen = "127.0.0.1:0"
to = "shop"

[services.shop]
guest = "service"
config.show = {{ route = "GET /products/{{id}}", calls = "{calls}" }}

[services.stock]
guest = "service"
config.item = {{ route = "GET /items/{{id}}" }}
config.add = {{ route = "POST /items" }}

{more}"#
    );
    Topology::new("shop", text)
}

/// `simhost check` of a topology.
pub fn check(topology: &Topology, arguments: &[&str]) -> Finished {
    finish(simhost().arg("check").arg(topology.path()).args(arguments))
}

/// The topology is good to run, and these are its warnings.
#[track_caller]
pub fn warned(topology: &Topology, words: &[&str]) {
    let checked = check(topology, &[]);
    assert_eq!(checked.code, Some(0), "{}", checked.stderr);
    assert!(checked.stdout.contains("good to run"), "{}", checked.stdout);
    said(&checked, words);
    refused(&check(topology, &["--strict"]), words);
}

#[test]
fn a_good_topology_has_no_warnings() {
    let checked = check(&shop("stock/items/{id}, 10% POST stock/items?", ""), &["--strict"]);
    assert_eq!((checked.code, checked.stderr.as_str()), (Some(0), ""));
}

#[test]
fn every_topology_that_ships_is_free_of_warnings() {
    for Shipped { path, .. } in Shipped::all() {
        let checked = finish(simhost().arg("check").arg(&path).arg("--strict"));
        assert_eq!(checked.code, Some(0), "{}: {}", path.display(), checked.stderr);
        assert!(!checked.stderr.contains("warning"), "{}: {}", path.display(), checked.stderr);
    }
}

#[test]
fn warnings_have_their_place_and_do_not_keep_a_run_from_starting() {
    let topology = shop("stock/items/{id}", "[telemetry]\nexclude = [\"/health*\", \"/items/{id}\"]\n");
    let words = [
        "\"/health*\" excludes this very path only",
        "\"/items/{id}\" excludes this very path only",
        "taken literally",
        "list each one",
    ];
    warned(&topology, &words);
    let checked = check(&topology, &[]);
    said(&checked, &["⚠", "shop.toml:", "shop.toml: 2 warnings"]);
    let run = ["--virtual", "--request", "GET /products/7"];
    let finished = topology.run(&run);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    said(&finished, &["2 warnings"]);
    let strict = topology.run(&[&run[..], &["--strict"]].concat());
    refused(&strict, &["cannot run", "2 warnings"]);
}

#[test]
fn errors_and_warnings_are_reported_together() {
    let topology = shop("stock/items/{id}", "[telemetry]\nexclude = [\"/health*\"]\nexlude = []\n");
    refused(&check(&topology, &[]), &["\"exlude\"", "\"/health*\"", "cannot run: 1 problem and 1 warning"]);
}
