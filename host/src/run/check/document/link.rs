//! Links and their policies, as a program reads them.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::link;
use crate::model::{Failures, Link, Methods, Model, Policies, Trip};
use crate::topology::show_distribution;

/// What lies between two services. A policy that the link does not have is null.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct LinkRow {
    pub from: String,
    pub to: String,
    /// One way, as `350ms +/- 20ms`; null: the network's.
    pub latency: Option<String>,
    /// Of each attempt.
    pub timeout_ns: Option<u64>,
    /// Whether the callee is told how long its caller will wait.
    pub deadline: bool,
    pub retry: Option<RetryRow>,
    pub breaker: Option<BreakerRow>,
    pub hedge: Option<HedgeRow>,
    pub bulkhead: Option<BulkheadRow>,
    pub fallback: Option<FallbackRow>,
}

/// Attempts after one that failed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RetryRow {
    /// The first one included.
    pub attempts: u32,
    pub backoff_ns: u64,
    pub factor: f64,
    pub max_backoff_ns: u64,
    pub jitter: f64,
    /// `502 to 504`, `timeout`, `reset`, `refused`.
    pub on: Vec<String>,
    /// Null: every method.
    pub methods: Option<Vec<String>>,
    /// Whether `Retry-After` is honoured.
    pub retry_after: bool,
    pub budget: Option<BudgetRow>,
}

/// How many retries a caller may make.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BudgetRow {
    pub share: f64,
    pub min_per_second: f64,
    pub window_ns: u64,
}

/// When a caller stops calling.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BreakerRow {
    /// In a row; null where a share opens it.
    pub failures: Option<u32>,
    /// The share of attempts that opens it, once there were `min_requests`.
    pub rate: Option<f64>,
    pub min_requests: Option<u32>,
    pub window_ns: u64,
    pub open_for_ns: u64,
    pub half_open: u32,
    pub on: Vec<String>,
}

/// A second request where the first has no answer yet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HedgeRow {
    pub after_ns: u64,
    /// The first one included.
    pub attempts: u32,
    pub on: Vec<String>,
    pub methods: Option<Vec<String>>,
}

/// How many attempts may be under way at a time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BulkheadRow {
    pub max_concurrent: u32,
    pub queue: u32,
}

/// What the caller gets in place of a failure.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FallbackRow {
    pub status: u16,
    pub on: Vec<String>,
}

impl LinkRow {
    pub fn of(link: &Link, model: &Model) -> Self {
        // A new policy is sorted here: as a row of its own.
        let Policies { retry, breaker, hedge, bulkhead, fallback, deadline } =
            link.policies.clone().unwrap_or_default();
        Self {
            from: model.service(link.from).name.clone(),
            to: model.service(link.to).name.clone(),
            latency: link.latency.as_ref().map(show_distribution),
            timeout_ns: link.timeout,
            deadline,
            retry: retry.map(|retry| RetryRow {
                attempts: retry.attempts,
                backoff_ns: retry.backoff,
                factor: retry.factor,
                max_backoff_ns: retry.max_backoff,
                jitter: retry.jitter,
                on: on(&retry.on),
                methods: methods(&retry.methods),
                retry_after: retry.retry_after,
                budget: retry.budget.map(|budget| BudgetRow {
                    share: budget.share,
                    min_per_second: budget.min,
                    window_ns: budget.window,
                }),
            }),
            breaker: breaker.map(|breaker| {
                let (failures, rate, min_requests) = match breaker.trip {
                    Trip::InARow(failures) => (Some(failures), None, None),
                    Trip::Share { rate, least } => (None, Some(rate), Some(least)),
                };
                BreakerRow {
                    failures,
                    rate,
                    min_requests,
                    window_ns: breaker.window,
                    open_for_ns: breaker.open_for,
                    half_open: breaker.half_open,
                    on: on(&breaker.on),
                }
            }),
            hedge: hedge.map(|hedge| HedgeRow {
                after_ns: hedge.after,
                attempts: hedge.attempts,
                on: on(&hedge.on),
                methods: methods(&hedge.methods),
            }),
            bulkhead: bulkhead.map(|bulkhead| BulkheadRow {
                max_concurrent: bulkhead.max_concurrent,
                queue: bulkhead.queue,
            }),
            fallback: fallback.map(|fallback| FallbackRow { status: fallback.status, on: on(&fallback.on) }),
        }
    }
}

fn on(failures: &Failures) -> Vec<String> {
    link::failures(failures)
}

fn methods(methods: &Methods) -> Option<Vec<String>> {
    match methods {
        Methods::Idempotent => Some(Methods::IDEMPOTENT.map(str::to_owned).to_vec()),
        Methods::All => None,
        Methods::These(methods) => Some(methods.clone()),
    }
}
