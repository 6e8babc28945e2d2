//! Which calls and requests are under way, so that a strike counts for every request that
//! it strikes: those of its callers, up to the one that came from outside.
//!
//! The bus reports every call and every request while the truth is wanted; otherwise
//! nothing is kept. Spans are no source for it: they may be sampled away, and faults
//! lose them.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

use crate::context::{SpanId, TraceId};
use crate::model::{Nanos, ServiceId};
use crate::telemetry::record::SpanRef;

use super::event::{Event, Firing};
use super::work::{Work, WorkTracker};

/// Requests from outside that are remembered when they have ended: some 180 MB.
pub const MAX_REQUESTS: usize = 2_000_000;

/// A service, and the index of one of its routes: none for what meets no route.
pub type ServiceRoute = (ServiceId, Option<u32>);

/// A request from outside of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutsideRequest {
    /// As its SERVER span has it, if that was recorded.
    pub trace: TraceId,
    /// Its SERVER span.
    pub span: SpanId,
    /// Whether that was recorded.
    pub is_recorded: bool,
    /// The service and the route that it asks for.
    pub to: ServiceRoute,
    /// When its load had to make it; of one that no load makes, when it arrived:
    /// nanoseconds since the Unix epoch.
    pub due: Nanos,
    /// Whether its client has sent it.
    pub is_sent: bool,
    /// None while it is under way, and for ever if nobody waited for the end.
    pub end: Option<RequestEnd>,
}

impl OutsideRequest {
    /// The `error.type` of a request that has failed, by the rule of the report: it was
    /// answered 5xx, or not at all.
    pub fn error(&self) -> Option<Cow<'static, str>> {
        match self.end.map(|end| end.answer) {
            None => Some(Cow::Borrowed(UNFINISHED)),
            Some(Err(kind)) => Some(Cow::Borrowed(kind)),
            Some(Ok(status)) => (status >= 500).then(|| Cow::Owned(status.to_string())),
        }
    }
}

/// The type of a request without an end: its client was stopped before it had one.
pub const UNFINISHED: &str = "unfinished";

/// How a request has ended, as its client sees it: a load that has lost its patience has a
/// timeout, whatever the service answers later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestEnd {
    /// From the instant at which it was due: nanoseconds.
    pub took: Nanos,
    /// The status of the answer, or what kept the answer away.
    pub answer: Result<u16, &'static str>,
}

/// What one fault has touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultImpact {
    /// When it first struck, or kept what it has struck later: nanoseconds since the Unix epoch.
    pub first: Option<Nanos>,
    /// Where it struck.
    pub struck: BTreeSet<ServiceRoute>,
    /// Whose requests had the struck one below them.
    pub upstream: BTreeSet<ServiceRoute>,
    /// Requests from outside that it struck, or a request below; and those that failed.
    pub requests: u64,
    pub failed: u64,
    /// The first of them, and the first that failed.
    pub first_request: Option<OutsideRequest>,
    pub failure: Option<OutsideRequest>,
}

/// What the tracker has seen at the end.
#[derive(Clone, Debug, Default)]
pub struct ImpactSummary {
    /// By fault, in the order of the model.
    pub touched: Vec<FaultImpact>,
    /// All requests from outside, in the order in which they were due. Empty unless they
    /// were asked for.
    pub requests: Vec<OutsideRequest>,
    /// How many there were, and how many of them failed, by type.
    pub count: u64,
    pub errors: BTreeMap<Cow<'static, str>, u64>,
    /// Messages in groups and runs of jobs, in the order in which they were due. Empty unless requests were
    /// asked for.
    pub work: Vec<Work>,
    /// The services that have sent messages, by topic.
    pub senders: BTreeSet<(usize, ServiceId)>,
    /// Requests, messages and runs that were too many to be remembered.
    pub forgotten: u64,
    /// A fault was changed by hand.
    pub by_hand: bool,
}

