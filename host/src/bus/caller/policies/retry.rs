//! `retry`: attempts one after the other, and what is between them.

use std::time::{Duration, UNIX_EPOCH};

use crate::bus::caller::attempt::ClientSpan;
use crate::bus::visit::Outcome;
use crate::clock;
use crate::model::{Nanos, Retry};
use crate::rng::Purpose;
use crate::telemetry::otlp::retry;
use crate::telemetry::record::KeyValue;

use super::backoff::backoff;
use super::{Cause, GuardedCall, Landed, is_among, seconds};

/// How long the caller has waited since the attempt before: seconds.
const BACKOFF: &str = "simhost.link.retry.backoff";

/// Event: a failure that retries are for was not tried again, although there were
/// attempts left; [`REASON`] says why.
const GIVEN_UP: &str = "simhost.link.retry.given_up";

const REASON: &str = "simhost.link.retry.reason";

/// What follows an attempt.
enum Next {
    /// Another one, after this wait: nanoseconds.
    After(Nanos),
    /// None: it was good enough, no retry is for its failure, or it was the last.
    Done,
    /// None, although one was due and attempts were left.
    GivenUp(GivenUp),
}

/// Why a failure is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GivenUp {
    /// The retry budget is spent.
    Budget,
    /// The callee asks to be left alone for longer than any wait may be.
    RetryAfter,
    /// The next attempt would come too late for who waits.
    Deadline,
}

impl GivenUp {
    const fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::RetryAfter => "retry_after",
            Self::Deadline => "deadline",
        }
    }
}

impl GuardedCall {
    /// Attempts one after the other, until one is good enough or none may follow.
    pub(super) async fn retried(&self, retry: &Retry) -> Landed {
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
}

impl ClientSpan {
    pub(super) fn came_after(&mut self, backoff: Nanos) {
        self.say(|span, _| span.set(BACKOFF, seconds(backoff)));
    }

    fn gives_up(&mut self, why: GivenUp) {
        let reason = vec![KeyValue::new(REASON, why.name())];
        self.say(|span, now| span.happened(GIVEN_UP, reason, now));
        self.count(|account| account.withheld += u64::from(why == GivenUp::Budget));
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
