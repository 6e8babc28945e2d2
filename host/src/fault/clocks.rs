//! Clocks of replicas that are wrong: those of `clock-skew`.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::model::Nanos;
use crate::telemetry::record::ResourceId;

use super::rule::Rule;
use super::schedule::Window;

/// Windows in which a clock was wrong that are remembered, of each replica: a span
/// that began in an earlier one has the right time.
const REMEMBERED: usize = 64;

/// The clocks that are wrong, or were.
#[derive(Debug, Default)]
pub struct Clocks(RefCell<BTreeMap<ResourceId, VecDeque<Skew>>>);

/// An interval in which a clock is wrong, and by how much.
#[derive(Clone, Debug)]
struct Skew {
    rule: Rc<Rule>,
    by: i64,
    window: Window,
    /// Since when it is right again.
    until: Option<Nanos>,
}

impl Skew {
    /// By how much the clock is wrong at an instant: nanoseconds.
    fn at(&self, instant: Nanos) -> i64 {
        let window = if self.until.is_none() { self.rule.window() } else { self.window };
        if instant < window.opens || self.until.is_some_and(|until| instant >= until) {
            return 0;
        }
        (self.by as f64 * window.strength(instant, self.rule.when.ramp)) as i64
    }
}

impl Clocks {
    /// The clock of a replica is wrong from now on, by this many nanoseconds.
    pub fn set(&self, rule: &Rc<Rule>, by: i64, replica: ResourceId) {
        let mut clocks = self.0.borrow_mut();
        let clock = clocks.entry(replica).or_default();
        if clock.len() == REMEMBERED {
            clock.pop_front();
        }
        clock.push_back(Skew { rule: Rc::clone(rule), by, window: rule.window(), until: None });
    }

    /// A rule is no longer active: the clocks that it has set are right again.
    pub fn closed(&self, rule: &Rule, now: Nanos) {
        for skew in self.0.borrow_mut().values_mut().flatten() {
            if skew.rule.index == rule.index && skew.until.is_none() {
                (skew.window, skew.until) = (rule.window(), Some(now));
            }
        }
    }

    /// By how much the clock of a replica is wrong at an instant: nanoseconds.
    pub fn skew(&self, replica: ResourceId, instant: Nanos) -> i64 {
        let clocks = self.0.borrow();
        let Some(clock) = clocks.get(&replica) else { return 0 };
        clock.iter().map(|skew| skew.at(instant)).fold(0, i64::saturating_add)
    }
}
