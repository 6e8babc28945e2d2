//! The way of records from the core thread to files and receivers, with real
//! servers that misbehave in every way the specification foresees.

mod digest;
mod encode;
mod env;
mod file;
mod grpc;
mod http;
mod log_lines;
mod losses;
mod message;
mod metrics;
mod outputs;
mod patience;
mod pipeline;
pub mod receiver;
mod records;
mod sending;
mod surroundings;
mod tls;
