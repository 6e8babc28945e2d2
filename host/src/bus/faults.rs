//! What the bus makes of active faults, beside `crate::fault`, which decides whom they strike.
//!
//! Each file adds to [`CalleeSide`](super::callee::CalleeSide) what only faults need. What is wrong with
//! one replica is kept in [`replica_faults`](super::replica_faults), which the callee's side asks.

mod messages;
mod network;
mod serve_mortal;
mod span_delay;
mod statement;
mod windows;
