//! simhost: a flight simulator for microservices.
//!
//! One process loads every service of a topology as a WebAssembly guest,
//! carries their calls over a bus that propagates trace context and records
//! client and server spans, injects faults, and exports OTLP.
//!
//! Start reading at [`run`], which wires one run together; then follow a
//! request: [`ingress`] or [`load`] → [`bus`] → [`guest`]. The ground they stand on:
//! [`sched`] and [`clock`] (time), [`rng`] (chance), [`telemetry`] (spans).
//!
//! Imports point one way: `main → cli → {diff, lab} → run → {ingress, report} → load → bus →
//! {guest, fault, link} → telemetry → {context, model, clock, rng}`;
//! [`topology`] knows only [`model`] and [`error`], and how [`clock`] shows a time. A guest's outgoing call
//! goes up at run time, through a trait that [`guest`] declares and [`bus`]
//! implements.

pub mod bench;
pub mod bus;
pub mod cache;
pub mod cli;
pub mod clock;
pub mod context;
pub mod control;
pub mod database;
pub mod diff;
pub mod engine;
pub mod error;
pub mod external;
pub mod fault;
pub mod files;
pub mod generate;
pub mod graph;
pub mod guest;
pub mod import;
pub mod ingress;
pub mod jobs;
pub mod lab;
pub mod link;
pub mod load;
pub mod look;
pub mod message;
pub mod metrics;
pub mod metrics_file;
pub mod model;
pub mod process;
pub mod progress;
pub mod prometheus;
pub mod report;
pub mod rng;
pub mod run;
pub mod sched;
pub mod self_telemetry;
pub mod socket;
pub mod tally;
pub mod telemetry;
pub mod topic;
pub mod topology;
pub mod traces;
pub mod truth;
pub mod wasi;
