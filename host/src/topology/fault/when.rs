//! `when = { … }`: the windows in which a fault is active.

use indexmap::IndexMap;

use super::super::distribution::largest;
use super::super::key::{Key, Optional, RequiredIf, Type, Usual};
use super::super::patterns;
use super::super::reader::{Table, Value};
use super::super::schema::text;
use super::super::section::{Section, Sub};
use super::super::shapes::{By, Written};
use super::super::types::{DISTRIBUTION, DURATION, POSITIVE_DISTRIBUTION, Within};
use super::super::units::LONGEST;
use super::Wait;
use super::kinds::Scope;
use crate::clock;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Distribution, Nanos, Schedule, When};

/// Windows may not follow one another faster: nothing in a topology takes less time.
const EVERY_AT_LEAST: Nanos = 1_000_000;

pub(super) static WHEN: Key<Sub, Optional> = Key {
    name: "when",
    of: Sub(&Section {
        name: "when",
        says: "the windows in which a fault is active: fixed (`at`, `for`, `every`), random (`between`, `hold`), or \
               after another fault (`after`, `delay`, `for`)",
        keys: &[&AT, &EVERY, &FOR, &RAMP, &BETWEEN, &HOLD, &AFTER, &DELAY],
        rules: &[],
    }),
    absent: Optional("the whole run"),
    says: "the windows in which it is active: see [when](faults.md#when)",
};

static AT: Key<By<Distribution>, Usual> = Key {
    name: "at",
    of: DISTRIBUTION,
    absent: Usual("\"0s\""),
    says: "when the first window opens, in simulated time; drawn once per run",
};

static EVERY: Key<Within, Optional> = Key {
    name: "every",
    of: Within(EVERY_AT_LEAST, LONGEST),
    absent: Optional("none: there is one window"),
    says: "from the beginning of a window to that of the next; with `for`",
};

static FOR: Key<By<Distribution>, Optional> = Key {
    name: "for",
    of: POSITIVE_DISTRIBUTION,
    absent: Optional("to the end of the run"),
    says: "how long a window stays open, drawn for each",
};

static RAMP: Key<By<Nanos>, Usual> = Key {
    name: "ramp",
    of: DURATION,
    absent: Usual("\"0s\""),
    says: "beside any of them: grows in over this time when a window opens, and out before it closes; at most half \
           of the window",
};

static BETWEEN: Key<By<Distribution>, RequiredIf> = Key {
    name: "between",
    of: POSITIVE_DISTRIBUTION,
    absent: RequiredIf(
        "with `hold`",
        "say how long the fault is off between windows: between = { exponential = { mean = \"10m\" } }",
    ),
    says: "random windows, with `hold`: how long it is closed, drawn for each",
};

static HOLD: Key<By<Distribution>, RequiredIf> = Key {
    name: "hold",
    of: POSITIVE_DISTRIBUTION,
    absent: RequiredIf("with `between`", "say how long it lasts: hold = \"30s +/- 10s\""),
    says: "random windows, with `between`: how long it is open, drawn for each",
};

static AFTER: Key<Written, RequiredIf> = Key {
    name: "after",
    of: Written { words: "a fault", schema: |_| text(patterns::NAME) },
    absent: RequiredIf(
        "with `delay`",
        "delay counts from the beginning of another fault: name it, after = \"…\", or write at",
    ),
    says: "a cascade: opens after each window of this fault has opened",
};

static DELAY: Key<By<Distribution>, Usual> = Key {
    name: "delay",
    of: DISTRIBUTION,
    absent: Usual("\"0s\""),
    says: "of a cascade: how long after, drawn for each window",
};

/// Reads one `when`. `fault` is the place of the fault among `names`.
pub(super) fn when<'a>(
    value: &Value<'a>,
    scope: &Scope,
    (fault, names): (usize, &IndexMap<String, usize>),
    waits: &mut Vec<Wait<'a>>,
) -> Option<When> {
    let table = WHEN.of.0.open(value, "when")?;
    if table.entries().is_empty() {
        let help = "leave it out, or write for example when = { at = \"30s\", for = \"2m\" }";
        return value.refuse(Problem::new("when says nothing").label("empty").help(help));
    }
    let (at, every, lasts) = (AT.get(&table), EVERY.get(&table), FOR.get(&table));
    let (after, delay) = (AFTER.get(&table), DELAY.get(&table));
    let random = BETWEEN.get(&table).or(HOLD.get(&table)).map(|value| value.key);
    let cascade = after.as_ref().or(delay.as_ref()).map(|value| value.key);
    let (schedule, lasting) = match (random, cascade) {
        (Some(kind), _) => {
            let others = [&at, &every, &lasts, &after, &delay].into_iter().flatten();
            others.for_each(|value| {
                refuse_other(value, kind, "hold says how long the fault is on, between how long it is off")
            });
            let (between, hold) = (BETWEEN.read(&table), HOLD.read(&table));
            let (between, hold) = (between?, hold?);
            let longest = largest(&hold);
            (Some(Schedule::Random { between, hold }), longest)
        }
        (None, Some(kind)) => {
            let alien =
                |value: &Value<'_>| refuse_other(value, kind, "delay says how long after the other fault");
            [&at, &every].into_iter().flatten().for_each(alien);
            let lasting = FOR.read(&table);
            let longest = lasting.iter().flatten().find_map(largest);
            (following(&table, lasting, (fault, names), waits), longest)
        }
        (None, None) => {
            let lasting = FOR.read(&table);
            let longest = lasting.iter().flatten().find_map(largest);
            (windows(&table, lasting), longest)
        }
    };
    let ramp = RAMP.get(&table).map_or(Some(RAMP.usual()), |value| ramp_of(&value, lasting, scope));
    Some(When { schedule: schedule?, ramp: ramp? })
}

