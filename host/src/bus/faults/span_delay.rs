//! Spans of guests that faults let wait.

use std::rc::Rc;

use futures_util::future::{FutureExt, LocalBoxFuture};

use crate::context::SpanId;
use crate::fault::{Candidate, Json, Point, Spans};
use crate::guest::Identity;
use crate::guest::scope::RequestScope;
use crate::model::{FaultEvent, Nanos, Scalar};
use crate::rng::Purpose;
use crate::telemetry::record::{Event, KeyValue, Text, Value};

use crate::bus::callee::CalleeSide;

impl CalleeSide {
    /// What strikes a span that the guest has just begun, at the instant `began`: a wait, which gives events.
    pub(in crate::bus) fn span_delay(
        &self,
        scope: &RequestScope,
        identity: &Identity,
        name: &str,
        span: SpanId,
        began: Nanos,
    ) -> Option<LocalBoxFuture<'static, Vec<Event>>> {
        if !self.faults.has(Point::Span, identity.service) {
            return None;
        }
        let candidate = Candidate {
            service: identity.service,
            route: scope.slot,
            replica: Some(identity.replica),
            resource: Some(identity.resource),
            from: scope.from,
            request: &scope.request,
            params: &scope.params,
            baggage: &scope.baggage,
            json: Json::default(),
            attempt: scope.attempt,
            trace: scope.trace.trace_id,
            span,
            spans: Spans { server: scope.server(), client: None, own: Some(span) },
            key: scope.trace.chance(Purpose::Fault, span),
        };
        let process = Rc::clone(&identity.process);
        let verdict = self.faults.span(&candidate, scope.server().unwrap_or(span), name, began)?;
        let waiting = async move {
            // It ends in a process that goes on.
            process.wait(began.saturating_add(verdict.delay)).await;
            verdict.events.iter().map(|event| noticed(event, process.sched.now())).collect()
        };
        Some(waiting.boxed_local())
    }
}

fn noticed(event: &FaultEvent, time: u64) -> Event {
    let attribute = |(key, value): (&String, &Scalar)| KeyValue {
        key: Text::Owned(key.clone()),
        value: Value::from(value),
    };
    let attributes = event.attributes.iter().map(attribute).collect();
    Event { name: Text::Owned(event.name.clone()), time, attributes }
}
