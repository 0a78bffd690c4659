//! The seat of one process at the kernel's table: how anything in its store reaches the host.
//!
//! The host's `env` is lent for one poll at a time, so it is kept here and nowhere else. A stream
//! or a clock that the process made holds the seat, never the pointer.

use crate::abi::{Buf, Call, Host, Op, answer};
use crate::tail::Tail;
use std::ffi::{c_int, c_void};
use std::future::poll_fn;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};
use std::task::Poll;
use wasmtime::{Result, bail};

pub const STDOUT: c_int = 1;
pub const STDERR: c_int = 2;

pub struct Seat {
    host: Host,
    /// Null outside a poll.
    env: AtomicPtr<c_void>,
    /// Never contended: only the poll writes, and only the poll's end reads.
    tail: Mutex<Tail>,
}

impl Seat {
    pub fn new(host: Host) -> Self {
        Seat { host, env: AtomicPtr::new(ptr::null_mut()), tail: Mutex::default() }
    }

    /// Lend `env` to the process until the next call of this; null at the end of a poll.
    pub fn lend(&self, env: *mut c_void) {
        self.env.store(env, Relaxed);
    }

    fn env(&self) -> *mut c_void {
        self.env.load(Relaxed)
    }

    /// An operation that the host answers at once.
    pub fn ask(&self, op: Op, mut args: Call) -> Result<Call> {
        let (mut reply, mut trap) = (Call::default(), Buf::default());
        match (self.host.call)(self.env(), op as u32, &mut args, &mut reply, &mut trap) {
            answer::READY => Ok(reply),
            _ => bail!("{}", trap.take_text()),
        }
    }

    /// An operation that may have to wait.
    pub async fn wait(&self, op: Op, mut args: Call) -> Result<Call> {
        let (mut reply, mut trap) = (Call::default(), Buf::default());
        let mut rc = (self.host.call)(self.env(), op as u32, &mut args, &mut reply, &mut trap);
        drop(args);
        if rc == answer::PENDING {
            // Pending ends this poll: the host has only just said that it must wait.
            let mut is_first = true;
            rc = poll_fn(|_| {
                if std::mem::take(&mut is_first) {
                    return Poll::Pending;
                }
                match (self.host.resume)(self.env(), &mut reply, &mut trap) {
                    answer::PENDING => Poll::Pending,
                    rc => Poll::Ready(rc),
                }
            })
            .await;
        }
        if rc == answer::READY { Ok(reply) } else { bail!("{}", trap.take_text()) }
    }

    pub fn print(&self, fd: c_int, bytes: &[u8]) {
        if bytes.is_empty() {
            return; // a flush is a write of nothing
        }
        if fd == STDERR
            && let Ok(mut tail) = self.tail.lock()
        {
            tail.push(bytes);
        }
        (self.host.print)(self.env(), fd, bytes.as_ptr(), bytes.len());
    }

    pub fn last_words(&self) -> String {
        self.tail.lock().map(|mut tail| tail.text()).unwrap_or_default()
    }

    pub fn now_mono_ns(&self) -> i64 {
        (self.host.now_mono_ns)(self.env())
    }

    pub fn now_wall_ns(&self) -> i64 {
        (self.host.now_wall_ns)(self.env())
    }

    /// Outside a poll there is nobody to ask.
    pub fn may_grow(&self, held: u64, more: u64) -> bool {
        let env = self.env();
        env.is_null() || self.host.may_grow.is_none_or(|ask| ask(env, held, more))
    }

    pub fn random(&self, bytes: &mut [u8]) {
        (self.host.random)(self.env(), bytes.as_mut_ptr(), bytes.len());
    }
}
