//! The attributes that a query asks for: what is said of those that nothing has.

use std::collections::BTreeSet;

use super::{Choice, Holder, renamed};
use crate::error::{did_you_mean, quote};
use crate::telemetry::record::{KeyValue, Resource, SpanRecord};

/// Names that are kept, to suggest one of them.
const KEPT: usize = 1_000;

/// Which attributes of a query the spans and their Resources have.
#[derive(Debug)]
pub struct Attributes {
    asked: Vec<Asked>,
    /// Names of what has been seen while an attribute was missing.
    of_spans: BTreeSet<String>,
    of_resources: BTreeSet<String>,
    has_spans: bool,
}

#[derive(Debug)]
struct Asked {
    holder: Holder,
    key: String,
    is_there: bool,
}

impl Attributes {
    /// Those of the query of a choice, if it has one.
    pub fn of(choice: &Choice) -> Self {
        let asked = choice.query.iter().flat_map(|query| query.attributes());
        let asked = asked.map(|(holder, key)| Asked { holder, key: key.to_owned(), is_there: false });
        Self {
            asked: asked.collect(),
            of_spans: BTreeSet::new(),
            of_resources: BTreeSet::new(),
            has_spans: false,
        }
    }

    /// Looks at a span.
    pub fn add(&mut self, span: &SpanRecord, resource: &Resource) {
        self.has_spans = true;
        if self.asked.iter().all(|asked| asked.is_there) {
            return;
        }
        let of_resource = |key: &str| resource.attributes.iter().any(|attribute| *attribute.key == *key);
        for Asked { holder, key, is_there } in &mut self.asked {
            *is_there |= match holder {
                Holder::Span => span.attributes.get(key).is_some(),
                Holder::Resource => of_resource(key),
                Holder::Either => span.attributes.get(key).is_some() || of_resource(key),
            };
        }
        keep(&mut self.of_spans, span.attributes.iter());
        keep(&mut self.of_resources, resource.attributes.iter());
    }

    /// A sentence for each attribute that is asked for and is not there.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        let missing = self.asked.iter().filter(|asked| self.has_spans && !asked.is_there);
        missing.map(|Asked { holder, key, .. }| {
            let (nothing, names) = match holder {
                Holder::Span => ("no span", vec![&self.of_spans]),
                Holder::Resource => ("no resource", vec![&self.of_resources]),
                Holder::Either => ("no span and no resource", vec![&self.of_spans, &self.of_resources]),
            };
            let renamed = renamed::others(key).find(|other| names.iter().any(|of| of.contains(*other)));
            let names = names.into_iter().flatten().map(String::as_str);
            let remedy = match renamed {
                Some(other) => format!("did you mean {}?", quote(other)),
                None => did_you_mean(key, "attributes", names),
            };
            format!("{nothing} has the attribute {}: {remedy}", quote(key))
        })
    }
}

/// Keeps names that are not there yet, while there is room.
fn keep<'a>(names: &mut BTreeSet<String>, attributes: impl Iterator<Item = &'a KeyValue>) {
    for KeyValue { key, .. } in attributes {
        if names.len() < KEPT && !names.contains(&**key) {
            names.insert(key.to_string());
        }
    }
}
