//! Why a simulated world cannot go on.

/// Nothing sensible can happen any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Halt {
    /// No task is ready, no timer is set, and in virtual time nobody else could wake one.
    #[error("the simulation has come to a stop: every task waits for another, and no timer is set")]
    Stalled,
    /// All that is left waits for instants behind the last that a clock shows.
    #[error("simulated time is over: all that is left waits beyond 2554-07-21T23:34:33Z, its end")]
    Over,
    /// Tasks wake each other without end, and no time passes.
    #[error("simulated time stands still: {polls} steps at one instant, and no end")]
    Endless {
        /// Tasks that were polled at the instant.
        polls: u64,
    },
}

impl Halt {
    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Stalled => "this is a defect of simhost: please report it with the topology",
            Self::Over => "begin earlier, with --start, or let nothing sleep for centuries",
            Self::Endless { .. } => {
                "let something take time: the think time of a load's users, the latency of a link, the guest's work"
            }
        }
    }
}
