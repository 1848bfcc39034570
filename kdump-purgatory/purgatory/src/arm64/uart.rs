//! A PL011 serial port, written without interrupts (Arm PrimeCell UART PL011, 3.2) and left as the
//! dead kernel set it.

use crate::handover;

/// Registers, as offsets from the first.
const DATA: u64 = 0;
const FLAGS: u64 = 0x18;
const FLAGS_TRANSMIT_FULL: u32 = 1 << 5;

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
        let flags = self.0.wrapping_add(FLAGS) as *const u32;
        // SAFETY: the loader says that a PL011 is there; addresses are physical.
        unsafe { flags.read_volatile() & FLAGS_TRANSMIT_FULL == 0 }
    }

    /// Sends a byte, which is lost unless the port is ready.
    pub(crate) fn send(self, byte: u8) {
        let data = self.0.wrapping_add(DATA) as *mut u32;
        // SAFETY: as for `is_ready`.
        unsafe { data.write_volatile(u32::from(byte)) };
    }
}
