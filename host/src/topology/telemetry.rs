//! `[telemetry]`: where records go, and what is not recorded.

use indexmap::IndexMap;

use super::address;
use super::reader::Value;
use crate::error::{Problem, quote};
use crate::model::{Otlp, Protocol, Telemetry};

const PROTOCOLS: [(&str, Protocol); 2] =
    [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)];

const COMPRESSIONS: [(&str, bool); 2] = [("gzip", true), ("none", false)];

/// Paths that get no spans when the file does not say.
const EXCLUDE: &str = "/health";

/// `[telemetry]`.
pub(super) fn telemetry(telemetry: Option<Value<'_>>) -> Telemetry {
    let table = telemetry.and_then(|value| value.table("[telemetry]"));
    let [otlp, exclude, label_faults] =
        table.map(|table| table.keys(["otlp", "exclude", "label-faults"])).unwrap_or_default();
    let label_faults = label_faults.and_then(|value| value.flag()).unwrap_or(false);
    let exclude = match exclude {
        Some(value) => value.list().unwrap_or_default().iter().filter_map(excluded).collect(),
        None => vec![EXCLUDE.to_owned()],
    };
    Telemetry { otlp: otlp.and_then(|value| read_otlp(&value)), exclude, label_faults }
}

/// A path that gets no spans. It is compared as a whole: what looks like a pattern is none.
fn excluded(value: &Value<'_>) -> Option<String> {
    let path = value.read(address::path)?;
    if path.contains(['*', '{', '}']) {
        let problem = Problem::new(format!("{} excludes this very path only", quote(&path)));
        let help =
            "a path is compared as a whole, without patterns: list each one, as in \"/health\", \"/ready\"";
        value.doubt(problem.label("taken literally").help(help));
    }
    Some(path)
}

fn read_otlp(value: &Value<'_>) -> Option<Otlp> {
    let table = value.table("otlp")?;
    let [endpoint, protocol, headers, compression] =
        table.keys(["endpoint", "protocol", "headers", "compression"]);
    let endpoint = table.need("endpoint", endpoint, "write endpoint = \"http://localhost:4317\"");
    let endpoint = endpoint.and_then(|value| value.read(address::endpoint));
    let protocol = match protocol {
        Some(value) => value.choice("protocol", &PROTOCOLS),
        None => Some(Protocol::default()),
    };
    let headers = headers.map(|value| read_headers(&value)).unwrap_or_default();
    let gzip = compression.is_some_and(|value| value.choice("compression", &COMPRESSIONS) == Some(true));
    Some(Otlp { endpoint: endpoint?, protocol: protocol?, headers, gzip })
}

/// Header fields, in lower case as gRPC wants them.
fn read_headers(value: &Value<'_>) -> IndexMap<String, String> {
    let mut headers = IndexMap::new();
    let Some(table) = value.table("headers") else { return headers };
    for entry in table.entries() {
        let name = entry.key.to_ascii_lowercase();
        let Some(text) = entry.text() else { continue };
        let problem = if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
            Some(("has a name that cannot be sent", "write a name such as \"x-tenant\""))
        } else if text.bytes().any(|byte| !(byte.is_ascii_graphic() || byte == b' ')) {
            Some(("has a value that cannot be sent", "header values are plain ASCII text on one line"))
        } else if headers.contains_key(&name) {
            Some(("is there twice", "keep one of them: case makes no difference in names of headers"))
        } else {
            None
        };
        if let Some((what, remedy)) = problem {
            let problem = Problem::new(format!("header {} {what}", quote(entry.key)));
            entry.refuse_key::<()>(problem.label("this header").help(remedy));
            continue;
        }
        headers.insert(name, text.to_owned());
    }
    headers
}
