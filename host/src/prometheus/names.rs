//! Names of Prometheus for those of OpenTelemetry (OpenTelemetry specification, "Prometheus and OpenMetrics
//! Compatibility").

use std::collections::BTreeMap;

use opentelemetry_semantic_conventions::attribute;

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
}

/// The words of units.
const UNITS: [(&str, &str); 16] = [
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
    ("m", "meters"),
    ("g", "grams"),
    ("%", "percent"),
    ("J", "joules"),
    ("Hz", "hertz"),
];

/// The name of a metric family, without `_total`, and its unit.
pub fn family(instrument: &Instrument, of: Type) -> (String, Option<String>) {
    let mut name = sanitised(&instrument.name);
    if of == Type::Counter {
        name = name.strip_suffix("_total").unwrap_or(&name).to_owned();
    }
    let unit = unit(&instrument.unit, of);
    if let Some(unit) = &unit
        && !name.ends_with(&format!("_{unit}"))
    {
        name = format!("{name}_{unit}");
    }
    (name, unit)
}

/// The word of a unit; none of one in braces, which is an annotation.
fn unit(unit: &str, of: Type) -> Option<String> {
    let bare = unit.split('{').next().unwrap_or_default();
    match bare {
        "" => None,
        "1" => (of == Type::Gauge).then(|| "ratio".to_owned()),
        bare => {
            let known = UNITS.iter().find(|(short, _)| *short == bare);
            let word = known.map_or_else(|| sanitised(bare), |(_, word)| (*word).to_owned());
            let word = word.trim_matches('_').to_owned();
            (!word.is_empty()).then_some(word)
        }
    }
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

/// Attributes as labels. Values of keys that become one name stand together, with `;` between them.
pub fn labels<'a>(attributes: impl IntoIterator<Item = &'a KeyValue>) -> BTreeMap<String, String> {
    let mut sorted: Vec<_> = attributes.into_iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    let mut labels = BTreeMap::new();
    for KeyValue { key, value } in sorted {
        let label: &mut String = labels.entry(sanitised(key)).or_default();
        if !label.is_empty() {
            label.push(';');
        }
        label.push_str(&value.to_string());
    }
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

    fn name(name: &'static str, unit: &'static str, of: Type) -> String {
        family(&Instrument { name: name.into(), unit: unit.into(), description: "".into() }, of).0
    }

    #[test]
    fn names_get_the_words_of_their_units() {
        for (otel, unit, of, expected) in [
            ("http.server.request.duration", "s", Type::Histogram, "http_server_request_duration_seconds"),
            ("http.server.active_requests", "{request}", Type::Gauge, "http_server_active_requests"),
            ("process.memory.usage", "By", Type::Gauge, "process_memory_usage_bytes"),
            ("process.cpu.time", "s", Type::Counter, "process_cpu_time_seconds"),
            ("orders.total", "{order}", Type::Counter, "orders"),
            ("load", "1", Type::Gauge, "load_ratio"),
            ("wait_seconds", "s", Type::Gauge, "wait_seconds"),
            ("2nd/try", "", Type::Gauge, "_2nd_try"),
            ("speed", "km/h", Type::Gauge, "speed_km_h"),
        ] {
            assert_eq!(name(otel, unit, of), expected, "{otel}");
        }
    }

    #[test]
    fn labels_of_one_name_stand_together() {
        let attributes = ["a.b", "a_b", "c"].map(|key| KeyValue::new(key, key));
        let labels = labels(&attributes);
        assert_eq!(labels["a_b"], "a.b;a_b");
        assert_eq!(labels["c"], "c");
    }
}
