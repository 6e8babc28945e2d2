//! Who is under way, so that a strike can be laid at the door of the requests that
//! it befalls: those of its callers, up to the one that came from outside.
//!
//! The bus tells of every call and every request while somebody wants the truth;
//! otherwise nobody listens, and nothing is kept. Spans are no source for it: they
//! may be sampled away, and faults lose them.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use indexmap::IndexMap;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::SmallVec;

use crate::context::{SpanId, TraceId};
use crate::model::{Nanos, ServiceId};

use super::Ledger;
use super::ledger::{Event, Firing};

/// Requests from outside that are remembered when they have ended: some 150 MB.
pub const MAX_REQUESTS: usize = 2_000_000;

/// A service, and the index of one of its routes: none for what meets no route.
pub type Spot = (ServiceId, Option<u32>);

/// A request from outside of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caused {
    pub trace: TraceId,
    /// Its SERVER span.
    pub span: SpanId,
    pub spot: Spot,
    /// Nanoseconds since the Unix epoch.
    pub arrived: Nanos,
    /// None while it is under way, and for ever if nobody waited for the end.
    pub end: Option<Ended>,
}

/// How a request has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    pub took: Nanos,
    /// The status of the answer, or what kept the answer away.
    pub answer: Result<u16, &'static str>,
}

impl Ended {
    /// By the rule of the report: answered 5xx, or not at all.
    pub const fn is_failure(&self) -> bool {
        !matches!(self.answer, Ok(..500))
    }
}

/// What one fault has touched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    /// When it first struck: nanoseconds since the Unix epoch.
    pub first: Option<Nanos>,
    /// Where it struck.
    pub struck: BTreeSet<Spot>,
    /// Whose requests had the struck one below them.
    pub upstream: BTreeSet<Spot>,
    /// Requests from outside that it struck, or a request below; and those that failed.
    pub requests: u64,
    pub failed: u64,
    /// The first of them.
    pub symptom: Option<Caused>,
}

/// What a witness knows at the end.
#[derive(Clone, Debug, Default)]
pub struct Testimony {
    /// By fault, in the order of the model.
    pub touched: Vec<Touched>,
    /// All requests from outside, in the order of their ends; those that did not end
    /// come last. Empty unless they were asked for.
    pub requests: Vec<Caused>,
    /// Requests that were too many to be remembered.
    pub forgotten: u64,
    /// A hand has changed a fault.
    pub by_hand: bool,
}

/// Sees calls and requests begin and end.
#[derive(Debug)]
pub struct Witness {
    under_way: FxHashMap<SpanId, Rc<Step>>,
    entries: IndexMap<SpanId, Entry, FxBuildHasher>,
    testimony: Testimony,
    /// Whether it remembers all requests from outside.
    remembers: bool,
}

/// A call or a request. It outlives its end as long as anything below it goes on: who
/// has given up on a call still has what it does in its trace.
#[derive(Debug)]
struct Step {
    span: SpanId,
    /// The request that makes the call, or the call that brings the request.
    above: Option<Rc<Step>>,
    /// None for a call.
    spot: Option<Spot>,
    has_ended: Cell<bool>,
}

#[derive(Debug)]
struct Entry {
    caused: Caused,
    /// The faults that have touched it.
    by: SmallVec<[u32; 2]>,
}

impl Entry {
    /// A fault has struck it, or a request below.
    fn touch(&mut self, fault: usize, touched: &mut Touched) {
        if !self.by.contains(&(fault as u32)) {
            self.by.push(fault as u32);
            touched.requests += 1;
            touched.symptom.get_or_insert(self.caused);
        }
    }
}

impl Witness {
    /// For so many faults. `remembers` is whether all requests from outside are kept.
    pub fn new(faults: usize, remembers: bool) -> Self {
        let testimony = Testimony { touched: vec![Touched::default(); faults], ..Testimony::default() };
        Self { under_way: FxHashMap::default(), entries: IndexMap::default(), testimony, remembers }
    }

    fn enter(&mut self, caused: Caused) {
        self.entries.insert(caused.span, Entry { caused, by: SmallVec::new() });
    }

    fn leave(&mut self, span: SpanId, end: Option<Ended>) {
        let Some(Entry { mut caused, by }) = self.entries.swap_remove(&span) else { return };
        caused.end = end;
        for fault in by {
            let touched = &mut self.testimony.touched[fault as usize];
            touched.failed += u64::from(end.is_none_or(|end| end.is_failure()));
            if let Some(symptom) = touched.symptom.as_mut().filter(|symptom| symptom.span == span) {
                *symptom = caused;
            }
        }
        if self.remembers && self.testimony.requests.len() < MAX_REQUESTS {
            self.testimony.requests.push(caused);
        } else if self.remembers {
            self.testimony.forgotten += 1;
        }
    }

