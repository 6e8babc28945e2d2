//! What strikes requests and the answers to them.

use serde_json::json;

use super::super::super::answer::answer;
use super::super::super::distribution::show_distribution;
use super::super::super::key::{Key, Optional, Required, Usual};
use super::super::super::reader::{Table, Value};
use super::super::super::section::{Section, Sub};
use super::super::super::service::{SETTINGS, read_attributes};
use super::super::super::shapes::{By, Choice, Count, Written};
use super::super::super::types::{
    ANY, ANY_TEXT, DISTRIBUTION, DURATION, HEADER_TABLE, POSITIVE_SHARE, RATE, TEXT, TIME,
};
use super::super::conditions::{is_pointer, json_value};
use super::LooksAt::Requests;
use super::{DIRECTIONS, Declaration, Keys, Read, Stores, cache};
use crate::error::Problem;
use crate::model::{
    CacheFault, Direction, Distribution, DoorFault, Effect, FaultEvent, Nanos, NetworkFault, Rate, SpanFault,
    WorkerFault,
};

pub(super) static KINDS: [Declaration; 8] = [
    Declaration::new(
        Requests,
        "latency",
        "a lost index, a lock, a slow disk",
        &[&DELAY, &MOMENT, &EVENT],
        latency,
    )
    .by_magnitude()
    .in_spans()
    .on_caches(),
    Declaration::new(
        Requests,
        "error",
        "an overloaded or broken dependency",
        &[&STATUS, &BODY, &JSON, &HEADERS],
        error,
    ),
    Declaration::new(Requests, "reset", "a proxy or a process that cuts connections", &[&BROKEN], reset),
    Declaration::new(Requests, "refuse", "nothing listens at the port", &[], |keys| match keys.stores {
        Stores::Caches(_) => cache::read(keys, CacheFault::Refuse, String::new()),
        _ => Read::plain(Effect::Network(NetworkFault::Refuse)),
    })
    .on_caches(),
    Declaration::new(Requests, "blackhole", "a firewall that swallows packets", &[], |keys| {
        match keys.stores {
            Stores::Caches(_) => cache::read(keys, CacheFault::Blackhole, String::new()),
            _ => Read::plain(Effect::Network(NetworkFault::Blackhole)),
        }
    })
    .on_caches(),
    Declaration::new(
        Requests,
        "corrupt",
        "a proxy or a memory that changes bytes",
        &[&CHANGED, &SHARE],
        corrupt,
    ),
    Declaration::new(Requests, "mutate", "a stale cache, a wrong value upstream", &[&CHANGED, &SET], mutate),
    Declaration::new(Requests, "rate-limit", "a quota", &[&LIMIT, &BURST, &RETRY_AFTER], rate_limit).inside(),
];

static DELAY: Key<By<Distribution>, Required> = Key {
    name: "delay",
    of: DISTRIBUTION,
    absent: Required("say how long: delay = \"350ms +/- 20ms\""),
    says: "how much longer it takes",
};

/// Where in a call the delay lies.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// On the way of a message, when no worker has the request.
    Message(Direction),
    /// When a worker has it, before the guest looks at it.
    Handler,
    /// Within the guest's spans of the name in the target.
    Span,
}

static MOMENT: Key<Choice<Moment>, Optional> = Key {
    name: "on",
    of: Choice {
        what: "moment",
        words: &[
            ("handler", Moment::Handler),
            ("request", Moment::Message(Direction::Request)),
            ("response", Moment::Message(Direction::Response)),
            ("span", Moment::Span),
        ],
    },
    absent: Optional("`\"handler\"`; `\"span\"` where the target names a `span`"),
    says: "`\"handler\"`: before the guest runs, while a worker has the request; `\"request\"`, `\"response\"`: on \
           the way there or back, without a worker; `\"span\"`: at the beginning of a span of the guest",
};

