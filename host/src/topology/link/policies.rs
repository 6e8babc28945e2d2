//! The policies of a link: `retry`, `breaker`, `hedge`, `bulkhead`, `fallback`
//! and `deadline`. Defaults are those of a library that people know, as said at
//! each.

use std::borrow::Cow;

use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::super::answer::answer;
use super::super::key::{Computed, Key, Optional, Required, Type, Usual};
use super::super::rates::share;
use super::super::reader::{Table, Value};
use super::super::schema::{Defs, any};
use super::super::section::{Rule, Section, Sub};
use super::super::shapes::{By, Count, Number, Written};
use super::super::types::{ANY, ANY_TEXT, FLAG, HEADER_TABLE, POSITIVE_SHARE, RATE_FROM_ZERO, SHARE, TIME};
use super::failures::{FAILURES, METHODS, of_the_callee, show, worth_a_retry};
use crate::clock;
use crate::error::{Problem, quote};
use crate::model::{
    Breaker, Budget, Bulkhead, Failures, Fallback, Hedge, Methods, Nanos, Policies, Rate, Retry, Trip,
};

/// The first attempt included. Against gRPC's five: who looks at storms wants more.
const ATTEMPTS_AT_MOST: u32 = 10;

/// As in gRPC (proposal A6).
const HEDGES_AT_MOST: u32 = 5;

/// Of counts that have no natural bound.
const COUNT_AT_MOST: u32 = 1_000_000;

/// Reads the policies of a link; `timeout` is the link's.
pub(super) fn policies(table: &Table<'_>, timeout: Option<Nanos>) -> Option<Policies> {
    if let (Some(retry), Some(_)) = (RETRY.get(table), HEDGE.get(table)) {
        retry.refuse_key::<()>(
            Problem::new("this link has both retry and hedge")
                .label("there is a hedge as well")
                .help("keep one of them, as in gRPC: a hedge is a retry that does not wait for a failure"),
        );
    }
    let policies = Policies {
        retry: RETRY.open(table, "the retry").and_then(|table| retry(&table)),
        breaker: BREAKER.open(table, "the breaker").and_then(|table| breaker(&table)),
        hedge: HEDGE.open(table, "the hedge").and_then(|table| hedge(&table, timeout)),
        bulkhead: BULKHEAD.open(table, "the bulkhead").and_then(|table| bulkhead(&table)),
        fallback: FALLBACK.open(table, "the fallback").and_then(|table| fallback(&table)),
        deadline: DEADLINE.or_usual(table),
    };
    // `deadline = false` alone is no policy.
    (policies != Policies::default()).then_some(policies)
}

pub(super) static DEADLINE: Key<By<bool>, Usual> = Key {
    name: "deadline",
    of: FLAG,
    absent: Usual("false"),
    says: "tells the callee how long the caller waits: see [deadlines](policies.md#deadlines)",
};

