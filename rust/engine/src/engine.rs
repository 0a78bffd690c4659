//! The engine: the compiler's settings, what a process may import, and a timer for sleepers.

use crate::bindings::wit;
use crate::guard::{guard_error, install_hook};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ptr;
use std::sync::{Arc, OnceLock};
use thole_process::abi::{Buf, EngineOptions};
use thole_process::{Process, wasi_linker};
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, Result, WasmBacktraceDetails};

/// Reserved addresses only; a blocked process has touched two pages. What the guest's stack leaves
/// is for host calls.
const STACK_BYTES: usize = 1 << 20;
const WASM_STACK_BYTES: usize = 512 << 10;
const SMALL_STACK_BYTES: usize = 256 << 10;
const SMALL_WASM_STACK_BYTES: usize = 128 << 10;
const SMALL_RESERVATION_BYTES: u64 = 64 << 20;
const SMALL_GUARD_BYTES: u64 = 64 << 10;

/// The interface, and the same under the name of Kinode's successor.
pub const KINODE: &str = "kinode:process/standard@1.0.0";
pub const HYPERWARE: &str = "hyperware:process/standard@1.0.0";

/// Raised when a compiled file of the same Wasmtime and the same options may no longer be opened.
const CACHE_FORMAT: u32 = 1;

pub struct Engine {
    pub options: EngineOptions,
    pub wasmtime: wasmtime::Engine,
    pub linker: Linker<Process>,
    runtime: OnceLock<Runtime>,
}

impl Engine {
    fn new(options: EngineOptions) -> Result<Self> {
        install_hook();
        let wasmtime = wasmtime::Engine::new(&config(options))?;
        let mut linker = wasi_linker(&wasmtime)?;
        for name in [KINODE, HYPERWARE] {
            let mut instance = linker.instance(name)?;
            wit::add_to_linker_instance::<_, HasSelf<_>>(&mut instance, |process| process)?;
        }
        Ok(Engine { options, wasmtime, linker, runtime: OnceLock::new() })
    }

    /// WASI sleeps and reads files on this; its threads start with the first program that could.
    pub fn runtime(&self) -> Result<&Runtime> {
        if self.runtime.get().is_none() {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .max_blocking_threads(2)
                .enable_time()
                .thread_name("th-wasi")
                .build()?;
            if let Err(surplus) = self.runtime.set(runtime) {
                surplus.shutdown_background(); // another thread was first
            }
        }
        Ok(self.runtime.get().expect("set above"))
    }
}

impl Drop for Engine {
    /// The last program or instance may go on any thread, and that one must not wait.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn config(options: EngineOptions) -> Config {
    let mut config = Config::new();
    config
        .max_wasm_stack(WASM_STACK_BYTES)
        .async_stack_size(STACK_BYTES)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable); // else the environment decides
    if options.is_deterministic {
        config
            .consume_fuel(true)
            .cranelift_nan_canonicalization(true)
            .relaxed_simd_deterministic(true);
    } else {
        config.epoch_interruption(true);
    }
    if options.many_processes {
        config
            .max_wasm_stack(SMALL_WASM_STACK_BYTES)
            .async_stack_size(SMALL_STACK_BYTES)
            .memory_reservation(SMALL_RESERVATION_BYTES)
            .memory_reservation_for_growth(SMALL_RESERVATION_BYTES)
            .memory_guard_size(SMALL_GUARD_BYTES)
            .guard_before_linear_memory(false)
            .memory_init_cow(false);
    }
    config
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_engine_new(
    options: *const EngineOptions,
    error: *mut Buf,
) -> *const Engine {
    let work = || Ok(Arc::into_raw(Arc::new(Engine::new(unsafe { *options })?)));
    unsafe { guard_error(error, work) }.unwrap_or(ptr::null())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_engine_free(engine: *const Engine) -> *const Engine {
    if !engine.is_null() {
        drop(unsafe { Arc::from_raw(engine) });
    }
    ptr::null()
}

#[unsafe(no_mangle)]
pub extern "C" fn th_engine_tick(engine: &Engine) {
    engine.wasmtime.increment_epoch();
}

#[unsafe(no_mangle)]
pub extern "C" fn th_engine_compatibility(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    CACHE_FORMAT.hash(&mut hasher);
    engine.options.hash(&mut hasher);
    engine.wasmtime.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}
