//! WebAssembly, but not a component.

use crate::support::World;

#[test]
fn a_core_module_is_refused_with_the_target_that_makes_components() {
    let report = World::of("core-module", "").refusal();
    assert!(report.contains("core-module.wasm is not a guest"), "{report}");
    assert!(report.contains("a core WebAssembly module, not a component"), "{report}");
    assert!(report.contains("wasm32-wasip2"), "{report}");
}
