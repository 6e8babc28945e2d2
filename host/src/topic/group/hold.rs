//! What faults do to a group: they keep it from consuming, and let its partitions be assigned anew.

use crate::model::Nanos;

use super::{Delivery, Group};

/// A time in which a fault keeps a group from consuming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The fault's place in the model, and the number of its window.
    pub fault: usize,
    pub window: u64,
    pub since: Nanos,
    /// [`Nanos::MAX`] before it is known.
    pub until: Nanos,
}

impl Hold {
    /// From when it has kept a record that was published at this instant.
    pub fn keeps_from(&self, published: Nanos) -> Nanos {
        published.max(self.since)
    }

    /// The same, as far as it is over at this instant.
    #[must_use]
    pub fn until(self, now: Nanos) -> Self {
        Self { until: self.until.min(now), ..self }
    }

    /// For how long it has kept a record that was published at this instant; none: not at all.
    pub fn keeps(&self, published: Nanos) -> Option<Nanos> {
        Some(self.until.checked_sub(self.keeps_from(published))?).filter(|kept| *kept > 0)
    }
}

impl Group {
    /// The member that joined first leaves and joins again, so that all have to join anew, for which they are
    /// held up. What is under way is delivered again.
    pub fn rebalance(&mut self, hold: Hold) {
        self.expire(hold.since);
        if !self.members.is_empty() {
            self.members.rotate_left(1);
        }
        (self.epoch, self.revoked_by) = (self.epoch + 1, Some(hold));
        self.counts.rebalances += 1;
        self.hold(hold);
    }

    /// A fault keeps it from consuming, until it is [let go](Self::let_go) if no end is known.
    ///
    /// If it does already in the same window, that goes on until the new end.
    pub fn hold(&mut self, mut hold: Hold) {
        if let Some(at) = self.holds.iter().position(|held| held.fault == hold.fault) {
            let before = self.holds.remove(at);
            if before.window == hold.window && before.until >= hold.since {
                hold.since = before.since;
            } else {
                self.was_held(before.until(hold.since));
            }
        }
        self.holds.push(hold);
    }

    /// A fault keeps it from consuming no longer.
    pub fn let_go(&mut self, fault: usize, now: Nanos) {
        let held = self.holds.iter_mut().filter(|held| held.fault == fault);
        held.for_each(|held| held.until = held.until.min(now));
    }

    /// What keeps it from consuming, or has: the last time of each fault.
    pub fn holds(&self) -> &[Hold] {
        &self.holds
    }

    /// What has taken the partition of a delivery away meanwhile.
    pub fn revoked_by(&self, delivery: &Delivery) -> Option<Hold> {
        self.revoked_by.filter(|_| delivery.epoch != self.epoch)
    }

    /// Nothing is delivered before this instant; [`Nanos::MAX`] where it is not known.
    pub(super) fn held_until(&self) -> Nanos {
        self.holds.iter().map(|hold| hold.until).max().unwrap_or_default()
    }
}
