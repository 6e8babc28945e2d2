//! A guest that asks for the request when there is none.

use crate::support::World;

#[test]
fn a_guest_that_asks_for_the_request_before_there_is_one_is_refused_with_the_reason() {
    let report = World::of("early", "").refusal();
    assert!(report.contains("the guest of \"front\" does not give its routes"), "{report}");
    assert!(report.contains("the guest asked for the request while it served none"), "{report}");
}
