//! The console: a serial port that is given up once it does not answer.

use core::cell::Cell;

use crate::uart::Uart;

/// Polls of the line status before a port is given up, for all bytes to come: one that is not
/// there must not hold up the capture. At a microsecond a poll (an I/O port) this outlasts a byte
/// at 300 baud, at a tenth of one (a register in memory) a byte at 9600.
const PATIENCE: u32 = 100_000;

/// Where messages go, if anywhere.
pub(crate) struct Console(Cell<Option<Uart>>);

impl Console {
    /// Opens the port of the hand-over.
    pub(crate) fn open() -> Self {
        Self(Cell::new(Uart::open()))
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
        let Some(uart) = self.0.get() else { return };
        for _ in 0..PATIENCE {
            if uart.is_ready() {
                uart.send(byte);
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
