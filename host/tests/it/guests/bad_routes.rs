//! A guest with routes that no host can serve.

use crate::support::World;

#[test]
fn every_bad_route_is_reported_at_once_and_the_good_one_is_not() {
    let report = World::of("bad-routes", "").refusal();
    for route in ["POST orders", "/x/{", "GET /twice", "/items/{b}", "get it /method", "/{*rest}/after"] {
        assert!(report.contains(route), "{route}: {report}");
    }
    assert!(!report.contains("/health"), "{report}");
    assert!(report.contains("correct the guest's routes") && report.contains("topology.toml:9"), "{report}");
}
