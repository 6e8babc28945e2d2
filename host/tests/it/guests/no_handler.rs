//! A sound component that is no guest.

use crate::support::World;

#[test]
fn a_component_without_a_handler_is_refused_by_what_it_exports() {
    let report = World::of("no-handler", "").refusal();
    assert!(report.contains("no-handler.wasm is not a guest"), "{report}");
    assert!(report.contains("does not export simhost:service/handler; it exports greet"), "{report}");
    assert!(report.contains("implement the world `service` of guests/wit/service.wit"), "{report}");
}
