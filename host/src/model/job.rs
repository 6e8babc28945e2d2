//! Jobs of a topology, which run by schedules.

use super::{Nanos, Place, ServiceId};

/// `[[schedules]]`: a job of a service that runs again and again.
#[derive(Clone, Debug, PartialEq)]
pub struct JobSchedule {
    pub service: ServiceId,
    /// The name that the guest is given.
    pub job: String,
    /// From one run to the next: nanoseconds.
    pub every: Nanos,
    /// When the first run is due, from the start of the world: nanoseconds.
    pub start: Nanos,
    /// A run begins up to this much later than it is due, drawn for each: nanoseconds.
    pub jitter: Nanos,
    pub overlap: Overlap,
    /// How long a run may take; none: as long as a request may.
    pub timeout: Option<Nanos>,
    pub on: OnReplicas,
    /// Whether it runs.
    pub enabled: bool,
    /// Where the topology names the job.
    pub place: Place,
}

/// What becomes of a run that is due while the one before goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// It is left out.
    Skip,
    /// It begins when that one has ended.
    Queue,
    /// Both run at the same time.
    Allow,
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnReplicas {
    /// At one replica, drawn for each run.
    One,
    /// At each replica; which of its runs overlap is looked at for each by itself.
    All,
}

impl Overlap {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Allow => "allow",
        }
    }
}

impl OnReplicas {
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::All => "all",
        }
    }
}
