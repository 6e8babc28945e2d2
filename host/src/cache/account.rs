//! What was asked of caches, and what became of it: for the report.

use super::StoreCounts;

/// What was asked of one cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheAccount {
    pub name: String,
    pub store: StoreCounts,
    pub clients: ClientCounts,
    /// Entries that there are, and the bytes that they take.
    pub keys: u64,
    pub bytes: u64,
}

/// What clients have met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientCounts {
    /// Commands that were sent.
    pub commands: u64,
    /// Of those, the ones that were sent when no more requests were made.
    pub late: u64,
    /// Of those, the ones without an answer: too late, or refused.
    pub unanswered: u64,
    /// Lookups that have waited for an entry that another request was making.
    pub waited: u64,
}

impl CacheAccount {
    /// Takes in what another world has counted.
    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (&mut self.store, &other.store);
        mine.hits += theirs.hits;
        mine.misses += theirs.misses;
        mine.evicted += theirs.evicted;
        mine.expired += theirs.expired;
        let (mine, theirs) = (&mut self.clients, &other.clients);
        mine.commands += theirs.commands;
        mine.late += theirs.late;
        mine.unanswered += theirs.unanswered;
        mine.waited += theirs.waited;
        self.keys += other.keys;
        self.bytes += other.bytes;
    }
}
