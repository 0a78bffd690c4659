//! `wasi:random` on the dice of the host, so that a simulated run can be repeated.

use crate::seat::Seat;
use rand_core::TryRng;
use std::convert::Infallible;
use std::sync::Arc;

pub struct Dice(pub Arc<Seat>);

impl Dice {
    pub fn throw<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.random(&mut bytes);
        bytes
    }
}

impl TryRng for Dice {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.throw()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.throw()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.random(bytes);
        Ok(())
    }
}
