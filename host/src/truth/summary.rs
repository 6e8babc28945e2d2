//! What closes the truth: what each fault has done, whom it has touched, and what
//! it has caused.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use crate::fault::witness::{Caused as Request, Spot, Testimony, Touched};
use crate::fault::{Account, Suppression};
use crate::model::{Model, Nanos};

use super::Names;
use super::causes::Causes;
use super::changed::Visible;
use super::record::{self, Record, Where};

/// What one fault did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FaultRow {
    pub fault: String,
    pub kind: String,
    /// How often it became active.
    pub windows: u64,
    /// Requests, records or replicas that met target and conditions while it was active.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason.
    pub suppressed: BTreeMap<String, u64>,
    /// When it first struck; null if it never did.
    pub first_firing_at: Option<f64>,
    /// Where it struck.
    pub struck: Vec<Where>,
    /// Whose requests had a struck one below them.
    pub upstream: Vec<Where>,
    /// Requests from outside that it struck, themselves or in a call below.
    pub requests: u64,
    /// Of those, the ones that were answered 5xx, or not at all.
    pub requests_failed: u64,
    /// The first of them; null if none was struck.
    pub first_struck: Option<Symptom>,
    /// The first request from outside that a client notices, struck or not, by the run without
    /// the fault. Where there was no such run, the first struck one that failed. Null if there
    /// is none.
    pub first_symptom: Option<Symptom>,
    /// What it has caused, by a run of the same seed without it; null where there was none.
    pub causes: Option<Causes>,
    /// Why it is not known what it has caused; null where it is.
    pub causes_skipped: Option<Skipped>,
}

/// Why no run without the fault was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// The fault has struck nothing.
    NeverFired,
    /// What it does to records, no request notices.
    ChangesNoRequest,
    /// Real time cannot be repeated.
    RealTime,
    /// The command line says so.
    NotWanted,
    /// Somebody has stopped the run, or could not wait.
    Interrupted,
    /// A hand has changed faults while the run went on.
    ChangedByHand,
    /// The run without the fault did not come to its end.
    Failed,
}

/// A request from outside that shows what a fault does.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Symptom {
    /// Null if it was never sent.
    pub trace_id: Option<String>,
    /// Its SERVER span; null if that was not recorded.
    pub span_id: Option<String>,
    pub service: String,
    /// Null for what met no route.
    pub route: Option<String>,
    /// When its load had to make it; of one that no load makes, when it arrived.
    pub at: f64,
    pub time: String,
    /// Null if it had no answer.
    pub status: Option<u16>,
    /// What kept the answer away; null if there was one, and if the run ended before.
    pub error_type: Option<String>,
    /// From `at` to its end, as its client sees it; null if that was never seen.
    pub took_ms: Option<f64>,
    /// By how much longer it took than without the fault: milliseconds. Null where that is not
    /// known.
    pub slower_by_ms: Option<f64>,
    /// As what its client notices it; null where it does not, or where that is not known.
    pub visible_as: Option<Visible>,
}

impl Symptom {
    pub fn new(request: &Request, names: &Names, start: Nanos) -> Self {
        let place = names.place(request.spot);
        let answer = request.end.map(|end| end.answer);
        Self {
            trace_id: request.is_sent.then(|| request.trace.to_string()),
            span_id: request.is_recorded.then(|| request.span.to_string()),
            service: place.service,
            route: place.route,
            at: record::seconds(request.due.saturating_sub(start)),
            time: record::instant(request.due),
            status: answer.and_then(Result::ok),
            error_type: answer.and_then(Result::err).map(ToOwned::to_owned),
            took_ms: request.end.map(|end| end.took as f64 / 1e6),
            slower_by_ms: None,
            visible_as: None,
        }
    }
}

