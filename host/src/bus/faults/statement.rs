//! Statements and commands of guests that faults of their databases and caches strike.

use crate::fault::{Drawn, Firing, Side, Site, Spans};
use crate::guest::Asking;
use crate::model::Nanos;

use crate::bus::callee::CalleeSide;

/// The spans that show what strikes a statement or a command, the best first.
const SIGNS: &[Side] = &[Side::Own, Side::Server];

impl CalleeSide {
    /// A fault, by its place in the model, strikes what is asked of a database or a cache.
    pub(in crate::bus) fn strike_statement(&self, fault: usize, asking: &Asking, longer: Option<Nanos>) {
        let Some(rule) = self.faults.rules().get(fault) else { return };
        let Asking { service, replica, resource, slot, from, trace, server, span } = *asking;
        let spans = Spans { server, client: None, own: Some(span) };
        let site = Site {
            service,
            replica: Some(replica),
            resource: Some(resource),
            route: slot,
            from,
            trace,
            within: server.unwrap_or(span),
            spans,
        };
        rule.acted();
        let drawn = longer.map_or(Drawn::Nothing, Drawn::Delay);
        let firing = Firing::at(rule, &site, rule.windows(), self.now(), drawn);
        self.faults.ledger.fired(firing.shown_by(spans, SIGNS));
    }
}
