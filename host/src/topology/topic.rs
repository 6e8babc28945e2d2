//! `[topics.NAME]`: messages that services send to one another.

use toml::de::DeValue;

use super::address;
use super::key::{Key, Optional, Usual};
use super::patterns;
use super::reader::{Table, Value};
use super::section::{Named, Section, Sub};
use super::shapes::{By, Choice, Count, Whole};
use super::types::{DISTRIBUTION, NAME, Size, TIME};
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Distribution, MessagingSystem, Nanos, Overflow, Retention, Topic};

/// Partitions of a topic.
const PARTITIONS_AT_MOST: u32 = 1_000;

/// Messages that a partition keeps.
const MESSAGES_AT_MOST: u64 = 10_000_000;

/// Bytes that a partition keeps.
const BYTES_AT_MOST: u64 = 4 << 30;

/// Bytes of one message.
const MESSAGE_AT_MOST: u64 = 64 << 20;

pub(super) static TOPICS: Key<Named, Optional> = Key {
    name: "topics",
    of: Named { of: &TOPIC, pattern: || format!("^{}$", patterns::NAME), least: 0 },
    absent: Optional("none"),
    says: "messages that services send to one another: see [topics](topics.md)",
};

static TOPIC: Section = Section {
    name: "topic",
    says: "messages, kept in partitions until they are old",
    keys: &[&SYSTEM, &BROKER, &PARTITIONS, &PUBLISH, &MESSAGE_SIZE, &RETAIN, &OVERFLOW],
    rules: &[],
};

static SYSTEM: Key<Choice<MessagingSystem>, Usual> = Key {
    name: "system",
    of: Choice { what: "messaging system", words: &MessagingSystem::ALL },
    absent: Usual("\"kafka\""),
    says: "`messaging.system` of its spans; those of `kafka` have the attributes of Kafka",
};

static BROKER: Key<By<String>, Optional> = Key {
    name: "broker",
    of: NAME,
    absent: Optional("the system"),
    says: "the broker: `server.address` of its spans, and `service.name` of its metrics",
};

static PARTITIONS: Key<Count, Usual> = Key {
    name: "partitions",
    of: Count(1, PARTITIONS_AT_MOST),
    absent: Usual("1"),
    says: "parts of it, each with an order of its own. Messages with the same key go to the same one",
};

static PUBLISH: Key<By<Distribution>, Usual> = Key {
    name: "publish",
    of: DISTRIBUTION,
    absent: Usual("{ lognormal = { median = \"2ms\", sigma = 0.3 } }"),
    says: "how long sending takes, until the broker confirms it",
};

static MESSAGE_SIZE: Key<Size, Usual> = Key {
    name: "message-size",
    of: Size(1, MESSAGE_AT_MOST),
    absent: Usual("\"1MiB\""),
    says: "bytes of one message: its key, headers and body. A larger one is refused with `too-large`",
};

static RETAIN: Key<Sub, Optional> = Key {
    name: "retain",
    of: Sub(&RETENTION),
    absent: Optional("the defaults"),
    says: "what each partition keeps",
};

static RETENTION: Section = Section {
    name: "retain",
    says: "what each partition keeps",
    keys: &[&MESSAGES, &BYTES, &AGE],
    rules: &[],
};

static MESSAGES: Key<Whole, Usual> = Key {
    name: "messages",
    of: Whole(1, MESSAGES_AT_MOST),
    absent: Usual("100000"),
    says: "messages, at most",
};

static BYTES: Key<Size, Usual> = Key {
    name: "bytes",
    of: Size(1, BYTES_AT_MOST),
    absent: Usual("\"64MiB\""),
    says: "bytes of their keys, headers and bodies, at most; one message is kept in any case",
};

static AGE: Key<By<Nanos>, Optional> =
    Key { name: "for", of: TIME, absent: Optional("any"), says: "older messages are removed" };

static OVERFLOW: Key<Choice<Overflow>, Usual> = Key {
    name: "overflow",
    of: Choice {
        what: "reaction",
        words: &[("drop-oldest", Overflow::DropOldest), ("refuse", Overflow::Refuse)],
    },
    absent: Usual("\"drop-oldest\""),
    says: "a partition that is full: `\"drop-oldest\"` removes its oldest messages; `\"refuse\"` refuses new \
           ones with `full`, and removes messages that all groups are done with",
};

/// The names of all topics, of those with a mistake too, in the order of the file.
pub(super) fn names(root: &Table<'_>) -> Vec<String> {
    let Some(value) = TOPICS.get(root) else { return Vec::new() };
    // Whether it is a table is said by who reads it.
    let DeValue::Table(table) = value.item() else { return Vec::new() };
    let mut names: Vec<_> = table.iter().map(|(key, _)| (key.span().start, key.get_ref())).collect();
    names.sort();
    names.into_iter().map(|(_, name)| name.clone().into_owned()).collect()
}

/// The topic that a value names, by its index in `names`.
pub(super) fn find(value: &Value<'_>, names: &[String]) -> Option<usize> {
    let name = value.text()?;
    if let Some(at) = names.iter().position(|known| known == name) {
        return Some(at);
    }
    let help = match names {
        [] => format!("define it: [topics.{name}]"),
        names => did_you_mean(name, "topics", names.iter().map(String::as_str)),
    };
    let problem = Problem::new(format!("unknown topic {}", quote(name)));
    value.refuse(problem.label("not defined").help(help))
}

/// `[topics]`, in the order of the file.
pub(super) fn topics(root: &Table<'_>) -> Vec<Topic> {
    let table = TOPICS.get(root).and_then(|value| value.by_name("[topics]", "{ … }"));
    let entries = table.as_ref().map(Table::entries).unwrap_or_default();
    entries.iter().filter_map(topic).collect()
}

fn topic(entry: &Value<'_>) -> Option<Topic> {
    let name = address::name(entry.key).map_err(|problem| entry.refuse_key::<()>(problem)).ok();
    let table = TOPIC.open(entry, format!("topic {}", quote(entry.key)))?;
    let (system, broker) = (SYSTEM.read(&table), BROKER.read(&table));
    let (partitions, publish) = (PARTITIONS.read(&table), PUBLISH.read(&table));
    let message_size = MESSAGE_SIZE.read(&table);
    let retain = match RETAIN.get(&table) {
        Some(_) => retention(&RETAIN.open(&table, "retain")?),
        None => Some(Retention { messages: MESSAGES.usual(), bytes: BYTES.usual(), age: None }),
    };
    let overflow = OVERFLOW.read(&table);
    let system = system?;
    Some(Topic {
        name: name?,
        system,
        broker: broker?.unwrap_or_else(|| system.name().to_owned()),
        partitions: partitions?,
        publish: publish?,
        message_size: message_size?,
        retain: retain?,
        overflow: overflow?,
        place: entry.key_place.clone(),
    })
}

fn retention(table: &Table<'_>) -> Option<Retention> {
    let (messages, bytes, age) = (MESSAGES.read(table), BYTES.read(table), AGE.read(table));
    Some(Retention { messages: messages?, bytes: bytes?, age: age? })
}
