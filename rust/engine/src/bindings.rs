//! The world `process-v1`, generated.
//!
//! A call that the kernel may delay is an asynchronous import: those that wait for a message or for
//! the disk, and the sends, which may cost the sender the rest of its slice. Every call may trap.

wasmtime::component::bindgen!({
    path: "wit",
    world: "process-v1",
    imports: {
        "kinode:process/standard.clear-state": async | trappable,
        "kinode:process/standard.drop-capabilities": async | trappable,
        "kinode:process/standard.get-state": async | trappable,
        "kinode:process/standard.receive": async | trappable,
        "kinode:process/standard.save-capabilities": async | trappable,
        "kinode:process/standard.send-and-await-response": async | trappable,
        "kinode:process/standard.send-request": async | trappable,
        "kinode:process/standard.send-requests": async | trappable,
        "kinode:process/standard.send-response": async | trappable,
        "kinode:process/standard.set-on-exit": async | trappable,
        "kinode:process/standard.set-state": async | trappable,
        "kinode:process/standard.spawn": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub use kinode::process::standard as wit;
