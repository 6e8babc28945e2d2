//! When a fault is active, by itself: windows of time, from its schedule and the seed.

use std::iter::FusedIterator;

use crate::model::{Distribution, Nanos, Schedule, When};
use crate::rng::Key;

/// A calm and a window of [`Schedule::Random`] last at least a millisecond, whatever
/// is drawn: time has to pass.
pub const SHORTEST: Nanos = 1_000_000;

/// A stretch of time in which a fault is active: from `opens` up to `closes`, but not with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Nanoseconds since the Unix epoch.
    pub opens: Nanos,
    /// None: it stays open.
    pub closes: Option<Nanos>,
}

impl Window {
    /// The window that opens at `opens`, for a while or for ever.
    pub fn lasting(opens: Nanos, lasting: Option<Nanos>) -> Self {
        Self { opens, closes: lasting.and_then(|lasting| opens.checked_add(lasting)) }
    }

    /// Stays open until the other has closed too.
    pub fn outlast(&mut self, other: &Self) {
        self.closes = self.closes.zip(other.closes).map(|(one, other)| one.max(other));
    }

    pub fn has_closed(&self, now: Nanos) -> bool {
        self.closes.is_some_and(|closes| closes <= now)
    }

    /// How far a fault has grown in at an instant within the window, from 0 to 1: over
    /// `ramp` after the window opens, and back over `ramp` before it closes.
    pub fn strength(&self, now: Nanos, ramp: Nanos) -> f64 {
        if ramp == 0 {
            return 1.0;
        }
        let share = |since: Nanos| (since as f64 / ramp as f64).min(1.0);
        let grown = share(now.saturating_sub(self.opens));
        let left = self.closes.map_or(1.0, |closes| share(closes.saturating_sub(now)));
        grown.min(left)
    }
}

/// How long a window lasts: a nanosecond at least. `key` is that of the window.
pub fn drawn_length(lasting: &Distribution, key: Key) -> Nanos {
    lasting.sample(&mut key.with(1).stream()).max(1)
}

/// The windows that a schedule has of itself, in order; they do not overlap.
#[derive(Clone, Debug)]
pub struct Windows {
    plan: Plan,
    /// The first window that is yet to come.
    number: u64,
}

#[derive(Clone, Debug)]
enum Plan {
    /// No window is left, or others decide.
    Over,
    /// One window, without end.
    Always {
        opens: Nanos,
    },
    Fixed {
        opens: Nanos,
        lasting: Option<Distribution>,
        every: Option<Nanos>,
        key: Key,
    },
    Random {
        calm_from: Nanos,
        between: Distribution,
        hold: Distribution,
        key: Key,
    },
}

impl Windows {
    /// Those of a run that begins at `start`; chance is drawn from `key` and the
    /// number of each window.
    pub fn new(when: &When, start: Nanos, key: Key) -> Self {
        let plan = match &when.schedule {
            Schedule::Always => Plan::Always { opens: start },
            Schedule::Fixed { at, lasting, every } => {
                let at = at.sample(&mut key.with_name("at").stream());
                match start.checked_add(at) {
                    Some(opens) => Plan::Fixed { opens, lasting: lasting.clone(), every: *every, key },
                    None => Plan::Over,
                }
            }
            Schedule::Random { between, hold } => {
                Plan::Random { calm_from: start, between: between.clone(), hold: hold.clone(), key }
            }
            Schedule::After { .. } => Plan::Over,
        };
        Self { plan, number: 0 }
    }
}

impl Iterator for Windows {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        let number = self.number;
        self.number += 1;
        let (window, rest) = match std::mem::replace(&mut self.plan, Plan::Over) {
            Plan::Over => return None,
            Plan::Always { opens } => (Window { opens, closes: None }, Plan::Over),
            Plan::Fixed { opens, lasting, every, key } => {
                let again = every.and_then(|every| opens.checked_add(every.max(1)));
                let drawn = lasting.as_ref().map(|lasting| drawn_length(lasting, key.with(number)));
                let closes = Window::lasting(opens, drawn).closes;
                // What is to open again is closed by then.
                let closes = again.map_or(closes, |again| Some(closes.map_or(again, |end| end.min(again))));
                let rest = again.map_or(Plan::Over, |opens| Plan::Fixed { opens, lasting, every, key });
                (Window { opens, closes }, rest)
            }
            Plan::Random { calm_from, between, hold, key } => {
                let key_of_window = key.with(number);
                let calm = between.sample(&mut key_of_window.with(0).stream()).max(SHORTEST);
                let lasting = drawn_length(&hold, key_of_window).max(SHORTEST);
                let opens = calm_from.checked_add(calm)?;
                let closes = opens.checked_add(lasting);
                let rest = closes.map_or(Plan::Over, |closes| Plan::Random {
                    calm_from: closes,
                    between,
                    hold,
                    key,
                });
                (Window { opens, closes }, rest)
            }
        };
        self.plan = rest;
        Some(window)
    }
}

impl FusedIterator for Windows {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_outlasts_another_closes_with_the_later_of_the_two() {
        let window = |lasting: Option<Nanos>| Window::lasting(10, lasting);
        for (one, other, both) in [
            (Some(5), Some(3), Some(5)),
            (Some(3), Some(5), Some(5)),
            (None, Some(5), None),
            (Some(5), None, None),
        ] {
            let mut lasts = window(one);
            lasts.outlast(&window(other));
            assert_eq!(lasts, window(both));
        }
    }
}
