//! What the environment, the command line and the topology say about telemetry.
//!
//! The variables are those of the OpenTelemetry specification ("Environment
//! Variable Specification" and "OTLP Exporter Configuration"). Where it tells
//! an SDK to warn about a value and go on, simhost refuses to start: a run with
//! other settings than those asked for is worth nothing.

mod batching;
mod metric_variables;
mod metrics;
mod otlp;
mod reader;
mod unused;
mod variables;

pub use metrics::{ExemplarFilter, HistogramAggregation, MetricSettings, Prometheus, TemporalityPreference};
pub use otlp::files;
pub use variables::table as reference;

use std::time::Duration;

use opentelemetry_sdk::trace::Sampler as SdkSampler;

use super::otlp::Endpoints;
use super::pipeline::Batching;
use super::record::Exceptions;
use super::sampler::Sampler;
use super::signal::{PerSignal, Signal, Signals};
use crate::context::probability::Threshold;
use crate::error::{Problem, nearest};
use crate::model::{self, NamedSampler, SAMPLERS, SamplerKind, Sampling};
use reader::{Keys, Reader};

/// All of it, checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `OTEL_SDK_DISABLED`: no records, even if an exporter is named.
    pub disabled: bool,
    /// None when no receiver is named anywhere.
    pub otlp: Option<Endpoints>,
    /// Signals that go to the terminal: `OTEL_TRACES_EXPORTER=console`.
    pub console: Signals,
    pub sampler: Sampler,
    pub limits: SpanLimits,
    pub exceptions: Exceptions,
    /// Whether spans of databases have the old names of attributes beside the stable ones.
    pub old_database_names: bool,
    pub metrics: MetricSettings,
    pub batching: PerSignal<Batching>,
    /// `OTEL_RESOURCE_ATTRIBUTES`: for every service, unless the topology or
    /// simhost itself has a value for the key.
    pub resource: Vec<(String, String)>,
    /// What a person should know: variables that were set and have no effect.
    pub notes: Vec<String>,
}

/// Bounds on what one span may hold; what exceeds them is dropped and counted in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpanLimits {
    pub attributes: u32,
    pub events: u32,
    /// Attributes of one event.
    pub event_attributes: u32,
    /// Characters of a text value; none: no limit but that on a request's size.
    pub value_length: Option<u32>,
}

impl Default for SpanLimits {
    /// The specification's.
    fn default() -> Self {
        Self { attributes: 128, events: 128, event_attributes: 128, value_length: None }
    }
}

/// What the command line says of where records go.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flags<'a> {
    /// The URL of `--otlp`.
    pub otlp: Option<&'a str>,
    /// `--out` was given.
    pub is_written: bool,
}

impl Settings {
    /// Reads the variables through `get`. For each setting the command line
    /// (`flags`) wins over the environment, and that over
    /// the topology. A variable that is empty counts as not set.
    ///
    /// The topology's `otlp` table describes one receiver: if another one is
    /// named, nothing of it applies, so that no key is sent to a stranger.
    ///
    /// # Errors
    /// Every value that is not accepted, with what is.
    pub fn from_env(
        get: impl Fn(&str) -> Option<String>,
        topology: &model::Telemetry,
        flags: Flags<'_>,
    ) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(&get);
        variables::names().for_each(|name| reader.text_as_it_is(&name));
        let disabled = disabled(&mut reader, flags);
        let selected = otlp::select(&mut reader, topology.otlp.as_ref(), flags.otlp);
        let settings = Self {
            disabled,
            otlp: selected.otlp,
            console: selected.console,
            sampler: sampler(&mut reader, topology.sampling),
            limits: limits(&mut reader),
            exceptions: exceptions(&mut reader),
            old_database_names: old_database_names(&mut reader),
            metrics: metric_variables::read(&mut reader, selected.metrics),
            batching: batching::read(&mut reader),
            resource: resource(&mut reader),
            notes: Vec::new(),
        };
        unused::note(&mut reader);
        let notes = reader.finish()?;
        let is_on = settings.metrics.is_on && !settings.disabled;
        let metrics = MetricSettings { is_on, ..settings.metrics.clone() };
        Ok(Self { notes, metrics, ..settings })
    }
}

