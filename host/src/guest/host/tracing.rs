//! `simhost:service/tracing`: spans of the guest's own, and its baggage.

use wasmtime::component::{HasSelf, LinkerInstance, Resource};

use crate::telemetry::record::{Event, KeyValue, SpanKind, Status, Text, Value};
use crate::telemetry::signal::Signal;
use crate::wasi::bill::{self, FUNCTION, RECORD};

use super::state::GuestState;
use crate::guest::attributes::{self, bound};
use crate::guest::bindings::Span;
use crate::guest::bindings::simhost::service::tracing;
use crate::guest::scope::RequestScope;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    tracing::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

/// What it costs to take attributes from a guest: each text and each value, however
/// little is kept of it.
pub(super) fn weight(attributes: &tracing::Attributes) -> u64 {
    let sizes = attributes.iter().map(|(key, value)| {
        let value = match value {
            tracing::Value::Text(text) => text.len(),
            tracing::Value::Texts(texts) => texts.iter().map(|text| size_of::<String>() + text.len()).sum(),
            tracing::Value::Ints(values) => size_of_val(values.as_slice()),
            tracing::Value::Bool(_) | tracing::Value::Int(_) | tracing::Value::Float(_) => 0,
        };
        size_of::<KeyValue>() + key.len() + value
    });
    bill::bytes(sizes.sum())
}

/// What it costs to find the keys of these attributes among those of `before` others and of one another,
/// where `most` may be kept.
pub(super) fn searches(attributes: &tracing::Attributes, before: u32, most: u32) -> u64 {
    attributes::searches(attributes.iter().map(|(key, _)| key.len()), before, most)
}

/// The id of a span that is not kept, where no other is current.
const NO_SPAN: &str = "0000000000000000";

/// Bytes that are looked at for one member of the baggage, and copied when one changes.
fn baggage_size(scope: &RequestScope) -> usize {
    scope.baggage.header().map_or(0, str::len)
}

impl tracing::Host for GuestState {
    fn current(&mut self) -> wasmtime::Result<Option<tracing::SpanContext>> {
        self.charge(FUNCTION);
        let local = self.local.get();
        let current = local.scope.as_ref().and_then(|scope| scope.current());
        Ok(current.map(|(trace_id, span_id, flags)| tracing::SpanContext {
            trace_id: trace_id.to_string(),
            span_id: span_id.to_string(),
            sampled: flags.sampled(),
        }))
    }

    fn annotate(&mut self, attributes: tracing::Attributes) -> wasmtime::Result<()> {
        self.charge(FUNCTION + weight(&attributes));
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            let limits = &local.host.span_limits;
            self.env.bill.charge(searches(&attributes, scope.annotations_set(), limits.attributes));
            scope.annotate(attributes.into_iter().map(key_value), limits);
        }
        Ok(())
    }

    fn get_baggage(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        let local = self.local.get();
        let scope = local.scope.as_ref();
        self.charge(FUNCTION + bill::bytes(key.len() + scope.map_or(0, |scope| baggage_size(scope))));
        Ok(scope.and_then(|scope| scope.baggage.get(&key)).map(std::borrow::Cow::into_owned))
    }

    fn set_baggage(&mut self, key: String, value: String) -> wasmtime::Result<()> {
        self.charge(FUNCTION + bill::bytes(key.len() + value.len()));
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            self.env.bill.charge(bill::bytes(baggage_size(scope)));
            scope.baggage = scope.baggage.with(&key, &value);
        }
        Ok(())
    }
}

impl tracing::HostSpan for GuestState {
    fn new(
        &mut self,
        name: String,
        kind: tracing::SpanKind,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<Resource<Span>> {
        self.charge(FUNCTION + RECORD + bill::bytes(name.len()) + weight(&attributes));
        let local = self.local.get_mut();
        let handle = local.next_handle();
        let now = local.ahead.now();
        if let Some(scope) = &mut local.scope {
            if scope.start(handle, name, span_kind(kind), now) {
                local.host.recorder.opened();
            } else if scope.trace.recording {
                local.host.recorder.cut(Signal::Traces);
            }
            let limits = &local.host.span_limits;
            if let Some(before) = scope.attributes_set(handle) {
                self.env.bill.charge(searches(&attributes, before, limits.attributes));
            }
            scope.set_attributes(handle, attributes.into_iter().map(key_value), limits);
        }
        local.note_current();
        Ok(Resource::new_own(handle))
    }

    fn set_attributes(
        &mut self,
        span: Resource<Span>,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        self.charge(FUNCTION + weight(&attributes));
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            let limits = &local.host.span_limits;
            if let Some(before) = scope.attributes_set(span.rep()) {
                self.env.bill.charge(searches(&attributes, before, limits.attributes));
            }
            scope.set_attributes(span.rep(), attributes.into_iter().map(key_value), limits);
        }
        Ok(())
    }

