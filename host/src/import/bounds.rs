//! Bounds of an import. Lines have theirs in `traces/read.rs`, the file that is written in
//! [`crate::topology::FILE_AT_MOST`].

/// Spans that are held, 80 bytes each: 160 MB. Beyond, every second trace is given up, whole.
/// Sorting and folding as many takes seconds.
pub const MAX_SPANS: usize = 2_000_000;

/// Services that are told apart, callees without spans among them.
pub const MAX_SERVICES: usize = 2_000;

/// Routes of all services that are told apart while reading.
pub const MAX_KNOWN_ROUTES: usize = 100_000;

/// Routes that are written: those with the most requests.
pub const MAX_ROUTES: usize = 4_000;

/// Routes of a service that are written: a guest has 1,000, its own `GET /health` among them.
pub const MAX_SERVICE_ROUTES: usize = 999;

/// Callees of a route that are told apart.
pub const MAX_CALLS: usize = 50;

/// Names of instances and of databases that are told apart, of each.
pub const MAX_NAMES: usize = 100_000;

/// Characters of a route's path; a longer one is cut at a segment.
pub const MAX_PATH: usize = 200;

/// Points of a distribution by percentiles.
pub const MAX_POINTS: usize = 10;

/// Repetitions of a call, one after the other and at the same time: a worker may wait for 256 calls.
pub const MAX_TIMES: f64 = 1_000.0;
pub const MAX_PARALLEL: f64 = 200.0;

/// Replicas and workers that a service may have in a topology.
pub const MAX_REPLICAS: u64 = 1_000;
pub const MAX_WORKERS: u64 = 10_000;

/// Requests of a load's mix: see `topology/load/request.rs`.
pub const MAX_MIX: usize = 1_000;
