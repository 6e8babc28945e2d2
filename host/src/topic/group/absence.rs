//! Faults that take members away: their partitions wait, and so do the messages there.

use crate::model::Nanos;

use super::{Group, Hold};

/// Times in which faults keep a partition from its member, as long as messages that they keep are not done:
/// with one more, the oldest is forgotten.
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

    /// What keeps a partition from its member, or has, as long as messages that it has kept are not done.
    pub fn kept(&self, partition: u32) -> &[Hold] {
        &self.kept[partition as usize]
    }

    /// Everything in a partition that was published until this instant is done.
    pub(super) fn forget(&mut self, partition: u32, published: Nanos) {
        self.kept[partition as usize].retain(|hold| hold.until > published);
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
    if let Some(open) = kept.last_mut().filter(|hold| hold.until == Nanos::MAX) {
        if absence == Some(Absence { fault: open.fault, window: open.window }) {
            return;
        }
        open.until = now;
        kept.pop_if(|hold| hold.until <= hold.since);
    }
    let Some(Absence { fault, window }) = absence else { return };
    if kept.len() == KEPT_AT_MOST {
        kept.remove(0);
    }
    kept.push(Hold { fault, window, since: now, until: Nanos::MAX });
}
