//! `fallback`: an answer in place of a failure.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::answer::answer;
use super::super::key::{Computed, Key, Optional, Usual};
use super::super::reader::Table;
use super::super::section::{Rule, Section, Sub};
use super::super::shapes::{By, Count, Written};
use super::super::types::{ANY, ANY_TEXT, HEADER_TABLE};
use super::failures::{FAILURES, in_words, names, of_the_callee, show};
use crate::model::{Failures, Fallback};

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

pub(super) fn fallback(table: &Table<'_>) -> Option<Fallback> {
    let status = STATUS.read(table);
    let answer = answer("the fallback", [JSON.get(table), BODY.get(table), HEADERS.get(table)]);
    let on = FALLBACK_ON.read(table);
    let status = status.and_then(|status| u16::try_from(status).ok());
    let (body, headers) = answer?;
    let on = on?.unwrap_or_else(of_the_callee);
    Some(Fallback { status: status?, headers, body: body.unwrap_or_default(), on })
}

/// A fallback, as `simhost check` puts it.
pub(super) fn line(fallback: &Fallback) -> String {
    let Fallback { status, on, headers: _, body: _ } = fallback;
    format!("fallback: {status} for {} and what the caller refuses itself", in_words(on))
}

/// What the caller gets in place of a failure.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FallbackRow {
    pub status: u16,
    pub on: Vec<String>,
}

impl From<&Fallback> for FallbackRow {
    fn from(fallback: &Fallback) -> Self {
        let Fallback { status, on, headers: _, body: _ } = fallback;
        Self { status: *status, on: names(on) }
    }
}
