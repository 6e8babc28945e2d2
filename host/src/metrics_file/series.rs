//! What the points of a file say of each metric of a service: the sum over its series, which are the
//! points with equal attributes of one resource.
//!
//! A delta point says what has come. Of a cumulative one that is what it has more than the one
//! before; all that it has where there is none before, or where its series has begun anew.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use rustc_hash::{FxHashMap, FxHasher};

use super::buckets::{BucketCounts, Buckets};
use super::line::{Common, Metric, OfResource, Points, Summary};
use super::timeline::Timeline;

/// Series of which the last point is remembered, at most; the points of further ones are left out.
pub const MAX_SERIES: usize = 200_000;

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Histogram,
    Counter,
    UpDownCounter,
    Gauge,
}

/// A metric of a service, summed over its series.
#[derive(Debug)]
pub struct Row {
    pub kind: Kind,
    pub unit: String,
    pub series: u64,
    /// Nanoseconds since the Unix epoch: when counting began, and the last point.
    pub start: u64,
    pub end: u64,
    /// The least and the greatest value: of points, or those that histograms tell.
    pub range: Option<(f64, f64)>,
    /// Of a histogram.
    pub buckets: Buckets,
    /// One for each slot of the timeline.
    pub slots: Vec<Slot>,
}

/// What has come in a slot.
#[derive(Clone, Debug, Default)]
pub struct Slot {
    /// Values of a histogram, or what a counter has counted.
    pub count: f64,
    pub buckets: Buckets,
    /// Of gauges and up-down counters: the sum of the last values of each series, and of how many.
    pub values: (f64, u64),
}

/// All that is remembered while a file is read.
#[derive(Debug)]
pub struct Table {
    timeline: Timeline,
    /// By service and metric.
    pub rows: BTreeMap<(String, String), Row>,
    series: FxHashMap<u64, Last>,
    /// Points of further series.
    pub beyond: u64,
}

/// The last point of a series.
#[derive(Clone, Debug, PartialEq)]
struct Last {
    start: u64,
    slot: usize,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Number(f64),
    Histogram(BucketCounts),
}

impl Table {
    pub fn new(timeline: Timeline) -> Self {
        Self { timeline, rows: BTreeMap::new(), series: FxHashMap::default(), beyond: 0 }
    }

    /// Takes the points of a metric.
    pub fn add(&mut self, resource: &OfResource, metric: &Metric) {
        let (service, origin) = (&*resource.service(), &*format!("{} {}", resource.key(), metric.name));
        if let Some(Points { data_points, .. }) = &metric.gauge {
            let mut of = Of { table: self, service, metric, kind: Kind::Gauge, origin };
            let points = data_points.iter().filter_map(|point| Some((point, point.value()?)));
            points.for_each(|(point, value)| of.value(&point.common, value));
        }
        if let Some(sum) = &metric.sum {
            let kind = if sum.is_monotonic { Kind::Counter } else { Kind::UpDownCounter };
            let mut of = Of { table: self, service, metric, kind, origin };
            let points = sum.data_points.iter().filter_map(|point| Some((point, point.value()?)));
            points.for_each(|(point, value)| match kind {
                Kind::Counter => of.count(&point.common, value, sum.is_delta()),
                _ => of.value(&point.common, value),
            });
        }
        let kind = Kind::Histogram;
        if let Some(histogram) = &metric.histogram {
            let of = Of { table: self, service, metric, kind, origin };
            histograms(of, histogram, |point| (&point.common, point.summary));
        }
        if let Some(histogram) = &metric.exponential_histogram {
            let of = Of { table: self, service, metric, kind, origin };
            histograms(of, histogram, |point| (&point.common, point.summary));
        }
    }
}

fn histograms<P>(mut of: Of<'_>, points: &Points<P>, parts: impl Fn(&P) -> (&Common, Summary))
where
    BucketCounts: for<'p> From<&'p P>,
{
    for point in &points.data_points {
        let (common, summary) = parts(point);
        of.histogram(common, summary, BucketCounts::from(point), points.is_delta());
    }
}

/// Where the points of a metric go.
struct Of<'a> {
    table: &'a mut Table,
    service: &'a str,
    metric: &'a Metric,
    kind: Kind,
    origin: &'a str,
}

