//! The metrics that the core makes of its own accord, by the semantic conventions 1.44 ("HTTP metrics",
//! "Database client metrics", "Messaging client metrics", "OS process metrics") where they have them.
//! Those of brokers and caches have the names of the Collector's receivers `kafkametrics` and `redis`.
//! `docs/reference/metrics.md` describes all of them.

use std::sync::Arc;

use opentelemetry_semantic_conventions::metric;

use crate::telemetry::record::{Instrument, Text};

/// An instrument of the core, and its place in [`SPECS`]. A replica's records leave in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own {
    ServerDuration,
    ServerActive,
    ServerRequestSize,
    ServerResponseSize,
    ClientDuration,
    ClientRequestSize,
    ClientResponseSize,
    OperationDuration,
    ReturnedRows,
    ConnectionCount,
    ConnectionMax,
    ConnectionPending,
    ConnectionTimeouts,
    ConnectionCreateTime,
    ConnectionWaitTime,
    ConnectionUseTime,
    MessagingDuration,
    MessagesSent,
    ProcessDuration,
    MessagesConsumed,
    JobDuration,
    JobSkipped,
    QueueLength,
    QueueWait,
    WorkerCount,
    WorkerBusy,
    RetryCount,
    RetryWithheld,
    BreakerOpened,
    BreakerState,
    FallbackCount,
    CpuTime,
    MemoryUsage,
    Uptime,
    Restarts,
    KafkaBrokers,
    KafkaPartitions,
    KafkaCurrentOffset,
    KafkaOldestOffset,
    KafkaGroupMembers,
    KafkaGroupOffset,
    KafkaGroupLag,
    KafkaGroupLagSum,
    RedisCommands,
    RedisHits,
    RedisMisses,
    RedisEvicted,
    RedisExpired,
    RedisKeys,
    RedisMemory,
}

/// What an instrument is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A sum that only grows, of what is noted as it happens.
    Counter,
    /// A sum that only grows, which is looked at when it is collected.
    ObservedCounter,
    /// A sum that may shrink.
    UpDownCounter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(&'static [f64]),
}

/// An instrument of the core.
#[derive(Debug)]
pub struct Spec {
    pub own: Own,
    pub name: &'static str,
    /// By the Unified Code for Units of Measure.
    pub unit: &'static str,
    pub description: &'static str,
    pub kind: Kind,
}

/// Seconds: what the conventions advise for the durations of HTTP requests.
pub const DURATIONS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Seconds: what the conventions advise for the durations of operations of databases.
pub const OPERATION_DURATIONS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// What the conventions advise for the rows of a result.
pub const ROWS: &[f64] =
    &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0];

/// What an SDK takes where nobody advises otherwise, as for sizes and for a guest's histogram without bounds
/// (OpenTelemetry specification, "Metrics SDK", "Explicit Bucket Histogram Aggregation").
pub const DEFAULT_BOUNDS: &[f64] =
    &[0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0, 10000.0];

const fn spec(
    own: Own,
    name: &'static str,
    unit: &'static str,
    kind: Kind,
    description: &'static str,
) -> Spec {
    Spec { own, name, unit, description, kind }
}