    fn add_event(
        &mut self,
        span: Resource<Span>,
        mut name: String,
        attributes: tracing::Attributes,
    ) -> wasmtime::Result<()> {
        self.charge(FUNCTION + RECORD + bill::bytes(name.len()) + weight(&attributes));
        let local = self.local.get_mut();
        bound(&mut name);
        let time = local.ahead.now();
        let limits = &local.host.span_limits;
        self.env.bill.charge(searches(&attributes, 0, limits.event_attributes));
        let attributes = attributes.into_iter().map(key_value).collect();
        let event = Event { name: Text::Owned(name), time, attributes };
        if let Some(scope) = &mut local.scope {
            scope.add_event(span.rep(), event, limits);
        }
        Ok(())
    }

    fn record_error(&mut self, span: Resource<Span>, kind: String, message: String) -> wasmtime::Result<()> {
        self.charge(FUNCTION + RECORD + bill::bytes(kind.len() + message.len()));
        let local = self.local.get();
        let exceptions = local.host.recorder.exceptions();
        let event = Event::exception(local.ahead.now(), kind, message, None);
        // An exception costs the same as an event, as a log record, and where it is not kept.
        let keys = event.attributes.iter().map(|attribute| attribute.key.weight());
        self.charge(attributes::searches(keys, 0, local.host.span_limits.event_attributes));
        if exceptions.are_logs()
            && let Some(scope) = &local.scope
            && let Some(mut log) = scope.exception(span.rep(), &event, local.identity.resource)
        {
            let attributes = std::mem::take(&mut log.attributes);
            self.leave(log, attributes);
        }
        let local = self.local.get_mut();
        if exceptions.are_events()
            && let Some(scope) = &mut local.scope
        {
            scope.add_event(span.rep(), event, &local.host.span_limits);
        }
        Ok(())
    }

    fn set_status(
        &mut self,
        span: Resource<Span>,
        status: tracing::Status,
        mut description: String,
    ) -> wasmtime::Result<()> {
        self.charge(FUNCTION + bill::bytes(description.len()));
        let local = self.local.get_mut();
        bound(&mut description);
        let status = match status {
            tracing::Status::Unset => Status::Unset,
            tracing::Status::Ok => Status::Ok,
            tracing::Status::Error => Status::Error(Text::Owned(description)),
        };
        if let Some(scope) = &mut local.scope {
            scope.set_status(span.rep(), status);
        }
        Ok(())
    }

    fn update_name(&mut self, span: Resource<Span>, name: String) -> wasmtime::Result<()> {
        self.charge(FUNCTION + bill::bytes(name.len()));
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            scope.rename(span.rep(), name);
        }
        Ok(())
    }

    fn context(&mut self, span: Resource<Span>) -> wasmtime::Result<tracing::SpanContext> {
        self.charge(FUNCTION);
        let local = self.local.get();
        let Some(scope) = &local.scope else {
            wasmtime::bail!("a span was used after its request had ended");
        };
        let id = scope.id_of(span.rep());
        Ok(tracing::SpanContext {
            trace_id: scope.trace.trace_id.to_string(),
            span_id: id
                .or_else(|| scope.current_id())
                .map_or_else(|| NO_SPAN.to_owned(), |id| id.to_string()),
            sampled: id.is_some() && scope.trace.flags.sampled(),
        })
    }

    fn drop(&mut self, span: Resource<Span>) -> wasmtime::Result<()> {
        self.charge(FUNCTION);
        let local = self.local.get_mut();
        if let Some(scope) = &mut local.scope {
            scope.end(span.rep(), &local.host.recorder, local.ahead.now(), local.identity.resource);
        }
        local.note_current();
        Ok(())
    }
}

const fn span_kind(kind: tracing::SpanKind) -> SpanKind {
    match kind {
        tracing::SpanKind::Internal => SpanKind::Internal,
        tracing::SpanKind::Client => SpanKind::Client,
        tracing::SpanKind::Server => SpanKind::Server,
        tracing::SpanKind::Producer => SpanKind::Producer,
        tracing::SpanKind::Consumer => SpanKind::Consumer,
    }
}

