//! What happened, as spans and log records, on its way out.
//!
//! The core thread fills [`record`]s and hands them over in batches ([`pipeline`]); another
//! thread encodes them ([`encode`]) and gives them to every [`exporter`]: [`otlp`],
//! [`file`](mod@file), [`log_lines`], [`console`], [`memory`]; in virtual time it takes the run's
//! [`digest`] too. Traces
//! and logs are two [`signal`]s, which all of these treat alike. What the environment says
//! about all that is read by [`env`](mod@env). Nothing here ever makes a guest wait.

pub mod choice;
pub mod console;
pub mod digest;
pub mod encode;
pub mod env;
pub mod exporter;
pub mod file;
mod lines;
pub mod log_lines;
pub mod memory;
pub mod merge;
pub mod otlp;
pub mod outage;
pub mod pipeline;
mod queue;
pub mod record;
pub mod recorder;
pub mod recycle;
pub mod sampler;
pub mod signal;
pub mod threaded;
mod weight;
