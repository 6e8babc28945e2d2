//! Faults that take members away: their partitions wait, and so do the messages there.

use std::cmp::Reverse;

use crate::model::Nanos;

use super::{Group, Hold};

/// Times in which faults keep a partition from its member, or its group from it, as long as messages that
/// they keep are not done: with one more, two of one fault count as one.
const KEPT_AT_MOST: usize = 64;

/// The fault that has taken a member away: its place in the model, and the number of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    pub fault: usize,
    pub window: u64,
}

impl Group {
    /// Notes which members faults have taken away, from `now` on. To be called when members change.
    pub(super) fn attend(&mut self, now: Nanos) {
        for partition in 0..self.kept.len() {
            let absence = match self.members.get(partition % self.members.len().max(1)) {
                Some(member) => member.expires.and(member.by),
                None => self.last_by,
            };
            note(&mut self.kept[partition], absence, now);
        }
    }

    /// What keeps a partition from its member, or has, and what has kept the group before the last time of
    /// each fault, as long as messages that it has kept are not done. Of each fault in the order of time.
    pub fn kept(&self, partition: u32) -> &[Hold] {
        &self.kept[partition as usize]
    }

    /// Everything in a partition that was published until this instant is done.
    pub(super) fn forget(&mut self, partition: u32, published: Nanos) {
        self.kept[partition as usize].retain(|hold| hold.until > published);
    }

    /// A fault has kept the group until now: it is known as long as messages that it has kept are not done.
    pub(super) fn was_held(&mut self, hold: Hold) {
        for (kept, cursor) in self.kept.iter_mut().zip(&self.cursors) {
            if cursor.next < cursor.end {
                add(kept, hold);
            }
        }
    }

    /// The offset of the first record of a partition that no member has had, if those that one has had are
    /// not done.
    pub fn first_untouched(&self, partition: u32) -> u64 {
        let cursor = &self.cursors[partition as usize];
        cursor.next + u64::from(cursor.had)
    }
}

/// Notes what keeps a partition from its member from `now` on, if anything does.
fn note(kept: &mut Vec<Hold>, absence: Option<Absence>, now: Nanos) {
    if let Some(open) = kept.iter_mut().find(|hold| hold.until == Nanos::MAX) {
        if absence == Some(Absence { fault: open.fault, window: open.window }) {
            return;
        }
        open.until = now;
        kept.retain(|hold| hold.since < hold.until);
    }
    let Some(Absence { fault, window }) = absence else { return };
    add(kept, Hold { fault, window, since: now, until: Nanos::MAX });
}

/// Adds a time behind the others. If there are too many, the two of one fault that are closest to one
/// another, the last such, become one of the earlier window; without two, the oldest is forgotten.
fn add(kept: &mut Vec<Hold>, hold: Hold) {
    if kept.len() == KEPT_AT_MOST {
        let pairs = (1..kept.len()).filter(|later| kept[*later].until < Nanos::MAX).filter_map(|later| {
            let earlier = kept[..later].iter().rposition(|before| before.fault == kept[later].fault)?;
            Some((kept[later].since.saturating_sub(kept[earlier].until), Reverse(later), earlier))
        });
        if let Some((_, Reverse(later), earlier)) = pairs.min() {
            let Hold { until, .. } = kept.remove(later);
            kept[earlier].until = until;
        } else {
            kept.remove(0);
        }
    }
    kept.push(hold);
}
