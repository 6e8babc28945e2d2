//! What spans and metrics say of topics, by the semantic conventions 1.44 ("Semantic conventions for
//! messaging spans", "Semantic conventions for Kafka").

use std::cell::OnceCell;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::model::{self, MessagingSystem};
use crate::telemetry::record::{KeyValue, SpanKind, Text};

use super::{Message, Receipt};

/// The longest key of a message that is an attribute: bytes.
const KEY_AT_MOST: usize = 256;

/// What clients do with a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A message is made that is sent together with others.
    Create,
    /// A message is sent.
    Send,
    /// Several messages are sent together.
    SendBatch,
    /// Messages are processed.
    Process,
}

const OPERATIONS: usize = 4;

impl Operation {
    /// `messaging.operation.name`, which begins the name of a span.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Send | Self::SendBatch => "send",
            Self::Process => "process",
        }
    }

    pub const fn kind(self) -> SpanKind {
        match self {
            Self::Create | Self::Send => SpanKind::Producer,
            Self::SendBatch => SpanKind::Client,
            Self::Process => SpanKind::Consumer,
        }
    }
}

/// What all spans of an operation have in common.
#[derive(Clone, Debug)]
pub struct Described {
    /// `send order-events`.
    pub name: Text,
    pub attributes: Arc<[KeyValue]>,
}

/// Those of one topic, or of one group, each made when it is first asked for.
#[derive(Debug, Default)]
pub(super) struct Conventions([OnceCell<Described>; OPERATIONS]);

impl Conventions {
    pub fn get(&self, topic: &model::Topic, operation: Operation, group: Option<&str>) -> Described {
        self.0[operation as usize].get_or_init(|| described(topic, operation, group)).clone()
    }
}

fn described(topic: &model::Topic, operation: Operation, group: Option<&str>) -> Described {
    let text = |text: &str| Text::Shared(text.into());
    let mut attributes = vec![
        KeyValue::new(attribute::MESSAGING_OPERATION_NAME, operation.name()),
        KeyValue::new(attribute::MESSAGING_OPERATION_TYPE, operation.name()),
        KeyValue::new(attribute::MESSAGING_SYSTEM, topic.system.name()),
        KeyValue::new(attribute::MESSAGING_DESTINATION_NAME, text(&topic.name)),
    ];
    attributes
        .extend(group.map(|group| KeyValue::new(attribute::MESSAGING_CONSUMER_GROUP_NAME, text(group))));
    attributes.extend([
        KeyValue::new(attribute::SERVER_ADDRESS, text(&topic.broker)),
        KeyValue::new(attribute::SERVER_PORT, topic.system.port()),
    ]);
    let name = Text::Shared(format!("{} {}", operation.name(), topic.name).into());
    Described { name, attributes: attributes.into() }
}

/// What a span says of its one message, as far as it is known: where it is.
pub fn of_message(topic: &model::Topic, message: &Message, receipt: Option<Receipt>) -> Vec<KeyValue> {
    let mut own = Vec::with_capacity(3);
    let is_kafka = topic.system == MessagingSystem::Kafka;
    if let Some(Receipt { partition, offset }) = receipt {
        own.push(KeyValue::new(attribute::MESSAGING_DESTINATION_PARTITION_ID, partition.to_string()));
        if is_kafka {
            own.push(KeyValue::new(attribute::MESSAGING_KAFKA_OFFSET, offset as i64));
        }
    }
    if is_kafka {
        let key = message.key.as_ref().filter(|key| key.len() <= KEY_AT_MOST);
        let key = key.and_then(|key| std::str::from_utf8(key).ok());
        own.extend(key.map(|key| KeyValue::new(attribute::MESSAGING_KAFKA_MESSAGE_KEY, key.to_owned())));
    } else {
        own.push(KeyValue::new(attribute::MESSAGING_MESSAGE_ID, format!("{:016x}", message.draws.draw())));
    }
    own
}