impl Settings {
    /// How long an exporter is waited for that takes nothing: the longest of the signals that there are.
    pub fn patience(&self) -> Duration {
        let is_made = |signal| signal != Signal::Metrics || self.metrics.is_on;
        let made = self.batching.iter().filter(|(signal, _)| is_made(*signal));
        made.map(|(_, batching)| batching.timeout).max().unwrap_or_default()
    }
}

/// How the variables of SDKs and agents begin that are for one language: they are others' business.
const OF_LANGUAGES: [&str; 10] = [
    "OTEL_CPP_",
    "OTEL_DOTNET_",
    "OTEL_GO_",
    "OTEL_INSTRUMENTATION_",
    "OTEL_JAVA",
    "OTEL_NODE_",
    "OTEL_PHP_",
    "OTEL_PYTHON_",
    "OTEL_RUBY_",
    "OTEL_RUST_",
];

/// What a person should know of variables that nobody reads: most likely they are misspelt. `set` are the
/// names of those that are set.
pub fn misspelt(set: impl IntoIterator<Item = String>) -> Vec<String> {
    let known: Vec<String> = variables::names().collect();
    let misspelt = set.into_iter().filter(|name| name.starts_with("OTEL_") && !known.contains(name));
    let mut notes: Vec<_> = misspelt
        .filter(|name| !unused::is_known(name) && !OF_LANGUAGES.iter().any(|start| name.starts_with(start)))
        .filter_map(|name| {
            let near = nearest(&name, known.iter().map(String::as_str))?;
            Some(format!("{name} has no effect: did you mean {near}?"))
        })
        .collect();
    notes.sort();
    notes
}

/// `OTEL_SDK_DISABLED`, and `OTEL_ENABLED`, its opposite, which other systems read. A receiver or a file on
/// the command line overrides them.
fn disabled(reader: &mut Reader<'_>, flags: Flags<'_>) -> bool {
    const NAME: &str = "OTEL_SDK_DISABLED";
    const ALIAS: &str = "OTEL_ENABLED";
    let (by_name, by_alias) = (reader.boolean(NAME), reader.boolean(ALIAS).map(|is_enabled| !is_enabled));
    if let Some((disabled, _)) = by_name.zip(by_alias).filter(|(name, alias)| name != alias) {
        let problem = Problem::new(format!("{NAME} and {ALIAS} are both `{disabled}`"));
        reader.problem(problem.help(format!("set one of them: {NAME}=true and {ALIAS}=false mean the same")));
    }
    let disabled = by_name.or(by_alias).unwrap_or(false);
    let flag = flags.otlp.map(|_| "--otlp").or(flags.is_written.then_some("--out"));
    if let Some(flag) = flag.filter(|_| disabled) {
        let name = if by_name.is_some() { NAME } else { ALIAS };
        reader.note(format!("{name} has no effect: {flag} was given"));
    }
    disabled && flag.is_none()
}

/// `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`; each counts in place of what the topology says.
fn sampler(reader: &mut Reader<'_>, topology: Option<Sampling>) -> Sampler {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
    let name = reader.text(NAME);
    let named = name.as_deref().map(|name| SAMPLERS.iter().find(|(known, _)| *known == name));
    let own = topology.filter(|_| name.is_none());
    let NamedSampler { kind, is_parent_based } = match (named, own) {
        (Some(Some((_, sampler))), _) => *sampler,
        (None, Some(sampling)) => sampling.sampler,
        (None, None) => NamedSampler::default(),
        (Some(None), _) => {
            reader.refuse(
                NAME,
                name.as_deref().unwrap_or_default(),
                "always_on, always_off, traceidratio, probability, or one of these after parentbased_",
            );
            NamedSampler::default()
        }
    };
    let share = match kind {
        SamplerKind::TraceIdRatio => reader.ratio(ARGUMENT),
        SamplerKind::Probability => share(reader, ARGUMENT),
        SamplerKind::AlwaysOn | SamplerKind::AlwaysOff => None,
    };
    if share.is_none() && reader.text(ARGUMENT).is_some() {
        reader.note(format!(
            "{ARGUMENT} has no effect: {NAME} is none of traceidratio, probability, parentbased_traceidratio and \
             parentbased_probability"
        ));
    }
    // "If OTEL_TRACES_SAMPLER_ARG is not set: 1.0".
    let share = share.or(own.and_then(|sampling| sampling.share)).unwrap_or(1.0);
    let sampler = match kind {
        SamplerKind::AlwaysOn => SdkSampler::AlwaysOn,
        SamplerKind::AlwaysOff => SdkSampler::AlwaysOff,
        SamplerKind::TraceIdRatio => SdkSampler::TraceIdRatioBased(share),
        SamplerKind::Probability => return Sampler::probability(share, is_parent_based),
    };
    Sampler::Sdk(if is_parent_based { SdkSampler::ParentBased(Box::new(sampler)) } else { sampler })
}

