//! What the host promises, held against real guests: each test guest has a
//! module of its name here. The guests are described in `guests/tests`.

mod support;

#[path = "guests/bad_routes.rs"]
mod bad_routes;
#[path = "guests/core_module.rs"]
mod core_module;
#[path = "guests/faults.rs"]
mod faults;
#[path = "guests/hop.rs"]
mod hop;
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
#[path = "guests/sulky.rs"]
mod sulky;
