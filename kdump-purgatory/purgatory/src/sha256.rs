//! SHA-256 of physical memory: FIPS 180-4 around sha2's compression function.
//!
//! sha2's own hasher copies partial blocks by slices, whose bounds checks and memcpy calls a
//! program without panics and without a global offset table cannot have.

use core::slice;

use sha2::block_api::compress256;

use crate::mem;

/// Bytes of a block, and where its length field begins in the last one.
const BLOCK: u64 = 64;
const LENGTH_AT: u64 = 56;

/// A message digest.
pub(crate) type Digest = [u8; 32];

/// A digest in the making.
pub(crate) struct Sha256 {
    state: [u32; 8],
    /// The block being filled and how much of it is, always less than all of it.
    block: [u8; 64],
    filled: u64,
    /// Bytes of the message so far.
    len: u64,
}

impl Sha256 {
    /// FIPS 180-4, 5.3.3.
    pub(crate) fn new() -> Self {
        Self {
            state: [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ],
            block: [0; 64],
            filled: 0,
            len: 0,
        }
    }

    /// Appends `len` bytes at address `start` to the message.
    ///
    /// # Safety
    /// They are readable.
    pub(crate) unsafe fn update(&mut self, start: u64, len: u64) {
        self.len = self.len.wrapping_add(len);
        let mut at = start;
        let mut left = len;
        if self.filled != 0 {
            let taken = left.min(BLOCK - self.filled);
            // SAFETY: the caller's promise; `taken` bytes are free in the block.
            unsafe { self.fill(at, taken) };
            if self.filled < BLOCK {
                return;
            }
            compress256(&mut self.state, &[self.block]);
            self.filled = 0;
            at += taken;
            left -= taken;
        }
        // SAFETY: the caller's promise; an array of bytes needs no alignment.
        let blocks = unsafe { slice::from_raw_parts(at as *const [u8; 64], (left / BLOCK) as usize) };
        compress256(&mut self.state, blocks);
        let rest = left % BLOCK;
        // SAFETY: the caller's promise; the block is empty.
        unsafe { self.fill(at + (left - rest), rest) };
    }

    /// Copies `len` bytes at `at` behind what the block holds.
    ///
    /// # Safety
    /// They are readable and fit.
    unsafe fn fill(&mut self, at: u64, len: u64) {
        let to = (&raw mut self.block) as u64 + self.filled;
        // SAFETY: the caller's promise.
        unsafe { mem::copy(at, to, len) };
        self.filled += len;
    }

    /// Pads the message (FIPS 180-4, 5.1.1) and returns its digest.
    pub(crate) fn finish(mut self) -> Digest {
        let end = [0x80_u8];
        // SAFETY: the block is never full.
        unsafe { self.fill((&raw const end) as u64, 1) };
        if self.filled > LENGTH_AT {
            self.clear_rest();
            compress256(&mut self.state, &[self.block]);
            self.filled = 0;
        }
        self.clear_rest();
        let bits = self.len.wrapping_mul(8).to_be_bytes();
        if let Some(field) = self.block.last_chunk_mut::<8>() {
            *field = bits;
        }
        compress256(&mut self.state, &[self.block]);
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        digest
    }

    /// Zeroes what is free in the block.
    fn clear_rest(&mut self) {
        let to = (&raw mut self.block) as u64 + self.filled;
        // SAFETY: the rest of the block.
        unsafe { mem::clear(to, BLOCK - self.filled) };
    }
}
