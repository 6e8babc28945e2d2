//! What the run had to achieve, and by how much it did not.

use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::Accounts;
use crate::load::LoadStats;
use crate::model::{Goal, Measure, Model, Nanos, RequestsOf};
use crate::tally::Tally;

use super::words::{number, percent, time};

/// One measure that the topology sets a limit to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ObjectiveRow {
    /// `order-service POST /orders`, a service, or a load.
    pub subject: String,
    /// `p50`, `p90`, `p95`, `p99`, `max`, `mean`, `errors` or `rate`.
    pub measure: String,
    pub unit: Unit,
    /// The most that is allowed; of a rate, the least.
    pub limit: f64,
    /// Null where there was no request.
    pub actual: Option<f64>,
    pub met: bool,
}

/// What a limit is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    Nanoseconds,
    /// Of all requests, from 0 to 1.
    Share,
    PerSecond,
}

/// Where requests were counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted<'a> {
    pub accounts: &'a Accounts,
    pub loads: &'a [(String, LoadStats)],
}

/// Holds the counts against the model's objectives. One that saw no request is
/// missed, or left out.
pub fn judge(model: &Model, counted: Counted<'_>, idle_is_missed: bool) -> Vec<ObjectiveRow> {
    let mut rows = Vec::new();
    for objective in &model.objectives {
        // A load that is switched off has no objective to miss.
        let Some((subject, tally, time)) = find(&objective.of, counted) else { continue };
        if tally.count > 0 || idle_is_missed {
            let row = |goal| ObjectiveRow::new(subject.clone(), goal, &tally, time);
            rows.extend(objective.goals.iter().map(row));
        }
    }
    rows
}

/// The name of whose requests they are, the requests, and the time in which they were made, in
/// nanoseconds; none for a load that did not run.
fn find(of: &RequestsOf, counted: Counted<'_>) -> Option<(String, Tally, Nanos)> {
    let time = counted.accounts.duration();
    let services = &counted.accounts.services;
    match of {
        RequestsOf::Service(id) => {
            let service = &services[id.index()];
            Some((service.name.to_string(), service.all(), time))
        }
        RequestsOf::Route(id, route) => {
            let service = &services[id.index()];
            let mut routes = service.routes();
            let tally = routes.find(|(name, _)| name.is_some_and(|name| **name == **route));
            let tally = tally.map(|(_, tally)| tally.clone()).unwrap_or_default();
            Some((format!("{} {route}", service.name), tally, time))
        }
        RequestsOf::Load(load) => {
            let (name, stats) = counted.loads.iter().find(|(name, _)| name == load)?;
            Some((name.clone(), stats.tally.clone(), stats.duration))
        }
    }
}

impl ObjectiveRow {
    fn new(subject: String, goal: &Goal, tally: &Tally, time: Nanos) -> Self {
        let measure = goal.measure;
        let (unit, value) = match measure {
            Measure::Mean => (Unit::Nanoseconds, tally.mean()),
            Measure::Max => (Unit::Nanoseconds, tally.longest as f64),
            Measure::Errors => (Unit::Share, tally.failed() as f64 / tally.count.max(1) as f64),
            Measure::Rate => (Unit::PerSecond, tally.rate(time)),
            Measure::P50 => (Unit::Nanoseconds, tally.quantile(0.5) as f64),
            Measure::P90 => (Unit::Nanoseconds, tally.quantile(0.9) as f64),
            Measure::P95 => (Unit::Nanoseconds, tally.quantile(0.95) as f64),
            Measure::P99 => (Unit::Nanoseconds, tally.quantile(0.99) as f64),
        };
        let actual = (tally.count > 0).then_some(value);
        let within = |value| if measure == Measure::Rate { value >= goal.limit } else { value <= goal.limit };
        let met = actual.is_some_and(within);
        Self { subject, measure: measure.name().to_owned(), unit, limit: goal.limit, actual, met }
    }

    fn show(&self, value: f64) -> String {
        match self.unit {
            Unit::Nanoseconds => time(value.round() as Nanos),
            Unit::Share => percent(value),
            Unit::PerSecond => format!("{}/s", number(value)),
        }
    }
}

impl fmt::Display for ObjectiveRow {
    /// `missed: order-service POST /orders: p99 431ms is over 400ms by 31ms (7.75%)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, measure, limit, .. } = self;
        let (is_rate, bound) = (self.unit == Unit::PerSecond, self.show(*limit));
        let word = if self.met { "met" } else { "missed" };
        let Some(actual) = self.actual else {
            return write!(f, "{word}: {subject}: {measure}: there was no request");
        };
        let value = self.show(actual);
        if self.met {
            let least_or_most = if is_rate { "at least" } else { "at most" };
            return write!(f, "{word}: {subject}: {measure} {value} of {least_or_most} {bound}");
        }
        let side = if is_rate { "under" } else { "over" };
        let by = (actual - limit).abs();
        write!(f, "{word}: {subject}: {measure} {value} is {side} {bound} by {}", self.show(by))?;
        // Of no errors at all, nothing is a part.
        if *limit > 0.0 && self.unit != Unit::Share {
            write!(f, " ({})", percent(by / limit))
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(measure: Measure, limit: f64, tally: &Tally) -> String {
        ObjectiveRow::new("shop".to_owned(), &Goal { measure, limit }, tally, 10_000_000_000).to_string()
    }

    #[test]
    fn an_objective_says_by_how_much_it_is_missed() {
        let mut tally = Tally::default();
        for number in 0..100 {
            tally.note(431_000_000, (number < 2).then(|| "503".into()));
        }
        let lines = [
            row(Measure::P99, 400e6, &tally),
            row(Measure::Mean, 431e6, &tally),
            row(Measure::Errors, 0.01, &tally),
            row(Measure::Errors, 0.0, &tally),
            row(Measure::Errors, 0.02, &tally),
            row(Measure::Rate, 40.0, &tally),
            row(Measure::Rate, 10.0, &tally),
            row(Measure::Max, 1.0, &Tally::default()),
        ];
        let expected = [
            "missed: shop: p99 431ms is over 400ms by 31ms (7.75%)",
            "met: shop: mean 431ms of at most 431ms",
            "missed: shop: errors 2% is over 1% by 1%",
            "missed: shop: errors 2% is over 0% by 2%",
            "met: shop: errors 2% of at most 2%",
            "missed: shop: rate 10/s is under 40/s by 30/s (75%)",
            "met: shop: rate 10/s of at least 10/s",
            "missed: shop: max: there was no request",
        ];
        assert_eq!(lines, expected);
    }
}
