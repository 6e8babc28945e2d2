//! A run laid beside one without a fault: what the fault has caused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::SpanId;
use crate::fault::impact::{ImpactSummary, OutsideRequest as Request};
use crate::fault::work::Work;
use crate::model::Nanos;

use super::Names;
use super::changed::Pair;
use super::measures::{Both, Extent, Extra, Interval};
use super::services::ServiceChange;
use super::symptom::Symptom;
use super::work::{Compared, GroupChange, JobChange};

/// What a fault has caused: the same seed ran once more without it. A request, a message and a
/// run of a job have the same identity in both runs; only what the fault does can be different.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Causes {
    /// Requests from outside that both runs had.
    pub compared: u64,
    /// Of those, the ones that were answered otherwise, or took longer or less long: by 1 microsecond at
    /// least.
    pub changed: u64,
    /// `changed` of `compared`, from 0 to 1.
    pub changed_share: f64,
    /// How many of the changed have a line of their own.
    pub changed_listed: u64,
    /// Of the changed, the ones that a client notices: they fail and did not, or they take
    /// longer by 10 ms and by a fifth, both at least.
    pub visible: u64,
    /// From when the first changed request, message or run of a job was due until the last had
    /// ended; null where none has changed.
    pub impact: Option<Interval>,
    /// The same of those that changed visibly.
    pub visible_impact: Option<Interval>,
    /// Requests that only one of the runs had: clients that wait for answers send
    /// as many as they can.
    pub only_with: u64,
    pub only_without: u64,
    /// Requests answered 5xx, or not at all, of those compared, as their clients see it.
    pub errors_with: u64,
    pub errors_without: u64,
    /// Those that fail with the fault and not without it, and the other way round.
    pub errors_caused: u64,
    pub errors_averted: u64,
    /// `errors_with` and `errors_without` by `error.type`: the status, or what kept the
    /// answer away (`timeout`, `overload`, …).
    pub errors_by_type: BTreeMap<String, Both>,
    /// `errors_caused` of `errors_with`, from 0 to 1; null where nothing failed.
    pub error_share: Option<f64>,
    /// How much longer the compared took with the fault, on average: milliseconds. Those
    /// count that were sent and ended in both runs.
    pub extra_mean_ms: f64,
    /// Of the same, what 99 of 100 do not exceed.
    pub extra_p99_ms: f64,
    /// The most of the same.
    pub extra_max_ms: f64,
    /// The first request that changed, by when it was due.
    pub first_changed: Option<Symptom>,
    /// Services whose numbers are others, in the order of the topology: where it struck, above
    /// it, below it, and elsewhere.
    pub services: Vec<ServiceChange>,
    /// Groups whose messages went another way, in the order of the topology.
    pub groups: Vec<GroupChange>,
    /// Jobs whose runs did, in the order of the topology.
    pub jobs: Vec<JobChange>,
    /// Requests, messages and runs of jobs that were too many to be compared.
    pub forgotten: u64,
}

/// A run with a fault, beside one without it.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// Of each world.
    pub with: &'a [ImpactSummary],
    pub without: &'a [ImpactSummary],
    pub names: &'a Names,
    /// The largest lag of each group, by its place among the subscriptions.
    pub lags: &'a [Both],
    /// When they began, and the one with the fault ended: nanoseconds since the Unix epoch.
    pub start: Nanos,
    pub end: Nanos,
}

/// What a run without a fault says of it.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub causes: Causes,
    /// The first request, message or run of a job that changed visibly.
    pub symptom: Option<Symptom>,
}

