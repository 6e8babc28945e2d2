//! Where a run's records go, and who they are from.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;
use opentelemetry_semantic_conventions::attribute;
use tokio::runtime::Handle;

use crate::error::Problem;
use crate::model::{Load, Model, Nanos};
use crate::rng::{Key, Purpose};
use crate::telemetry::aside::Aside;
use crate::telemetry::choice::Choice;
use crate::telemetry::console::{Console, Style, Wanted};
use crate::telemetry::env::Settings;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::file::JsonLines;
use crate::telemetry::otlp::{Options as OtlpOptions, Otlp};
use crate::telemetry::pipeline::Pace;
use crate::telemetry::record::{KeyValue, Resource, Text, Value};

use super::services::Service;

/// What to show on standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Show {
    /// Every trace as a tree, and the report
    Traces,
    /// The report
    Summary,
    /// Nothing
    None,
}

/// Where the command line sends records.
#[derive(Clone, Debug, Default)]
pub struct Destinations {
    /// `--otlp URL`.
    pub otlp: Option<String>,
    /// `--out FILE`; `-` is standard output.
    pub out: Option<PathBuf>,
    /// `--truth FILE`; `-` is standard output.
    pub truth: Option<PathBuf>,
    /// None: traces when nothing else takes them, or some are chosen, else the report.
    pub show: Option<Show>,
    /// Which traces to show.
    pub choice: Choice,
    pub json: bool,
}

impl Destinations {
    /// Whether programs read standard output, so that words for people go elsewhere.
    pub fn document_on_stdout(&self) -> bool {
        self.json || self.lines_on_stdout()
    }

    /// Whether the records or the truth take standard output, so that the report has
    /// to go elsewhere.
    pub fn lines_on_stdout(&self) -> bool {
        [&self.out, &self.truth].into_iter().flatten().any(|path| path.as_os_str() == "-")
    }
}

/// SHA-256 of the component that ran, in hexadecimal.
const GUEST_DIGEST: &str = "simhost.guest.digest";

/// What decides about the exporters of a run.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
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
}

impl Exporters {
    /// Opens everything that the settings and the command line name.
    ///
    /// # Errors
    /// A file that cannot be created, a certificate that cannot be used.
    pub fn open(
        order: &Order<'_>,
        root: u64,
        resources: &Arc<[Resource]>,
        network: &Handle,
    ) -> Result<Self, Vec<Problem>> {
        let Order { settings, wanted, show, at_the_end, pace, origin } = *order;
        let mut exporters: Vec<Box<dyn Exporter>> = Vec::new();
        let mut page = None;
        if settings.disabled {
            return Ok(Self { exporters, page });
        }
        if show == Show::Traces {
            let style = style();
            let out: Box<dyn Write + Send> = if wanted.document_on_stdout() {
                Box::new(std::io::stderr())
            } else if at_the_end {
                let drawn = Page::default();
                page = Some(drawn.clone());
                Box::new(drawn)
            } else {
                Box::new(std::io::stdout())
            };
            let mut console = Console::new(out, Arc::clone(resources), style);
            if wanted.choice.is_choosy() {
                console = console.choosing(Wanted { choice: wanted.choice.clone(), origin });
            }
            exporters.push(match pace {
                // A terminal that is stopped must not stop what goes elsewhere.
                Pace::Real if page.is_none() => Box::new(aside(console, resources)?),
                _ => Box::new(console),
            });
        }
        if let Some(path) = &wanted.out {
            let file = JsonLines::create(path).map_err(|error| {
                let problem = Problem::new(format!("--out {}: {error}", path.display()));
                vec![problem.help("name a file in a folder that exists and can be written, or - for stdout")]
            })?;
            exporters.push(Box::new(file));
        }
        if let Some(otlp) = &settings.otlp {
            let options = OtlpOptions::new(pace, settings.batching, Key::new(root, Purpose::Retry));
            exporters.push(Box::new(Otlp::start(otlp, &options, network)?));
        }
        Ok(Self { exporters, page })
    }
}

fn aside(
    console: Console<Box<dyn Write + Send>>,
    resources: &Arc<[Resource]>,
) -> Result<Aside, Vec<Problem>> {
    Aside::start(console, Arc::clone(resources))
        .map_err(|error| vec![Problem::new(format!("the system grants no thread for the console: {error}"))])
}