/// Notes a key that belongs to another kind of schedule.
fn refuse_other(value: &Value<'_>, kind: &str, instead: &str) {
    value.refuse_key::<()>(
        Problem::new(format!("when has both {kind} and {}", value.key))
            .label(format!("{kind} is given as well"))
            .help(format!("leave one of them out; {instead}")),
    );
}

/// `at`, `for` and `every`; what `for` says is read already.
fn windows(table: &Table<'_>, lasting: Option<Option<Distribution>>) -> Option<Schedule> {
    let at = AT.read(table);
    let longest = lasting.iter().flatten().find_map(largest);
    if EVERY.get(table).is_some() && FOR.get(table).is_none() {
        table.need("for", None, "say how long each window lasts: for = \"2m\", every = \"10m\"");
    }
    let every = EVERY.read(table).and_then(|every| match (EVERY.get(table), every, longest) {
        (Some(value), Some(every), Some(longest)) if every < longest => {
            let (every, lasting) = (clock::show(every), clock::show(longest));
            value.refuse(
                Problem::new(format!("a window of {lasting} every {every}: the windows overlap"))
                    .label("shorter than for")
                    .help("let windows be shorter, or further apart"),
            )
        }
        _ => Some(every),
    });
    Some(Schedule::Fixed { at: at?, lasting: lasting?, every: every? })
}

/// `after` and `delay`.
fn following<'a>(
    table: &Table<'a>,
    lasting: Option<Option<Distribution>>,
    (fault, names): (usize, &IndexMap<String, usize>),
    waits: &mut Vec<Wait<'a>>,
) -> Option<Schedule> {
    let after = AFTER.need(table);
    let other = after.as_ref().and_then(|value| {
        let name = value.text()?;
        names.get(name).copied().or_else(|| {
            let known = names.keys().map(String::as_str).filter(|name| !name.contains(' '));
            let problem = Problem::new(format!("unknown fault {}", quote(name))).label("no such fault");
            match value.problems().full() {
                true => value.refuse(problem),
                false => value.refuse(problem.help(did_you_mean(name, "faults", known))),
            }
        })
    });
    if let (Some(other), Some(after)) = (other, after) {
        waits.push((fault, other, after));
    }
    let delay = DELAY.read(table);
    Some(Schedule::After { fault: other?, delay: delay?, lasting: lasting? })
}

/// A ramp, which grows in and out within the window.
fn ramp_of(value: &Value<'_>, lasting: Option<Nanos>, scope: &Scope) -> Option<Nanos> {
    if !scope.grows {
        let problem = scope.takes_no("when.ramp");
        return value
            .refuse_key(problem.help("leave it out: it is there or it is not, nothing lies between"));
    }
    let ramp = RAMP.of.read(value)?;
    match lasting {
        Some(lasting) if ramp > lasting / 2 => {
            let (ramp, lasting) = (clock::show(ramp), clock::show(lasting));
            value.refuse(
                Problem::new(format!(
                    "a ramp of {ramp} up and one down do not fit into a window of {lasting}"
                ))
                .label("longer than half of the window")
                .help("write a shorter ramp, or let the window last longer"),
            )
        }
        _ => Some(ramp),
    }
}

/// Refuses faults that wait for one another, of which none ever begins.
pub(super) fn refuse_circles(waits: &[Wait<'_>], names: &IndexMap<String, usize>) {
    let follows: IndexMap<usize, usize> = waits.iter().map(|(fault, other, _)| (*fault, *other)).collect();
    // The round of its walk, for each fault that a walk has passed.
    let mut passed: IndexMap<usize, usize> = IndexMap::new();
    for (round, (fault, _, value)) in waits.iter().enumerate() {
        let (mut way, mut at) = (Vec::new(), *fault);
        while !passed.contains_key(&at) {
            passed.insert(at, round);
            way.push(at);
            match follows.get(&at) {
                Some(next) => at = *next,
                None => break,
            }
        }
        // A walk that comes back to itself at its beginning: other circles are told where they begin.
        let circle = way.iter().position(|fault| *fault == at && follows.contains_key(&at));
        let Some(start) = circle.filter(|_| passed.get(&at) == Some(&round)) else { continue };
        let name = |fault: &usize| names.get_index(*fault).map(|(name, _)| quote(name)).unwrap_or_default();
        let circle: Vec<_> = way[start..].iter().chain([&at]).map(name).collect();
        let place = waits.iter().find(|(fault, ..)| *fault == at).map_or(value, |(.., value)| value);
        let message = match circle.len() {
            2 => format!("the fault {} waits for itself", circle[0]),
            _ => format!("faults wait for one another: {}", circle.join(" after ")),
        };
        let problem = Problem::new(message).label("none of them ever begins");
        place.refuse::<()>(
            problem.help("let one of them begin at a time of its own: when = { at = \"30s\" }"),
        );
    }
}
