//! What the points of a file say of each metric of a service: the sum over its series, which are the
//! points with equal attributes of one resource and one scope.
//!
//! A delta point says what has come. Of a cumulative one that is what it has more than the one
//! before; all that it has where there is none before, or where its series has begun anew.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;
use rustc_hash::{FxHashMap, FxHasher};

use super::buckets::BucketCounts;
use super::line::{Common, Metric, OfResource, Points, Summary};
use super::row::{Kind, Name, Row};
use super::timeline::Timeline;
use super::window::{Place, Window};

/// Series of which the last point is remembered, at most; the points of further ones are left out.
pub const MAX_SERIES: usize = 200_000;

/// Rows, at most; the points of further ones are left out.
pub const MAX_ROWS: usize = 10_000;

/// The end of an attribute's name that tells the states of a thing apart (`simhost.breaker.state`,
/// `db.client.connection.state`). A sum over the states says nothing of any.
const STATE: &str = ".state";

/// All that is remembered while a file is read.
#[derive(Debug)]
pub struct Table {
    pub timeline: Timeline,
    pub rows: BTreeMap<Name, Row>,
    /// The attributes by which rows are told apart.
    by: Vec<String>,
    window: Window,
    series: FxHashMap<u64, Last>,
    pub left_out: LeftOut,
}

/// Data points that are in no row.
#[derive(Debug, Default)]
pub struct LeftOut {
    /// Of series beyond [`MAX_SERIES`] and of rows beyond [`MAX_ROWS`].
    pub beyond: u64,
    /// Their value is not a finite number.
    pub not_finite: u64,
    /// Of summaries.
    pub summaries: u64,
}

/// The last point of a series.
#[derive(Clone, Debug, PartialEq)]
struct Last {
    start: u64,
    /// None before the window.
    instant: Option<usize>,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Number(f64),
    Histogram(BucketCounts),
}

impl Table {
    pub fn new(timeline: Timeline, by: Vec<String>, window: Window) -> Self {
        Self {
            timeline,
            rows: BTreeMap::new(),
            by,
            window,
            series: FxHashMap::default(),
            left_out: LeftOut::default(),
        }
    }

    /// Takes the points of a metric.
    pub fn add(&mut self, resource: &OfResource, scope: &str, metric: &Metric) {
        let service = &*resource.service();
        let process = process(resource);
        self.left_out.summaries += metric.summaries();
        let mut of = Of { table: self, resource, service, scope, metric, process, kind: Kind::Gauge };
        if let Some(Points { data_points, .. }) = &metric.gauge {
            let points = data_points.iter().filter_map(|point| Some((point, point.value()?)));
            points.for_each(|(point, value)| of.value(&point.common, value, false));
        }
        if let Some(sum) = &metric.sum {
            of.kind = if sum.is_monotonic { Kind::Counter } else { Kind::UpDownCounter };
            let points = sum.data_points.iter().filter_map(|point| Some((point, point.value()?)));
            points.for_each(|(point, value)| match of.kind {
                Kind::Counter => of.count(&point.common, value, sum.is_delta()),
                _ => of.value(&point.common, value, sum.is_delta()),
            });
        }
        of.kind = Kind::Histogram;
        if let Some(histogram) = &metric.histogram {
            histograms(&mut of, histogram, |point| (&point.common, point.summary));
        }
        if let Some(histogram) = &metric.exponential_histogram {
            histograms(&mut of, histogram, |point| (&point.common, point.summary));
        }
    }
}

/// What tells a process from others.
pub fn process(resource: &OfResource) -> u64 {
    let mut hash = FxHasher::default();
    hash.write(resource.key().as_bytes());
    hash.finish()
}

fn histograms<P>(of: &mut Of<'_>, points: &Points<P>, parts: impl Fn(&P) -> (&Common, Summary))
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
    resource: &'a OfResource,
    service: &'a str,
    scope: &'a str,
    metric: &'a Metric,
    process: u64,
    kind: Kind,
}

/// A point that has a place.
struct Placed<'a> {
    row: &'a mut Row,
    instant: usize,
    slot: usize,
    /// The point before it in its series.
    last: Option<Last>,
}

