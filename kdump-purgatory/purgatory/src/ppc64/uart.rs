//! A virtual terminal, written by calls of the hypervisor (LoPAPR, "Virtual Terminal (Vterm)").

use crate::handover;

/// What the hypervisor answers where the terminal takes no more at present.
const H_BUSY: i64 = 1;
/// As often a byte is offered before it is given up; a call takes about a microsecond.
const PATIENCE: u32 = 10_000;

/// The unit address of the terminal.
#[derive(Clone, Copy)]
pub(crate) struct Uart(u32);

unsafe extern "C" {
    /// Offers a byte to a terminal, and returns what the hypervisor answers (`entry.s`).
    fn put_term_char(terminal: u64, byte: u64) -> i64;
}

impl Uart {
    /// The terminal of the hand-over.
    pub(crate) fn open() -> Option<Self> {
        handover::serial().map(Self)
    }

    /// Whether it takes a byte, which only sending one tells.
    pub(crate) fn is_ready(self) -> bool {
        true
    }

    /// Sends a byte, which is lost where the terminal does not take it.
    pub(crate) fn send(self, byte: u8) {
        for _ in 0..PATIENCE {
            // SAFETY: the loader says that this machine has a hypervisor.
            if unsafe { put_term_char(u64::from(self.0), u64::from(byte)) } != H_BUSY {
                return;
            }
        }
    }
}
