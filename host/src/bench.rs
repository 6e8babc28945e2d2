//! `simhost bench`: what things cost on this machine, beside the targets.
//!
//! Every number comes from the real parts: [`world`] drives a bus on this
//! thread, [`process`] starts this program as a user would and sends it real
//! requests.

mod client;
mod lab;
mod process;
mod sending;
mod shards;
mod world;

use std::time::Duration;

use serde::Serialize;

use crate::error::Refused;
use crate::report::grid::{Grid, Kind};
use crate::report::words;
use crate::telemetry::console::Style;

/// The orders topology as it ships.
const ORDERS: &str = include_str!("../assets/topologies/orders.toml");

/// How long each measurement runs.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Wall time for each row.
    pub each: Duration,
    /// Repetitions; the best counts, as others on the machine only ever slow it.
    pub rounds: u32,
}

/// One measured quantity.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub what: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// What it is to be at most or, where more is better, at least; none for what
    /// only explains another row.
    pub target: Option<f64>,
    pub more_is_better: bool,
    /// Which part of a hop it is, from 0 to 1, if it is one.
    pub share: Option<f64>,
}

const fn at_most(what: &'static str, value: f64, unit: &'static str, target: Option<f64>) -> Row {
    Row { what, value, unit, target, more_is_better: false, share: None }
}

const fn at_least(what: &'static str, value: f64, unit: &'static str, target: Option<f64>) -> Row {
    Row { what, value, unit, target, more_is_better: true, share: None }
}

/// A stage of a hop, which takes `hop` microseconds in all.
fn stage(what: &'static str, value: f64, hop: f64) -> Row {
    Row { share: Some(value / hop), ..at_most(what, value, "µs", None) }
}

/// Why there are no numbers.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    #[error("the bench's own topology is refused: {0}")]
    Refused(#[from] Refused),
    #[error("the system refuses what the bench needs: {0}")]
    System(#[from] std::io::Error),
    #[error("the program under test did not do its part: {0}")]
    Child(String),
}

/// Measures everything.
///
/// # Errors
/// This program cannot start itself, or a port or a file is refused.
pub fn run(effort: Effort) -> Result<Vec<Row>, BenchError> {
    let mut rows = world::rows(effort)?;
    rows.extend(process::rows(effort)?);
    Ok(rows)
}

/// The rows as a table.
pub fn table(rows: &[Row], style: Style) -> String {
    let numbers = ["measured", "target"].map(|head| (head, Kind::Number));
    let mut grid =
        Grid::new([("what", Kind::Name)].into_iter().chain(numbers).chain([("verdict", Kind::Text)]));
    for row in rows {
        let limit = if row.more_is_better { "≥" } else { "≤" };
        let meets = |target| if row.more_is_better { row.value >= target } else { row.value <= target };
        let verdict = row.target.map(|target| if meets(target) { "met" } else { "missed" }.to_owned());
        let share = row.share.map(|share| format!("{:.0}% of a hop", share * 100.0));
        grid.row([
            row.what.to_owned(),
            format!("{} {}", digits(row.value), row.unit),
            row.target.map_or_else(String::new, |target| format!("{limit} {} {}", digits(target), row.unit)),
            verdict.or(share).unwrap_or_default(),
        ]);
    }
    let mut text = String::new();
    grid.write(&mut text, style);
    text
}

/// Three significant digits, thousands apart.
fn digits(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.2}");
    }
    words::count(value.round() as u64)
}

/// The orders topology without waits: what is left is what simhost costs.
fn orders_without_sleeps() -> String {
    ORDERS
        .replace("[services.order-service]", "[network]\nlatency = \"0ns\"\n\n[services.order-service]")
        .replace("guest = \"inventory\"", "guest = \"inventory\"\nconfig = { sleeps = false }")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_as_many_digits_as_they_deserve() {
        assert_eq!(
            [0.5, 99.0, 150.0, 12_345.6, 1_234_567.0].map(digits),
            ["0.50", "99.00", "150", "12,346", "1,234,567"]
        );
    }

    #[test]
    fn the_shipped_topology_has_what_the_bench_takes_out_of_it() {
        let without = orders_without_sleeps();
        assert!(without.contains("latency = \"0ns\"") && without.contains("sleeps = false"));
    }
}
