//! When to try again.
//!
//! The OTLP specification asks for exponential backoff with jitter, and for
//! respect where the receiver says how long to wait (`RetryInfo`, `Retry-After`).

use std::time::{Duration, SystemTime};

use crate::rng::Key;

/// How long to wait between attempts, and for how long to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Before the second attempt.
    pub initial: Duration,
    /// Never longer than this, unless the receiver asks for it.
    pub max: Duration,
    /// Each wait is this many times the one before.
    pub multiplier: f64,
    /// A wait is drawn from this share below to this share above its length.
    pub jitter: f64,
    /// No attempt starts later than this after the first one.
    pub max_elapsed: Duration,
}

impl Default for RetryPolicy {
    /// Between the collector's (5 s, 30 s, 5 min) and the SDKs' (1 s, 5 s,
    /// 5 attempts): a person waits for the end of this run.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(10),
            multiplier: 1.5,
            jitter: 0.2,
            max_elapsed: Duration::from_secs(60),
        }
    }
}

/// The retries of one request.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: RetryPolicy,
    key: Key,
    attempts: u64,
    next: Duration,
}

impl Backoff {
    /// `key` names this request.
    pub fn new(policy: RetryPolicy, key: Key) -> Self {
        Self { policy, key, attempts: 1, next: policy.initial }
    }

    /// Attempts so far, with the one that has just failed.
    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// How long to wait before the next attempt, `elapsed` after the first one
    /// began; none when it is time to give up. Where the receiver has `asked`
    /// for a delay, it is no less than that.
    pub fn next(&mut self, elapsed: Duration, asked: Option<Duration>) -> Option<Duration> {
        let spread = self.policy.jitter * 2.0f64.mul_add(self.key.with(self.attempts).unit(), -1.0);
        let wait = self.next.mul_f64(1.0 + spread).max(asked.unwrap_or_default());
        if elapsed.checked_add(wait).is_none_or(|at| at > self.policy.max_elapsed) {
            return None;
        }
        self.attempts += 1;
        self.next = self.next.mul_f64(self.policy.multiplier).min(self.policy.max);
        Some(wait)
    }
}

/// Reads `Retry-After` (RFC 9110, 10.2.3): seconds, or a date. A date is taken
/// relative to `now`, and says nothing where that is not known: take the answer's
/// own [`date`], so that the clocks need not agree. A date that has passed is a
/// delay of zero.
pub fn retry_after(value: &str, now: Option<SystemTime>) -> Option<Duration> {
    let value = value.trim();
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        return value.parse().ok().map(Duration::from_secs);
    }
    Some(date(value)?.duration_since(now?).unwrap_or_default())
}

/// Reads a date as HTTP writes it (RFC 9110, 5.6.7).
pub fn date(value: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(value.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Purpose;

    const POLICY: RetryPolicy = RetryPolicy {
        initial: Duration::from_millis(100),
        max: Duration::from_millis(350),
        multiplier: 2.0,
        jitter: 0.0,
        max_elapsed: Duration::from_secs(1),
    };

    fn backoff(policy: RetryPolicy) -> Backoff {
        Backoff::new(policy, Key::new(1, Purpose::Retry))
    }

    fn millis(wait: Option<Duration>) -> Option<u128> {
        wait.map(|wait| wait.as_millis())
    }

    #[test]
    fn waits_grow_up_to_the_longest() {
        let mut backoff = backoff(POLICY);
        let waits = [(); 4].map(|()| millis(backoff.next(Duration::ZERO, None)));
        assert_eq!(waits, [Some(100), Some(200), Some(350), Some(350)]);
        assert_eq!(backoff.attempts(), 5);
    }

    #[test]
    fn no_attempt_starts_after_the_end() {
        let mut backoff = backoff(POLICY);
        assert_eq!(millis(backoff.next(Duration::from_millis(900), None)), Some(100));
        assert_eq!(backoff.next(Duration::from_millis(801), None), None);
        assert_eq!(backoff.next(Duration::MAX, None), None);
    }

    #[test]
    fn what_the_receiver_asks_for_is_the_least() {
        let mut backoff = backoff(POLICY);
        assert_eq!(millis(backoff.next(Duration::ZERO, Some(Duration::from_millis(700)))), Some(700));
        assert_eq!(millis(backoff.next(Duration::ZERO, Some(Duration::from_millis(1)))), Some(200));
        assert_eq!(
            backoff.next(Duration::ZERO, Some(Duration::from_secs(2))),
            None,
            "longer than it makes sense"
        );
    }

    #[test]
    fn jitter_spreads_the_waits_and_repeats_with_the_seed() {
        let policy = RetryPolicy { jitter: 0.5, max_elapsed: Duration::from_secs(100), ..POLICY };
        let mut first = backoff(policy);
        let mut again = backoff(policy);
        let waits = [(); 20].map(|()| first.next(Duration::ZERO, None).unwrap());
        assert_eq!(waits, [(); 20].map(|()| again.next(Duration::ZERO, None).unwrap()));
        let tail = &waits[2..];
        assert!(tail.iter().all(|wait| (175..=525).contains(&wait.as_millis())), "{tail:?}");
        assert!(tail.iter().any(|wait| *wait != tail[0]), "{tail:?}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let date = date("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(retry_after("7", None), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:40 GMT", date), Some(Duration::from_secs(3)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:30 GMT", date), Some(Duration::ZERO));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:40 GMT", None), None);
        assert_eq!(retry_after("soon", date), None);
        assert_eq!(retry_after("-1", date), None);
    }
}