/// A share that 56 bits of randomness can tell from none.
fn share(reader: &mut Reader<'_>, name: &str) -> Option<f64> {
    let share = reader.ratio(name)?;
    if share > 0.0 && share < Threshold::LEAST {
        let text = reader.text(name).unwrap_or_default();
        reader.refuse(name, &text, "0, or a number from 2^-56, about 1.4e-17, to 1.0");
    }
    Some(share)
}

/// The limits of spans; the variables for all records stand in for those of spans.
fn limits(reader: &mut Reader<'_>) -> SpanLimits {
    let default = SpanLimits::default();
    let mut first = |names: [&'static str; 2]| {
        // Both are read: a wrong value is one even where another variable wins.
        names.map(|name| reader.number(name, 0)).into_iter().flatten().next()
    };
    let attributes = first(["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"]);
    let value_length = first(["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"]);
    SpanLimits {
        attributes: attributes.unwrap_or(default.attributes),
        events: reader.number("OTEL_SPAN_EVENT_COUNT_LIMIT", 0).unwrap_or(default.events),
        event_attributes: reader
            .number("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", 0)
            .unwrap_or(default.event_attributes),
        value_length,
    }
}

/// `OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN`.
fn exceptions(reader: &mut Reader<'_>) -> Exceptions {
    const NAME: &str = "OTEL_SEMCONV_EXCEPTION_SIGNAL_OPT_IN";
    match reader.text(NAME).as_deref() {
        None => Exceptions::default(),
        Some("logs") => Exceptions::Logs,
        Some("logs/dup") => Exceptions::Both,
        Some(other) => {
            reader.refuse(NAME, other, "logs or logs/dup");
            Exceptions::default()
        }
    }
}

/// `OTEL_SEMCONV_STABILITY_OPT_IN`: a list, in which `database/dup` wins over `database`. The stable names
/// are there in any case.
fn old_database_names(reader: &mut Reader<'_>) -> bool {
    const NAME: &str = "OTEL_SEMCONV_STABILITY_OPT_IN";
    const KNOWN: [&str; 3] = ["http", "database", "database/dup"];
    let list = reader.text(NAME).unwrap_or_default();
    let wanted = || list.split(',').map(str::trim).filter(|word| !word.is_empty());
    for word in wanted().filter(|word| !KNOWN.contains(word)) {
        reader.note(format!("{NAME}: {word:?} has no effect: spans follow the stable conventions"));
    }
    wanted().any(|word| word == "database/dup")
}

/// Resource attributes whose values are simhost's own.
const OWN: [(&str, &str); 6] = [
    ("service.name", "every service of a topology has its own"),
    ("service.namespace", "write namespace = \"…\" in [topology]"),
    ("service.instance.id", "every replica gets its own"),
    ("telemetry.sdk.name", "it is simhost's"),
    ("telemetry.sdk.language", "it is simhost's"),
    ("telemetry.sdk.version", "it is simhost's"),
];

/// `OTEL_RESOURCE_ATTRIBUTES`.
fn resource(reader: &mut Reader<'_>) -> Vec<(String, String)> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let mut attributes = reader.pairs(NAME, Keys::Encoded).unwrap_or_default();
    attributes.retain(|(key, _)| {
        let own = OWN.iter().find(|(own, _)| key == own);
        if let Some((own, why)) = own {
            reader.note(format!("{own} in {NAME} has no effect: {why}"));
        }
        own.is_none()
    });
    attributes
}
