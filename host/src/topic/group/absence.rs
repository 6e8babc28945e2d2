//! Faults that take members away: their partitions wait, and so do the messages there.

use crate::model::Nanos;

use super::{Group, Hold};

/// The fault that has taken a member away: its place in the model, and the number of its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absence {
    pub fault: usize,
    pub window: u64,
}

impl Group {
    /// Notes whether a fault has taken the member of a partition away, as it is now.
    pub(super) fn attend(&mut self, partition: u32, now: Nanos) {
        let absence = match self.members.get(partition as usize % self.members.len().max(1)) {
            Some(member) => member.expires.and(member.by),
            None => self.last_by,
        };
        let kept = &mut self.kept[partition as usize];
        let open = kept.as_mut().filter(|kept| kept.until == Nanos::MAX);
        match (absence, open) {
            (Some(Absence { fault, window }), None) => {
                *kept = Some(Hold { fault, window, since: now, until: Nanos::MAX });
            }
            (None, Some(open)) => open.until = now,
            (Some(_), Some(_)) | (None, None) => {}
        }
    }

    /// What keeps a partition from its member, or has: the last time.
    pub fn kept(&self, partition: u32) -> Option<&Hold> {
        self.kept[partition as usize].as_ref()
    }

    /// The offset of the first record of a partition that no member has had, if those that one has had are
    /// not done.
    pub fn first_untouched(&self, partition: u32) -> u64 {
        let cursor = &self.cursors[partition as usize];
        cursor.next + u64::from(if cursor.failed > 0 { cursor.together } else { 0 })
    }
}
