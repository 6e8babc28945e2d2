//! What the policies of a link make of a call: attempts, waits, refusals, and
//! what the caller gets at the end. Each is in a file of its name: how it decides,
//! what it remembers, its part in a call, and what it records.
//!
//! They nest as they do in client libraries: a fallback stands for what is left
//! of retries or hedges; each attempt of these takes a place in the bulkhead, is
//! admitted by the breaker and has the link's timeout. The time for which the
//! guest asked, and the deadline of whoever waits for it, bound all of it.
//!
//! Of what they record on CLIENT spans, the semantic conventions have
//! `http.request.resend_count` and no word for the rest
//! (open-telemetry/semantic-conventions#2355 asks for some), so the rest is
//! below `simhost.link`. It is what a client library would say of itself: none of
//! it tells what was injected. Times are seconds, as in the conventions' metrics.

mod backoff;
mod breaker;
mod budget;
mod bulkhead;
mod fallback;
mod hedge;
mod retry;
mod window;

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::future::{Either, select};
use opentelemetry_semantic_conventions::attribute;
use rustc_hash::FxHashMap;

use crate::bus::visit::Outcome;
use crate::guest::CallError;
use crate::guest::scope::Caller;
use crate::link::{Link, shorter};
use crate::message::Request;
use crate::model::{Failures, Nanos, Policies, ServiceId};

use super::CallerSide;
use super::attempt::{Attempt, ClientSpan};
use super::resolve::Callee;
use breaker::Breaker;
use budget::Budget;
use bulkhead::Bulkhead;

/// How long the caller waits for this attempt: seconds.
const TIMEOUT: &str = "simhost.link.timeout";

/// What the policies of each calling replica remember of each callee. A replica is a
/// process of its own: it knows nothing of what the others have seen.
#[derive(Debug, Default)]
pub(super) struct ClientStates(RefCell<FxHashMap<(u32, ServiceId), Rc<ClientState>>>);

/// What the policies of one replica remember of a callee.
#[derive(Debug)]
pub(super) struct ClientState {
    policies: Rc<Policies>,
    /// The link's own timeout, of one attempt.
    timeout: Option<Nanos>,
    breaker: Option<RefCell<Breaker>>,
    budget: Option<RefCell<Budget>>,
    bulkhead: Option<Rc<Bulkhead>>,
}

impl ClientStates {
    /// That of a replica about the callee of its link; none where the link has no policies. `replica`
    /// is its number among all replicas of the run.
    pub fn of(&self, replica: u32, to: ServiceId, link: &Link) -> Option<Rc<ClientState>> {
        let policies = link.policies.as_ref()?;
        let mut states = self.0.borrow_mut();
        let fresh = || Rc::new(ClientState::new(policies, link.timeout));
        Some(Rc::clone(states.entry((replica, to)).or_insert_with(fresh)))
    }
}

impl ClientState {
    /// Nothing has happened yet.
    fn new(policies: &Rc<Policies>, timeout: Option<Nanos>) -> Self {
        // A new policy is sorted here: whether it remembers anything.
        let Policies { retry, breaker, bulkhead, hedge: _, fallback: _, deadline: _ } = &**policies;
        let budget = retry.as_ref().and_then(|retry| retry.budget);
        Self {
            timeout,
            breaker: breaker.clone().map(|breaker| RefCell::new(Breaker::new(breaker))),
            budget: budget.map(|budget| RefCell::new(Budget::new(budget))),
            bulkhead: bulkhead.map(Bulkhead::new),
            policies: Rc::clone(policies),
        }
    }
}

/// A call over a link with policies.
pub(super) struct GuardedCall {
    side: Rc<CallerSide>,
    state: Rc<ClientState>,
    caller: Caller,
    callee: Callee,
    request: Request,
    /// From this instant on nobody waits for the response.
    until: Option<Nanos>,
}

/// Why an attempt is made.
#[derive(Clone, Copy, Debug)]
enum Cause {
    First,
    /// The one before failed this many nanoseconds ago.
    Retry(Nanos),
    /// The one before is under way.
    Hedge,
}

/// An attempt that has ended, and its span, which has not: there may be more to say.
struct Landed {
    outcome: Outcome,
    span: ClientSpan,
}

impl Landed {
    fn end(self) -> Outcome {
        self.span.finish(&self.outcome);
        self.outcome
    }

    /// Whether the attempt was refused before it left.
    fn never_left(&self) -> bool {
        self.outcome.as_ref().is_err_and(CallError::is_by_policy)
    }
}

impl GuardedCall {
    /// A call whose guest waits for `asked` at most.
    pub fn new(
        side: Rc<CallerSide>,
        state: Rc<ClientState>,
        caller: Caller,
        callee: Callee,
        request: Request,
        asked: Option<Nanos>,
    ) -> Self {
        let asked = asked.map(|asked| side.sched().now().saturating_add(asked));
        let until = shorter(asked, caller.deadline.filter(|_| state.policies.deadline));
        Self { side, state, caller, callee, request, until }
    }

