//! The metrics of a process as a client of databases and caches.

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::catalogue::Own;
use super::collecting::Collecting;
use super::exemplars::{ExemplarRule, Origin};
use super::histogram::{Histogram, Shape};
use super::series::{One, Series};
use super::value::Measured;

/// Stands for the attributes of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationKey {
    /// The server, by a number of the caller's.
    pub server: u32,
    /// What was asked of it.
    pub operation: &'static str,
    /// `error.type`, if it failed.
    pub error: Option<&'static str>,
}

/// The operations that a process has asked for.
#[derive(Debug, Default)]
pub struct Operations(Series<OperationKey, Histogram>);

impl Operations {
    /// Counts an operation that has ended.
    pub fn note(
        &mut self,
        (shape, rule): (Shape, &ExemplarRule),
        key: OperationKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        took: Nanos,
        origin: Origin,
    ) {
        let (took, bounds) = (Measured::Time(took), Own::OperationDuration.bounds());
        let of = self.0.at(key, attributes, || Histogram::new(shape, bounds, took));
        of.record(took, bounds, rule.candidate(took, origin));
    }

    /// Leaves what there is.
    pub fn leave(&self, collecting: &mut Collecting<'_>) {
        let all = self.0.iter().map(|one| (&one.attributes, &one.state));
        collecting.histograms(Own::OperationDuration, all);
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        self.0.iter_mut().for_each(|One { state, .. }| state.collected(now));
    }
}
