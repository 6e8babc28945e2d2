//! `hedge`: a second request beside one that takes long.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::key::{Key, Optional, Required, Usual};
use super::super::reader::Table;
use super::super::section::{Section, Sub};
use super::super::shapes::By;
use super::super::types::TIME;
use super::failures::{FAILURES, METHODS, in_words, methods_in_words, methods_of, names};
use super::retry::{Attempts, IDEMPOTENT};
use crate::clock;
use crate::error::Problem;
use crate::model::{Failures, Hedge, Methods, Nanos};

/// As in gRPC (proposal A6).
const HEDGES_AT_MOST: u32 = 5;

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

pub(super) fn hedge(table: &Table<'_>, timeout: Option<Nanos>) -> Option<Hedge> {
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

/// A hedge, as `simhost check` puts it.
pub(super) fn line(hedge: &Hedge) -> String {
    let Hedge { after, attempts, on, methods } = hedge;
    let (after, methods) = (clock::show(*after), methods_in_words(methods));
    // Where the file names no failure, every answer counts.
    let at_once = if *on == Failures::default() { String::new() } else { format!(" or on {}", in_words(on)) };
    format!("up to {attempts} requests at a time{methods}, another one after {after}{at_once}")
}

/// A second request where the first has no answer yet.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct HedgeRow {
    pub after_ns: u64,
    /// The first one included.
    pub attempts: u32,
    pub on: Vec<String>,
    pub methods: Option<Vec<String>>,
}

impl From<&Hedge> for HedgeRow {
    fn from(hedge: &Hedge) -> Self {
        let Hedge { after, attempts, on, methods } = hedge;
        Self { after_ns: *after, attempts: *attempts, on: names(on), methods: methods_of(methods) }
    }
}
