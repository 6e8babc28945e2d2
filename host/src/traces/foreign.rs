//! What a file of traces is that has no OTLP as JSON: other formats, by their names and with a way to OTLP.

use std::iter;

use serde::Deserialize;
use serde::de::IgnoredAny;

/// How a file of the truth begins ([`crate::truth::Record::Run`]).
const TRUTH: &str = r#"{"record":"run","#;

/// Characters at the beginning of a text that tell whether it is one.
const BEGINNING: usize = 1_000;

/// What a text is in place of OTLP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Foreign {
    /// What --truth has written.
    Truth,
    /// An export of Jaeger's user interface, or an answer of its query API.
    Jaeger,
    /// A list of Zipkin's spans (version 2 of its API).
    Zipkin,
    /// OTLP with ids that are neither hexadecimal nor base64.
    StrangeIds,
    /// Protobuf, compressed records, or text that is not UTF-8.
    Binary,
    #[default]
    Unknown,
}

/// The keys of a document that tell what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    resource_spans: Option<IgnoredAny>,
    data: Option<IgnoredAny>,
    spans: Option<IgnoredAny>,
    #[serde(rename = "traceID")]
    jaeger_id: Option<IgnoredAny>,
    trace_id: Option<IgnoredAny>,
    id: Option<IgnoredAny>,
    local_endpoint: Option<IgnoredAny>,
}

impl Foreign {
    /// What a text is that is no OTLP.
    pub fn of(text: &str) -> Self {
        if text.starts_with(TRUTH) {
            return Self::Truth;
        }
        // Logs have colours, and programs ring the bell.
        let is_of_text = |c: char| c.is_whitespace() || matches!(c, '\u{1b}' | '\u{7}' | '\u{8}');
        let is_strange = |c: char| c == char::REPLACEMENT_CHARACTER || c.is_control() && !is_of_text(c);
        if text.chars().take(BEGINNING).any(is_strange) {
            return Self::Binary;
        }
        let Ok(document) = serde_json::from_str::<Document>(text) else { return Self::Unknown };
        let has_ids = document.data.is_some() && text.contains("\"traceID\"");
        if has_ids || document.jaeger_id.is_some() && document.spans.is_some() {
            Self::Jaeger
        } else if document.trace_id.is_some() && (document.local_endpoint.is_some() || document.id.is_some())
        {
            Self::Zipkin
        } else if document.resource_spans.is_some() && ids(text).any(|id| !is_hexadecimal(id)) {
            Self::StrangeIds
        } else {
            Self::Unknown
        }
    }

    /// How a sentence ends that says that there is no OTLP.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Truth | Self::Unknown => "",
            Self::Jaeger => ": it has traces as Jaeger exports them",
            Self::Zipkin => ": it has spans of Zipkin",
            Self::Binary => ": it is no text in UTF-8",
            Self::StrangeIds => ": the ids of its traces are neither hexadecimal nor base64",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Truth => "this is the truth of a run, as --truth writes it: name the file of its --out",
            Self::Jaeger => {
                "record the spans as OTLP: a Collector with the receivers otlp or jaeger writes them with its file \
                 exporter"
            }
            Self::Zipkin => {
                "record the spans as OTLP: a Collector with the receiver zipkin writes them with its file exporter"
            }
            Self::Binary => {
                "write JSON in UTF-8: the Collector's file exporter with format: json and without compression; a whole \
                 file may be compressed by gzip or zstd"
            }
            Self::StrangeIds => "write trace ids and span ids in hexadecimal, as OTLP's JSON has them",
            Self::Unknown => {
                "name a file that --out has written; of one that is cut off, whole lines are read"
            }
        }
    }
}

/// The ids of traces in a text.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    iter::from_fn(move || {
        let (_, behind) = rest.split_once("\"traceId\"")?;
        rest = behind;
        let (id, _) =
            behind.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(id)
    })
}

fn is_hexadecimal(id: &str) -> bool {
    id.bytes().all(|byte| byte.is_ascii_hexdigit())
}
