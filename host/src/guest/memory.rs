//! The bound of a worker's memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::ResourceLimiter;

use crate::wasi::bill::{self, Bill};

/// A page of a linear memory: bytes.
const PAGE_BYTES: u64 = 64 << 10;

/// Bounds a worker's memory, and remembers that it was reached: the guest only
/// sees an allocation fail, and most abort.
pub(super) struct MemoryLimit {
    bytes: usize,
    pub reached: bool,
    /// What the guest has: it has one memory, which never shrinks.
    used: usize,
    /// What is lost besides.
    leaked: usize,
    /// What all workers of the replica have: bytes. A store's data has to be `Send`, hence the atomic.
    of_replica: Arc<AtomicU64>,
    /// Growing costs the guest.
    bill: Bill,
}

impl MemoryLimit {
    pub const fn new(bytes: usize, of_replica: Arc<AtomicU64>, bill: Bill) -> Self {
        Self { bytes, reached: false, used: 0, leaked: 0, of_replica, bill }
    }

    /// Takes `bytes` for ever; false if there is no room for them.
    pub fn leak(&mut self, bytes: u64) -> bool {
        let leaked = self.leaked.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.take((leaked - self.leaked) as u64);
        self.leaked = leaked;
        self.has_room_for(self.used)
    }

    fn take(&self, bytes: u64) {
        self.of_replica.fetch_add(bytes, Ordering::Relaxed);
    }

    const fn has_room_for(&self, used: usize) -> bool {
        used.saturating_add(self.leaked) <= self.bytes
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        self.of_replica.fetch_sub((self.used + self.leaked) as u64, Ordering::Relaxed);
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, now: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let has_room = self.has_room_for(desired);
        self.reached |= !has_room;
        if has_room {
            self.take(desired.saturating_sub(self.used) as u64);
            self.used = desired;
            self.bill.charge(bill::PAGE * (desired.saturating_sub(now) as u64).div_ceil(PAGE_BYTES));
        }
        Ok(has_room)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        const TABLE_ENTRIES: usize = 1 << 20;
        Ok(desired <= TABLE_ENTRIES)
    }
}
