//! Tells dump formats apart by their first bytes.

use crate::error::Error;
use crate::source::ReadAt;

/// A dump format, known by its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// An ELF core.
    Elf,
    /// makedumpfile's and QEMU's page-wise compressed format.
    KdumpCompressed,
    /// The older page-wise format that kdump-compressed grew from.
    Diskdump,
    /// A stream that makedumpfile -F writes, to be put together first.
    Flattened,
}

/// Bytes that tell the formats apart.
const ROOM: usize = 16;

impl Format {
    /// Recognises the format of `source`.
    ///
    /// # Errors
    /// [`Error::UnknownFormat`] when it is none, [`Error::Truncated`] when it is empty, or why the source cannot be read.
    pub fn probe<S: ReadAt + ?Sized>(source: &S) -> Result<Self, Error> {
        let mut head = [0; ROOM];
        let mut read = 0_usize;
        while let Some(rest) = head.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match source.read_at(read as u64, rest)? {
                0 => break,
                count => read = read.saturating_add(count),
            }
        }
        if read == 0 {
            let need = ROOM as u64;
            return Err(Error::Truncated { what: "signature", offset: 0, need, have: 0 });
        }
        const SIGNATURES: [(&[u8], Format); 4] = [
            (b"\x7fELF", Format::Elf),
            (b"KDUMP   ", Format::KdumpCompressed),
            (b"DISKDUMP", Format::Diskdump),
            (b"makedumpfile", Format::Flattened),
        ];
        let found = SIGNATURES.iter().find(|(signature, _)| head.starts_with(signature));
        let first = head.first_chunk::<8>().copied().unwrap_or_default();
        found.map(|(_, format)| *format).ok_or(Error::UnknownFormat { found: first })
    }

    /// The name used in messages and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elf => "elf",
            Self::KdumpCompressed => "kdump",
            Self::Diskdump => "diskdump",
            Self::Flattened => "flattened",
        }
    }
}
