//! Signals: kinds of record that have exporters, counts and requests of their own.
//!
//! What differs between them is in the file of each, behind [`Record`]: its fields in
//! OTLP, its weight, and in [`Spec`] what receivers, variables and people call it. All
//! else treats them alike: it keeps a value for each in a [`PerSignal`], and runs the
//! same code for each type of record with `each_signal!`.

mod log;
mod metric;
mod span;

use std::ops::{Add, AddAssign, Index, IndexMut};

use bytes::Bytes;
use prost::DecodeError;

use super::encode::Encode;
use super::record::{LogRecord, MetricRecord, SpanRecord};

/// A kind of record, as OTLP separates them. Each has a place in [`Signal::ALL`] and in
/// `each_signal!` too, in the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Runs an expression once for each signal, in the order of [`Signal::ALL`], with the
/// type of its records under the given name: `each_signal!(R => self.export::<R>(batch))`.
macro_rules! each_signal {
    ($record:ident => $run:expr) => {{
        {
            type $record = $crate::telemetry::record::SpanRecord;
            $run;
        }
        {
            type $record = $crate::telemetry::record::LogRecord;
            $run;
        }
        {
            type $record = $crate::telemetry::record::MetricRecord;
            $run;
        }
    }};
}
pub(crate) use each_signal;

impl Signal {
    pub const ALL: [Self; 3] = [Self::Traces, Self::Logs, Self::Metrics];

    /// What it is called, and how receivers answer.
    pub const fn spec(self) -> &'static Spec {
        match self {
            Self::Traces => &SpanRecord::SPEC,
            Self::Logs => &LogRecord::SPEC,
            Self::Metrics => &MetricRecord::SPEC,
        }
    }
}

/// A record of a signal, on its way from the core to the exporters.
pub trait Record: Encode + Clone + Send + 'static {
    const SIGNAL: Signal;
    const SPEC: Spec;

    /// What it takes in a batch: bytes. Texts that many records share count for none.
    fn weight(&self) -> usize;

    /// The records of its signal.
    fn list(batch: &Batch) -> &Vec<Self>;

    /// The records of its signal, to be changed.
    fn list_mut(batch: &mut Batch) -> &mut Vec<Self>;
}

/// What receivers, the environment's variables and people call a signal.
#[derive(Debug)]
pub struct Spec {
    /// What is counted, for a person: `span`.
    pub noun: &'static str,
    /// In the names of variables: `TRACES` of `OTEL_TRACES_EXPORTER`.
    pub variable: &'static str,
    /// Over HTTP, below an endpoint for all signals (OTLP specification, "OTLP/HTTP Request").
    pub path: &'static str,
    /// Over gRPC, the method that takes its requests (opentelemetry-proto, `collector/`).
    pub method: &'static str,
    /// Counts the [items](Encode::items) of an encoded record.
    pub items: fn(&[u8]) -> usize,
    /// Reads a receiver's answer to a request that it has accepted.
    pub answer: fn(Bytes) -> Result<PartialSuccess, DecodeError>,
}

/// What a receiver says of a request that it has accepted: OTLP's `partial_success`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// Spans, log records or data points: what [`Encode::items`] counts.
    pub rejected: i64,
    /// Empty where it has nothing to say.
    pub message: String,
}

/// A value for each signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerSignal<T>(pub [T; Signal::ALL.len()]);

impl<T> PerSignal<T> {
    pub fn from_fn(of: impl FnMut(Signal) -> T) -> Self {
        Self(Signal::ALL.map(of))
    }

    pub fn iter(&self) -> impl Iterator<Item = (Signal, &T)> {
        Signal::ALL.into_iter().zip(&self.0)
    }
}

impl<T> PerSignal<Option<T>> {
    /// This for one signal, and nothing for the others.
    pub fn only_for(signal: Signal, value: T) -> Self {
        let mut values = Self(Signal::ALL.map(|_| None));
        values[signal] = Some(value);
        values
    }
}

impl<T> Index<Signal> for PerSignal<T> {
    type Output = T;

    fn index(&self, signal: Signal) -> &T {
        &self.0[signal as usize]
    }
}

impl<T> IndexMut<Signal> for PerSignal<T> {
    fn index_mut(&mut self, signal: Signal) -> &mut T {
        &mut self.0[signal as usize]
    }
}

/// A choice of signals.
pub type Signals = PerSignal<bool>;

impl Signals {
    pub const ALL: Self = Self([true; Signal::ALL.len()]);

    /// These and no others.
    pub fn of(signals: &[Signal]) -> Self {
        Self::from_fn(|signal| signals.contains(&signal))
    }
}

/// A number of [items](Encode::items) of each signal: spans, log records and data points.
pub type Count = PerSignal<u64>;

impl Count {
    /// This many of one signal.
    pub fn of(signal: Signal, items: usize) -> Self {
        let mut count = Self::default();
        count[signal] = items as u64;
        count
    }

    /// Those of all signals together.
    pub fn records(self) -> u64 {
        self.0.into_iter().sum()
    }

    /// What is left of it without `other`, never below zero.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self::from_fn(|signal| self[signal].saturating_sub(other[signal]))
    }

    /// Those of these signals.
    #[must_use]
    pub fn only(self, signals: Signals) -> Self {
        Self::from_fn(|signal| if signals[signal] { self[signal] } else { 0 })
    }
}

impl Add for Count {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::from_fn(|signal| self[signal] + other[signal])
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// Records on their way from the core thread, those of a signal in the order in which
/// they ended.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
    pub metrics: Vec<MetricRecord>,
    /// What has become of the receivers before these records were made; mostly nothing.
    pub receivers: Option<Receivers>,
}

/// What a fault does to all receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receivers {
    Down,
    Up,
}

/// A batch of the records of one signal.
impl<R: Record> From<Vec<R>> for Batch {
    fn from(records: Vec<R>) -> Self {
        let mut batch = Self::default();
        *R::list_mut(&mut batch) = records;
        batch
    }
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        let mut len = 0;
        each_signal!(R => len += R::list(self).len());
        len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What exporters and receivers count.
    pub fn count(&self) -> Count {
        let mut count = Count::default();
        each_signal!(R => count += counted(R::list(self)));
        count
    }

    /// What its records take: bytes.
    pub fn weight(&self) -> usize {
        let mut weight = 0;
        each_signal!(R => weight += R::list(self).iter().map(R::weight).sum::<usize>());
        weight
    }

    /// Moves the records of another batch behind its own.
    pub fn append(&mut self, mut other: Self) {
        each_signal!(R => R::list_mut(self).append(R::list_mut(&mut other)));
    }

    /// Copies the records of another batch behind its own.
    pub fn extend(&mut self, other: &Self) {
        each_signal!(R => R::list_mut(self).extend_from_slice(R::list(other)));
    }

    /// Empties it, and keeps its memory for the next records.
    pub fn clear(&mut self) {
        each_signal!(R => R::list_mut(self).clear());
        self.receivers = None;
    }
}

/// How many these are for exporters and receivers.
pub fn counted<R: Record>(records: &[R]) -> Count {
    Count::of(R::SIGNAL, records.iter().map(R::items).sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_the_index_of_its_value_and_its_records_are_those_of_its_type() {
        let mut types = Vec::new();
        each_signal!(R => types.push(R::SIGNAL));
        assert_eq!(types, Signal::ALL);
        let names = PerSignal::from_fn(|signal| signal.spec().variable);
        for (signal, name) in names.iter() {
            assert_eq!(names[signal], *name);
            assert!(signal.spec().path.ends_with(&name.to_lowercase()), "{name}");
        }
    }
}
