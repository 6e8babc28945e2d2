//! A run laid beside one without a fault: what the fault has caused.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::SpanId;
use crate::fault::witness::{Caused as Request, Testimony};
use crate::model::Nanos;

use super::{Names, Symptom};

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
    /// The first request that changed, by its arrival.
    pub first_changed: Option<Symptom>,
    /// Whether the first symptom, the first request that the fault struck, is one that
    /// changed; null where no request was struck.
    pub symptom_confirmed: Option<bool>,
    /// Requests that were too many to be compared.
    pub forgotten: u64,
}

/// A count with the fault, and without it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Both {
    pub with: u64,
    pub without: u64,
}

impl Causes {
    /// Holds the run `with` the fault against the one `without`. `symptom` is the first
    /// request that the fault struck.
    pub fn new(
        with: &[Testimony],
        without: &[Testimony],
        symptom: Option<SpanId>,
        names: &Names,
        start: Nanos,
    ) -> Self {
        let all = |runs: &[Testimony]| -> FxHashMap<SpanId, Request> {
            runs.iter().flat_map(|run| &run.requests).map(|request| (request.span, *request)).collect()
        };
        let others = all(without);
        let mut tally = Tally::default();
        let mut seen = 0;
        for request in with.iter().flat_map(|run| &run.requests) {
            seen += 1;
            if let Some(other) = others.get(&request.span) {
                tally.compare(request, other);
            }
        }
        let confirmed = symptom.map(|span| tally.changed.iter().any(|request| request.span == span));
        let first = tally.changed.iter().min_by_key(|request| (request.due, request.span));
        let share = |part: u64, of: u64| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        let (compared, changed) = (tally.compared, tally.changed.len() as u64);
        let extra = Extra::of(&mut tally.extra);
        Self {
            compared,
            changed,
            changed_share: share(changed, compared),
            only_with: seen - compared,
            only_without: others.len() as u64 - compared,
            errors_with: tally.failed_with,
            errors_without: tally.failed_without,
            errors_caused: tally.caused,
            errors_averted: tally.averted,
            errors_by_type: tally.by_type,
            error_share: (tally.failed_with > 0).then(|| share(tally.caused, tally.failed_with)),
            extra_mean_ms: extra.mean,
            extra_p99_ms: extra.p99,
            extra_max_ms: extra.max,
            first_changed: first.map(|request| Symptom::new(request, names, start)),
            symptom_confirmed: confirmed,
            forgotten: with.iter().chain(without).map(|run| run.forgotten).sum(),
        }
    }
}

/// Requests of two runs, compared.
#[derive(Default)]
struct Tally {
    compared: u64,
    changed: Vec<Request>,
    failed_with: u64,
    failed_without: u64,
    caused: u64,
    averted: u64,
    by_type: BTreeMap<String, Both>,
    /// Nanoseconds, by which those that ended took longer with the fault.
    extra: Vec<i64>,
}

impl Tally {
    fn compare(&mut self, with: &Request, without: &Request) {
        self.compared += 1;
        let errors = [with, without].map(Request::error);
        let failed = errors.each_ref().map(Option::is_some);
        let [with_it, without_it] = errors;
        let mut count = |error: Option<Cow<'_, str>>, which: fn(&mut Both) -> &mut u64| {
            error.map(|kind| *which(self.by_type.entry(kind.into_owned()).or_default()) += 1)
        };
        count(with_it, |both| &mut both.with);
        count(without_it, |both| &mut both.without);
        self.failed_with += u64::from(failed[0]);
        self.failed_without += u64::from(failed[1]);
        self.caused += u64::from(failed[0] && !failed[1]);
        self.averted += u64::from(!failed[0] && failed[1]);
        if with.end != without.end {
            self.changed.push(*with);
        }
        let is_sent = with.is_sent && without.is_sent;
        if let (Some(with), Some(without), true) = (with.end, without.end, is_sent) {
            self.extra.push(with.took.cast_signed().saturating_sub(without.took.cast_signed()));
        }
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
