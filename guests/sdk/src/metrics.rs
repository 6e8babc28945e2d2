//! Instruments of the service's own, as in OpenTelemetry's API.
//!
//! ```no_run
//! use simhost_sdk::metrics::{Counter, meter};
//! use simhost_sdk::prelude::*;
//! use std::sync::LazyLock;
//!
//! static PLACED: LazyLock<Counter<u64>> = LazyLock::new(|| {
//!     meter().u64_counter("orders.placed").with_unit("{order}").with_description("Orders that were taken").build()
//! });
//!
//! fn place(channel: &str) {
//!     PLACED.add(1, attributes!["channel" => channel]);
//! }
//! ```
//!
//! An instrument belongs to the replica: all its workers that build one of the same name, kind and unit add to the same
//! values. So an instrument may be kept in a static, in the state of a route, or be built anew for each request, which
//! costs one call of the simulator more.
//!
//! Nothing here fails. What is wrong with an instrument or a value is in the report of the run: a bad name, a name that
//! stands for two instruments, a counter that shrinks, a value that is not finite. What is measured in a request refers
//! to its current span, as an exemplar.

use std::marker::PhantomData;

use crate::Attribute;
use crate::bindings::simhost::service::metrics::{Definition, FloatInstrument, IntInstrument, Kind};

/// What makes instruments.
#[derive(Clone, Copy, Debug)]
pub struct Meter(());

/// The meter of this service.
pub const fn meter() -> Meter {
    Meter(())
}

/// A number that an instrument measures: `u64`, `i64` or `f64`.
pub trait Number: Copy + sealed::Number {}

impl Number for u64 {}
impl Number for i64 {}
impl Number for f64 {}

mod sealed {
    use super::{Attribute, Definition, FloatInstrument, IntInstrument};

    /// How numbers of one type get to the simulator.
    pub trait Number {
        type Instrument;

        fn instrument(definition: &Definition) -> Self::Instrument;
        fn record(self, instrument: &Self::Instrument, attributes: &[Attribute]);
    }

    impl Number for u64 {
        type Instrument = IntInstrument;

        fn instrument(definition: &Definition) -> IntInstrument {
            IntInstrument::new(definition)
        }

        // What exceeds the range is as large as it can be, not negative.
        fn record(self, instrument: &IntInstrument, attributes: &[Attribute]) {
            instrument.record(self.try_into().unwrap_or(i64::MAX), attributes);
        }
    }

    impl Number for i64 {
        type Instrument = IntInstrument;

        fn instrument(definition: &Definition) -> IntInstrument {
            IntInstrument::new(definition)
        }

        fn record(self, instrument: &IntInstrument, attributes: &[Attribute]) {
            instrument.record(self, attributes);
        }
    }

    impl Number for f64 {
        type Instrument = FloatInstrument;

        fn instrument(definition: &Definition) -> FloatInstrument {
            FloatInstrument::new(definition)
        }

        fn record(self, instrument: &FloatInstrument, attributes: &[Attribute]) {
            instrument.record(self, attributes);
        }
    }
}

/// What all instruments are made of. There is none in a unit test on the machine that builds: there is no simulator.
struct Instrument<T: Number>(Option<T::Instrument>);

impl<T: Number> Instrument<T> {
    fn record(&self, value: T, attributes: &[Attribute]) {
        if let Some(raw) = &self.0 {
            value.record(raw, attributes);
        }
    }
}

/// Describes an instrument before it is built: its unit, its description, the bounds of a histogram.
#[derive(Clone, Debug)]
#[must_use = "an instrument is there once it is built"]
pub struct InstrumentBuilder<I> {
    definition: Definition,
    instrument: PhantomData<fn() -> I>,
}

impl<I> InstrumentBuilder<I> {
    fn new(name: &str, kind: Kind) -> Self {
        let definition =
            Definition { name: name.to_owned(), kind, unit: String::new(), description: String::new() };
        Self { definition, instrument: PhantomData }
    }

    /// What values are measured in, by the Unified Code for Units of Measure: `s`, `By`, `{order}`.
    pub fn with_unit(mut self, unit: &str) -> Self {
        self.definition.unit = unit.to_owned();
        self
    }

