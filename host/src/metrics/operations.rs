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
    pub server: Server,
    /// What was asked of it, by a number of the caller's.
    pub operation: u32,
    /// `error.type`, if it failed.
    pub error: Option<&'static str>,
}

/// Who was asked, by its place in the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Server {
    Cache(u32),
    Database(u32),
}

/// An operation that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Operated {
    /// Nanoseconds.
    pub took: Nanos,
    /// Rows of its result; none of what gives no rows.
    pub rows: Option<u64>,
    /// Its CLIENT span.
    pub origin: Origin,
}

/// The operations that a process has asked for.
#[derive(Debug, Default)]
pub struct Operations(Series<OperationKey, Operation>);

/// Those of one attribute set.
#[derive(Debug)]
struct Operation {
    took: Histogram,
    /// None before the first that gives rows.
    rows: Option<Box<Histogram>>,
}

impl Operations {
    /// Counts an operation that has ended.
    pub fn note(
        &mut self,
        (shape, rule): (Shape, &ExemplarRule),
        key: OperationKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        Operated { took, rows, origin }: Operated,
    ) {
        let (took, bounds) = (Measured::Time(took), Own::OperationDuration.bounds());
        let new = || Operation { took: Histogram::new(shape, bounds, took), rows: None };
        let of = self.0.at(key, attributes, new);
        of.took.record(took, bounds, rule.candidate(took, origin));
        if let Some(rows) = rows {
            let (rows, bounds) = (Measured::Whole(rows as i64), Own::ReturnedRows.bounds());
            let new = || Box::new(Histogram::new(shape, bounds, rows));
            of.rows.get_or_insert_with(new).record(rows, bounds, rule.candidate(rows, origin));
        }
    }

    /// Leaves what there is.
    pub fn leave(&self, collecting: &mut Collecting<'_>) {
        let all = self.0.iter().map(|one| (&one.attributes, &one.state.took));
        collecting.histograms(Own::OperationDuration, all);
        let all = self.0.iter().filter_map(|one| Some((&one.attributes, &**one.state.rows.as_ref()?)));
        collecting.histograms(Own::ReturnedRows, all);
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        for One { state: Operation { took, rows }, .. } in self.0.iter_mut() {
            took.collected(now);
            rows.iter_mut().for_each(|rows| rows.collected(now));
        }
    }
}
