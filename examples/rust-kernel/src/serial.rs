//! 16550 serial ports: the console on the first, the dump stream on the second.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::cpu;

/// The first serial port of a PC.
pub(crate) const CONSOLE: Serial = Serial { base: 0x3f8 };

/// The second one.
pub(crate) const STREAM: Serial = Serial { base: 0x2f8 };

/// Bytes the transmitter takes at once when it is empty.
const FIFO: usize = 16;

const LINE_STATUS: u16 = 5;
const RECEIVED: u8 = 1;
const TRANSMITTER_EMPTY: u8 = 0x20;

/// A serial port, named by its first I/O port.
#[derive(Clone, Copy)]
pub(crate) struct Serial {
    base: u16,
}

impl Serial {
    /// 115200 baud, 8N1, FIFO on, no interrupts (PC16550D data sheet).
    pub(crate) fn init(self) {
        for (register, value) in [(1, 0), (3, 0x80), (0, 1), (1, 0), (3, 3), (2, 7), (4, 3)] {
            cpu::outb(self.base + register, value);
        }
    }

    /// Sends all of `bytes`. A port that is not there does not hold the kernel up for long.
    pub(crate) fn write(self, bytes: &[u8]) {
        for piece in bytes.chunks(FIFO) {
            for _ in 0..100_000 {
                if cpu::inb(self.base + LINE_STATUS) & TRANSMITTER_EMPTY != 0 {
                    break;
                }
            }
            cpu::out_bytes(self.base, piece);
        }
    }

    /// A byte, if one has come.
    pub(crate) fn read(self) -> Option<u8> {
        let come = cpu::inb(self.base + LINE_STATUS) & RECEIVED != 0;
        come.then(|| cpu::inb(self.base))
    }
}

impl fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes());
        Ok(())
    }
}

/// Prints a line on the console.
macro_rules! say {
    ($($arg:tt)*) => { $crate::serial::print_line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// Keeps lines of different CPUs apart.
static BUSY: AtomicBool = AtomicBool::new(false);

/// Prints a line. Whoever holds the console may be dead, so nobody waits for it for ever.
pub(crate) fn print_line(line: fmt::Arguments<'_>) {
    for _ in 0..1_000_000 {
        if !BUSY.swap(true, Ordering::Acquire) {
            break;
        }
        core::hint::spin_loop();
    }
    crate::cause::hurt_console();
    // Writing to a port cannot fail.
    let _ = fmt::write(&mut { CONSOLE }, format_args!("{line}\r\n"));
    BUSY.store(false, Ordering::Release);
}
