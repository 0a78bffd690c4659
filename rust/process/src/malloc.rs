//! One allocator on both sides of the seam.
//!
//! Rust allocates with the `malloc` that C uses, so a `Vec` becomes a buffer of C, and a buffer of
//! C a `Vec`, without a copy. `free` asks for no layout, which is what makes that sound here.

use std::alloc::{GlobalAlloc, Layout};

unsafe extern "C" {
    fn malloc(bytes: usize) -> *mut u8;
    fn calloc(n: usize, bytes: usize) -> *mut u8;
    fn realloc(block: *mut u8, bytes: usize) -> *mut u8;
    fn aligned_alloc(align: usize, bytes: usize) -> *mut u8;
    pub fn free(block: *mut u8);
}

/// What malloc aligns to on every target we build for.
const MALLOC_ALIGN: usize = 16;

struct Malloc;

#[global_allocator]
static ALLOCATOR: Malloc = Malloc;

// SAFETY: these are malloc's own guarantees; larger alignments go to aligned_alloc, whose blocks
// `free` takes as well.
unsafe impl GlobalAlloc for Malloc {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            unsafe { malloc(layout.size()) }
        } else {
            let bytes = layout.size().next_multiple_of(layout.align());
            unsafe { aligned_alloc(layout.align(), bytes) }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            return unsafe { calloc(1, layout.size()) };
        }
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        unsafe { free(block) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        if layout.align() <= MALLOC_ALIGN {
            return unsafe { realloc(block, bytes) };
        }
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(bytes, layout.align()));
            if !moved.is_null() {
                std::ptr::copy_nonoverlapping(block, moved, bytes.min(layout.size()));
                free(block);
            }
            moved
        }
    }
}
