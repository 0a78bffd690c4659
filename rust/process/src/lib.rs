//! What the store of one process holds.
//!
//! This is the part of the engine that seldom changes: the C types that cross the seam, the
//! process's seat at the kernel's table, its limits, and WASI on top of it. It is a crate of its
//! own because all of WASI is generic over the store's data: instantiating it takes half a minute
//! of compiling, which an edit of the engine crate must not pay.

pub mod abi;
mod clock;
mod dice;
mod malloc;
mod output;
mod process;
mod quota;
mod seat;
mod tail;

pub use process::{Process, wasi_linker};
pub use quota::{Gauge, Quota};
pub use seat::Seat;
