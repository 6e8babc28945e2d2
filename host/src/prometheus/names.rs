//! Names of Prometheus for those of OpenTelemetry (OpenTelemetry specification, "Prometheus and OpenMetrics
//! Compatibility").

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;

use opentelemetry_semantic_conventions::attribute;

use crate::error::INFALLIBLE;
use crate::telemetry::record::{Instrument, KeyValue, Points, Resource};

/// What a metric is for Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Counter,
    Gauge,
    Histogram,
}

impl Type {
    pub const fn of(points: &Points) -> Self {
        match points {
            Points::Sum { is_monotonic: true, .. } => Self::Counter,
            Points::Gauge(_) | Points::Sum { .. } => Self::Gauge,
            Points::Histogram { .. } | Points::ExponentialHistogram { .. } => Self::Histogram,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }

    /// The names that a family of this type and name has, and those of its samples in both formats.
    pub fn names(self, family: &str) -> Vec<String> {
        let suffixes: &[&str] = match self {
            Self::Counter => &["", "_total", "_created"],
            Self::Gauge => &[""],
            Self::Histogram => &["", "_bucket", "_sum", "_count", "_created"],
        };
        suffixes.iter().map(|suffix| format!("{family}{suffix}")).collect()
    }
}

/// The words of units: those of `prometheustranslator`, by which the Collector names metrics, and `kBy`.
const UNITS: [(&str, &str); 27] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tebibytes"),
    ("kBy", "kilobytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
];

/// The words of units that something is divided by.
const PER: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The labels that a page sets by itself. An attribute of such a name becomes `exported_…`, which is what
/// Prometheus makes of a label that its target has.
pub const OURS: [&str; 3] = ["job", "instance", SCOPE];

/// The label that has the bound of a bucket, in histograms.
pub const BOUND: &str = "le";

/// The label of the instrumentation scope.
pub const SCOPE: &str = "otel_scope_name";

/// The name of a metric family, without `_total`, and its unit where the name ends with it.
pub fn family(instrument: &Instrument, points: &Points) -> (String, Option<String>) {
    let mut words: Vec<&str> = instrument.name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    words.retain(|word| !word.is_empty());
    let (unit, per) = unit(&instrument.unit);
    for word in [unit.as_deref(), per.as_deref()].into_iter().flatten() {
        // Some names say their units.
        if !words.contains(&word) {
            words.push(word);
        }
    }
    match points {
        Points::Sum { is_monotonic: true, .. } if words.iter().any(|word| *word != "total") => {
            words.retain(|word| *word != "total");
        }
        Points::Gauge(_) if *instrument.unit == *"1" => {
            words.retain(|word| *word != "ratio");
            words.push("ratio");
        }
        _ => {}
    }
    let name = sanitised(&words.join("_"));
    let unit: Vec<_> = [unit, per].into_iter().flatten().collect();
    let unit = Some(unit.join("_")).filter(|unit| !unit.is_empty() && name.ends_with(&format!("_{unit}")));
    (name, unit)
}

/// The words of a unit: of what, and `per_…`. A part with braces, which are an annotation, has none.
fn unit(unit: &str) -> (Option<String>, Option<String>) {
    let (what, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |part: &str, known: &[(&str, &str)]| {
        let part = part.trim();
        let known = known.iter().find(|(short, _)| *short == part);
        let word = known.map_or_else(|| sanitised(part), |(_, word)| (*word).to_owned());
        let word = word.trim_matches('_').to_owned();
        Some(word).filter(|word| !word.is_empty() && !part.contains(['{', '}']))
    };
    (word(what, &UNITS), word(per, &PER).map(|per| format!("per_{per}")))
}

/// With `_` for what cannot stand in a name, once where there are several.
pub fn sanitised(name: &str) -> String {
    let mut made = String::with_capacity(name.len() + 1);
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        made.push('_');
    }
    for character in name.chars() {
        let is_fine = character.is_ascii_alphanumeric();
        match is_fine {
            true => made.push(character),
            false if made.ends_with('_') => {}
            false => made.push('_'),
        }
    }
    made
}

/// Attributes as labels, beside labels that are set without them (`ours`). Values of keys that become one
/// name stand together, in the order of the keys and with `;` between them. One without a value is left out:
/// for Prometheus it is a label that is not there.
pub fn labels<'a>(
    attributes: impl IntoIterator<Item = &'a KeyValue>,
    ours: &[&str],
) -> BTreeMap<String, String> {
    let mut sorted: Vec<_> = attributes.into_iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    let mut labels = BTreeMap::new();
    for KeyValue { key, value } in sorted {
        let label = sanitised(key);
        let label = if ours.contains(&label.as_str()) { format!("exported_{label}") } else { label };
        match labels.entry(label) {
            Entry::Vacant(entry) => _ = entry.insert(value.to_string()),
            Entry::Occupied(mut entry) => write!(entry.get_mut(), ";{value}").expect(INFALLIBLE),
        }
    }
    labels.retain(|_, value| !value.is_empty());
    labels
}

