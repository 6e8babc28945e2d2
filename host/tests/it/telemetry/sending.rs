//! An exporter under test.

use std::time::Duration;

use reqwest::Url;
use simhost::model::Protocol;
use simhost::rng::{Key, Purpose};
use simhost::telemetry::exporter::{Exporter, Totals};
use simhost::telemetry::otlp::retry::RetryPolicy;
use simhost::telemetry::otlp::{Endpoint, Endpoints, Options, Otlp};
use simhost::telemetry::pipeline::{Batching, Pace};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::telemetry::records;
use simhost::telemetry::signal::{Batch, Count, Signal};

/// Longer than any test takes: what waits for it hangs.
pub const LONG: Duration = Duration::from_secs(60);

pub fn grpc(url: &str) -> Endpoint {
    Endpoint { timeout: LONG, ..Endpoint::new(Url::parse(url).unwrap(), Protocol::Grpc) }
}

pub fn http(url: &str) -> Endpoint {
    Endpoint { timeout: LONG, ..Endpoint::new(Url::parse(url).unwrap(), Protocol::HttpProtobuf) }
}

/// One request at a time, so that answers meet the requests they are meant for,
/// and retries at once.
pub fn options() -> Options {
    let key = Key::new(42, Purpose::Retry);
    let quick = Duration::from_millis(1);
    let retry = RetryPolicy { initial: quick, max: quick, multiplier: 1.0, jitter: 0.0, max_elapsed: LONG };
    Options { concurrency: 1, retry, ..Options::new(Pace::Real, Batching::default(), key) }
}

pub fn traces_only(endpoint: Endpoint) -> Endpoints {
    Endpoints::only_for(Signal::Traces, endpoint)
}

pub fn traces_and_logs(traces: Endpoint, logs: Endpoint) -> Endpoints {
    let mut endpoints = traces_only(traces);
    endpoints[Signal::Logs] = Some(logs);
    endpoints
}

pub fn all_signals(endpoint: &Endpoint) -> Endpoints {
    Endpoints::from_fn(|_| Some(endpoint.clone()))
}

pub fn start(endpoints: &Endpoints, options: &Options) -> Otlp {
    Otlp::start(endpoints, options, &Handle::current()).unwrap()
}

/// Exports the batches, flushes, and gives the account.
pub fn export(endpoints: &Endpoints, options: &Options, batches: &[Batch]) -> Totals {
    let mut exporter = start(endpoints, options);
    for batch in batches {
        exporter.export(batch, &records::resources());
    }
    flush(&mut exporter, LONG)
}

pub fn flush(exporter: &mut Otlp, timeout: Duration) -> Totals {
    tokio::task::block_in_place(|| exporter.flush(Instant::now() + timeout));
    exporter.account().totals()
}

pub fn spans(spans: usize) -> Count {
    Count::of(Signal::Traces, spans)
}

/// That many spans were exported at once and nothing happened to them.
pub fn unharmed(totals: &Totals, count: Count) {
    let (name, must_be_whole, takes) = (totals.name.clone(), totals.must_be_whole, totals.takes);
    assert_eq!(*totals, Totals { name, must_be_whole, takes, exported: count, ..Totals::default() });
}
