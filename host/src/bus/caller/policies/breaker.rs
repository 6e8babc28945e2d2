//! `breaker`: when a caller stops calling, and when it tries again.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::bus::caller::attempt::ClientSpan;
use crate::bus::visit::Outcome;
use crate::clock;
use crate::guest::CallError;
use crate::model::{self, Nanos, Trip};
use crate::telemetry::record::KeyValue;

use super::window::Window;
use super::{ClientState, GuardedCall, is_among};

/// `open` or `half_open`, where the breaker is not closed; among metrics `closed` too.
const BREAKER_STATE: &str = "simhost.link.breaker.state";

const SUCCESSES: usize = 0;
const FAILURES: usize = 1;

/// A breaker: closed, it counts failures; open, it lets nothing through for a
/// while; half-open, it lets a few attempts through and goes by what comes of them.
#[derive(Debug)]
pub(super) struct Breaker {
    rule: model::Breaker,
    phase: Phase,
    /// How often the phase has changed: what an attempt of an earlier one comes
    /// to says nothing of this one.
    epoch: u64,
}

#[derive(Debug)]
enum Phase {
    Closed(Count),
    Open {
        until: Nanos,
    },
    /// Attempts let through, those under way included, and those that succeeded.
    HalfOpen {
        sent: u32,
        succeeded: u32,
    },
}

/// The failures of a closed circuit.
#[derive(Debug)]
enum Count {
    /// When those since the last success were.
    InARow {
        most: u32,
        failures: VecDeque<Nanos>,
    },
    Share {
        rate: f64,
        least: u32,
        recent: Window,
    },
}

/// What a breaker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    /// Each at the place of its number.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// As spans say it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Why a breaker lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Open for this much longer: nanoseconds.
    Open(Nanos),
    /// It waits for what comes of the attempts that it let through.
    HalfOpen,
}

/// Leave to make an attempt. What comes of it is to be [reported](Breaker::report),
/// or [withdrawn](Breaker::withdraw) when nothing does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) struct BreakerPermit {
    epoch: u64,
    pub state: BreakerState,
    /// The breaker was open until now: it is half-open by this attempt.
    pub is_first: bool,
}

impl Breaker {
    /// A closed one.
    pub fn new(rule: model::Breaker) -> Self {
        let phase = Phase::Closed(Count::new(&rule));
        Self { rule, phase, epoch: 0 }
    }

    pub const fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Why it would let nothing through now, if it would not.
    pub fn refusal(&self, now: Nanos) -> Option<Refusal> {
        match self.phase {
            Phase::Open { until } if now < until => Some(Refusal::Open(until - now)),
            Phase::HalfOpen { sent, .. } if sent >= self.rule.half_open => Some(Refusal::HalfOpen),
            _ => None,
        }
    }

    /// Lets an attempt through.
    ///
    /// # Errors
    /// As [`refusal`](Self::refusal) says.
    pub fn admit(&mut self, now: Nanos) -> Result<BreakerPermit, Refusal> {
        if let Some(refusal) = self.refusal(now) {
            return Err(refusal);
        }
        let is_first = matches!(self.phase, Phase::Open { .. });
        if is_first {
            self.turn(Phase::HalfOpen { sent: 0, succeeded: 0 });
        }
        let state = match &mut self.phase {
            Phase::HalfOpen { sent, .. } => {
                *sent += 1;
                BreakerState::HalfOpen
            }
            _ => BreakerState::Closed,
        };
        Ok(BreakerPermit { epoch: self.epoch, state, is_first })
    }

    /// What came of an attempt; what the breaker becomes by it, if it changes.
    pub fn report(&mut self, admitted: BreakerPermit, is_failure: bool, now: Nanos) -> Option<BreakerState> {
        if admitted.epoch != self.epoch {
            return None;
        }
        let rule = &self.rule;
        let (opens, closes) = match &mut self.phase {
            Phase::Closed(count) => (count.note(is_failure, rule.window, now), false),
            Phase::HalfOpen { .. } if is_failure => (true, false),
            Phase::HalfOpen { succeeded, .. } => {
                *succeeded += 1;
                (false, *succeeded >= rule.half_open)
            }
            Phase::Open { .. } => (false, false),
        };
        if opens {
            let until = now.saturating_add(self.rule.open_for);
            self.turn(Phase::Open { until });
            Some(BreakerState::Open)
        } else if closes {
            let count = Count::new(&self.rule);
            self.turn(Phase::Closed(count));
            Some(BreakerState::Closed)
        } else {
            None
        }
    }

