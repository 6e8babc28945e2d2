//! A run laid beside one without a fault: what the fault has caused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::SpanId;
use crate::fault::impact::{ImpactSummary, OutsideRequest as Request};
use crate::model::Nanos;

use super::Names;
use super::changed::Pair;
use super::services::ServiceChange;
use super::symptom::Symptom;
use super::units::{instant, seconds};

/// What a fault has caused: the same seed ran once more without it. A request is the
/// same in both runs if it is who it was; only what the fault does can be different.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Causes {
    /// Requests from outside that both runs had.
    pub compared: u64,
    /// Of those, the ones that were answered otherwise, or took longer or less long.
    pub changed: u64,
    /// `changed` of `compared`, from 0 to 1.
    pub changed_share: f64,
    /// How many of the changed have a line of their own.
    pub changed_listed: u64,
    /// Of the changed, the ones that a client notices: they fail and did not, or they take
    /// longer by 10 ms and by a fifth, both at least.
    pub visible: u64,
    /// From when the first changed request was due until the last had ended; null where none
    /// has changed.
    pub impact: Option<Interval>,
    /// The same of the requests that changed visibly.
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
    /// Requests that were too many to be compared.
    pub forgotten: u64,
}

/// A count with the fault, and without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Both {
    pub with: u64,
    pub without: u64,
}

/// A part of the run.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Interval {
    pub start_at: f64,
    pub start_time: String,
    pub end_at: f64,
    pub end_time: String,
}

/// A run with a fault, beside one without it.
#[derive(Clone, Copy, Debug)]
pub struct Runs<'a> {
    /// Of each world.
    pub with: &'a [ImpactSummary],
    pub without: &'a [ImpactSummary],
    pub names: &'a Names,
    /// When they began, and the one with the fault ended: nanoseconds since the Unix epoch.
    pub start: Nanos,
    pub end: Nanos,
}

/// What a run without a fault says of it.
#[derive(Clone, Debug)]
pub struct Comparison {
    pub causes: Causes,
    /// The first request that changed visibly.
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
        let first = visible().next().map(symptom);
        let causes = Causes {
            compared: tally.compared,
            changed: tally.changed.len() as u64,
            changed_share: share(tally.changed.len() as u64, tally.compared),
            changed_listed: listed.len() as u64,
            visible: visible().count() as u64,
            impact: self.interval(tally.changed.iter()),
            visible_impact: self.interval(visible()),
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
            forgotten: self.with.iter().chain(self.without).map(|run| run.forgotten).sum(),
        };
        Comparison { causes, symptom: first }
    }

    /// From when the first of these requests was due until the last had ended.
    fn interval<'a>(&self, pairs: impl Iterator<Item = &'a Pair> + Clone) -> Option<Interval> {
        let end = |pair: &Pair| pair.with.end.map_or(self.end, |end| pair.with.due.saturating_add(end.took));
        let (first, last) = (pairs.clone().map(|pair| pair.with.due).min()?, pairs.map(end).max()?);
        let at = |instant: Nanos| seconds(instant.saturating_sub(self.start));
        Some(Interval {
            start_at: at(first),
            start_time: instant(first),
            end_at: at(last),
            end_time: instant(last),
        })
    }
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
        if pair.with.end != pair.without.end {
            self.changed.push(pair);
        }
        self.extra.extend(pair.extra());
    }
}

/// Milliseconds.
struct Extra {
    mean: f64,
    p99: f64,
    max: f64,
}

impl Extra {
    fn of(all: &mut [i64]) -> Self {
        all.sort_unstable();
        let ms = |nanos: i64| nanos as f64 / 1e6;
        let Some(max) = all.last() else { return Self { mean: 0.0, p99: 0.0, max: 0.0 } };
        let sum: i128 = all.iter().map(|extra| i128::from(*extra)).sum();
        // The nearest rank: at least 99 of 100 are no greater.
        let rank = (all.len() * 99).div_ceil(100).max(1);
        Self { mean: sum as f64 / all.len() as f64 / 1e6, p99: ms(all[rank - 1]), max: ms(*max) }
    }
}
