//! The simulator's own telemetry: what the process `simhost` does, in wall time, as any application with the
//! OpenTelemetry SDK would report it.
//!
//! It is about the program and never about the simulated services. It goes to the receiver of the run's
//! records, by a way of its own: it is in no file, in no digest and in no account of the run. It is off
//! unless somebody asks for it.

mod cores;
mod identity;
mod instruments;
mod losses;
mod phase;
mod transport;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits,
};
use tokio::runtime::Handle;

use crate::clock::Stopwatch;
use crate::error::Problem;
use crate::telemetry::env::Settings;
use crate::telemetry::signal::Signal;

pub use cores::{Core, Ratio};
pub use instruments::Sources;
pub use losses::Unsent;
use losses::{CountingExporter, Losses};
pub use phase::{Past, Phase, Phases};

/// The end of a run waits for the receiver of its own telemetry this long at most.
pub const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// Metrics are exported this often. `OTEL_METRIC_EXPORT_INTERVAL` is about the simulated services.
const EXPORTED_EVERY: Duration = Duration::from_secs(5);

/// Spans that are held back to travel with others leave after this time.
const SPANS_LEAVE_AFTER: Duration = Duration::from_secs(1);

/// Spans that wait to be exported, and those of one request: the defaults of the specification.
const SPANS_WAITING: usize = 2_048;
const SPANS_OF_A_REQUEST: usize = 512;

/// The instrumentation scope of its spans and metrics.
const SCOPE: &str = "simhost";

/// The SDK at work, from the start of a run to its end.
#[derive(Debug)]
pub struct SelfTelemetry {
    tracers: SdkTracerProvider,
    meters: SdkMeterProvider,
    losses: Arc<Losses>,
    /// The span of the whole run; none once it has ended.
    run: Option<Phase>,
}

impl SelfTelemetry {
    /// Begins the span of a run, with what has happened of it before as `past`. Exporters run on `network`,
    /// which must have threads of its own and outlive this.
    ///
    /// # Errors
    /// A certificate, a key or a URL of the receiver that cannot be used.
    pub fn start(
        settings: &Settings,
        past: Vec<Past>,
        attributes: Vec<KeyValue>,
        network: &Handle,
    ) -> Result<Self, Problem> {
        let endpoint = |signal| settings.otlp.as_ref().and_then(|endpoints| endpoints[signal].as_ref());
        let resource = identity::resource(&settings.resource);
        let losses = Arc::new(Losses::default());
        let mut tracers = SdkTracerProvider::builder()
            // The sampler of the environment is for simulated requests.
            .with_sampler(Sampler::AlwaysOn)
            // So are the limits of spans.
            .with_span_limits(SpanLimits::default())
            .with_resource(resource.clone());
        if let Some(endpoint) = endpoint(Signal::Traces) {
            let exporter = transport::spans(endpoint, network)?;
            let batches = BatchConfigBuilder::default()
                .with_max_queue_size(SPANS_WAITING)
                .with_max_export_batch_size(SPANS_OF_A_REQUEST)
                .with_scheduled_delay(SPANS_LEAVE_AFTER)
                .build();
            let processor = BatchSpanProcessor::builder(CountingExporter::new(exporter, &losses));
            tracers = tracers.with_span_processor(processor.with_batch_config(batches).build());
            losses.expect_spans();
        }
        let mut meters = SdkMeterProvider::builder().with_resource(resource);
        if let Some(endpoint) = endpoint(Signal::Metrics) {
            let exporter = CountingExporter::new(transport::metrics(endpoint, network)?, &losses);
            meters =
                meters.with_reader(PeriodicReader::builder(exporter).with_interval(EXPORTED_EVERY).build());
        }
        let (tracers, meters) = (tracers.build(), meters.build());
        let began = past.first().map(|past| past.start);
        let run = Phase::root(tracers.tracer(SCOPE), Arc::clone(&losses), began, attributes);
        for past in past {
            run.past(past);
        }
        Ok(Self { tracers, meters, losses, run: Some(run) })
    }

    /// The span of the whole run.
    pub fn run(&self) -> &Phase {
        self.run.as_ref().expect("the run goes on until this ends")
    }

    /// Lets its metrics be read from `sources` whenever they are exported.
    pub fn observe(&self, sources: Sources) {
        instruments::register(&self.meters.meter(SCOPE), sources);
    }

    /// Ends the span of the run and exports what is left, for no longer than [`ENDS_WITHIN`]: what the
    /// receiver has not taken.
    pub fn end(mut self) -> Option<Unsent> {
        self.run = None;
        let (spans, metrics) = self.shut_down();
        self.losses.unsent(&spans, &metrics)
    }

    /// Exports what is left: how that ended for spans and metrics; none is late.
    fn shut_down(&self) -> (Option<OTelSdkResult>, Option<OTelSdkResult>) {
        let (tracers, meters) = (self.tracers.clone(), self.meters.clone());
        let spans = beside(move || tracers.shutdown_with_timeout(ENDS_WITHIN));
        let metrics = beside(move || meters.shutdown_with_timeout(ENDS_WITHIN));
        let watch = Stopwatch::start();
        let wait =
            |result: Receiver<_>| result.recv_timeout(ENDS_WITHIN.saturating_sub(watch.elapsed())).ok();
        (wait(spans), wait(metrics))
    }
}

/// Does something on a thread of its own, as the SDK's shutdown may wait for longer than it is told to.
fn beside(work: impl FnOnce() -> OTelSdkResult + Send + 'static) -> Receiver<OTelSdkResult> {
    let (done, result) = mpsc::sync_channel(1);
    let thread = thread::Builder::new().name("simhost-self".to_owned());
    // Without a thread nothing is told, which counts as late.
    thread.spawn(move || done.send(work()).ok()).ok();
    result
}

impl Drop for SelfTelemetry {
    /// A run that could not be done has its spans too.
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            run.failed("the run could not be done");
            drop(run);
            self.shut_down();
        }
    }
}
