//! How much memory a process may have.
//!
//! The library's own limits hold for each memory apart, which a component with eight of them
//! multiplies. Ours hold for the process: whatever is held for someone is charged to someone.

use crate::abi::Limits;
use crate::seat::Seat;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use wasmtime::{Error, ResourceLimiter, Result};

/// A JavaScript interpreter needs 13 core instances and 3 memories.
const CORE_INSTANCES_MAX: usize = 64;
const TABLES_MAX: usize = 32;
const MEMORIES_MAX: usize = 8;

/// What the owner of an instance may read of its quota.
#[derive(Default)]
pub struct Gauge {
    pub memory_bytes: AtomicU64,
    /// What it asked for last and did not get; 0: it got everything.
    pub refused_bytes: AtomicU64,
}

pub struct Quota {
    memory_bytes_max: u64,
    table_elements_max: u64,
    gauge: Arc<Gauge>,
    seat: Arc<Seat>,
    table_elements: u64,
    /// What was granted last: growing may still fail, and then it must be given back.
    granted: u64,
}

impl Quota {
    pub fn new(limits: &Limits, gauge: Arc<Gauge>, seat: Arc<Seat>) -> Self {
        Quota {
            memory_bytes_max: limits.memory_bytes_max,
            table_elements_max: limits.table_elements_max,
            gauge,
            seat,
            table_elements: 0,
            granted: 0,
        }
    }
}

impl ResourceLimiter for Quota {
    fn memory_growing(&mut self, now: usize, wanted: usize, max: Option<usize>) -> Result<bool> {
        let held = self.gauge.memory_bytes.load(Relaxed);
        self.granted = 0;
        let more = (wanted - now) as u64;
        if max.is_some_and(|max| wanted > max) {
            return Ok(false);
        }
        if more > self.memory_bytes_max.saturating_sub(held) || !self.seat.may_grow(held, more) {
            self.gauge.refused_bytes.store(more, Relaxed);
            return Ok(false);
        }
        self.granted = more;
        self.gauge.memory_bytes.store(held + more, Relaxed);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: Error) -> Result<()> {
        self.gauge.memory_bytes.fetch_sub(std::mem::take(&mut self.granted), Relaxed);
        Ok(())
    }

    fn table_growing(&mut self, now: usize, wanted: usize, max: Option<usize>) -> Result<bool> {
        self.granted = 0;
        let more = (wanted - now) as u64;
        let left = self.table_elements_max.saturating_sub(self.table_elements);
        if more > left || max.is_some_and(|max| wanted > max) {
            return Ok(false);
        }
        self.granted = more;
        self.table_elements += more;
        Ok(true)
    }

    fn table_grow_failed(&mut self, _: Error) -> Result<()> {
        self.table_elements -= std::mem::take(&mut self.granted);
        Ok(())
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES_MAX
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }

    fn memories(&self) -> usize {
        MEMORIES_MAX
    }
}
