//! A 16550 serial port behind I/O ports, written without interrupts (PC16550D data sheet).

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

/// The first of its I/O ports.
#[derive(Clone, Copy)]
pub(crate) struct Uart(u16);

impl Uart {
    /// The port of the hand-over, programmed if a line speed is given.
    pub(crate) fn open() -> Option<Self> {
        let (base, baud) = handover::serial()?;
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
        Some(Self(base))
    }

    /// Whether it takes a byte.
    pub(crate) fn is_ready(self) -> bool {
        inb(self.0.wrapping_add(LINE_STATUS)) & LINE_STATUS_TRANSMITTER_EMPTY != 0
    }

    /// Sends a byte, which is lost unless the port is ready.
    pub(crate) fn send(self, byte: u8) {
        outb(self.0.wrapping_add(DATA), byte);
    }
}
