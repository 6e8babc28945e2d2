//! Faults at the callee's door: before the queue, and without a worker.

use std::cell::RefCell;

use rustc_hash::FxHashMap;

use crate::message::Response;
use crate::model::{DoorFault, Nanos};

use super::account::Suppression;
use super::candidate::Candidate;
use super::event::{Drawn, Firing};
use super::signs::Side;
use super::{Action, Faults, Point};

/// The spans that show a fault at the door, the best first.
pub const DOOR_SIGNS: &[Side] = &[Side::Server, Side::Client];

/// Too many requests (RFC 6585, section 4).
const TOO_MANY: u16 = 429;

const SECOND: Nanos = 1_000_000_000;

/// What a rule does to requests that no worker has.
#[derive(Debug)]
pub enum DoorAction {
    RateLimit(Limit),
    /// Another release may serve the request: the bus has those of each service.
    Deploy,
}

impl DoorAction {
    pub fn of(fault: &DoorFault) -> Self {
        match fault {
            DoorFault::RateLimit { per_second, burst, retry_after } => Self::RateLimit(Limit {
                per_second: *per_second,
                burst: *burst,
                retry_after: *retry_after,
                buckets: RefCell::default(),
            }),
            DoorFault::BadDeploy { .. } => Self::Deploy,
        }
    }
}

/// A `rate-limit`, and what each replica still lets in.
#[derive(Debug)]
pub struct Limit {
    per_second: f64,
    burst: u32,
    retry_after: Option<Nanos>,
    /// By replica.
    buckets: RefCell<FxHashMap<u32, Bucket>>,
}

/// A token bucket: a request takes a token, time brings new ones.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    /// When it was last looked at.
    at: Nanos,
}

impl Limit {
    /// Takes a token of a replica, if one is there. A bucket is full at first.
    fn take(&self, replica: u32, now: Nanos) -> bool {
        let mut buckets = self.buckets.borrow_mut();
        let full = f64::from(self.burst);
        let bucket = buckets.entry(replica).or_insert(Bucket { tokens: full, at: now });
        let elapsed = now.saturating_sub(bucket.at) as f64 / SECOND as f64;
        bucket.tokens = (bucket.tokens + elapsed * self.per_second).min(full);
        bucket.at = now;
        let is_one = bucket.tokens >= 1.0;
        if is_one {
            bucket.tokens -= 1.0;
        }
        is_one
    }
}

impl Faults {
    /// The answer to a request that is turned away at the door, if it is.
    pub fn door(&self, candidate: &Candidate<'_>, now: Nanos) -> Option<Response> {
        let rules = self.at(Point::Door, candidate.service, candidate.route)?;
        let mut answer = None;
        for rule in rules.iter() {
            let Action::Door(DoorAction::RateLimit(limit)) = self.action(rule) else { continue };
            let Some(strike) = rule.strike(candidate, now) else { continue };
            if limit.take(candidate.replica.unwrap_or(0), now) {
                rule.spare(Suppression::WithinLimit);
            } else if answer.is_some() {
                rule.spare(Suppression::Overridden);
            } else {
                answer = Some(turned_away(limit.retry_after));
                let site = candidate.site();
                let firing = Firing::at(rule, &site, strike.window, now, Drawn::Status(TOO_MANY));
                self.ledger.fired(firing.shown_by(site.spans, DOOR_SIGNS));
            }
        }
        answer
    }
}

fn turned_away(retry_after: Option<Nanos>) -> Response {
    let mut response = Response::standard(TOO_MANY);
    if let Some(time) = retry_after {
        // Whole seconds, and not too early (RFC 9110, section 10.2.3).
        response.headers.push("retry-after", time.div_ceil(SECOND).to_string());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_a_burst_and_is_refilled_by_time() {
        let limit = Limit { per_second: 2.0, burst: 3, retry_after: None, buckets: RefCell::default() };
        let taken = |replica, now| limit.take(replica, now);
        let first: Vec<_> = (0..5).map(|_| taken(0, SECOND)).collect();
        assert_eq!(first, [true, true, true, false, false]);
        assert!(taken(1, SECOND), "each replica has its own");
        assert!(!taken(0, SECOND + SECOND / 2 - 1));
        assert!(taken(0, SECOND + SECOND / 2));
        // It never holds more than the burst, however long nobody comes.
        assert_eq!((0..5).filter(|_| taken(0, 100 * SECOND)).count(), 3);
    }
}