    fn step(&mut self, span: SpanId, above: Option<SpanId>, spot: Option<Spot>) {
        let above = above.and_then(|above| self.under_way.get(&above)).map(Rc::clone);
        let step = Step { span, above, spot, has_ended: Cell::new(false) };
        self.under_way.insert(span, Rc::new(step));
    }

    fn end(&mut self, span: SpanId) {
        if let Some(step) = self.under_way.remove(&span) {
            step.has_ended.set(true);
        }
    }

    /// A fault has struck: what is above the struck request or call is touched, if it
    /// has not ended.
    fn struck(&mut self, firing: &Firing<'_>) {
        let touched = &mut self.testimony.touched[firing.index];
        touched.first.get_or_insert(firing.time);
        touched.struck.insert((firing.service, firing.route));
        // One that no service has got yet is a root, and no step.
        let mut root = firing.within;
        let struck = firing.within.and_then(|span| self.under_way.get(&span));
        for step in std::iter::successors(struck, |step| step.above.as_ref()) {
            // The struck request itself is none of those above it.
            let is_above = firing.within != Some(step.span) && !step.has_ended.get();
            touched.upstream.extend(step.spot.filter(|_| is_above));
            root = Some(step.span);
        }
        if let Some(entry) = root.and_then(|root| self.entries.get_mut(&root)) {
            entry.touch(firing.index, touched);
        }
    }

    /// All that it has seen; what is still under way has not ended.
    fn testify(&mut self) -> Testimony {
        let mut open: Vec<_> =
            self.entries.values().map(|entry| (entry.caused.arrived, entry.caused.span)).collect();
        open.sort_unstable();
        for (_, span) in open {
            self.leave(span, None);
        }
        std::mem::take(&mut self.testimony)
    }
}

/// A call or a request that is under way as long as this is there.
#[derive(Debug)]
pub struct UnderWay {
    ledger: Rc<Ledger>,
    span: SpanId,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.ledger.witness(|witness| witness.end(self.span));
    }
}

/// A request from outside that is under way as long as this is there.
#[derive(Debug)]
pub struct Entered(UnderWay);

impl Entered {
    /// It has an answer.
    pub fn answered(&self, now: Nanos, answer: Result<u16, &'static str>) {
        let span = self.0.span;
        self.0.ledger.witness(|witness| {
            let arrived = witness.entries.get(&span).map_or(now, |entry| entry.caused.arrived);
            witness.leave(span, Some(Ended { took: now - arrived, answer }));
        });
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.ledger.witness(|witness| witness.leave(self.0.span, None));
    }
}

impl Ledger {
    /// A request has come from outside. `spot` is where it goes.
    pub fn enters(
        self: &Rc<Self>,
        trace: TraceId,
        span: SpanId,
        now: Nanos,
        spot: impl FnOnce() -> Spot,
    ) -> Option<Entered> {
        self.witness(|witness| {
            witness.enter(Caused { trace, span, spot: spot(), arrived: now, end: None });
            Entered(UnderWay { ledger: Rc::clone(self), span })
        })
    }

    /// A request is at a service; `above` is the call that has brought it.
    pub fn visits(self: &Rc<Self>, span: SpanId, above: Option<SpanId>, spot: Spot) -> Option<UnderWay> {
        self.passes(span, above, Some(spot))
    }

    /// A request makes a call: `above` is its SERVER span.
    pub fn calls(self: &Rc<Self>, span: SpanId, above: Option<SpanId>) -> Option<UnderWay> {
        self.passes(span, above, None)
    }

    fn passes(self: &Rc<Self>, span: SpanId, above: Option<SpanId>, spot: Option<Spot>) -> Option<UnderWay> {
        self.witness(|witness| {
            witness.step(span, above, spot);
            UnderWay { ledger: Rc::clone(self), span }
        })
    }

    /// What was seen, if anybody looked: once.
    pub fn testify(&self) -> Option<Testimony> {
        self.witness(Witness::testify)
    }

    pub(super) fn saw(&self, event: &Event<'_>) {
        self.witness(|witness| match event {
            Event::Fired(firing) => witness.struck(firing),
            Event::Changed(_) => witness.testimony.by_hand = true,
            Event::Opened(_) | Event::Closed(_) => {}
        });
    }
}

#[cfg(test)]
mod tests;
