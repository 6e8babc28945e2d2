//! The text formats of Prometheus: its own, 0.0.4, and OpenMetrics 1.0, which has exemplars.
//!
//! Written by hand: the encoder of the crate `prometheus-client` takes no exemplars of histograms but
//! those that it has drawn itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::error::INFALLIBLE;
use crate::telemetry::record::{
    Exemplar, HistogramPoint, MetricRecord, Number, NumberPoint, Points, Resource, ResourceId, Scope,
};

use super::clash::{Cause, Clash};
use super::family::{Families, Family};
use super::names::{self, Type};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// The one that a client likes better, by its `Accept`; OpenMetrics only where it is named.
    pub fn accepted(accept: Option<&str>) -> Self {
        let quality = |kind: &str| {
            let ranges = accept.unwrap_or_default().split(',');
            let of_kind = ranges.filter_map(|range| {
                let mut parts = range.split(';').map(str::trim);
                if parts.next() != Some(kind) {
                    return None;
                }
                let quality = parts.find_map(|part| part.strip_prefix("q="));
                Some(quality.and_then(|quality| quality.parse::<f64>().ok()).unwrap_or(1.0))
            });
            of_kind.fold(0.0, f64::max)
        };
        let open = quality("application/openmetrics-text");
        if open > 0.0 && open >= quality("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a page has.
pub struct Page<'a> {
    pub records: &'a [&'a MetricRecord],
    pub resources: &'a [Resource],
    /// Several processes are on it, so that each series says whose it is.
    pub is_shared: bool,
}

/// Labels, as they stand between braces.
type Labels = String;

impl Page<'_> {
    /// The page in a format, and the points that it cannot have.
    pub fn write(&self, format: Format) -> (String, Vec<(Clash, u64)>) {
        let mut writing = Writing { page: self, format, text: String::new(), left_out: Vec::new() };
        let Families { all, left_out, .. } = Families::of(self.records, self.resources);
        writing.targets();
        for (name, family) in &all {
            writing.head(name, family);
            family.records.iter().for_each(|record| writing.record(name, record));
        }
        if format == Format::OpenMetrics {
            writing.text.push_str("# EOF\n");
        }
        writing.left_out.extend(left_out);
        (writing.text, writing.left_out)
    }

    /// `job` and `instance`, where a page has several processes.
    fn identity(&self, resource: ResourceId) -> Vec<(String, String)> {
        if !self.is_shared {
            return Vec::new();
        }
        let resource = &self.resources[resource.0 as usize];
        let instance = names::attribute(resource, attribute::SERVICE_INSTANCE_ID);
        vec![("job".to_owned(), names::job(resource)), ("instance".to_owned(), instance)]
    }
}

/// A page that is being written.
struct Writing<'a> {
    page: &'a Page<'a>,
    format: Format,
    text: String,
    left_out: Vec<(Clash, u64)>,
}

impl Writing<'_> {
    /// `target_info` of all processes: the attributes of their Resources.
    fn targets(&mut self) {
        let mut all: Vec<ResourceId> = self.page.records.iter().map(|record| record.resource).collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() {
            return;
        }
        self.text.push_str(match self.format {
            Format::Prometheus => "# HELP target_info Target metadata\n# TYPE target_info gauge\n",
            Format::OpenMetrics => "# HELP target Target metadata\n# TYPE target info\n",
        });
        for resource in all {
            let attributes = &self.page.resources[resource.0 as usize].attributes;
            let mut labels = names::labels(attributes, &names::OURS);
            labels.extend(self.page.identity(resource));
            put(&mut self.text, "target_info", &written(&labels), "1");
            self.text.push('\n');
        }
    }

    fn head(&mut self, name: &str, Family { of, unit, records, .. }: &Family<'_>) {
        let (text, format) = (&mut self.text, self.format);
        let help = escaped(&records[0].instrument.description);
        // Before OpenMetrics a counter had the name of its samples.
        let total = if *of == Type::Counter && format == Format::Prometheus { "_total" } else { "" };
        if !help.is_empty() {
            let help = if format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help };
            writeln!(text, "# HELP {name}{total} {help}").expect(INFALLIBLE);
        }
        writeln!(text, "# TYPE {name}{total} {}", of.name()).expect(INFALLIBLE);
        if let Some(unit) = unit.as_deref().filter(|_| format == Format::OpenMetrics) {
            writeln!(text, "# UNIT {name} {unit}").expect(INFALLIBLE);
        }
    }

    fn record(&mut self, name: &str, record: &MetricRecord) {
        let all = self.labels(record);
        let labelled = |at: usize| all[at].as_ref();
        let (text, format) = (&mut self.text, self.format);
        match &record.points {
            Points::Gauge(points) => {
                for (at, NumberPoint { value, .. }) in points.iter().enumerate() {
                    let Some(labels) = labelled(at) else { continue };
                    put(text, name, labels, &number(*value));
                    text.push('\n');
                }
            }
            Points::Sum { points, is_monotonic, .. } => {
                let name = if *is_monotonic { format!("{name}_total") } else { name.to_owned() };
                for (at, NumberPoint { value, exemplars, .. }) in points.iter().enumerate() {
                    let Some(labels) = labelled(at) else { continue };
                    put(text, &name, labels, &number(*value));
                    if *is_monotonic {
                        add(text, format, exemplars.first());
                    }
                    text.push('\n');
                }
            }
            Points::Histogram { points, .. } => {
                for (at, point) in points.iter().enumerate() {
                    let Some(labels) = labelled(at) else { continue };
                    histogram(text, format, name, labels, point);
                }
            }
            // A snapshot has explicit buckets.
            Points::ExponentialHistogram { .. } => {}
        }
    }

    /// The labels of each point; none of one whose labels another has.
    fn labels(&mut self, record: &MetricRecord) -> Vec<Option<Labels>> {
        let mut ours = names::OURS.to_vec();
        ours.extend(matches!(record.points, Points::Histogram { .. }).then_some(names::BOUND));
        let identity = self.page.identity(record.resource);
        let mut known = BTreeSet::new();
        let labels = record.points.attributes().map(|attributes| {
            let mut labels = names::labels(&**attributes, &ours);
            labels.insert(names::SCOPE.to_owned(), record.scope.name().to_owned());
            labels.extend(identity.iter().cloned());
            let labels = written(&labels);
            // The attributes of the core have other labels each.
            let is_new = record.scope == Scope::Bus || known.insert(labels.clone());
            is_new.then_some(labels)
        });
        let labels: Vec<_> = labels.collect();
        let equal = labels.iter().filter(|labels| labels.is_none()).count() as u64;
        if equal > 0 {
            let service = Arc::clone(&self.page.resources[record.resource.0 as usize].service);
            let metric = (*record.instrument.name).into();
            self.left_out.push((Clash { service, metric, cause: Cause::Labels }, equal));
        }
        labels
    }
}

