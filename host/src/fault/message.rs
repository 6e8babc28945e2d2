//! Faults of messages, which strike them as they come to their broker.
//!
//! What a fault makes of a message is part of its [`Fate`], which it keeps in its partition. Draws are keyed
//! by the fault's name and the message, so that a topic loses the same messages whatever else happens to it.

use std::rc::Rc;

use crate::model::{Nanos, TopicFault};
use crate::topic::Fate;

use super::candidate::Candidate;
use super::event::{Drawn, Firing};
use super::rule::{Rule, Strike};
use super::signs::Side;
use super::{Action, Faults};

/// The PRODUCER span of the message shows that it is struck.
const SIGNS: &[Side] = &[Side::Own];

impl Faults {
    /// The active rules that strike messages of a topic; none without any.
    #[inline]
    pub fn of_messages(&self, topic: usize) -> Option<Rc<[Rc<Rule>]>> {
        self.topics[topic].borrow().clone()
    }

    /// Makes the list of a topic anew, a rule of which was switched.
    pub(super) fn refresh_topic(&self, topic: usize) {
        let is_meant = |rule: &&Rc<Rule>| match self.action(rule) {
            Action::Topic(target, fault) => {
                rule.is_active() && target.topic == topic && fault.is_of_messages()
            }
            _ => false,
        };
        let active: Vec<_> = self.rules.iter().filter(is_meant).map(Rc::clone).collect();
        *self.topics[topic].borrow_mut() = (!active.is_empty()).then(|| active.into());
    }

    /// A message comes to a partition of a topic, as `candidate`: what these rules make of it. Times add up.
    pub fn message(
        &self,
        rules: &[Rc<Rule>],
        (topic, partition): (usize, u32),
        candidate: &Candidate<'_>,
        now: Nanos,
    ) -> Fate {
        let mut fate = Fate::default();
        for rule in rules {
            let Action::Topic(target, fault) = self.action(rule) else { continue };
            if target.partition.is_some_and(|only| only != partition) {
                continue;
            }
            let Some(strike) = rule.strike(candidate, now) else { continue };
            let Some(drawn) = fate.take(fault, &strike) else {
                rule.overridden();
                continue;
            };
            fate.struck.push((rule.index, strike.window));
            let site = candidate.site();
            let firing = Firing::at(rule, &site, strike.window, now, drawn).of_message(topic, partition);
            self.ledger.fired(firing.shown_by(site.spans, SIGNS));
        }
        fate
    }
}

impl Fate {
    /// A fault strikes the message: what is drawn for it. None: another fault has done the same before.
    fn take(&mut self, fault: &TopicFault, strike: &Strike) -> Option<Drawn> {
        match fault {
            TopicFault::Reorder { window } => {
                let late = (strike.key.unit() * *window as f64) as Nanos;
                self.on_the_way = self.on_the_way.saturating_add(late);
                Some(Drawn::Delay(late))
            }
            TopicFault::Late { by } => {
                let late = strike.scale(by.sample(&mut strike.key.stream()));
                self.hidden = self.hidden.saturating_add(late);
                Some(Drawn::Delay(late))
            }
            TopicFault::Duplicate => {
                (!std::mem::replace(&mut self.is_doubled, true)).then_some(Drawn::Nothing)
            }
            TopicFault::Lose => (!std::mem::replace(&mut self.is_lost, true)).then_some(Drawn::Nothing),
            TopicFault::Pause | TopicFault::Rebalance { .. } => None,
        }
    }
}
