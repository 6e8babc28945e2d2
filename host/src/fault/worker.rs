//! Faults of requests that a worker has: they keep it busy, as a slow service does.

use std::rc::Rc;

use crate::message::Response;
use crate::model::{FaultKind, Nanos};

use super::ledger::{Drawn, Firing};
use super::{Ledger, Rule, Subject};

/// What befalls a request that a worker has.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Waited first: nanoseconds.
    pub delay: Nanos,
    /// Answered then, instead of by the guest.
    pub answer: Option<Response>,
}

/// Asks each rule in turn. Delays add up; of several answers the first counts.
pub(super) fn judge(rules: &[Rc<Rule>], subject: &Subject<'_>, ledger: &Ledger, now: Nanos) -> Verdict {
    let mut verdict = Verdict::default();
    for rule in rules {
        let Some(strike) = rule.strike(subject, now) else { continue };
        let drawn = match &rule.kind {
            FaultKind::Latency { delay, .. } => {
                let delay = delay.sample(&mut strike.dice.stream());
                verdict.delay = verdict.delay.saturating_add(delay);
                Drawn::Delay(delay)
            }
            FaultKind::Error { .. } if verdict.answer.is_some() => {
                rule.overridden();
                continue;
            }
            FaultKind::Error { status, .. } => {
                verdict.answer = Some(Response::standard(*status));
                Drawn::Status(*status)
            }
            _ => continue,
        };
        ledger.fired(&Firing::of(rule, subject, now, drawn));
    }
    verdict
}
