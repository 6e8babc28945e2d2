//! What the points of a file say of each metric of a service: the sum over its series, which are the
//! points with equal attributes of one resource and one scope.
//!
//! A delta point says what has come. Of a cumulative one that is what it has more than the one
//! before; all that it has where there is none before, or where its series has begun anew.

use std::collections::BTreeMap;
use std::hash::Hasher as _;

use opentelemetry_semantic_conventions::attribute::ERROR_TYPE;
use rustc_hash::{FxHashMap, FxHasher};

use super::bounds::{MAX_BUCKETS, MAX_ROWS, MAX_SERIES};
use super::buckets::BucketCounts;
use super::ends::Ends;
use super::left_out::{LeftOut, Why};
use super::line::{Common, Metric, OfResource, OfScope, Points, Summary};
use super::row::{Kind, Name, Row};
use super::timeline::Timeline;
use super::window::{Place, Window};

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
    /// Buckets that are remembered.
    held: usize,
    pub left_out: LeftOut,
}

/// The last point of a series.
#[derive(Clone, Debug, PartialEq)]
struct Last {
    start: u64,
    time: u64,
    is_delta: bool,
    /// None before the window.
    instant: Option<usize>,
    seen: Seen,
}

#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Number(f64),
    Histogram(BucketCounts, Ends),
}

impl Seen {
    /// Buckets that are remembered.
    fn width(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Histogram(counts, _) => counts.width(),
        }
    }

    /// Whether it is less of something than an earlier one of a series that only grows.
    fn is_less(&self, earlier: &Self) -> bool {
        match (self, earlier) {
            (Self::Number(now), Self::Number(before)) => now < before,
            (Self::Histogram(now, _), Self::Histogram(before, _)) => now.since(before).is_none(),
            _ => false,
        }
    }
}

impl Last {
    /// Why a further point of the series says nothing.
    fn refuses(&self, common: &Common, seen: &Seen, told: Told) -> Option<Why> {
        let is_same = self.start == common.start();
        if self.is_delta != told.is_delta {
            return Some(Why::Mixed);
        }
        if told.is_delta {
            let is_known = common.time() > 0 && is_same && self.time == common.time();
            return is_known.then_some(Why::Twice);
        }
        let is_behind = told.only_grows && is_same && common.time() < self.time && seen.is_less(&self.seen);
        is_behind.then_some(Why::Behind)
    }
}

/// How the points of a metric tell their values.
#[derive(Clone, Copy)]
struct Told {
    is_delta: bool,
    /// Of a cumulative point: it has what the one before had.
    only_grows: bool,
}

impl Table {
    pub fn new(timeline: Timeline, by: Vec<String>, window: Window) -> Self {
        Self {
            timeline,
            rows: BTreeMap::new(),
            by,
            window,
            series: FxHashMap::default(),
            held: 0,
            left_out: LeftOut::default(),
        }
    }

