//! A sound component that is no guest.

use crate::support::World;

#[test]
fn a_component_that_is_asked_for_nothing_is_refused_by_what_it_exports() {
    let report = World::of("no-handler", "").refusal();
    assert!(report.contains("no-handler.wasm is not a guest"), "{report}");
    assert!(
        report.contains("exports neither simhost:service/handler nor simhost:service/job nor simhost:service/consumer; it exports greet"),
        "{report}"
    );
    assert!(
        report.contains(
            "implement one of the worlds `service`, `jobs` and `consumers` of guests/wit/service.wit"
        ),
        "{report}"
    );
}
