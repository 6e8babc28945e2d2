//! The memory of guests: small blocks that were given back are kept in lists, for the next who wants one of their size.
//!
//! A guest allocates for every text that comes in or goes out, and gives nearly all of it back before it answers: with
//! the standard allocator, which searches and merges, two fifths of an order's own instructions went into that. Blocks
//! of up to half a kilobyte stay in the list of their size, so a guest holds what it once needed of each size.
//!
//! Every block is one of the standard allocator's, which is that of the C library: what the host passes to the C
//! library, such as the environment, is allocated here and freed there.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, NonNull};

/// Sizes are rounded up to multiples of this many bytes.
const STEP: usize = 16;

/// How many sizes have a list.
const SIZES: usize = 32;

/// What the standard allocator aligns every block to on 32 bits, and so the most that a list's blocks have.
const ALIGNMENT: usize = 8;

/// A block that is free.
struct Free {
    next: Option<NonNull<Free>>,
}

/// The lists, by the size of their blocks.
struct Lists([Cell<Option<NonNull<Free>>>; SIZES]);

// SAFETY: a guest has one thread; this module is there for WebAssembly alone, and without its threads.
unsafe impl Sync for Lists {}

#[global_allocator]
static MEMORY: Lists = Lists([const { Cell::new(None) }; SIZES]);

/// Which list has such blocks; none where they come from the standard allocator.
const fn list_of(layout: &Layout) -> Option<usize> {
    let list = layout.size().wrapping_sub(1) / STEP;
    if list < SIZES && layout.align() <= ALIGNMENT { Some(list) } else { None }
}

impl Lists {
    /// A block of a list, or a new one of its size; null when there is no memory.
    fn take(&self, list: usize) -> *mut u8 {
        let Some(block) = self.0[list].get() else { return Self::new_block(list) };
        // SAFETY: what is in a list was put there as a `Free`, by `put`, and nobody else has it.
        self.0[list].set(unsafe { block.read() }.next);
        block.as_ptr().cast()
    }

    /// Adds a block to a list.
    ///
    /// # Safety
    /// The block has the size and the alignment of the list, and nobody else has it.
    unsafe fn put(&self, list: usize, block: *mut u8) {
        let Some(block) = NonNull::new(block.cast::<Free>()) else { return };
        // SAFETY: `STEP` bytes at `ALIGNMENT` hold a `Free`, and the caller gives the block away.
        unsafe { block.write(Free { next: self.0[list].get() }) };
        self.0[list].set(Some(block));
    }

    #[cold]
    #[inline(never)]
    fn new_block(list: usize) -> *mut u8 {
        match Layout::from_size_align((list + 1) * STEP, ALIGNMENT) {
            // SAFETY: no list has blocks of no size.
            Ok(layout) => unsafe { System.alloc(layout) },
            Err(_) => ptr::null_mut(),
        }
    }
}

// SAFETY: a block is in a list or with one owner, never both; whether it belongs to a list follows from its layout
// alone, which is the same when it is given back.
unsafe impl GlobalAlloc for Lists {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match list_of(&layout) {
            Some(list) => self.take(list),
            // SAFETY: the caller's promise is passed on.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match list_of(&layout) {
            // SAFETY: the block came from this list, and its owner gives it back.
            Some(list) => unsafe { self.put(list, block) },
            // SAFETY: the block came from there.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a size that makes a layout with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list_of(&layout), list_of(&wanted)) {
            // SAFETY: the block came from there.
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (before, after) if before == after => block,
            // SAFETY: both blocks are as long as the shorter of them, and they are two.
            _ => unsafe {
                let moved = self.alloc(wanted);
                if !moved.is_null() {
                    ptr::copy_nonoverlapping(block, moved, layout.size().min(size));
                    self.dealloc(block, layout);
                }
                moved
            },
        }
    }
}
