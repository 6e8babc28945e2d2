//! Answers that name a service that there is not: they are not judged, and the nearest name is told.

use std::collections::BTreeSet;

use crate::error::{did_you_mean, quote};
use crate::model::Model;

use super::answers::{Answer, NOTHING};
use super::finding::Finding;
use super::manifest::{Fact, Of, Question, Truth};

/// What is found where an answer has to name services and one of its names is none; none if it may be judged.
pub fn service(question: &Question, answer: &Answer, model: &Model) -> Option<Finding> {
    let services: BTreeSet<&str> = model.services.iter().map(|service| service.name.as_str()).collect();
    let Answer::Text(text) = answer else { return None };
    let wrong = match &question.truth {
        _ if text == NOTHING => return None,
        Truth::Fault(Fact::Service, _) | Truth::Slowest(Of::Service) => text.as_str(),
        Truth::Is(right) if services.contains(right.as_str()) => text.as_str(),
        Truth::Fault(Fact::Link, _) => {
            let (from, to) = text.split_once("->")?;
            [from.trim(), to.trim()].into_iter().find(|end| !is_called(model, &services, end))?
        }
        _ => return None,
    };
    if services.contains(wrong) {
        return None;
    }
    let form = if wrong.contains("->") { "write one name; " } else { "" };
    let help = did_you_mean(wrong, "services", services.iter().copied());
    let (wrong, key) = (quote(wrong), quote(&question.key));
    let message = format!("{wrong} in the answer to {key} is no service of the system: {form}{help}");
    Some(Finding::failed(None, "the name of a service".to_owned(), message))
}

/// Whether something of this name is called, or calls.
fn is_called(model: &Model, services: &BTreeSet<&str>, name: &str) -> bool {
    services.contains(name)
        || model.databases.iter().any(|database| *database.name == *name)
        || model.caches.iter().any(|cache| *cache.name == *name)
}
