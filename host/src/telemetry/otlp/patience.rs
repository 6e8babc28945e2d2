//! For how long a run in virtual time, and the end of any run, waits for a receiver.
//!
//! A receiver that takes records is waited for, however slowly it does. One that
//! takes none for a while is not, until it takes some again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock;

/// A run waits this long for a receiver that could never be reached. A wrong address is
/// more likely than a receiver that still starts.
pub const UNREACHED: Duration = Duration::from_secs(5);

/// What is known of a receiver.
#[derive(Debug)]
pub struct Patience {
    /// A receiver that has accepted nothing for this long is not waited for.
    longest: Duration,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// When it last accepted, or refused for good, some of the records.
    moved: Option<Instant>,
    /// When it was first asked since then.
    asked: Option<Instant>,
    /// It has answered, even if with an error.
    is_reached: bool,
    /// An attempt has failed without an answer, and there has been no answer so far.
    is_unreachable: bool,
    /// The last attempt has failed in a way that another may mend.
    is_failing: bool,
    /// The wait for it has ended without a record accepted.
    is_given_up: bool,
}

impl Patience {
    /// `longest` is real time without a record accepted.
    pub fn new(longest: Duration) -> Self {
        Self { longest, state: Mutex::default() }
    }

    /// It has accepted records, or has refused them for good: the queue moves.
    pub fn moved(&self) {
        let mut state = self.lock();
        *state = State { moved: Some(Instant::now()), is_reached: true, ..State::default() };
    }

    /// It is asked to accept records.
    pub fn asks(&self) {
        self.lock().asked.get_or_insert_with(Instant::now);
    }

    /// It has answered `later` where `is_answer`; else it could not be reached, or broke off.
    pub fn failed(&self, is_answer: bool) {
        let mut state = self.lock();
        state.is_failing = true;
        state.is_reached |= is_answer;
        state.is_unreachable = !state.is_reached;
    }

    /// The last attempt has failed in a way that another may mend.
    pub fn is_failing(&self) -> bool {
        self.lock().is_failing
    }

    /// When a wait ends that began at `began`; `most` is the longest wait without a record
    /// accepted. The instant has passed if the receiver is not waited for. What was asked of it
    /// before and has had no answer counts for the wait: by the end of a run it may be over.
    pub fn due(&self, began: Instant, most: Duration) -> Instant {
        let state = self.lock();
        if state.is_given_up {
            return began;
        }
        let began = state.asked.map_or(began, |asked| asked.min(began));
        state.moved.map_or(began, |moved| moved.max(began)) + self.longest_of(&state).min(most)
    }

    /// A wait has ended without a record accepted.
    pub fn give_up(&self) {
        self.lock().is_given_up = true;
    }

    /// How long it is since records moved or `began`, whichever is later.
    pub fn since_moved(&self, began: Instant) -> Duration {
        let state = self.lock();
        state.moved.map_or(began, |moved| moved.max(began)).elapsed()
    }

    /// Why it is not waited for, for a person.
    pub fn reason(&self) -> String {
        let longest = self.longest_of(&self.lock());
        let longest = clock::show(clock::nanos(longest));
        format!("nothing was accepted for {longest}")
    }

    fn longest_of(&self, state: &State) -> Duration {
        if state.is_unreachable { self.longest.min(UNREACHED) } else { self.longest }
    }

    /// No code panics while it holds the lock, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    #[test]
    fn a_receiver_that_accepts_is_waited_for_from_then_on() {
        let patience = Patience::new(LONGEST);
        let began = Instant::now() - Duration::from_secs(100);
        assert_eq!(patience.due(began, Duration::MAX), began + LONGEST);
        patience.moved();
        assert!(patience.due(began, Duration::MAX) > Instant::now() + LONGEST / 2);
        assert!(patience.due(began, Duration::ZERO) <= Instant::now());
    }

    #[test]
    fn one_that_was_never_reached_is_waited_for_less_long() {
        let patience = Patience::new(LONGEST);
        let began = Instant::now();
        patience.failed(false);
        assert_eq!(patience.due(began, Duration::MAX), began + UNREACHED);
        assert_eq!(patience.reason(), "nothing was accepted for 5s");
        // Somebody is there after all: it says "later".
        patience.failed(true);
        assert_eq!(patience.due(began, Duration::MAX), began + LONGEST);
        patience.failed(false);
        assert_eq!(patience.due(began, Duration::MAX), began + LONGEST, "it was there, so it may come back");
    }

    #[test]
    fn what_was_asked_before_a_wait_and_has_had_no_answer_counts_for_it() {
        let patience = Patience::new(LONGEST);
        patience.asks();
        let asked = Instant::now();
        let later = asked + LONGEST / 2;
        assert!(patience.due(later, Duration::MAX) <= asked + LONGEST);
        patience.moved();
        assert_eq!(patience.due(later, Duration::MAX), later + LONGEST, "it has accepted what it was asked");
    }

    #[test]
    fn one_that_was_given_up_is_not_waited_for_until_it_accepts() {
        let patience = Patience::new(LONGEST);
        patience.give_up();
        let began = Instant::now();
        assert_eq!(patience.due(began, Duration::MAX), began);
        patience.moved();
        assert!(patience.due(began, Duration::MAX) >= began + LONGEST);
    }
}
