//! The callee's side of a call: what becomes of a request that has arrived.
//!
//! Start at [`Bus::serve`](super::Bus::serve).

mod deadlock;
pub mod node;
mod refusal;
mod release;
pub mod replica;
pub mod routes;
mod serve;
mod server_span;

pub use deadlock::Deadlocks;
pub(super) use serve::Job;
