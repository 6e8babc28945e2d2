//! `retry`: an attempt after one that failed.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value as Json, json};
use toml::de::DeValue;

use super::super::key::{Computed, Key, Optional, Required, Type, Usual};
use super::super::rates::share;
use super::super::reader::{Table, Value};
use super::super::schema::{Defs, any};
use super::super::section::{Section, Sub};
use super::super::shapes::{By, Number, Written};
use super::super::types::{FLAG, RATE_FROM_ZERO, SHARE, TIME};
use super::failures::{
    FAILURES, METHODS, in_words, methods_in_words, methods_of, names, show, worth_a_retry,
};
use crate::clock;
use crate::error::{Problem, quote, show_share};
use crate::model::{Budget, Failures, Methods, Nanos, Rate, Retry};

/// The first attempt included. Against gRPC's five: who looks at storms wants more.
const ATTEMPTS_AT_MOST: u32 = 10;

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

/// Requests that may be sent again where the file does not say.
pub(super) const IDEMPOTENT: &str = "the idempotent methods (RFC 9110): not POST, not PATCH";

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

pub(super) fn retry(table: &Table<'_>) -> Option<Retry> {
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

/// How many attempts there are at most, the first included.
#[derive(Debug)]
pub(super) struct Attempts(pub u32);

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

/// A retry, as `simhost check` puts it.
pub(super) fn line(retry: &Retry) -> String {
    let Retry { attempts, backoff, factor, max_backoff, jitter, on, methods, budget, retry_after } = retry;
    let mut text = format!("up to {attempts} attempts{} on {}", methods_in_words(methods), in_words(on));
    text.push_str(&format!(", after {}", clock::show(*backoff)));
    if *factor != 1.0 && *attempts > 2 {
        text.push_str(&format!(" times {factor} each, {} at most", clock::show(*max_backoff)));
    }
    if *jitter > 0.0 {
        text.push_str(&format!(", +/- {}", show_share(*jitter)));
    }
    if let Some(Budget { share, min, window }) = budget {
        let (share, window) = (show_share(*share), clock::show(*window));
        text.push_str(&format!(", a budget of {share} of the calls of {window} and {min}/s besides"));
    }
    if *retry_after {
        text.push_str(", heeds Retry-After");
    }
    text
}

/// Attempts after one that failed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RetryRow {
    /// The first one included.
    pub attempts: u32,
    pub backoff_ns: u64,
    pub factor: f64,
    pub max_backoff_ns: u64,
    pub jitter: f64,
    /// `502 to 504`, `timeout`, `reset`, `refused`.
    pub on: Vec<String>,
    /// Null: every method.
    pub methods: Option<Vec<String>>,
    /// Whether `Retry-After` is honoured.
    pub retry_after: bool,
    pub budget: Option<BudgetRow>,
}

/// How many retries a caller may make.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BudgetRow {
    pub share: f64,
    pub min_per_second: f64,
    pub window_ns: u64,
}

impl From<&Retry> for RetryRow {
    fn from(retry: &Retry) -> Self {
        let Retry { attempts, backoff, factor, max_backoff, jitter, on, methods, budget, retry_after } =
            retry;
        Self {
            attempts: *attempts,
            backoff_ns: *backoff,
            factor: *factor,
            max_backoff_ns: *max_backoff,
            jitter: *jitter,
            on: names(on),
            methods: methods_of(methods),
            retry_after: *retry_after,
            budget: budget.map(|Budget { share, min, window }| BudgetRow {
                share,
                min_per_second: min,
                window_ns: window,
            }),
        }
    }
}
