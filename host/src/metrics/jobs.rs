//! The metrics of a process in which jobs run.

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::catalogue::Own;
use super::collecting::{Collecting, Counter};
use super::histogram::{Histogram, Shape};
use super::series::{One, Series};
use super::value::Measured;

/// Stands for the attributes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct JobKey {
    /// The place of its schedule in the topology.
    pub schedule: u32,
    /// `error.type`, if it failed.
    pub error: Option<&'static str>,
}

/// The jobs that have run in a process.
#[derive(Debug, Default)]
pub struct Jobs {
    durations: Series<JobKey, Histogram>,
    skipped: Series<u32, Counter>,
}

impl Jobs {
    /// A run has ended.
    pub fn note(
        &mut self,
        shape: Shape,
        key: JobKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        took: Nanos,
    ) {
        let (took, bounds) = (Measured::Time(took), Own::JobDuration.bounds());
        let of = self.durations.at(key, attributes, || Histogram::new(shape, bounds, took));
        of.record(took, bounds, None);
    }

    /// A run was left out.
    pub fn skip(&mut self, schedule: u32, attributes: impl FnOnce() -> Arc<[KeyValue]>) {
        let one = Measured::Whole(1);
        self.skipped.at(schedule, attributes, || Counter::new(one)).add(one);
    }

    /// Leaves what there is.
    pub fn leave(&self, collecting: &mut Collecting<'_>) {
        let durations = self.durations.iter().map(|one| (&one.attributes, &one.state));
        collecting.histograms(Own::JobDuration, durations);
        let skipped = self.skipped.iter().map(|one| (&one.attributes, &one.state));
        collecting.counters(Own::JobSkipped, skipped);
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        self.durations.iter_mut().for_each(|One { state, .. }| state.collected(now));
        self.skipped.iter_mut().for_each(|One { state, .. }| state.collected(now));
    }
}
