//! Offsets of the boot_params fields that are written (Documentation/arch/x86/zero-page.rst
//! and Documentation/arch/x86/boot.rst).

pub(super) const SCREEN_INFO: usize = 0x000;
pub(super) const EXT_MEM_K: usize = 0x002;
pub(super) const SCREEN_INFO_SIZE: usize = 0x40;
pub(super) const CL_MAGIC: usize = 0x020;
pub(super) const CL_OFFSET: usize = 0x022;
pub(super) const ACPI_RSDP_ADDR: usize = 0x070;
pub(super) const EXT_RAMDISK_IMAGE: usize = 0x0c0;
pub(super) const EXT_RAMDISK_SIZE: usize = 0x0c4;
pub(super) const EXT_CMD_LINE_PTR: usize = 0x0c8;
pub(super) const EFI_INFO: usize = 0x1c0;
pub(super) const EFI_MEMDESC_SIZE: usize = 0x1c8;
pub(super) const EFI_MEMDESC_VERSION: usize = 0x1cc;
pub(super) const EFI_MEMMAP: usize = 0x1d0;
pub(super) const EFI_MEMMAP_SIZE: usize = 0x1d4;
pub(super) const EFI_MEMMAP_HI: usize = 0x1dc;
pub(super) const E820_ENTRIES: usize = 0x1e8;
pub(super) const EDDBUF_ENTRIES: usize = 0x1e9;
pub(super) const EDD_MBR_SIG_ENTRIES: usize = 0x1ea;
pub(super) const SETUP_HEADER: usize = 0x1f1;
/// Bytes of the setup header up to and including `cmdline_size`.
pub(super) const SETUP_HEADER_2_06: usize = 0x23c - SETUP_HEADER;
pub(super) const BOOT_FLAG: usize = 0x1fe;
pub(super) const HEADER: usize = 0x202;
pub(super) const VERSION: usize = 0x206;
pub(super) const TYPE_OF_LOADER: usize = 0x210;
pub(super) const LOADFLAGS: usize = 0x211;
pub(super) const RAMDISK_IMAGE: usize = 0x218;
pub(super) const RAMDISK_SIZE: usize = 0x21c;
pub(super) const CMD_LINE_PTR: usize = 0x228;
pub(super) const SETUP_DATA: usize = 0x250;
pub(super) const EDD_MBR_SIG: usize = 0x290;
pub(super) const EDD_MBR_SIG_SIZE: usize = 16 * 4;
pub(super) const E820_TABLE: usize = 0x2d0;
pub(super) const EDDBUF: usize = 0xd00;
pub(super) const EDDBUF_SIZE: usize = 6 * 82;
