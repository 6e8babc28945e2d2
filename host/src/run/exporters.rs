//! Where a run's records go: its exporters.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;

use crate::error::Problem;
use crate::model::Nanos;
use crate::rng::{Key, Purpose};
use crate::telemetry::console::{Console, PointLines, Wanted};
use crate::telemetry::env::Settings;
use crate::telemetry::exporter::{Account, Exporter};
use crate::telemetry::file::JsonLines;
use crate::telemetry::log_lines::LogLines;
use crate::telemetry::otlp::{Options as OtlpOptions, Otlp};
use crate::telemetry::pipeline::Pace;
use crate::telemetry::record::Resource;
use crate::telemetry::signal::Signal;
use crate::telemetry::threaded::Threaded;

use super::options::{self, Destinations, Show};
use super::outputs::cannot_write;

/// What a person should know who asks for a console that is not shown.
pub fn notes(wanted: &Destinations, settings: &Settings) -> Vec<String> {
    if wanted.show != Some(Show::None) {
        return Vec::new();
    }
    let named = Signal::ALL.into_iter().filter(|signal| settings.console[*signal]);
    named
        .map(|signal| format!("OTEL_{}_EXPORTER=console has no effect: --show none", signal.spec().variable))
        .collect()
}

/// What decides about the exporters of a run.
#[derive(Clone, Copy, Debug)]
pub struct ExporterOptions<'a> {
    pub settings: &'a Settings,
    pub wanted: &'a Destinations,
    pub show: Show,
    /// Keep what the console draws until the run is over.
    pub at_the_end: bool,
    pub pace: Pace,
    /// When the run begins: nanoseconds since the Unix epoch.
    pub origin: Nanos,
}

/// The exporters of a run.
pub struct Exporters {
    pub exporters: Vec<Box<dyn Exporter>>,
    /// What the console has drawn, where it is to be printed at the end.
    pub page: Option<Page>,
    /// The account of the exporter over OTLP, if there is one.
    pub otlp: Option<Arc<Account>>,
}

impl Exporters {
    /// Opens everything that the settings and the command line name.
    ///
    /// # Errors
    /// A file that cannot be created, a certificate that cannot be used.
    pub fn open(
        options: &ExporterOptions<'_>,
        root: u64,
        resources: &Arc<[Resource]>,
        network: &Handle,
    ) -> Result<Self, Vec<Problem>> {
        let ExporterOptions { settings, wanted, show, at_the_end, pace, origin } = *options;
        let mut exporters: Vec<Box<dyn Exporter>> = Vec::new();
        let (mut page, mut account) = (None, None);
        if settings.disabled {
            return Ok(Self { exporters, page, otlp: account });
        }
        let mut out = || -> Box<dyn Write + Send> {
            if wanted.document_on_stdout() {
                Box::new(std::io::stderr())
            } else if at_the_end {
                Box::new(page.get_or_insert_default().clone())
            } else {
                Box::new(std::io::stdout())
            }
        };
        let style = wanted.stdout.style;
        // A terminal that is stopped must not stop what goes elsewhere.
        let is_apart = pace == Pace::Real && (wanted.document_on_stdout() || !at_the_end);
        if settings.console[Signal::Metrics] && show != Show::None {
            let lines = PointLines::new(out(), style);
            exporters.push(match is_apart {
                true => Box::new(threaded(lines, "the console", resources)?),
                false => Box::new(lines),
            });
        }
        if show == Show::Traces {
            let mut console = Console::new(out(), Arc::clone(resources), style);
            if wanted.choice.is_choosy() {
                console = console.choosing(Wanted { choice: wanted.choice.clone(), origin });
            }
            exporters.push(match is_apart {
                true => Box::new(threaded(console, "the console", resources)?),
                false => Box::new(console),
            });
        }
        if let Some(path) = &wanted.out {
            let file = JsonLines::create(path).map_err(|error| vec![cannot_write("--out", path, &error)])?;
            exporters.push(Box::new(file));
        }
        if let Some(logs) = &wanted.logs {
            exporters.push(log_lines(logs, pace, resources)?);
        }
        if let Some(otlp) = &settings.otlp {
            let options = OtlpOptions::new(pace, settings.batching, Key::new(root, Purpose::Retry));
            let otlp = Otlp::start(otlp, &options, network)?;
            account = Some(otlp.account());
            exporters.push(Box::new(otlp));
        }
        Ok(Self { exporters, page, otlp: account })
    }
}

/// `--log-format` and its like.
fn log_lines(
    wanted: &options::LogLines,
    pace: Pace,
    resources: &Arc<[Resource]>,
) -> Result<Box<dyn Exporter>, Vec<Problem>> {
    let options::LogLines { format, out, least } = wanted;
    let path = out.as_deref();
    let lines = LogLines::create(path, *format, *least);
    let shown = path.unwrap_or(Path::new("-"));
    let lines = lines.map_err(|error| vec![cannot_write("--log-out", shown, &error)])?;
    Ok(match pace {
        // So must standard error not.
        Pace::Real if path.is_none() => Box::new(threaded(lines, "the log records", resources)?),
        _ => Box::new(lines),
    })
}

fn threaded(
    exporter: impl Exporter + 'static,
    what: &str,
    resources: &Arc<[Resource]>,
) -> Result<Threaded, Vec<Problem>> {
    Threaded::start(exporter, Arc::clone(resources))
        .map_err(|error| vec![Problem::new(format!("the system grants no thread for {what}: {error}"))])
}

/// Text that is gathered on one thread and printed by another.
#[derive(Clone, Debug, Default)]
pub struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
