//! The text formats of Prometheus: its own, 0.0.4, and OpenMetrics 1.0, which has exemplars.
//!
//! Written by hand: the encoder of the crate `prometheus-client` takes no exemplars of histograms but
//! those that it has drawn itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::telemetry::record::{
    Exemplar, HistogramPoint, MetricRecord, Number, NumberPoint, Points, Resource, ResourceId,
};

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
    /// The page in a format.
    pub fn write(&self, format: Format) -> String {
        let mut text = String::new();
        let mut families: BTreeMap<String, (Type, Option<String>, Vec<&MetricRecord>)> = BTreeMap::new();
        for record in self.records {
            let of = Type::of(&record.points);
            let (name, unit) = names::family(&record.instrument, of);
            let family = families.entry(name).or_insert_with(|| (of, unit, Vec::new()));
            // A name has one type: guests of two services may not agree on it.
            if family.0 == of {
                family.2.push(record);
            } else {
                tracing::debug!(metric = &*record.instrument.name, "left out: the name has another type");
            }
        }
        self.targets(format, &mut text);
        for (name, (of, unit, records)) in &families {
            let help = &records[0].instrument.description;
            head(&mut text, format, name, *of, unit.as_deref(), help);
            records.iter().for_each(|record| self.record(&mut text, format, name, record));
        }
        if format == Format::OpenMetrics {
            text.push_str("# EOF\n");
        }
        text
    }

    /// `target_info` of all processes: the attributes of their Resources.
    fn targets(&self, format: Format, text: &mut String) {
        let mut all: Vec<ResourceId> = self.records.iter().map(|record| record.resource).collect();
        all.sort_unstable();
        all.dedup();
        if all.is_empty() {
            return;
        }
        text.push_str(match format {
            Format::Prometheus => "# HELP target_info Target metadata\n# TYPE target_info gauge\n",
            Format::OpenMetrics => "# HELP target Target metadata\n# TYPE target info\n",
        });
        for resource in all {
            let mut labels = names::labels(&self.resources[resource.0 as usize].attributes);
            labels.extend(self.identity(resource));
            put(text, "target_info", &written(&labels), "1");
            text.push('\n');
        }
    }

    /// `job` and `instance`, where a page has several processes.
    fn identity(&self, resource: ResourceId) -> Vec<(String, String)> {
        if !self.is_shared {
            return Vec::new();
        }
        let resource = &self.resources[resource.0 as usize];
        let instance = names::attribute(resource, "service.instance.id");
        vec![("job".to_owned(), names::job(resource)), ("instance".to_owned(), instance)]
    }

    fn record(&self, text: &mut String, format: Format, name: &str, record: &MetricRecord) {
        let labels = |attributes| {
            let mut labels = names::labels(attributes);
            labels.insert("otel_scope_name".to_owned(), record.scope.name().to_owned());
            labels.extend(self.identity(record.resource));
            written(&labels)
        };
        match &record.points {
            Points::Gauge(points) => {
                for NumberPoint { attributes, value, .. } in points {
                    put(text, name, &labels(&**attributes), &number(*value));
                    text.push('\n');
                }
            }
            Points::Sum { points, is_monotonic, .. } => {
                let name = if *is_monotonic { format!("{name}_total") } else { name.to_owned() };
                for NumberPoint { attributes, value, exemplars } in points {
                    put(text, &name, &labels(&**attributes), &number(*value));
                    if *is_monotonic {
                        add(text, format, exemplars.first());
                    }
                    text.push('\n');
                }
            }
            Points::Histogram { points, .. } => {
                for point in points {
                    histogram(text, format, name, &labels(&*point.attributes), point);
                }
            }
            // A snapshot has explicit buckets.
            Points::ExponentialHistogram { .. } => {}
        }
    }
}

fn head(text: &mut String, format: Format, name: &str, of: Type, unit: Option<&str>, help: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    // Before OpenMetrics a counter had the name of its samples.
    let total = if of == Type::Counter && format == Format::Prometheus { "_total" } else { "" };
    if !help.is_empty() {
        let help = if format == Format::OpenMetrics { help.replace('"', "\\\"") } else { help };
        writeln!(text, "# HELP {name}{total} {help}").expect(INFALLIBLE);
    }
    writeln!(text, "# TYPE {name}{total} {}", of.name()).expect(INFALLIBLE);
    if let Some(unit) = unit.filter(|_| format == Format::OpenMetrics) {
        writeln!(text, "# UNIT {name} {unit}").expect(INFALLIBLE);
    }
}

fn histogram(text: &mut String, format: Format, name: &str, labels: &Labels, point: &HistogramPoint) {
    let bounds = point.bounds.iter().copied().chain([f64::INFINITY]);
    let (mut below, mut least) = (0, f64::NEG_INFINITY);
    let bucket = format!("{name}_bucket");
    for (bound, count) in bounds.zip(&point.buckets) {
        below += count;
        let separator = if labels.is_empty() { "" } else { "," };
        put(text, &bucket, &format!("{labels}{separator}le=\"{}\"", float(bound)), &below.to_string());
        let is_within = |exemplar: &&Exemplar| {
            let value = as_f64(exemplar.value);
            least < value && value <= bound
        };
        add(text, format, point.exemplars.iter().find(is_within));
        text.push('\n');
        least = bound;
    }
    if let Some(sum) = point.summary.sum {
        put(text, &format!("{name}_sum"), labels, &float(sum));
        text.push('\n');
    }
    put(text, &format!("{name}_count"), labels, &point.summary.count.to_string());
    text.push('\n');
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
    let label = |(name, value): (&String, &String)| {
        let value = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
        format!("{name}=\"{value}\"")
    };
    labels.iter().map(label).collect::<Vec<_>>().join(",")
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

const INFALLIBLE: &str = "a String takes every write";

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
