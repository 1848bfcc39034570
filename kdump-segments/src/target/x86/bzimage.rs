//! The x86 bzImage: a setup header and the protected-mode part that is loaded.

use kdump_elf::align_up;

use super::setup_header::SetupHeader;
use crate::Error;

/// Offset of the setup header in the file and in boot_params alike.
const SETUP_HEADER: usize = 0x1f1;
/// The protected-mode part has its 64-bit entry point here (Documentation/arch/x86/boot.rst,
/// "64-bit Boot Protocol").
const ENTRY_64: u64 = 0x200;
/// x86 has one base page size.
const PAGE_SIZE: u64 = 4096;

/// A bzImage whose parts were found to lie inside the file.
#[derive(Clone, Debug)]
pub struct BzImage<'a> {
    /// The fields of its setup header.
    pub header: SetupHeader,
    setup: &'a [u8],
    payload: &'a [u8],
}

impl<'a> BzImage<'a> {
    /// Reads the setup header and finds the protected-mode part, which must be as long as
    /// the header says: a kernel that was cut would be loaded and die in its decompressor.
    ///
    /// # Errors
    /// [`Error::ImageField`] or [`Error::ImageTruncated`].
    pub fn parse(file: &'a [u8]) -> Result<Self, Error> {
        let header = SetupHeader::parse(file)?;
        let offset = header.payload_offset();
        let payload = usize::try_from(offset).ok().and_then(|offset| file.get(offset..));
        let need = header.protected_size();
        let payload = payload.filter(|payload| payload.len() as u64 >= need);
        let payload = payload.ok_or(Error::ImageTruncated {
            what: "protected-mode part",
            offset,
            need,
            have: (file.len() as u64).saturating_sub(offset),
        })?;
        let setup = file.get(SETUP_HEADER..).and_then(|rest| rest.get(..usize::from(header.length)));
        let setup = setup.unwrap_or_default();
        Ok(Self { header, setup, payload })
    }

    /// The setup header as it stands in the file; belongs at offset 0x1f1 of boot_params.
    #[must_use]
    pub fn setup_bytes(&self) -> &'a [u8] {
        self.setup
    }

    /// What is loaded: everything behind the real-mode code.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// Bytes of memory the kernel takes where it is loaded: its `init_size`, or the loaded
    /// bytes where that is more, in whole pages.
    #[must_use]
    pub fn memsz(&self) -> u64 {
        let need = u64::from(self.header.init_size).max(self.payload.len() as u64);
        align_up(need, PAGE_SIZE).unwrap_or(u64::MAX)
    }

    /// Offset of the 64-bit entry point in the loaded part.
    #[must_use]
    pub const fn entry_64bit_offset() -> u64 {
        ENTRY_64
    }
}
