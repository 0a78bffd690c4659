//! The types of `th_engine.h`, field for field.
//!
//! The layouts are asserted here and in the header against the same numbers, so a drift breaks the
//! build on both sides.

use crate::malloc::free;
use std::ffi::{c_char, c_int, c_void};
use std::mem::{ManuallyDrop, offset_of, size_of, take};
use std::ptr;

/// Bytes of malloc's (`th_wbuf`). Who is left with them frees them; null is empty, or taken.
#[repr(C)]
pub struct Buf {
    ptr: *mut u8,
    len: usize,
}

/// A list of malloc's (`th_wcaps`, `th_wmsgs`), owned like a `Buf`.
#[repr(C)]
pub struct Array<T> {
    ptr: *mut T,
    len: usize,
}

/// `th_waddr`. A process id is an address without a node.
#[repr(C)]
#[derive(Default)]
pub struct Address {
    pub node: Buf,
    pub process: Buf,
    pub package: Buf,
    pub publisher: Buf,
}

/// `th_wcap`
#[repr(C)]
#[derive(Default)]
pub struct Cap {
    pub issuer: Address,
    pub params: Buf,
}

/// `enum th_wkind`
pub mod kind {
    pub const REQUEST: u8 = 0;
    pub const RESPONSE: u8 = 1;
    pub const OFFLINE: u8 = 2;
    pub const TIMEOUT: u8 = 3;
}

/// `th_wmsg`: one shape for requests, responses, and errors.
#[repr(C)]
#[derive(Default)]
pub struct Message {
    pub peer: Address,
    pub kind: u8,
    pub is_response: bool,
    pub inherit: bool,
    pub has_expects: bool,
    pub has_metadata: bool,
    pub has_context: bool,
    pub has_blob: bool,
    pub has_mime: bool,
    pub expects_s: u64,
    pub body: Buf,
    pub metadata: Buf,
    pub context: Buf,
    pub mime: Buf,
    pub blob: Buf,
    pub caps: Array<Cap>,
}

/// `enum th_wop`
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum Op {
    Print,
    GetOnExit,
    SetOnExit,
    GetState,
    SetState,
    ClearState,
    Spawn,
    SaveCaps,
    DropCaps,
    OurCaps,
    Receive,
    HasBlob,
    GetBlob,
    LastBlob,
    SendRequests,
    SendResponse,
    Await,
}

/// `th_wcall`: the arguments and the reply of every operation.
#[repr(C)]
#[derive(Default)]
pub struct Call {
    pub number: u64,
    pub on_exit: u8,
    pub is_public: bool,
    pub has_text: bool,
    pub text: Buf,
    pub path: Buf,
    pub messages: Array<Message>,
    pub caps: Array<Cap>,
    pub grants: Array<Cap>,
}

/// `enum th_wanswer`
pub mod answer {
    use std::ffi::c_int;
    pub const READY: c_int = 0;
    pub const PENDING: c_int = 1;
}

/// `th_whost`
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Host {
    pub call: extern "C" fn(*mut c_void, u32, *mut Call, *mut Call, *mut Buf) -> c_int,
    pub resume: extern "C" fn(*mut c_void, *mut Call, *mut Buf) -> c_int,
    pub wake: extern "C" fn(u64),
    pub print: extern "C" fn(*mut c_void, c_int, *const u8, usize),
    pub now_mono_ns: extern "C" fn(*mut c_void) -> i64,
    pub now_wall_ns: extern "C" fn(*mut c_void) -> i64,
    pub random: extern "C" fn(*mut c_void, *mut u8, usize),
    pub may_grow: Option<extern "C" fn(*mut c_void, u64, u64) -> bool>,
}

/// `th_wlimits`
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Limits {
    pub memory_bytes_max: u64,
    pub table_elements_max: u64,
    pub message_bytes_max: u64,
    pub slice_fuel: u64,
}

/// `th_instance_options`
#[repr(C)]
pub struct InstanceOptions {
    pub our: *const c_char,
    pub pid: u64,
    pub host: *const Host,
    pub limits: Limits,
    pub tmp_dir: *const c_char,
    pub env: *const *const c_char,
}

/// `th_engine_options`
#[derive(Clone, Copy, Hash)]
#[repr(C)]
pub struct EngineOptions {
    pub is_deterministic: bool,
    pub many_processes: bool,
}

/// `th_wend`
#[repr(C)]
#[derive(Default)]
pub struct End {
    pub text: Buf,
    pub exit_code: i32,
    pub refused_bytes: u64,
}