    /// Nothing will come of an attempt: another may take its place.
    pub const fn withdraw(&mut self, admitted: BreakerPermit) {
        if let Phase::HalfOpen { sent, .. } = &mut self.phase
            && admitted.epoch == self.epoch
        {
            *sent -= 1;
        }
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        self.epoch += 1;
    }
}

impl Count {
    fn new(rule: &model::Breaker) -> Self {
        match rule.trip {
            Trip::InARow(most) => Self::InARow { most, failures: VecDeque::new() },
            Trip::Share { rate, least } => Self::Share { rate, least, recent: Window::new(rule.window) },
        }
    }

    /// Counts an attempt, of which the last `window` matters; whether the circuit opens.
    fn note(&mut self, is_failure: bool, window: Nanos, now: Nanos) -> bool {
        match self {
            Self::InARow { failures, .. } if !is_failure => {
                failures.clear();
                false
            }
            Self::InARow { most, failures } => {
                failures.retain(|at| now.saturating_sub(*at) <= window);
                failures.push_back(now);
                failures.len() >= *most as usize
            }
            Self::Share { rate, least, recent } => {
                recent.add(if is_failure { FAILURES } else { SUCCESSES }, now);
                let [succeeded, failed] = recent.counts(now);
                let all = succeeded + failed;
                is_failure && all >= u64::from(*least) && failed as f64 >= *rate * all as f64
            }
        }
    }
}

impl GuardedCall {
    /// Asks the breaker, if the link has one, without making an attempt.
    ///
    /// # Errors
    /// It lets none through.
    pub(super) fn circuit(&self) -> Result<(), CallError> {
        let breaker = self.state.breaker.as_ref();
        let refusal = breaker.and_then(|breaker| breaker.borrow().refusal(self.now()));
        refusal.map_or(Ok(()), |refusal| Err(circuit_open(refusal)))
    }

    /// The breaker's leave, if the link has one.
    pub(super) fn permit(&self) -> Result<Option<HeldPermit>, CallError> {
        let Some(breaker) = &self.state.breaker else { return Ok(None) };
        let admitted = breaker.borrow_mut().admit(self.now()).map_err(circuit_open)?;
        Ok(Some(HeldPermit { state: Rc::clone(&self.state), admitted: Some(admitted) }))
    }
}

/// A breaker's leave for one attempt. An attempt that is given up gives it back.
pub(super) struct HeldPermit {
    state: Rc<ClientState>,
    /// None once it is used up.
    admitted: Option<BreakerPermit>,
}

impl HeldPermit {
    /// Says on the attempt's span what the breaker is.
    pub fn tell(&self, span: &mut ClientSpan) {
        let Some(admitted) = self.admitted else { return };
        span.breaker_is(admitted.state);
        if admitted.is_first {
            span.breaker_became(BreakerState::HalfOpen);
        }
    }

    /// Tells the breaker what has come of the attempt.
    pub fn report(mut self, outcome: &Outcome, now: Nanos, span: &mut ClientSpan) {
        let (Some(admitted), Some(breaker)) = (self.admitted.take(), &self.state.breaker) else { return };
        let policy = self.state.policies.breaker.as_ref();
        let is_failure = policy.is_some_and(|policy| is_among(&policy.on, outcome));
        if let Some(state) = breaker.borrow_mut().report(admitted, is_failure, now) {
            span.breaker_became(state);
        }
    }
}

impl Drop for HeldPermit {
    fn drop(&mut self) {
        if let (Some(admitted), Some(breaker)) = (self.admitted.take(), &self.state.breaker) {
            breaker.borrow_mut().withdraw(admitted);
        }
    }
}

fn circuit_open(refusal: Refusal) -> CallError {
    CallError::CircuitOpen(match refusal {
        Refusal::Open(left) => format!("no attempt for another {}", clock::show(left)),
        Refusal::HalfOpen => "it waits for what comes of the attempts that try it".to_owned(),
    })
}

impl ClientSpan {
    /// What the breaker was when it was asked.
    pub(super) fn breaker_is(&mut self, state: BreakerState) {
        if state != BreakerState::Closed {
            self.say(|span, _| span.set(BREAKER_STATE, state.name()));
        }
        self.measure_state(state);
    }