/// All of them, each at the place of its [`Own`].
pub const SPECS: [Spec; 50] = [
    spec(
        Own::ServerDuration,
        metric::HTTP_SERVER_REQUEST_DURATION,
        "s",
        Kind::Histogram(DURATIONS),
        "Duration of HTTP server requests.",
    ),
    spec(
        Own::ServerActive,
        metric::HTTP_SERVER_ACTIVE_REQUESTS,
        "{request}",
        Kind::UpDownCounter,
        "Number of active HTTP server requests.",
    ),
    spec(
        Own::ServerRequestSize,
        metric::HTTP_SERVER_REQUEST_BODY_SIZE,
        "By",
        Kind::Histogram(DEFAULT_BOUNDS),
        "Size of HTTP server request bodies.",
    ),
    spec(
        Own::ServerResponseSize,
        metric::HTTP_SERVER_RESPONSE_BODY_SIZE,
        "By",
        Kind::Histogram(DEFAULT_BOUNDS),
        "Size of HTTP server response bodies.",
    ),
    spec(
        Own::ClientDuration,
        metric::HTTP_CLIENT_REQUEST_DURATION,
        "s",
        Kind::Histogram(DURATIONS),
        "Duration of HTTP client requests.",
    ),
    spec(
        Own::ClientRequestSize,
        metric::HTTP_CLIENT_REQUEST_BODY_SIZE,
        "By",
        Kind::Histogram(DEFAULT_BOUNDS),
        "Size of HTTP client request bodies.",
    ),
    spec(
        Own::ClientResponseSize,
        metric::HTTP_CLIENT_RESPONSE_BODY_SIZE,
        "By",
        Kind::Histogram(DEFAULT_BOUNDS),
        "Size of HTTP client response bodies.",
    ),
    spec(
        Own::OperationDuration,
        metric::DB_CLIENT_OPERATION_DURATION,
        "s",
        Kind::Histogram(OPERATION_DURATIONS),
        "Duration of database client operations.",
    ),
    spec(
        Own::ReturnedRows,
        metric::DB_CLIENT_RESPONSE_RETURNED_ROWS,
        "{row}",
        Kind::Histogram(ROWS),
        "The actual number of records returned by the database operation.",
    ),
    spec(
        Own::ConnectionCount,
        metric::DB_CLIENT_CONNECTION_COUNT,
        "{connection}",
        Kind::UpDownCounter,
        "The number of connections that are currently in state described by the `state` attribute.",
    ),
    spec(
        Own::ConnectionMax,
        metric::DB_CLIENT_CONNECTION_MAX,
        "{connection}",
        Kind::UpDownCounter,
        "The maximum number of open connections allowed.",
    ),
    spec(
        Own::ConnectionPending,
        metric::DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        "{request}",
        Kind::UpDownCounter,
        "The number of current pending requests for an open connection.",
    ),
    spec(
        Own::ConnectionTimeouts,
        metric::DB_CLIENT_CONNECTION_TIMEOUTS,
        "{timeout}",
        Kind::Counter,
        "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
    ),
    // The conventions advise no buckets for the times of connections: those of operations suit them.
    spec(
        Own::ConnectionCreateTime,
        metric::DB_CLIENT_CONNECTION_CREATE_TIME,
        "s",
        Kind::Histogram(OPERATION_DURATIONS),
        "The time it took to create a new connection.",
    ),
    spec(
        Own::ConnectionWaitTime,
        metric::DB_CLIENT_CONNECTION_WAIT_TIME,
        "s",
        Kind::Histogram(OPERATION_DURATIONS),
        "The time it took to obtain an open connection from the pool.",
    ),
    spec(
        Own::ConnectionUseTime,
        metric::DB_CLIENT_CONNECTION_USE_TIME,
        "s",
        Kind::Histogram(OPERATION_DURATIONS),
        "The time between borrowing a connection and returning it to the pool.",
    ),
    spec(
        Own::MessagingDuration,
        metric::MESSAGING_CLIENT_OPERATION_DURATION,
        "s",
        Kind::Histogram(DURATIONS),
        "Duration of messaging operation initiated by a producer or consumer client.",
    ),
    spec(
        Own::MessagesSent,
        metric::MESSAGING_CLIENT_SENT_MESSAGES,
        "{message}",
        Kind::Counter,
        "Number of messages producer attempted to send to the broker.",
    ),
    spec(
        Own::ProcessDuration,
        metric::MESSAGING_PROCESS_DURATION,
        "s",
        Kind::Histogram(DURATIONS),
        "Duration of processing operation.",
    ),
    spec(
        Own::MessagesConsumed,
        metric::MESSAGING_CLIENT_CONSUMED_MESSAGES,
        "{message}",
        Kind::Counter,
        "Number of messages that were delivered to the application.",
    ),
    spec(
        Own::JobDuration,
        "simhost.job.duration",
        "s",
        Kind::Histogram(OPERATION_DURATIONS),
        "Duration of runs of jobs, with the wait for a worker.",
    ),
    spec(
        Own::JobSkipped,
        "simhost.job.skipped",
        "{run}",
        Kind::Counter,
        "Number of runs of jobs that were left out, as the one before went on.",
    ),
    spec(
        Own::QueueLength,
        "simhost.queue.length",
        "{request}",
        Kind::UpDownCounter,
        "Number of requests that wait for a worker.",
    ),
    spec(
        Own::QueueWait,
        "simhost.queue.wait",
        "s",
        Kind::Histogram(DURATIONS),
        "How long requests waited for a worker, of those that had to wait.",
    ),
    spec(
        Own::WorkerCount,
        "simhost.worker.count",
        "{worker}",
        Kind::UpDownCounter,
        "Number of workers that exist.",
    ),
    spec(
        Own::WorkerBusy,
        "simhost.worker.busy",
        "{worker}",
        Kind::UpDownCounter,
        "Number of workers that have a request.",
    ),
    spec(
        Own::RetryCount,
        "simhost.retry.count",
        "{request}",
        Kind::Counter,
        "Number of requests that were sent again for one call: retries and hedges.",
    ),
    spec(
        Own::RetryWithheld,
        "simhost.retry.withheld",
        "{call}",
        Kind::Counter,
        "Number of calls for which the retry budget had no retry left.",
    ),
    spec(
        Own::BreakerOpened,
        "simhost.breaker.opened",
        "{opening}",
        Kind::Counter,
        "Number of times the circuit breaker opened.",
    ),
    spec(
        Own::BreakerState,
        "simhost.breaker.state",
        "{breaker}",
        Kind::UpDownCounter,
        "The state of the circuit breaker: 1 for the state that it is in, 0 for the others.",
    ),
    spec(
        Own::FallbackCount,
        "simhost.fallback.count",
        "{call}",
        Kind::Counter,
        "Number of calls that got the fallback.",
    ),
    spec(
        Own::CpuTime,
        metric::PROCESS_CPU_TIME,
        "s",
        Kind::ObservedCounter,
        "Total CPU seconds broken down by different CPU modes.",
    ),
    spec(
        Own::MemoryUsage,
        metric::PROCESS_MEMORY_USAGE,
        "By",
        Kind::UpDownCounter,
        "The amount of physical memory in use.",
    ),
    spec(Own::Uptime, metric::PROCESS_UPTIME, "s", Kind::Gauge, "The time the process has been running."),
    spec(
        Own::Restarts,
        "simhost.process.restarts",
        "{restart}",
        Kind::UpDownCounter,
        "Number of times the process was started again.",
    ),
    spec(
        Own::KafkaBrokers,
        "kafka.brokers",
        "{brokers}",
        Kind::UpDownCounter,
        "Number of brokers in the cluster.",
    ),
    spec(
        Own::KafkaPartitions,
        "kafka.topic.partitions",
        "{partitions}",
        Kind::UpDownCounter,
        "Number of partitions in topic.",
    ),
    spec(
        Own::KafkaCurrentOffset,
        "kafka.partition.current_offset",
        "1",
        Kind::Gauge,
        "Current offset of partition of topic.",
    ),
    spec(
        Own::KafkaOldestOffset,
        "kafka.partition.oldest_offset",
        "1",
        Kind::Gauge,
        "Oldest offset of partition of topic.",
    ),
    spec(
        Own::KafkaGroupMembers,
        "kafka.consumer_group.members",
        "{members}",
        Kind::UpDownCounter,
        "Count of members in the consumer group.",
    ),
    spec(
        Own::KafkaGroupOffset,
        "kafka.consumer_group.offset",
        "1",
        Kind::Gauge,
        "Current offset of the consumer group at partition of topic.",
    ),
    spec(
        Own::KafkaGroupLag,
        "kafka.consumer_group.lag",
        "1",
        Kind::Gauge,
        "Current approximate lag of consumer group at partition of topic.",
    ),
    spec(
        Own::KafkaGroupLagSum,
        "kafka.consumer_group.lag_sum",
        "1",
        Kind::Gauge,
        "Current approximate sum of consumer group lag across all partitions of topic.",
    ),
    spec(
        Own::RedisCommands,
        "redis.commands.processed",
        "{command}",
        Kind::ObservedCounter,
        "Total number of commands processed by the server.",
    ),
    spec(
        Own::RedisHits,
        "redis.keyspace.hits",
        "{hit}",
        Kind::ObservedCounter,
        "Number of successful lookup of keys in the main dictionary.",
    ),
    spec(
        Own::RedisMisses,
        "redis.keyspace.misses",
        "{miss}",
        Kind::ObservedCounter,
        "Number of failed lookup of keys in the main dictionary.",
    ),
    spec(
        Own::RedisEvicted,
        "redis.keys.evicted",
        "{key}",
        Kind::ObservedCounter,
        "Number of evicted keys due to maxmemory limit.",
    ),
    spec(
        Own::RedisExpired,
        "redis.keys.expired",
        "{event}",
        Kind::ObservedCounter,
        "Total number of key expiration events.",
    ),
    spec(Own::RedisKeys, "redis.db.keys", "{key}", Kind::Gauge, "Number of keyspace keys."),
    spec(
        Own::RedisMemory,
        "redis.memory.used",
        "By",
        Kind::Gauge,
        "Total number of bytes allocated by Redis using its allocator.",
    ),
];

