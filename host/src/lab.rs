//! `simhost lab`: exercises that check themselves, over seeds.
//!
//! - `catalogue` has the labs, whose `manifest` is `lab.toml`; `files` and `state` are the student's folder;
//! - `judge` runs a submission over seeds, each run a `cell`, and asks every check: `find` answers by numbers
//!   of reports, which `measure` names; `frozen` may not be changed, `salt` is hidden seeds and names;
//! - `verdict` is the result, `text` says it to a person, `witness` finds the trace that shows a failure.

pub mod catalogue;
pub mod cell;
pub mod files;
mod find;
mod frozen;
pub mod judge;
pub mod manifest;
mod measure;
pub mod salt;
pub mod state;
pub mod text;
pub mod verdict;
pub mod witness;

pub use judge::Bench;
pub use verdict::Verdict;
