//! An instance: one process, which is one store inside one future.

use crate::engine::Engine;
use crate::guard::{Outcome, guard, guard_error};
use crate::program::Program;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Wake, Waker};
use thole_process::abi::{Buf, End, Host, InstanceOptions, Limits};
use thole_process::{Gauge, Process, Quota, Seat};
use wasmtime::{Error, Result, Store, bail};
use wasmtime_wasi::I32Exit;

/// What a call may bring along besides its payload: names, addresses, the records themselves.
const CALL_OVERHEAD_BYTES: u64 = 64 << 10;

/// `enum th_wstatus`
const BLOCKED: c_int = 0;
const RETURNED: c_int = 1;
const EXITED: c_int = 2;
const TRAPPED: c_int = 3;
const PANICKED: c_int = 4;

type Life = Pin<Box<dyn Future<Output = Result<()>> + Send>>;

pub struct Instance {
    /// None as soon as the process ended: its memory does not wait for th_instance_free.
    life: Option<Life>,
    waker: Waker,
    seat: Arc<Seat>,
    gauge: Arc<Gauge>,
    uses_wasi: bool,
    engine: Arc<Engine>,
}

/// Wakers outlive the process: they know it by number only.
struct Bell {
    wake: extern "C" fn(u64),
    pid: u64,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        (self.wake)(self.pid);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.wake)(self.pid);
    }
}

/// # Safety
/// `text` is null or ends in a zero byte.
unsafe fn text_of(text: *const c_char) -> Option<String> {
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// # Safety
/// `list` is null or ends in a null.
unsafe fn vars_of(mut list: *const *const c_char) -> Vec<(String, String)> {
    let mut vars = Vec::new();
    while !list.is_null()
        && let Some(var) = unsafe { text_of(*list) }
    {
        if let Some((name, value)) = var.split_once('=') {
            vars.push((name.to_owned(), value.to_owned()));
        }
        list = unsafe { list.add(1) };
    }
    vars
}

/// `node@process:package:publisher`
fn parse_address(text: &str) -> Result<[String; 4]> {
    if let Some((node, pid)) = text.split_once('@')
        && let [process, package, publisher] = pid.split(':').collect::<Vec<_>>()[..]
        && !pid.contains('@')
        && [node, process, package, publisher].iter().all(|part| !part.is_empty())
    {
        return Ok([node, process, package, publisher].map(str::to_owned));
    }
    bail!("not an address: {text}")
}

fn store_new(program: &Program, process: Process, limits: &Limits) -> Result<Store<Process>> {
    let mut store = Store::new(program.pre.engine(), process);
    store.limiter(|process| &mut process.quota);
    let call_bytes_max = limits.message_bytes_max.saturating_add(CALL_OVERHEAD_BYTES);
    store.set_hostcall_fuel(usize::try_from(call_bytes_max)?);
    if program.engine.options.is_deterministic {
        store.set_fuel(u64::MAX)?;
        store.fuel_async_yield_interval(Some(limits.slice_fuel))?;
    } else {
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
    }
    Ok(store)
}

/// # Safety
/// The pointers in `options` are what the header says.
unsafe fn instance_new(program: &Program, options: &InstanceOptions) -> Result<Instance> {
    let Some(our) = (unsafe { text_of(options.our) }) else {
        bail!("a process needs an address");
    };
    let host: Host = unsafe { *options.host };
    let seat = Arc::new(Seat::new(host));
    let gauge = Arc::<Gauge>::default();
    let process = Process::new(
        seat.clone(),
        Quota::new(&options.limits, gauge.clone(), seat.clone()),
        parse_address(&our)?,
        unsafe { text_of(options.tmp_dir) },
        unsafe { vars_of(options.env) },
    );
    let store = store_new(program, process, &options.limits)?;
    let pre = program.pre.clone();
    let life = Box::pin(async move {
        let mut store = store;
        pre.instantiate_async(&mut store).await?.call_init(&mut store, &our).await
    });
    Ok(Instance {
        life: Some(life),
        waker: Arc::new(Bell { wake: host.wake, pid: options.pid }).into(),
        seat,
        gauge,
        uses_wasi: program.uses_wasi,
        engine: program.engine.clone(),
    })
}

impl Instance {
    fn poll(&mut self, env: *mut c_void) -> (c_int, End) {
        let Some(life) = self.life.as_mut() else {
            return (PANICKED, end_of("polled after its end".to_owned()));
        };
        self.seat.lend(env);
        let polled = guard(|| {
            // Sleeping and reading files look for the runtime of the thread.
            let runtime = if self.uses_wasi { self.engine.runtime().ok() } else { None };
            let _entered = runtime.map(|runtime| runtime.enter());
            life.as_mut().poll(&mut Context::from_waker(&self.waker))
        });
        let (status, end) = match polled {
            Outcome::Done(Poll::Pending) => {
                self.seat.lend(ptr::null_mut());
                return (BLOCKED, End::default());
            }
            Outcome::Done(Poll::Ready(Ok(()))) => (RETURNED, End::default()),
            Outcome::Done(Poll::Ready(Err(e))) => self.failed(&e),
            Outcome::Panic(text) => (PANICKED, end_of(text)),
        };
        self.drop_life();
        let refused_bytes = self.gauge.refused_bytes.load(Relaxed);
        (status, End { refused_bytes, ..end })
    }

    fn failed(&self, error: &Error) -> (c_int, End) {
        let last_words = self.seat.last_words();
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return (EXITED, End { exit_code: exit.0, text: last_words.into(), ..End::default() });
        }
        let mut text = format!("{error:?}");
        if !last_words.is_empty() {
            text = format!("{text}\n\nLast lines of its standard error:\n{last_words}");
        }
        (TRAPPED, end_of(text))
    }

    /// A panic in here is not worth a word: the process is gone either way.
    fn drop_life(&mut self) {
        let life = self.life.take();
        guard(|| drop(life));
        self.seat.lend(ptr::null_mut());
    }
}

fn end_of(text: String) -> End {
    End { text: text.into(), ..End::default() }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_instance_new(
    program: &Program,
    options: &InstanceOptions,
    error: *mut Buf,
) -> *mut Instance {
    let work = || Ok(Box::into_raw(Box::new(unsafe { instance_new(program, options) }?)));
    unsafe { guard_error(error, work) }.unwrap_or(ptr::null_mut())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_instance_poll(
    instance: &mut Instance,
    env: *mut c_void,
    end: *mut End,
) -> c_int {
    let (status, what) = instance.poll(env);
    if status != BLOCKED && !end.is_null() {
        unsafe { end.write(what) };
    }
    status
}

#[unsafe(no_mangle)]
pub extern "C" fn th_instance_memory_bytes(instance: &Instance) -> u64 {
    match instance.life {
        Some(_) => instance.gauge.memory_bytes.load(Relaxed),
        None => 0,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn th_instance_free(instance: *mut Instance) -> *mut Instance {
    if !instance.is_null() {
        let mut instance = unsafe { Box::from_raw(instance) };
        instance.drop_life();
    }
    ptr::null_mut()
}
