//! Subscriptions of services whose guests do not consume their topics, or that ask more of a topic than it
//! keeps; and topics in the configuration of a guest `service` that are not there or that it does not hear
//! of.

use std::collections::BTreeSet;

use simhost_notation::{Calls, OneCall};

use crate::clock;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Code, Nanos, Place, ServiceId, Subscription};

use super::{DETAILED_AT_MOST, Run, graded};

pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let subscriptions = run.model.subscriptions.iter();
    let subscriptions = subscriptions
        .flat_map(|subscription| problem(run, subscription).into_iter().chain(beyond(run, subscription)));
    let topics = run.model.topics.iter().map(|topic| topic.name.as_str()).collect();
    let ids = (0..run.model.services.len()).map(|index| ServiceId(index as u32));
    let services = ids.flat_map(|id| scripted(run, &topics, id));
    subscriptions.chain(services).collect()
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
        Some(topics) if topics.iter().any(|taken| taken == "*" || taken == topic) => return None,
        Some(topics) => (
            format!("{name} consumes {}, and its guest takes no messages of that topic", quote(topic)),
            did_you_mean(topic, "topics of the guest", topics.iter().map(String::as_str)),
        ),
    };
    Some(Problem::new(message).at(subscription.place.clone(), "consumed here").help(help))
}

/// What a subscription asks of its topic and does not get, or of itself.
fn beyond(run: &Run<'_>, subscription: &Subscription) -> Vec<Problem> {
    let (topic, retry) = (&run.model.topics[subscription.topic], &subscription.retry);
    let (name, group) = (quote(&topic.name), quote(&subscription.group));
    let mut problems = Vec::new();
    let mut warn = |message: String, help: &str| {
        let place = subscription.place.clone();
        problems.push(Problem::warning(message).at(place, "consumed here").help(help));
    };
    let (batch, kept) = (subscription.batch, topic.retain.messages);
    if u64::from(batch) > kept {
        warn(
            format!(
                "a batch of the group {group} is never full: batch = {batch}, and a partition of {name} keeps {kept}"
            ),
            "lower batch, or raise retain.messages of the topic",
        );
    }
    if retry.attempts > 1 && retry.backoff > retry.max_backoff {
        let (first, most) = (clock::show(retry.backoff), clock::show(retry.max_backoff));
        warn(
            format!(
                "the group {group} waits {most} in place of retry.backoff = {first}: no wait is longer than max-backoff"
            ),
            "raise max-backoff, or lower backoff",
        );
    }
    let waits = (1..retry.attempts).fold(0, |sum: Nanos, attempt| sum.saturating_add(retry.wait(attempt)));
    if let Some(age) = topic.retain.age.filter(|age| *age < waits) {
        let (age, waits) = (clock::show(age), clock::show(waits));
        warn(
            format!(
                "{name} removes messages after retain.for = {age}, and the group {group} delivers those that fail for the last time after {waits}"
            ),
            "raise retain.for of the topic, or lower attempts or backoff of retry",
        );
    }
    problems
}

/// Problems of the topics in the configuration of a guest `service`.
fn scripted(run: &Run<'_>, topics: &BTreeSet<&str>, id: ServiceId) -> Vec<Problem> {
    let service = run.model.service(id);
    if !matches!(&service.code, Code::Embedded(name) if name == "service") {
        return Vec::new();
    }
    let is = |table: &str, kind| service.config.contains_key(&format!("{table}.{kind}"));
    // Instruments may have any name.
    let is_table =
        |name: &str| name != "metrics" && ["route", "job", "topic"].iter().any(|kind| is(name, kind));
    let settings = service.config.iter().zip(&service.config_places);
    let problems = settings.flat_map(|((key, text), place)| match key.rsplit_once('.') {
        Some((table, "publish")) if is_table(table) => unknown(run, topics, id, (text, place)),
        Some((table, "topic")) if is_table(table) => unheard(run, id, text, place).into_iter().collect(),
        None if key == "publish" => unknown(run, topics, id, (text, place)),
        _ => Vec::new(),
    });
    problems.collect()
}

/// Topics that it sends to and that are not there. What cannot be read is said by the guest itself.
fn unknown(
    run: &Run<'_>,
    known: &BTreeSet<&str>,
    id: ServiceId,
    (text, place): (&str, &Place),
) -> Vec<Problem> {
    let messages = Calls::parse(text).map(|calls| calls.0).unwrap_or_default();
    let is_known = |topic: &str| known.contains(topic);
    let strange = messages.into_iter().flatten().filter(|one| !is_known(&one.service));
    let problem = |(number, one): (usize, OneCall)| {
        let (name, topic) = (run.name(id), quote(&one.service));
        let problem = Problem::new(format!("{name} sends to {topic}, which is no topic of this topology"));
        let is_detailed = number < DETAILED_AT_MOST;
        let place = if is_detailed { run.within(place, &one.service) } else { place.clone() };
        let problem = problem.at(place, "no such topic");
        let names = run.model.topics.iter().map(|topic| topic.name.as_str());
        let help = is_detailed.then(|| did_you_mean(&one.service, "topics", names));
        graded(Problem { help, ..problem }, !one.is_optional && one.share > 0.0)
    };
    strange.enumerate().map(problem).collect()
}

/// A topic that it consumes, and of which it has no subscription.
fn unheard(run: &Run<'_>, id: ServiceId, topic: &str, place: &Place) -> Option<Problem> {
    let is_its = |one: &Subscription| one.service == id && run.model.topics[one.topic].name == topic;
    if run.model.subscriptions.iter().any(is_its) {
        return None;
    }
    let name = run.name(id);
    let problem =
        Problem::warning(format!("{name} gets no messages of {}: it has no subscription", quote(topic)));
    let help = format!("write [[subscriptions]] with topic = {} and service = {name}", quote(topic));
    Some(problem.at(place.clone(), "consumed here").help(help))
}
