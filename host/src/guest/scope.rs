//! One request or one run of a job in a worker: its trace, its baggage, and the spans
//! that the guest has open.

mod caller;
mod host_span;
mod trace;

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use crate::context::{self, Baggage, SpanContext, SpanId};
use crate::message::{Headers, Request};
use crate::model::{Nanos, ServiceId};
use crate::rng::{Key, Purpose};
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{
    Attributes, Event, ExceptionSpan, KeyValue, LogRecord, ResourceId, Scope, SpanKind, SpanRecord, Status,
    Text,
};
use crate::telemetry::recorder::Recorder;
use crate::topic::{Delivery, Lineage};
use crate::wasi::Current;

use super::attributes::{bound, merge};
use super::budget::{Budget, Hold};
use super::identity::Identity;
pub use caller::{Caller, Deadline, Visitor};
pub use trace::{Roots, Trace};

/// Spans that a guest may have open at a time.
const OPEN_SPANS: usize = 256;

/// Messages in a worker.
#[derive(Debug)]
pub struct Received {
    pub topic: String,
    pub group: String,
    pub delivery: Rc<Delivery>,
}

/// A request or messages in a worker, or a run of a job, which has no request and no SERVER span.
#[derive(Debug)]
pub struct RequestScope {
    /// The calling service and its replica; none from outside of the topology.
    pub from: Option<(ServiceId, u32)>,
    /// What the service counts its route as, whichever release serves it.
    pub slot: Option<u32>,
    /// Which attempt of its call it is, from 0.
    pub attempt: u32,
    pub request: Request,
    /// The messages that are processed in place of a request; none of a request.
    pub received: Option<Received>,
    /// The parameters of its route's path, decoded.
    pub params: Vec<(String, String)>,
    /// The context and the baggage that came along, where they are not among the headers.
    context: Option<(SpanContext, Baggage)>,
    /// The `User-Agent` that came along, where it is not among the headers.
    agent: Option<Arc<str>>,
    pub trace: Trace,
    /// The SERVER span, which the bus records; of a job, only a name for draws.
    server: SpanId,
    /// Of a job: what begins its traces.
    roots: Option<Roots>,
    /// Calls above this request.
    pub depth: u32,
    /// The topics of the messages above it.
    pub lineage: Lineage,
    deadline: Option<Deadline>,
    pub baggage: Baggage,
    /// Attributes that the guest added to the SERVER span.
    pub annotations: Annotations,
    /// What the request may record.
    budget: Rc<Budget>,
    /// Children that the SERVER span has so far.
    children: u32,
    open: Vec<OpenSpan>,
    /// Spans that the guest may still open.
    left: u32,
}

/// What a guest says of its SERVER span.
#[derive(Debug, Default)]
pub struct Annotations {
    pub attributes: Vec<KeyValue>,
    /// Attributes that were kept out.
    pub dropped: u32,
    /// Attributes that it has set, kept or not.
    set: u32,
}

#[derive(Debug)]
struct OpenSpan {
    /// What the guest holds.
    handle: u32,
    id: SpanId,
    parent: Option<SpanId>,
    children: u32,
    name: String,
    kind: SpanKind,
    start: Nanos,
    attributes: Vec<KeyValue>,
    /// Attributes that the guest has set, kept or not.
    set: u32,
    events: Vec<Event>,
    status: Status,
    dropped_attributes: u32,
    dropped_events: u32,
}

impl RequestScope {
    /// A guest may record this number of `spans` in it, within its `budget`.
    pub fn new(
        visitor: Visitor,
        request: Request,
        params: Vec<(String, String)>,
        spans: u32,
        budget: Rc<Budget>,
    ) -> Self {
        let Visitor { from, slot, attempt, trace, server, baggage, .. } = visitor;
        let Visitor { depth, lineage, context, agent, deadline, .. } = visitor;
        Self {
            from,
            slot,
            attempt,
            request,
            received: None,
            params,
            context: context.map(|context| (context, baggage.clone())),
            agent,
            trace,
            server,
            roots: None,
            depth,
            lineage,
            deadline,
            baggage,
            annotations: Annotations::default(),
            budget,
            children: 0,
            open: Vec::new(),
            left: spans,
        }
    }

    /// A run of a job, whose draws are named by `trace`. Its spans are roots of traces that `roots` begins.
    pub fn of_job(trace: Trace, roots: Roots, spans: u32, budget: Rc<Budget>) -> Self {
        let visitor = Visitor {
            from: None,
            slot: None,
            attempt: 0,
            server: trace.child_id(None, 0),
            trace,
            baggage: Baggage::default(),
            depth: 0,
            lineage: Lineage::default(),
            context: None,
            agent: None,
            deadline: None,
        };
        Self { roots: Some(roots), ..Self::new(visitor, Request::default(), Vec::new(), spans, budget) }
    }

