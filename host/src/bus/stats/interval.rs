//! The time that rates and means are over: that in which requests were made.

use crate::model::Nanos;

use super::{Accounts, Stats};

impl Stats {
    /// Requests are made from this instant on. The last word before they end counts.
    pub fn requests_begin(&self, now: Nanos) {
        if let Some(accounts) = &mut *self.accounts.borrow_mut() {
            accounts.from = now;
        }
    }

    /// No more requests are made from this instant on: what rates and means are over ends
    /// here. Only the first such instant counts.
    pub fn requests_end(&self, now: Nanos) {
        if let Some(accounts) = &mut *self.accounts.borrow_mut()
            && self.until.get().is_none()
        {
            self.until.set(Some(now));
            accounts.end(now);
        }
    }

    /// 1 for what began when no more requests were made, else 0.
    pub(super) fn late(&self, since: Nanos) -> u64 {
        u64::from(self.until.get().is_some_and(|until| since > until))
    }
}

impl Accounts {
    /// The time in which requests were made: nanoseconds. Rates and means are over it.
    pub const fn duration(&self) -> Nanos {
        self.until.saturating_sub(self.from)
    }

    /// From the start of the world until no more requests were made: nanoseconds.
    pub const fn until(&self) -> Nanos {
        self.until.saturating_sub(self.start)
    }

    /// The time from there until the last of them, and whatever they led to, had ended: nanoseconds.
    pub const fn drain(&self) -> Nanos {
        self.last.saturating_sub(self.until)
    }

    pub(super) fn end(&mut self, now: Nanos) {
        self.until = now;
        self.gauges().for_each(|gauge| gauge.mark(now));
        self.drained = self.callers.last().into_iter().flatten().map(|link| link.under_way.level()).sum();
    }
}
