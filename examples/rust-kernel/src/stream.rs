//! The dump as a stream of blocks over the second serial port.
//!
//! Each block has a number and a checksum, and says where in the file its bytes belong, so that
//! whoever receives it knows of every byte whether it arrived. Bytes between two blocks that
//! follow each other are zero. All numbers are little endian:
//!
//! | offset | size | content                                              |
//! |-------:|-----:|------------------------------------------------------|
//! |      0 |    4 | `kds1`                                               |
//! |      4 |    4 | kind: 0 begin, 1 bytes of the file, 2 end            |
//! |      8 |    4 | number of the block, from 0                          |
//! |     12 |    4 | length of what follows the header                    |
//! |     16 |    8 | offset in the file; begin and end: size of the file  |
//! |     24 |    4 | CRC-32 (IEEE 802.3) of the 24 bytes above and of what follows |
//!
//! Kinds from 16 on are for compressed bytes.

use kdump_vmcore::{Error, WriteAt};

use crate::serial::STREAM;

/// Most bytes in a block: what a broken line costs.
const BLOCK: usize = 4096;

const BEGIN: u32 = 0;
const BYTES: u32 = 1;
const END: u32 = 2;

/// The sending end.
pub(crate) struct Stream {
    number: u32,
    file_size: u64,
}

impl Stream {
    /// Begins to send a file of this size.
    pub(crate) fn begin(file_size: u64) -> Self {
        STREAM.init();
        let mut this = Self { number: 0, file_size };
        this.send(BEGIN, file_size, &[]);
        this
    }

    /// Blocks sent.
    pub(crate) fn blocks(&self) -> u32 {
        self.number
    }

    fn send(&mut self, kind: u32, offset: u64, bytes: &[u8]) {
        let words = [u32::from_le_bytes(*b"kds1"), kind, self.number, bytes.len() as u32];
        let words = words.into_iter().chain([offset as u32, (offset >> 32) as u32]);
        let mut head = [0; 28];
        for (slot, byte) in head.iter_mut().zip(words.flat_map(u32::to_le_bytes)) {
            *slot = byte;
        }
        let (covered, field) = head.split_at_mut(24);
        field.copy_from_slice(&crc32(covered.iter().chain(bytes)).to_le_bytes());
        STREAM.write(&head);
        STREAM.write(bytes);
        self.number += 1;
    }
}

impl WriteAt for Stream {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        for (at, block) in (offset..).step_by(BLOCK).zip(bytes.chunks(BLOCK)) {
            self.send(BYTES, at, block);
        }
        Ok(())
    }

    /// What is not sent is zero.
    fn is_sparse(&self) -> bool {
        true
    }

    /// Ends it; without this block the file is incomplete.
    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        self.send(END, self.file_size, &[]);
        Ok(())
    }
}

/// CRC-32 as Ethernet has it, one table entry per byte.
fn crc32<'a>(bytes: impl Iterator<Item = &'a u8>) -> u32 {
    static TABLE: [u32; 256] = table();
    !bytes.fold(!0, |crc, byte| {
        let [low, ..] = crc.to_le_bytes();
        (crc >> 8) ^ TABLE.get(usize::from(low ^ byte)).copied().unwrap_or_default()
    })
}

#[allow(clippy::indexing_slicing, reason = "run by the compiler, which refuses an index out of bounds")]
const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let (mut value, mut bit) = (index as u32, 0);
        while bit < 8 {
            value = (value >> 1) ^ ((value & 1) * 0xedb8_8320);
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}