    /// Whether it is a request: neither messages nor a job.
    pub const fn is_request(&self) -> bool {
        self.roots.is_none() && self.received.is_none()
    }

    /// The SERVER span, or the CONSUMER span of messages; none of a job.
    pub fn server(&self) -> Option<SpanId> {
        self.roots.is_none().then_some(self.server)
    }

    /// It is messages that the worker has.
    #[must_use]
    pub fn with(self, received: Received) -> Self {
        Self { received: Some(received), ..self }
    }

    /// The request's headers, with the context, the deadline and the `User-Agent` that
    /// came along.
    pub fn headers(&self) -> Cow<'_, Headers> {
        let mut headers = Cow::Borrowed(&self.request.headers);
        if let Some(agent) = &self.agent {
            headers.to_mut().push("user-agent", &**agent);
        }
        if let Some((context, baggage)) = &self.context {
            context::inject(context, baggage, headers.to_mut());
            if let Some(deadline) = self.deadline {
                headers.to_mut().set_deadline(Some(deadline.allowed));
            }
        }
        headers
    }

    /// The first value of a header, and how many bytes were looked at or copied for it.
    pub fn header(&self, name: &str) -> (Option<String>, usize) {
        let headers = self.headers();
        let made = if matches!(headers, Cow::Owned(_)) { headers.size() } else { 0 };
        let value = headers.get(name).map(str::to_owned);
        (value, made + size_of::<(String, String)>() * headers.0.len())
    }

    /// The guest's chance for this request: named by its SERVER span. Ask before a job has begun a trace.
    pub const fn random(&self) -> Key {
        self.trace.chance(Purpose::Guest, self.server)
    }

    /// The innermost open span, or the SERVER span; none of a job that has no span open.
    pub fn current_id(&self) -> Option<SpanId> {
        self.open.last().map(|span| span.id).or_else(|| self.server())
    }

    /// What log records refer to, whether or not the trace is kept: its flags say so.
    pub fn current(&self) -> Current {
        let trace = &self.trace;
        Some((trace.trace_id, self.current_id()?, trace.flags))
    }

    /// The next child of the current span: its parent and its id. Without a current span it is the root of
    /// another trace.
    fn next_child(&mut self) -> (Option<SpanId>, SpanId) {
        let (parent, children) = match self.open.last_mut() {
            Some(span) => (span.id, &mut span.children),
            None => {
                if let Some(roots) = &mut self.roots {
                    self.trace = roots.next();
                    return (None, self.trace.child_id(None, 0));
                }
                (self.server, &mut self.children)
            }
        };
        *children += 1;
        (Some(parent), self.trace.child_id(Some(parent), *children))
    }

    /// A span of the host's own below the current one: its parent, if it has one, and its id.
    pub fn child(&mut self) -> (Option<SpanId>, SpanId) {
        self.next_child()
    }

    /// Prepares an outgoing call from within the current span.
    pub fn caller(&mut self, identity: &Identity, hold: Rc<Hold>) -> Caller {
        let (parent, span) = self.next_child();
        Caller {
            service: Some(identity.service),
            replica: identity.replica,
            resource: identity.resource,
            endpoint: Rc::clone(&identity.endpoint),
            trace: self.trace.clone(),
            parent,
            within: self.server(),
            span,
            baggage: self.baggage.clone(),
            depth: self.depth + 1,
            lineage: self.lineage.clone(),
            deadline: self.deadline.map(|deadline| deadline.at),
            hold: Some(hold),
            waiter: None,
        }
    }

    /// Opens a span as a child of the current one. A guest over its bound gets
    /// a span that is not kept: false.
    pub fn start(&mut self, handle: u32, mut name: String, kind: SpanKind, now: Nanos) -> bool {
        let Some(left) = self.left.checked_sub(1).filter(|_| self.open.len() < OPEN_SPANS) else {
            return false;
        };
        bound(&mut name);
        if !self.budget.record(size_of::<OpenSpan>() + name.len()) {
            return false;
        }
        self.left = left;
        let (parent, id) = self.next_child();
        self.open.push(OpenSpan {
            handle,
            id,
            parent,
            children: 0,
            name,
            kind,
            start: now,
            attributes: Vec::new(),
            set: 0,
            events: Vec::new(),
            status: Status::Unset,
            dropped_attributes: 0,
            dropped_events: 0,
        });
        true
    }

    /// Ends a span. One that is not open any more, or never was, is ignored.
    pub fn end(&mut self, handle: u32, recorder: &Recorder, now: Nanos, resource: ResourceId) {
        if let Some(at) = self.position(handle) {
            let span = self.open.remove(at);
            self.record(span, recorder, now, resource);
        }
    }

    /// Ends all spans that are still open, the innermost first.
    pub fn end_all(&mut self, recorder: &Recorder, now: Nanos, resource: ResourceId) {
        while let Some(span) = self.open.pop() {
            self.record(span, recorder, now, resource);
        }
    }

    pub fn set_attributes(
        &mut self,
        handle: u32,
        attributes: impl ExactSizeIterator<Item = KeyValue>,
        limits: &SpanLimits,
    ) {
        let Some(at) = self.position(handle) else { return };
        let (span, budget) = (&mut self.open[at], &self.budget);
        span.set = span.set.saturating_add(attributes.len() as u32);
        span.dropped_attributes += merge(&mut span.attributes, attributes, limits.attributes, limits, budget);
    }

    pub fn annotate(&mut self, attributes: impl ExactSizeIterator<Item = KeyValue>, limits: &SpanLimits) {
        let Annotations { attributes: kept, dropped, set } = &mut self.annotations;
        *set = set.saturating_add(attributes.len() as u32);
        *dropped += merge(kept, attributes, limits.attributes, limits, &self.budget);
    }

    /// How many attributes the guest has set on a span; none where it is not open.
    pub fn attributes_set(&self, handle: u32) -> Option<u32> {
        self.position(handle).map(|at| self.open[at].set)
    }

    /// How many attributes the guest has set on its SERVER span.
    pub const fn annotations_set(&self) -> u32 {
        self.annotations.set
    }

    pub fn add_event(&mut self, handle: u32, event: Event, limits: &SpanLimits) {
        let Some(at) = self.position(handle) else { return };
        let (span, budget) = (&mut self.open[at], &self.budget);
        let fits = span.events.len() < limits.events as usize
            && budget.record(size_of::<Event>() + event.name.weight());
        if fits {
            let mut kept = Vec::new();
            // OTLP counts what is dropped of an event on the event; ours is the span's.
            span.dropped_attributes +=
                merge(&mut kept, event.attributes, limits.event_attributes, limits, budget);
            span.events.push(Event { attributes: kept, ..event });
        } else {
            span.dropped_events += 1;
        }
    }

    /// The log record of an exception in an open span; none where the span is not kept.
    pub fn exception(&self, handle: u32, event: &Event, resource: ResourceId) -> Option<LogRecord> {
        let span = &self.open[self.position(handle).filter(|_| self.trace.recording)?];
        let of = ExceptionSpan {
            trace_id: self.trace.trace_id,
            span_id: span.id,
            flags: self.trace.flags,
            kind: span.kind,
            name: &span.name,
            resource,
            scope: Scope::Guest,
        };
        Some(LogRecord::exception(event, &of))
    }

    /// Sets the status by OpenTelemetry's rule: `ok` is final, `unset` is ignored.
    pub fn set_status(&mut self, handle: u32, mut status: Status) {
        let Some(at) = self.position(handle) else { return };
        if let Status::Error(text) = &mut status
            && !self.budget.record(text.weight())
        {
            *text = Text::Static("");
        }
        let span = &mut self.open[at];
        if span.status != Status::Ok && status != Status::Unset {
            span.status = status;
        }
    }

    pub fn rename(&mut self, handle: u32, mut name: String) {
        bound(&mut name);
        if let Some(at) = self.position(handle)
            && self.budget.record(name.len())
        {
            self.open[at].name = name;
        }
    }

    /// The id of an open span; none when it is not kept.
    pub fn id_of(&self, handle: u32) -> Option<SpanId> {
        self.position(handle).map(|at| self.open[at].id)
    }

    fn position(&self, handle: u32) -> Option<usize> {
        self.open.iter().rposition(|span| span.handle == handle)
    }

    fn record(&self, span: OpenSpan, recorder: &Recorder, now: Nanos, resource: ResourceId) {
        recorder.closed();
        if !self.trace.recording {
            return;
        }
        let (of, called) = ((span.parent, span.id), (span.kind, Text::Owned(span.name)));
        let attributes = Attributes { own: span.attributes, ..Attributes::default() };
        recorder.span(SpanRecord {
            // Whatever kind a guest gives it, its parent is in this process.
            remote_parent: false,
            scope: Scope::Guest,
            end: now,
            events: span.events,
            status: span.status,
            dropped_attributes: span.dropped_attributes,
            dropped_events: span.dropped_events,
            ..self.trace.span(of, resource, called, attributes, span.start)
        });
    }
}
