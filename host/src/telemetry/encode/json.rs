//! Records as lines of OTLP JSON (OTLP 1.x, "JSON Protobuf Encoding"; OTLP File Exporter).
//!
//! A line is one `TracesData`, `LogsData`, …. Fields that are empty or zero are left out,
//! as proto3's JSON mapping allows.

use std::collections::BTreeMap;

use opentelemetry_semantic_conventions::SCHEMA_URL;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::{Encode, SCOPE_VERSION, sorted};
use crate::error::INFALLIBLE;
use crate::telemetry::record::{KeyValue, Resource, ResourceId, Scope, Value};

/// The longest line, in bytes, with its end. The Collector's `otlpjsonfile` receiver leaves
/// out those of 1 MiB and more, and says nothing (`max_log_size` of its file reader).
pub const LINE_BYTES: usize = (1 << 20) - (4 << 10);

/// What closes the list of a scope's records and the scope, the list of a resource's
/// scopes and the resource, and the line.
const CLOSE_SCOPE: &str = "],\"schemaUrl\":";
const CLOSE_LINE: &str = "]}\n";

/// A line that is being put together.
struct Line<'a, F> {
    text: Vec<u8>,
    items: usize,
    /// What the last record stands below.
    open: Option<(ResourceId, Scope)>,
    resources: &'a [Resource],
    lists: [&'static str; 3],
    sink: F,
}

/// Writes records as lines of at most `longest` bytes, and gives each to `sink` with its
/// number of [items](Encode::items). A record that is longer alone has a longer line to
/// itself.
pub fn lines<R: Encode>(
    records: &[R],
    resources: &[Resource],
    longest: usize,
    sink: impl FnMut(&[u8], usize),
) {
    let mut line = Line { text: Vec::new(), items: 0, open: None, resources, lists: R::LISTS, sink };
    let mut scratch = Vec::new();
    for record in sorted(records) {
        let origin = record.origin();
        scratch.clear();
        write(&mut scratch, &Fields(record));
        let before = (line.text.len(), line.open);
        line.open(origin);
        if before.1.is_some() && line.text.len() + scratch.len() + line.closing() > longest {
            // Not on this line: what was opened for it goes again.
            line.text.truncate(before.0);
            line.open = before.1;
            line.end();
            line.open(origin);
        }
        line.text.extend_from_slice(&scratch);
        line.items += record.items();
    }
    line.end();
}

impl<F: FnMut(&[u8], usize)> Line<'_, F> {
    /// Opens the lists that a record of this origin stands in, and closes others.
    fn open(&mut self, (resource, scope): (ResourceId, Scope)) {
        let [resources, scopes, records] = self.lists;
        let same_resource = self.open.is_some_and(|(open, _)| open == resource);
        if self.open == Some((resource, scope)) {
            self.text.push(b',');
            return;
        }
        if self.open.is_some() {
            self.close_scope();
        }
        if same_resource {
            self.text.push(b',');
        } else {
            match self.open {
                Some(_) => {
                    self.close_scope();
                    self.text.push(b',');
                }
                None => self.push(&format!("{{\"{resources}\":[")),
            }
            self.push("{\"resource\":{\"attributes\":");
            write(&mut self.text, &AttributeList(&self.resources[resource.0 as usize].attributes));
            self.push(&format!("}},\"{scopes}\":["));
        }
        let (name, version) = (scope.name(), SCOPE_VERSION);
        self.push(&format!("{{\"scope\":{{\"name\":\"{name}\",\"version\":\"{version}\"}},\"{records}\":["));
        self.open = Some((resource, scope));
    }

    /// Ends a list and the object around it, of a scope as of a resource.
    fn close_scope(&mut self) {
        self.push(CLOSE_SCOPE);
        write(&mut self.text, SCHEMA_URL);
        self.text.push(b'}');
    }

    /// Bytes that [`end`](Self::end) adds.
    fn closing(&self) -> usize {
        2 * (CLOSE_SCOPE.len() + SCHEMA_URL.len() + 3) + CLOSE_LINE.len()
    }

    fn end(&mut self) {
        if self.open.is_some() {
            self.close_scope();
            self.close_scope();
            self.push(CLOSE_LINE);
            (self.sink)(&self.text, self.items);
        }
        self.text.clear();
        (self.items, self.open) = (0, None);
    }

    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }
}

fn write(text: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(text, value).expect(INFALLIBLE);
}

struct Fields<'a, R>(&'a R);

impl<R: Encode> Serialize for Fields<'_, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.0.fields(&mut map)?;
        map.end()
    }
}

/// A field, where it has a value.
pub fn entry<M: SerializeMap>(map: &mut M, key: &str, value: Option<impl Serialize>) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(key, &value))
}

/// A number, unless it is the default of its field.
pub fn above_zero(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

/// A number or an id as a JSON string.
pub struct Shown<'a>(pub std::fmt::Arguments<'a>);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A `double`, which may be one of the numbers that JSON does not have.
pub struct Double(pub f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value => serializer.serialize_str(not_finite(value)),
        }
    }
}

/// Attributes, as OTLP lists them.
pub struct AttributeList<'a>(pub &'a [KeyValue]);

impl Serialize for AttributeList<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Pair))
    }
}

/// A `KeyValue`.
pub struct Pair<'a>(pub &'a KeyValue);

impl Serialize for Pair<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", &*self.0.key)?;
        map.serialize_entry("value", &self.0.value)?;
        map.end()
    }
}

/// A text as an `AnyValue`.
pub struct Body<'a>(pub &'a str);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        one(serializer, "stringValue", self.0)
    }
}

/// An `AnyValue`.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => one(serializer, "stringValue", &**text),
            Self::Bool(value) => one(serializer, "boolValue", value),
            Self::Int(value) => one(serializer, "intValue", &Shown(format_args!("{value}"))),
            Self::Float(value) if !value.is_finite() => one(serializer, "stringValue", not_finite(*value)),
            Self::Float(value) => one(serializer, "doubleValue", value),
            Self::Texts(texts) => one(serializer, "arrayValue", &array(texts.iter().map(|text| Body(text)))),
            Self::Ints(ints) => one(serializer, "arrayValue", &array(ints.iter().map(|int| Self::Int(*int)))),
        }
    }
}

fn one<S: Serializer>(
    serializer: S,
    key: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}

/// An `ArrayValue`, also where it is empty: Rust's readers want its list.
fn array<V: Serialize>(values: impl Iterator<Item = V>) -> impl Serialize {
    BTreeMap::from([("values", values.collect::<Vec<_>>())])
}

/// JSON has no such numbers: the text that proto3's JSON mapping of `double` has for them.
pub fn not_finite(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}
