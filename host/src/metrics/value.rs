//! Values that are measured, and their sums.

use crate::model::Nanos;
use crate::telemetry::record::Number;

/// A value that is measured. An instrument measures values of one kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Measured {
    /// A length of time: nanoseconds. It leaves as seconds.
    Time(Nanos),
    Whole(i64),
    /// A finite number.
    Float(f64),
}

impl Measured {
    /// In the unit of the instrument.
    pub fn number(self) -> Number {
        match self {
            Self::Time(nanos) => Number::Float(seconds(nanos)),
            Self::Whole(value) => Number::Int(value),
            Self::Float(value) => Number::Float(value),
        }
    }

    /// In the unit of the instrument, as buckets have their bounds.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Time(nanos) => seconds(nanos),
            Self::Whole(value) => value as f64,
            Self::Float(value) => value,
        }
    }
}

/// Seconds, rounded once: a length that is a bound of a bucket is that bound exactly.
pub fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// A sum of values. Times and whole numbers are added as integers, so that the order of
/// additions cannot matter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sum {
    Time(i128),
    Whole(i128),
    Float(f64),
}

impl Sum {
    /// No value yet, of the kind of `value`.
    pub const fn none_of(value: Measured) -> Self {
        match value {
            Measured::Time(_) => Self::Time(0),
            Measured::Whole(_) => Self::Whole(0),
            Measured::Float(_) => Self::Float(0.0),
        }
    }

    /// Adds a value. One of another kind than those before counts for nothing: an instrument
    /// has one kind.
    pub fn add(&mut self, value: Measured) {
        match (self, value) {
            (Self::Time(sum), Measured::Time(nanos)) => *sum += i128::from(nanos),
            (Self::Whole(sum), Measured::Whole(value)) => *sum += i128::from(value),
            // Beyond the largest number there is none that every receiver takes.
            (Self::Float(sum), Measured::Float(value)) => *sum = (*sum + value).clamp(f64::MIN, f64::MAX),
            _ => debug_assert!(false, "an instrument measures values of one kind"),
        }
    }

    /// No value any more.
    pub const fn reset(&mut self) {
        match self {
            Self::Time(sum) | Self::Whole(sum) => *sum = 0,
            Self::Float(sum) => *sum = 0.0,
        }
    }

    /// In the unit of the instrument.
    pub fn number(self) -> Number {
        match self {
            Self::Time(nanos) => Number::Float(nanos as f64 / 1e9),
            Self::Whole(sum) => Number::Int(sum.clamp(i64::MIN.into(), i64::MAX.into()) as i64),
            Self::Float(sum) => Number::Float(sum),
        }
    }

    /// In the unit of the instrument.
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Time(nanos) => nanos as f64 / 1e9,
            Self::Whole(sum) => sum as f64,
            Self::Float(sum) => sum,
        }
    }
}
