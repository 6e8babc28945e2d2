//! What the host promises, held against real guests: each test guest has a
//! module of its name here. The guests are described in `guests/tests`.

#[allow(dead_code, reason = "it is for all tests of the program")]
mod support;

#[path = "guests/bad_routes.rs"]
mod bad_routes;
#[path = "guests/conventions.rs"]
mod conventions;
#[path = "guests/core_module.rs"]
mod core_module;
#[path = "guests/early.rs"]
mod early;
#[path = "guests/faults.rs"]
mod faults;
#[path = "guests/hop.rs"]
mod hop;
#[path = "guests/hostile.rs"]
mod hostile;
#[path = "guests/hostile_components.rs"]
mod hostile_components;
#[path = "guests/hostile_spins.rs"]
mod hostile_spins;
#[path = "guests/links.rs"]
mod links;
#[path = "guests/no_handler.rs"]
mod no_handler;
#[path = "guests/noop.rs"]
mod noop;
#[path = "guests/probe.rs"]
mod probe;
#[path = "guests/probe_calls.rs"]
mod probe_calls;
#[path = "guests/probe_telemetry.rs"]
mod probe_telemetry;
#[path = "guests/refusals.rs"]
mod refusals;
#[path = "guests/service.rs"]
mod service;
#[path = "guests/sulky.rs"]
mod sulky;
#[path = "guests/trouble.rs"]
mod trouble;
#[path = "guests/trouble_floods.rs"]
mod trouble_floods;
#[path = "guests/trouble_messages.rs"]
mod trouble_messages;

use std::fs;

#[test]
fn every_test_guest_has_a_module_of_its_name() {
    let modules = include_str!("guests.rs");
    let mut guests = 0;
    for entry in fs::read_dir(support::guests()).expect("folder of guests") {
        let path = entry.expect("entry").path();
        let guest = path.file_stem().expect("name").to_string_lossy().replace('-', "_");
        assert!(modules.contains(&format!("\nmod {guest};")), "{} has no tests", path.display());
        guests += 1;
    }
    assert!(guests > 0);
}
