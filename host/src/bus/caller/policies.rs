//! What the policies of a link make of a call: attempts, waits, refusals, and
//! what the caller gets at the end.
//!
//! They nest as they do in client libraries: a fallback stands for what is left
//! of retries or hedges; each attempt of these takes a place in the bulkhead, is
//! admitted by the breaker and has the link's timeout. The time for which the
//! guest asked, and the deadline of whoever waits for it, bound all of it.

use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select, select_all};

use crate::bus::visit::Outcome;
use crate::clock;
use crate::guest::CallError;
use crate::guest::scope::Caller;
use crate::link::{
    BreakerPermit, BreakerState, BulkheadEntry, BulkheadPermit, ClientState, Refusal, backoff, shorter,
};
use crate::message::{Headers, Request, Response};
use crate::model::{Failures, Fallback, Hedge, Nanos, Retry};
use crate::rng::Purpose;
use crate::telemetry::otlp::retry;

use super::CallerSide;
use super::attempt::{Attempt, ClientSpan};
use super::policy_spans::GivenUp;
use super::resolve::Callee;

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
    /// The one before has failed, so long ago.
    Retry(Nanos),
    /// The one before is under way.
    Hedge,
}

/// What follows an attempt.
enum Next {
    /// Another one, after so long: nanoseconds.
    After(Nanos),
    /// None: it was good enough, no retry is for its failure, or it was the last.
    Done,
    /// None, although one was due and attempts were left.
    GivenUp(GivenUp),
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
    const fn never_left(&self) -> bool {
        matches!(
            self.outcome,
            Err(CallError::CircuitOpen(_) | CallError::BulkheadFull(_) | CallError::DeadlineExceeded)
        )
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

    /// Attempts one after the other, until one is good enough or none may follow.
    async fn retried(&self, retry: &Retry) -> Landed {
        let (mut number, mut cause) = (0, Cause::First);
        loop {
            let mut landed = self.attempt(number, cause).await;
            match self.next(retry, number, &landed.outcome) {
                Next::After(wait) => {
                    landed.end().ok();
                    self.side.sched().sleep(wait).await;
                    cause = Cause::Retry(wait);
                    number += 1;
                }
                Next::Done => return landed,
                Next::GivenUp(why) => {
                    landed.span.gives_up(why);
                    return landed;
                }
            }
        }
    }

    /// What follows attempt `number`, which had this outcome.
    fn next(&self, retry: &Retry, number: u32, outcome: &Outcome) -> Next {
        if number + 1 >= retry.attempts || !is_among(&retry.on, outcome) {
            return Next::Done;
        }
        let chance = self.caller.trace.chance(Purpose::Retry, self.caller.span);
        let mut wait = backoff(retry, number + 1, chance);
        if retry.retry_after
            && let Some(asked) = retry_after(outcome, self.now())
        {
            // To come earlier would be rude, and to wait longer is not what the topology allows.
            if asked > retry.max_backoff {
                return Next::GivenUp(GivenUp::RetryAfter);
            }
            wait = wait.max(asked);
        }
        if self.until.is_some_and(|until| self.now().saturating_add(wait) >= until) {
            return Next::GivenUp(GivenUp::Deadline);
        }
        let budget = self.state.budget.as_ref();
        if budget.is_some_and(|budget| !budget.borrow_mut().spend(self.now())) {
            return Next::GivenUp(GivenUp::Budget);
        }
        Next::After(wait)
    }

    /// Attempts beside one another: the next begins when those before have had no
    /// answer for a while, and the first answer counts (gRPC proposal A6). Who has
    /// lost is dropped: its span ends as cancelled, and its callee works on.
    async fn hedged(&self, hedge: &Hedge) -> Landed {
        let mut flying: Vec<LocalBoxFuture<'_, Landed>> = vec![self.attempt(0, Cause::First).boxed_local()];
        let mut number = 1;
        loop {
            let next = (number < hedge.attempts).then(|| self.now().saturating_add(hedge.after));
            let landed = match self.wait(select_all(flying), next).await {
                Either::Left((landed, _, others)) => {
                    flying = others;
                    landed
                }
                Either::Right(landing) => {
                    flying = landing.into_inner();
                    flying.push(self.attempt(number, Cause::Hedge).boxed_local());
                    number += 1;
                    continue;
                }
            };
            let is_answer = !landed.never_left() && !is_among(&hedge.on, &landed.outcome);
            // Nothing comes of a hedge that its own side refuses.
            let may_follow = number < hedge.attempts && !landed.never_left();
            if is_answer || flying.is_empty() && !may_follow {
                return landed;
            }
            landed.end().ok();
            if may_follow {
                flying.push(self.attempt(number, Cause::Hedge).boxed_local());
                number += 1;
            }
        }
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

    /// A place in the bulkhead, if the link has one: at once, or after a wait.
    async fn place(&self) -> Result<Option<BulkheadPermit>, CallError> {
        let Some(bulkhead) = &self.state.bulkhead else { return Ok(None) };
        let line = match bulkhead.enter() {
            BulkheadEntry::Free(place) => return Ok(Some(place)),
            BulkheadEntry::Full => return Err(CallError::BulkheadFull(bulkhead.to_string())),
            BulkheadEntry::Line(line) => line,
        };
        if let Some(breaker) = &self.state.breaker
            && let Some(refusal) = breaker.borrow().refusal(self.now())
        {
            // It would wait for nothing.
            return Err(circuit_open(refusal));
        }
        match self.wait(line, self.until).await {
            Either::Left(place) => {
                place.map(Some).map_err(|_| CallError::Reset("the run is over".to_owned()))
            }
            Either::Right(_) => Err(CallError::DeadlineExceeded),
        }
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

    /// The breaker's leave, if the link has one.
    fn permit(&self) -> Result<Option<HeldPermit>, CallError> {
        let Some(breaker) = &self.state.breaker else { return Ok(None) };
        let admitted = breaker.borrow_mut().admit(self.now()).map_err(circuit_open)?;
        Ok(Some(HeldPermit { state: Rc::clone(&self.state), admitted: Some(admitted) }))
    }

    /// Ends the last span, with what the caller gets.
    fn conclude(&self, mut landed: Landed) -> Outcome {
        let fallback = self.state.policies.fallback.as_ref();
        let fallback =
            fallback.filter(|fallback| landed.never_left() || is_among(&fallback.on, &landed.outcome));
        let Some(fallback) = fallback else { return landed.end() };
        landed.span.falls_back(fallback.status);
        landed.end().ok();
        let Fallback { status, headers, body, .. } = fallback.clone();
        Ok(Response { status, headers: Headers(headers), body: body.into_bytes() })
    }
}

/// A breaker's leave for one attempt. An attempt that is given up gives it back.
struct HeldPermit {
    state: Rc<ClientState>,
    /// None once it is used up.
    admitted: Option<BreakerPermit>,
}

impl HeldPermit {
    /// Says on the attempt's span what the breaker is.
    fn tell(&self, span: &mut ClientSpan) {
        let Some(admitted) = self.admitted else { return };
        span.breaker_is(admitted.state);
        if admitted.is_first {
            span.breaker_became(BreakerState::HalfOpen);
        }
    }

    /// Tells the breaker what has come of the attempt.
    fn report(mut self, outcome: &Outcome, now: Nanos, span: &mut ClientSpan) {
        let (Some(admitted), Some(breaker)) = (self.admitted.take(), &self.state.breaker) else { return };
        let policy = self.state.policies.breaker.as_ref();
        let is_failure = policy.is_some_and(|policy| is_among(&policy.on, outcome));
        if let Some(state) = breaker.borrow_mut().report(admitted, is_failure, now) {
            span.breaker_became(state);
        }
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        if let (Some(admitted), Some(breaker)) = (self.admitted.take(), &self.state.breaker) {
            breaker.borrow_mut().withdraw(admitted);
        }
    }
}

fn circuit_open(refusal: Refusal) -> CallError {
    CallError::CircuitOpen(match refusal {
        Refusal::Open(left) => format!("no attempt for another {}", clock::show(left)),
        Refusal::HalfOpen => "it waits for what comes of the attempts that try it".to_owned(),
    })
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

/// How long an answer asks to be left alone: `Retry-After`, in seconds or as a date (RFC 9110,
/// section 10.2.3). A date is taken relative to the answer's own `Date`, as the clocks of real
/// servers are others; without one it is of simulated time.
fn retry_after(outcome: &Outcome, now: Nanos) -> Option<Nanos> {
    let headers = &outcome.as_ref().ok()?.headers;
    let now = match headers.get("date") {
        Some(date) => retry::date(date),
        None => Some(UNIX_EPOCH + Duration::from_nanos(now)),
    };
    retry::retry_after(headers.get("retry-after")?, now).map(clock::nanos)
}
