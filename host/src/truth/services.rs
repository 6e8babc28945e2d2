//! What a fault does to each service, by the numbers of the run with it and without it.

use schemars::JsonSchema;
use serde::Serialize;

/// Where a service stands to a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It struck here.
    Struck,
    /// Requests here had a struck one below them.
    Upstream,
    /// It is called by those that were struck, directly or not.
    Downstream,
    /// None of these: it shares callers, callees or queues with them.
    Beside,
}

/// A service whose numbers are others without the fault.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ServiceChange {
    pub service: String,
    pub role: Role,
    pub with: ServiceNumbers,
    pub without: ServiceNumbers,
}

/// The requests of one service over a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct ServiceNumbers {
    /// Requests that came to an end there.
    pub requests: u64,
    /// Of those, the ones that it answered 5xx, or not at all.
    pub errors: u64,
    /// From their arrival to their answer.
    pub mean_ms: f64,
    pub p95_ms: f64,
    /// Requests that had to wait for a worker.
    pub waited: u64,
    /// The most that waited at one replica.
    pub queue_max: u32,
}
