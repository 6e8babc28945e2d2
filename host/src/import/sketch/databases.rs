//! One database: its schema, and what its statements take.
//!
//! A database of a topology has one latency and one time of a commit for all statements. They are those of
//! the statements that are fast; what others take beyond that stays in the work of their routes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::Nanos;

use super::super::bounds::MAX_DATABASE_STATEMENTS;
use super::super::fit;
use super::super::names::{Asks, Names};
use super::super::schema::{Schema, Tried};
use super::super::sql::{Shape, shape};
use super::super::system::System;
use super::super::trace::Of;

/// Statements, of those of a kind, from which on one may be the fast one.
const COMMON: f64 = 0.1;

/// What the time of a statement may be off before the rest is drawn as work.
const NEAR: f64 = 0.15;

/// Of a topology: a step, a row, and the mean of both ways.
const STEP: Nanos = 100;
const ROW: Nanos = 1_000;
const BOTH_WAYS: Nanos = 418_000;

/// Where commits are all that is seen, this part of their time is the way.
const OF_WAYS: Nanos = 4;

#[derive(Debug, Default)]
pub struct Database {
    pub name: String,
    /// What the traces have in place of PostgreSQL, or PostgreSQL.
    pub system: String,
    pub schema: Schema,
    /// As TOML; none where no statement shows it.
    pub latency: Option<String>,
    /// As TOML, of the key `cost`.
    pub cost: String,
    pub shapes: BTreeMap<u32, Shape>,
    models: BTreeMap<u32, Timing>,
}

/// What a route asks a database.
#[derive(Clone, Debug, Default)]
pub struct Asking {
    pub database: usize,
    /// Statements in their order, and how often each is executed.
    pub statements: Vec<(u32, usize)>,
    pub is_transaction: bool,
}

/// How long a statement takes in the sketch.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    pub mean: Nanos,
    /// It is as long as it was recorded.
    pub is_exact: bool,
}

impl Database {
    /// One that nothing is known of yet.
    pub fn new(name: String, system: String) -> Self {
        Self { name, system, ..Self::default() }
    }

    /// How long a statement takes; none of one that is not drawn.
    pub fn model(&self, statement: u32) -> Option<&Timing> {
        self.models.get(&statement)
    }
}

/// A statement of which there are spans.
struct Asked {
    times: Vec<Nanos>,
    /// Of what it does in the engine.
    work: Nanos,
    ends_with_commit: bool,
    /// It is no statement, but begins or ends a transaction.
    is_control: bool,
}

impl Asked {
    fn median(&self) -> Nanos {
        fit::quantile(&self.times, 500).saturating_sub(self.work)
    }
}

/// Draws a database by what routes ask it; `controls` are the words that begin and end transactions.
pub fn draw(
    database: &mut Database,
    system: &System,
    names: &Names,
    asked: &[(u32, &Asking)],
    controls: &BTreeSet<u32>,
) {
    let (shapes, tried) = taken(system, names, asked);
    database.schema = Schema::of(shapes.values());
    let mut times: BTreeMap<u32, Vec<Nanos>> = BTreeMap::new();
    for (route, _) in asked {
        for part in system.routes[*route as usize].parts() {
            if let Of::Statement(number) = part.of
                && (shapes.contains_key(&number) || controls.contains(&number))
            {
                times.entry(number).or_default().push(part.took);
            }
        }
    }
    let in_transaction: BTreeSet<u32> = asked
        .iter()
        .filter(|(_, asking)| asking.is_transaction)
        .flat_map(|(_, asking)| asking.statements.iter().map(|(number, _)| *number))
        .collect();
    let work =
        |tried: &Tried| tried.steps.saturating_mul(STEP).saturating_add(tried.rows.saturating_mul(ROW));
    // Where the rows of the sketch would take more than all that was seen, steps cost nothing.
    let is_free = times.iter_mut().any(|(number, times)| {
        times.sort_unstable();
        tried.get(number).is_some_and(|tried| work(tried) > fit::quantile(times, 500) / 2)
    });
    let all = times.into_iter().map(|(number, mut times)| {
        times.sort_unstable();
        let ends_with_commit = match &names.statements.get(number).asks {
            Asks::Commit => true,
            Asks::Sql(text) => !in_transaction.contains(&number) && writes(text),
            _ => false,
        };
        let work = if is_free { 0 } else { tried.get(&number).map_or(0, work) };
        let is_control = controls.contains(&number);
        (number, Asked { times, work, ends_with_commit, is_control })
    });
    calibrate(database, names, all.collect(), is_free);
    database.shapes = shapes;
}

