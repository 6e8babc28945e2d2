//! When the requests of a load come: `arrivals`, or `users` and what they do.

use serde_json::json;

use super::super::key::{Key, Optional, RequiredIf, Usual};
use super::super::reader::Table;
use super::super::section::{Rule, Section, Sub};
use super::super::shapes::{By, Choice, Count, Whole, Written};
use super::super::types::{DISTRIBUTION, DURATION, RATE, TEXT};
use super::curve::{BURSTS, DIURNAL, RAMP, bursts, diurnal, ramp};
use super::{COUNT_AT_MOST, Surroundings, alien};
use crate::error::Problem;
use crate::model::{After, Arrivals, Curve, Distribution, Nanos, Rate, Replay, Spacing, Traffic, Users};

/// Users of a load.
const USERS_AT_MOST: u32 = 100_000;

pub(super) static ARRIVALS: Key<Sub, Optional> = Key {
    name: "arrivals",
    of: Sub(&Section {
        name: "arrivals",
        says: "when the requests of an open loop are due",
        keys: &[&CONSTANT, &POISSON, &RAMP, &BURSTS, &DIURNAL, &REPLAY, &SPACING],
        rules: &[Rule::One(&KINDS)],
    }),
    absent: Optional("required without `users`"),
    says: "open loop: when requests are due",
};

/// What arrivals may be.
const KINDS: [&str; 6] = ["constant", "poisson", "ramp", "bursts", "diurnal", "replay"];

pub(super) static USERS: Key<Count, Optional> = Key {
    name: "users",
    of: Count(1, USERS_AT_MOST),
    absent: Optional("required without `arrivals`"),
    says: "closed loop: how many users; with `think`, `ramp-up` and `iterations`",
};

pub(super) static THINK: Key<By<Distribution>, RequiredIf> = Key {
    name: "think",
    of: DISTRIBUTION,
    absent: RequiredIf(
        "with `users`",
        "say how long a user waits between an answer and the next request: think = \"1s\"",
    ),
    says: "how long a user waits between an answer and the next request",
};

pub(super) static RAMP_UP: Key<By<Nanos>, Usual> = Key {
    name: "ramp-up",
    of: DURATION,
    absent: Usual("\"0s\""),
    says: "the users come one after the other over this time",
};

pub(super) static ITERATIONS: Key<Whole, Optional> = Key {
    name: "iterations",
    of: Whole(1, COUNT_AT_MOST),
    absent: Optional("no bound"),
    says: "each user sends this many requests and leaves",
};

pub(super) static MAX_IN_FLIGHT: Key<Written, Optional> = Key {
    name: "max-in-flight",
    of: Written {
        words: "a whole number, up to `limits.requests`",
        schema: |_| json!({ "type": "integer", "minimum": 1 }),
    },
    absent: Optional("`limits.requests`"),
    says: "of arrivals: one more is not sent and counts as the error `overload`",
};

/// How requests follow one another, and how many may be under way.
pub(super) fn traffic(table: &Table<'_>, around: &Surroundings<'_>) -> Option<(Traffic, u32)> {
    match (ARRIVALS.get(table), USERS.get(table)) {
        (Some(_), None) => {
            let closed = [THINK.get(table), RAMP_UP.get(table), ITERATIONS.get(table)];
            closed.iter().flatten().for_each(|value| alien(value, "users"));
            let at_most = around.bounds.requests;
            let max_in_flight = MAX_IN_FLIGHT.get(table);
            let max_in_flight = max_in_flight.map_or(Some(at_most), |value| value.count(1..=at_most));
            let arrivals = arrivals(&ARRIVALS.open(table, "arrivals")?, around)?;
            Some((Traffic::Open(arrivals), max_in_flight?))
        }
        (None, Some(_)) => {
            MAX_IN_FLIGHT.get(table).iter().for_each(|value| alien(value, "arrivals"));
            let count = USERS.written(table);
            let think = THINK.read(table);
            let (ramp_up, iterations) = (RAMP_UP.read(table), ITERATIONS.read(table));
            let count = count?;
            let users = Users { count, think: think?, ramp_up: ramp_up?, iterations: iterations? };
            Some((Traffic::Closed(users), count))
        }
        (Some(_), Some(users_value)) => users_value.refuse_key(
            Problem::new("the load has both arrivals and users")
                .label("arrivals is given as well")
                .help("keep arrivals for requests that do not wait for answers, users for those that do"),
        ),
        (None, None) => {
            let remedy = "say when requests come: arrivals = { poisson = \"50/s\" }, or users = 20";
            table.need("arrivals", None, remedy);
            None
        }
    }
}

static CONSTANT: Key<By<Rate>, Optional> =
    Key { name: "constant", of: RATE, absent: Optional("none"), says: "evenly spaced: `\"50/s\"`" };

static POISSON: Key<By<Rate>, Optional> = Key {
    name: "poisson",
    of: RATE,
    absent: Optional("none"),
    says: "each arrival independent of the others: `\"50/s\"`",
};

static REPLAY: Key<By<String>, Optional> = Key {
    name: "replay",
    of: By { words: "a file", ..TEXT },
    absent: Optional("none"),
    says: "one arrival per line: seconds, `350ms`, or RFC 3339, where the first is the load's start",
};

static SPACING: Key<Choice<Spacing>, Usual> = Key {
    name: "spacing",
    of: Choice { what: "spacing", words: &[("poisson", Spacing::Poisson), ("even", Spacing::Even)] },
    absent: Usual("\"poisson\""),
    says: "beside `ramp`, `bursts` or `diurnal`: how arrivals follow one another",
};

/// `arrivals = { poisson = "50/s" }`.
fn arrivals(table: &Table<'_>, around: &Surroundings<'_>) -> Option<Arrivals> {
    let given: Vec<_> = table.entries().iter().filter(|entry| KINDS.contains(&entry.key)).collect();
    let spacing = SPACING.get(table);
    let [kind] = given[..] else {
        // An unknown kind has been noted already.
        if table.entries().len() == given.len() + usize::from(spacing.is_some()) {
            table.note(
                Problem::new(format!("arrivals names {} kinds", given.len()))
                    .label("exactly one is needed")
                    .help("write for example { poisson = \"50/s\" }"),
            );
        }
        return None;
    };
    let curve = match kind.key {
        "ramp" => RAMP.open(table, "the ramp").and_then(|table| ramp(&table, kind)),
        "bursts" => BURSTS.open(table, "the bursts").and_then(|table| bursts(&table, kind)),
        "diurnal" => DIURNAL.open(table, "the diurnal curve").and_then(|table| diurnal(&table)),
        _ => {
            spacing.iter().for_each(|spacing| alien(spacing, "a ramp, bursts or a diurnal curve"));
            let steady = |of: &Key<By<Rate>, Optional>, spacing| {
                let points = vec![(0, of.written(table)?)];
                Some(Arrivals::Curve { curve: Curve::Lines { points, after: After::Hold }, spacing })
            };
            return match kind.key {
                "constant" => steady(&CONSTANT, Spacing::Even),
                "poisson" => steady(&POISSON, Spacing::Poisson),
                _ => {
                    let path = around.folder.join(REPLAY.written(table)?);
                    Some(Arrivals::Replay(Replay::File { path, place: kind.place() }))
                }
            };
        }
    };
    let spacing = SPACING.read(table);
    Some(Arrivals::Curve { curve: curve?, spacing: spacing? })
}
