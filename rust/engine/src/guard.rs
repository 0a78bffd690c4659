//! No panic leaves this crate, and no failure is without words.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use thole_process::abi::Buf;
use wasmtime::Result;

/// What came of something that may panic.
pub enum Outcome<T> {
    Done(T),
    Panic(String),
}

thread_local! {
    static IS_GUARDED: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keep panics under guard off standard error: their text belongs to the process that caused them.
/// Others are reported as before.
pub fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IS_GUARDED.get() {
                LAST_PANIC.set(Some(describe(info)));
            } else {
                previous(info);
            }
        }));
    });
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line()));
    format!("panic: {}{}", message_of(info.payload()), place.unwrap_or_default())
}

fn message_of(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or(payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without words")
}

pub fn guard<T>(work: impl FnOnce() -> T) -> Outcome<T> {
    let was_guarded = IS_GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(work));
    IS_GUARDED.set(was_guarded);
    match result {
        Ok(value) => Outcome::Done(value),
        Err(payload) => Outcome::Panic(
            LAST_PANIC.take().unwrap_or_else(|| format!("panic: {}", message_of(&*payload))),
        ),
    }
}

/// Do what may fail on behalf of C: a failure is written to `error`, whose old content counts as
/// garbage. Errors are for people: the whole chain on one line.
///
/// # Safety
/// `error` is null or may be written to.
pub unsafe fn guard_error<T>(error: *mut Buf, work: impl FnOnce() -> Result<T>) -> Option<T> {
    let text = match guard(work) {
        Outcome::Done(Ok(value)) => return Some(value),
        Outcome::Done(Err(e)) => format!("{e:#}"),
        Outcome::Panic(text) => text,
    };
    if !error.is_null() {
        unsafe { error.write(text.into()) };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmtime::bail;

    fn text_of(work: impl FnOnce() -> Result<()>) -> String {
        let mut error = Buf::default();
        assert!(unsafe { guard_error(&mut error, work) }.is_none());
        error.take_text()
    }

    #[test]
    fn a_panic_becomes_a_text_with_its_place() {
        install_hook();
        let text = text_of(|| panic!("as {}", "expected"));
        assert!(text.starts_with("panic: as expected at ") && text.contains("guard.rs:"));
    }

    #[test]
    fn an_error_is_one_line() {
        install_hook();
        assert_eq!(text_of(|| bail!("no")), "no");
        let nested = text_of(|| Err(wasmtime::Error::msg("because").context("no")));
        assert_eq!(nested, "no: because");
    }

    #[test]
    fn a_guard_within_a_guard_keeps_both_apart() {
        install_hook();
        let text = text_of(|| {
            text_of(|| panic!("inner"));
            panic!("outer")
        });
        assert!(text.starts_with("panic: outer"));
    }
}
