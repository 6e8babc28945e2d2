//! The retry budget: how many retries a caller may make.

use crate::model::{self, Nanos};

use super::window::Window;

const CALLS: usize = 0;
const RETRIES: usize = 1;

/// Finagle's retry budget (`RetryBudget.scala`), which Linkerd has too: retries
/// of the last while may be a share of the calls, and some per second besides,
/// so that who calls rarely may try again at all.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    rule: model::Budget,
    recent: Window,
}

impl Budget {
    /// Nothing was spent yet.
    pub fn new(rule: model::Budget) -> Self {
        Self { recent: Window::new(rule.window), rule }
    }

    /// A call is made; its retries do not count.
    pub fn call(&mut self, now: Nanos) {
        self.recent.add(CALLS, now);
    }

    /// Takes one retry, if there is one left.
    pub fn spend(&mut self, now: Nanos) -> bool {
        let [calls, retries] = self.recent.counts(now);
        let reserve = self.rule.min * (self.rule.window as f64 / 1e9);
        // A share of a whole number of calls may be a hair below a whole number.
        let allowed = self.rule.share * calls as f64 + reserve + 1e-9;
        let is_left = (retries + 1) as f64 <= allowed;
        if is_left {
            self.recent.add(RETRIES, now);
        }
        is_left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    fn spend_all(budget: &mut Budget, now: Nanos) -> u32 {
        (0..).take_while(|_| budget.spend(now)).count() as u32
    }

    #[test]
    fn retries_are_a_share_of_the_calls_and_a_few_besides() {
        let mut budget = Budget::new(model::Budget { share: 0.2, min: 0.5, window: 10 * SECOND });
        assert_eq!(spend_all(&mut budget, 0), 5);
        (0..100).for_each(|_| budget.call(SECOND));
        assert_eq!(spend_all(&mut budget, SECOND), 20);
        // When the window has moved on, the calls count no more, nor do the retries.
        assert_eq!(spend_all(&mut budget, 12 * SECOND), 5);
    }
}
