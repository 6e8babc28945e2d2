//! The faults that a replica has, and what each does to it.

use std::rc::Rc;

use crate::fault::{DEATH_SIGNS, Rule, Side};
use crate::model::{Nanos, ReplicaFault};

/// A fault that strikes the replica, by one of its windows.
#[derive(Clone)]
pub(super) struct Striker {
    pub rule: Rc<Rule>,
    /// The window's number.
    pub window: u64,
    /// The spans that show it.
    pub signs: &'static [Side],
}

impl Striker {
    /// By the window that is open, or was the last.
    pub fn now(rule: &Rc<Rule>, signs: &'static [Side]) -> Self {
        Self { rule: Rc::clone(rule), window: rule.windows(), signs }
    }
}

/// A fault that has the replica.
pub(super) struct ActiveFault {
    pub by: Striker,
    pub state: State,
}

/// What a fault does to the replica.
pub(super) enum State {
    /// Work takes this many times as long.
    Slow(f64),
    Paused,
    /// This many workers are taken, once the fault has grown in.
    Taken(u32),
    /// Nobody is at the replica's address before this instant.
    DownUntil(Nanos),
    /// It goes down over and over.
    Falling {
        /// Nobody is there before this instant.
        down_until: Nanos,
        next: Nanos,
        /// How often it has gone down.
        falls: u64,
    },
}

impl ActiveFault {
    pub fn is_of(&self, rule: &Rule) -> bool {
        self.by.rule.index == rule.index
    }

    /// Whether workers may never be given back while it lasts.
    pub const fn keeps_workers(&self) -> bool {
        match self.state {
            State::Paused | State::Taken(_) => true,
            State::Slow(_) | State::DownUntil(_) | State::Falling { .. } => false,
        }
    }

    pub const fn is_down(&self, now: Nanos) -> bool {
        self.down_until() > now
    }

    /// Nobody is at the replica's address before this instant; 0 where it takes nobody away.
    pub const fn down_until(&self) -> Nanos {
        match self.state {
            State::DownUntil(until) | State::Falling { down_until: until, .. } => until,
            State::Slow(_) | State::Paused | State::Taken(_) => 0,
        }
    }
}

impl ReplicaFault {
    /// The spans that show it, the best first.
    pub(super) const fn signs(&self) -> &'static [Side] {
        match self {
            Self::Cpu { .. } => &[Side::Server, Side::Client],
            // A wait for a worker is before the SERVER span.
            Self::Pause | Self::PoolExhaustion { .. } => &[Side::Client, Side::Server],
            Self::Crash { .. } | Self::RestartLoop { .. } | Self::Down => DEATH_SIGNS,
        }
    }
}