/// Sees calls and requests begin and end.
#[derive(Debug)]
pub struct ImpactTracker {
    under_way: FxHashMap<SpanId, Rc<InFlight>>,
    tracked: IndexMap<SpanId, Tracked, FxBuildHasher>,
    impact: ImpactSummary,
    work: WorkTracker,
    /// Whether it remembers all requests from outside, and work.
    remembers: bool,
}

/// A call or a request. It outlives its end as long as anything below it goes on: who
/// has given up on a call still has what it does in its trace.
#[derive(Debug)]
struct InFlight {
    span: SpanId,
    /// The request that makes the call, or the call that brings the request.
    above: Option<Rc<InFlight>>,
    /// The service and the route that a request meets. None for a call, and before that is known.
    route: Cell<Option<ServiceRoute>>,
    has_ended: Cell<bool>,
}

#[derive(Debug)]
struct Tracked {
    request: OutsideRequest,
    /// Its load says how it ends, and not the service.
    has_client: bool,
    /// How many still have to do with it: the bus, and its load.
    parties: u32,
    /// The faults that have touched it.
    by: SmallVec<[u32; 2]>,
}

impl Tracked {
    /// A fault has struck it, or a request below.
    fn touch(&mut self, fault: usize, touched: &mut FaultImpact) {
        if !self.by.contains(&(fault as u32)) {
            self.by.push(fault as u32);
            touched.requests += 1;
            touched.first_request.get_or_insert(self.request);
        }
    }
}

impl ImpactTracker {
    /// `faults` is their number. `remembers` is whether all requests from outside are kept.
    pub fn new(faults: usize, remembers: bool) -> Self {
        let impact =
            ImpactSummary { touched: vec![FaultImpact::default(); faults], ..ImpactSummary::default() };
        let (under_way, tracked, work) = Default::default();
        Self { under_way, tracked, impact, work, remembers }
    }

    /// What it remembers of work, if it does.
    pub(super) fn work(&mut self) -> Option<&mut WorkTracker> {
        self.remembers.then_some(&mut self.work)
    }

    /// A request has come from outside.
    pub(super) fn enter(&mut self, request: OutsideRequest) {
        let tracked = Tracked { request, has_client: false, parties: 1, by: SmallVec::new() };
        self.tracked.insert(request.span, tracked);
    }

    /// A load waits for a request, which was due at this instant: the load says how it ends.
    pub(super) fn join(&mut self, span: SpanId, due: Nanos) {
        if let Some(tracked) = self.tracked.get_mut(&span) {
            (tracked.request.due, tracked.has_client) = (due, true);
            tracked.parties += 1;
        }
    }

    /// A request has an answer, or gets none, as its client or the service says.
    pub(super) fn answered(
        &mut self,
        span: SpanId,
        is_client: bool,
        now: Nanos,
        answer: Result<u16, &'static str>,
    ) {
        let Some(tracked) = self.tracked.get_mut(&span) else { return };
        if tracked.has_client == is_client && tracked.request.end.is_none() {
            let took = now.saturating_sub(tracked.request.due);
            tracked.request.end = Some(RequestEnd { took, answer });
        }
    }

    /// The client of a request could not send it.
    pub(super) fn unsent(&mut self, span: SpanId) {
        if let Some(tracked) = self.tracked.get_mut(&span) {
            tracked.request.is_sent = false;
        }
    }

    /// One of those who have to do with a request is done with it.
    pub(super) fn part(&mut self, span: SpanId) {
        let Some(tracked) = self.tracked.get_mut(&span) else { return };
        tracked.parties -= 1;
        if tracked.parties == 0 {
            self.leave(span);
        }
    }

