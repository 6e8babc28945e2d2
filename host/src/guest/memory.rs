//! The bound of a worker's memory.

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
    /// Growing costs the guest.
    bill: Bill,
}

impl MemoryLimit {
    pub const fn new(bytes: usize, bill: Bill) -> Self {
        Self { bytes, reached: false, used: 0, leaked: 0, bill }
    }

    /// Takes `bytes` for ever; false if there is no room for them.
    pub fn leak(&mut self, bytes: u64) -> bool {
        self.leaked = self.leaked.saturating_add(usize::try_from(bytes).unwrap_or(usize::MAX));
        self.has_room_for(self.used)
    }

    const fn has_room_for(&self, used: usize) -> bool {
        used.saturating_add(self.leaked) <= self.bytes
    }
}

impl ResourceLimiter for MemoryLimit {
    fn memory_growing(&mut self, now: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let has_room = self.has_room_for(desired);
        self.reached |= !has_room;
        if has_room {
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
