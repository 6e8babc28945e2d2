//! The way of records from the core thread to files and receivers, with real
//! servers that misbehave in every way the specification foresees.

mod digest;
mod encode;
mod env;
mod file;
mod grpc;
mod http;
mod pipeline;
mod receiver;
mod records;
mod sending;
mod tls;