pub(super) static RETRY: Key<Sub, Optional> = Key {
    name: "retry",
    of: Sub(&Section {
        name: "retry",
        says: "an attempt after one that failed",
        keys: &[
            &ATTEMPTS,
            &BACKOFF,
            &FACTOR,
            &MAX_BACKOFF,
            &JITTER,
            &RETRY_ON,
            &RETRY_METHODS,
            &BUDGET,
            &RETRY_AFTER,
        ],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "further attempts after one that failed: see [`retry`](policies.md#retry)",
};

static ATTEMPTS: Key<Attempts, Required> = Key {
    name: "attempts",
    of: Attempts(ATTEMPTS_AT_MOST),
    absent: Required(Attempts::REMEDY),
    says: "how many there are, the first included",
};

static BACKOFF: Key<By<Nanos>, Usual> =
    Key { name: "backoff", of: TIME, absent: Usual("\"50ms\""), says: "the wait before the second attempt" };

static FACTOR: Key<Number, Usual> = Key {
    name: "factor",
    of: Number(1.0, 10.0, "a number from 1 to 10"),
    absent: Usual("2.0"),
    says: "how many times as long the wait is before each further attempt",
};

/// As long as [`BACKOFF`], if that is longer.
static MAX_BACKOFF: Key<By<Nanos>, Usual> = Key {
    name: "max-backoff",
    of: TIME,
    absent: Usual("\"1s\""),
    says: "no wait is longer. Without it a `backoff` above the default raises it",
};

/// As in gRPC (proposal A6, as amended in 2024).
static JITTER: Key<By<f64>, Usual> = Key {
    name: "jitter",
    of: SHARE,
    absent: Usual("0.2"),
    says: "by which a wait is longer or shorter at random",
};

static RETRY_ON: Key<By<Failures>, Computed> = Key {
    name: "on",
    of: FAILURES,
    absent: Computed(|| show(&worth_a_retry())),
    says: "which failures are tried again",
};

static RETRY_METHODS: Key<By<Methods>, Optional> = Key {
    name: "methods",
    of: METHODS,
    absent: Optional(IDEMPOTENT),
    says: "which requests are tried again",
};

const IDEMPOTENT: &str = "the idempotent methods (RFC 9110): not POST, not PATCH";

static BUDGET: Key<Written, Optional> = Key {
    name: "budget",
    of: Written {
        words: "a share, or a table",
        schema: |defs| any([SHARE.schema(defs), BUDGET_TABLE.refer(defs)]),
    },
    absent: Optional("none"),
    says: "`0.2`: retries are at most a fifth of the calls of the last 10 s, plus 10 per second (Finagle's budget); \
           or `{ share = 0.2, min = \"10/s\", window = \"10s\" }`",
};

static RETRY_AFTER: Key<By<bool>, Usual> = Key {
    name: "retry-after",
    of: FLAG,
    absent: Usual("true"),
    says: "waits as long as the answer's `Retry-After` says, in seconds or as an HTTP date. If that is longer than \
           `max-backoff`, there is no retry",
};

fn retry(table: &Table<'_>) -> Option<Retry> {
    let (attempts, backoff) = (ATTEMPTS.read(table), BACKOFF.read(table));
    let longest = match MAX_BACKOFF.get(table) {
        Some(_) => MAX_BACKOFF.written(table),
        None => Some(MAX_BACKOFF.usual().max(backoff.unwrap_or(0))),
    };
    if let (Some(backoff), Some(longest), Some(place)) = (backoff, longest, MAX_BACKOFF.get(table))
        && longest < backoff
    {
        let (backoff, longest) = (clock::show(backoff), clock::show(longest));
        let problem = Problem::new(format!("max-backoff, {longest}, is shorter than backoff, {backoff}"));
        place.refuse::<()>(problem.label("too short").help(format!("write {} or more", quote(&backoff))));
    }
    let (factor, jitter) = (FACTOR.read(table), JITTER.read(table));
    let (on, methods) = (RETRY_ON.read(table), RETRY_METHODS.read(table));
    let budget = BUDGET.get(table).map_or(Some(None), |value| budget(&value).map(Some));
    let retry_after = RETRY_AFTER.read(table);
    Some(Retry {
        attempts: attempts?,
        backoff: backoff?,
        factor: factor?,
        max_backoff: longest?,
        jitter: jitter?,
        on: on?.unwrap_or_else(worth_a_retry),
        methods: methods?.unwrap_or_default(),
        budget: budget?,
        retry_after: retry_after?,
    })
}

static BUDGET_TABLE: Section = Section {
    name: "budget",
    says: "how many retries the calls of a link allow",
    keys: &[&BUDGET_SHARE, &BUDGET_MIN, &BUDGET_WINDOW],
    rules: &[],
};

static BUDGET_SHARE: Key<By<f64>, Required> = Key {
    name: "share",
    of: SHARE,
    absent: Required("say how many retries each call allows: share = 0.2"),
    says: "how many retries each call allows",
};

/// Finagle's and Linkerd's, like the next one.
static BUDGET_MIN: Key<By<Rate>, Usual> = Key {
    name: "min",
    of: RATE_FROM_ZERO,
    absent: Usual("\"10/s\""),
    says: "retries that there may be beside the share",
};

static BUDGET_WINDOW: Key<By<Nanos>, Usual> =
    Key { name: "window", of: TIME, absent: Usual("\"10s\""), says: "the time in which calls are counted" };

/// `budget = 0.2` or `budget = { share = 0.2, min = "10/s", window = "10s" }`.
fn budget(value: &Value<'_>) -> Option<Budget> {
    if !matches!(value.item(), DeValue::Table(_)) {
        let (min, window) = (BUDGET_MIN.usual(), BUDGET_WINDOW.usual());
        return Some(Budget { share: share(value)?, min, window });
    }
    let table = BUDGET_TABLE.open(value, "the retry budget")?;
    let (share, min, window) =
        (BUDGET_SHARE.read(&table), BUDGET_MIN.read(&table), BUDGET_WINDOW.read(&table));
    Some(Budget { share: share?, min: min?, window: window? })
}

/// Five failures in a row are Finagle's default and Envoy's; a share of 20 requests
/// in 10 s, Hystrix'; to pause for 5 s, Polly's; to try again with one, everybody's.
pub(super) static BREAKER: Key<Sub, Optional> = Key {
    name: "breaker",
    of: Sub(&Section {
        name: "breaker",
        says: "sends nothing for a while when too many attempts have failed",
        keys: &[&IN_A_ROW, &FAILURE_RATE, &MIN_REQUESTS, &WINDOW, &OPEN_FOR, &HALF_OPEN, &BREAKER_ON],
        rules: &[Rule::NotBoth("failures", "rate")],
    }),
    absent: Optional("none"),
    says: "sends nothing for a while when too many attempts have failed: see [`breaker`](policies.md#breaker)",
};

static IN_A_ROW: Key<Count, Usual> = Key {
    name: "failures",
    of: Count(1, 1_000),
    absent: Usual("5"),
    says: "opens after this many failures in a row; not together with `rate`",
};

static FAILURE_RATE: Key<By<f64>, Optional> = Key {
    name: "rate",
    of: POSITIVE_SHARE,
    absent: Optional("none"),
    says: "opens when this share of the attempts has failed",
};

static MIN_REQUESTS: Key<Count, Usual> = Key {
    name: "min-requests",
    of: Count(1, COUNT_AT_MOST),
    absent: Usual("20"),
    says: "beside `rate`: of fewer attempts no share is taken",
};

static WINDOW: Key<By<Nanos>, Usual> =
    Key { name: "window", of: TIME, absent: Usual("\"10s\""), says: "the time over which `rate` counts" };

static OPEN_FOR: Key<By<Nanos>, Usual> =
    Key { name: "open-for", of: TIME, absent: Usual("\"5s\""), says: "nothing is sent for this time" };

static HALF_OPEN: Key<Count, Usual> = Key {
    name: "half-open",
    of: Count(1, 1_000),
    absent: Usual("1"),
    says: "then this many attempts are sent; if all succeed the breaker closes",
};

static BREAKER_ON: Key<By<Failures>, Computed> = Key {
    name: "on",
    of: FAILURES,
    absent: Computed(|| show(&of_the_callee())),
    says: "what counts as a failure",
};

fn breaker(table: &Table<'_>) -> Option<Breaker> {
    let trip = trip(table);
    let (window, open_for) = (WINDOW.read(table), OPEN_FOR.read(table));
    let (half_open, on) = (HALF_OPEN.read(table), BREAKER_ON.read(table));
    Some(Breaker {
        trip: trip?,
        window: window?,
        open_for: open_for?,
        half_open: half_open?,
        on: on?.unwrap_or_else(of_the_callee),
    })
}

fn trip(table: &Table<'_>) -> Option<Trip> {
    match (IN_A_ROW.get(table), FAILURE_RATE.get(table)) {
        (Some(_), Some(rate)) => rate.refuse_key(
            Problem::new("the breaker has both failures and rate")
                .label("failures are given as well")
                .help("keep failures for so many in a row, or rate for a share of the requests"),
        ),
        (None, Some(_)) => {
            let (share, least) = (FAILURE_RATE.written(table), MIN_REQUESTS.read(table));
            Some(Trip::Share { rate: share?, least: least? })
        }
        (_, None) => {
            if let Some(least) = MIN_REQUESTS.get(table) {
                least.refuse_key::<()>(
                    Problem::new("min-requests belongs to rate")
                        .label("has no effect")
                        .help("leave it out, or write rate = 0.5 beside it"),
                );
            }
            IN_A_ROW.read(table).map(Trip::InARow)
        }
    }
}

pub(super) static HEDGE: Key<Sub, Optional> = Key {
    name: "hedge",
    of: Sub(&Section {
        name: "hedge",
        says: "a second request when there is no answer after a time; the first answer counts, the other request \
               is cancelled",
        keys: &[&AFTER, &HEDGES, &HEDGE_ON, &HEDGE_METHODS],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "a second request beside one that takes long; not together with `retry`: see [`hedge`](policies.md#hedge)",
};

static AFTER: Key<By<Nanos>, Required> = Key {
    name: "after",
    of: TIME,
    absent: Required("say when the second request is sent: after = \"100ms\""),
    says: "when the second request is sent",
};

static HEDGES: Key<Attempts, Usual> = Key {
    name: "attempts",
    of: Attempts(HEDGES_AT_MOST),
    absent: Usual("2"),
    says: "how many requests there may be, the first included",
};

static HEDGE_ON: Key<By<Failures>, Optional> = Key {
    name: "on",
    of: FAILURES,
    absent: Optional("none: every answer is one"),
    says: "failures that are no answer: the next request is sent at once",
};

static HEDGE_METHODS: Key<By<Methods>, Optional> =
    Key { name: "methods", of: METHODS, absent: Optional(IDEMPOTENT), says: "which requests are sent again" };

fn hedge(table: &Table<'_>, timeout: Option<Nanos>) -> Option<Hedge> {
    let after = AFTER.read(table);
    if let (Some(after), Some(timeout), Some(value)) = (after, timeout, AFTER.get(table))
        && after >= timeout
    {
        let (after, timeout) = (clock::show(after), clock::show(timeout));
        let problem = Problem::new(format!("a hedge after {after} never comes: the timeout is {timeout}"));
        value.refuse::<()>(problem.label("too late").help("write a shorter time, or a longer timeout"));
    }
    let attempts = HEDGES.read(table);
    let (on, methods) = (HEDGE_ON.read(table), HEDGE_METHODS.read(table));
    // None: every answer is one (gRPC proposal A6).
    let (on, methods) = (on?.unwrap_or_default(), methods?.unwrap_or_default());
    Some(Hedge { after: after?, attempts: attempts?, on, methods })
}

pub(super) static BULKHEAD: Key<Sub, Optional> = Key {
    name: "bulkhead",
    of: Sub(&Section {
        name: "bulkhead",
        says: "bounds the attempts that are under way",
        keys: &[&MAX_CONCURRENT, &BULKHEAD_QUEUE],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "bounds the attempts that are under way: see [`bulkhead`](policies.md#bulkhead)",
};

static MAX_CONCURRENT: Key<Count, Required> = Key {
    name: "max-concurrent",
    of: Count(1, COUNT_AT_MOST),
    absent: Required("say how many may be under way at a time: max-concurrent = 10"),
    says: "attempts that may be under way",
};

static BULKHEAD_QUEUE: Key<Count, Usual> = Key {
    name: "queue",
    of: Count(0, COUNT_AT_MOST),
    absent: Usual("0"),
    says: "attempts that may wait for their turn",
};

fn bulkhead(table: &Table<'_>) -> Option<Bulkhead> {
    let (max_concurrent, queue) = (MAX_CONCURRENT.read(table), BULKHEAD_QUEUE.read(table));
    Some(Bulkhead { max_concurrent: max_concurrent?, queue: queue? })
}

pub(super) static FALLBACK: Key<Sub, Optional> = Key {
    name: "fallback",
    of: Sub(&Section {
        name: "fallback",
        says: "what the guest gets in place of a failure, and of what its own side refused",
        keys: &[&STATUS, &JSON, &BODY, &HEADERS, &FALLBACK_ON],
        rules: &[Rule::NotBoth("json", "body")],
    }),
    absent: Optional("none"),
    says: "what the guest gets in place of a failure: see [`fallback`](policies.md#fallback)",
};

static STATUS: Key<Count, Usual> =
    Key { name: "status", of: Count(200, 599), absent: Usual("200"), says: "the status of the answer" };

static JSON: Key<Written, Optional> = Key {
    name: "json",
    of: ANY,
    absent: Optional("an empty body"),
    says: "the answer's body, as JSON; in place of `body`",
};

static BODY: Key<By<String>, Optional> = Key {
    name: "body",
    of: ANY_TEXT,
    absent: Optional("an empty body"),
    says: "the answer's body, as it is",
};

static HEADERS: Key<Written, Optional> =
    Key { name: "headers", of: HEADER_TABLE, absent: Optional("none"), says: "the answer's headers" };

static FALLBACK_ON: Key<By<Failures>, Computed> = Key {
    name: "on",
    of: FAILURES,
    absent: Computed(|| show(&of_the_callee())),
    says: "what counts as a failure",
};

fn fallback(table: &Table<'_>) -> Option<Fallback> {
    let status = STATUS.read(table);
    let answer = answer("the fallback", [JSON.get(table), BODY.get(table), HEADERS.get(table)]);
    let on = FALLBACK_ON.read(table);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let (body, headers) = answer?;
    let on = on?.unwrap_or_else(of_the_callee);
    Some(Fallback { status: status?, headers, body: body.unwrap_or_default(), on })
}

/// How many attempts there are at most, the first included.
#[derive(Debug)]
pub(super) struct Attempts(u32);

impl Attempts {
    const REMEDY: &str = "say how many attempts there are, the first included: attempts = 3";
}

impl Type for Attempts {
    type Read = u32;

    fn read(&self, value: &Value<'_>) -> Option<u32> {
        if value.written() == "1" {
            let problem = Problem::new("a single attempt repeats nothing").label("the first one counts too");
            return value.refuse(problem.help(format!("write 2 to {}, or leave the policy out", self.0)));
        }
        value.count(2..=self.0)
    }

    fn words(&self) -> Cow<'static, str> {
        Cow::Owned(format!("a whole number, 2 to {}", self.0))
    }

    fn schema(&self, _: &mut Defs) -> Json {
        json!({ "type": "integer", "minimum": 2, "maximum": self.0 })
    }
}
