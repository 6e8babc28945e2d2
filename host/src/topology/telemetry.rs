//! `[telemetry]`: where records go, and what is not recorded.

use indexmap::IndexMap;
use serde_json::json;

use super::address;
use super::key::{Computed, Key, Optional, Required, Usual};
use super::patterns;
use super::reader::{Table, Value};
use super::schema::text;
use super::section::{Section, Sub};
use super::shapes::{By, Choice, List, Written};
use super::types::{FLAG, SHARE};
use crate::error::{Problem, quote};
use crate::model::{NamedSampler, Otlp, Protocol, SAMPLERS, Sampling, Telemetry};

pub(super) static TELEMETRY: Key<Sub, Optional> = Key {
    name: "telemetry",
    of: Sub(&Section {
        name: "telemetry",
        says: "where spans and log records go, and what is not recorded",
        keys: &[&OTLP, &SAMPLER, &SAMPLER_ARG, &EXCLUDE, &LABEL_FAULTS, &SELF, &BODY_SIZES],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "the receiver, and what is left out",
};

static OTLP: Key<Sub, Optional> = Key {
    name: "otlp",
    of: Sub(&Section {
        name: "otlp",
        says: "a receiver of OTLP. `--otlp` and the environment override it",
        keys: &[&ENDPOINT, &PROTOCOL, &HEADERS, &COMPRESSION],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "a receiver: see [`otlp`](#otlp)",
};

static SAMPLER: Key<Choice<NamedSampler>, Optional> = Key {
    name: "sampler",
    of: Choice { what: "sampler", words: &SAMPLERS },
    absent: Optional("`\"parentbased_always_on\"`"),
    says: "which traces are kept: see [sampling](../guides/sampling.md). `OTEL_TRACES_SAMPLER` overrides it",
};

static SAMPLER_ARG: Key<By<f64>, Optional> = Key {
    name: "sampler-arg",
    of: SHARE,
    absent: Optional("`1.0`"),
    says: "the share of traces that the sampler keeps. `OTEL_TRACES_SAMPLER_ARG` overrides it",
};

static EXCLUDE: Key<List<By<String>>, Usual> = Key {
    name: "exclude",
    of: List {
        words: "a list of paths",
        of: By { words: "a path", schema: |_| text(patterns::PATH), read: |value| excluded(value) },
    },
    absent: Usual("[\"/health\"]"),
    says: "paths that get no spans",
};

static LABEL_FAULTS: Key<By<bool>, Usual> = Key {
    name: "label-faults",
    of: FLAG,
    absent: Usual("false"),
    says: "spans that a fault has struck name it: see [labels](../concepts/truth.md#labels-in-the-spans)",
};

static SELF: Key<By<bool>, Usual> = Key {
    name: "self",
    of: FLAG,
    absent: Usual("false"),
    says: "the simulator sends telemetry of its own: see [self-telemetry](../guides/self-telemetry.md)",
};

static BODY_SIZES: Key<By<bool>, Usual> = Key {
    name: "body-sizes",
    of: FLAG,
    absent: Usual("false"),
    says: "metrics of the sizes of bodies, which the conventions make opt-in: see [metrics](metrics.md#requests)",
};

/// `[telemetry]`.
pub(super) fn telemetry(root: &Table<'_>) -> Telemetry {
    match TELEMETRY.open(root, "[telemetry]") {
        Some(table) => Telemetry {
            otlp: OTLP.open(&table, "otlp").and_then(|table| otlp(&table)),
            sampling: sampling(&table),
            exclude: EXCLUDE.or_usual(&table),
            label_faults: LABEL_FAULTS.or_usual(&table),
            self_telemetry: SELF.or_usual(&table),
            body_sizes: BODY_SIZES.or_usual(&table),
        },
        None => Telemetry {
            otlp: None,
            sampling: None,
            exclude: EXCLUDE.usual(),
            label_faults: LABEL_FAULTS.usual(),
            self_telemetry: SELF.usual(),
            body_sizes: BODY_SIZES.usual(),
        },
    }
}

/// The sampler, with its share. A share without a sampler that takes one is doubtful.
fn sampling(table: &Table<'_>) -> Option<Sampling> {
    let (sampler, share) = (SAMPLER.read(table), SAMPLER_ARG.read(table));
    let (sampler, share) = (sampler?, share?);
    let takes_share = sampler.is_some_and(|sampler| sampler.kind.takes_share());
    if let Some(value) = SAMPLER_ARG.get(table).filter(|_| !takes_share) {
        let problem =
            Problem::new("sampler-arg has no effect: no sampler takes a share").label("a share of what?");
        value.doubt(problem.help("write sampler = \"parentbased_probability\", or leave sampler-arg out"));
    }
    sampler.map(|sampler| Sampling { sampler, share: share.filter(|_| takes_share) })
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

static ENDPOINT: Key<By<String>, Required> = Key {
    name: "endpoint",
    of: By { words: "a URL", schema: |_| text(patterns::URL), read: |value| value.read(address::endpoint) },
    absent: Required("write endpoint = \"http://localhost:4317\""),
    says: "of the receiver: `\"http://localhost:4317\"`",
};

const PROTOCOLS: Choice<Protocol> = Choice {
    what: "protocol",
    words: &[("grpc", Protocol::Grpc), ("http/protobuf", Protocol::HttpProtobuf)],
};

static PROTOCOL: Key<Choice<Protocol>, Computed> = Key {
    name: "protocol",
    of: PROTOCOLS,
    absent: Computed(|| PROTOCOLS.written(Protocol::default())),
    says: "the protocol of the receiver",
};

static HEADERS: Key<Written, Optional> = Key {
    name: "headers",
    of: Written {
        words: "a table of texts",
        schema: |_| json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    },
    absent: Optional("none"),
    says: "headers of each request to the receiver",
};

static COMPRESSION: Key<Choice<bool>, Usual> = Key {
    name: "compression",
    of: Choice { what: "compression", words: &[("gzip", true), ("none", false)] },
    absent: Usual("\"none\""),
    says: "of each request to the receiver",
};

fn otlp(table: &Table<'_>) -> Option<Otlp> {
    let endpoint = ENDPOINT.read(table);
    let protocol = PROTOCOL.read(table);
    let headers = HEADERS.get(table).map(|value| read_headers(&value)).unwrap_or_default();
    let gzip = COMPRESSION.read(table);
    Some(Otlp { endpoint: endpoint?, protocol: protocol?.unwrap_or_default(), headers, gzip: gzip? })
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
