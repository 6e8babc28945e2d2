//! Tables of what stands behind services: topics and groups, jobs, databases, caches. Each has the columns in
//! which a row differs.

use crate::report::words::{about, count, percent, time};
use crate::report::{CacheRow, GroupRow, JobRow, PoolRow, StatementRow, TopicNumbers};
use crate::telemetry::console::Style;

use super::Difference;
use super::shift::{Counted, Shift};
use super::table::{Table, arrow};

/// A head, and what stands below it.
type Column<T> = (&'static str, fn(&T) -> String);

/// Appends the tables of all that is changed.
pub fn write(text: &mut String, difference: &Difference, style: Style) {
    let Difference { topics, groups, jobs, statements, pools, caches, .. } = difference;
    table(text, ["topic", "topic"], topics, |of, _| of.to_owned(), TOPIC, style);
    table(text, ["group", "group"], groups, |of, topic| format!("{of} of {topic}"), GROUP, style);
    table(text, ["job", "job"], jobs, spaced, JOB, style);
    table(text, ["statement", "statement"], statements, spaced, STATEMENT, style);
    table(text, ["pool", "pool"], pools, |of, database| format!("{of} at {database}"), POOL, style);
    table(text, ["cache", "cache"], caches, |of, _| of.to_owned(), CACHE, style);
}

/// What a group did in both runs, in a few words: the lag, the ages, and what was given up or missed.
pub fn sentence(shift: &Shift<GroupRow>) -> String {
    let row = |side: &Option<GroupRow>| side.clone().unwrap_or_default();
    let (before, after) = (row(&shift.before), row(&shift.after));
    let failed = |row: &GroupRow| count(row.rejected + row.exhausted + row.missed);
    let numbers: [Column<GroupRow>; 3] = [
        ("lag at most", |row| count(row.lag_max)),
        ("age p99", |row| about(row.age_p99_ns, row.age_max_ns)),
        ("messages done", |row| count(row.done)),
    ];
    let both = numbers.map(|(what, of)| (what, of(&before), of(&after)));
    let lost = ("given up or missed", failed(&before), failed(&after));
    let differ = both.into_iter().chain([lost]).filter(|(_, before, after)| before != after);
    let said: Vec<_> =
        differ.map(|(what, before, after)| format!("{what} {}", arrow(before, after))).collect();
    let (group, topic) = (&shift.of, shift.name.as_deref().unwrap_or_default());
    match said.is_empty() {
        true => format!("group {group} of {topic} differs"),
        false => format!("group {group} of {topic}: {}", said.join(", ")),
    }
}

fn spaced(of: &str, name: &str) -> String {
    format!("{of} {name}")
}

/// Writes a table of the rows that are changed, with the first column and each other in which one of them
/// differs.
fn table<T: Counted>(
    text: &mut String,
    [head, noun]: [&'static str; 2],
    shifts: &[Shift<T>],
    who: fn(&str, &str) -> String,
    columns: &[Column<T>],
    style: Style,
) {
    let (changed, same): (Vec<_>, Vec<_>) = shifts.iter().partition(|shift| shift.is_changed());
    let cell = |shift: &Shift<T>, of: fn(&T) -> String| {
        let side = |side: &Option<T>| side.as_ref().map_or_else(|| "-".to_owned(), of);
        (side(&shift.before), side(&shift.after))
    };
    // What a run did not have, the other may have and count nothing of.
    let is_none = |cell: &str| ["-", "0", "0s"].contains(&cell);
    let differs = |of: fn(&T) -> String| {
        let mut cells = changed.iter().map(|shift| cell(shift, of));
        cells.any(|(before, after)| before != after && !(is_none(&before) && is_none(&after)))
    };
    let shown = columns.iter().enumerate().filter(|(at, (_, of))| *at == 0 || differs(*of));
    let shown: Vec<_> = shown.map(|(_, column)| *column).collect();
    let heads: Vec<_> = std::iter::once(head).chain(shown.iter().map(|(head, _)| *head)).collect();
    let mut table = Table::new(heads);
    for shift in &changed {
        let cells = shown.iter().map(|(_, of)| {
            let (before, after) = cell(shift, *of);
            arrow(before, after)
        });
        let who = who(&shift.of, shift.name.as_deref().unwrap_or_default());
        table.row(std::iter::once(who).chain(cells));
    }
    table.write(text, noun, same.len(), style);
}

const TOPIC: &[Column<TopicNumbers>] = &[
    ("published", |row| count(row.published)),
    ("refused", |row| count(row.refused)),
    ("dropped", |row| count(row.dropped)),
    ("expired", |row| count(row.expired)),
    ("kept", |row| count(row.kept)),
];

const GROUP: &[Column<GroupRow>] = &[
    ("done", |row| count(row.done)),
    ("redelivered", |row| count(row.redelivered)),
    ("failed", |row| count(row.processing.errors)),
    ("given up", |row| count(row.rejected + row.exhausted)),
    ("dead letters", |row| count(row.dead_letters)),
    ("missed", |row| count(row.missed)),
    ("revoked", |row| count(row.revoked)),
    ("lag", |row| count(row.lag)),
    ("lag max", |row| count(row.lag_max)),
    ("left", |row| count(row.lag_end)),
    ("age p50", |row| about(row.age_p50_ns, row.age_max_ns)),
    ("age p99", |row| about(row.age_p99_ns, row.age_max_ns)),
    ("took p50", |row| about(row.processing.p50_ns, row.processing.max_ns)),
    ("took p99", |row| about(row.processing.p99_ns, row.processing.max_ns)),
];

const JOB: &[Column<JobRow>] = &[
    ("runs", |row| count(row.numbers.count)),
    ("skipped", |row| count(row.skipped)),
    ("in flight", |row| row.in_flight.to_string()),
    ("errors", |row| count(row.numbers.errors)),
    ("p50", |row| time(row.numbers.p50_ns)),
    ("p95", |row| time(row.numbers.p95_ns)),
    ("p99", |row| time(row.numbers.p99_ns)),
];

const STATEMENT: &[Column<StatementRow>] = &[
    ("calls", |row| count(row.numbers.count)),
    ("errors", |row| count(row.numbers.errors)),
    ("scanned", |row| count(row.rows_scanned)),
    ("lock waits", |row| count(row.lock_waits)),
    ("lock wait", |row| time(row.lock_wait_mean_ns)),
    ("p50", |row| about(row.numbers.p50_ns, row.numbers.max_ns)),
    ("p95", |row| about(row.numbers.p95_ns, row.numbers.max_ns)),
    ("p99", |row| about(row.numbers.p99_ns, row.numbers.max_ns)),
];

const POOL: &[Column<PoolRow>] = &[
    ("asked", |row| count(row.asked)),
    ("waited", |row| count(row.waited)),
    ("wait mean", |row| time(row.wait_mean_ns)),
    ("wait max", |row| time(row.wait_max_ns)),
    ("timeouts", |row| count(row.timeouts)),
    ("refused", |row| count(row.refused)),
];

const CACHE: &[Column<CacheRow>] = &[
    ("commands", |row| count(row.commands)),
    ("hits", |row| row.hit_ratio.map_or_else(|| "-".to_owned(), percent)),
    ("misses", |row| count(row.misses)),
    ("unanswered", |row| count(row.unanswered)),
    ("waited", |row| count(row.waited)),
    ("evicted", |row| count(row.evicted)),
    ("expired", |row| count(row.expired)),
    ("keys", |row| count(row.keys)),
];
