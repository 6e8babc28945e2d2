//! What a check finds in the runs of one seed.

use std::collections::BTreeSet;

use crate::context::TraceId;

use super::cell::Ran;
use super::manifest::{Bound, Check, Kind, Wanted};
use super::measure::{Metric, Unit};

/// What one check has found in the runs of one seed.
#[derive(Clone, Debug)]
pub struct Finding {
    pub passed: bool,
    pub got: Option<String>,
    pub want: String,
    /// In place of `got`: what a person reads.
    pub message: String,
    pub trace: Option<TraceId>,
}

/// A run that a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub of_starter: bool,
    pub faults: Option<Vec<String>>,
}

/// The runs of one seed.
pub struct Runs {
    pub seed: u64,
    pub runs: Vec<(Need, Ran)>,
}

/// What a check finds in the runs of a seed.
pub fn find(check: &Check, runs: &Runs) -> Finding {
    let own = runs.find(false, check.faults.as_deref());
    match &check.kind {
        Kind::Report { metric, per, bound } => report(own, metric, per.as_ref(), bound),
        Kind::Compare { metric, bound } => {
            let ratio = |got: f64, was: f64| if was == got { 1.0 } else { got / was };
            let number = runs.numbers(check, metric).map(|[got, was]| ratio(got, was));
            judged(number, Unit::Share, bound, &format!("{} by that of the starter", metric.written()))
        }
        Kind::Undone { metric, bound } => {
            let clean = number(runs.find(true, Some(&[])), metric);
            let number = runs.numbers(check, metric).zip(clean).map(|([got, was], clean)| {
                // Where nothing was damaged nothing can be undone.
                if was == clean { if got <= was { 1.0 } else { 0.0 } } else { (was - got) / (was - clean) }
            });
            judged(number, Unit::Share, bound, &format!("of the damage to {} undone", metric.written()))
        }
        Kind::Edges(wanted) => {
            let wanted = match wanted {
                Wanted::AsAtTheStart => edges(runs.find(true, check.faults.as_deref())),
                Wanted::These(pairs) => pairs.iter().cloned().collect(),
            };
            compare_edges(&edges(own), &wanted)
        }
    }
}

impl Runs {
    pub fn find(&self, of_starter: bool, faults: Option<&[String]>) -> &Ran {
        let is = |need: &Need| need.of_starter == of_starter && need.faults.as_deref() == faults;
        let found = self.runs.iter().find(|(need, _)| is(need));
        &found.unwrap_or_else(|| panic!("a check at seed {} has named all its runs", self.seed)).1
    }

    /// A metric of the submission and of the starter.
    fn numbers(&self, check: &Check, metric: &Metric) -> Option<[f64; 2]> {
        let of = |of_starter| number(self.find(of_starter, check.faults.as_deref()), metric);
        Some([of(false)?, of(true)?])
    }
}

fn number(ran: &Ran, metric: &Metric) -> Option<f64> {
    metric.of(&ran.report).or(metric.of_nothing())
}

fn report(ran: &Ran, metric: &Metric, per: Option<&Metric>, bound: &Bound) -> Finding {
    let got = number(ran, metric);
    match per {
        None => judged(got, metric.unit(), bound, metric.written()),
        Some(per) => {
            let got = got.zip(number(ran, per)).and_then(|(got, per)| (per != 0.0).then(|| got / per));
            judged(got, Unit::Plain, bound, &format!("{} per {}", metric.written(), per.written()))
        }
    }
}

/// A number beside its bound.
fn judged(got: Option<f64>, unit: Unit, bound: &Bound, what: &str) -> Finding {
    let want = bound.words(unit);
    let (passed, message) = match got {
        Some(got) => (bound.holds(got), format!("{} {what}; {want} is wanted", unit.show(got))),
        None => (false, format!("there is no {what} to measure: nothing of it happened; {want} is wanted")),
    };
    Finding { passed, got: got.map(|got| unit.show(got)), want, message, trace: None }
}

/// The pairs of services of which one has called the other.
fn edges(ran: &Ran) -> BTreeSet<(String, String)> {
    let rows = ran.report["links"].as_array().map(Vec::as_slice).unwrap_or_default();
    let sent = rows.iter().filter(|row| row["count"].as_u64() > row["unsent"].as_u64());
    let ends = sent.filter_map(|row| Some((row["from"].as_str()?, row["to"].as_str()?)));
    ends.map(|(from, to)| (from.to_owned(), to.to_owned())).collect()
}

fn compare_edges(got: &BTreeSet<(String, String)>, wanted: &BTreeSet<(String, String)>) -> Finding {
    let show = |edges: &mut dyn Iterator<Item = &(String, String)>| {
        edges.map(|(from, to)| format!("{from} -> {to}")).collect::<Vec<_>>().join(", ")
    };
    let (missing, new) = (show(&mut wanted.difference(got)), show(&mut got.difference(wanted)));
    let parts = [("missing: ", missing), ("not wanted: ", new)];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(_, edges)| !edges.is_empty())
        .map(|(what, edges)| what.to_owned() + &edges)
        .collect();
    let (want, got) = (show(&mut wanted.iter()), show(&mut got.iter()));
    let message = format!("the calls between services are not those that are wanted: {}", parts.join("; "));
    Finding { passed: parts.is_empty(), got: Some(got), want, message, trace: None }
}
