//! What the servers of caches tell, by the names of the Collector's receiver `redis`.

use crate::metrics::{LookedAt, Own};
use crate::model::{CacheSystem, Model, Nanos};
use crate::telemetry::record::KeyValue;

use super::{Cache, Caches, DATABASE, StoreCounts};

/// The attribute of that receiver.
const DB: &str = "db";

/// The caches of a topology whose servers tell how they are, in the order of the file.
pub fn servers(model: &Model) -> impl Iterator<Item = &str> {
    model.caches.iter().filter(|cache| tells(cache.system)).map(|cache| cache.name.as_str())
}

const fn tells(system: CacheSystem) -> bool {
    match system {
        CacheSystem::Redis => true,
    }
}

impl Caches {
    /// What each server tells, in the order of [`servers`].
    pub fn observed(&self, now: Nanos) -> impl Iterator<Item = Vec<LookedAt>> {
        self.all.iter().filter(|cache| tells(cache.settings.system)).map(move |cache| cache.observed(now))
    }
}

impl Cache {
    fn observed(&self, now: Nanos) -> Vec<LookedAt> {
        let mut store = self.store.borrow_mut();
        store.expire(now);
        let StoreCounts { hits, misses, evicted, expired } = store.counts();
        let (keys, bytes) = store.size();
        let one = |own, value: u64| (own, vec![([].into(), value as i64)]);
        vec![
            one(Own::RedisCommands, self.executed.get()),
            one(Own::RedisHits, hits),
            one(Own::RedisMisses, misses),
            one(Own::RedisEvicted, evicted),
            one(Own::RedisExpired, expired),
            (Own::RedisKeys, vec![([KeyValue::new(DB, DATABASE)].into(), keys as i64)]),
            one(Own::RedisMemory, bytes),
        ]
    }
}
