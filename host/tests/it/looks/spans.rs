//! Records of a run, as far as their looks matter: read from the lines of `--out`, which are many.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What was recorded.
#[derive(Debug, Default)]
pub struct Records {
    pub spans: Vec<Span>,
    pub logs: Vec<Log>,
}

#[derive(Debug)]
pub struct Span {
    pub service: String,
    pub version: String,
    pub id: String,
    /// Empty at the root.
    pub parent: String,
    pub name: String,
    /// As OTLP counts them: 2 is SERVER, 3 is CLIENT.
    pub kind: u32,
    pub start: u64,
    pub end: u64,
    pub failed: bool,
    /// The keys of its attributes.
    pub keys: Vec<String>,
    /// `error.type`.
    pub error: Option<String>,
    pub events: Vec<String>,
}

#[derive(Debug)]
pub struct Log {
    pub service: String,
    pub time: u64,
}

impl Span {
    pub const fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

pub fn read(lines: &str) -> Records {
    let mut records = Records::default();
    for line in lines.lines() {
        let line: Line = serde_json::from_str(line).expect("a line of OTLP");
        for of_resource in line.resource_spans {
            let (service, version) = of_resource.resource.identity();
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                records.spans.push(span.read(&service, &version));
            }
        }
        for of_resource in line.resource_logs {
            let (service, _) = of_resource.resource.identity();
            for log in of_resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                records.logs.push(Log { service: service.clone(), time: number(&log.time_unix_nano) });
            }
        }
    }
    records
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default)]
    resource_spans: Vec<OfResource>,
    #[serde(default)]
    resource_logs: Vec<OfResource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfResource {
    resource: Attributed,
    #[serde(default)]
    scope_spans: Vec<OfScope>,
    #[serde(default)]
    scope_logs: Vec<OfScope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OfScope {
    #[serde(default)]
    spans: Vec<WrittenSpan>,
    #[serde(default)]
    log_records: Vec<WrittenLog>,
}

#[derive(Deserialize)]
struct Attributed {
    #[serde(default)]
    attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
struct Attribute {
    key: String,
    #[serde(default)]
    value: BTreeMap<String, serde_json::Value>,
}

impl Attribute {
    fn text(&self) -> String {
        self.value.get("stringValue").and_then(|text| text.as_str()).unwrap_or_default().to_owned()
    }
}

impl Attributed {
    fn identity(&self) -> (String, String) {
        let get = |key: &str| {
            self.attributes
                .iter()
                .find(|attribute| attribute.key == key)
                .map(Attribute::text)
                .unwrap_or_default()
        };
        (get("service.name"), get("service.version"))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenSpan {
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    name: String,
    #[serde(default)]
    kind: u32,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    #[serde(default)]
    attributes: Vec<Attribute>,
    #[serde(default)]
    events: Vec<Named>,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Default, Deserialize)]
struct Status {
    #[serde(default)]
    code: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLog {
    time_unix_nano: String,
}

impl WrittenSpan {
    fn read(self, service: &str, version: &str) -> Span {
        const ERROR: u32 = 2;
        let error = self.attributes.iter().find(|attribute| attribute.key == "error.type");
        Span {
            service: service.to_owned(),
            version: version.to_owned(),
            id: self.span_id,
            parent: self.parent_span_id,
            name: self.name,
            kind: self.kind,
            start: number(&self.start_time_unix_nano),
            end: number(&self.end_time_unix_nano),
            failed: self.status.code == ERROR,
            error: error.map(Attribute::text),
            keys: self.attributes.into_iter().map(|attribute| attribute.key).collect(),
            events: self.events.into_iter().map(|event| event.name).collect(),
        }
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("nanoseconds")
}