    /// Takes the points of a metric.
    pub fn add(&mut self, resource: &OfResource, scope: &OfScope, metric: &Metric) {
        let service = &*resource.service();
        let process = process(resource);
        self.left_out.add_many(Why::Summary, metric.summaries());
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
    BucketCounts: for<'p> TryFrom<&'p P, Error = Why>,
{
    for point in &points.data_points {
        let (common, summary) = parts(point);
        if !common.has_value() {
            continue;
        }
        match BucketCounts::try_from(point) {
            Ok(counted) => of.histogram(common, (counted, Ends::of(&summary)), points.is_delta()),
            Err(why) => of.table.left_out.add(why),
        }
    }
}

/// Where the points of a metric go.
struct Of<'a> {
    table: &'a mut Table,
    resource: &'a OfResource,
    service: &'a str,
    scope: &'a OfScope,
    metric: &'a Metric,
    process: u64,
    kind: Kind,
}

/// A point that has a place.
struct Placed<'a> {
    row: &'a mut Row,
    /// Buckets that are remembered of all rows.
    held: &'a mut usize,
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
        let told = Told { is_delta, only_grows: false };
        let Some(Placed { row, instant, last, .. }) = self.number(common, value, told) else { return };
        // What comes shortly after a collection, as at the end of a process, is not another one.
        if last.is_none_or(|last| last.instant != Some(instant)) {
            row.put(instant, value, kind);
        }
        row.keep_exemplars(common, window);
    }

    /// A counter's.
    fn count(&mut self, common: &Common, value: f64, is_delta: bool) {
        let window = self.table.window;
        if value < 0.0 {
            self.table.left_out.add(Why::Negative);
            return;
        }
        let told = Told { is_delta, only_grows: true };
        let Some(Placed { row, slot, last, .. }) = self.number(common, value, told) else { return };
        let before = match last {
            Some(Last { start, seen: Seen::Number(before), .. })
                if !is_delta && start == common.start() && before <= value =>
            {
                before
            }
            _ => 0.0,
        };
        row.count_in(slot, value - before);
        row.keep_exemplars(common, window);
    }

    fn histogram(&mut self, common: &Common, (counted, ends): (BucketCounts, Ends), is_delta: bool) {
        let is_error = common.attribute(ERROR_TYPE).is_some_and(|error| !error.is_empty());
        let window = self.table.window;
        let seen = Seen::Histogram(counted.clone(), ends);
        let placed = self.place(common, seen, Told { is_delta, only_grows: true });
        let Some(Placed { row, held, slot, last, .. }) = placed else { return };
        let since = match &last {
            Some(Last { start, seen: Seen::Histogram(before, ends_before), .. })
                if !is_delta && *start == common.start() =>
            {
                counted.since(before).map(|new| (new, ends.since(ends_before)))
            }
            _ => None,
        };
        let (new, ends) = since.unwrap_or((counted, ends));
        *held += row.take(slot, &new.buckets(), &ends, is_error);
        row.keep_exemplars(common, window);
    }

    /// The place of a point with a number, if that is finite.
    fn number(&mut self, common: &Common, value: f64, told: Told) -> Option<Placed<'_>> {
        if !value.is_finite() {
            self.table.left_out.add(Why::NotFinite);
            return None;
        }
        self.place(common, Seen::Number(value), told)
    }

    /// The place of a point, if it is in the window and there is room for it. One before it is remembered.
    fn place(&mut self, common: &Common, seen: Seen, told: Told) -> Option<Placed<'_>> {
        let place = self.table.window.place(common.time());
        if place == Place::After {
            return None;
        }
        let (series, name) = (self.series(common), self.name(common));
        let table = &mut *self.table;
        let before = table.series.get(&series);
        let width = before.map_or(0, |last| last.seen.width());
        let is_beyond = table.series.len() >= MAX_SERIES && before.is_none()
            || table.rows.len() >= MAX_ROWS && !table.rows.contains_key(&name)
            || table.held >= MAX_BUCKETS && seen.width() > 0;
        let refused = before.and_then(|last| last.refuses(common, &seen, told));
        if let Some(why) = is_beyond.then_some(Why::Beyond).or(refused) {
            table.left_out.add(why);
            return None;
        }
        table.held = table.held + seen.width() - width;
        let (start, time, is_delta) = (common.start(), common.time(), told.is_delta);
        if place == Place::Before {
            table.series.insert(series, Last { start, time, is_delta, instant: None, seen });
            return None;
        }
        let (instant, slot) = table.timeline.place(self.process, time);
        let last = table.series.insert(series, Last { start, time, is_delta, instant: Some(instant), seen });
        let row = table.rows.entry(name).or_default();
        row.series += u64::from(last.as_ref().is_none_or(|last| last.instant.is_none()));
        Some(Placed { row, held: &mut table.held, instant, slot, last })
    }

    /// The last point of a point's series.
    fn last(&self, common: &Common) -> Option<&Last> {
        self.table.series.get(&self.series(common))
    }

    /// What tells a series from others.
    fn series(&self, common: &Common) -> u64 {
        let mut hash = FxHasher::default();
        hash.write_u64(self.process);
        let (scope, version) = (self.scope.name(), self.scope.version());
        for part in [scope, version, &*self.metric.name, &*self.metric.unit, &*common.key()] {
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
            scope: self.scope.name().to_owned(),
        }
    }
}
