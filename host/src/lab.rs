//! `simhost lab`: exercises that check themselves, over seeds.
//!
//! - `catalogue` has the labs, whose `manifest` is `lab.toml`; `files` and `state` are the student's folder;
//! - `judge` runs a submission over seeds, each run a `cell`, and asks every check; `told` is how far it has
//!   come. What it finds is a `finding`: `find` of reports, whose numbers `measure` names; `shape` of spans,
//!   `path` of one trace;
//!   `answers` of what the student has found out, beside what is `right`, `naming` in whose words, `unknown`
//!   names in them; `contract` of a guest. `frozen` may not be changed, `salt` is hidden seeds and names;
//! - `score` gives the points, `verdict` is the result, `text` says it to a person, `formats` to programs;
//!   `witness` finds the trace that shows a failure, `changes` what a solution changes;
//! - `grade` checks many `submissions`, `develop` is for the authors of labs.

mod answers;
pub mod catalogue;
pub mod cell;
pub mod changes;
mod contract;
pub mod develop;
pub mod files;
mod find;
mod finding;
pub mod formats;
mod frozen;
pub mod grade;
pub mod judge;
pub mod manifest;
mod measure;
mod naming;
mod path;
pub mod prose;
mod right;
pub mod salt;
pub mod score;
mod shape;
pub mod state;
pub mod submissions;
pub mod text;
pub mod told;
mod unknown;
pub mod verdict;
pub mod witness;

pub use judge::Bench;
pub use verdict::Verdict;
