// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a CPU stopped: a note of this project's own, behind the registers.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Endian, Error};

/// Name of the note with a [`CrashCause`].
pub const CRASH_CAUSE_NOTE_NAME: &[u8] = b"KDUMP";
/// `n_type` of the note with a [`CrashCause`].
pub const NT_CRASH_CAUSE: u32 = 1;

/// Why a CPU stopped, and the registers that `pr_reg` has no place for. Linux writes no such
/// note; readers that do not know it pass it over.
///
/// As a descriptor: four numbers of 64 bits in the byte order of the dump, then the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct CrashCause {
    /// The architecture's number of the exception: the vector of x86, `ESR_EL1` of arm64,
    /// `scause` of riscv64.
    pub exception: u64,
    /// The error code, where the architecture has one beside the number; 0 otherwise.
    pub code: u64,
    /// The address the last page fault was about: CR2, `FAR_EL1`, `stval`. It is only of this
    /// exception if the number says so.
    pub fault_address: u64,
    /// The root of the page tables that were in use, as the register has it: CR3, `TTBR1_EL1`,
    /// `satp`.
    pub page_table: u64,
    /// What the kernel has to say, UTF-8; zeros follow.
    pub text: [u8; Self::TEXT],
}

impl CrashCause {
    /// Most bytes of text.
    pub const TEXT: usize = 64;
    /// Bytes of the descriptor.
    pub const SIZE: usize = size_of::<Self>();

    /// All zero, with as much of `text` as there is room for.
    #[must_use]
    pub fn with_text(text: &str) -> Self {
        let mut this = Self { exception: 0, code: 0, fault_address: 0, page_table: 0, text: [0; Self::TEXT] };
        crate::bytes::copy_to(&mut this.text, text.as_bytes());
        this
    }

    /// Reads a descriptor. A longer one is accepted.
    ///
    /// # Errors
    /// [`Error::Truncated`] when it is shorter than [`CrashCause::SIZE`].
    pub fn parse(desc: &[u8], endian: Endian) -> Result<Self, Error> {
        let Ok((raw, _)) = Self::read_from_prefix(desc) else {
            let (need, have) = (Self::SIZE as u64, desc.len() as u64);
            return Err(Error::Truncated { what: "crash cause", offset: 0, need, have });
        };
        let number = |word: u64| endian.number(word.to_ne_bytes());
        Ok(Self {
            exception: number(raw.exception),
            code: number(raw.code),
            fault_address: number(raw.fault_address),
            page_table: number(raw.page_table),
            text: raw.text,
        })
    }

    /// The text up to its first zero, as far as it is UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        let valid = match core::str::from_utf8(&self.text) {
            Ok(text) => text,
            Err(error) => {
                let valid = self.text.get(..error.valid_up_to()).unwrap_or_default();
                core::str::from_utf8(valid).unwrap_or_default()
            }
        };
        valid.split('\0').next().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_and_read_as_far_as_it_is_text() {
        let long = "a bad thing happened to a good kernel, and then another bad thing happened";
        let cause = CrashCause::with_text(long);
        assert_eq!(cause.text(), &long[..64]);
        assert_eq!(CrashCause::with_text("").text(), "");
        let cut = CrashCause {
            text: *b"caf\xc3 behind it something that is no text, up to its last byte...",
            ..cause
        };
        assert_eq!(cut.text(), "caf");
    }

    #[test]
    fn both_byte_orders_are_read() {
        let mut desc = [0; CrashCause::SIZE + 4];
        desc[7] = 14;
        desc[24] = 1;
        desc[32..35].copy_from_slice(b"why");
        let big = CrashCause::parse(&desc, Endian::Big).unwrap();
        assert_eq!((big.exception, big.page_table, big.text()), (14, 1 << 56, "why"));
        let little = CrashCause::parse(&desc, Endian::Little).unwrap();
        assert_eq!((little.exception, little.page_table), (14 << 56, 1));
        let error = CrashCause::parse(&desc[..95], Endian::Big).unwrap_err();
        assert_eq!(error, Error::Truncated { what: "crash cause", offset: 0, need: 96, have: 95 });
    }
}
