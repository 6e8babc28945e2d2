//! What strikes topics: their messages, and the groups that consume them.

use super::super::super::distribution::show_distribution;
use super::super::super::key::{Key, Required, Usual};
use super::super::super::shapes::By;
use super::super::super::types::{DISTRIBUTION, POSITIVE_DISTRIBUTION, TIME};
use super::LooksAt::{Groups, Messages};
use super::{Declaration, Keys, Read, Stores};
use crate::clock::show;
use crate::model::{Distribution, Effect, Nanos, TopicFault};

pub(super) static KINDS: [Declaration; 5] = [
    Declaration::new(
        Messages,
        "reorder-messages",
        "a client that sends again while other messages are on their way",
        &[&WINDOW],
        reorder,
    ),
    Declaration::new(Messages, "late-messages", "a broker that waits for a slow copy", &[&BY], late)
        .by_magnitude(),
    Declaration::new(
        Messages,
        "lose-messages",
        "a broker that dies before its messages have a copy",
        &[],
        |keys| at_topic(keys, TopicFault::Lose, String::new()),
    ),
    Declaration::new(
        Groups,
        "consumer-pause",
        "consumers that were stopped, or wait for a lock",
        &[],
        |keys| at_topic(keys, TopicFault::Pause, String::new()),
    ),
    Declaration::new(
        Groups,
        "rebalance-storm",
        "consumers that join and leave over and over",
        &[&EVERY, &TAKES],
        rebalance,
    ),
];

/// What a fault does to the topics of its target.
pub(super) fn at_topic(keys: &Keys<'_, '_>, fault: TopicFault, detail: String) -> Option<Read> {
    let Stores::Topics(Some(topics)) = keys.stores else { return None };
    let one_of = if topics.len() > 1 { topics.clone() } else { Vec::new() };
    Read::detailed(Effect::Topic { target: topics.first()?.clone(), one_of, fault }, detail)
}

static WINDOW: Key<By<Nanos>, Required> = Key {
    name: "window",
    of: TIME,
    absent: Required("say how far messages may be overtaken: window = \"500ms\""),
    says: "how much later a message comes to its partition, at most; any time up to this has the same probability",
};

fn reorder(keys: &Keys<'_, '_>) -> Option<Read> {
    let window = keys.read(&WINDOW)?;
    at_topic(keys, TopicFault::Reorder { window }, format!(" within {}", show(window)))
}

static BY: Key<By<Distribution>, Required> = Key {
    name: "by",
    of: POSITIVE_DISTRIBUTION,
    absent: Required(
        "say how much later groups get a message: by = { uniform = { min = \"1s\", max = \"5s\" } }",
    ),
    says: "how much later groups get the message; those behind it in its partition wait for it",
};

fn late(keys: &Keys<'_, '_>) -> Option<Read> {
    let by = keys.read(&BY)?;
    let detail = format!(" by {}", show_distribution(&by));
    at_topic(keys, TopicFault::Late { by }, detail)
}

static EVERY: Key<By<Distribution>, Required> = Key {
    name: "every",
    of: POSITIVE_DISTRIBUTION,
    absent: Required("say how often the group assigns its partitions anew: every = \"10s\""),
    says: "the time from one rebalance to the next, drawn for each; the first is when the window opens",
};

/// Three seconds are `group.initial.rebalance.delay.ms` of Kafka.
static TAKES: Key<By<Distribution>, Usual> = Key {
    name: "takes",
    of: DISTRIBUTION,
    absent: Usual("\"3s\""),
    says: "how long a rebalance takes, in which the group consumes nothing",
};

fn rebalance(keys: &Keys<'_, '_>) -> Option<Read> {
    let (every, takes) = (keys.read(&EVERY), keys.read(&TAKES));
    let (every, takes) = (every?, takes?);
    let detail = format!(" every {}, for {}", show_distribution(&every), show_distribution(&takes));
    at_topic(keys, TopicFault::Rebalance { every, takes }, detail)
}
