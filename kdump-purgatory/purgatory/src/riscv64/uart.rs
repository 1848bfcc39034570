//! A 16550 serial port in memory, written without interrupts (PC16550D data sheet) and left as the dead
//! kernel set it. Its registers are bytes, one after the other.

use crate::handover;

/// Registers, as offsets from the first.
const DATA: u64 = 0;
const LINE_STATUS: u64 = 5;
const LINE_STATUS_TRANSMITTER_EMPTY: u8 = 0x20;

/// The address of the first register.
#[derive(Clone, Copy)]
pub(crate) struct Uart(u64);

impl Uart {
    /// The port of the hand-over.
    pub(crate) fn open() -> Option<Self> {
        handover::serial().map(Self)
    }

    /// Whether it takes a byte.
    pub(crate) fn is_ready(self) -> bool {
        let status = self.0.wrapping_add(LINE_STATUS) as *const u8;
        // SAFETY: the loader says that a 16550 is there; addresses are physical.
        unsafe { status.read_volatile() & LINE_STATUS_TRANSMITTER_EMPTY != 0 }
    }

    /// Sends a byte, which is lost unless the port is ready.
    pub(crate) fn send(self, byte: u8) {
        let data = self.0.wrapping_add(DATA) as *mut u8;
        // SAFETY: as for `is_ready`.
        unsafe { data.write_volatile(byte) };
    }
}
