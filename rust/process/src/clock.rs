//! `wasi:clocks` on the clocks of the host, so that a simulator owns the time.

use crate::seat::Seat;
use std::sync::Arc;
use std::time::Duration;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

pub struct Clock(pub Arc<Seat>);

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.now_mono_ns().max(0) as u64
    }
}

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.now_wall_ns().max(0) as u64)
    }
}
