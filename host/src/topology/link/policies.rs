//! The policies of a link: `retry`, `breaker`, `hedge`, `bulkhead`, `fallback`
//! and `deadline`. Defaults are those of a library that people know, as said at
//! each.

use toml::de::DeValue;

use super::super::answer::answer;
use super::super::rates::{positive_share, rate_from_zero, share};
use super::super::reader::{Table, Value};
use super::super::units::positive_duration;
use super::failures::{failures, methods, of_the_callee, worth_a_retry};
use crate::clock;
use crate::error::{Problem, quote};
use crate::model::{
    Breaker, Budget, Bulkhead, Failures, Fallback, Hedge, Methods, Nanos, Policies, Retry, Trip,
};

const MS: Nanos = 1_000_000;
const SECOND: Nanos = 1_000 * MS;

/// The keys of a link that are policies.
pub(super) const KEYS: [&str; 6] = ["retry", "breaker", "hedge", "bulkhead", "fallback", "deadline"];

/// The first attempt included. Against gRPC's five: who looks at storms wants more.
const ATTEMPTS_AT_MOST: u32 = 10;

/// As in gRPC (proposal A6).
const HEDGES_AT_MOST: u32 = 5;

/// Of counts that have no natural bound.
const COUNT_AT_MOST: u32 = 1_000_000;

