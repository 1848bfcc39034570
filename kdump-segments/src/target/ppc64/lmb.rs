//! Memory in logical blocks (LoPAPR, "ibm,dynamic-memory" and "ibm,dynamic-memory-v2").

use alloc::vec::Vec;

use kdump_elf::{Endian, PhysRange};

use crate::target::device_tree::Cells;
use crate::{Error, room};

/// Bits of the flags: the block belongs to this partition; it is not to be used.
const ASSIGNED: u32 = 0x8;
const RESERVED: u32 = 0x80;
/// Bytes of an entry of either form, behind a count.
const ENTRY: usize = 24;
/// More blocks than memory of 64 TiB has in blocks of 16 MiB.
const MOST: usize = 4 << 20;

/// The blocks in use, in the order of the property, which is that of `linux,drconf-usable-memory`.
pub(super) fn assigned(size: u64, value: &[u8], grouped: bool) -> Result<Vec<PhysRange>, Error> {
    let mut blocks = Vec::new();
    let entries = value.get(4..).unwrap_or_default().chunks_exact(ENTRY);
    let listed = Endian::Big.read::<u32>(value, 0).and_then(|count| usize::try_from(count).ok()).unwrap_or(0);
    for entry in entries.take(listed) {
        let flags: u32 = Endian::Big.read(entry, 20).unwrap_or(0);
        let (count, base) = if grouped {
            (Endian::Big.read::<u32>(entry, 0).unwrap_or(0), Endian::Big.read::<u64>(entry, 4).unwrap_or(0))
        } else {
            (1, Endian::Big.read::<u64>(entry, 0).unwrap_or(0))
        };
        if flags & ASSIGNED == 0 || flags & RESERVED != 0 {
            continue;
        }
        for index in 0..u64::from(count) {
            let start = base.saturating_add(index.saturating_mul(size));
            if blocks.len() >= MOST {
                let (value, limit) = (blocks.len() as u64, MOST as u64);
                return Err(Error::TooMany { what: "blocks of dynamic memory", value, limit });
            }
            room::push(&mut blocks, "blocks of dynamic memory", PhysRange::from_len(start, size)?)?;
        }
    }
    Ok(blocks)
}

/// `linux,drconf-usable-memory`: for each block a count, which is as wide as a size, and so many ranges.
pub(super) fn usable(blocks: &[PhysRange], usable: PhysRange, cells: Cells) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for block in blocks {
        let common = block.intersection(usable);
        cells.push_size(&mut out, u64::from(common.is_some()))?;
        if let Some(common) = common {
            cells.push(&mut out, common)?;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(words: [u32; 6]) -> Vec<u8> {
        words.into_iter().flat_map(u32::to_be_bytes).collect()
    }

    /// Both forms of the same memory: two blocks in use, one that is not, and one that is reserved.
    #[test]
    fn both_forms() {
        const SIZE: u64 = 0x1000_0000;
        let one = [
            [0, 0, 1, 0, 0, 8],
            [0, 0x1000_0000, 2, 0, 0, 8],
            [0, 0x2000_0000, 3, 0, 0, 0],
            [0, 0x3000_0000, 4, 0, 0, 0x88],
        ];
        let mut flat = 4_u32.to_be_bytes().to_vec();
        flat.extend(one.into_iter().flat_map(entry));
        let mut grouped = 3_u32.to_be_bytes().to_vec();
        grouped.extend(entry([2, 0, 0, 1, 0, 8]));
        grouped.extend(entry([1, 0, 0x2000_0000, 3, 0, 0]));
        grouped.extend(entry([1, 0, 0x3000_0000, 4, 0, 0x88]));
        let wanted = [PhysRange::from_len(0, SIZE).unwrap(), PhysRange::from_len(SIZE, SIZE).unwrap()];
        assert_eq!(assigned(SIZE, &flat, false).unwrap(), wanted);
        assert_eq!(assigned(SIZE, &grouped, true).unwrap(), wanted);
    }

    #[test]
    fn a_count_without_end_is_refused() {
        let mut grouped = 1_u32.to_be_bytes().to_vec();
        grouped.extend(entry([u32::MAX, 0, 0, 0, 0, 8]));
        assert!(matches!(assigned(1, &grouped, true), Err(Error::TooMany { .. })));
        assert!(assigned(0, &grouped, true).is_err());
    }
}
