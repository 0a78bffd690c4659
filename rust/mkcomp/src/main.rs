//! `thole-component CORE.wasm WIT-DIR WORLD OUT.wasm`: make a component of a core module.
//!
//! A node runs components only, so this runs at the desk of the one who builds a package. The
//! module must follow the canonical ABI of WORLD already: its imports, its exports, `memory`, and
//! `cabi_realloc`.

use std::fmt::Display;
use std::path::Path;
use std::process::ExitCode;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const USAGE: &str = "usage: thole-component CORE.wasm WIT-DIR WORLD OUT.wasm";

/// The first eight bytes of a core module.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Prefix an error with what it is about.
fn about<E: Display>(subject: &str) -> impl FnOnce(E) -> String {
    move |e| format!("{subject}: {e:#}")
}

fn read_core(path: &str) -> Result<Vec<u8>, String> {
    let bytes = std::fs::read(path).map_err(about(path))?;
    if bytes.starts_with(COMPONENT) {
        return Err(format!("{path}: this is a component already"));
    }
    if !bytes.starts_with(CORE_MODULE) {
        return Err(format!("{path}: this is not a core WebAssembly module"));
    }
    Ok(bytes)
}

fn componentize(mut core: Vec<u8>, wit_dir: &str, world: &str) -> Result<Vec<u8>, String> {
    if !Path::new(wit_dir).exists() {
        return Err(format!("{wit_dir}: no such file or folder"));
    }
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(wit_dir).map_err(about(wit_dir))?;
    let world = resolve.select_world(&[package], Some(world)).map_err(about(wit_dir))?;
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8)
        .map_err(about("world"))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&core)
        .and_then(|mut encoder| encoder.encode())
        .map_err(about("the module does not fit its world"))
}

fn run(args: &[String]) -> Result<(), String> {
    let [core, wit_dir, world, out] = args else {
        return Err(USAGE.to_owned());
    };
    let component = componentize(read_core(core)?, wit_dir, world)?;
    std::fs::write(out, component).map_err(about(out))
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("thole-component: {text}");
            ExitCode::FAILURE
        }
    }
}