impl Of<'_> {
    /// A gauge's or an up-down counter's.
    fn value(&mut self, common: &Common, value: f64, is_delta: bool) {
        let (kind, window) = (self.kind, self.table.window);
        let before = match self.last(common) {
            Some(Last { seen: Seen::Number(before), .. }) if is_delta => *before,
            _ => 0.0,
        };
        let value = before + value;
        let Some(Placed { row, instant, last, .. }) = self.number(common, value) else { return };
        // What comes shortly after a collection, as at the end of a process, is not another one.
        if last.is_none_or(|last| last.instant != Some(instant)) {
            row.put(instant, value, kind);
        }
        row.keep_exemplars(common, window);
    }

    /// A counter's.
    fn count(&mut self, common: &Common, value: f64, is_delta: bool) {
        let window = self.table.window;
        let Some(Placed { row, slot, last, .. }) = self.number(common, value) else { return };
        let before = match last {
            Some(Last { start, seen: Seen::Number(before), .. })
                if !is_delta && start == common.start() && before <= value =>
            {
                before
            }
            _ => 0.0,
        };
        row.slot(slot).count += value - before;
        row.keep_exemplars(common, window);
    }

    fn histogram(&mut self, common: &Common, summary: Summary, counted: BucketCounts, is_delta: bool) {
        let is_error = common.attribute(ERROR_TYPE).is_some_and(|error| !error.is_empty());
        let window = self.table.window;
        let placed = self.place(common, Seen::Histogram(counted.clone()));
        let Some(Placed { row, slot, last, .. }) = placed else { return };
        let since = match &last {
            Some(Last { start, seen: Seen::Histogram(before), .. })
                if !is_delta && *start == common.start() =>
            {
                counted.since(before)
            }
            _ => None,
        };
        let new = since.as_ref().unwrap_or(&counted).buckets();
        let of_slot = row.slot(slot);
        of_slot.count += new.count() as f64;
        of_slot.buckets.add(&new);
        row.buckets.add(&new);
        row.errors = row.errors.saturating_add(if is_error { new.count() } else { 0 });
        // The least and the greatest value of a cumulative point may have come before the window.
        match summary.range() {
            Some(range) if is_delta || !window.is_cut(common.start()) => row.widen(range),
            Some((least, _)) => row.may_have_zeros |= least == 0.0,
            None => {}
        }
        row.keep_exemplars(common, window);
    }

    /// The place of a point with a number, if that is finite.
    fn number(&mut self, common: &Common, value: f64) -> Option<Placed<'_>> {
        if !value.is_finite() {
            self.table.left_out.not_finite += 1;
            return None;
        }
        self.place(common, Seen::Number(value))
    }

    /// The place of a point, if it is in the window and there is room for it. One before it is remembered.
    fn place(&mut self, common: &Common, seen: Seen) -> Option<Placed<'_>> {
        let place = self.table.window.place(common.time());
        if place == Place::After {
            return None;
        }
        let (series, name) = (self.series(common), self.name(common));
        let table = &mut *self.table;
        let is_beyond = table.series.len() >= MAX_SERIES && !table.series.contains_key(&series)
            || table.rows.len() >= MAX_ROWS && !table.rows.contains_key(&name);
        if is_beyond {
            table.left_out.beyond += 1;
            return None;
        }
        let start = common.start();
        if place == Place::Before {
            table.series.insert(series, Last { start, instant: None, seen });
            return None;
        }
        let (instant, slot) = table.timeline.place(self.process, common.time());
        let last = table.series.insert(series, Last { start, instant: Some(instant), seen });
        let row = table.rows.entry(name).or_default();
        row.series += u64::from(last.as_ref().is_none_or(|last| last.instant.is_none()));
        Some(Placed { row, instant, slot, last })
    }

    /// The last point of a point's series.
    fn last(&self, common: &Common) -> Option<&Last> {
        self.table.series.get(&self.series(common))
    }

    /// What tells a series from others.
    fn series(&self, common: &Common) -> u64 {
        let mut hash = FxHasher::default();
        hash.write_u64(self.process);
        for part in [self.scope, &*self.metric.name, &*self.metric.unit, &*common.key()] {
            hash.write(part.as_bytes());
            hash.write_u8(0xff);
        }
        hash.write_u8(self.kind as u8);
        hash.finish()
    }

    /// The row of a point.
    fn name(&self, common: &Common) -> Name {
        let of = |key: &str| common.attribute(key).or_else(|| self.resource.attribute(key));
        let asked = self.table.by.iter().filter_map(|key| Some((key.clone(), of(key)?)));
        let is_state = |key: &&str| {
            key.ends_with(STATE)
                && matches!(self.kind, Kind::Gauge | Kind::UpDownCounter)
                && !self.table.by.iter().any(|by| by == key)
        };
        let states = common.keys().filter(is_state).filter_map(|key| Some((key.to_owned(), of(key)?)));
        Name {
            service: self.service.to_owned(),
            metric: self.metric.name.clone(),
            by: asked.chain(states).collect(),
            kind: self.kind,
            unit: self.metric.unit.clone(),
            scope: self.scope.to_owned(),
        }
    }
}
