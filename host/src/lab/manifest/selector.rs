//! Which spans: `{ service = "checkout", name = "POST*", status = "error" }`.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use crate::error::Problem;
use crate::telemetry::record::{Resource, SpanKind, SpanRecord};
use crate::topology::key::{Key, Optional, Type};
use crate::topology::reader::Value;
use crate::topology::schema::Defs;
use crate::topology::section::Section;
use crate::topology::shapes::{By, Choice, Written};
use crate::topology::types::TEXT;

/// Spans that match all that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    service: Option<String>,
    name: Option<String>,
    kind: Option<SpanKind>,
    failed: Option<bool>,
    /// The name of an event that they have.
    event: Option<String>,
    attributes: Vec<(String, String)>,
}

/// In place of the value of an attribute: there is none.
const ABSENT: &str = "!";

static SECTION: Section = Section {
    name: "selector",
    says: "spans that match all that is set",
    keys: &[&SERVICE, &NAME, &KIND, &STATUS, &EVENT, &ATTRIBUTES],
    rules: &[],
};

static SERVICE: Key<By<String>, Optional> =
    Key { name: "service", of: TEXT, absent: Optional("any"), says: "the service that made them" };

static NAME: Key<By<String>, Optional> =
    Key { name: "name", of: TEXT, absent: Optional("any"), says: "their name; `*` is any text" };

static KIND: Key<Choice<SpanKind>, Optional> = Key {
    name: "kind",
    of: Choice {
        what: "kind of span",
        words: &[
            ("server", SpanKind::Server),
            ("client", SpanKind::Client),
            ("internal", SpanKind::Internal),
            ("producer", SpanKind::Producer),
            ("consumer", SpanKind::Consumer),
        ],
    },
    absent: Optional("any"),
    says: "their kind",
};

static STATUS: Key<Choice<bool>, Optional> = Key {
    name: "status",
    of: Choice { what: "status", words: &[("error", true), ("ok", false)] },
    absent: Optional("any"),
    says: "whether they failed",
};

static EVENT: Key<By<String>, Optional> = Key {
    name: "event",
    of: TEXT,
    absent: Optional("any"),
    says: "the name of an event that they have, such as `\"exception\"`; `*` is any text",
};

static ATTRIBUTES: Key<Written, Optional> = Key {
    name: "attributes",
    of: Written { words: "`{ \"server.address\" = \"payment\" }`", schema: |_| json!({ "type": "object" }) },
    absent: Optional("any"),
    says: "attributes and their values as text; `*` in a value is any text, and `\"!\"` an attribute that is \
           not there",
};

/// A selector under a key.
#[derive(Debug)]
pub struct Select;

impl Type for Select {
    type Read = Selector;

    fn read(&self, value: &Value<'_>) -> Option<Selector> {
        let table = SECTION.open(value, "this selector")?;
        let (service, name) = (SERVICE.read(&table), NAME.read(&table));
        let (kind, failed) = (KIND.read(&table), STATUS.read(&table));
        let event = EVENT.read(&table);
        let attributes = ATTRIBUTES.get(&table).map(|value| {
            let table = value.table("attributes")?;
            table.entries().iter().map(|entry| Some((entry.key.to_owned(), text(entry)?))).collect()
        });
        let attributes: Option<Vec<_>> = attributes.unwrap_or(Some(Vec::new()));
        Some(Selector {
            service: service?,
            name: name?,
            kind: kind?,
            failed: failed?,
            event: event?,
            attributes: attributes?,
        })
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Borrowed("a [selector](#selectors)")
    }

    fn schema(&self, defs: &mut Defs) -> Json {
        SECTION.refer(defs)
    }
}

/// A value of an attribute, as its text.
fn text(value: &Value<'_>) -> Option<String> {
    match value.item() {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => Some(value.written().to_owned()),
        _ => value
            .refuse(Problem::new("an attribute is compared as text").label("no text").help("write \"…\"")),
    }
}

impl Selector {
    pub fn takes(&self, span: &SpanRecord, resources: &[Resource]) -> bool {
        let service = &resources[span.resource.0 as usize].service;
        let has = |(key, wanted): &(String, String)| match span.attributes.get(key) {
            Some(value) => wanted != ABSENT && matches(wanted, &value.to_string()),
            None => wanted == ABSENT,
        };
        let has_event = |wanted: &String| span.events.iter().any(|event| matches(wanted, &event.name));
        self.service.as_ref().is_none_or(|wanted| matches(wanted, service))
            && self.name.as_ref().is_none_or(|wanted| matches(wanted, &span.name))
            && self.kind.is_none_or(|kind| kind == span.kind)
            && self.failed.is_none_or(|failed| failed == span.is_error())
            && self.event.as_ref().is_none_or(has_event)
            && self.attributes.iter().all(has)
    }
}

/// In words: `client spans POST* of checkout that failed`.
impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(kind) = self.kind {
            write!(f, "{} ", kind.name())?;
        }
        f.write_str("spans")?;
        if let Some(name) = &self.name {
            write!(f, " {name}")?;
        }
        if let Some(service) = &self.service {
            write!(f, " of {service}")?;
        }
        match self.failed {
            Some(true) => f.write_str(" that failed")?,
            Some(false) => f.write_str(" that did not fail")?,
            None => {}
        }
        if let Some(event) = &self.event {
            write!(f, " with an event {event}")?;
        }
        for (key, value) in &self.attributes {
            match value.as_str() {
                ABSENT => write!(f, " without {key}")?,
                value => write!(f, " with {key} = {value}")?,
            }
        }
        Ok(())
    }
}

/// Whether a text is as a pattern says, in which `*` is any text.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(first) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some(at) = text.find(part) else { return false };
        text = &text[at + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        let all = [("POST*", "POST /a"), ("*", ""), ("a*b*c", "a-b-b-c"), ("*c", "abc"), ("abc", "abc")];
        assert!(all.iter().all(|(pattern, text)| matches(pattern, text)));
        let none = [("POST*", "GET /a"), ("a*b", "ac"), ("abc", "ab"), ("a*a", "a")];
        assert!(!none.iter().any(|(pattern, text)| matches(pattern, text)));
    }
}
