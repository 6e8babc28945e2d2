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
    /// It is called by those that were struck, or consumes their messages, directly or not.
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

/// The requests of one service over a whole run, its messages and its jobs.
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
    /// Messages that it consumes; only of a service that does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<MessageNumbers>,
    /// Runs of its jobs; only of a service with schedules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runs: Option<RunNumbers>,
}

/// The messages of one service over a whole run, in all of its groups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct MessageNumbers {
    /// That its replicas got, each as often as they did.
    pub delivered: u64,
    pub done: u64,
    /// Given up: rejected, or failed too often.
    pub given_up: u64,
    /// From when they were published until they were done.
    pub age_mean_ms: f64,
    pub age_p95_ms: f64,
}

/// The runs of the jobs of one service over a whole run of simhost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct RunNumbers {
    /// Runs that ended, and of those the ones that failed.
    pub ended: u64,
    pub failed: u64,
    /// Left out, as the one before went on.
    pub skipped: u64,
    /// From their beginning to their end.
    pub mean_ms: f64,
    pub p95_ms: f64,
}
