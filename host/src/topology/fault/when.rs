//! `when = { … }`: the windows in which a fault is active.

use indexmap::IndexMap;

use super::super::distribution::{distribution, largest, positive_distribution};
use super::super::reader::{Table, Value, optional};
use super::super::units::{LONGEST, duration, duration_within};
use super::Wait;
use super::kinds::Scope;
use crate::clock;
use crate::error::{Problem, did_you_mean, quote};
use crate::model::{Distribution, Nanos, Schedule, When};

/// Windows may not follow one another faster: nothing in a topology takes less time.
const EVERY_AT_LEAST: Nanos = 1_000_000;

/// Reads one `when`. `fault` is the place of the fault among `names`.
pub(super) fn when<'a>(
    value: &Value<'a>,
    scope: &Scope,
    (fault, names): (usize, &IndexMap<String, usize>),
    waits: &mut Vec<Wait<'a>>,
) -> Option<When> {
    let table = value.table("when")?;
    let fixed = table.some(["at", "every", "for"]);
    let [ramp, between, hold, after, delay] = table.some(["ramp", "between", "hold", "after", "delay"]);
    table.refuse_others();
    if table.entries().is_empty() {
        let help = "leave it out, or write for example when = { at = \"30s\", for = \"2m\" }";
        return value.refuse(Problem::new("when says nothing").label("empty").help(help));
    }
    let random = between.as_ref().or(hold.as_ref()).map(|value| value.key);
    let cascade = after.as_ref().or(delay.as_ref()).map(|value| value.key);
    let (schedule, lasting) = match (random, cascade) {
        (Some(kind), _) => {
            let others = fixed.iter().flatten().chain(&after).chain(&delay);
            others.for_each(|value| {
                refuse_other(value, kind, "hold says how long it lasts, between how long not")
            });
            let (between, hold) = random_windows(&table, between, hold)?;
            let longest = largest(&hold);
            (Some(Schedule::Random { between, hold }), longest)
        }
        (None, Some(kind)) => {
            let [at, every, lasting] = fixed;
            let alien =
                |value: &Value<'_>| refuse_other(value, kind, "delay says how long after the other fault");
            [&at, &every].into_iter().flatten().for_each(alien);
            let lasting = optional(lasting, |value| positive_distribution(&value));
            let longest = lasting.iter().flatten().find_map(largest);
            (following(&table, (after, delay), lasting, (fault, names), waits), longest)
        }
        (None, None) => {
            let lasting = fixed[2].as_ref().map(positive_distribution);
            let longest = lasting.iter().flatten().find_map(largest);
            let [at, every, _] = fixed;
            (windows(&table, at, every, lasting), longest)
        }
    };
    let ramp = ramp.map_or(Some(0), |value| ramp_of(&value, lasting, scope));
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
fn windows(
    table: &Table<'_>,
    at: Option<Value<'_>>,
    every: Option<Value<'_>>,
    lasting: Option<Option<Distribution>>,
) -> Option<Schedule> {
    let at = at.map_or(Some(Distribution::Fixed(0)), |value| distribution(&value));
    let longest = lasting.iter().flatten().find_map(largest);
    let every = optional(every, |value| {
        if lasting.is_none() {
            table.need("for", None, "say how long each window lasts: for = \"2m\", every = \"10m\"");
        }
        let every = duration_within(&value, EVERY_AT_LEAST..=LONGEST)?;
        match longest {
            Some(longest) if every < longest => {
                let (every, lasting) = (clock::show(every), clock::show(longest));
                value.refuse(
                    Problem::new(format!("a window of {lasting} every {every}: the windows overlap"))
                        .label("shorter than for")
                        .help("let windows be shorter, or further apart"),
                )
            }
            _ => Some(every),
        }
    });
    let lasting = match lasting {
        Some(lasting) => lasting.map(Some),
        None => Some(None),
    };
    Some(Schedule::Fixed { at: at?, lasting: lasting?, every: every? })
}

/// `between` and `hold`.
fn random_windows(
    table: &Table<'_>,
    between: Option<Value<'_>>,
    hold: Option<Value<'_>>,
) -> Option<(Distribution, Distribution)> {
    let remedy = "say how long all is well: between = { exponential = { mean = \"10m\" } }";
    let between = table.need("between", between, remedy).and_then(|value| positive_distribution(&value));
    let hold = table.need("hold", hold, "say how long it lasts: hold = \"30s +/- 10s\"");
    let hold = hold.and_then(|value| positive_distribution(&value));
    Some((between?, hold?))
}

/// `after` and `delay`.
fn following<'a>(
    table: &Table<'a>,
    (after, delay): (Option<Value<'a>>, Option<Value<'a>>),
    lasting: Option<Option<Distribution>>,
    (fault, names): (usize, &IndexMap<String, usize>),
    waits: &mut Vec<Wait<'a>>,
) -> Option<Schedule> {
    let remedy = "delay counts from the beginning of another fault: name it, after = \"…\", or write at";
    let after = table.need("after", after, remedy);
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
    let delay = delay.map_or(Some(Distribution::Fixed(0)), |value| distribution(&value));
    Some(Schedule::After { fault: other?, delay: delay?, lasting: lasting? })
}

/// A ramp, which grows in and out within the window.
fn ramp_of(value: &Value<'_>, lasting: Option<Nanos>, scope: &Scope) -> Option<Nanos> {
    if !scope.grows {
        let problem = scope.has_no("when.ramp");
        return value
            .refuse_key(problem.help("leave it out: it is there or it is not, nothing lies between"));
    }
    let ramp = duration(value)?;
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
