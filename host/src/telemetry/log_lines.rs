//! `--log-format`: the services' log records as lines, as a program writes its log.
//!
//! The names of the ids, in JSON and in text, are those of the OpenTelemetry specification,
//! "Trace Context in non-OTLP Log Formats".

use std::fmt::Write as _;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};
use tokio::time::Instant;

use super::console::text::{safe, safe_json};
use super::encode::json::{Shown, not_finite};
use super::exporter::{Account, Exporter};
use super::lines::Lines;
use super::record::{KeyValue, LogRecord, Resource, Severity, Value};
use super::signal::{Batch, Count, Signal, Signals};

/// Lines that are written with one call of the system: bytes, and one line more.
const WRITTEN_BYTES: usize = 256 << 10;

/// How a log record is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A JSON object on each line.
    #[default]
    Json,
    /// A line for a person.
    Text,
}

/// Writes log records to a file or to standard error.
#[derive(Debug)]
pub struct LogLines {
    lines: Lines,
    format: Format,
    /// Records below this severity are left out.
    least: Severity,
    buffer: Vec<u8>,
}

impl LogLines {
    /// Creates the file, or empties it; `-` is the standard output, and none the standard error.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: Option<&Path>, format: Format, least: Severity) -> io::Result<Self> {
        let lines = match path {
            Some(path) => Lines::create(path)?,
            None => Lines::new("standard error", Box::new(io::stderr())),
        };
        Ok(Self { lines, format, least, buffer: Vec::new() })
    }

    fn add(&mut self, log: &LogRecord, service: &str) {
        match self.format {
            Format::Json => {
                let line = serde_json::to_string(&Line { log, service });
                let line = line.expect("a line has only keys that are strings");
                self.buffer.extend_from_slice(safe_json(&line).as_bytes());
            }
            Format::Text => self.buffer.extend_from_slice(text(log, service).as_bytes()),
        }
        self.buffer.push(b'\n');
    }

    fn write(&mut self, records: usize) {
        if records > 0 {
            self.lines.put(&self.buffer, Count::of(Signal::Logs, records));
            self.buffer.clear();
        }
    }
}

impl Exporter for LogLines {
    fn name(&self) -> &str {
        self.lines.name()
    }

    fn takes(&self) -> Signals {
        Signals::of(&[Signal::Logs])
    }

    /// Who looks at a log wants its lines now; frames of one line would be longer than the line.
    fn wants_at_once(&self) -> bool {
        !self.lines.is_compressed()
    }

    /// A log lies beside its service: no receiver stands between.
    fn must_be_whole(&self) -> bool {
        true
    }

    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        let (mut waiting, mut skipped) = (0, 0);
        for log in &batch.logs {
            if log.severity < self.least {
                skipped += 1;
                continue;
            }
            self.add(log, &resources[log.resource.0 as usize].service);
            waiting += 1;
            if self.buffer.len() >= WRITTEN_BYTES {
                self.write(waiting);
                waiting = 0;
            }
        }
        self.write(waiting);
        self.lines.end_frame();
        self.lines.account().skipped(Count::of(Signal::Logs, skipped));
    }

    /// Nothing is held back: there is nothing to flush.
    fn flush(&mut self, _deadline: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(self.lines.account())
    }
}

/// An instant as RFC 3339 has it, in UTC and always as wide, so that lines are in the order of their texts.
fn timestamp(nanos: u64) -> String {
    let instant = Timestamp::from_nanosecond(i128::from(nanos)).expect("u64 ends in the year 2554");
    format!("{instant:.9}")
}

/// A log record as a JSON object.
struct Line<'a> {
    log: &'a LogRecord,
    service: &'a str,
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { log, service } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &timestamp(log.time))?;
        map.serialize_entry("level", log.severity.text())?;
        map.serialize_entry("service", service)?;
        map.serialize_entry("message", &*log.body)?;
        if let Some(name) = &log.event_name {
            map.serialize_entry("event_name", &**name)?;
        }
        if let Some((trace_id, span_id, _)) = log.span {
            map.serialize_entry("trace_id", &Shown(format_args!("{:032x}", trace_id.0)))?;
            map.serialize_entry("span_id", &Shown(format_args!("{:016x}", span_id.0)))?;
        }
        if !log.attributes.is_empty() {
            map.serialize_entry("attributes", &Attributes(&log.attributes))?;
        }
        map.end()
    }
}

