//! Faults of replicas, as the ledger has them: the bus keeps what befalls each of them.

use crate::model::ReplicaFault;

use super::signs::Side;

/// The spans that show the end of a process, the best first: one that dies records nothing.
pub const DEATH_SIGNS: &[Side] = &[Side::Client];

impl ReplicaFault {
    /// The spans that show it, the best first.
    pub const fn signs(&self) -> &'static [Side] {
        match self {
            Self::Cpu { .. } => &[Side::Server, Side::Client],
            // A wait for a worker is before the SERVER span.
            Self::Pause | Self::PoolExhaustion { .. } => &[Side::Client, Side::Server],
            Self::Crash { .. } | Self::RestartLoop { .. } | Self::Down => DEATH_SIGNS,
        }
    }
}