impl Of<'_> {
    /// A gauge's or an up-down counter's.
    fn value(&mut self, common: &Common, value: f64) {
        let Some((row, slot, last)) = self.point(common, Seen::Number(value)) else { return };
        let values = &mut row.slots[slot].values;
        match last {
            Some(Last { slot: same, seen: Seen::Number(before), .. }) if same == slot => {
                values.0 += value - before
            }
            _ => *values = (values.0 + value, values.1 + 1),
        }
        widen(&mut row.range, (value, value));
    }

    /// A counter's.
    fn count(&mut self, common: &Common, value: f64, is_delta: bool) {
        let Some((row, slot, last)) = self.point(common, Seen::Number(value)) else { return };
        let before = match last {
            Some(Last { start, seen: Seen::Number(before), .. })
                if !is_delta && start == common.start() && before <= value =>
            {
                before
            }
            _ => 0.0,
        };
        row.slots[slot].count += value - before;
    }

    fn histogram(&mut self, common: &Common, summary: Summary, counted: BucketCounts, is_delta: bool) {
        let Some((row, slot, last)) = self.point(common, Seen::Histogram(counted.clone())) else { return };
        let since = match &last {
            Some(Last { start, seen: Seen::Histogram(before), .. })
                if !is_delta && *start == common.start() =>
            {
                counted.since(before)
            }
            _ => None,
        };
        let new = since.as_ref().unwrap_or(&counted).buckets();
        row.slots[slot].count += new.count() as f64;
        row.slots[slot].buckets.add(&new);
        row.buckets.add(&new);
        if let Some(range) = summary.range().filter(|_| summary.count() > 0) {
            widen(&mut row.range, range);
        }
    }

    /// The row and the slot of a point, and the point before it in its series.
    fn point(&mut self, common: &Common, seen: Seen) -> Option<(&mut Row, usize, Option<Last>)> {
        let Self { table, service, metric, kind, origin } = self;
        let mut hash = FxHasher::default();
        hash.write(origin.as_bytes());
        hash.write(common.key().as_bytes());
        let (series, slot) = (hash.finish(), table.timeline.slot(common.time()));
        if table.series.len() >= MAX_SERIES && !table.series.contains_key(&series) {
            table.beyond += 1;
            return None;
        }
        let last = table.series.insert(series, Last { start: common.start(), slot, seen });
        let slots = table.timeline.slots();
        let row = table.rows.entry(((*service).to_owned(), metric.name.clone())).or_insert_with(|| Row {
            kind: *kind,
            unit: metric.unit.clone(),
            series: 0,
            start: u64::MAX,
            end: 0,
            range: None,
            buckets: Buckets::default(),
            slots: vec![Slot::default(); slots],
        });
        let start = if common.start() == 0 { common.time() } else { common.start() };
        (row.start, row.end) = (row.start.min(start), row.end.max(common.time()));
        row.series += u64::from(last.is_none());
        Some((row, slot, last))
    }
}

fn widen(range: &mut Option<(f64, f64)>, (least, most): (f64, f64)) {
    let (low, high) = range.unwrap_or((least, most));
    *range = Some((low.min(least), high.max(most)));
}

impl Row {
    /// What was counted.
    pub fn count(&self) -> f64 {
        self.slots.iter().map(|slot| slot.count).sum()
    }

    /// That by the second; none where no time has passed.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.end.saturating_sub(self.start) as f64 / 1e9;
        (seconds > 0.0).then(|| self.count() / seconds)
    }

    pub fn quantile(&self, share: f64) -> Option<f64> {
        self.buckets.quantile(share, self.range)
    }

    /// The value of a slot: the p95 of a histogram, what a counter has counted, the sum of an up-down
    /// counter over its series, the mean of a gauge.
    pub fn at(&self, slot: &Slot) -> Option<f64> {
        let (sum, series) = slot.values;
        match self.kind {
            Kind::Histogram => slot.buckets.quantile(0.95, self.range),
            Kind::Counter => Some(slot.count),
            Kind::UpDownCounter => (series > 0).then_some(sum),
            Kind::Gauge => (series > 0).then(|| sum / series as f64),
        }
    }

    /// The value of the last slot that has one.
    pub fn last(&self) -> Option<f64> {
        self.slots.iter().rev().find_map(|slot| self.at(slot))
    }
}
