//! `simhost:service/metrics`: instruments of the guest's own.
//!
//! What is kept is the replica's, in [`crate::metrics`]. Where nobody asks for metrics nothing is kept, and
//! each function has the same price: what a guest computes does not depend on who looks.

use wasmtime::component::{HasSelf, LinkerInstance, Resource};

use crate::metrics::{DEFAULT_BOUNDS, Definition, GuestKind, InstrumentId, Measured, Origin};
use crate::telemetry::record::{Instrument, KeyValue};
use crate::wasi::bill::{self, FUNCTION, MEASUREMENT, RECORD};

use super::state::{GuestState, Local};
use super::tracing::{key_value, weight};
use crate::guest::attributes::fit;
use crate::guest::bindings::simhost::service::metrics;
use crate::guest::bindings::simhost::service::tracing::Attributes;
use crate::guest::bindings::{FloatInstrument, IntInstrument};

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    metrics::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl metrics::Host for GuestState {}

impl metrics::HostIntInstrument for GuestState {
    fn new(&mut self, definition: metrics::Definition) -> wasmtime::Result<Resource<IntInstrument>> {
        Ok(Resource::new_own(self.instrument(definition, true)))
    }

    fn record(
        &mut self,
        instrument: Resource<IntInstrument>,
        value: i64,
        attributes: Attributes,
    ) -> wasmtime::Result<()> {
        self.measure(instrument.rep(), Measured::Whole(value), attributes);
        Ok(())
    }

    fn drop(&mut self, _: Resource<IntInstrument>) -> wasmtime::Result<()> {
        self.charge(FUNCTION);
        Ok(())
    }
}

impl metrics::HostFloatInstrument for GuestState {
    fn new(&mut self, definition: metrics::Definition) -> wasmtime::Result<Resource<FloatInstrument>> {
        Ok(Resource::new_own(self.instrument(definition, false)))
    }

    fn record(
        &mut self,
        instrument: Resource<FloatInstrument>,
        value: f64,
        attributes: Attributes,
    ) -> wasmtime::Result<()> {
        self.measure(instrument.rep(), Measured::Float(value), attributes);
        Ok(())
    }

    fn drop(&mut self, _: Resource<FloatInstrument>) -> wasmtime::Result<()> {
        self.charge(FUNCTION);
        Ok(())
    }
}

impl GuestState {
    /// What the guest's handle of an instrument stands for: 0 without metrics.
    fn instrument(&self, definition: metrics::Definition, is_whole: bool) -> u32 {
        let metrics::Definition { name, kind, unit, description } = definition;
        let (kind, bounds) = match kind {
            metrics::Kind::Counter => (GuestKind::Counter, Vec::new()),
            metrics::Kind::UpDownCounter => (GuestKind::UpDownCounter, Vec::new()),
            metrics::Kind::Gauge => (GuestKind::Gauge, Vec::new()),
            metrics::Kind::Histogram(bounds) => {
                (GuestKind::Histogram, bounds.unwrap_or_else(|| DEFAULT_BOUNDS.to_vec()))
            }
        };
        let texts = name.len() + unit.len() + description.len();
        self.charge(FUNCTION + RECORD + bill::bytes(texts + size_of_val(bounds.as_slice())));
        let local = self.local.get();
        let (Some(metrics), Some(process)) = (&local.host.metrics, local.process) else { return 0 };
        let instrument = Instrument { name: name.into(), unit: unit.into(), description: description.into() };
        let definition = Definition { instrument, kind, is_whole, bounds };
        metrics.instrument(process, definition).number()
    }

    /// Records a value with an instrument, which is what the guest's handle stands for.
    fn measure(&self, instrument: u32, value: Measured, attributes: Attributes) {
        self.charge(FUNCTION + MEASUREMENT + weight(&attributes));
        let local = self.local.get();
        // Reading the worker's clock takes time, so it is read whether or not there are metrics.
        let origin = local.origin();
        let (Some(metrics), Some(process)) = (&local.host.metrics, local.process) else { return };
        let mut attributes: Vec<KeyValue> = attributes.into_iter().map(key_value).collect();
        attributes.iter_mut().for_each(|attribute| fit(attribute, None));
        let id = InstrumentId::of_number(instrument);
        metrics.record(process, id, value, attributes, origin);
    }
}

