//! What a check finds in the runs of one seed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cell::Ran;
use super::finding::{Finding, judged, undivided};
use super::manifest::{Bound, Check, Kind, Wanted};
use super::measure::{Metric, Unit};
use super::shape;

/// A run that a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    pub of_starter: bool,
    pub faults: Option<Vec<String>>,
    /// Whether every trace is kept, whatever the sampling of the topology says.
    pub every_trace: bool,
}

/// The runs of one seed.
pub struct Runs {
    pub seed: u64,
    pub runs: Vec<(Need, Arc<Ran>)>,
}

/// The runs that a check looks at.
pub fn needs(check: &Check) -> Vec<Need> {
    let need = |of_starter, faults| Need { of_starter, faults, every_trace: false };
    let own = need(false, check.faults.clone());
    let starter = need(true, check.faults.clone());
    match &check.kind {
        Kind::Report { .. } | Kind::Edges(Wanted::These(_)) | Kind::Spans(..) | Kind::CriticalPath(_) => {
            vec![own]
        }
        Kind::Compare { .. } | Kind::Edges(Wanted::AsAtTheStart) => vec![own, starter],
        Kind::Undone { .. } => vec![own, starter, need(true, Some(Vec::new()))],
        Kind::Sampled(_) => vec![own.clone(), Need { every_trace: true, ..own }],
        Kind::Answer(_) | Kind::Guest(_) => Vec::new(),
    }
}

/// Whether a check looks at spans.
pub const fn needs_spans(check: &Check) -> bool {
    matches!(check.kind, Kind::Spans(..) | Kind::CriticalPath(_) | Kind::Sampled(_))
}

/// What a check finds in the runs of a seed; none of what is asked of a student, or of one service.
pub fn find(check: &Check, runs: &Runs) -> Option<Finding> {
    let own = || runs.find(false, check.faults.as_deref(), false);
    Some(match &check.kind {
        Kind::Answer(_) | Kind::Guest(_) => return None,
        Kind::Report { metric, per, bound } => report(own(), metric, per.as_ref(), bound),
        Kind::Compare { metric, bound } => {
            let ratio = |got: f64, was: f64| if was == got { 1.0 } else { got / was };
            let number = runs.numbers(check, metric).map(|[got, was]| ratio(got, was));
            judged(number, Unit::Share, bound, &format!("{}, as a share of the starter's,", metric.written()))
        }
        Kind::Undone { metric, bound } => {
            let clean = number(runs.find(true, Some(&[]), false), metric);
            let number = runs.numbers(check, metric).zip(clean).map(|([got, was], clean)| {
                // Where nothing was damaged nothing can be undone.
                if was == clean { if got <= was { 1.0 } else { 0.0 } } else { (was - got) / (was - clean) }
            });
            judged(
                number,
                Unit::Share,
                bound,
                &format!("the share of the damage to {} that is undone", metric.written()),
            )
        }
        Kind::Edges(wanted) => {
            let wanted = match wanted {
                Wanted::AsAtTheStart => edges(runs.find(true, check.faults.as_deref(), false)),
                Wanted::These(pairs) => pairs.iter().cloned().collect(),
            };
            compare_edges(&edges(own()), &wanted)
        }
        Kind::Spans(of, ask) => shape::spans(own(), of, ask),
        Kind::CriticalPath(check) => shape::critical_path(own(), check),
        Kind::Sampled(wanted) => {
            shape::sampled(own(), runs.find(false, check.faults.as_deref(), true), wanted)
        }
    })
}

impl Runs {
    fn find(&self, of_starter: bool, faults: Option<&[String]>, every_trace: bool) -> &Ran {
        let is = |need: &Need| {
            let same_world = need.of_starter == of_starter && need.every_trace == every_trace;
            same_world && need.faults.as_deref() == faults
        };
        let found = self.runs.iter().find(|(need, _)| is(need));
        &found.unwrap_or_else(|| panic!("a check at seed {} has named all its runs", self.seed)).1
    }

    /// A metric of the submission and of the starter.
    fn numbers(&self, check: &Check, metric: &Metric) -> Option<[f64; 2]> {
        let of = |of_starter| number(self.find(of_starter, check.faults.as_deref(), false), metric);
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
            let what = format!("{} per {}", metric.written(), per.written());
            match got.zip(number(ran, per)) {
                Some((got, 0.0)) if got != 0.0 => undivided(bound, &what, per.written()),
                // Nothing for nothing is nothing.
                numbers => {
                    let got = numbers.map(|(got, per)| if got == 0.0 { 0.0 } else { got / per });
                    judged(got, Unit::Plain, bound, &what)
                }
            }
        }
    }
}

/// The pairs of services of which one has called the other.
pub fn edges(ran: &Ran) -> BTreeSet<(String, String)> {
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
    let (want, got) = (show(&mut wanted.iter()), show(&mut got.iter()));
    let parts = [("missing: ", missing), ("not wanted: ", new)];
    let parts: Vec<_> = parts
        .into_iter()
        .filter(|(_, edges)| !edges.is_empty())
        .map(|(what, edges)| what.to_owned() + &edges)
        .collect();
    if parts.is_empty() {
        return Finding::passed(got, want);
    }
    let message = format!("the calls between services are not those that are wanted: {}", parts.join("; "));
    Finding::failed(Some(got), want, message)
}
