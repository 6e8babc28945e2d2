//! What the policies of a link say on CLIENT spans.
//!
//! The semantic conventions have `http.request.resend_count` and no word for the
//! rest (open-telemetry/semantic-conventions#2355 asks for some), so the rest is
//! below `simhost.link`. It is what a client library would say of itself: none of
//! it tells what was injected. Times are seconds, as in the conventions' metrics.

use opentelemetry_semantic_conventions::attribute;

use crate::bus::stats::PolicyAccount;
use crate::link::BreakerState;
use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::attempt::ClientSpan;
use super::measured::BREAKER_STATE;

/// How long the caller waits for this attempt: seconds.
const TIMEOUT: &str = "simhost.link.timeout";

/// How long the caller has waited since the attempt before: seconds.
const BACKOFF: &str = "simhost.link.retry.backoff";

/// The attempt was sent beside another that had no answer yet.
const HEDGE: &str = "simhost.link.hedge";

/// How long the attempt has waited for its place before it began: seconds.
const BULKHEAD_WAIT: &str = "simhost.link.bulkhead.wait";

/// Event: a failure that retries are for was not tried again, although there were
/// attempts left; [`REASON`] says why.
const GIVEN_UP: &str = "simhost.link.retry.given_up";

const REASON: &str = "simhost.link.retry.reason";

/// Event: the caller gets the fallback, with its `http.response.status_code`.
const FALLBACK: &str = "simhost.link.fallback";

/// Why a failure is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
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

impl ClientSpan {
    /// It is number `number` of its call's attempts, the first being 0.
    pub fn is_attempt(&mut self, number: u32) {
        if number > 0 {
            self.say(|span, _| span.set(attribute::HTTP_REQUEST_RESEND_COUNT, i64::from(number)));
        }
        self.count(PolicyAccount { resends: u64::from(number > 0), ..PolicyAccount::default() });
    }

    pub fn waits_at_most(&mut self, patience: Nanos) {
        self.say(|span, _| span.set(TIMEOUT, seconds(patience)));
    }

    pub fn came_after(&mut self, backoff: Nanos) {
        self.say(|span, _| span.set(BACKOFF, seconds(backoff)));
    }

    pub fn is_hedge(&mut self) {
        self.say(|span, _| span.set(HEDGE, true));
    }

    pub fn waited_for_place(&mut self, wait: Nanos) {
        self.say(|span, _| span.set(BULKHEAD_WAIT, seconds(wait)));
    }

    /// What the breaker was when it was asked.
    pub fn breaker_is(&mut self, state: BreakerState) {
        if state != BreakerState::Closed {
            self.say(|span, _| span.set(BREAKER_STATE, state.name()));
        }
        self.measure_breaker(state);
    }

    /// The breaker has changed by this attempt.
    pub fn breaker_became(&mut self, state: BreakerState) {
        let event = match state {
            BreakerState::Open => "simhost.link.breaker.opened",
            BreakerState::HalfOpen => "simhost.link.breaker.half_opened",
            BreakerState::Closed => "simhost.link.breaker.closed",
        };
        self.say(|span, now| span.happened(event, Vec::new(), now));
        self.measure_breaker(state);
        let opened = u64::from(state == BreakerState::Open);
        self.count(PolicyAccount { opened, ..PolicyAccount::default() });
    }

    pub fn gives_up(&mut self, why: GivenUp) {
        let reason = vec![KeyValue::new(REASON, why.name())];
        self.say(|span, now| span.happened(GIVEN_UP, reason, now));
        let withheld = u64::from(why == GivenUp::Budget);
        self.count(PolicyAccount { withheld, ..PolicyAccount::default() });
    }

    pub fn falls_back(&mut self, status: u16) {
        let status = vec![KeyValue::new(attribute::HTTP_RESPONSE_STATUS_CODE, i64::from(status))];
        self.say(|span, now| span.happened(FALLBACK, status, now));
        self.count(PolicyAccount { fallbacks: 1, ..PolicyAccount::default() });
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