impl Local {
    /// The current span at this instant; none outside of a request.
    fn origin(&self) -> Option<Origin> {
        let scope = self.scope.as_ref()?;
        Some(Origin {
            trace_id: scope.trace.trace_id,
            span_id: scope.current_id()?,
            is_sampled: scope.trace.recording,
            time: self.ahead.now(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::bindings::simhost::service::tracing::{self, HostSpan, Value};
    use crate::guest::host::fixture::Fixture;
    use crate::telemetry::record::{MetricRecord, Number, NumberPoint, Points};
    use metrics::{HostFloatInstrument, HostIntInstrument};

    fn definition(name: &str, kind: metrics::Kind) -> metrics::Definition {
        let (unit, description) = ("{order}".to_owned(), "Orders".to_owned());
        metrics::Definition { name: name.to_owned(), kind, unit, description }
    }

    fn channel(name: &str) -> Attributes {
        vec![("channel".to_owned(), Value::Text(name.to_owned()))]
    }

    fn points(records: &[MetricRecord]) -> &[NumberPoint] {
        match records {
            [MetricRecord { points: Points::Sum { points, .. }, .. }] => points,
            _ => panic!("{records:?}"),
        }
    }

    #[test]
    fn a_counter_counts_and_its_exemplar_is_the_current_span() {
        let mut fixture = Fixture::measured().with_request();
        let state = &mut fixture.state;
        let counter = HostIntInstrument::new(state, definition("orders", metrics::Kind::Counter)).unwrap();
        let rep = counter.rep();
        let kind = tracing::SpanKind::Internal;
        let span = HostSpan::new(state, "work".to_owned(), kind, Vec::new()).unwrap();
        let current = tracing::Host::current(state).unwrap().expect("a span").span_id;
        for _ in 0..3 {
            HostIntInstrument::record(state, Resource::new_borrow(rep), 2, channel("web")).unwrap();
        }
        HostSpan::drop(state, span).unwrap();
        HostIntInstrument::record(state, Resource::new_borrow(rep), 5, channel("shop")).unwrap();
        let records = fixture.collected();
        let [web, shop] = points(&records) else { panic!("{records:?}") };
        assert_eq!((web.value, shop.value), (Number::Int(6), Number::Int(5)));
        let spans = [web, shop].map(|point| point.exemplars[0].span_id.to_string());
        assert_eq!(spans, [current, "0000000000000001".to_owned()]);
    }

    #[test]
    fn each_call_has_a_price_whether_or_not_anybody_looks() {
        for fixture in [Fixture::serving(), Fixture::measured().with_request()] {
            let mut fixture = fixture;
            let kind = metrics::Kind::Histogram(Some(vec![1.0, 2.0]));
            let histogram = HostFloatInstrument::new(&mut fixture.state, definition("size", kind)).unwrap();
            assert_eq!(fixture.owes(), FUNCTION + RECORD + 4 + 7 + 6 + 16);
            let borrowed = Resource::new_borrow(histogram.rep());
            HostFloatInstrument::record(&mut fixture.state, borrowed, 1.5, channel("web")).unwrap();
            let attribute = size_of::<KeyValue>() as u64 + 7 + 3;
            assert_eq!(fixture.owes(), FUNCTION + MEASUREMENT + attribute);
            HostFloatInstrument::drop(&mut fixture.state, histogram).unwrap();
            assert_eq!(fixture.owes(), FUNCTION);
        }
    }

    #[test]
    fn outside_of_a_request_a_value_counts_without_an_exemplar() {
        let mut fixture = Fixture::measured();
        let kind = metrics::Kind::UpDownCounter;
        let counter = HostFloatInstrument::new(&mut fixture.state, definition("open", kind)).unwrap();
        HostFloatInstrument::record(&mut fixture.state, counter, -1.5, Vec::new()).unwrap();
        let records = fixture.collected();
        let [point] = points(&records) else { panic!("{records:?}") };
        assert_eq!((point.value, point.exemplars.len()), (Number::Float(-1.5), 0));
    }
}
