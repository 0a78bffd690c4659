//! The data of a process's store.

use crate::clock::Clock;
use crate::dice::Dice;
use crate::output::Output;
use crate::quota::Quota;
use crate::seat::{STDERR, STDOUT, Seat};
use std::sync::Arc;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Engine, Result};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

/// Open files, streams, timers: a guest that needs more leaks them.
const WASI_HANDLES_MAX: usize = 10_000;
/// What one call of get-random-bytes may ask for.
const RANDOM_BYTES_MAX: u64 = 1 << 20;

pub struct Process {
    pub seat: Arc<Seat>,
    pub quota: Quota,
    /// node, process, package, publisher
    pub our: [String; 4],
    /// Becomes /tmp.
    pub tmp_dir: Option<String>,
    pub vars: Vec<(String, String)>,
    /// Made at the first WASI call: most processes never make one.
    wasi: Option<Box<(WasiCtx, ResourceTable)>>,
}

impl Process {
    pub fn new(
        seat: Arc<Seat>,
        quota: Quota,
        our: [String; 4],
        tmp_dir: Option<String>,
        vars: Vec<(String, String)>,
    ) -> Self {
        Process { seat, quota, our, tmp_dir, vars, wasi: None }
    }

    fn wasi_new(&self) -> (WasiCtx, ResourceTable) {
        let seat = &self.seat;
        let dice = || Dice(seat.clone());
        let mut builder = WasiCtxBuilder::new();
        builder
            .stdout(Output { seat: seat.clone(), fd: STDOUT })
            .stderr(Output { seat: seat.clone(), fd: STDERR })
            .monotonic_clock(Clock(seat.clone()))
            .wall_clock(Clock(seat.clone()))
            .secure_random(dice())
            .insecure_random(dice())
            .insecure_random_seed(u128::from_le_bytes(dice().throw()))
            .max_random_size(RANDOM_BYTES_MAX)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false)
            .envs(&self.vars);
        // A process whose folder is gone runs without one.
        if let Some(dir) = &self.tmp_dir
            && builder.preopened_dir(dir, "/tmp", FsPerms::ReadWrite).is_ok()
        {
            builder.initial_cwd("/tmp");
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(WASI_HANDLES_MAX);
        (builder.build(), table)
    }
}

impl WasiView for Process {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        if self.wasi.is_none() {
            self.wasi = Some(Box::new(self.wasi_new()));
        }
        let wasi = self.wasi.as_mut().expect("made above");
        WasiCtxView { ctx: &mut wasi.0, table: &mut wasi.1 }
    }
}

/// A linker that knows all of WASI 0.2. Sockets are there and refuse.
pub fn wasi_linker(engine: &Engine) -> Result<Linker<Process>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(linker)
}
