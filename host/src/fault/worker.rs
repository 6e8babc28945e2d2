//! Faults of requests that a worker has: they keep it busy, as a slow service does.

use std::rc::Rc;

use crate::message::{Headers, Response};
use crate::model::{Nanos, WorkerFault};

use super::candidate::Candidate;
use super::chance::Held;
use super::event::{Drawn, Firing};
use super::rule::Rule;
use super::signs::{DEATH_SIGNS, Side};
use super::{Action, Faults};

/// What strikes a request that a worker has.
#[derive(Debug, Default)]
pub struct WorkerVerdict {
    /// Waited first: nanoseconds.
    pub delay: Nanos,
    /// Answered then, instead of by the guest.
    pub answer: Option<Response>,
    /// The worker loses this number of bytes of its memory.
    pub leak: u64,
    /// The request crashes the replica, which starts again after this many nanoseconds.
    pub crash: Option<(Rc<Rule>, Nanos)>,
    /// Kept as long as the request is under way.
    pub held: Vec<Held>,
}

impl WorkerVerdict {
    /// Whether a fault has settled already how the request ends.
    const fn is_decided(&self) -> bool {
        self.answer.is_some() || self.crash.is_some()
    }
}

impl WorkerFault {
    /// The spans that show it, the best first.
    pub(super) const fn signs(&self) -> &'static [Side] {
        match self {
            Self::Latency { .. } | Self::Error { .. } | Self::MemoryLeak { .. } => {
                &[Side::Server, Side::Client]
            }
            Self::Crash { .. } => DEATH_SIGNS,
        }
    }
}

impl Faults {
    /// Asks each rule in turn. Delays and leaks add up; of several ends the first counts.
    pub(super) fn worker_by(
        &self,
        rules: &[Rc<Rule>],
        candidate: &Candidate<'_>,
        now: Nanos,
    ) -> WorkerVerdict {
        let mut verdict = WorkerVerdict::default();
        for rule in rules {
            let Action::Worker(fault) = self.action(rule) else { continue };
            let Some(strike) = rule.strike(candidate, now) else { continue };
            let drawn = match fault {
                WorkerFault::Latency { delay } => {
                    let delay = strike.scale(delay.sample(&mut strike.key.stream()));
                    verdict.delay = verdict.delay.saturating_add(delay);
                    Drawn::Delay(delay)
                }
                WorkerFault::MemoryLeak { per_request } => {
                    let leak = (*per_request as f64 * strike.strength) as u64;
                    verdict.leak = verdict.leak.saturating_add(leak);
                    Drawn::Bytes(leak)
                }
                WorkerFault::Error { .. } | WorkerFault::Crash { .. } if verdict.is_decided() => {
                    rule.overridden();
                    continue;
                }
                WorkerFault::Crash { restart } => {
                    let restart = restart.sample(&mut strike.key.stream());
                    verdict.crash = Some((Rc::clone(rule), restart));
                    Drawn::Delay(restart)
                }
                WorkerFault::Error { status, body, headers } => {
                    verdict.answer = Some(answer(*status, body.as_deref(), headers));
                    Drawn::Status(*status)
                }
            };
            verdict.held.extend(strike.held);
            let site = candidate.site();
            let firing = Firing::at(rule, &site, strike.window, now, drawn);
            self.ledger.fired(firing.shown_by(site.spans, fault.signs()));
        }
        verdict
    }
}

/// The answer in place of the guest's: without a body of its own, the standard one.
fn answer(status: u16, body: Option<&[u8]>, headers: &[(String, String)]) -> Response {
    let mut response = match body {
        Some(body) => Response { status, headers: Headers::default(), body: body.to_vec() },
        None => Response::standard(status),
    };
    for (name, value) in headers {
        response.headers.set(name, value.as_str());
    }
    response
}
