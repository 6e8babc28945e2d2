//! OTLP/JSON as the Collector writes it.

use std::collections::BTreeMap;

use serde_json::Value;

/// The exports of a file, one in a line.
pub fn exports(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}")))
        .collect()
}

/// As OTLP numbers them.
pub const SERVER: u64 = 2;
pub const CLIENT: u64 = 3;
const STATUS_ERROR: u64 = 2;

#[derive(Debug)]
pub struct Span {
    pub service: String,
    pub trace: String,
    pub id: String,
    /// Empty for the root.
    pub parent: String,
    pub name: String,
    pub kind: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    pub failed: bool,
}

impl Span {
    pub fn all(export: &Value) -> Vec<Self> {
        let mut spans = Vec::new();
        for resource in array(&export["resourceSpans"]) {
            let labels = labels(&resource["resource"]["attributes"]);
            for span in array(&resource["scopeSpans"]).iter().flat_map(|scope| array(&scope["spans"])) {
                spans.push(Self::read(&labels["service.name"], span));
            }
        }
        spans
    }

    fn read(service: &str, span: &Value) -> Self {
        Self {
            service: service.to_owned(),
            trace: text(&span["traceId"]),
            id: text(&span["spanId"]),
            parent: text(&span["parentSpanId"]),
            name: text(&span["name"]),
            kind: number(&span["kind"]),
            end: number(&span["endTimeUnixNano"]),
            failed: number(&span["status"]["code"]) == STATUS_ERROR,
        }
    }
}

/// The last data point of each series of a metric of a kind, `sum` or `histogram`, and its labels, with
/// those of its Resource. Values are cumulative.
pub fn latest<'a>(
    exports: &'a [Value],
    metric: &str,
    kind: &str,
) -> impl Iterator<Item = (BTreeMap<String, String>, &'a Value)> {
    let mut series = BTreeMap::new();
    for resource in exports.iter().flat_map(|export| array(&export["resourceMetrics"])) {
        let metrics = array(&resource["scopeMetrics"]).iter().flat_map(|scope| array(&scope["metrics"]));
        for point in metrics
            .filter(|found| found["name"] == metric)
            .flat_map(|found| array(&found[kind]["dataPoints"]))
        {
            let identity = (labels(&resource["resource"]["attributes"]), labels(&point["attributes"]));
            series.insert(identity, point);
        }
    }
    series.into_iter().map(|((mut labels, of_point), point)| {
        labels.extend(of_point);
        (labels, point)
    })
}

/// The last value of each series of a counter, added up by `key`. A new series begins with a zero.
pub fn latest_sums(
    exports: &[Value],
    metric: &str,
    key: impl Fn(&BTreeMap<String, String>) -> String,
) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for (labels, point) in latest(exports, metric, "sum") {
        *sums.entry(key(&labels)).or_insert(0) += number(&point["asInt"]);
    }
    sums
}

pub fn labels(attributes: &Value) -> BTreeMap<String, String> {
    array(attributes)
        .iter()
        .map(|attribute| {
            let value = attribute["value"]
                .as_object()
                .and_then(|value| value.values().next())
                .unwrap_or(&Value::Null);
            (text(&attribute["key"]), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        })
        .collect()
}

/// OTLP/JSON leaves out what is empty or zero, and writes 64-bit numbers as text.
pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}
