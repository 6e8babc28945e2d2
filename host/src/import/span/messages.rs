//! Spans of messages, by the conventions for messaging: those that send, receive and process them.

use crate::telemetry::record::SpanKind;

use super::super::bounds::MAX_TOPIC_NAME;
use super::super::names::Names;
use super::super::path;
use super::{Attributes, HOST, NONE, Role};

const TOPIC: [&str; 3] =
    ["messaging.destination.template", "messaging.destination.name", "messaging.destination"];
const OPERATION: [&str; 3] = ["messaging.operation.type", "messaging.operation.name", "messaging.operation"];
const GROUP: [&str; 5] = [
    "messaging.consumer.group.name",
    "messaging.kafka.consumer.group",
    "messaging.kafka.consumer_group",
    "messaging.rocketmq.client_group",
    "messaging.destination.subscription.name",
];
const PARTITION: [&str; 3] = [
    "messaging.destination.partition.id",
    "messaging.kafka.destination.partition",
    "messaging.kafka.partition",
];
const COUNT: [&str; 1] = ["messaging.batch.message_count"];
const BYTES: [&str; 2] = ["messaging.message.body.size", "messaging.message_payload_size_bytes"];
const KEY: [&str; 2] = ["messaging.kafka.message.key", "messaging.kafka.message_key"];

/// What is written of operations in the names of spans, beside the topic.
const WORDS: [&str; 12] = [
    "send", "publish", "produce", "create", "process", "consume", "deliver", "receive", "poll", "ack",
    "settle", "commit",
];

/// What a span does with messages.
pub struct Message {
    pub role: Role,
    /// See [`Role`]; none when there are too many.
    pub name: Option<u32>,
    pub messages: u16,
    pub spread: u16,
}

impl Default for Message {
    fn default() -> Self {
        Self { role: Role::Works, name: None, messages: 1, spread: 1 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Send,
    Process,
    Receive,
    Settle,
}

/// What a span does with the messages of a topic; none where it names no topic.
pub fn message(attributes: &Attributes<'_>, service: u32, names: &mut Names) -> Option<Message> {
    let kind = attributes.0.kind;
    let system = attributes.text(&["messaging.system"]);
    if system.is_none() || kind == SpanKind::Server {
        return None;
    }
    let operation = operation(attributes, kind)?;
    let called = topic(attributes)?;
    let Some(topic) = names.topic(&called) else { return Some(Message::default()) };
    let seen = names.topic_seen(topic);
    seen.system = seen.system.take().or_else(|| system.map(str::to_owned));
    let host = || attributes.text(&HOST).map(|host| host.split(':').next().unwrap_or(host).to_owned());
    seen.broker = seen.broker.take().or_else(host);
    if let Some(partition) = attributes.number(&PARTITION).and_then(|id| u32::try_from(id).ok()) {
        seen.add_partition(partition);
    }
    let count = attributes.number(&COUNT).and_then(|count| u16::try_from(count.max(1)).ok());
    let count = count.unwrap_or(1);
    let (messages, spread) = match operation {
        Operation::Create => (1, 0),
        // Those that are linked to the spans of single messages have been counted there.
        Operation::Send if kind == SpanKind::Client && !attributes.0.links.is_empty() => (0, count),
        _ => (count, count),
    };
    let (role, name) = match operation {
        Operation::Create | Operation::Send => {
            sent(attributes, messages, seen);
            (Role::Publishes, Some(topic))
        }
        Operation::Process | Operation::Receive => {
            let (is_process, rest) =
                (operation == Operation::Process, path::split_method(&attributes.0.name).1);
            let own_path = if rest.starts_with('/') { path::route(rest) } else { path::of_name(rest) };
            if is_process {
                seen.processed_by.insert(service);
            }
            let route = names.consumer(service, topic, own_path);
            if let (Some(route), Some(group)) = (route, attributes.text(&GROUP)) {
                names.add_group(route, &short(group));
            }
            (if is_process { Role::Serves } else { Role::Receives }, route)
        }
        Operation::Settle => (Role::Receives, Some(NONE)),
    };
    Some(Message { role, name, messages, spread })
}

fn sent(attributes: &Attributes<'_>, messages: u16, seen: &mut super::super::names::TopicSeen) {
    seen.sent += u64::from(messages);
    seen.keyed += if attributes.value(&KEY).is_some() { u64::from(messages) } else { 0 };
    if let Some(bytes) = attributes.number(&BYTES).and_then(|bytes| u64::try_from(bytes).ok()) {
        seen.bytes = (seen.bytes.0 + 1, seen.bytes.1.saturating_add(bytes));
    }
}

/// The operation that the attributes have, the span's name, or its kind.
fn operation(attributes: &Attributes<'_>, kind: SpanKind) -> Option<Operation> {
    let by_name = || {
        let mut words = attributes.0.name.split_whitespace();
        words.find(|word| WORDS.contains(&word.to_ascii_lowercase().as_str())).map(str::to_ascii_lowercase)
    };
    let of_attributes = attributes.text(&OPERATION).map(str::to_ascii_lowercase);
    match (kind, of_attributes.or_else(by_name).as_deref()) {
        (SpanKind::Producer, Some("create")) => Some(Operation::Create),
        (SpanKind::Producer, _) => Some(Operation::Send),
        (SpanKind::Consumer, Some("receive" | "poll")) => Some(Operation::Receive),
        (SpanKind::Consumer | SpanKind::Client, Some("ack" | "settle" | "commit" | "nack" | "complete")) => {
            Some(Operation::Settle)
        }
        (SpanKind::Consumer, _) => Some(Operation::Process),
        (SpanKind::Client, Some("receive" | "poll")) => Some(Operation::Receive),
        (SpanKind::Client, Some("process" | "consume")) => Some(Operation::Process),
        (SpanKind::Client, _) => Some(Operation::Send),
        _ => None,
    }
}

/// The topic that the attributes name, or the span's name beside its operation: `send orders`.
fn topic(attributes: &Attributes<'_>) -> Option<String> {
    if let Some(topic) = attributes.text(&TOPIC) {
        return Some(short(topic));
    }
    let words: Vec<&str> = attributes.0.name.split_whitespace().collect();
    let is_operation = |word: &str| WORDS.contains(&word.to_ascii_lowercase().as_str());
    match words[..] {
        [first, topic] if is_operation(first) && !is_operation(topic) => Some(short(topic)),
        [topic, last] if is_operation(last) && !is_operation(topic) => Some(short(topic)),
        _ => None,
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TOPIC_NAME).collect()
}
