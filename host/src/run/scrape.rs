//! The Prometheus endpoint of a run: who may scrape it, and what the core answers.

use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::bus::Bus;
use crate::error::Problem;
use crate::prometheus::Endpoint;
use crate::prometheus::clash::Clashes;
use crate::socket::Shortage;
use crate::telemetry::env::Settings as TelemetrySettings;
use crate::telemetry::record::Resource;

use super::start::Speed;
use super::{Options, RunError};

/// What keeps a run from being scraped.
pub fn problems(options: &Options, telemetry: &TelemetrySettings) -> Vec<Problem> {
    if telemetry.metrics.prometheus.is_none() || telemetry.disabled {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if options.virtual_time && options.speed.is_none() {
        let what = "OTEL_METRICS_EXPORTER names prometheus, but time jumps: the run would be over before anybody \
                    scraped it";
        let help = "pace it, with --speed 1, or write OTEL_METRICS_EXPORTER=otlp";
        problems.push(Problem::new(what).help(help));
    }
    if options.worlds() > 1 {
        let what =
            "OTEL_METRICS_EXPORTER names prometheus, but it scrapes one world, and --shards makes several";
        problems.push(Problem::new(what).help("leave --shards out, or write OTEL_METRICS_EXPORTER=otlp"));
    }
    problems
}

/// What a person should know who scrapes it.
pub fn notes(options: &Options, telemetry: &TelemetrySettings) -> Vec<String> {
    if telemetry.metrics.prometheus.is_none() || telemetry.disabled {
        return Vec::new();
    }
    let factor = options.speed.map_or(1.0, Speed::factor);
    let is_hasty = factor.total_cmp(&1.0).is_ne();
    let hasty = is_hasty.then(|| {
        format!(
            "--speed {factor}: Prometheus tells time by its own clock, and sees rates {factor} times as high"
        )
    });
    let is_brief = !options.virtual_time && !options.requests.is_empty();
    let brief = is_brief.then(|| "Prometheus can ask only until the requests are answered".to_owned());
    hasty.into_iter().chain(brief).collect()
}

/// A port that is to be scraped, and the Resources of the run.
pub struct Scraping {
    listener: TcpListener,
    resources: Arc<[Resource]>,
    /// What its pages cannot have.
    pub clashes: Arc<Clashes>,
}

impl Scraping {
    /// Opens the port that the environment asks for.
    ///
    /// # Errors
    /// It is taken, or may not be used.
    pub fn open(
        telemetry: &TelemetrySettings,
        resources: &Arc<[Resource]>,
        network: &Runtime,
    ) -> Result<Option<Self>, RunError> {
        let Some(wanted) = telemetry.metrics.prometheus.as_ref().filter(|_| !telemetry.disabled) else {
            return Ok(None);
        };
        let place = (wanted.host.as_str(), wanted.port);
        let listener = network.block_on(TcpListener::bind(place)).map_err(|error| {
            let address = format!("{}:{}", wanted.host, wanted.port);
            RunError::Prometheus { address, error }
        })?;
        Ok(Some(Self { listener, resources: Arc::clone(resources), clashes: Arc::default() }))
    }

    /// Answers scrapes, on the core thread, from now on.
    ///
    /// # Errors
    /// The socket has no local address.
    pub fn attend(self, bus: &Rc<Bus>, network: &Runtime, shortage: &Shortage) -> Result<Endpoint, RunError> {
        let (endpoint, mut queries) = {
            let _network = network.enter();
            Endpoint::open(self.listener, &self.resources, bus.processes(), self.clashes, shortage.clone())?
        };
        let weak = Rc::downgrade(bus);
        bus.host().sched.spawn_background(async move {
            while let Some(query) = queries.recv().await {
                let Some(bus) = weak.upgrade() else { return };
                // A client that has hung up wants no answer.
                query.send(bus.snapshot()).ok();
            }
        });
        Ok(endpoint)
    }
}
