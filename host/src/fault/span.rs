//! Faults within spans of the guest: a span of a certain name takes longer.

use crate::context::SpanId;
use crate::model::{FaultEvent, Nanos, SpanFault};

use super::candidate::Candidate;
use super::chance::Held;
use super::event::{Drawn, Firing, Site};
use super::signs::Side;
use super::{Action, Faults, Point};

/// The spans that show a wait within a span of the guest, the best first.
const SIGNS: &[Side] = &[Side::Own, Side::Server];

/// What strikes a span that has just begun.
#[derive(Debug, Default)]
pub struct SpanVerdict {
    /// How long it waits first: nanoseconds.
    pub delay: Nanos,
    /// What the service's instrumentation notices then.
    pub events: Vec<FaultEvent>,
    /// Kept as long as it waits.
    pub held: Vec<Held>,
}

impl Faults {
    /// What strikes a span of the guest that is called `name`: mostly nothing. The
    /// candidate's span is that one, and `server` the SERVER span around it.
    pub fn span(
        &self,
        candidate: &Candidate<'_>,
        server: SpanId,
        name: &str,
        now: Nanos,
    ) -> Option<SpanVerdict> {
        let rules = self.at(Point::Span, candidate.service, candidate.route)?;
        let mut verdict: Option<SpanVerdict> = None;
        for rule in rules.iter() {
            let target = rule.target.as_ref().and_then(|target| target.span.as_ref());
            let meant = target.map(|(name, _)| name.as_str());
            let Action::Span(SpanFault::Latency { delay, event }) = self.action(rule) else { continue };
            let Some(strike) = (meant == Some(name)).then(|| rule.strike(candidate, now)).flatten() else {
                continue;
            };
            let delay = strike.scale(delay.sample(&mut strike.key.stream()));
            let verdict = verdict.get_or_insert_default();
            verdict.delay = verdict.delay.saturating_add(delay);
            verdict.events.extend(event.iter().filter(|event| delay >= event.above).cloned());
            verdict.held.extend(strike.held);
            let site = Site { within: server, ..candidate.site() };
            let firing = Firing::at(rule, &site, strike.window, now, Drawn::Delay(delay));
            self.ledger.fired(firing.shown_by(site.spans, SIGNS));
        }
        verdict
    }
}