impl Own {
    pub const fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// The bounds of a histogram; none of another.
    pub const fn bounds(self) -> &'static [f64] {
        match self.spec().kind {
            Kind::Histogram(bounds) => bounds,
            _ => &[],
        }
    }
}

/// The instruments of the core as records have them, made once for a world.
#[derive(Debug)]
pub struct Catalogue(Box<[Made]>);

/// An instrument, and the bounds of its buckets.
type Made = (Arc<Instrument>, Arc<[f64]>);

impl Default for Catalogue {
    fn default() -> Self {
        let all = SPECS.iter().map(|spec| {
            let Spec { name, unit, description, .. } = *spec;
            let [name, unit, description] = [name, unit, description].map(Text::Static);
            (Arc::new(Instrument { name, unit, description }), spec.own.bounds().into())
        });
        Self(all.collect())
    }
}

impl Catalogue {
    /// An instrument, and the bounds of its buckets.
    pub fn get(&self, own: Own) -> &Made {
        &self.0[own as usize]
    }
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Counter | Self::ObservedCounter => "counter",
            Self::UpDownCounter => "up-down counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// The table of the reference: Markdown.
pub fn reference() -> String {
    let row = |spec: &Spec| {
        let Spec { name, unit, description, kind, .. } = spec;
        format!("| `{name}` | `{unit}` | {} | {description} |\n", kind.name())
    };
    let rows: String = SPECS.iter().map(row).collect();
    format!("| metric | unit | instrument | |\n|---|---|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_instrument_stands_at_its_place() {
        for (place, spec) in SPECS.iter().enumerate() {
            assert_eq!(spec.own as usize, place, "{}", spec.name);
        }
    }
}
