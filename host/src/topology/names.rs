//! The services of a file by name, for whatever refers to them.

use indexmap::IndexMap;

use super::reader::Value;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Service, ServiceId};

/// Where each service's name leads.
#[derive(Debug)]
pub(super) struct Names(IndexMap<String, ServiceId>);

impl Names {
    pub fn new(services: &[Service]) -> Self {
        let names = services.iter().map(|service| service.name.clone());
        Self(names.zip((0..).map(ServiceId)).collect())
    }

    /// The name of a service, in quotes.
    pub fn name(&self, id: ServiceId) -> String {
        self.0.get_index(id.index()).map(|(name, _)| quote(name)).unwrap_or_default()
    }

    pub fn get(&self, name: &str) -> Option<ServiceId> {
        self.0.get(name).copied()
    }

    /// The names, in the order of the file.
    pub fn all(&self) -> impl Iterator<Item = &str> + Clone {
        self.0.keys().map(String::as_str)
    }

    /// The service that a value names.
    pub fn find(&self, value: &Value<'_>) -> Option<ServiceId> {
        self.find_text(value, value.text()?)
    }

    /// The service of this name, which is part of a value.
    pub fn find_text(&self, value: &Value<'_>, name: &str) -> Option<ServiceId> {
        if let Some(id) = self.0.get(name) {
            return Some(*id);
        }
        let problem = Problem::new(format!("unknown service {}", quote(name))).label("no such service");
        // Without services, that is the problem. And where no problem is kept
        // any more, looking for the nearest of thousands of names is wasted.
        match self.0.is_empty() {
            true => None,
            false if value.problems().full() => value.refuse(problem),
            false => {
                let names = self.0.keys().map(String::as_str);
                value.refuse(problem.help(did_you_mean(name, "services", names)))
            }
        }
    }
}
