//! Faults within spans of the guest: a span of a certain name takes longer.

use crate::context::SpanId;
use crate::model::{FaultEvent, Nanos, SpanFault};

use super::candidate::Subject;
use super::chance::Held;
use super::event::{Drawn, Firing, Site};
use super::signs::Side;
use super::{Action, Faults, Point};

/// The spans that show a wait within a span of the guest, the best first.
const SIGNS: &[Side] = &[Side::Own, Side::Server];

/// What befalls a span that has just begun.
#[derive(Debug, Default)]
pub struct Stall {
    /// It waits so long first: nanoseconds.
    pub delay: Nanos,
    /// What the service's instrumentation notices then.
    pub events: Vec<FaultEvent>,
    /// Kept as long as it waits.
    pub held: Vec<Held>,
}

impl Faults {
    /// What befalls a span of the guest that is called `name`: mostly nothing. The
    /// subject's span is that one, and `server` the SERVER span around it.
    pub fn stall(&self, subject: &Subject<'_>, server: SpanId, name: &str, now: Nanos) -> Option<Stall> {
        let rules = self.at(Point::Span, subject.service, subject.route)?;
        let mut stall: Option<Stall> = None;
        for rule in rules.iter() {
            let meant = rule.target.as_ref().and_then(|target| target.span.as_deref());
            let Action::Span(SpanFault::Latency { delay, event }) = self.action(rule) else { continue };
            let Some(strike) = (meant == Some(name)).then(|| rule.strike(subject, now)).flatten() else {
                continue;
            };
            let delay = strike.scale(delay.sample(&mut strike.dice.stream()));
            let stall = stall.get_or_insert_default();
            stall.delay = stall.delay.saturating_add(delay);
            stall.events.extend(event.iter().filter(|event| delay >= event.above).cloned());
            stall.held.extend(strike.held);
            let site = Site { within: server, ..subject.site() };
            let firing = Firing::at(rule, &site, strike.window, now, Drawn::Delay(delay));
            self.ledger.fired(firing.shown_by(site.spans, SIGNS));
        }
        stall
    }
}
