//! What a real Prometheus makes of simhost's metrics: it scrapes a run, or takes what the run sends, and is
//! asked back over its HTTP API.
//!
//! `.ci/run prometheus` gets one; without it these tests say so and pass. `SIMHOST_PROMETHEUS` names
//! another binary, which then has to exist.

mod received;
mod scraped;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::program::{Program, find, get};

/// A Prometheus for one test.
struct Prometheus {
    program: Program,
    address: SocketAddr,
}

/// What an instant vector has for one series: its labels and its value.
type Series = (BTreeMap<String, String>, f64);

impl Prometheus {
    fn start(binary: &Path, configuration: &str, flags: &[&str]) -> Self {
        let (program, [address]) = Program::start("/-/ready", |folder, [address]| {
            let file = folder.join("prometheus.yml");
            fs::write(&file, configuration).expect("a configuration");
            let mut command = Command::new(binary);
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
                .arg(format!("--web.listen-address={address}"))
                .args(["--enable-feature=exemplar-storage"])
                .args(flags);
            command
        });
        Self { program, address }
    }

    /// The `data` of an answer of its API.
    fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let parameters: Vec<_> =
            parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let target = format!("/api/v1/{path}?{}", parameters.join("&"));
        let (status, body) = get(self.address, &target).expect("Prometheus answers");
        assert_eq!(status, 200, "{target}: {body}");
        let mut answer: Value = serde_json::from_str(&body).expect("an answer in JSON");
        answer["data"].take()
    }

    /// The instant vector of an expression, at the present or at an instant: seconds since the epoch.
    fn query(&self, expression: &str, at: Option<f64>) -> Vec<Series> {
        let at = at.map(|at| format!("{at:.3}"));
        let time = at.as_ref().map(|at| ("time", at.as_str()));
        let parameters: Vec<_> = [("query", expression)].into_iter().chain(time).collect();
        let data = self.ask("query", &parameters);
        let vector = data["result"].as_array().unwrap_or_else(|| panic!("no vector: {data}"));
        vector.iter().map(|series| (labels(&series["metric"]), value(&series["value"][1]))).collect()
    }

    /// The exemplars of a metric up to an instant, with the labels of their series: seconds since the epoch.
    fn exemplars(&self, metric: &str, end: f64) -> Vec<(BTreeMap<String, String>, Exemplar)> {
        let end = format!("{end:.3}");
        let all = self.ask("query_exemplars", &[("query", metric), ("start", "0"), ("end", &end)]);
        let mut exemplars = Vec::new();
        for series in all.as_array().expect("a list") {
            for exemplar in series["exemplars"].as_array().expect("a list") {
                let mut ids = labels(&exemplar["labels"]);
                let mut id = |name: &str| ids.remove(name).unwrap_or_else(|| panic!("no {name}: {exemplar}"));
                let exemplar =
                    Exemplar { trace: id("trace_id"), span: id("span_id"), value: value(&exemplar["value"]) };
                exemplars.push((labels(&series["seriesLabels"]), exemplar));
            }
        }
        exemplars
    }
}

/// A measurement that Prometheus kept, and the span that it names.
#[derive(Debug)]
struct Exemplar {
    trace: String,
    span: String,
    value: f64,
}

/// The binary to test with; none, and a line that says why, where there is none.
fn binary() -> Option<PathBuf> {
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/prometheus/usr/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = [unpacked].into_iter().chain(std::env::split_paths(&path));
    let found = find("SIMHOST_PROMETHEUS", places.map(|folder| folder.join("prometheus")));
    if found.is_none() {
        eprintln!("skipped: no Prometheus; .ci/run prometheus gets one, or set SIMHOST_PROMETHEUS");
    }
    found
}

/// `promtool`, which lies beside that binary.
pub fn promtool() -> Option<PathBuf> {
    binary().map(|binary| binary.with_file_name("promtool"))
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    let object = object.as_object().unwrap_or_else(|| panic!("no labels: {object}"));
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    object.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

/// Values are texts, because JSON has neither NaN nor infinity.
fn value(text: &Value) -> f64 {
    let value = text.as_str().and_then(|text| text.parse().ok());
    value.unwrap_or_else(|| panic!("{text} is no value"))
}

/// A text as part of a query.
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}