    /// What is measured, for whoever looks at the metric.
    pub fn with_description(mut self, description: &str) -> Self {
        self.definition.description = description.to_owned();
        self
    }

    fn raw<T: Number>(&self) -> Instrument<T> {
        Instrument(cfg!(target_arch = "wasm32").then(|| T::instrument(&self.definition)))
    }
}

impl<T: Number> InstrumentBuilder<Histogram<T>> {
    /// The upper bounds of the buckets, in ascending order: at most 200. A value that is a bound belongs to the bucket
    /// below it. If not said, the bounds are OpenTelemetry's, from 0 to 10,000: they suit milliseconds.
    pub fn with_boundaries(mut self, bounds: impl Into<Vec<f64>>) -> Self {
        self.definition.kind = Kind::Histogram(Some(bounds.into()));
        self
    }
}

macro_rules! instruments {
    ($($name:ident $method:ident $about:literal, $does:literal;)*) => {
        $(
            #[doc = $about]
            pub struct $name<T: Number>(Instrument<T>);

            impl<T: Number> $name<T> {
                #[doc = $does]
                pub fn $method(&self, value: T, attributes: impl AsRef<[Attribute]>) {
                    self.0.record(value, attributes.as_ref());
                }
            }

            impl<T: Number> InstrumentBuilder<$name<T>> {
                /// The instrument: the one that the replica has already, if it was built before.
                #[must_use]
                pub fn build(self) -> $name<T> {
                    $name(self.raw())
                }
            }
        )*
    };
}

instruments! {
    Counter add "Adds up values that are not negative: orders placed, bytes sent.",
        "Adds a value, with [attributes](crate::attributes!).";
    UpDownCounter add "Adds up values that may be negative: carts that are open.",
        "Adds a value, with [attributes](crate::attributes!).";
    Gauge record "Keeps the last value: a temperature, the size of a cache.",
        "Measures a value, with [attributes](crate::attributes!).";
    Histogram record "Counts values in buckets: items of an order, seconds that a step took.",
        "Measures a value, with [attributes](crate::attributes!).";
}

macro_rules! methods {
    ($($method:ident $name:ident<$number:ty> $kind:expr;)*) => {
        impl Meter {
            $(
                #[doc = concat!("A [`", stringify!($name), "`] of `", stringify!($number), "`.")]
                pub fn $method(self, name: &str) -> InstrumentBuilder<$name<$number>> {
                    InstrumentBuilder::new(name, $kind)
                }
            )*
        }
    };
}

methods! {
    u64_counter Counter<u64> Kind::Counter;
    f64_counter Counter<f64> Kind::Counter;
    i64_up_down_counter UpDownCounter<i64> Kind::UpDownCounter;
    f64_up_down_counter UpDownCounter<f64> Kind::UpDownCounter;
    u64_gauge Gauge<u64> Kind::Gauge;
    i64_gauge Gauge<i64> Kind::Gauge;
    f64_gauge Gauge<f64> Kind::Gauge;
    u64_histogram Histogram<u64> Kind::Histogram(None);
    f64_histogram Histogram<f64> Kind::Histogram(None);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes;
    use std::sync::LazyLock;

    static PLACED: LazyLock<Counter<u64>> = LazyLock::new(|| meter().u64_counter("orders.placed").build());

    #[test]
    fn an_instrument_may_be_a_static_and_does_nothing_without_a_simulator() {
        PLACED.add(1, attributes!["channel" => "web"]);
        PLACED.add(u64::MAX, []);
        meter().i64_up_down_counter("carts.open").build().add(-1, []);
        meter().f64_gauge("oven.temperature").with_unit("Cel").build().record(180.5, []);
    }

    #[test]
    fn a_builder_says_what_was_said_to_it() {
        let built = meter().f64_histogram("step.duration").with_unit("s").with_description("A step");
        let Definition { name, unit, description, .. } = built.definition.clone();
        assert_eq!((name.as_str(), unit.as_str(), description.as_str()), ("step.duration", "s", "A step"));
        assert!(matches!(built.definition.kind, Kind::Histogram(None)));
        let bounds = built.with_boundaries([0.1, 1.0]).definition.kind;
        assert!(matches!(bounds, Kind::Histogram(Some(bounds)) if bounds == [0.1, 1.0]));
    }
}
