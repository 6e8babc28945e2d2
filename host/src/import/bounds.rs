//! Bounds of an import. Lines have theirs in `traces/read.rs`, the file that is written in
//! [`crate::topology::FILE_AT_MOST`].

use crate::model::Nanos;

/// Spans that are held, 80 bytes each: 160 MB. Beyond, every second trace is given up, whole.
/// Sorting and folding as many takes seconds.
pub const MAX_SPANS: usize = 2_000_000;

/// A longer span is left out: no request may take longer than 24 h, of which its work is a part.
pub const MAX_SPAN_TIME: Nanos = 12 * 3_600 * 1_000_000_000;

/// The longest time that a request may take in a topology: see `topology/limits.rs`.
pub const MAX_REQUEST_TIME: Nanos = 24 * 3_600 * 1_000_000_000;

/// Services that are told apart, callees without spans among them.
pub const MAX_SERVICES: usize = 2_000;

/// Routes of all services that are told apart while reading.
pub const MAX_KNOWN_ROUTES: usize = 100_000;

/// Routes that are written: those with the most requests.
pub const MAX_ROUTES: usize = 4_000;

/// Routes of a service that are written: a guest has 1,000 at most, one of which is `GET /health`.
pub const MAX_SERVICE_ROUTES: usize = 999;

/// Routes of a service whose tables have names of their own. The guest compares each name with all others;
/// where there are more routes, they are numbers, which differ from their first letters on.
pub const MAX_NAMED_ROUTES: usize = 100;

/// Callees of a route that are told apart.
pub const MAX_CALLS: usize = 50;

/// Names of instances, of databases and caches, and of statements that are told apart, of each.
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

/// Statements whose text is kept: those beyond are drawn by the names of their spans.
pub const MAX_TEXTS: usize = 10_000;

/// Bytes of a statement's text; a longer one is drawn by the name of its span.
pub const MAX_STATEMENT_BYTES: usize = 8 << 10;

/// Statements of a route.
pub const MAX_STATEMENTS: usize = 20;

/// Statements of a database, those that took the most time, its tables, and columns and indexes of a table.
pub const MAX_DATABASE_STATEMENTS: usize = 500;
pub const MAX_TABLES: usize = 100;
pub const MAX_COLUMNS: usize = 100;
pub const MAX_INDEXES: usize = 8;

/// Bytes of the SQL that makes the tables: `tables` of a database takes 64 KiB.
pub const MAX_TABLES_BYTES: usize = 48 << 10;

/// Rows that a table begins with, and those of all tables of a database.
pub const MAX_ROWS: usize = 1_000;
pub const MAX_DATABASE_ROWS: usize = 20_000;

/// Databases and caches that are written, of each: those that are asked most.
pub const MAX_DATABASES: usize = 100;
pub const MAX_CACHES: usize = 100;

/// Topics that are told apart while reading, and those that are written.
pub const MAX_KNOWN_TOPICS: usize = 10_000;
pub const MAX_TOPICS: usize = 1_000;

/// Partitions of a topic, and consumer groups of a service for it.
pub const MAX_PARTITIONS: usize = 1_000;
pub const MAX_GROUPS: usize = 8;

/// Messages of a batch: see `topology/subscription.rs`.
pub const MAX_BATCH: u16 = 128;

/// Characters of what names a database, a cache or a topic.
pub const MAX_STORE_NAME: usize = 200;
pub const MAX_TOPIC_NAME: usize = 200;