    /// Makes it, and waits for what comes of it.
    pub async fn make(self) -> Outcome {
        if let Some(budget) = &self.state.budget {
            budget.borrow_mut().call(self.now());
        }
        let (policies, method) = (&self.state.policies, self.request.method.as_str());
        let landed = match (&policies.hedge, &policies.retry) {
            (Some(hedge), _) if hedge.methods.has(method) => self.hedged(hedge).await,
            (_, Some(retry)) if retry.methods.has(method) => self.retried(retry).await,
            _ => self.attempt(0, Cause::First).await,
        };
        self.conclude(landed)
    }

    fn now(&self) -> Nanos {
        self.side.sched().now()
    }

    /// One attempt, as the bulkhead and the breaker let it.
    async fn attempt(&self, number: u32, cause: Cause) -> Landed {
        self.side.callee.awaken(self.caller.home()).await;
        let asked = self.now();
        let place = match self.place().await {
            Ok(place) => place,
            Err(error) => return self.refused(number, cause, error),
        };
        let waited = self.now() - asked;
        let patience = match self.patience() {
            Ok(patience) => patience,
            Err(error) => return self.refused(number, cause, error),
        };
        let permit = match self.permit() {
            Ok(permit) => permit,
            Err(error) => return self.refused(number, cause, error),
        };
        let (attempt, mut span) = self.open(number, cause, patience);
        if waited > 0 {
            span.waited_for_place(waited);
        }
        if let Some(permit) = &permit {
            permit.tell(&mut span);
        }
        let link = self.caller.service.zip(self.callee.id());
        let link = link.and_then(|(from, to)| self.side.links.between(from, to));
        let mut flight = match attempt.leave(&self.side, link, &mut span) {
            Ok(flight) => flight,
            Err(error) => return Landed { outcome: Err(error), span },
        };
        let outcome = flight.outcome().await;
        if let Some(permit) = permit {
            permit.report(&outcome, self.now(), &mut span);
        }
        drop(place);
        Landed { outcome, span }
    }

    /// The attempt, and its CLIENT span.
    fn open(&self, number: u32, cause: Cause, patience: Option<Nanos>) -> (Attempt, ClientSpan) {
        let mut caller = self.caller.clone();
        if number > 0 {
            caller.span = caller.trace.child_id(Some(self.caller.span), number);
        }
        let (callee, request) = (self.callee.clone(), self.request.clone());
        let tells = self.state.policies.deadline;
        let attempt = Attempt { caller, callee, request, number, patience, tells, is_copy: true };
        let mut span = attempt.open(&self.side.callee);
        span.is_attempt(number);
        match cause {
            Cause::First => {}
            Cause::Retry(wait) => span.came_after(wait),
            Cause::Hedge => span.is_hedge(),
        }
        if let Some(patience) = patience {
            span.waits_at_most(patience);
        }
        (attempt, span)
    }

    /// An attempt that its own side refuses leaves a span of no length.
    fn refused(&self, number: u32, cause: Cause, error: CallError) -> Landed {
        let (_, mut span) = self.open(number, cause, None);
        if let Some(breaker) = &self.state.breaker {
            span.breaker_is(breaker.borrow().state());
        }
        Landed { outcome: Err(error), span }
    }

    /// How long the caller waits for an attempt that begins now.
    ///
    /// # Errors
    /// It is too late for any.
    fn patience(&self) -> Result<Option<Nanos>, CallError> {
        let left = self.until.map(|until| until.saturating_sub(self.now()));
        if left == Some(0) {
            return Err(CallError::DeadlineExceeded);
        }
        Ok(shorter(self.state.timeout, left))
    }

    /// Waits for something, no longer than until an instant, if there is one; then
    /// it gives back what it has waited for.
    async fn wait<F: Future + Unpin>(&self, what: F, until: Option<Nanos>) -> Either<F::Output, F> {
        let Some(until) = until else { return Either::Left(what.await) };
        match select(what, self.side.sched().sleep_until(until)).await {
            Either::Left((output, _)) => Either::Left(output),
            Either::Right(((), what)) => Either::Right(what),
        }
    }
}

/// Whether an outcome is one of these failures. What the caller's own side refused,
/// and what was wrong with the request itself, is none.
fn is_among(failures: &Failures, outcome: &Outcome) -> bool {
    match outcome {
        Ok(response) => failures.has_status(response.status),
        Err(CallError::Timeout) => failures.timeout,
        Err(CallError::Reset(_)) => failures.reset,
        Err(CallError::Refused(_)) => failures.refused,
        Err(_) => false,
    }
}

impl ClientSpan {
    /// It is number `number` of its call's attempts, the first being 0.
    fn is_attempt(&mut self, number: u32) {
        if number > 0 {
            self.say(|span, _| span.set(attribute::HTTP_REQUEST_RESEND_COUNT, i64::from(number)));
        }
        self.count(|account| account.resends += u64::from(number > 0));
    }

    fn waits_at_most(&mut self, patience: Nanos) {
        self.say(|span, _| span.set(TIMEOUT, seconds(patience)));
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