pub(super) fn key_value((key, value): (String, tracing::Value)) -> KeyValue {
    let value = match value {
        tracing::Value::Text(text) => Value::Text(Text::Owned(text)),
        tracing::Value::Bool(value) => Value::Bool(value),
        tracing::Value::Int(value) => Value::Int(value),
        tracing::Value::Float(value) => Value::Float(value),
        tracing::Value::Texts(values) => Value::Texts(values),
        tracing::Value::Ints(values) => Value::Ints(values),
    };
    KeyValue { key: Text::Owned(key), value }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Resource;

    use crate::guest::bindings::simhost::service::logging::{Host as _, Level};
    use crate::guest::bindings::simhost::service::tracing::{self, Host as _, HostSpan};
    use crate::guest::host::fixture::Fixture;
    use crate::telemetry::record::Exceptions;
    use crate::wasi::bill::{self, FUNCTION, RECORD};

    #[test]
    fn a_span_is_current_until_it_is_dropped_and_then_recorded() {
        let mut fixture = Fixture::serving();
        let server = fixture.state.current().unwrap().unwrap();
        let span =
            HostSpan::new(&mut fixture.state, "work".to_owned(), tracing::SpanKind::Internal, Vec::new());
        let span = span.unwrap();
        let inner = fixture.state.current().unwrap().unwrap();
        assert_eq!((&inner.trace_id, inner.sampled), (&server.trace_id, true));
        assert_ne!(inner.span_id, server.span_id);
        HostSpan::drop(&mut fixture.state, span).unwrap();
        assert_eq!(fixture.state.current().unwrap().unwrap().span_id, server.span_id);
        let records = fixture.recorded();
        let [span] = &records.spans[..] else { panic!("{records:?}") };
        assert_eq!((span.name.to_string().as_str(), span.span_id.to_string()), ("work", inner.span_id));
    }

    #[test]
    fn exceptions_as_log_records_are_cut_like_those() {
        let mut fixture = Fixture::serving();
        fixture.state.local.get().host.recorder.record_exceptions_as(Exceptions::Logs);
        let span =
            HostSpan::new(&mut fixture.state, "work".to_owned(), tracing::SpanKind::Client, Vec::new());
        let handle = span.unwrap().rep();
        for _ in 0..12 {
            let span = Resource::new_borrow(handle);
            fixture.state.record_error(span, "Oh".to_owned(), "no".to_owned()).unwrap();
        }
        HostSpan::drop(&mut fixture.state, Resource::new_own(handle)).unwrap();
        let records = fixture.recorded();
        assert_eq!(records.logs.len(), 10, "the fixture allows ten records");
        let [span] = &records.spans[..] else { panic!("{records:?}") };
        assert!(span.events.is_empty());
        assert!(records.logs.iter().all(|log| log.event_name == Some("work.exception".into())));
    }

    #[test]
    fn an_exception_has_one_price_however_it_is_recorded_and_whether_or_not_it_is_kept() {
        for exceptions in [Exceptions::Events, Exceptions::Logs, Exceptions::Both] {
            for recording in [true, false] {
                let mut fixture = Fixture::serving();
                let local = fixture.state.local.get_mut();
                local.host.recorder.record_exceptions_as(exceptions);
                local.scope.as_mut().expect("a request").trace.recording = recording;
                let kind = tracing::SpanKind::Internal;
                let handle = HostSpan::new(&mut fixture.state, "work".to_owned(), kind, Vec::new());
                let handle = handle.unwrap().rep();
                fixture.owes();
                // The fixture allows ten log records.
                for _ in 0..12 {
                    let span = Resource::new_borrow(handle);
                    fixture.state.record_error(span, "Oh".to_owned(), "no".to_owned()).unwrap();
                    // The second key is compared with the first; both are texts of the host.
                    let compared = bill::search(1, 0);
                    assert_eq!(fixture.owes(), FUNCTION + RECORD + 4 + compared, "{exceptions:?}");
                }
                fixture.state.log(Level::Info, String::new(), Vec::new()).unwrap();
                assert_eq!(fixture.owes(), FUNCTION + RECORD, "{exceptions:?}");
            }
        }
    }

    #[test]
    fn attributes_are_compared_with_all_that_were_set_before_whatever_is_kept() {
        let mut fixture = Fixture::serving();
        let kind = tracing::SpanKind::Internal;
        let handle = HostSpan::new(&mut fixture.state, "work".to_owned(), kind, Vec::new()).unwrap().rep();
        fixture.owes();
        for before in [0, 1, 2] {
            let attribute = vec![("key".to_owned(), tracing::Value::Bool(true))];
            let price = FUNCTION + super::weight(&attribute) + bill::search(before, 3);
            fixture.state.set_attributes(Resource::new_borrow(handle), attribute).unwrap();
            assert_eq!(fixture.owes(), price);
        }
    }

    #[test]
    fn without_a_request_there_is_no_current_span_and_no_baggage() {
        let mut fixture = Fixture::idle(&[]);
        assert!(fixture.state.current().unwrap().is_none());
        fixture.state.set_baggage("tier".to_owned(), "gold".to_owned()).unwrap();
        assert_eq!(fixture.state.get_baggage("tier".to_owned()).unwrap(), None);
    }

    #[test]
    fn baggage_that_is_set_can_be_read_and_costs_what_is_copied_of_it() {
        let mut fixture = Fixture::serving();
        fixture.state.set_baggage("tier".to_owned(), "gold".to_owned()).unwrap();
        assert_eq!(fixture.owes(), FUNCTION + 8);
        assert_eq!(fixture.state.get_baggage("tier".to_owned()).unwrap().as_deref(), Some("gold"));
        let header = "tier=gold".len() as u64;
        assert_eq!(fixture.owes(), FUNCTION + 4 + header);
        fixture.state.set_baggage("shop".to_owned(), "7".to_owned()).unwrap();
        assert_eq!(fixture.owes(), FUNCTION + 5 + header, "the members that are there are copied too");
    }
}