fn histogram(text: &mut String, format: Format, name: &str, labels: &Labels, point: &HistogramPoint) {
    let bounds = point.bounds.iter().copied().chain([f64::INFINITY]);
    let (mut below, mut least) = (0, f64::NEG_INFINITY);
    let bucket = format!("{name}_bucket");
    for (bound, count) in bounds.zip(&point.buckets) {
        below += count;
        let separator = if labels.is_empty() { "" } else { "," };
        put(
            text,
            &bucket,
            &format!("{labels}{separator}{}=\"{}\"", names::BOUND, float(bound)),
            &below.to_string(),
        );
        let is_within = |exemplar: &&Exemplar| {
            let value = as_f64(exemplar.value);
            least < value && value <= bound
        };
        add(text, format, point.exemplars.iter().find(is_within));
        text.push('\n');
        least = bound;
    }
    // Without a sum there is no count either (OpenMetrics 1.0, "Histogram"): the last bucket has it.
    if let Some(sum) = point.summary.sum {
        put(text, &format!("{name}_sum"), labels, &float(sum));
        text.push('\n');
        put(text, &format!("{name}_count"), labels, &point.summary.count.to_string());
        text.push('\n');
    }
}

fn put(text: &mut String, name: &str, labels: &Labels, value: &str) {
    text.push_str(name);
    if !labels.is_empty() {
        write!(text, "{{{labels}}}").expect(INFALLIBLE);
    }
    write!(text, " {value}").expect(INFALLIBLE);
}

/// Adds an exemplar, where the format has them.
fn add(text: &mut String, format: Format, exemplar: Option<&Exemplar>) {
    let Some(exemplar) = exemplar.filter(|_| format == Format::OpenMetrics) else { return };
    let Exemplar { time, value, trace_id, span_id } = exemplar;
    let seconds = format!("{}.{:03}", time / 1_000_000_000, time / 1_000_000 % 1_000);
    let value = number(*value);
    write!(text, " # {{trace_id=\"{trace_id}\",span_id=\"{span_id}\"}} {value} {seconds}").expect(INFALLIBLE);
}

fn written(labels: &BTreeMap<String, String>) -> Labels {
    let label =
        |(name, value): (&String, &String)| format!("{name}=\"{}\"", escaped(value).replace('"', "\\\""));
    labels.iter().map(label).collect::<Vec<_>>().join(",")
}

/// Prometheus takes a text with a NUL for the end of the page.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('\0', "\u{fffd}")
}

fn as_f64(number: Number) -> f64 {
    match number {
        Number::Int(value) => value as f64,
        Number::Float(value) => value,
    }
}

fn number(number: Number) -> String {
    match number {
        Number::Int(value) => value.to_string(),
        Number::Float(value) => float(value),
    }
}

/// A number as both formats have it: `0.005`, `1.0`, `+Inf`.
fn float(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        value => format!("{value:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_the_format_that_it_likes_better() {
        let scraper =
            "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, format) in [
            (None, Format::Prometheus),
            (Some("*/*"), Format::Prometheus),
            (Some(scraper), Format::OpenMetrics),
            (Some("text/plain;q=0.9, application/openmetrics-text;q=0.1"), Format::Prometheus),
            (Some("application/openmetrics-text"), Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept:?}");
        }
    }
}
