//! The caller's side of a call: where it goes, how often it is attempted, and its CLIENT spans.
//!
//! Start at `call`: a guest's calls arrive there.

mod attempt;
mod call;
mod policies;
mod policy_spans;
mod resolve;

pub use resolve::address_of;
