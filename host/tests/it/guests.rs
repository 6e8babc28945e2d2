//! What the host promises, held against real guests: each test guest has a
//! module of its name here. The guests are described in `guests/tests`.

mod bad_routes;
mod chores;
mod configuration;
mod contract;
mod conventions;
mod core_module;
mod early;
mod exceptions;
mod faults;
mod hop;
mod hostile;
mod hostile_components;
mod hostile_spins;
mod links;
mod mailbox;
mod no_handler;
mod noop;
mod probe;
mod probe_caches;
mod probe_calls;
mod probe_metrics;
mod probe_sql;
mod probe_telemetry;
mod refusals;
mod service;
mod service_caches;
mod service_metrics;
mod service_series;
mod service_statements;
mod sulky;
mod trouble;
mod trouble_floods;
mod trouble_messages;

use crate::support;
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
