//! A PL011 serial port, written without interrupts (Arm PrimeCell UART PL011, 3.2) and left as the
//! dead kernel set it.

use core::cell::Cell;

use crate::handover;

/// Registers, as offsets from the first.
const DATA: u64 = 0;
const FLAGS: u64 = 0x18;
const FLAGS_TRANSMIT_FULL: u32 = 1 << 5;

/// Polls of the flags before a port is given up, for all bytes to come: one that is not there must
/// not hold up the capture. At a tenth of a microsecond a poll this outlasts a byte at 9600 baud.
const PATIENCE: u32 = 100_000;

/// Where messages go, if anywhere.
pub(crate) struct Console(Cell<Option<u64>>);

impl Console {
    /// Opens the port of the hand-over.
    pub(crate) fn open() -> Self {
        Self(Cell::new(handover::serial()))
    }

    /// Writes a message.
    #[inline(never)]
    pub(crate) fn print(&self, text: &str) {
        for byte in text.bytes() {
            self.put(byte);
        }
    }

    /// Writes bytes in hexadecimal.
    #[inline(never)]
    pub(crate) fn print_hex(&self, bytes: &[u8]) {
        for byte in bytes {
            self.put(hex_digit(byte >> 4));
            self.put(hex_digit(byte & 15));
        }
    }

    #[inline(never)]
    fn put(&self, byte: u8) {
        let Some(base) = self.0.get() else { return };
        let (data, flags) = (base.wrapping_add(DATA) as *mut u32, base.wrapping_add(FLAGS) as *const u32);
        for _ in 0..PATIENCE {
            // SAFETY: the loader says that a PL011 is there; addresses are physical.
            if unsafe { flags.read_volatile() } & FLAGS_TRANSMIT_FULL == 0 {
                // SAFETY: as above.
                unsafe { data.write_volatile(u32::from(byte)) };
                return;
            }
        }
        self.0.set(None);
    }
}

/// The digit for a value below 16.
fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => nibble.wrapping_add(b'0'),
        _ => nibble.wrapping_add(b'a' - 10),
    }
}