/// Reads the values of [`KEYS`]; `timeout` is the link's.
pub(super) fn policies(values: [Option<Value<'_>>; 6], timeout: Option<Nanos>) -> Option<Policies> {
    if values.iter().all(Option::is_none) {
        return None;
    }
    let [retry_value, breaker_value, hedge_value, bulkhead_value, fallback_value, deadline] = values;
    if let (Some(retry), Some(_)) = (&retry_value, &hedge_value) {
        retry.refuse_key::<()>(
            Problem::new("this link has both retry and hedge")
                .label("there is a hedge as well")
                .help("keep one of them, as in gRPC: a hedge is a retry that does not wait for a failure"),
        );
    }
    let policies = Policies {
        retry: retry_value.and_then(|value| retry(&value)),
        breaker: breaker_value.and_then(|value| breaker(&value)),
        hedge: hedge_value.and_then(|value| hedge(&value, timeout)),
        bulkhead: bulkhead_value.and_then(|value| bulkhead(&value)),
        fallback: fallback_value.and_then(|value| fallback(&value)),
        deadline: deadline.and_then(|value| value.flag()).unwrap_or(false),
    };
    // `deadline = false` alone is no policy.
    (policies != Policies::default()).then_some(policies)
}

fn retry(value: &Value<'_>) -> Option<Retry> {
    let table = value.table("the retry")?;
    let [attempts, backoff_value, factor, longest_value, jitter] =
        table.some(["attempts", "backoff", "factor", "max-backoff", "jitter"]);
    let [on, methods_value, budget_value, retry_after] =
        table.some(["on", "methods", "budget", "retry-after"]);
    table.refuse_others();
    let attempts = attempts_of(&table, attempts, ATTEMPTS_AT_MOST);
    let backoff = time(backoff_value.as_ref(), 50 * MS);
    let longest = time(longest_value.as_ref(), SECOND.max(backoff.unwrap_or(0)));
    if let (Some(backoff), Some(longest), Some(place)) = (backoff, longest, &longest_value)
        && longest < backoff
    {
        let (backoff, longest) = (clock::show(backoff), clock::show(longest));
        let problem = Problem::new(format!("max-backoff, {longest}, is shorter than backoff, {backoff}"));
        place.refuse::<()>(problem.label("too short").help(format!("write {} or more", quote(&backoff))));
    }
    let factor = number(factor, 2.0, "a number from 1 to 10", |factor| (1.0..=10.0).contains(&factor));
    // As in gRPC (proposal A6, as amended in 2024).
    let jitter = jitter.map_or(Some(0.2), |value| share(&value));
    let on = on.map_or_else(|| Some(worth_a_retry()), |value| failures(&value));
    let methods = methods_of(methods_value);
    let budget = budget_value.map_or(Some(None), |value| budget(&value).map(Some));
    let retry_after = retry_after.map_or(Some(true), |value| value.flag());
    Some(Retry {
        attempts: attempts?,
        backoff: backoff?,
        factor: factor?,
        max_backoff: longest?,
        jitter: jitter?,
        on: on?,
        methods: methods?,
        budget: budget?,
        retry_after: retry_after?,
    })
}

/// `budget = 0.2` or `budget = { share = 0.2, min = "10/s", window = "10s" }`; the
/// defaults are Finagle's and Linkerd's.
fn budget(value: &Value<'_>) -> Option<Budget> {
    let (min, window) = (10.0, 10 * SECOND);
    if !matches!(value.item(), DeValue::Table(_)) {
        return Some(Budget { share: share(value)?, min, window });
    }
    let table = value.table("the retry budget")?;
    let [share_value, least, window_value] = table.keys(["share", "min", "window"]);
    let share_value = table.need("share", share_value, "say how many retries each call allows: share = 0.2");
    let share = share_value.and_then(|value| share(&value));
    let min = least.map_or(Some(min), |value| rate_from_zero(&value));
    let window = time(window_value.as_ref(), window);
    Some(Budget { share: share?, min: min?, window: window? })
}

/// Five failures in a row are Finagle's default and Envoy's; a share of 20 requests
/// in 10 s, Hystrix'; to pause for 5 s, Polly's; to try again with one, everybody's.
fn breaker(value: &Value<'_>) -> Option<Breaker> {
    let table = value.table("the breaker")?;
    let [in_a_row, rate, least, window, open_for, half_open, on] =
        table.keys(["failures", "rate", "min-requests", "window", "open-for", "half-open", "on"]);
    let trip = trip(in_a_row, rate, least);
    let (window, open_for) = (time(window.as_ref(), 10 * SECOND), time(open_for.as_ref(), 5 * SECOND));
    let half_open = half_open.map_or(Some(1), |value| value.count(1..=1_000));
    let on = on.map_or_else(|| Some(of_the_callee()), |value| failures(&value));
    Some(Breaker { trip: trip?, window: window?, open_for: open_for?, half_open: half_open?, on: on? })
}

fn trip(in_a_row: Option<Value<'_>>, rate: Option<Value<'_>>, least: Option<Value<'_>>) -> Option<Trip> {
    match (in_a_row, rate) {
        (Some(_), Some(rate)) => rate.refuse_key(
            Problem::new("the breaker has both failures and rate")
                .label("failures are given as well")
                .help("keep failures for so many in a row, or rate for a share of the requests"),
        ),
        (None, Some(rate)) => {
            let share = positive_share(&rate);
            let least = least.map_or(Some(20), |value| value.count(1..=COUNT_AT_MOST));
            Some(Trip::Share { rate: share?, least: least? })
        }
        (in_a_row, None) => {
            if let Some(least) = least {
                least.refuse_key::<()>(
                    Problem::new("min-requests belongs to rate")
                        .label("has no effect")
                        .help("leave it out, or write rate = 0.5 beside it"),
                );
            }
            Some(Trip::InARow(in_a_row.map_or(Some(5), |value| value.count(1..=1_000))?))
        }
    }
}

fn hedge(value: &Value<'_>, timeout: Option<Nanos>) -> Option<Hedge> {
    let table = value.table("the hedge")?;
    let [after, attempts, on, methods_value] = table.keys(["after", "attempts", "on", "methods"]);
    let remedy = "say when the second request is sent: after = \"100ms\"";
    let after_value = table.need("after", after, remedy);
    let after = after_value.as_ref().and_then(positive_duration);
    if let (Some(after), Some(timeout), Some(value)) = (after, timeout, &after_value)
        && after >= timeout
    {
        let (after, timeout) = (clock::show(after), clock::show(timeout));
        let problem = Problem::new(format!("a hedge after {after} never comes: the timeout is {timeout}"));
        value.refuse::<()>(problem.label("too late").help("write a shorter time, or a longer timeout"));
    }
    let attempts = match attempts {
        Some(_) => attempts_of(&table, attempts, HEDGES_AT_MOST),
        None => Some(2),
    };
    // None: every answer is one (gRPC proposal A6).
    let on = on.map_or_else(|| Some(Failures::default()), |value| failures(&value));
    Some(Hedge { after: after?, attempts: attempts?, on: on?, methods: methods_of(methods_value)? })
}

fn bulkhead(value: &Value<'_>) -> Option<Bulkhead> {
    let table = value.table("the bulkhead")?;
    let [most, queue] = table.keys(["max-concurrent", "queue"]);
    let remedy = "say how many may be under way at a time: max-concurrent = 10";
    let most = table.need("max-concurrent", most, remedy).and_then(|value| value.count(1..=COUNT_AT_MOST));
    let queue = queue.map_or(Some(0), |value| value.count(0..=COUNT_AT_MOST));
    Some(Bulkhead { max_concurrent: most?, queue: queue? })
}

fn fallback(value: &Value<'_>) -> Option<Fallback> {
    let table = value.table("the fallback")?;
    let [status, json, body, headers, on] = table.keys(["status", "json", "body", "headers", "on"]);
    let status = status.map_or(Some(200), |value| value.count(200..=599));
    let answer = answer("the fallback", [json, body, headers]);
    let on = on.map_or_else(|| Some(of_the_callee()), |value| failures(&value));
    let status = status.and_then(|status| u16::try_from(status).ok());
    let (body, headers) = answer?;
    Some(Fallback { status: status?, headers, body: body.unwrap_or_default(), on: on? })
}

/// `attempts`, the first included.
fn attempts_of(table: &Table<'_>, value: Option<Value<'_>>, most: u32) -> Option<u32> {
    let remedy = "say how many attempts there are, the first included: attempts = 3";
    let value = table.need("attempts", value, remedy)?;
    if value.written() == "1" {
        let problem = Problem::new("a single attempt repeats nothing").label("the first one counts too");
        return value.refuse(problem.help(format!("write 2 to {most}, or leave the policy out")));
    }
    value.count(2..=most)
}

fn methods_of(value: Option<Value<'_>>) -> Option<Methods> {
    value.map_or(Some(Methods::default()), |value| methods(&value))
}

fn time(value: Option<&Value<'_>>, usual: Nanos) -> Option<Nanos> {
    value.map_or(Some(usual), positive_duration)
}

fn number(value: Option<Value<'_>>, usual: f64, wanted: &str, fits: impl FnOnce(f64) -> bool) -> Option<f64> {
    value.map_or(Some(usual), |value| value.number(wanted, fits))
}
