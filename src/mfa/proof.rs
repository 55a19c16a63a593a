//! That a code was right, and is spent.

use portcullis_base::names::DeviceSerial;

/// A right code whose time step has been spent durably; it opens one challenge.
// INVARIANT (proof): made only by `Spending::settled`, which the store calls after its durable write.
#[derive(Debug)]
pub struct Proof {
    serial: DeviceSerial,
    step: u64,
}

impl Proof {
    pub(super) fn new(serial: DeviceSerial, step: u64) -> Self {
        Self { serial, step }
    }

    /// The device that was used.
    pub fn serial(&self) -> &DeviceSerial {
        &self.serial
    }

    /// The time step that was spent.
    pub fn step(&self) -> u64 {
        self.step
    }
}