impl Runs<'_> {
    /// Lays the runs beside each other. Of the changed requests, `list` gets `most`, drawn
    /// evenly, in the order in which they were due; `services` are those whose numbers are others.
    pub fn compare(
        &self,
        most: usize,
        services: Vec<ServiceChange>,
        mut list: impl FnMut(&Pair),
    ) -> Comparison {
        let all = |run: &'_ ImpactSummary| -> Vec<(SpanId, Request)> {
            run.requests.iter().map(|request| (request.span, *request)).collect()
        };
        let others: FxHashMap<SpanId, Request> = self.without.iter().flat_map(all).collect();
        let mut tally = Tally::default();
        let mut seen = 0;
        for (shard, run) in self.with.iter().enumerate() {
            for with in &run.requests {
                seen += 1;
                if let Some(without) = others.get(&with.span) {
                    tally.compare(Pair { shard: shard as u32, with: *with, without: *without });
                }
            }
        }
        let extra = Extra::of(&mut tally.extra);
        tally.changed.sort_unstable_by_key(|pair| (pair.with.due, pair.with.span));
        let visible = || tally.changed.iter().filter(|pair| pair.visible_as().is_some());
        let listed = listed(&tally.changed, most);
        listed.iter().for_each(|pair| list(pair));
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let symptom = |pair: &Pair| pair.symptom(self.names, self.start);
        let work = Compared::new(work_of(self.with), work_of(self.without), (self.start, self.end));
        let interval = |requests: Option<Extent>, work: Option<Extent>| {
            Extent::of(requests.into_iter().chain(work)).map(|extent| extent.interval(self.start))
        };
        let first = visible().next().map(|pair| (pair.with.due, symptom(pair)));
        let first = first.into_iter().chain(work.first_visible(self.names));
        // Of those that are due at the same instant the request, which is the first.
        let first = first.min_by_key(|(due, _)| *due).map(|(_, symptom)| symptom);
        let causes = Causes {
            compared: tally.compared,
            changed: tally.changed.len() as u64,
            changed_share: share(tally.changed.len() as u64, tally.compared),
            changed_listed: listed.len() as u64,
            visible: visible().count() as u64,
            impact: interval(self.extent(tally.changed.iter()), work.extent()),
            visible_impact: interval(self.extent(visible()), work.visible_extent()),
            only_with: seen - tally.compared,
            only_without: others.len() as u64 - tally.compared,
            errors_with: tally.failed_with,
            errors_without: tally.failed_without,
            errors_caused: tally.caused,
            errors_averted: tally.averted,
            error_share: (tally.failed_with > 0).then(|| share(tally.caused, tally.failed_with)),
            errors_by_type: tally.by_type,
            extra_mean_ms: extra.mean,
            extra_p99_ms: extra.p99,
            extra_max_ms: extra.max,
            first_changed: tally.changed.first().map(symptom),
            services,
            groups: work.groups(self.names, self.lags),
            jobs: work.jobs(self.names),
            forgotten: self.with.iter().chain(self.without).map(|run| run.forgotten).sum(),
        };
        Comparison { causes, symptom: first }
    }

    /// From when the first of these requests was due until the last had ended.
    fn extent<'a>(&self, pairs: impl Iterator<Item = &'a Pair>) -> Option<Extent> {
        let end = |pair: &Pair| pair.with.end.map_or(self.end, |end| pair.with.due.saturating_add(end.took));
        Extent::of(pairs.map(|pair| Extent { first: pair.with.due, last: end(pair) }))
    }
}

/// The messages and runs of jobs of all worlds.
fn work_of(runs: &[ImpactSummary]) -> impl Iterator<Item = Work> {
    runs.iter().flat_map(|run| &run.work).copied()
}

/// Of the changed, at most `most`. Span ids are drawn from the seed: the least of them are
/// an even sample, and the same one each time.
fn listed(changed: &[Pair], most: usize) -> Vec<&Pair> {
    let mut chosen: Vec<&Pair> = changed.iter().collect();
    if chosen.len() > most {
        chosen.sort_unstable_by_key(|pair| pair.with.span);
        chosen.truncate(most);
        chosen.sort_unstable_by_key(|pair| (pair.with.due, pair.with.span));
    }
    chosen
}

/// Requests of two runs, compared.
#[derive(Default)]
struct Tally {
    compared: u64,
    changed: Vec<Pair>,
    failed_with: u64,
    failed_without: u64,
    caused: u64,
    averted: u64,
    by_type: BTreeMap<String, Both>,
    /// Nanoseconds, by which those that ended took longer with the fault.
    extra: Vec<i64>,
}

impl Tally {
    fn compare(&mut self, pair: Pair) {
        self.compared += 1;
        let errors = [&pair.with, &pair.without].map(Request::error);
        let failed = errors.each_ref().map(Option::is_some);
        let [with, without] = errors;
        let mut count = |error: Option<Cow<'_, str>>, which: fn(&mut Both) -> &mut u64| {
            if let Some(kind) = error {
                *which(self.by_type.entry(kind.into_owned()).or_default()) += 1;
            }
        };
        count(with, |both| &mut both.with);
        count(without, |both| &mut both.without);
        self.failed_with += u64::from(failed[0]);
        self.failed_without += u64::from(failed[1]);
        self.caused += u64::from(failed[0] && !failed[1]);
        self.averted += u64::from(!failed[0] && failed[1]);
        if pair.is_changed() {
            self.changed.push(pair);
        }
        self.extra.extend(pair.extra());
    }
}
