//! A metric of a service: the sum over its series, slot by slot.

use super::buckets::{Bound, Buckets};
use super::ends::Ends;
use super::line::{Common, Exemplar};
use super::timeline::Timeline;
use super::window::{Place, Window};

/// Exemplars of a row: those of the greatest values.
pub const EXEMPLARS: usize = 3;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Histogram,
    Counter,
    UpDownCounter,
    Gauge,
}

/// What tells a row from the others. Different metrics may have one name: they differ by what measures
/// them, by their kind or by their unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub service: String,
    pub metric: String,
    /// Attributes that rows are told apart by, with their values.
    pub by: Vec<(String, String)>,
    pub kind: Kind,
    pub unit: String,
    /// Of its instrumentation scope; empty where it is not known.
    pub scope: String,
}

/// A metric of a service, summed over its series.
#[derive(Debug, Default)]
pub struct Row {
    pub series: u64,
    /// The least and the greatest value of single series of a gauge.
    range: Option<(f64, f64)>,
    /// Of a histogram.
    buckets: Buckets,
    ends: Ends,
    /// Values of a histogram in series that have an `error.type`.
    errors: u64,
    /// Of histograms and counters: what has come in each slot.
    slots: Vec<Slot>,
    /// Of gauges and up-down counters: the sum over the series at each instant, and of how many series.
    instants: Vec<(f64, u64)>,
    /// The greatest value first.
    pub exemplars: Vec<Exemplar>,
}

/// What has come in a slot.
#[derive(Clone, Debug, Default)]
struct Slot {
    /// Values of a histogram, or what a counter has counted.
    count: f64,
    buckets: Buckets,
    ends: Ends,
}

impl Row {
    /// Takes what a counter has counted in a slot.
    pub fn count_in(&mut self, slot: usize, counted: f64) {
        self.slot(slot).count += counted;
    }

    /// Takes values that have come in a slot, with what is known of their ends, and returns how many buckets
    /// it has more.
    pub fn take(&mut self, slot: usize, new: &Buckets, ends: &Ends, is_error: bool) -> usize {
        let count = new.count();
        if count == 0 {
            return 0;
        }
        self.errors = self.errors.saturating_add(if is_error { count } else { 0 });
        self.ends.add(ends);
        let of_slot = self.slot(slot);
        of_slot.count += count as f64;
        of_slot.ends.add(ends);
        of_slot.buckets.add(new) + self.buckets.add(new)
    }

    fn slot(&mut self, slot: usize) -> &mut Slot {
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Slot::default);
        }
        &mut self.slots[slot]
    }

    /// Takes the value of one series at an instant.
    pub fn put(&mut self, instant: usize, value: f64, kind: Kind) {
        if self.instants.len() <= instant {
            self.instants.resize(instant + 1, (0.0, 0));
        }
        let (sum, series) = &mut self.instants[instant];
        (*sum, *series) = (*sum + value, *series + 1);
        if kind == Kind::Gauge {
            let (low, high) = self.range.unwrap_or((value, value));
            self.range = Some((low.min(value), high.max(value)));
        }
    }

    /// Keeps the exemplars of the greatest values. A cumulative point repeats those of the one before, which
    /// may lie before the window.
    pub fn keep_exemplars(&mut self, common: &Common, window: Window) {
        let is_kept = |of: &&Exemplar| {
            of.value().is_some() && !of.trace_id.is_empty() && window.place(of.time()) != Place::Before
        };
        for exemplar in common.exemplars.iter().filter(is_kept) {
            let of =
                |exemplar: &Exemplar| (exemplar.time(), exemplar.span_id.clone(), exemplar.trace_id.clone());
            let at = self.exemplars.partition_point(|known| known.value() >= exemplar.value());
            if at < EXEMPLARS && self.exemplars.iter().all(|known| of(known) != of(exemplar)) {
                self.exemplars.insert(at, exemplar.clone());
                self.exemplars.truncate(EXEMPLARS);
            }
        }
    }

    /// What was counted.
    pub fn count(&self) -> f64 {
        self.slots.iter().map(|slot| slot.count).sum()
    }

    /// That by the second of the file's window; none where no time has passed.
    pub fn rate(&self, timeline: &Timeline) -> Option<f64> {
        let seconds = timeline.seconds();
        (seconds > 0.0).then(|| self.count() / seconds)
    }

    /// Whether it is of a histogram that no value has come in.
    pub fn is_empty(&self, kind: Kind) -> bool {
        kind == Kind::Histogram && self.buckets.count() == 0
    }

    pub fn quantile(&self, share: f64) -> Option<f64> {
        self.buckets.quantile(share, self.ends.limits())
    }

    /// What a quantile is below or above, if no more is known of it.
    pub fn bound(&self, share: f64) -> Option<Bound> {
        self.buckets.bound(share, self.ends.limits())
    }

    /// The share of values with an `error.type`: of the durations of operations, which have one if they
    /// fail (OpenTelemetry semantic conventions). None of others.
    pub fn error_share(&self, name: &Name) -> Option<f64> {
        let count = self.buckets.count();
        let has_errors = name.kind == Kind::Histogram && name.metric.ends_with(".duration") && count > 0;
        has_errors.then(|| self.errors as f64 / count as f64)
    }

    /// The value of a slot: the p95 of a histogram, the rate of a counter by the second, the last value of
    /// others.
    pub fn at(&self, slot: usize, kind: Kind, timeline: &Timeline) -> Option<f64> {
        match kind {
            Kind::Histogram => {
                let slot = self.slots.get(slot)?;
                slot.buckets.quantile(0.95, slot.ends.limits())
            }
            Kind::Counter => {
                let seconds = timeline.slot_seconds(slot);
                (seconds > 0.0).then(|| self.slots.get(slot).map_or(0.0, |slot| slot.count) / seconds)
            }
            Kind::UpDownCounter | Kind::Gauge => {
                let instants = &self.instants[timeline.instants(slot, self.instants.len())];
                instants.iter().rev().find_map(|instant| value(*instant, kind))
            }
        }
    }

    /// The value at the last instant of a gauge or an up-down counter.
    pub fn last(&self, kind: Kind) -> Option<f64> {
        self.instants.iter().rev().find_map(|instant| value(*instant, kind))
    }

    /// The least and the greatest value, where they are known: those of a histogram, of single series of a
    /// gauge, of sums over the series of an up-down counter.
    pub fn range(&self, kind: Kind) -> (Option<f64>, Option<f64>) {
        match kind {
            Kind::Histogram => self.ends.known(),
            Kind::Counter | Kind::Gauge => self.range.unzip(),
            Kind::UpDownCounter => {
                let sums = self.instants.iter().filter_map(|instant| value(*instant, kind));
                let range = sums.fold(None, |range: Option<(f64, f64)>, sum| {
                    let (low, high) = range.unwrap_or((sum, sum));
                    Some((low.min(sum), high.max(sum)))
                });
                range.unzip()
            }
        }
    }
}

/// At an instant: the sum over the series of an up-down counter, the mean of those of a gauge.
fn value((sum, series): (f64, u64), kind: Kind) -> Option<f64> {
    match kind {
        Kind::Gauge => (series > 0).then(|| sum / series as f64),
        _ => (series > 0).then_some(sum),
    }
}
