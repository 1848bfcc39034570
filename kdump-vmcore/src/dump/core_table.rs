//! The file header and program headers of an ELF core, read from a source in bounded pieces.

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{ET_CORE, Ehdr, Phdr, PhdrTable};

use crate::error::{Error, Stopped, elf};
use crate::room::{push, zeroed};
use crate::source::ReadAt;

/// The longest table of program headers that is looked through.
const MAX_PHNUM: u32 = 1 << 23;
/// The most of them that may be in use: memory and the index of it take 250 bytes for each.
pub(crate) const MAX_USED: usize = 1 << 19;
/// The longest table whose unused entries are kept, so that its others keep their numbers.
const MAX_KEPT: u64 = 1 << 16;
/// `p_type` of an entry that is not used (gABI).
const PT_NULL: [u8; 4] = [0; 4];
/// Bytes of the table read at once; a multiple of both program header sizes.
const PIECE: usize = 56 * 32 * 64;

/// The header of an ELF core.
#[derive(Clone, Debug)]
pub(crate) struct CoreTable {
    pub(crate) ehdr: Ehdr,
    /// Without unused ones where there are more than 65536 entries: a sparse file can have millions.
    pub(crate) phdrs: Vec<Phdr>,
    /// The bytes of the file that the table of program headers has.
    pub(crate) place: Range<u64>,
}

impl CoreTable {
    /// Reads it from `source`, which has `size` bytes.
    pub(crate) fn read(source: &dyn ReadAt, size: u64) -> Result<Self, Error> {
        let read = |offset, buf: &mut [u8]| match source.read_full_at(offset, buf) {
            Ok(()) => Ok(buf.len()),
            Err(Stopped { error: Error::Truncated { .. }, read, .. }) => Ok(read),
            Err(stopped) => Err(stopped.error),
        };
        let PhdrTable { ehdr, phnum, offset, size: need, .. } =
            PhdrTable::find(read)?.map_err(elf("ELF header"))?;
        if ehdr.e_type != ET_CORE {
            return Err(Error::Corrupt {
                what: "e_type",
                value: u64::from(ehdr.e_type),
                expected: "4 (ET_CORE)",
            });
        }
        if phnum > MAX_PHNUM {
            let (value, limit) = (u64::from(phnum), u64::from(MAX_PHNUM));
            return Err(Error::TooLarge { what: "number of program headers", value, limit });
        }
        let have = size.saturating_sub(offset);
        if have < need {
            return Err(Error::Truncated { what: "program header table", offset, need, have });
        }
        let place = offset..offset.saturating_add(need);
        Ok(Self { ehdr, phdrs: read_phdrs(source, &ehdr, offset, need)?, place })
    }
}

/// `need` bytes of program headers from `offset` on; both are known to lie in the source.
fn read_phdrs(source: &dyn ReadAt, ehdr: &Ehdr, offset: u64, need: u64) -> Result<Vec<Phdr>, Error> {
    let entry = usize::from(ehdr.encoding.phdr_size());
    let mut phdrs = Vec::new();
    let mut piece = zeroed("a piece of the program headers", need.min(PIECE as u64))?;
    let keep_all = need <= MAX_KEPT.saturating_mul(entry as u64);
    let mut done = 0_u64;
    while done < need {
        let want = need.saturating_sub(done).min(piece.len() as u64);
        let buf = piece.get_mut(..usize::try_from(want).unwrap_or(0)).unwrap_or_default();
        source.read_full_at(offset.saturating_add(done), buf)?;
        // Both classes begin with `p_type`.
        for bytes in buf.chunks_exact(entry).filter(|bytes| keep_all || !bytes.starts_with(&PT_NULL)) {
            if phdrs.len() == MAX_USED {
                let what = "number of program headers in use, not all counted,";
                let (value, limit) = (MAX_USED.saturating_add(1) as u64, MAX_USED as u64);
                return Err(Error::TooLarge { what, value, limit });
            }
            let phdr = Phdr::parse(bytes, ehdr.encoding).map_err(elf("program header"))?;
            push(&mut phdrs, "the program headers", phdr)?;
        }
        done = done.saturating_add(want);
    }
    Ok(phdrs)
}
