//! Numbers as the dumped machine stores them.

/// Word size and byte order of what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// 64-bit words, else 32-bit ones.
    pub wide: bool,
    /// Most significant byte first.
    pub big: bool,
}

impl Wire {
    /// What x86_64 uses.
    pub const LE64: Self = Self { wide: true, big: false };
    /// All four combinations.
    pub const ALL: [Self; 4] = [
        Self { wide: true, big: false },
        Self { wide: true, big: true },
        Self { wide: false, big: false },
        Self { wide: false, big: true },
    ];

    /// Appends a 16-bit number.
    pub fn u16(self, out: &mut Vec<u8>, value: u16) {
        out.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    /// Appends a 32-bit number.
    pub fn u32(self, out: &mut Vec<u8>, value: u32) {
        out.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    /// Appends a 64-bit number.
    pub fn u64(self, out: &mut Vec<u8>, value: u64) {
        out.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    /// Appends a word; 32-bit machines keep the low half.
    pub fn word(self, out: &mut Vec<u8>, value: u64) {
        if self.wide { self.u64(out, value) } else { self.u32(out, value as u32) }
    }

    /// Bytes of a word.
    #[must_use]
    pub fn word_size(self) -> usize {
        if self.wide { 8 } else { 4 }
    }
}