const _: () = {
    assert!(size_of::<usize>() == 8);
    assert!(size_of::<Buf>() == 16 && offset_of!(Buf, len) == 8);
    assert!(size_of::<Array<Cap>>() == 16 && offset_of!(Array<Cap>, len) == 8);
    assert!(size_of::<Address>() == 64 && offset_of!(Address, publisher) == 48);
    assert!(size_of::<Cap>() == 80 && offset_of!(Cap, params) == 64);
    assert!(size_of::<Message>() == 176 && offset_of!(Message, kind) == 64);
    assert!(offset_of!(Message, has_mime) == 71 && offset_of!(Message, expects_s) == 72);
    assert!(offset_of!(Message, body) == 80 && offset_of!(Message, caps) == 160);
    assert!(size_of::<Call>() == 96 && offset_of!(Call, on_exit) == 8);
    assert!(offset_of!(Call, has_text) == 10 && offset_of!(Call, text) == 16);
    assert!(offset_of!(Call, messages) == 48 && offset_of!(Call, grants) == 80);
    assert!(size_of::<Host>() == 64 && offset_of!(Host, may_grow) == 56);
    assert!(size_of::<Limits>() == 32 && offset_of!(Limits, slice_fuel) == 24);
    assert!(size_of::<InstanceOptions>() == 72);
    assert!(offset_of!(InstanceOptions, limits) == 24 && offset_of!(InstanceOptions, env) == 64);
    assert!(size_of::<EngineOptions>() == 2 && size_of::<End>() == 32);
    assert!(offset_of!(End, exit_code) == 16 && offset_of!(End, refused_bytes) == 24);
};

// SAFETY: these are owners of heap memory like Vec, with nothing of a thread in them.
unsafe impl Send for Buf {}
unsafe impl Sync for Buf {}
unsafe impl<T: Send> Send for Array<T> {}
unsafe impl<T: Sync> Sync for Array<T> {}

impl Default for Buf {
    fn default() -> Self {
        Buf { ptr: ptr::null_mut(), len: 0 }
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        // SAFETY: null, or a block of malloc's that nobody took.
        unsafe { free(self.ptr) }
    }
}

impl From<Vec<u8>> for Buf {
    fn from(bytes: Vec<u8>) -> Self {
        if bytes.capacity() == 0 {
            return Buf::default(); // such a Vec points nowhere
        }
        let mut bytes = ManuallyDrop::new(bytes);
        Buf { ptr: bytes.as_mut_ptr(), len: bytes.len() }
    }
}

impl From<String> for Buf {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl Buf {
    pub fn take_bytes(&mut self) -> Vec<u8> {
        let taken = take(self);
        if taken.ptr.is_null() || taken.len == 0 {
            return Vec::new();
        }
        let taken = ManuallyDrop::new(taken);
        // SAFETY: a block of malloc's of at least `len` bytes, which is ours now. Its real capacity
        // may be larger; the allocator never asks for it.
        unsafe { Vec::from_raw_parts(taken.ptr, taken.len, taken.len) }
    }

    /// Text for the guest must be UTF-8, whatever the host wrote.
    pub fn take_text(&mut self) -> String {
        String::from_utf8(self.take_bytes())
            .unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

impl<T> Default for Array<T> {
    fn default() -> Self {
        Array { ptr: ptr::null_mut(), len: 0 }
    }
}

impl<T> Drop for Array<T> {
    fn drop(&mut self) {
        drop(self.take_items());
    }
}

impl<T> Array<T> {
    pub fn take_items(&mut self) -> Vec<T> {
        let taken = ManuallyDrop::new(take(self));
        if taken.ptr.is_null() || taken.len == 0 {
            // SAFETY: null, or a block of malloc's without items.
            unsafe { free(taken.ptr.cast()) };
            return Vec::new();
        }
        // SAFETY: as in Buf::take_bytes.
        unsafe { Vec::from_raw_parts(taken.ptr, taken.len, taken.len) }
    }

    pub fn take_first(&mut self) -> Option<T> {
        self.take_items().into_iter().next()
    }
}

impl<T> FromIterator<T> for Array<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let items: Vec<T> = items.into_iter().collect();
        if items.capacity() == 0 {
            return Array::default();
        }
        let mut items = ManuallyDrop::new(items);
        Array { ptr: items.as_mut_ptr(), len: items.len() }
    }
}
