//! Calls and requests tell the impact when they begin and end, and what is done that no client waits for.

use std::rc::Rc;

use crate::context::{SpanId, TraceId};
use crate::model::{Nanos, ServiceId};

use super::Ledger;
use super::impact::{ImpactSummary, ImpactTracker, OutsideRequest, ServiceRoute};
use super::work::{Progress, Work, WorkId, WorkTracker};

/// A call or a request that is under way as long as this is there.
#[derive(Debug)]
pub struct UnderWay {
    ledger: Rc<Ledger>,
    span: SpanId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.ledger.track(|impact| impact.end(self.span));
        self.ledger.settle(self.span, None);
    }
}

/// Somebody who has to do with a request from outside, as long as this is there: the bus
/// that serves it, or the load that waits for it.
#[derive(Debug)]
pub struct Entered {
    ledger: Rc<Ledger>,
    span: SpanId,
    is_client: bool,
}

impl Entered {
    /// The load that made the request, which was due at this instant: it says how it ends.
    pub fn client(&self, due: Nanos) -> Self {
        self.ledger.track(|impact| impact.join(self.span, due));
        Self { ledger: Rc::clone(&self.ledger), span: self.span, is_client: true }
    }

    /// It has an answer, or gets none.
    pub fn answered(&self, now: Nanos, answer: Result<u16, &'static str>) {
        self.ledger.track(|impact| impact.answered(self.span, self.is_client, now, answer));
    }

    /// Its client could not send it.
    pub fn unsent(&self, now: Nanos, why: &'static str) {
        self.answered(now, Err(why));
        self.ledger.track(|impact| impact.unsent(self.span));
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.ledger.track(|impact| impact.part(self.span));
    }
}

impl Ledger {
    /// A request has come from outside. `to` is the service and the route that it asks for.
    pub fn enters(
        self: &Rc<Self>,
        trace: TraceId,
        span: SpanId,
        now: Nanos,
        to: impl FnOnce() -> ServiceRoute,
    ) -> Option<Entered> {
        self.track(|impact| {
            impact.enter(OutsideRequest {
                trace,
                span,
                to: to(),
                due: now,
                is_recorded: false,
                is_sent: true,
                end: None,
            });
            Entered { ledger: Rc::clone(self), span, is_client: false }
        })
    }

    /// A request comes to a service; `above` is the call that has brought it.
    pub fn visits(self: &Rc<Self>, span: SpanId, above: Option<SpanId>) -> Option<UnderWay> {
        self.calls(span, above)
    }

    /// It is known which route a visiting request meets.
    pub fn meets(&self, span: SpanId, route: ServiceRoute) {
        self.track(|impact| impact.meet(span, route));
    }

    /// A request makes a call: `above` is its SERVER span.
    pub fn calls(self: &Rc<Self>, span: SpanId, above: Option<SpanId>) -> Option<UnderWay> {
        self.track(|impact| {
            impact.begin(span, above);
            UnderWay { ledger: Rc::clone(self), span }
        })
    }

    /// What was seen, if anybody looked: once.
    pub fn impact(&self) -> Option<ImpactSummary> {
        self.track(ImpactTracker::finish)
    }

    /// A message that a group is to get has come, or a run of a job is due.
    pub fn work_due(&self, work: Work) {
        self.track_work(|all| all.due(work));
    }

    /// Something has become of it.
    pub fn work_goes_on(&self, id: WorkId, progress: Progress, now: Nanos) {
        self.track_work(|work| work.goes_on(id, progress, now));
    }

    /// A service sends a message to a topic.
    pub fn sends(&self, service: ServiceId, topic: usize) {
        self.track_work(|work| _ = work.senders.insert((topic, service)));
    }

    /// Whether anybody compares what becomes of work.
    pub fn tracks_work(&self) -> bool {
        self.track(|impact| impact.work().is_some()).unwrap_or_default()
    }

    fn track_work(&self, tell: impl FnOnce(&mut WorkTracker)) {
        self.track(|impact| impact.work().map(tell));
    }
}

#[cfg(test)]
mod tests;
