//! Topics and who consumes them, as `simhost check` says it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{MessageContext, Model, OffsetReset, Overflow, Subscription, Topic};
use crate::report::words;
use crate::topology::show_distribution;

/// One topic.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TopicRow {
    pub name: String,
    /// `messaging.system` of its spans: `kafka`.
    pub system: String,
    pub broker: String,
    pub partitions: u32,
    /// How long sending takes, as `2ms`.
    pub publish: String,
    /// Bytes of one message, at most.
    pub message_bytes: u64,
    /// What each partition keeps, at most: messages, their bytes, and their age; null: of any age.
    pub retained_messages: u64,
    pub retained_bytes: u64,
    pub retained_ns: Option<u64>,
    /// Whether a full partition refuses messages; else it drops its oldest ones.
    pub refuses: bool,
}

/// One subscription: a group that consumes a topic.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SubscriptionRow {
    pub topic: String,
    pub group: String,
    pub service: String,
    /// Where the group goes on if its next message is no longer kept: `earliest` or `latest`.
    pub from: String,
    /// Messages that the guest gets at a time, at most.
    pub batch: u32,
    /// How long a batch waits for further messages.
    pub poll_ns: u64,
    /// From the broker to the replica, as `1ms`.
    pub fetch: String,
    /// Deliveries of a message, at most.
    pub attempts: u32,
    /// The wait before the second delivery, and the longest.
    pub backoff_ns: u64,
    pub max_backoff_ns: u64,
    /// The topic that gets what is given up; null: nothing does.
    pub dead_letter: Option<String>,
    /// `parent`, `link` or `none`.
    pub context: String,
    /// How long after a replica died or stood still its partitions go to others.
    pub session_timeout_ns: u64,
}

/// A topic, as the text puts it.
pub(super) fn line(topic: &Topic) -> String {
    let Topic { name, system, broker, partitions, overflow, .. } = topic;
    let at = if broker == system.name() { String::new() } else { format!(" at {broker}") };
    let full = match overflow {
        Overflow::DropOldest => "",
        Overflow::Refuse => ", refuses messages when it is full",
    };
    let partitions = words::counted(u64::from(*partitions), "partition");
    format!("topic {name}: {}{at}, {partitions}{full}", system.name())
}

/// A group, as the text puts it.
pub(super) fn group(subscription: &Subscription, model: &Model) -> String {
    let Subscription { service, group, retry, dead_letter, context, .. } = subscription;
    let mut text = format!("group {group}: {}", model.service(*service).name);
    if subscription.batch > 1 {
        text.push_str(&format!(", up to {} messages at a time", subscription.batch));
    }
    text.push_str(&format!(", {}", words::counted(u64::from(retry.attempts), "attempt")));
    if let Some(dead_letter) = dead_letter {
        text.push_str(&format!(", dead letters to {}", model.topics[*dead_letter].name));
    }
    match context {
        MessageContext::Parent => {}
        MessageContext::Link => text.push_str(", spans are linked"),
        MessageContext::None => text.push_str(", spans without context"),
    }
    text
}

impl From<&Topic> for TopicRow {
    fn from(topic: &Topic) -> Self {
        Self {
            name: topic.name.clone(),
            system: topic.system.name().to_owned(),
            broker: topic.broker.clone(),
            partitions: topic.partitions,
            publish: show_distribution(&topic.publish),
            message_bytes: topic.message_size,
            retained_messages: topic.retain.messages,
            retained_bytes: topic.retain.bytes,
            retained_ns: topic.retain.age,
            refuses: topic.overflow == Overflow::Refuse,
        }
    }
}

impl SubscriptionRow {
    pub fn of(model: &Model, subscription: &Subscription) -> Self {
        let topic = |index: usize| model.topics[index].name.clone();
        let from = match subscription.from {
            OffsetReset::Earliest => "earliest",
            OffsetReset::Latest => "latest",
        };
        let context = match subscription.context {
            MessageContext::Parent => "parent",
            MessageContext::Link => "link",
            MessageContext::None => "none",
        };
        Self {
            topic: topic(subscription.topic),
            group: subscription.group.clone(),
            service: model.service(subscription.service).name.clone(),
            from: from.to_owned(),
            batch: subscription.batch,
            poll_ns: subscription.poll,
            fetch: show_distribution(&subscription.fetch),
            attempts: subscription.retry.attempts,
            backoff_ns: subscription.retry.backoff,
            max_backoff_ns: subscription.retry.max_backoff,
            dead_letter: subscription.dead_letter.map(topic),
            context: context.to_owned(),
            session_timeout_ns: subscription.session_timeout,
        }
    }
}
