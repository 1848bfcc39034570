//! A 16550 serial port behind I/O ports, written without interrupts (PC16550D data sheet).

use core::cell::Cell;

use crate::cpu::{inb, outb};
use crate::handover;

/// Registers, as offsets from the first port.
const DATA: u16 = 0;
const INTERRUPT_ENABLE: u16 = 1;
const DIVISOR_LOW: u16 = 0;
const DIVISOR_HIGH: u16 = 1;
const FIFO_CONTROL: u16 = 2;
const LINE_CONTROL: u16 = 3;
const MODEM_CONTROL: u16 = 4;
const LINE_STATUS: u16 = 5;

const LINE_CONTROL_8N1: u8 = 0x03;
const LINE_CONTROL_DIVISOR_ACCESS: u8 = 0x80;
const MODEM_CONTROL_DTR_RTS: u8 = 0x03;
const FIFO_ENABLE_AND_CLEAR: u8 = 0x07;
const LINE_STATUS_TRANSMITTER_EMPTY: u8 = 0x20;

/// The clock of a PC's UART divided by 16.
const BASE_BAUD: u32 = 115_200;

/// Polls of the line status before a port is given up, for all bytes to come: one that is not
/// there must not hold up the capture. At a microsecond a poll this outlasts a byte at 300 baud.
const PATIENCE: u32 = 100_000;

/// Where messages go, if anywhere.
pub(crate) struct Console(Cell<Option<u16>>);

impl Console {
    /// Opens the port of the hand-over; programs it if a line speed is given.
    pub(crate) fn open() -> Self {
        let Some((base, baud)) = handover::serial() else {
            return Self(Cell::new(None));
        };
        if let Some(divisor) = BASE_BAUD.checked_div(baud) {
            let [low, high, ..] = divisor.clamp(1, 0xffff).to_le_bytes();
            outb(base.wrapping_add(INTERRUPT_ENABLE), 0);
            outb(base.wrapping_add(LINE_CONTROL), LINE_CONTROL_DIVISOR_ACCESS | LINE_CONTROL_8N1);
            outb(base.wrapping_add(DIVISOR_LOW), low);
            outb(base.wrapping_add(DIVISOR_HIGH), high);
            outb(base.wrapping_add(LINE_CONTROL), LINE_CONTROL_8N1);
            outb(base.wrapping_add(FIFO_CONTROL), FIFO_ENABLE_AND_CLEAR);
            outb(base.wrapping_add(MODEM_CONTROL), MODEM_CONTROL_DTR_RTS);
        }
        Self(Cell::new(Some(base)))
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
        for _ in 0..PATIENCE {
            if inb(base.wrapping_add(LINE_STATUS)) & LINE_STATUS_TRANSMITTER_EMPTY != 0 {
                outb(base.wrapping_add(DATA), byte);
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