/// `job`: namespace and name of a service.
pub fn job(resource: &Resource) -> String {
    match attribute(resource, attribute::SERVICE_NAMESPACE) {
        namespace if namespace.is_empty() => resource.service.to_string(),
        namespace => format!("{namespace}/{}", resource.service),
    }
}

/// The value of an attribute of a Resource; empty where it has none.
pub fn attribute(resource: &Resource, key: &str) -> String {
    let found = resource.attributes.iter().find(|attribute| *attribute.key == *key);
    found.map(|attribute| attribute.value.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::Temporality;

    fn name(name: &'static str, unit: &'static str, points: &Points) -> String {
        family(&Instrument { name: name.into(), unit: unit.into(), description: "".into() }, points).0
    }

    #[test]
    fn names_are_those_that_the_collector_gives() {
        let gauge = Points::Gauge(Vec::new());
        let temporality = Temporality::Cumulative;
        let sum = |is_monotonic| Points::Sum { points: Vec::new(), is_monotonic, temporality };
        let (counter, up_down) = (sum(true), sum(false));
        let histogram = Points::Histogram { points: Vec::new(), temporality };
        for (otel, unit, points, expected) in [
            ("http.server.request.duration", "s", &histogram, "http_server_request_duration_seconds"),
            ("http.server.active_requests", "{request}", &up_down, "http_server_active_requests"),
            ("process.memory.usage", "By", &up_down, "process_memory_usage_bytes"),
            ("process.cpu.time", "s", &counter, "process_cpu_time_seconds"),
            ("orders.total", "{order}", &counter, "orders"),
            ("total.orders", "", &counter, "orders"),
            ("total", "", &counter, "total"),
            ("orders.total", "", &gauge, "orders_total"),
            ("load", "1", &gauge, "load_ratio"),
            ("load", "1", &up_down, "load"),
            ("load", "%", &gauge, "load_percent"),
            ("wait_seconds", "s", &gauge, "wait_seconds"),
            ("seconds.waited", "s", &gauge, "seconds_waited"),
            ("2nd/try", "", &gauge, "_2nd_try"),
            ("a..b_", "s", &gauge, "a_b_seconds"),
            ("io", "By/s", &counter, "io_bytes_per_second"),
            ("io", "{call}/s", &gauge, "io_per_second"),
            ("io", "1/min", &gauge, "io_per_min"),
            ("io", "By/{call}", &gauge, "io_bytes"),
            ("speed", "km/h", &gauge, "speed_km_per_hour"),
            ("room", "Cel", &gauge, "room_celsius"),
            ("disk", "TiBy", &gauge, "disk_tebibytes"),
            ("disk", "GBy", &gauge, "disk_gigabytes"),
            ("draw", "W", &gauge, "draw_watts"),
        ] {
            assert_eq!(name(otel, unit, points), expected, "{otel}");
        }
    }

    #[test]
    fn a_unit_is_named_where_the_name_ends_with_it() {
        let unit = |name: &'static str, unit: &'static str| {
            let instrument = Instrument { name: name.into(), unit: unit.into(), description: "".into() };
            family(&instrument, &Points::Gauge(Vec::new())).1
        };
        assert_eq!(unit("io", "By/s").as_deref(), Some("bytes_per_second"));
        assert_eq!(unit("seconds.waited", "s"), None);
        assert_eq!(unit("load", "1"), None);
    }

    #[test]
    fn labels_of_one_name_stand_together() {
        let attributes = ["a.b", "a_b", "c"].map(|key| KeyValue::new(key, key));
        let all = labels(&attributes, &[]);
        assert_eq!(all["a_b"], "a.b;a_b");
        assert_eq!(all["c"], "c");
        let attributes = [KeyValue::new("a.b", ""), KeyValue::new("a_b", "x"), KeyValue::new("d", "")];
        let all = labels(&attributes, &[]);
        assert_eq!((all.len(), all["a_b"].as_str()), (1, ";x"));
    }

    #[test]
    fn labels_that_are_set_without_attributes_have_their_names_alone() {
        let attributes = ["le", "job", "otel.scope.name", "exported_job"].map(|key| KeyValue::new(key, "x"));
        let all = labels(&attributes, &OURS);
        assert_eq!(all.keys().collect::<Vec<_>>(), ["exported_job", "exported_otel_scope_name", "le"]);
        assert_eq!(all["exported_job"], "x;x");
        assert!(labels(&attributes, &[BOUND]).contains_key("exported_le"));
    }
}
