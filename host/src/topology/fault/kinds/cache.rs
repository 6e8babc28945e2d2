//! What strikes caches: their entries and the room for them.

use super::super::super::key::{Key, Required};
use super::super::super::shapes::By;
use super::super::super::types::POSITIVE_SHARE;
use super::LooksAt::Caches;
use super::{Declaration, Keys, Read, Stores};
use crate::error::Problem;
use crate::model::{CacheEffect, CacheFault, Effect};

pub(super) static KINDS: [Declaration; 2] = [
    Declaration::new(Caches, "flush-cache", "FLUSHALL, a restart without persistence", &[], |keys| {
        read(keys, CacheFault::Flush, String::new())
    }),
    Declaration::new(
        Caches,
        "shrink-cache",
        "a smaller node, a tenant that takes the memory",
        &[&LEFT],
        shrink,
    )
    .by_magnitude(),
];

/// A fault of the caches that the target names.
pub(super) fn read(keys: &Keys<'_, '_>, fault: CacheFault, detail: String) -> Option<Read> {
    let Stores::Caches(Some(caches)) = keys.stores else { return None };
    let one_of = if caches.len() > 1 { caches.clone() } else { Vec::new() };
    Read::detailed(Effect::Cache(CacheEffect { cache: *caches.first()?, one_of, fault }), detail)
}

static LEFT: Key<By<f64>, Required> = Key {
    name: "left",
    of: POSITIVE_SHARE,
    absent: Required("say which share of the cache is left: left = 0.2"),
    says: "the share that is left of the `memory` and the `entries` of the cache",
};

fn shrink(keys: &Keys<'_, '_>) -> Option<Read> {
    let left = keys.read(&LEFT)?;
    if left >= 1.0 {
        let problem = Problem::new("left = 1 leaves the cache as it is").label("has no effect");
        return keys.get(&LEFT)?.refuse(problem.help("write a share below 1: left = 0.2"));
    }
    read(keys, CacheFault::Shrink { left }, format!(" to {left}"))
}
