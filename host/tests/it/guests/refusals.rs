//! What is wrong with a topology's guests is said before anything runs.

use crate::support::World;

#[test]
fn a_file_that_is_no_wasm_is_refused() {
    let text = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let report = World::of("noop", "").with_guest("back", text, "").refusal();
    assert!(report.contains("Cargo.toml is not a guest: it is not WebAssembly"), "{report}");
    assert!(report.contains("give the path of a built component"), "{report}");
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    let report = World::of("noop", "").and("back", "nobody", "").refusal();
    assert!(report.contains("nobody.wasm cannot be read: there is no such file"), "{report}");
    assert!(report.contains("relative paths begin at the topology's folder"), "{report}");
}

#[test]
fn every_guest_that_is_no_guest_is_named_at_once() {
    let world = World::of("sulky", "").and("b", "core-module", "").and("c", "noop", "");
    let report = world.and("d", "no-handler", "").and("e", "nobody", "").refusal();
    for said in ["no routes today", "core-module.wasm", "no-handler.wasm", "nobody.wasm"] {
        assert!(report.contains(said), "{said}: {report}");
    }
    assert!(!report.contains("noop"), "{report}");
}

#[test]
fn a_fault_at_a_route_that_the_guest_does_not_have_is_refused_with_the_nearest() {
    let fault = "[[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = \"1ms\"\n\
                 target = { service = \"front\", route = \"GET /nwo\" }";
    let report = World::of("probe", "").with(fault).refusal();
    assert!(report.contains("\"front\" has no route \"GET /nwo\""), "{report}");
    assert!(report.contains("did you mean \"GET /now\"?"), "{report}");
}