/// The statements that a database takes, and what they are to it.
fn taken(
    system: &System,
    names: &Names,
    asked: &[(u32, &Asking)],
) -> (BTreeMap<u32, Shape>, BTreeMap<u32, Tried>) {
    let mut sums: BTreeMap<u32, u128> = BTreeMap::new();
    for (route, asking) in asked {
        for (number, _) in &asking.statements {
            *sums.entry(*number).or_default() += system.routes[*route as usize].statements[number].time;
        }
    }
    let mut order: Vec<u32> = sums.keys().copied().collect();
    order.sort_by_key(|number| (Reverse(sums[number]), *number));
    order.truncate(MAX_DATABASE_STATEMENTS);
    let read = |number: u32| match &names.statements.get(number).asks {
        Asks::Sql(text) => Some((number, shape(text)?)),
        _ => None,
    };
    let mut shapes: Vec<(u32, Shape)> = order.into_iter().filter_map(read).collect();
    let mut tried = Vec::new();
    // What is refused leaves the schema: the others are tried without it once more.
    for _ in 0..2 {
        let list: Vec<&Shape> = shapes.iter().map(|(_, shape)| shape).collect();
        tried = Schema::of(list.iter().copied()).try_all(&list);
        let mut taken = tried.iter();
        shapes.retain(|_| taken.next().is_some_and(Option::is_some));
        tried.retain(Option::is_some);
    }
    let numbers = shapes.iter().map(|(number, _)| *number);
    let tried = numbers.zip(tried.into_iter().flatten()).collect();
    (shapes.into_iter().collect(), tried)
}

/// Whether a statement changes rows.
fn writes(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    ["INSERT", "UPDATE", "DELETE"].iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// Sets latency and costs by the fast statements, and what each takes by them.
fn calibrate(database: &mut Database, names: &Names, all: BTreeMap<u32, Asked>, is_free: bool) {
    let fast = |ends_with_commit: bool| {
        let of_kind = || all.values().filter(|asked| asked.ends_with_commit == ends_with_commit);
        let sum: usize = of_kind().map(|asked| asked.times.len()).sum();
        let common = of_kind().filter(|asked| asked.times.len() as f64 >= COMMON * sum as f64);
        common.min_by_key(|asked| asked.median())
    };
    let begin = all.iter().find(|(number, _)| names.statements.get(**number).asks == Asks::Begin);
    let (plain, commit) = (fast(false), fast(true));
    let less = |asked: &Asked, by: Nanos| -> Vec<Nanos> {
        asked.times.iter().map(|time| time.saturating_sub(by + asked.work)).collect()
    };
    let way = begin.map(|(_, begin)| begin).or(plain);
    let (latency, both_ways) = match (way, commit) {
        (Some(way), _) => {
            let mut times = less(way, 0);
            (Some(fit::halves(&mut times)), mean(&times))
        }
        (None, Some(commit)) if commit.median() / OF_WAYS < BOTH_WAYS => {
            let both_ways = commit.median() / OF_WAYS;
            (Some(fit::fixed(both_ways / 2)), both_ways)
        }
        (None, _) => (None, BOTH_WAYS),
    };
    let statements = all.values().filter(|asked| !asked.ends_with_commit && !asked.is_control);
    let fastest = statements.map(Asked::median).min().filter(|_| begin.is_some());
    let statement =
        fastest.map_or(0, |fastest| fastest.saturating_sub(begin.map_or(0, |(_, begin)| begin.median())));
    let mut commits = commit
        .map(|commit| less(commit, both_ways + if commit.is_control { 0 } else { statement }))
        .unwrap_or_default();
    let mean_commit = mean(&commits);
    let of_commit = commit.map(|_| format!(", commit = {}", fit::distribution(&mut commits)));
    let steps = if is_free { ", step = \"0ns\", row = \"0ns\"" } else { "" };
    database.latency = latency;
    database.cost =
        format!("{{ statement = {:?}{steps}{} }}", fit::shown(statement), of_commit.unwrap_or_default());
    database.models = all
        .iter()
        .map(|(number, asked)| {
            let of_commit = if asked.ends_with_commit { mean_commit } else { 0 };
            let own = if asked.is_control { 0 } else { statement + asked.work };
            let modelled = both_ways + own + of_commit;
            let recorded = mean(&asked.times);
            let is_exact = recorded.abs_diff(modelled) as f64 <= NEAR * recorded as f64;
            (*number, Timing { mean: modelled, is_exact })
        })
        .collect();
}

fn mean(times: &[Nanos]) -> Nanos {
    let sum: u128 = times.iter().map(|time| u128::from(*time)).sum();
    (sum / times.len().max(1) as u128) as Nanos
}