    fn leave(&mut self, span: SpanId) {
        let Some(Tracked { request, by, .. }) = self.tracked.swap_remove(&span) else { return };
        let error = request.error();
        self.impact.count += 1;
        for fault in by {
            let touched = &mut self.impact.touched[fault as usize];
            touched.failed += u64::from(error.is_some());
            if let Some(first) = touched.first_request.as_mut().filter(|first| first.span == span) {
                *first = request;
            }
            let is_earlier = touched.failure.is_none_or(|first| request.due < first.due);
            if error.is_some() && is_earlier {
                touched.failure = Some(request);
            }
        }
        if let Some(kind) = error {
            *self.impact.errors.entry(kind).or_default() += 1;
        }
        if self.remembers && self.impact.requests.len() < MAX_REQUESTS {
            self.impact.requests.push(request);
        } else if self.remembers {
            self.impact.forgotten += 1;
        }
    }

    /// A span was recorded.
    pub(super) fn recorded(&mut self, span: SpanRef) {
        if let Some(tracked) = self.tracked.get_mut(&span.span_id) {
            (tracked.request.trace, tracked.request.is_recorded) = (span.trace_id, true);
        }
    }

    /// Whether a call is under way, or a request.
    pub(super) fn is_under_way(&self, span: SpanId) -> bool {
        self.under_way.contains_key(&span)
    }

    /// A call or a request begins, below the one `above`.
    pub(super) fn begin(&mut self, span: SpanId, above: Option<SpanId>) {
        let above = above.and_then(|above| self.under_way.get(&above)).map(Rc::clone);
        let begin = InFlight { span, above, route: Cell::new(None), has_ended: Cell::new(false) };
        self.under_way.insert(span, Rc::new(begin));
    }

    /// It has ended.
    pub(super) fn end(&mut self, span: SpanId) {
        if let Some(begin) = self.under_way.remove(&span) {
            begin.has_ended.set(true);
        }
    }

    /// It is known which route a request meets.
    pub(super) fn meet(&mut self, span: SpanId, route: ServiceRoute) {
        if let Some(begin) = self.under_way.get(&span) {
            begin.route.set(Some(route));
        }
    }

    /// A fault has struck: what is above the struck request or call is touched, if it
    /// has not ended.
    pub(super) fn struck(&mut self, firing: &Firing) {
        let touched = &mut self.impact.touched[firing.index];
        let began = firing.began();
        touched.first = Some(touched.first.map_or(began, |first| first.min(began)));
        touched.struck.insert((firing.service, firing.route));
        // One that no service has got yet is a root, and no begin.
        let mut root = firing.within;
        let struck = firing.within.and_then(|span| self.under_way.get(&span));
        for begin in std::iter::successors(struck, |begin| begin.above.as_ref()) {
            // The struck request itself is none of those above it.
            let is_above = firing.within != Some(begin.span) && !begin.has_ended.get();
            touched.upstream.extend(begin.route.get().filter(|_| is_above));
            root = Some(begin.span);
        }
        // One that has been answered, or given up by its client, is not touched by what comes later.
        let tracked = root.and_then(|root| self.tracked.get_mut(&root));
        if let Some(tracked) = tracked.filter(|tracked| tracked.request.end.is_none()) {
            tracked.touch(firing.index, touched);
        }
    }

    /// Something has happened to a fault, or by it.
    pub(super) fn saw(&mut self, event: &Event<'_>) {
        match event {
            Event::Changed(_) => self.impact.by_hand = true,
            Event::Fired(_) | Event::Opened(_) | Event::Closed(_) => {}
        }
    }

    /// All that it has seen; what is still under way has not ended.
    pub(super) fn finish(&mut self) -> ImpactSummary {
        let mut open: Vec<_> =
            self.tracked.values().map(|tracked| (tracked.request.due, tracked.request.span)).collect();
        open.sort_unstable();
        for (_, span) in open {
            self.leave(span);
        }
        self.impact.requests.sort_unstable_by_key(|request| (request.due, request.span));
        self.impact.work = self.work.finish();
        self.impact.senders = std::mem::take(&mut self.work.senders);
        self.impact.forgotten += self.work.forgotten;
        std::mem::take(&mut self.impact)
    }
}