static EVENT: Key<Sub, Optional> = Key {
    name: "event",
    of: Sub(&Section {
        name: "event",
        says: "an event on a span that a delay lies in",
        keys: &[&EVENT_NAME, &ABOVE, &ATTRIBUTES],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "an event on that span, after a delay of `above` (`\"0s\"`) or more: what the service's own instrumentation \
           would record. Do not use the fault's name, or the spans give it away",
};

fn latency(keys: &Keys<'_, '_>) -> Option<Read> {
    let delay = keys.read(&DELAY);
    if let Stores::Caches(_) = keys.stores {
        for alien in [keys.get(&MOMENT), keys.get(&EVENT)].into_iter().flatten() {
            let problem = Problem::new(format!("a delay on the way to a cache takes no {}", alien.key));
            alien.refuse_key::<()>(problem.label("has no effect").help("leave it out"));
        }
        let delay = delay?;
        let detail = format!(" of {}", show_distribution(&delay));
        return cache::read(keys, CacheFault::Latency { delay }, detail);
    }
    let in_span = keys.targets.first().map(|target| target.span.is_some());
    let on = keys.read(&MOMENT).and_then(|on| match (on, keys.get(&MOMENT)) {
        (Some(on), Some(value)) => moment(&value, on, in_span),
        _ if in_span == Some(true) => Some(Moment::Span),
        _ => Some(Moment::Handler),
    });
    let event = match keys.get(&EVENT) {
        Some(value) if in_span == Some(false) => value.refuse_key(
            Problem::new("an event needs a span that it is in")
                .label("in which span?")
                .help("name one that the guest makes: target = { service = \"…\", span = \"…\" }"),
        ),
        Some(_) => EVENT.open(keys.table, "the event").and_then(|table| event(&table)).map(Some),
        None => Some(None),
    };
    let (delay, event) = (delay?, event?);
    let detail = format!(" of {}", show_distribution(&delay));
    let effect = match on? {
        Moment::Message(on) => Effect::Network(NetworkFault::Latency { delay, on }),
        Moment::Handler => Effect::Worker(WorkerFault::Latency { delay }),
        Moment::Span => Effect::Span(SpanFault::Latency { delay, event }),
    };
    Read::detailed(effect, detail)
}

/// A moment that fits to whether the targets name a span.
fn moment(value: &Value<'_>, moment: Moment, in_span: Option<bool>) -> Option<Moment> {
    match (moment, in_span) {
        (Moment::Span, Some(false)) => value.refuse(
            Problem::new("a delay within a span needs the span's name")
                .label("in which span?")
                .help("name one that the guest makes: target = { service = \"…\", span = \"…\" }"),
        ),
        (Moment::Message(_) | Moment::Handler, Some(true)) => value.refuse(
            Problem::new("the target names a span, and the delay lies elsewhere")
                .label("not in the span")
                .help("leave on out for a delay within the span, or span out of the target"),
        ),
        (moment, _) => Some(moment),
    }
}

static EVENT_NAME: Key<By<String>, Required> = Key {
    name: "name",
    of: TEXT,
    absent: Required("say what the service notices: name = \"slow-query\""),
    says: "what the service notices",
};

static ABOVE: Key<By<Nanos>, Usual> =
    Key { name: "above", of: DURATION, absent: Usual("\"0s\""), says: "shorter delays have no event" };

static ATTRIBUTES: Key<Written, Optional> =
    Key { name: "attributes", of: SETTINGS, absent: Optional("none"), says: "attributes of the event" };

/// `event = { name = "…", above = "200ms", attributes = { … } }`.
fn event(table: &Table<'_>) -> Option<FaultEvent> {
    let name = EVENT_NAME.read(table);
    let attributes = ATTRIBUTES.get(table).map(|value| read_attributes(&value)).unwrap_or_default();
    let above = ABOVE.read(table);
    Some(FaultEvent { name: name?, above: above?, attributes })
}

static STATUS: Key<Count, Required> = Key {
    name: "status",
    of: Count(400, 599),
    absent: Required("say what is answered: status = 503"),
    says: "what is answered",
};

static BODY: Key<By<String>, Optional> = Key {
    name: "body",
    of: ANY_TEXT,
    absent: Optional("the status in words"),
    says: "the answer's body, as it is",
};

static JSON: Key<Written, Optional> = Key {
    name: "json",
    of: ANY,
    absent: Optional("the status in words"),
    says: "the answer's body, as JSON; in place of `body`",
};

static HEADERS: Key<Written, Optional> =
    Key { name: "headers", of: HEADER_TABLE, absent: Optional("none"), says: "the answer's headers" };

fn error(keys: &Keys<'_, '_>) -> Option<Read> {
    let status = keys.read(&STATUS).and_then(|status| u16::try_from(status).ok());
    let answer = answer("the fault", [keys.get(&JSON), keys.get(&BODY), keys.get(&HEADERS)]);
    let ((body, headers), status) = (answer?, status?);
    let error = WorkerFault::Error { status, body: body.map(String::into_bytes), headers };
    Read::detailed(Effect::Worker(error), format!(" {status}"))
}

static BROKEN: Key<Choice<Direction>, Usual> = Key {
    name: "on",
    of: Choice {
        what: "direction",
        words: &[("request", Direction::Request), ("response", Direction::Response)],
    },
    absent: Usual("\"response\""),
    says: "`\"request\"`: the service never gets the request; `\"response\"`: it has done its work, and the answer \
           is lost",
};

fn reset(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.read(&BROKEN)?;
    Read::plain(Effect::Network(NetworkFault::Reset { on }))
}

static CHANGED: Key<Choice<Direction>, Usual> =
    Key { name: "on", of: DIRECTIONS, absent: Usual("\"response\""), says: "the messages that are changed" };

static SHARE: Key<By<f64>, Usual> = Key {
    name: "share",
    of: POSITIVE_SHARE,
    absent: Usual("0.01"),
    says: "of the body's bytes; at least one is changed. A message without a body is not changed",
};

fn corrupt(keys: &Keys<'_, '_>) -> Option<Read> {
    let (on, share) = (keys.read(&CHANGED), keys.read(&SHARE));
    Read::plain(Effect::Network(NetworkFault::Corrupt { on: on?, share: share? }))
}

const EXAMPLE: &str = "say which values are replaced: set = { \"/price\" = 0 }";

static SET: Key<Written, Required> = Key {
    name: "set",
    of: Written {
        words: "`{ \"/json/pointer\" = value }`",
        schema: |_| json!({ "type": "object", "propertyNames": { "pattern": "^/" }, "minProperties": 1 }),
    },
    absent: Required(EXAMPLE),
    says: "values by JSON pointer (RFC 6901); a field that an object lacks is added",
};

fn mutate(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.read(&CHANGED);
    let set = keys.need(&SET).and_then(|value| set(&value));
    Read::plain(Effect::Network(NetworkFault::Mutate { on: on?, set: set? }))
}

/// `set = { "/json/pointer" = value }`.
fn set(value: &Value<'_>) -> Option<Vec<(String, serde_json::Value)>> {
    let table = value.table("set")?;
    if table.entries().is_empty() {
        return value.refuse(Problem::new("set replaces nothing").label("empty").help(EXAMPLE));
    }
    let read = |entry: &Value<'_>| {
        let pointer = is_pointer(entry, entry.key);
        let value = json_value(entry);
        Some((pointer?.to_owned(), value?))
    };
    let read: Vec<_> = table.entries().iter().map(read).collect();
    read.into_iter().collect()
}

static LIMIT: Key<By<Rate>, Required> = Key {
    name: "limit",
    of: RATE,
    absent: Required("say how many requests pass: limit = \"100/s\""),
    says: "how many requests each replica lets through",
};

/// Requests that may come at once.
const BURST_AT_MOST: u32 = 1_000_000;

static BURST: Key<Count, Optional> = Key {
    name: "burst",
    of: Count(1, BURST_AT_MOST),
    absent: Optional("the limit of one second"),
    says: "the size of the token bucket, which is full at the beginning: this many requests may come at once",
};

static RETRY_AFTER: Key<By<Nanos>, Optional> = Key {
    name: "retry-after",
    of: TIME,
    absent: Optional("none"),
    says: "the answer's `Retry-After`, in whole seconds, rounded up",
};

fn rate_limit(keys: &Keys<'_, '_>) -> Option<Read> {
    let (per_second, burst, retry_after) = (keys.read(&LIMIT), keys.read(&BURST), keys.read(&RETRY_AFTER));
    let per_second = per_second?;
    // What a second lets through may come at once.
    let burst = burst?.unwrap_or_else(|| (per_second.ceil() as u32).clamp(1, BURST_AT_MOST));
    let limit = DoorFault::RateLimit { per_second, burst, retry_after: retry_after? };
    Read::detailed(Effect::Door(limit), format!(" of {per_second}/s"))
}
