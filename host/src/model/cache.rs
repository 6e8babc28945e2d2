//! Caches of a topology.

use super::{Distribution, Nanos, Place};

/// `[caches.NAME]`: entries that services share, with the least recently used ones evicted.
#[derive(Clone, Debug, PartialEq)]
pub struct Cache {
    pub name: String,
    pub system: CacheSystem,
    /// What its entries may take: bytes.
    pub memory: u64,
    /// How many entries there may be.
    pub entries: u64,
    /// One way between a service and the cache.
    pub latency: Distribution,
    /// How long a service waits for an answer; none: until it is there.
    pub timeout: Option<Nanos>,
    /// How long requests wait at most for the one that makes a missing entry; none: each makes it itself.
    pub single_flight: Option<Nanos>,
    /// Its name in the file.
    pub place: Place,
}

/// What a cache is to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheSystem {
    Redis,
}

impl CacheSystem {
    /// `db.system.name`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
        }
    }
}
