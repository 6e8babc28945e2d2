//! What strikes messages between two services.

use super::super::super::distribution::show_distribution;
use super::super::super::key::{Key, Required, Usual};
use super::super::super::shapes::{By, Choice, Count};
use super::super::super::types::{BANDWIDTH, POSITIVE_DISTRIBUTION, TIME};
use super::super::super::units::show_size;
use super::LooksAt::Requests;
use super::topic::at_topic;
use super::{DIRECTIONS, Declaration, Keys, Read, Stores};
use crate::model::{Direction, Distribution, Effect, Nanos, NetworkFault, TopicFault};

pub(super) static KINDS: [Declaration; 5] = [
    Declaration::new(Requests, "partition", "a switch, a route or a security group", &[&PARTED], partition),
    Declaration::new(
        Requests,
        "loss",
        "a bad cable, a congested queue",
        &[&LOST, &RETRANSMIT, &ATTEMPTS],
        loss,
    ),
    Declaration::new(Requests, "duplicate", "a proxy or a client that sends again", &[], |keys| {
        match keys.stores {
            Stores::Topics(_) => at_topic(keys, TopicFault::Duplicate, String::new()),
            _ => Read::plain(Effect::Network(NetworkFault::Duplicate)),
        }
    })
    .in_topics(),
    Declaration::new(Requests, "bandwidth", "a thin or shared link", &[&BYTES], bandwidth).by_magnitude(),
    Declaration::new(Requests, "jitter", "a busy switch, a long way", &[&DELAY], jitter).by_magnitude(),
];

static PARTED: Key<Choice<Direction>, Usual> = Key {
    name: "on",
    of: DIRECTIONS,
    absent: Usual("\"both\""),
    says: "`\"request\"`: nothing gets there; `\"response\"`: the callee works, and its answers are lost",
};

fn partition(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.read(&PARTED)?;
    Read::plain(Effect::Network(NetworkFault::Partition { on }))
}

static LOST: Key<Choice<Direction>, Usual> =
    Key { name: "on", of: DIRECTIONS, absent: Usual("\"both\""), says: "the messages that may be lost" };

/// TCP's least time until it sends again is `TCP_RTO_MIN` of Linux.
static RETRANSMIT: Key<By<Nanos>, Usual> = Key {
    name: "retransmit",
    of: TIME,
    absent: Usual("\"200ms\""),
    says: "the time until a lost message is sent again; twice as long after each further loss",
};

/// Six are `tcp_syn_retries` of Linux, fifteen `tcp_retries2`.
static ATTEMPTS: Key<Count, Usual> = Key {
    name: "attempts",
    of: Count(1, 15),
    absent: Usual("6"),
    says: "after this many losses of one message the connection is reset",
};

fn loss(keys: &Keys<'_, '_>) -> Option<Read> {
    let (on, retransmit, attempts) = (keys.read(&LOST), keys.read(&RETRANSMIT), keys.read(&ATTEMPTS));
    let loss = NetworkFault::Loss { on: on?, retransmit: retransmit?, attempts: attempts? };
    Read::plain(Effect::Network(loss))
}

static BYTES: Key<By<u64>, Required> = Key {
    name: "rate",
    of: BANDWIDTH,
    absent: Required("say what the link carries: rate = \"1MiB/s\" or rate = \"10Mbit/s\""),
    says: "what the link carries; a message has the bytes of its body and headers",
};

fn bandwidth(keys: &Keys<'_, '_>) -> Option<Read> {
    let bytes_per_second = keys.read(&BYTES)?;
    let detail = format!(" of {}/s", show_size(bytes_per_second));
    Read::detailed(Effect::Network(NetworkFault::Bandwidth { bytes_per_second }), detail)
}

static DELAY: Key<By<Distribution>, Required> = Key {
    name: "delay",
    of: POSITIVE_DISTRIBUTION,
    absent: Required(
        "say how much longer messages take: delay = { uniform = { min = \"0ms\", max = \"20ms\" } }",
    ),
    says: "how much longer a message takes, drawn once for the request and once for the response",
};

fn jitter(keys: &Keys<'_, '_>) -> Option<Read> {
    let delay = keys.read(&DELAY)?;
    let detail = format!(" of {}", show_distribution(&delay));
    Read::detailed(Effect::Network(NetworkFault::Jitter { delay }), detail)
}
