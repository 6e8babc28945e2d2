//! The members of a group: who joins, leaves, dies, or stands still for longer than a session lasts.

use crate::model::Nanos;

use super::{Absence, Group};

/// A replica in a group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub replica: u32,
    /// Nothing is heard of its process, and the broker takes it for a member until this instant.
    pub expires: Option<Nanos>,
    /// The fault because of which nothing is heard of it.
    pub by: Option<Absence>,
    /// Its process has died, and what is heard of the replica later is another member.
    is_dead: bool,
}

impl Group {
    /// A replica joins, and partitions are assigned anew; or it is heard of again before its session has
    /// timed out.
    pub fn join(&mut self, replica: u32, now: Nanos) {
        self.expire(now);
        if let Some(member) = self.living(replica) {
            (member.expires, member.by) = (None, None);
        } else {
            self.members.push(Member { replica, expires: None, by: None, is_dead: false });
            self.counts.rebalances += 1;
        }
        self.attend(now);
    }

    /// A replica leaves and says so. Partitions are assigned anew.
    pub fn leave(&mut self, replica: u32, now: Nanos) {
        self.expire(now);
        let before = self.members.len();
        self.members.retain(|member| member.replica != replica || member.is_dead);
        self.counts.rebalances += u64::from(self.members.len() < before);
        self.last_by = None;
        self.attend(now);
    }

    /// A replica's process has died by a fault. Nobody gets its partitions until its session has timed out.
    pub fn lose(&mut self, replica: u32, by: Option<Absence>, now: Nanos) {
        self.expire(now);
        let expires = now.saturating_add(self.settings.session_timeout);
        if let Some(member) = self.living(replica) {
            (member.is_dead, member.by) = (true, by);
            member.expires.get_or_insert(expires);
        }
        self.attend(now);
    }

    /// A replica's process stands still from now on by a fault: it sends no heartbeats. When its session
    /// times out, if it is a member that was heard of until now.
    pub fn silence(&mut self, replica: u32, by: Option<Absence>, now: Nanos) -> Option<Nanos> {
        self.expire(now);
        let expires = now.saturating_add(self.settings.session_timeout);
        let member = self.living(replica).filter(|member| member.expires.is_none())?;
        (member.expires, member.by) = (Some(expires), by);
        self.attend(now);
        Some(expires)
    }

    /// The member that a replica is, if its process has not died.
    fn living(&mut self, replica: u32) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.replica == replica && !member.is_dead)
    }

    /// Members, those of which nothing is heard and whose session has not timed out included.
    pub fn members(&mut self, now: Nanos) -> usize {
        self.expire(now);
        self.members.len()
    }

    /// Ends the sessions that have timed out. Partitions are assigned anew, and what a process that stands
    /// still has under way is another's: it cannot commit when it goes on.
    pub(super) fn expire(&mut self, now: Nanos) {
        let is_over = |member: &Member| member.expires.is_some_and(|expires| expires <= now);
        let silent: Vec<u32> = self
            .members
            .iter()
            .filter(|member| is_over(member) && !member.is_dead)
            .map(|member| member.replica)
            .collect();
        let last = self.members.iter().filter(|member| is_over(member)).max_by_key(|member| member.expires);
        if let Some((at, by)) = last.and_then(|last| Some((last.expires?, last.by))) {
            self.last_by = by;
            self.members.retain(|member| !is_over(member));
            self.counts.rebalances += 1;
            self.attend(at);
        }
        if silent.is_empty() {
            return;
        }
        for (cursor, partition) in self.cursors.iter_mut().zip(0..) {
            if cursor.busy.take_if(|replica| silent.contains(replica)).is_some() {
                self.taken.push(partition);
            }
        }
    }

    /// The partitions that were taken from members with a delivery since this was asked last, as their
    /// sessions have timed out.
    pub fn taken(&mut self, now: Nanos) -> Vec<u32> {
        self.expire(now);
        let mut taken = std::mem::take(&mut self.taken);
        taken.retain(|partition| self.cursors[*partition as usize].busy.is_none());
        taken
    }
}
