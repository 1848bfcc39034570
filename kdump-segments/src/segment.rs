//! Segments, what the kexec_load system call takes.

use alloc::borrow::Cow;

use kdump_elf::PhysRange;

use crate::{Error, room};

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SegmentKind {
    /// Room for the low memory the purgatory saves.
    Backup,
    /// The ELF core header that `elfcorehdr=` points to.
    Elfcorehdr,
    /// The program that verifies the others.
    Purgatory,
    /// boot_params and the command line.
    BootParams,
    /// The kernel, or a part of it.
    Kernel,
    /// The initial ramdisk.
    Initrd,
    /// setup_data items and the EFI runtime map.
    SetupData,
    /// A device tree.
    Dtb,
}

impl SegmentKind {
    /// The name used in plans and file names.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Elfcorehdr => "elfcorehdr",
            Self::Purgatory => "purgatory",
            Self::BootParams => "bootparams",
            Self::Kernel => "kernel",
            Self::Initrd => "initrd",
            Self::SetupData => "setup_data",
            Self::Dtb => "dtb",
        }
    }
}

/// A stretch of the crash region and what is put there (`struct kexec_segment`,
/// include/uapi/linux/kexec.h).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// What it is for.
    pub kind: SegmentKind,
    /// Physical addresses: `mem` and `memsz` of the system call, whole pages.
    pub range: PhysRange,
    /// Content, `bufsz` bytes; the kernel zero-fills the rest.
    pub data: Cow<'a, [u8]>,
}

impl Segment<'_> {
    /// The segment with its content, whomever that was lent by.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn into_owned(self) -> Result<Segment<'static>, Error> {
        let data = match self.data {
            Cow::Owned(data) => data,
            Cow::Borrowed(data) => room::copy(self.kind.name(), data)?,
        };
        Ok(Segment { kind: self.kind, range: self.range, data: Cow::Owned(data) })
    }

    /// Physical address of the first byte.
    #[must_use]
    pub fn mem(&self) -> u64 {
        self.range.start()
    }

    /// Bytes of memory.
    #[must_use]
    pub fn memsz(&self) -> u64 {
        self.range.size()
    }

    /// Bytes of content.
    #[must_use]
    pub fn bufsz(&self) -> u64 {
        self.data.len() as u64
    }
}
