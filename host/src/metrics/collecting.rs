//! A collection: the records of one replica at one instant, made of what is kept.

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::env::{HistogramAggregation, TemporalityPreference};
use crate::telemetry::record::{
    Instrument, KeyValue, MetricRecord, NumberPoint, Points, ResourceId, Scope, Temporality,
};

use super::catalogue::{Catalogue, Kind, Own};
use super::exemplars::Exemplars;
use super::histogram::Histogram;
use super::settings::Settings;
use super::value::{Measured, Sum};

/// A sum that is kept for a series of a counter.
#[derive(Debug)]
pub struct Counter {
    sum: Sum,
    /// Of the values since it was collected last. The difference of two sums of fractions has the errors of
    /// both, which grow with them.
    interval: Sum,
    pub exemplars: Exemplars,
}

impl Counter {
    /// Nothing counted yet: the first will be of the kind of `value`.
    pub fn new(value: Measured) -> Self {
        let sum = Sum::none_of(value);
        Self { sum, interval: sum, exemplars: Exemplars::default() }
    }

    pub fn add(&mut self, value: Measured) {
        self.sum.add(value);
        self.interval.add(value);
    }

    /// What there is since the process began.
    pub const fn sum(&self) -> Sum {
        self.sum
    }

    /// Its point at this instant; none where deltas leave and there is none.
    pub fn point(&self, attributes: &Arc<[KeyValue]>, is_delta: bool, now: Nanos) -> Option<NumberPoint> {
        let sum = if is_delta { self.interval } else { self.sum };
        let exemplars = self.exemplars.sorted(now);
        let is_none = sum.as_f64() == 0.0 && exemplars.is_empty();
        let point = || NumberPoint { attributes: Arc::clone(attributes), value: sum.number(), exemplars };
        (!is_delta || !is_none).then(point)
    }

    /// Its point has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        self.interval.reset();
        self.exemplars.clear(now);
    }
}

/// Makes the records of one replica at one instant.
pub struct Collecting<'a> {
    pub of: ResourceId,
    /// Since when its process is there, and when it was collected last: nanoseconds since the Unix epoch.
    pub start: Nanos,
    pub last: Nanos,
    pub now: Nanos,
    pub settings: &'a Settings,
    pub catalogue: &'a Catalogue,
    pub leave: &'a mut dyn FnMut(MetricRecord),
}

impl Collecting<'_> {
    /// Whether values of such an instrument leave as deltas.
    pub const fn is_delta(&self, kind: Kind) -> bool {
        match (kind, self.settings.temporality) {
            (Kind::UpDownCounter | Kind::Gauge, _) | (_, TemporalityPreference::Cumulative) => false,
            (Kind::ObservedCounter, TemporalityPreference::LowMemory) => false,
            (Kind::Counter | Kind::ObservedCounter | Kind::Histogram(_), _) => true,
        }
    }

    /// Leaves the points of an instrument, if there are any.
    pub fn leave(&mut self, instrument: &Arc<Instrument>, scope: Scope, points: Points) {
        if points.is_empty() {
            return;
        }
        let is_delta = match &points {
            Points::Gauge(_) => false,
            Points::Sum { temporality, .. }
            | Points::Histogram { temporality, .. }
            | Points::ExponentialHistogram { temporality, .. } => *temporality == Temporality::Delta,
        };
        let start = if is_delta { self.last } else { self.start };
        let (resource, time) = (self.of, self.now);
        let instrument = Arc::clone(instrument);
        (self.leave)(MetricRecord { resource, scope, instrument, start, time, points });
    }

    /// Leaves histograms of an instrument of the core.
    pub fn histograms<'b>(
        &mut self,
        own: Own,
        all: impl Iterator<Item = (&'b Arc<[KeyValue]>, &'b Histogram)>,
    ) {
        let catalogue = self.catalogue;
        let (instrument, bounds) = catalogue.get(own);
        let points = self.histogram_points(bounds, all);
        self.leave(instrument, Scope::Bus, points);
    }

    /// The points of histograms.
    pub fn histogram_points<'b>(
        &self,
        bounds: &Arc<[f64]>,
        all: impl Iterator<Item = (&'b Arc<[KeyValue]>, &'b Histogram)>,
    ) -> Points {
        let (is_delta, now) = (self.is_delta(Kind::Histogram(&[])), self.now);
        let temporality = temporality(is_delta);
        match self.settings.aggregation {
            HistogramAggregation::Explicit => {
                let points = all
                    .filter_map(|(attributes, histogram)| histogram.point(attributes, bounds, is_delta, now));
                Points::Histogram { points: points.collect(), temporality }
            }
            HistogramAggregation::Exponential => {
                let points = all.filter_map(|(attributes, histogram)| {
                    histogram.exponential_point(attributes, is_delta, now)
                });
                Points::ExponentialHistogram { points: points.collect(), temporality }
            }
        }
    }

    /// Leaves sums of an instrument of the core.
    pub fn counters<'b>(&mut self, own: Own, all: impl Iterator<Item = (&'b Arc<[KeyValue]>, &'b Counter)>) {
        let kind = own.spec().kind;
        let points = self.sum_points(kind, all);
        let catalogue = self.catalogue;
        self.leave(&catalogue.get(own).0, Scope::Bus, points);
    }

    /// The points of sums.
    pub fn sum_points<'b>(
        &self,
        kind: Kind,
        all: impl Iterator<Item = (&'b Arc<[KeyValue]>, &'b Counter)>,
    ) -> Points {
        let (is_delta, now) = (self.is_delta(kind), self.now);
        let points = all.filter_map(|(attributes, counter)| counter.point(attributes, is_delta, now));
        let (is_monotonic, temporality) = (kind != Kind::UpDownCounter, temporality(is_delta));
        Points::Sum { points: points.collect(), is_monotonic, temporality }
    }

    /// Leaves values that were looked at just now, of a gauge or an up-down counter of the core.
    pub fn observed(&mut self, own: Own, all: impl IntoIterator<Item = (Arc<[KeyValue]>, Measured)>) {
        let points = all.into_iter().map(|(attributes, value)| NumberPoint {
            attributes,
            value: value.number(),
            exemplars: Vec::new(),
        });
        let points = points.collect();
        let points = match own.spec().kind {
            Kind::Gauge => Points::Gauge(points),
            _ => Points::Sum { points, is_monotonic: false, temporality: Temporality::Cumulative },
        };
        let catalogue = self.catalogue;
        self.leave(&catalogue.get(own).0, Scope::Bus, points);
    }
}

const fn temporality(is_delta: bool) -> Temporality {
    if is_delta { Temporality::Delta } else { Temporality::Cumulative }
}