    /// The breaker has changed by this attempt.
    fn breaker_became(&mut self, state: BreakerState) {
        let event = match state {
            BreakerState::Open => "simhost.link.breaker.opened",
            BreakerState::HalfOpen => "simhost.link.breaker.half_opened",
            BreakerState::Closed => "simhost.link.breaker.closed",
        };
        self.say(|span, now| span.happened(event, Vec::new(), now));
        self.count(|account| account.opened += u64::from(state == BreakerState::Open));
        self.measure_state(state);
    }

    fn measure_state(&self, state: BreakerState) {
        self.measure_breaker(state as usize, || {
            BreakerState::ALL.map(|state| KeyValue::new(BREAKER_STATE, state.name()))
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Failures;

    const SECOND: Nanos = 1_000_000_000;

    fn breaker(trip: Trip, half_open: u32) -> Breaker {
        let (window, open_for) = (10 * SECOND, 5 * SECOND);
        Breaker::new(model::Breaker { trip, window, open_for, half_open, on: Failures::default() })
    }

    /// Makes an attempt at once.
    fn attempt(breaker: &mut Breaker, is_failure: bool, now: Nanos) -> Option<BreakerState> {
        let admitted = breaker.admit(now).expect("it lets the attempt through");
        breaker.report(admitted, is_failure, now)
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_breaks_the_row() {
        let mut breaker = breaker(Trip::InARow(3), 1);
        for is_failure in [true, true, false, true, true] {
            assert_eq!(attempt(&mut breaker, is_failure, 0), None);
        }
        assert_eq!(attempt(&mut breaker, true, SECOND), Some(BreakerState::Open));
        assert_eq!(breaker.admit(2 * SECOND), Err(Refusal::Open(4 * SECOND)));
    }

    #[test]
    fn failures_that_are_too_old_open_nothing() {
        let mut breaker = breaker(Trip::InARow(2), 1);
        assert_eq!(attempt(&mut breaker, true, 0), None);
        assert_eq!(attempt(&mut breaker, true, 11 * SECOND), None);
        assert_eq!(attempt(&mut breaker, true, 20 * SECOND), Some(BreakerState::Open));
    }

    #[test]
    fn a_share_of_failures_opens_it_once_there_were_enough_attempts() {
        let mut breaker = breaker(Trip::Share { rate: 0.5, least: 4 }, 1);
        for is_failure in [true, true, false, false] {
            assert_eq!(attempt(&mut breaker, is_failure, 0), None);
        }
        assert_eq!(attempt(&mut breaker, true, 0), Some(BreakerState::Open));
    }

    #[test]
    fn half_open_it_goes_by_what_comes_of_a_few() {
        let mut breaker = breaker(Trip::InARow(1), 2);
        assert_eq!(attempt(&mut breaker, true, 0), Some(BreakerState::Open));
        let one = breaker.admit(5 * SECOND).expect("one");
        let other = breaker.admit(5 * SECOND).expect("another");
        assert_eq!((one.is_first, other.is_first, other.state), (true, false, BreakerState::HalfOpen));
        assert_eq!(breaker.admit(5 * SECOND), Err(Refusal::HalfOpen));
        assert_eq!(breaker.report(one, false, 6 * SECOND), None);
        assert_eq!(breaker.report(other, false, 6 * SECOND), Some(BreakerState::Closed));
        assert_eq!(attempt(&mut breaker, true, 7 * SECOND), Some(BreakerState::Open));
        assert_eq!(attempt(&mut breaker, true, 12 * SECOND), Some(BreakerState::Open));
    }

    #[test]
    fn what_comes_too_late_says_nothing_and_what_comes_never_blocks_nothing() {
        let mut breaker = breaker(Trip::InARow(1), 1);
        let late = breaker.admit(0).expect("one");
        assert_eq!(attempt(&mut breaker, true, 0), Some(BreakerState::Open));
        let given_up = breaker.admit(5 * SECOND).expect("one");
        assert_eq!(breaker.report(late, false, 5 * SECOND), None);
        assert_eq!(breaker.admit(5 * SECOND), Err(Refusal::HalfOpen));
        breaker.withdraw(given_up);
        assert_eq!(attempt(&mut breaker, false, 5 * SECOND), Some(BreakerState::Closed));
    }
}
