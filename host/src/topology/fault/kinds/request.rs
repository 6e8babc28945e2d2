//! What befalls requests and the answers to them.

use super::super::super::answer::answer;
use super::super::super::distribution::{distribution, show_distribution};
use super::super::super::rates::{positive_share, rate};
use super::super::super::reader::Value;
use super::super::super::service::read_attributes;
use super::super::super::units::{duration, positive_duration};
use super::super::conditions::{is_pointer, json_value};
use super::{Declaration, Keys, Read};
use crate::error::Problem;
use crate::model::{Direction, DoorFault, Effect, FaultEvent, NetworkFault, SpanFault, WorkerFault};

/// The bytes of a body that are spoilt where the file does not say: one of a hundred.
const SHARE: f64 = 0.01;

/// Requests that may come at once, for a rate limit.
const BURST_AT_MOST: u32 = 1_000_000;

pub(super) static KINDS: [Declaration; 8] = [
    Declaration::requests("latency", "a lost index, a lock, a slow disk", &["delay", "on", "event"], latency)
        .by_magnitude()
        .in_spans(),
    Declaration::requests(
        "error",
        "an overloaded or broken dependency",
        &["status", "body", "json", "headers"],
        error,
    ),
    Declaration::requests("reset", "a proxy or a process that cuts connections", &["on"], reset),
    Declaration::requests("refuse", "nobody listens at the port", &[], |_| {
        Read::plain(Effect::Network(NetworkFault::Refuse))
    }),
    Declaration::requests("blackhole", "a firewall that swallows packets", &[], |_| {
        Read::plain(Effect::Network(NetworkFault::Blackhole))
    }),
    Declaration::requests("corrupt", "a proxy or a memory that changes bytes", &["on", "share"], corrupt),
    Declaration::requests("mutate", "a stale cache, a wrong value upstream", &["on", "set"], mutate),
    Declaration::requests("rate-limit", "a quota", &["limit", "burst", "retry-after"], rate_limit).inside(),
];

/// Where in a call the delay of `latency` lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// On the way of a message, when no worker has the request.
    Message(Direction),
    /// When a worker has it, before the guest looks at it.
    Handler,
    /// Within the guest's spans of the name in the target.
    Span,
}

const MOMENTS: [(&str, Moment); 4] = [
    ("handler", Moment::Handler),
    ("request", Moment::Message(Direction::Request)),
    ("response", Moment::Message(Direction::Response)),
    ("span", Moment::Span),
];

fn latency(keys: &Keys<'_, '_>) -> Option<Read> {
    let delay = keys.need("delay", "say how long: delay = \"350ms +/- 20ms\"");
    let delay = delay.and_then(|value| distribution(&value));
    let in_span = keys.targets.first().map(|target| target.span.is_some());
    let on = match keys.get("on") {
        Some(value) => moment(&value, in_span),
        None if in_span == Some(true) => Some(Moment::Span),
        None => Some(Moment::Handler),
    };
    let event = match keys.get("event") {
        Some(value) if in_span == Some(false) => value.refuse_key(
            Problem::new("an event needs a span that it is in")
                .label("in which span?")
                .help("name one that the guest makes: target = { service = \"…\", span = \"…\" }"),
        ),
        Some(value) => event(&value).map(Some),
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

fn moment(value: &Value<'_>, in_span: Option<bool>) -> Option<Moment> {
    let moment = value.choice("moment", &MOMENTS)?;
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

/// `event = { name = "…", above = "200ms", attributes = { … } }`.
fn event(value: &Value<'_>) -> Option<FaultEvent> {
    let table = value.table("the event")?;
    let [name, above, attributes] = table.keys(["name", "above", "attributes"]);
    let name = table.need("name", name, "say what the service notices: name = \"slow-query\"");
    let name = name.and_then(|value| value.filled());
    let attributes = attributes.map(|value| read_attributes(&value)).unwrap_or_default();
    let above = above.map_or(Some(0), |value| duration(&value));
    Some(FaultEvent { name: name?.to_owned(), above: above?, attributes })
}

fn error(keys: &Keys<'_, '_>) -> Option<Read> {
    let status = keys.need("status", "say what is answered: status = 503");
    let status = status.and_then(|value| u16::try_from(value.count(400..=599)?).ok());
    let answer = answer("the fault", [keys.get("json"), keys.get("body"), keys.get("headers")]);
    let ((body, headers), status) = (answer?, status?);
    let error = WorkerFault::Error { status, body: body.map(String::into_bytes), headers };
    Read::detailed(Effect::Worker(error), format!(" {status}"))
}

fn reset(keys: &Keys<'_, '_>) -> Option<Read> {
    const ONE: [(&str, Direction); 2] = [("request", Direction::Request), ("response", Direction::Response)];
    let on = keys.get("on").map_or(Some(Direction::Response), |value| value.choice("direction", &ONE))?;
    Read::plain(Effect::Network(NetworkFault::Reset { on }))
}

fn corrupt(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.direction(Direction::Response);
    let share = keys.get("share").map_or(Some(SHARE), |value| positive_share(&value));
    Read::plain(Effect::Network(NetworkFault::Corrupt { on: on?, share: share? }))
}

fn mutate(keys: &Keys<'_, '_>) -> Option<Read> {
    let on = keys.direction(Direction::Response);
    let set = keys.need("set", EXAMPLE).and_then(|value| set(&value));
    Read::plain(Effect::Network(NetworkFault::Mutate { on: on?, set: set? }))
}

const EXAMPLE: &str = "say which values are replaced: set = { \"/price\" = 0 }";

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

fn rate_limit(keys: &Keys<'_, '_>) -> Option<Read> {
    let limit = keys.need("limit", "say how many requests pass: limit = \"100/s\"");
    let per_second = limit.and_then(|value| rate(&value));
    let burst = keys.get("burst").map(|value| value.count(1..=BURST_AT_MOST));
    let retry_after = keys.get("retry-after").map(|value| positive_duration(&value));
    let per_second = per_second?;
    // What a second lets through may come at once.
    let burst = burst.unwrap_or_else(|| Some((per_second.ceil() as u32).clamp(1, BURST_AT_MOST)));
    let retry_after = match retry_after {
        Some(after) => Some(after?),
        None => None,
    };
    let limit = DoorFault::RateLimit { per_second, burst: burst?, retry_after };
    Read::detailed(Effect::Door(limit), format!(" of {per_second}/s"))
}
