//! Where the VMCOREINFO note lies, and its text.

use alloc::vec::Vec;

use super::remark::Remarks;
use super::text_file::parse_hex_file;
use super::{Kcore, MachineFiles};
use crate::{Error, room};

const PATH: &str = "sys/kernel/vmcoreinfo";

/// The buffer that holds the VMCOREINFO note when the kernel dies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VmcoreinfoNote {
    /// Physical address of the buffer.
    pub paddr: u64,
    /// Its length in bytes; the note in it may be shorter.
    pub size: u64,
    /// The text as the kernel shows it now, without CRASHTIME; `None` without /proc/kcore.
    pub text: Option<Vec<u8>>,
}

impl VmcoreinfoNote {
    /// Reads `/sys/kernel/vmcoreinfo`: address and size, both hexadecimal, the size without
    /// `0x` (Documentation/ABI/testing/sysfs-kernel-vmcoreinfo).
    pub(super) fn find(
        files: &MachineFiles,
        kcore: Option<&Kcore>,
        notes: &mut Remarks,
    ) -> Result<Option<Self>, Error> {
        let Some(text) = files.get(PATH) else {
            notes.add(PATH, "is missing; the dump will have no VMCOREINFO");
            return Ok(None);
        };
        let mut words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(Some(paddr)), Some(Some(size))) =
            (words.next().map(parse_hex_file), words.next().map(parse_hex_file))
        else {
            notes.add(PATH, "is not an address and a size; the dump will have no VMCOREINFO");
            return Ok(None);
        };
        let text = kcore.and_then(|kcore| kcore.vmcoreinfo.as_deref());
        let text = text.map(|text| room::copy("VMCOREINFO", text)).transpose()?;
        Ok(Some(Self { paddr, size, text }))
    }
}
