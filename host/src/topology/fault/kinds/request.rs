//! What befalls requests and the answers to them.

use super::super::super::answer::answer;
use super::super::super::distribution::distribution;
use super::super::super::rates::{positive_share, rate};
use super::super::super::reader::Value;
use super::super::super::service::read_attributes;
use super::super::super::units::{duration, positive_duration};
use super::super::conditions::{is_pointer, json_value};
use super::Keys;
use crate::error::Problem;
use crate::model::{FaultEvent, FaultKind, Moment, Way};

const MOMENTS: [(&str, Moment); 4] = [
    ("handler", Moment::Handler),
    ("request", Moment::Request),
    ("response", Moment::Response),
    ("span", Moment::Span),
];

/// The bytes of a body that are spoilt where the file does not say: one of a hundred.
const SHARE: f64 = 0.01;

/// Requests that may come at once, for a rate limit.
const BURST_AT_MOST: u32 = 1_000_000;

pub(super) fn latency(keys: &Keys<'_, '_>) -> Option<FaultKind> {
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
    Some(FaultKind::Latency { delay: delay?, on: on?, event: event? })
}

fn moment(value: &Value<'_>, in_span: Option<bool>) -> Option<Moment> {
    let moment = value.choice("moment", &MOMENTS)?;
    match (moment, in_span) {
        (Moment::Span, Some(false)) => value.refuse(
            Problem::new("a delay within a span needs the span's name")
                .label("in which span?")
                .help("name one that the guest makes: target = { service = \"…\", span = \"…\" }"),
        ),
        (Moment::Request | Moment::Handler | Moment::Response, Some(true)) => value.refuse(
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

pub(super) fn error(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let status = keys.need("status", "say what is answered: status = 503");
    let status = status.and_then(|value| u16::try_from(value.count(400..=599)?).ok());
    let answer = answer("the fault", [keys.get("json"), keys.get("body"), keys.get("headers")]);
    let (body, headers) = answer?;
    Some(FaultKind::Error { status: status?, body: body.map(String::into_bytes), headers })
}

pub(super) fn reset(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    const ONE_WAY: [(&str, Way); 2] = [("request", Way::Request), ("response", Way::Response)];
    let on = keys.get("on").map_or(Some(Way::Response), |value| value.choice("direction", &ONE_WAY));
    Some(FaultKind::Reset { on: on? })
}

pub(super) fn corrupt(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let on = keys.way(Way::Response);
    let share = keys.get("share").map_or(Some(SHARE), |value| positive_share(&value));
    Some(FaultKind::Corrupt { on: on?, share: share? })
}

pub(super) fn mutate(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let on = keys.way(Way::Response);
    let set = keys.need("set", EXAMPLE).and_then(|value| set(&value));
    Some(FaultKind::Mutate { on: on?, set: set? })
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

pub(super) fn rate_limit(keys: &Keys<'_, '_>) -> Option<FaultKind> {
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
    Some(FaultKind::RateLimit { per_second, burst: burst?, retry_after })
}
