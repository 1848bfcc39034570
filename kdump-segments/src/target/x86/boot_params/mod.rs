//! boot_params, the page an x86 kernel is entered with
//! (Documentation/arch/x86/zero-page.rst).

mod offsets;
mod rule;

use alloc::vec::Vec;

use super::e820::{E820_TABLE_MAX, E820Entry};
use super::setup_data::EFI_DESCRIPTOR_SIZE;
use crate::le::{array, put};
use crate::{Error, room};
use offsets as at;
pub(super) use rule::boot_params;

/// Bytes of boot_params.
pub const BOOT_PARAMS_SIZE: usize = 4096;

/// What this loader calls itself: kexec (Documentation/arch/x86/boot.rst, `type_of_loader`).
const LOADER_KEXEC: u8 = 0xd0;
const CL_MAGIC: u16 = 0xa33f;
const EFI_DESCRIPTOR_VERSION: u32 = 1;

/// The values that make a boot_params page.
#[derive(Clone, Copy, Debug)]
pub struct BootParams<'a> {
    /// boot_params of the running kernel, for what only firmware could tell: the screen,
    /// EFI and EDD.
    pub running: Option<&'a [u8]>,
    /// The setup header, to stand at offset 0x1f1.
    pub setup: &'a [u8],
    /// Physical address of the page itself.
    pub address: u64,
    /// Physical address of the command line.
    pub cmdline: u64,
    /// Physical address and size of the initial ramdisk.
    pub initrd: Option<(u64, u64)>,
    /// Physical address of the ACPI root pointer.
    pub rsdp: Option<u64>,
    /// Physical address and size of the EFI runtime map, when EFI is handed over.
    pub efi_map: Option<(u64, u32)>,
    /// Physical address of the first setup_data item, 0 without.
    pub setup_data: u64,
    /// The memory map; entries beyond [`E820_TABLE_MAX`] are setup_data's.
    pub e820: &'a [E820Entry],
}

impl BootParams<'_> {
    /// The page.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let mut page = room::zeroed("boot_params", BOOT_PARAMS_SIZE)?;
        let mut out = Writer { page: &mut page };
        out.bytes(at::SETUP_HEADER, self.setup);
        self.inherited(&mut out);
        self.command_line(&mut out);
        self.memory(&mut out);
        let (image, size) = self.initrd.unwrap_or((0, 0));
        out.split(at::RAMDISK_IMAGE, at::EXT_RAMDISK_IMAGE, image);
        out.split(at::RAMDISK_SIZE, at::EXT_RAMDISK_SIZE, size);
        out.bytes(at::ACPI_RSDP_ADDR, &self.rsdp.unwrap_or(0).to_le_bytes());
        out.bytes(at::TYPE_OF_LOADER, &[LOADER_KEXEC]);
        out.bytes(at::LOADFLAGS, &[0]);
        out.bytes(at::SETUP_DATA, &self.setup_data.to_le_bytes());
        Ok(page)
    }

    /// What the firmware told the running kernel and will not tell again.
    fn inherited(&self, out: &mut Writer<'_>) {
        let Some(running) = self.running else { return };
        for (offset, size) in [
            (at::SCREEN_INFO, at::SCREEN_INFO_SIZE),
            (at::EDDBUF_ENTRIES, 1),
            (at::EDD_MBR_SIG_ENTRIES, 1),
            (at::EDD_MBR_SIG, at::EDD_MBR_SIG_SIZE),
            (at::EDDBUF, at::EDDBUF_SIZE),
        ] {
            if let Some(bytes) = running.get(offset..).and_then(|rest| rest.get(..size)) {
                out.bytes(offset, bytes);
            }
        }
        if let (Some((map, size)), Some(efi)) = (self.efi_map, array::<32>(running, at::EFI_INFO)) {
            out.bytes(at::EFI_INFO, &efi);
            out.bytes(at::EFI_MEMDESC_SIZE, &EFI_DESCRIPTOR_SIZE.to_le_bytes());
            out.bytes(at::EFI_MEMDESC_VERSION, &EFI_DESCRIPTOR_VERSION.to_le_bytes());
            out.split(at::EFI_MEMMAP, at::EFI_MEMMAP_HI, map);
            out.bytes(at::EFI_MEMMAP_SIZE, &size.to_le_bytes());
        }
    }

    /// The pointer of protocol 2.02 and later, and the offset older kernels look at.
    fn command_line(&self, out: &mut Writer<'_>) {
        out.split(at::CMD_LINE_PTR, at::EXT_CMD_LINE_PTR, self.cmdline);
        if let Ok(offset) = u16::try_from(self.cmdline.wrapping_sub(self.address)) {
            out.bytes(at::CL_MAGIC, &CL_MAGIC.to_le_bytes());
            out.bytes(at::CL_OFFSET, &offset.to_le_bytes());
        }
    }

    fn memory(&self, out: &mut Writer<'_>) {
        // The running kernel's screen_info carries its own count of extended memory in KiB.
        out.bytes(at::EXT_MEM_K, &[0, 0]);
        let count = self.e820.len().min(E820_TABLE_MAX);
        out.bytes(at::E820_ENTRIES, &[u8::try_from(count).unwrap_or(u8::MAX)]);
        let table: Vec<u8> = self.e820.iter().take(count).flat_map(E820Entry::encode).collect();
        out.bytes(at::E820_TABLE, &table);
    }
}

/// The setup header an ELF kernel does not have: enough for it to find its command line and
/// ramdisk (protocol 2.06, the oldest with everything filled in here).
#[must_use]
pub fn fake_setup_header() -> Vec<u8> {
    let mut header = alloc::vec![0; at::SETUP_HEADER_2_06];
    for (offset, value) in
        [(at::BOOT_FLAG, &[0x55, 0xaa][..]), (at::HEADER, b"HdrS"), (at::VERSION, &[0x06, 0x02])]
    {
        let written = put(&mut header, offset.wrapping_sub(at::SETUP_HEADER), value);
        debug_assert!(written, "the offsets lie inside the header");
    }
    header
}

/// Writes fields of the page; all offsets are constants that lie inside it.
struct Writer<'a> {
    page: &'a mut [u8],
}

impl Writer<'_> {
    fn bytes(&mut self, offset: usize, value: &[u8]) {
        let written = put(self.page, offset, value);
        debug_assert!(written, "boot_params field at {offset:#x}");
    }

    /// The low half of `value` to one field, the high half to another.
    fn split(&mut self, low: usize, high: usize, value: u64) {
        let bytes = value.to_le_bytes();
        let (head, tail) = bytes.split_at(4);
        self.bytes(low, head);
        self.bytes(high, tail);
    }
}
