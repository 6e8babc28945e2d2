//! The metrics that the core makes of its own accord, by the semantic conventions 1.44 ("HTTP metrics",
//! "Database client metrics", "Messaging client metrics", "OS process metrics") where they have them.
//! Those of brokers and caches have the names of the Collector's receivers `kafkametrics` and `redis`.
//! `docs/reference/metrics.md` describes all of them.

mod specs;

use std::sync::Arc;

use crate::telemetry::record::{Instrument, Text};

pub use specs::SPECS;

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
