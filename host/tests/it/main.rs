//! The integration tests: one program, so that the simulator is linked once.
//!
//! A module for each subject; `cargo test --test it shards::` runs those of one. All run in one
//! process, at the same time: no test sets a variable of the environment or changes the current
//! folder. Most start `simhost` as its users do, by [`support`], and signal it as Unix does.

#![cfg(unix)]

mod support;

mod check;
mod cli;
mod clients;
mod collector;
mod compute;
mod console;
mod context;
mod cycles;
mod databases;
mod determinism;
mod diff;
mod docs;
mod exemplars;
mod external;
mod faults;
mod generated;
mod graph;
mod guests;
mod import;
mod ingress;
mod inventory;
mod jobs;
mod labs;
mod lifecycle;
mod load;
mod look;
mod looks;
mod messages;
mod metrics;
mod metrics_file;
mod orders;
mod program;
#[cfg(target_os = "linux")]
mod progress;
mod prometheus;
mod report;
mod resilience;
mod sampling;
mod schema;
mod self_telemetry;
mod semconv;
mod shards;
mod sql;
mod surroundings;
mod systems;
mod telemetry;
mod topologies;
mod topology;
mod traces;
mod truth;
mod ui;
