//! Subscriptions of services whose guests do not consume their topics.

use crate::error::{Problem, did_you_mean, quote};
use crate::model::Subscription;

use super::Run;

pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    run.model.subscriptions.iter().filter_map(|subscription| problem(run, subscription)).collect()
}

fn problem(run: &Run<'_>, subscription: &Subscription) -> Option<Problem> {
    let service = run.found.services[subscription.service.index()].as_ref()?;
    // What is wrong with a guest that could not be loaded has been said.
    let guest = service.guest.as_ref()?;
    let (name, topic) = (run.name(subscription.service), &run.model.topics[subscription.topic].name);
    let (message, help) = match &guest.topics {
        None => (
            format!("{name} consumes {}, and its guest does not export `consumer`", quote(topic)),
            "let another service consume it, or give this one a guest that exports `consumer`".to_owned(),
        ),
        Some(topics) if topics.is_empty() || topics.contains(topic) => return None,
        Some(topics) => (
            format!("{name} consumes {}, and its guest takes no messages of that topic", quote(topic)),
            did_you_mean(topic, "topics of the guest", topics.iter().map(String::as_str)),
        ),
    };
    Some(Problem::new(message).at(subscription.place.clone(), "consumed here").help(help))
}
