//! `breaker`: sends nothing for a while when too many attempts have failed.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::key::{Computed, Key, Optional, Usual};
use super::super::reader::Table;
use super::super::section::{Rule, Section, Sub};
use super::super::shapes::{By, Count};
use super::super::types::{POSITIVE_SHARE, TIME};
use super::COUNT_AT_MOST;
use super::failures::{FAILURES, in_words, names, of_the_callee, show};
use crate::clock;
use crate::error::{Problem, show_share};
use crate::model::{Breaker, Failures, Nanos, Trip};

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

pub(super) fn breaker(table: &Table<'_>) -> Option<Breaker> {
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
                .help("keep failures, a number of them in a row, or rate, a share of the attempts"),
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

/// A breaker, as `simhost check` puts it.
pub(super) fn line(breaker: &Breaker) -> String {
    let Breaker { trip, window, open_for, half_open, on } = breaker;
    let (window, on, open_for) = (clock::show(*window), in_words(on), clock::show(*open_for));
    let trip = match trip {
        Trip::InARow(failures) => format!("{failures} failures in a row within {window}"),
        Trip::Share { rate, least } => {
            format!("{} failures of {least} attempts or more within {window}", show_share(*rate))
        }
    };
    let trials = if *half_open == 1 { "one trial".to_owned() } else { format!("{half_open} trials") };
    format!("breaker: opens for {open_for} at {trip} ({on}), then {trials}")
}

/// When a caller stops calling.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BreakerRow {
    /// In a row; null where a share opens it.
    pub failures: Option<u32>,
    /// The share of attempts that opens it, once there were `min_requests`.
    pub rate: Option<f64>,
    pub min_requests: Option<u32>,
    pub window_ns: u64,
    pub open_for_ns: u64,
    pub half_open: u32,
    pub on: Vec<String>,
}

impl From<&Breaker> for BreakerRow {
    fn from(breaker: &Breaker) -> Self {
        let Breaker { trip, window, open_for, half_open, on } = breaker;
        let (failures, rate, min_requests) = match *trip {
            Trip::InARow(failures) => (Some(failures), None, None),
            Trip::Share { rate, least } => (None, Some(rate), Some(least)),
        };
        Self {
            failures,
            rate,
            min_requests,
            window_ns: *window,
            open_for_ns: *open_for,
            half_open: *half_open,
            on: names(on),
        }
    }
}
