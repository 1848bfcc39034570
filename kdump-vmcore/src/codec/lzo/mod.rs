//! LZO1X, without allocator and without unsafe code.
//!
//! The format has no specification of its own; Documentation/staging/lzo.rst of Linux describes
//! the bits, and liblzo2 was asked where that is not clear. A block is a row of
//! instructions. Each begins with an opcode and, but for runs of literals, means a copy from
//! the output, its length and distance, and how many literals (`SS`, none to three) follow it:
//!
//! | opcode | copies | distance |
//! |---|---|---|
//! | `1LLDDDSS`, `01LDDDSS` | 3 to 8 bytes, `L` + 3 (three bits with the leading one) | to 2 KiB: a byte follows, `D` below it |
//! | `001LLLLL` | `L` + 2 bytes; `L` = 0: 33 and what follows | to 16 KiB: 16 bits follow, `SS` at the bottom |
//! | `0001HLLL` | `L` + 2 bytes; `L` = 0: 9 and what follows | 16 KiB and more: 16 bits follow, `H` above them |
//! | `0000DDSS`, after 1 to 3 literals | 2 bytes | to 1 KiB: a byte follows, `D` below it |
//! | `0000DDSS`, after 4 literals or more | 3 bytes | 2 to 3 KiB |
//! | `0000LLLL`, after no literal | no copy but `L` + 3 literals; `L` = 0: 18 and what follows | |
//!
//! A distance of exactly 16 KiB in the third form ends the block: `11 00 00`. The first byte
//! of a block is a run of itself less 17 literals when it is above that. Lengths that follow
//! are zero bytes of 255 each and a last byte that is not zero.

mod decode;
mod encode;

pub use decode::decompress;
pub use encode::{LzoWork, compress};

use alloc::boxed::Box;

use super::{Codec, CodecError};

#[derive(Debug, Default)]
pub(crate) struct Decompressor;

impl Decompressor {
    pub(crate) fn decode(&mut self, _: Codec, input: &[u8], output: &mut [u8]) -> Result<usize, CodecError> {
        decompress(input, output)
    }
}

#[derive(Debug)]
pub(crate) struct Compressor(Box<LzoWork>);

impl Compressor {
    pub(crate) fn new(_: Codec, _: i32) -> Result<Self, CodecError> {
        Ok(Self(Box::default()))
    }

    pub(crate) fn encode(&mut self, _: Codec, page: &[u8], output: &mut [u8]) -> Result<usize, CodecError> {
        compress(page, output, &mut self.0)
    }
}
