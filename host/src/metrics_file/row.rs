//! A metric of a service: the sum over its series, slot by slot.

use super::buckets::Buckets;
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
    /// The least and the greatest value: those that histograms tell, of single series of gauges, of sums over
    /// the series of up-down counters.
    pub range: Option<(f64, f64)>,
    /// Of a histogram.
    pub buckets: Buckets,
    /// Its least value is 0, and may have come before the window.
    pub may_have_zeros: bool,
    /// Values of a histogram in series that have an `error.type`.
    pub errors: u64,
    /// Of histograms and counters: what has come in each slot.
    pub slots: Vec<Slot>,
    /// Of gauges and up-down counters: the sum over the series at each instant, and of how many series.
    instants: Vec<(f64, u64)>,
    /// The greatest value first.
    pub exemplars: Vec<Exemplar>,
}

/// What has come in a slot.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Values of a histogram, or what a counter has counted.
    pub count: f64,
    pub buckets: Buckets,
}

impl Row {
    /// The slot of this number.
    pub fn slot(&mut self, slot: usize) -> &mut Slot {
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
            self.widen((value, value));
        }
    }

    pub fn widen(&mut self, (least, most): (f64, f64)) {
        let (low, high) = self.range.unwrap_or((least, most));
        self.range = Some((low.min(least), high.max(most)));
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

    pub fn quantile(&self, share: f64) -> Option<f64> {
        self.buckets.quantile(share, self.range)
    }

    /// What a quantile is below, if no more is known of it.
    pub fn bound(&self, share: f64) -> Option<f64> {
        let range = if self.may_have_zeros { Some((0.0, f64::INFINITY)) } else { self.range };
        self.buckets.bound(share, range)
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
            Kind::Histogram => self.slots.get(slot)?.buckets.quantile(0.95, self.range),
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

    /// The least and the greatest value, where they are known.
    pub fn range(&self, kind: Kind) -> Option<(f64, f64)> {
        if kind != Kind::UpDownCounter {
            return self.range;
        }
        let sums = self.instants.iter().filter_map(|instant| value(*instant, kind));
        sums.fold(None, |range, sum| match range {
            Some((low, high)) => Some((f64::min(low, sum), f64::max(high, sum))),
            None => Some((sum, sum)),
        })
    }
}

/// At an instant: the sum over the series of an up-down counter, the mean of those of a gauge.
fn value((sum, series): (f64, u64), kind: Kind) -> Option<f64> {
    match kind {
        Kind::Gauge => (series > 0).then(|| sum / series as f64),
        _ => (series > 0).then_some(sum),
    }
}