/// All faults together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Total {
    pub windows: u64,
    pub matched: u64,
    pub injected: u64,
    pub suppressed: u64,
    /// Requests from outside, with those that a load could not send.
    pub requests: u64,
    /// Of those, the ones that were answered 5xx, or not at all, as their clients see it.
    pub errors: u64,
    /// Those by their `error.type`: the status, or what kept the answer away.
    pub errors_by_type: BTreeMap<String, u64>,
}

/// What a run without a fault says of it.
#[derive(Clone, Debug)]
pub struct Found {
    pub causes: Causes,
    /// The first request that changed visibly.
    pub symptom: Option<Symptom>,
}

/// What the last line is made of.
#[derive(Debug)]
pub struct Closing<'a> {
    pub model: &'a Model,
    pub names: &'a Names,
    pub accounts: &'a [Account],
    /// Of each world.
    pub seen: &'a [Testimony],
    /// Nanoseconds since the Unix epoch.
    pub start: Nanos,
    /// Nanoseconds from the start to the end.
    pub simulated: Nanos,
}

impl Closing<'_> {
    /// The last line. `causes` says what a fault has caused, by its place in the model.
    pub fn record(&self, mut causes: impl FnMut(usize) -> Result<Found, Skipped>) -> Record {
        let mut total = Total::default();
        for seen in self.seen {
            total.requests += seen.count;
            for (kind, count) in &seen.errors {
                total.errors += count;
                *total.errors_by_type.entry(kind.to_string()).or_default() += count;
            }
        }
        let mut faults = Vec::new();
        for account in self.accounts {
            let Some(index) = self.model.faults.iter().position(|fault| fault.name == account.name) else {
                continue;
            };
            let causes = if account.injected == 0 { Err(Skipped::NeverFired) } else { causes(index) };
            total.windows += account.windows;
            total.matched += account.matched;
            total.injected += account.injected;
            total.suppressed += account.suppressed.iter().sum::<u64>();
            faults.push(self.row(account, index, causes));
        }
        let end = self.start.saturating_add(self.simulated);
        Record::Summary { at: record::seconds(self.simulated), time: record::instant(end), faults, total }
    }

    fn row(&self, account: &Account, index: usize, found: Result<Found, Skipped>) -> FaultRow {
        let touched = || self.seen.iter().filter_map(|seen| seen.touched.get(index));
        let earliest = |of: fn(&Touched) -> Option<&Request>| {
            let first = touched().filter_map(of).min_by_key(|request| request.due);
            first.map(|request| Symptom::new(request, self.names, self.start))
        };
        let failed = || {
            let first = earliest(|touched| touched.failure.as_ref())?;
            Some(Symptom { visible_as: Some(Visible::Error), ..first })
        };
        let (symptom, causes) = match found {
            Ok(Found { causes, symptom }) => (symptom, Ok(causes)),
            Err(why) => (failed(), Err(why)),
        };
        let spots = |of: fn(&Touched) -> &BTreeSet<Spot>| {
            let all: BTreeSet<Spot> = touched().flat_map(of).copied().collect();
            all.into_iter().map(|spot| self.names.place(spot)).collect()
        };
        let reasons = Suppression::ALL.into_iter().zip(account.suppressed).filter(|(_, count)| *count > 0);
        let first = touched().filter_map(|touched| touched.first).min();
        FaultRow {
            fault: account.name.clone(),
            kind: self.model.faults[index].kind.name.to_owned(),
            windows: account.windows,
            matched: account.matched,
            injected: account.injected,
            suppressed: reasons.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            first_firing_at: first.map(|first| record::seconds(first.saturating_sub(self.start))),
            struck: spots(|touched| &touched.struck),
            upstream: spots(|touched| &touched.upstream),
            requests: touched().map(|touched| touched.requests).sum(),
            requests_failed: touched().map(|touched| touched.failed).sum(),
            first_struck: earliest(|touched| touched.first_request.as_ref()),
            first_symptom: symptom,
            causes_skipped: causes.as_ref().err().copied(),
            causes: causes.ok(),
        }
    }
}
