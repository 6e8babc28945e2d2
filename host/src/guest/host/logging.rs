//! `simhost:service/logging`: log records, tied to the current span.

use wasmtime::component::{HasSelf, LinkerInstance};

use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{KeyValue, LogRecord, Scope, Severity, Text};
use crate::telemetry::signal::Signal;
use crate::wasi::bill::{self, FUNCTION, RECORD};

use super::state::GuestState;
use super::tracing::{key_value, searches, weight};
use crate::guest::attributes::{bound, merge};
use crate::guest::bindings::simhost::service::logging;
use crate::guest::bindings::simhost::service::tracing::Attributes;

/// Links the interface.
pub(super) fn link(instance: &mut LinkerInstance<'_, GuestState>) -> wasmtime::Result<()> {
    logging::add_to_linker_instance::<_, HasSelf<_>>(instance, |state| state)
}

impl GuestState {
    /// Leaves a log record of the guest with these attributes, as far as its bounds allow.
    pub(super) fn leave(&self, mut log: LogRecord, attributes: impl IntoIterator<Item = KeyValue>) {
        let local = self.local.get();
        let recorder = &local.host.recorder;
        let Some(left) = local.output.left.get().checked_sub(1) else { return recorder.cut(Signal::Logs) };
        local.output.left.set(left);
        if let Text::Owned(body) = &mut log.body {
            bound(body);
        }
        if !local.budget.record(size_of::<LogRecord>() + log.body.len()) {
            return recorder.cut(Signal::Logs);
        }
        let limits: &SpanLimits = &local.host.span_limits;
        let kept = &mut log.attributes;
        let dropped = merge(kept, attributes, limits.attributes, limits, &local.budget);
        recorder.cut_log_attributes(dropped);
        recorder.log(log);
    }
}

impl logging::Host for GuestState {
    fn log(
        &mut self,
        level: logging::Level,
        message: String,
        attributes: Attributes,
    ) -> wasmtime::Result<()> {
        self.charge(FUNCTION + bill::bytes(message.len()) + weight(&attributes));
        let local = self.local.get();
        let time = local.ahead.now();
        // Whether or not it is kept: exceptions may have taken its place.
        self.charge(RECORD + searches(&attributes, 0, local.host.span_limits.attributes));
        let log = LogRecord {
            time,
            severity: match level {
                logging::Level::Trace => Severity::Trace,
                logging::Level::Debug => Severity::Debug,
                logging::Level::Info => Severity::Info,
                logging::Level::Warn => Severity::Warn,
                logging::Level::Error => Severity::Error,
                logging::Level::Fatal => Severity::Fatal,
            },
            event_name: None,
            body: Text::Owned(message),
            attributes: Vec::new(),
            resource: local.identity.resource,
            scope: Scope::Guest,
            span: local.output.current.get(),
        };
        self.leave(log, attributes.into_iter().map(key_value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::host::fixture::Fixture;
    use logging::Host as _;

    #[test]
    fn a_record_refers_to_the_current_span() {
        let mut fixture = Fixture::serving();
        fixture.state.log(logging::Level::Warn, "stock is low".to_owned(), Vec::new()).unwrap();
        assert_eq!(fixture.owes(), FUNCTION + 12 + RECORD);
        let records = fixture.recorded();
        let [log] = &records.logs[..] else { panic!("{records:?}") };
        assert_eq!((log.severity, log.body.to_string().as_str()), (Severity::Warn, "stock is low"));
        assert_eq!(log.span.map(|(_, span, _)| span.to_string()).as_deref(), Some("0000000000000001"));
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut fixture = Fixture::serving();
        for _ in 0..12 {
            fixture.state.log(logging::Level::Info, String::new(), Vec::new()).unwrap();
        }
        assert_eq!(fixture.recorded().logs.len(), 10, "the fixture allows ten records");
    }
}