/// How standard output wants to be drawn on.
pub fn style() -> Style {
    let stdout = std::io::stdout();
    let width = terminal_size::terminal_size_of(&stdout).map(|(width, _)| width.0);
    Style::detect(stdout.is_terminal(), |name| std::env::var(name).ok(), width)
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

/// The Resource of one replica (semantic conventions, "Resource").
pub fn resource(
    model: &Model,
    settings: &Settings,
    index: usize,
    service: &Service,
    instance: String,
) -> Resource {
    let described = &model.services[index];
    let mut attributes = common(model, settings, &service.name, instance);
    let version = service.version.clone();
    attributes.extend(version.map(|version| KeyValue::new(attribute::SERVICE_VERSION, version)));
    let digest = service.guest.as_ref().map(|guest| guest.code.digest.clone());
    attributes.extend(digest.map(|digest| KeyValue::new(GUEST_DIGEST, digest)));
    for (key, value) in &described.resource {
        let value = Value::from(value);
        attributes.push(KeyValue { key: Text::Owned(key.clone()), value });
    }
    add_environment(&mut attributes, settings);
    Resource { service: Arc::clone(&service.name), attributes }
}

/// The Resource of a load that has spans: a service of its own.
pub fn load_resource(model: &Model, settings: &Settings, load: &Load) -> Resource {
    let name: Arc<str> = load.name.as_str().into();
    let mut attributes = common(model, settings, &name, instance_id(model.root(), &name, 0, None));
    add_environment(&mut attributes, settings);
    Resource { service: name, attributes }
}

/// `deployment.environment.name` where neither the topology nor the environment says.
pub const ENVIRONMENT: &str = "local";

/// What all Resources of a topology say.
fn common(model: &Model, settings: &Settings, name: &Arc<str>, instance: String) -> Vec<KeyValue> {
    // What the topology says, else what the environment does.
    let key = attribute::DEPLOYMENT_ENVIRONMENT_NAME;
    let said = || settings.resource.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    let environment = model.environment.clone().or_else(said).unwrap_or_else(|| ENVIRONMENT.to_owned());
    vec![
        KeyValue::new(attribute::SERVICE_NAME, Text::Shared(Arc::clone(name))),
        KeyValue::new(attribute::SERVICE_NAMESPACE, model.name.clone()),
        KeyValue::new(attribute::SERVICE_INSTANCE_ID, instance),
        KeyValue::new(attribute::DEPLOYMENT_ENVIRONMENT_NAME, environment),
        KeyValue::new(attribute::TELEMETRY_SDK_NAME, "simhost"),
        KeyValue::new(attribute::TELEMETRY_SDK_LANGUAGE, "rust"),
        KeyValue::new(attribute::TELEMETRY_SDK_VERSION, env!("CARGO_PKG_VERSION")),
    ]
}

/// Adds the attributes of the environment, which give way to all others.
fn add_environment(attributes: &mut Vec<KeyValue>, settings: &Settings) {
    for (key, value) in &settings.resource {
        if !attributes.iter().any(|known| *known.key == **key) {
            attributes.push(KeyValue::new(key.clone(), value.clone()));
        }
    }
}

/// `service.instance.id`: a UUID, as the conventions recommend, made of the
/// run's root so that a replica has the same one in every run, and another in each
/// topology and each deployment that has a name.
pub fn instance_id(root: u64, service: &str, replica: u32, release: Option<&str>) -> String {
    let key = Key::new(root, Purpose::Instance).with_name(service).with(u64::from(replica));
    let key = release.map_or(key, |release| key.with_name(release));
    let (high, low) = (key.with(0).draw(), key.with(1).draw());
    // RFC 9562, section 5.8: version 8 leaves the other bits to us; variant 10.
    let high = high & !0xf000 | 0x8000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// A guest's environment: who it is, and its configuration in upper case.
pub fn environment(
    model: &Model,
    service: &str,
    version: Option<&str>,
    config: &IndexMap<String, String>,
    instance: &str,
) -> Vec<(String, String)> {
    let mut variables = vec![
        ("SERVICE_NAME".to_owned(), service.to_owned()),
        ("SERVICE_NAMESPACE".to_owned(), model.name.clone()),
        ("SERVICE_INSTANCE_ID".to_owned(), instance.to_owned()),
    ];
    variables.extend(version.map(|version| ("SERVICE_VERSION".to_owned(), version.to_owned())));
    let config = config.iter();
    variables.extend(config.map(|(key, value)| (key.to_uppercase().replace(['-', '.'], "_"), value.clone())));
    variables
}
