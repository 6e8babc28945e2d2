//! Topics of a topology, and who consumes them.

use super::{Distribution, Nanos, Place, ServiceId};

/// `[topics.NAME]`: messages that services send, kept in partitions.
#[derive(Clone, Debug, PartialEq)]
pub struct Topic {
    pub name: String,
    pub system: MessagingSystem,
    /// The name of the broker that has it.
    pub broker: String,
    /// At least 1. The messages of one partition stay in order.
    pub partitions: u32,
    /// Until the broker has confirmed a message.
    pub publish: Distribution,
    /// Bytes of one message: its key, headers and body.
    pub message_size: u64,
    pub retain: Retention,
    pub overflow: Overflow,
    /// Its name in the file.
    pub place: Place,
}

/// What a partition keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub messages: u64,
    /// Of keys, headers and bodies.
    pub bytes: u64,
    /// None: however old a message is.
    pub age: Option<Nanos>,
}

/// What happens to a message for which a partition has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The oldest messages make room: a log.
    DropOldest,
    /// It is refused until every group is done with the oldest: a queue.
    Refuse,
}

/// `messaging.system` (semantic conventions, "Semantic conventions for messaging spans").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessagingSystem {
    Kafka,
    RabbitMq,
    Pulsar,
    RocketMq,
    ActiveMq,
    AwsSqs,
    GcpPubsub,
    ServiceBus,
    EventHubs,
}

impl MessagingSystem {
    /// Every system, by the name that attributes have for it.
    pub const ALL: [(&'static str, Self); 9] = [
        ("kafka", Self::Kafka),
        ("rabbitmq", Self::RabbitMq),
        ("pulsar", Self::Pulsar),
        ("rocketmq", Self::RocketMq),
        ("activemq", Self::ActiveMq),
        ("aws_sqs", Self::AwsSqs),
        ("gcp_pubsub", Self::GcpPubsub),
        ("servicebus", Self::ServiceBus),
        ("eventhubs", Self::EventHubs),
    ];

    pub const fn name(self) -> &'static str {
        Self::ALL[self as usize].0
    }

    /// Where its brokers listen.
    pub const fn port(self) -> i64 {
        match self {
            Self::Kafka | Self::EventHubs => 9092,
            Self::RabbitMq | Self::ServiceBus => 5672,
            Self::Pulsar => 6650,
            Self::RocketMq => 9876,
            Self::ActiveMq => 61616,
            Self::AwsSqs | Self::GcpPubsub => 443,
        }
    }
}

/// `[[subscriptions]]`: a group of a topic, whose members are the replicas of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscription {
    /// An index into [`Model::topics`](super::Model::topics).
    pub topic: usize,
    pub service: ServiceId,
    pub group: String,
    pub from: OffsetReset,
    /// Messages that a guest gets at a time, at most.
    pub batch: u32,
    /// How long a batch waits for further messages.
    pub poll: Nanos,
    /// From the broker to a replica.
    pub fetch: Distribution,
    pub retry: Redelivery,
    /// An index into [`Model::topics`](super::Model::topics): where messages go that are given up.
    pub dead_letter: Option<usize>,
    pub context: MessageContext,
    /// How long after a replica died or stood still its partitions go to others.
    pub session_timeout: Nanos,
    /// The topic's name in the file.
    pub place: Place,
}

/// Where a group goes on whose next message is no longer kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the oldest message that is.
    Earliest,
    /// Behind the newest.
    Latest,
}

/// When a message that failed is delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redelivery {
    /// Deliveries, the first included.
    pub attempts: u32,
    /// Before the second; each further wait is twice as long.
    pub backoff: Nanos,
    /// No wait is longer.
    pub max_backoff: Nanos,
}

impl Redelivery {
    /// How long a message waits that was delivered `attempts` times: nanoseconds.
    pub fn wait(&self, attempts: u32) -> Nanos {
        let doubled = attempts.saturating_sub(1).min(62);
        self.backoff.saturating_mul(1 << doubled).min(self.max_backoff)
    }
}

/// What the CONSUMER span has of the context in which a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageContext {
    /// It is a child of the PRODUCER span, and linked to it. Of several messages at a time it is linked only.
    Parent,
    /// It begins a trace, and is linked to the PRODUCER span.
    Link,
    /// It begins a trace, as if nothing were known.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_place_in_the_list() {
        for (name, system) in MessagingSystem::ALL {
            assert_eq!(system.name(), name);
        }
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Redelivery { attempts: 9, backoff: 3, max_backoff: 20 };
        let waits: Vec<_> = (1..7).map(|attempts| retry.wait(attempts)).collect();
        assert_eq!(waits, [3, 6, 12, 20, 20, 20]);
        assert_eq!(Redelivery { backoff: 8, max_backoff: u64::MAX, ..retry }.wait(u32::MAX), u64::MAX);
    }
}