/// Attributes as one JSON object: apart from the fields above, whose names they may have.
struct Attributes<'a>(&'a [KeyValue]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for KeyValue { key, value } in self.0 {
            match value {
                Value::Text(text) => map.serialize_entry(&**key, &**text)?,
                Value::Bool(value) => map.serialize_entry(&**key, value)?,
                Value::Int(value) => map.serialize_entry(&**key, value)?,
                // JSON has no other numbers.
                Value::Float(value) if !value.is_finite() => {
                    map.serialize_entry(&**key, not_finite(*value))?
                }
                Value::Float(value) => map.serialize_entry(&**key, value)?,
                Value::Texts(values) => map.serialize_entry(&**key, values)?,
                Value::Ints(values) => map.serialize_entry(&**key, values)?,
            }
        }
        map.end()
    }
}

/// A log record as a line for a person.
fn text(log: &LogRecord, service: &str) -> String {
    let time = timestamp(log.time);
    let level = log.severity.text();
    let mut line = format!("{time} {level:<5} {} {}", safe(service, true), safe(log.body.trim_end(), true));
    let mut add = |key: &str, value: &str| {
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=' | '\\');
        let key = safe(&key.replace(is_odd, "_"), true);
        // Before control characters are escaped, so that no other backslash looks like one of theirs.
        let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
        let value = safe(&quoted, true);
        // A String takes whatever is written to it.
        let _ = match quoted.is_empty() || quoted.contains(is_odd) {
            true => write!(line, " {key}=\"{value}\""),
            false => write!(line, " {key}={value}"),
        };
    };
    for KeyValue { key, value } in &log.attributes {
        add(key, &value.to_string());
    }
    if let Some((trace_id, span_id, _)) = log.span {
        add("trace_id", &trace_id.to_string());
        add("span_id", &span_id.to_string());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::record::{ResourceId, Scope};

    fn record(attributes: Vec<KeyValue>) -> LogRecord {
        LogRecord {
            resource: ResourceId(0),
            scope: Scope::Guest,
            time: 0,
            severity: Severity::Info,
            body: "done".into(),
            event_name: None,
            attributes,
            span: None,
        }
    }

    /// What of a text line comes after the message.
    fn attributes(attributes: Vec<KeyValue>) -> String {
        text(&record(attributes), "front").split_once("done ").expect("attributes").1.to_owned()
    }

    #[test]
    fn a_json_line_has_nothing_that_a_terminal_obeys_and_means_the_same() {
        let odd = "\u{202e} rtl \u{2028} ls \u{85} nel \u{9b}31m \x1b[31m";
        let lines = Lines::new("a test", Box::new(io::sink()));
        let mut lines = LogLines { lines, format: Format::Json, least: Severity::Trace, buffer: Vec::new() };
        let log = LogRecord { body: odd.into(), ..record(vec![KeyValue::new(odd.to_owned(), odd)]) };
        lines.add(&log, odd);
        let line = std::str::from_utf8(&lines.buffer).expect("text");
        assert!(line.trim_end().chars().all(|c| c.is_ascii() && !c.is_control()), "{line}");
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&value["message"], &value["attributes"][odd]), (&odd.into(), &odd.into()));
    }

    #[test]
    fn no_value_of_an_attribute_looks_like_more_than_it_is() {
        for (value, written) in [
            ("plain", "key=plain"),
            ("", r#"key="""#),
            ("two words", r#"key="two words""#),
            ("x \\", r#"key="x \\""#),
            ("C:\\new", r#"key="C:\\new""#),
            ("a\nb", r#"key="a\nb""#),
            ("\" level=ERROR", r#"key="\" level=ERROR""#),
            ("a\u{2003}b", "key=\"a\u{2003}b\""),
        ] {
            assert_eq!(attributes(vec![KeyValue::new("key", value)]), written, "{value:?}");
        }
        assert_eq!(attributes(vec![KeyValue::new("a=b \"c", 1)]), "a_b__c=1");
    }
}
