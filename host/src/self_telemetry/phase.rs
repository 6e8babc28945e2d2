//! Spans of what the program does: a run, and its phases.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::losses::Losses;
use crate::clock;
use crate::model::Nanos;

/// Phases that are over before it is known where spans go. A clone notes into the same list.
#[derive(Clone, Debug, Default)]
pub struct Phases(Option<Arc<Mutex<Vec<Past>>>>);

/// A phase that is over.
#[derive(Clone, Debug)]
pub struct Past {
    name: &'static str,
    /// Nanoseconds since the Unix epoch.
    pub(super) start: Nanos,
    end: Nanos,
    attributes: Vec<KeyValue>,
    within: Vec<Self>,
}

impl Phases {
    /// Notes what happens if somebody wants to know.
    pub fn new(wanted: bool) -> Self {
        Self(wanted.then(Arc::default))
    }

    /// Does something, and notes how long it took.
    pub fn note<T>(
        &self,
        name: &'static str,
        attributes: impl FnOnce() -> Vec<KeyValue>,
        run: impl FnOnce() -> T,
    ) -> T {
        let Some(list) = &self.0 else { return run() };
        let start = clock::wall();
        let result = run();
        let past = Past { name, start, end: clock::wall(), attributes: attributes(), within: Vec::new() };
        list.lock().unwrap_or_else(PoisonError::into_inner).push(past);
        result
    }

    /// Makes one phase, which began at `start` and ends now, of all that was noted.
    pub fn enclose(&self, name: &'static str, start: Nanos) {
        let Some(list) = &self.0 else { return };
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        let within = std::mem::take(&mut *list);
        list.push(Past { name, start, end: clock::wall(), attributes: Vec::new(), within });
    }

    /// What was noted; none where nobody wants to know.
    pub fn take(self) -> Option<Vec<Past>> {
        let list = self.0?;
        let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut *list))
    }
}

/// A span that ends when this is dropped.
#[derive(Debug)]
pub struct Phase {
    tracer: SdkTracer,
    context: Context,
    losses: Arc<Losses>,
}

impl Phase {
    /// The span of a run, from `began` on or from now.
    pub(super) fn root(
        tracer: SdkTracer,
        losses: Arc<Losses>,
        began: Option<Nanos>,
        attributes: Vec<KeyValue>,
    ) -> Self {
        let mut builder = builder("run", attributes);
        builder.start_time = began.map(instant);
        let context = Context::new().with_span(builder.start_with_context(&tracer, &Context::new()));
        Self { tracer, context, losses }
    }

    /// A phase of this one that begins now.
    pub fn child(&self, name: &'static str, attributes: Vec<KeyValue>) -> Self {
        self.began(builder(name, attributes))
    }

    fn began(&self, builder: SpanBuilder) -> Self {
        let span = builder.start_with_context(&self.tracer, &self.context);
        let context = Context::new().with_span(span);
        Self { tracer: self.tracer.clone(), context, losses: Arc::clone(&self.losses) }
    }

    /// A phase of this one that is over.
    pub(super) fn past(&self, past: Past) {
        let mut builder = builder(past.name, past.attributes);
        builder.start_time = Some(instant(past.start));
        let phase = self.began(builder);
        for inner in past.within {
            phase.past(inner);
        }
        phase.context.span().end_with_timestamp(instant(past.end));
    }

    /// Adds to what the span says.
    pub fn set(&self, attribute: KeyValue) {
        self.context.span().set_attribute(attribute);
    }

    /// It did not come to a good end.
    pub fn failed(&self, why: impl Into<Cow<'static, str>>) {
        self.context.span().set_status(Status::error(why));
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        // A span that has ended at an instant of its own stays as it is.
        self.context.span().end();
        self.losses.span_ended();
    }
}

fn builder(name: &'static str, attributes: Vec<KeyValue>) -> SpanBuilder {
    SpanBuilder::from_name(name).with_kind(SpanKind::Internal).with_attributes(attributes)
}

fn instant(nanos: Nanos) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(nanos)
}
