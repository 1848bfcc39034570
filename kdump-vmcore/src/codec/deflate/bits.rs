//! Bits of a block, the lowest first (RFC 1951, 3.1.1).

/// Writes bits. What was put in since the last [`Bits::flush`] has 56 bits at most.
pub(super) struct Bits<'a> {
    output: &'a mut [u8],
    at: usize,
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(output: &'a mut [u8]) -> Self {
        Self { output, at: 0, waiting: 0, count: 0 }
    }

    /// Bytes that are written.
    pub(super) fn len(&self) -> usize {
        self.at
    }

    /// Whether there is room for so many bits more.
    pub(super) fn room(&self, bits: u64) -> Option<()> {
        let free = self.output.len().checked_sub(self.at)? as u64;
        (bits.wrapping_add(self.count.into()).div_ceil(8) <= free).then_some(())
    }

    /// Adds the low `count` bits of `bits`; there are no others.
    #[inline(always)]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.waiting |= bits.wrapping_shl(self.count);
        self.count = self.count.wrapping_add(count);
    }

    /// Adds a code.
    #[inline(always)]
    pub(super) fn code(&mut self, (code, len): (u16, u8)) {
        self.put(code.into(), len.into());
    }

    /// Writes all whole bytes.
    #[inline(always)]
    pub(super) fn flush(&mut self) -> Option<()> {
        let whole = self.count / 8;
        let bytes = self.waiting.to_le_bytes();
        match self.output.get_mut(self.at..)?.first_chunk_mut() {
            Some(room) => *room = bytes,
            None => {
                let bytes = bytes.get(..whole as usize)?;
                self.output.get_mut(self.at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
            }
        }
        self.at = self.at.wrapping_add(whole as usize);
        self.waiting = self.waiting.checked_shr(whole.wrapping_mul(8)).unwrap_or(0);
        self.count &= 7;
        Some(())
    }

    /// Goes on with a whole byte.
    pub(super) fn align(&mut self) -> Option<()> {
        self.count = self.count.next_multiple_of(8);
        self.flush()
    }

    /// Writes bytes behind whole bytes.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.output.get_mut(self.at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.at = self.at.wrapping_add(bytes.len());
        Some(())
    }

    /// Writes a block that is not compressed (RFC 1951, 3.2.4).
    pub(super) fn stored(&mut self, bytes: &[u8], last: bool) -> Option<()> {
        let len = u16::try_from(bytes.len()).ok()?;
        self.put(last.into(), 3);
        self.align()?;
        self.bytes(&len.to_le_bytes())?;
        self.bytes(&(!len).to_le_bytes())?;
        self.bytes(bytes)
    }
}
