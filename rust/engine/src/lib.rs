//! The Wasm engine of thole behind a C ABI: `include/th_engine.h` is its contract.
//!
//! A process is one Wasmtime store inside one future: the typed call of `init`. The kernel polls
//! it, its waker is the kernel's `wake`, and dropping it is a kill. The kernel decides everything
//! else; this crate carries values across the boundary and turns every failure, a Rust panic
//! included, into a text.

mod bindings;
mod convert;
mod engine;
mod guard;
mod imports;
mod instance;
mod program;
mod standard;
