//! The services, the routes and the attributes of a file, where one of them is asked for: what is said when
//! the one that is asked for is not there.

use std::collections::BTreeSet;

use crate::error::{did_you_mean, quote};
use crate::telemetry::choice::{Attributes, Choice};
use crate::telemetry::record::{Resource, SpanRecord, Value};

/// Names that are kept of a file, of each kind.
const KEPT: usize = 1_000;

/// Names of one kind, as far as they are asked for.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    /// The one that is asked for is among them.
    is_met: bool,
}

pub struct Names {
    services: Known,
    /// Services that roots are asked for by, of which no span was seen.
    missing: BTreeSet<String>,
    routes: Known,
    attributes: Attributes,
}

impl Names {
    /// Nothing has been seen yet of what is asked for.
    pub fn of(choice: &Choice) -> Self {
        let attributes = Attributes::of(choice);
        let missing = choice.roots.iter().chain(&choice.not_roots).cloned().collect();
        Self { services: Known::default(), missing, routes: Known::default(), attributes }
    }

    pub fn add(&mut self, span: &SpanRecord, resource: &Resource, choice: &Choice) {
        if choice.service.is_some() {
            self.services.is_met |= choice.is_of_service(resource);
            self.services.add(&resource.service);
        }
        if !self.missing.is_empty() {
            self.missing.remove(&*resource.service);
            self.services.add(&resource.service);
        }
        if choice.route.is_some() {
            self.routes.is_met |= choice.is_of_route(span);
            if let Some(Value::Text(route)) = span.attributes.get("http.route") {
                self.routes.add(route);
            }
        }
        self.attributes.add(span, resource);
    }

    /// A sentence for each name that is asked for and is not there.
    pub fn notes(&self, choice: &Choice) -> Vec<String> {
        let service = choice.service.as_ref().and_then(|name| self.services.note("service", name));
        let roots = self.missing.iter().map(|name| self.services.missing("service", name));
        let route = choice.route.as_ref().and_then(|name| self.routes.note("route", name));
        service.into_iter().chain(roots).chain(route).chain(self.attributes.notes()).collect()
    }
}

impl Known {
    fn add(&mut self, name: &str) {
        if self.names.len() < KEPT && !self.names.contains(name) {
            self.names.insert(name.to_owned());
        }
    }

    fn note(&self, kind: &str, wanted: &str) -> Option<String> {
        (!self.is_met).then(|| self.missing(kind, wanted))
    }

    fn missing(&self, kind: &str, wanted: &str) -> String {
        let known = did_you_mean(wanted, &format!("{kind}s"), self.names.iter().map(String::as_str));
        format!("no span of the file is of {kind} {}: {known}", quote(wanted))
    }
}
