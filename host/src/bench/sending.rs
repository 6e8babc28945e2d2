//! Spans on their way out: encoded, sent over HTTP, taken by a receiver.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::model::Protocol;
use crate::rng::{Key, Purpose};
use crate::telemetry::exporter::Exporter as _;
use crate::telemetry::otlp::{Endpoint, Endpoints, Options, Otlp};
use crate::telemetry::pipeline::{Batching, Pace};
use crate::telemetry::record::Resource;
use crate::telemetry::signal::{Batch, Signal};

use super::{BenchError, Effort, client};

/// How long the receiver may take for the last of them.
const PATIENCE: Duration = Duration::from_secs(10);

/// Seconds by the wall clock for each span, from a record to the receiver's
/// answer: the best round. Every span has to arrive.
pub fn seconds_each(effort: Effort, batch: &Batch, resources: &[Resource]) -> Result<f64, BenchError> {
    let network = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let receiver = network.block_on(network.spawn(client::receiver())).map_err(std::io::Error::other)??;
    let url = format!("http://{receiver}/v1/traces").parse().expect("an address makes a URL");
    let endpoints = Endpoints::only_for(Signal::Traces, Endpoint::new(url, Protocol::HttpProtobuf));
    let options = Options::new(Pace::Virtual, Batching::default(), Key::new(0, Purpose::Retry));
    let mut best = f64::INFINITY;
    for _ in 0..effort.rounds {
        let started = Otlp::start(&endpoints, &options, network.handle());
        let mut otlp =
            started.map_err(|_| BenchError::Child("OTLP over plain HTTP is refused".to_owned()))?;
        let account = Arc::clone(&otlp.account());
        let (watch, mut spans) = (Stopwatch::start(), 0);
        while spans == 0 || watch.elapsed() < effort.each {
            otlp.export(batch, resources);
            spans += batch.spans.len() as u64;
        }
        otlp.flush(tokio::time::Instant::now() + PATIENCE);
        let seconds = watch.elapsed().as_secs_f64();
        let arrived = account.totals().exported[Signal::Traces];
        if arrived != spans {
            return Err(BenchError::Child(format!("only {arrived} of {spans} spans arrived")));
        }
        best = best.min(seconds / spans as f64);
    }
    network.shutdown_background();
    Ok(best)
}
