//! Faults of requests that a worker has: they keep it busy, as a slow service does.

use std::rc::Rc;

use crate::message::{Headers, Response};
use crate::model::{FaultKind, Nanos};

use super::ledger::{Drawn, Firing};
use super::{Held, Ledger, Rule, Subject};

/// What befalls a request that a worker has.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Waited first: nanoseconds.
    pub delay: Nanos,
    /// Answered then, instead of by the guest.
    pub answer: Option<Response>,
    /// The worker loses so many bytes of its memory.
    pub leak: u64,
    /// The replica falls of the request, for so long: nanoseconds.
    pub crash: Option<(Rc<Rule>, Nanos)>,
    /// Kept as long as the request is under way.
    pub held: Vec<Held>,
}

impl Verdict {
    /// Whether a fault has settled already how the request ends.
    const fn is_decided(&self) -> bool {
        self.answer.is_some() || self.crash.is_some()
    }
}

/// Asks each rule in turn. Delays and leaks add up; of several ends the first counts.
pub(super) fn judge(rules: &[Rc<Rule>], subject: &Subject<'_>, ledger: &Ledger, now: Nanos) -> Verdict {
    let mut verdict = Verdict::default();
    for rule in rules {
        let Some(strike) = rule.strike(subject, now) else { continue };
        let drawn = match &rule.kind {
            FaultKind::Latency { delay, .. } => {
                let delay = strike.scale(delay.sample(&mut strike.dice.stream()));
                verdict.delay = verdict.delay.saturating_add(delay);
                Drawn::Delay(delay)
            }
            FaultKind::MemoryLeak { per_request } => {
                let leak = (*per_request as f64 * strike.strength) as u64;
                verdict.leak = verdict.leak.saturating_add(leak);
                Drawn::Bytes(leak)
            }
            FaultKind::Error { .. } | FaultKind::Crash { .. } if verdict.is_decided() => {
                rule.overridden();
                continue;
            }
            FaultKind::Crash { restart } => {
                let restart = restart.sample(&mut strike.dice.stream());
                verdict.crash = Some((Rc::clone(rule), restart));
                Drawn::Delay(restart)
            }
            FaultKind::Error { status, body, headers } => {
                verdict.answer = Some(answer(*status, body.as_deref(), headers));
                Drawn::Status(*status)
            }
            _ => continue,
        };
        verdict.held.extend(strike.held);
        ledger.fired(Firing::at(rule, &subject.site(), strike.window, now, drawn));
    }
    verdict
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
