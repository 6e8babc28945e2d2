//! A guest that traps when it is asked for its routes.

use crate::support::World;

#[test]
fn a_guest_that_does_not_give_its_routes_is_refused_with_its_last_words() {
    let report = World::of("sulky", "").refusal();
    assert!(report.contains("the guest of \"front\" does not give its routes"), "{report}");
    assert!(report.contains("topology.toml:9"), "{report}");
    assert!(report.contains("it printed: no routes today"), "{report}");
}
