//! Makes the last line of the truth.

use std::collections::BTreeSet;

use crate::fault::impact::{FaultImpact, ImpactSummary, OutsideRequest as Request, ServiceRoute};
use crate::fault::{Account, Suppression};
use crate::model::{Model, Nanos};

use super::Names;
use super::causes::Comparison;
use super::record::Record;
use super::summary::{FaultRow, Skipped, Total};
use super::symptom::{Symptom, Visible};
use super::units::{instant, seconds};

/// What the last line is made of.
#[derive(Debug)]
pub struct Closing<'a> {
    pub model: &'a Model,
    pub names: &'a Names,
    pub accounts: &'a [Account],
    /// Of each world.
    pub seen: &'a [ImpactSummary],
    /// Nanoseconds since the Unix epoch.
    pub start: Nanos,
    /// Nanoseconds from the start to the end.
    pub simulated: Nanos,
}

impl Closing<'_> {
    /// The last line. `causes` says what a fault has caused, by its place in the model.
    pub fn record(&self, mut causes: impl FnMut(usize) -> Result<Comparison, Skipped>) -> Record {
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
            let causes = if !account.has_done_anything() { Err(Skipped::NeverFired) } else { causes(index) };
            total.windows += account.windows;
            total.matched += account.matched;
            total.injected += account.injected;
            total.suppressed += account.suppressed.iter().sum::<u64>();
            faults.push(self.row(account, index, causes));
        }
        let end = self.start.saturating_add(self.simulated);
        Record::Summary { at: seconds(self.simulated), time: instant(end), faults, total }
    }

    fn row(&self, account: &Account, index: usize, found: Result<Comparison, Skipped>) -> FaultRow {
        let touched = || self.seen.iter().filter_map(|seen| seen.touched.get(index));
        let earliest = |of: fn(&FaultImpact) -> Option<&Request>| {
            let first = touched().filter_map(of).min_by_key(|request| request.due);
            first.map(|request| Symptom::new(request, self.names, self.start))
        };
        let failed = || {
            let first = earliest(|touched| touched.failure.as_ref())?;
            Some(Symptom { visible_as: Some(Visible::Error), ..first })
        };
        let (symptom, causes) = match found {
            Ok(Comparison { causes, symptom }) => (symptom, Ok(causes)),
            Err(why) => (failed(), Err(why)),
        };
        let places = |of: fn(&FaultImpact) -> &BTreeSet<ServiceRoute>| {
            let all: BTreeSet<ServiceRoute> = touched().flat_map(of).copied().collect();
            all.into_iter().map(|at| self.names.place(at)).collect()
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
            deaths: (account.deaths > 0).then_some(account.deaths),
            first_firing_at: first.map(|first| seconds(first.saturating_sub(self.start))),
            struck: places(|touched| &touched.struck),
            upstream: places(|touched| &touched.upstream),
            requests: touched().map(|touched| touched.requests).sum(),
            requests_failed: touched().map(|touched| touched.failed).sum(),
            first_struck: earliest(|touched| touched.first_request.as_ref()),
            first_symptom: symptom,
            causes_skipped: causes.as_ref().err().copied(),
            causes: causes.ok(),
        }
    }
}
