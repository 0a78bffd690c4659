//! A program: compiled, its imports resolved, shared by any number of processes.

use crate::bindings::ProcessV1Pre;
use crate::engine::Engine;
use crate::guard::guard_error;
use crate::imports::missing;
use std::ffi::{CStr, c_char};
use std::sync::Arc;
use std::{ptr, slice};
use thole_process::Process;
use thole_process::abi::Buf;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;
use wasmtime::{Result, bail};

/// The first eight bytes: the magic number, then the version, whose upper half is the layer.
const MAGIC: &[u8] = b"\0asm";
const LAYER_MODULE: [u8; 2] = [0, 0];
const LAYER_COMPONENT: [u8; 2] = [1, 0];

pub struct Program {
    pub pre: ProcessV1Pre<Process>,
    /// Whether it could sleep or touch a file, and so needs the engine's runtime.
    pub uses_wasi: bool,
    pub engine: Arc<Engine>,
}

impl Program {
    fn new(engine: Arc<Engine>, component: &Component) -> Result<Self> {
        let pre = resolve(&engine, component)?;
        let uses_wasi = component
            .component_type()
            .imports(&engine.wasmtime)
            .any(|(name, _)| name.starts_with("wasi:"));
        if uses_wasi {
            engine.runtime()?;
        }
        Ok(Program { pre, uses_wasi, engine })
    }
}

/// Match the component with the world `process-v1`, in words for the one who wrote it.
fn resolve(engine: &Engine, component: &Component) -> Result<ProcessV1Pre<Process>> {
    match component.component_type().get_export(&engine.wasmtime, "init").map(|item| item.ty) {
        Some(ComponentItem::ComponentFunc(_)) => (),
        _ => {
            bail!("it exports no function `init`, where a process begins: init: func(our: string)")
        }
    }
    let pre = match engine.linker.instantiate_pre(component) {
        Ok(pre) => pre,
        Err(e) => match missing(&engine.linker, component).as_slice() {
            [] => return Err(e),
            names => bail!("it imports what this node does not have: {}", names.join(", ")),
        },
    };
    ProcessV1Pre::new(pre).map_err(|e| e.context("its export `init` is not func(our: string)"))
}

fn check_is_component(wasm: &[u8]) -> Result<()> {
    let Some(version) = wasm.strip_prefix(MAGIC) else {
        bail!("this is not WebAssembly: the first four bytes are wrong");
    };
    match version.get(2..4) {
        Some(layer) if layer == LAYER_COMPONENT => Ok(()),
        Some(layer) if layer == LAYER_MODULE => {
            bail!("this is a core module; make it a component with thole-component")
        }
        _ => bail!("this is neither a component nor a core module"),
    }
}

/// # Safety
/// `engine` came from th_engine_new.
unsafe fn program_new(
    engine: *const Engine,
    error: *mut Buf,
    load: impl FnOnce(&wasmtime::Engine) -> Result<Component>,
) -> *mut Program {
    let work = || {
        let engine = unsafe {
            Arc::increment_strong_count(engine);
            Arc::from_raw(engine)
        };
        let component = load(&engine.wasmtime)?;
        Ok(Box::into_raw(Box::new(Program::new(engine, &component)?)))
    };
    unsafe { guard_error(error, work) }.unwrap_or(ptr::null_mut())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_compile(
    engine: &Engine,
    wasm: *const u8,
    wasm_bytes: usize,
    compiled: *mut Buf,
    error: *mut Buf,
) -> bool {
    let work = || {
        let wasm = match wasm_bytes {
            0 => &[],
            _ => unsafe { slice::from_raw_parts(wasm, wasm_bytes) },
        };
        check_is_component(wasm)?;
        let component = Component::new(&engine.wasmtime, wasm)?;
        resolve(engine, &component)?;
        component.serialize()
    };
    match unsafe { guard_error(error, work) } {
        Some(bytes) => {
            unsafe { compiled.write(bytes.into()) };
            true
        }
        None => false,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_program_open(
    engine: *const Engine,
    path: *const c_char,
    error: *mut Buf,
) -> *mut Program {
    unsafe {
        program_new(engine, error, |wasmtime| {
            Component::deserialize_file(wasmtime, CStr::from_ptr(path).to_str()?)
        })
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_program_new(
    engine: *const Engine,
    compiled: *const u8,
    compiled_bytes: usize,
    error: *mut Buf,
) -> *mut Program {
    unsafe {
        program_new(engine, error, |wasmtime| {
            Component::deserialize(wasmtime, slice::from_raw_parts(compiled, compiled_bytes))
        })
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_program_free(program: *mut Program) -> *mut Program {
    if !program.is_null() {
        drop(unsafe { Box::from_raw(program) });
    }
    ptr::null_mut()
}
