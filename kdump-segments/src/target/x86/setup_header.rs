//! The setup header of a bzImage: offsets and fields of the x86 boot protocol
//! (Documentation/arch/x86/boot.rst, "The Real-Mode Kernel Header").

use crate::Error;
use crate::le::{u16_at, u32_at, u64_at};

const SETUP_SECTS: usize = 0x1f1;
const SYSSIZE: usize = 0x1f4;
const BOOT_FLAG: usize = 0x1fe;
const JUMP_OFFSET: usize = 0x201;
const HEADER: usize = 0x202;
const VERSION: usize = 0x206;
const LOADFLAGS: usize = 0x211;
const INITRD_ADDR_MAX: usize = 0x22c;
const KERNEL_ALIGNMENT: usize = 0x230;
const RELOCATABLE_KERNEL: usize = 0x234;
const XLOADFLAGS: usize = 0x236;
const CMDLINE_SIZE: usize = 0x238;
const HARDWARE_SUBARCH: usize = 0x23c;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;
const PREF_ADDRESS: usize = 0x258;
const INIT_SIZE: usize = 0x260;

/// Smallest file that can hold a boot sector and one setup sector.
const MIN_FILE: usize = 1024;
/// The 64-bit entry point is at 0x200 of the protected-mode part ("64-bit Boot Protocol").
const PAYLOAD_MIN: u64 = 0x201;
/// Oldest protocol with every field read here that a 32-bit entry needs (`relocatable_kernel`
/// is 2.05, `cmdline_size` 2.06).
const VERSION_32: u16 = 0x206;
/// Oldest protocol with `xloadflags`.
const VERSION_XLOADFLAGS: u16 = 0x20c;
/// Oldest protocol with `payload_offset` and `payload_length`.
const VERSION_PAYLOAD: u16 = 0x208;
/// Oldest protocol with `pref_address` and `init_size`.
const VERSION_INIT_SIZE: u16 = 0x20a;

/// Where the header ends at least, from which protocol version on, newest first: each version
/// appended its fields ("The Real-Mode Kernel Header", column "Proto").
const HEADER_ENDS: [(u16, usize); 7] = [
    (0x20f, 0x26c),
    (0x20b, 0x268),
    (0x20a, 0x264),
    (0x209, 0x258),
    (0x208, 0x250),
    (0x207, 0x248),
    (0, 0x23c),
];

const LOADED_HIGH: u8 = 1;
const XLF_KERNEL_64: u16 = 1;
const XLF_CAN_BE_LOADED_ABOVE_4G: u16 = 2;
const XLF_EFI_KEXEC: u16 = 0x10;
const XLF_5LEVEL: u16 = 0x20;

/// The fields of the setup header that decide where and how a kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of the boot protocol, one to one")]
#[non_exhaustive]
pub struct SetupHeader {
    /// Sectors of real-mode code behind the boot sector; the 0 that means 4 is resolved.
    pub setup_sects: u8,
    /// Bytes of the protected-mode part; the field counts paragraphs of 16. What stands behind
    /// it in the file is a signature. 0 when the image does not tell.
    pub syssize: u64,
    /// Bytes of the protected-mode part up to the end of the compressed kernel in it
    /// (`payload_offset` + `payload_length`); 0 when the image does not tell.
    pub payload_end: u64,
    /// Protocol version, major number in the high byte.
    pub version: u16,
    pub loadflags: u8,
    pub initrd_addr_max: u32,
    /// Bytes; a power of two of at least a page.
    pub kernel_alignment: u32,
    pub relocatable_kernel: bool,
    pub xloadflags: u16,
    /// Longest command line in bytes, without its NUL.
    pub cmdline_size: u32,
    pub hardware_subarch: u32,
    /// 0 when the protocol is too old to say.
    pub pref_address: u64,
    /// Bytes the kernel needs before it can look at a memory map; 0 when the protocol is
    /// too old to say.
    pub init_size: u32,
    /// Bytes of the header, from offset 0x1f1.
    pub length: u8,
}

impl SetupHeader {
    /// Reads the header of a bzImage from the start of the file.
    ///
    /// # Errors
    /// [`Error::ImageTruncated`] and [`Error::ImageField`].
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if file.len() < MIN_FILE {
            return Err(cut(0, MIN_FILE, file));
        }
        let magic = u32_at(file, HEADER).ok_or_else(|| cut(HEADER, 4, file))?;
        if magic.to_le_bytes() != *b"HdrS" {
            return Err(field("header", HEADER, u64::from(magic), "\"HdrS\" (0x53726448)"));
        }
        let boot_flag = u16_at(file, BOOT_FLAG).ok_or_else(|| cut(BOOT_FLAG, 2, file))?;
        if boot_flag != 0xaa55 {
            return Err(field("boot_flag", BOOT_FLAG, u64::from(boot_flag), "0xaa55"));
        }
        let header = Self::read(file).ok_or_else(|| cut(SETUP_SECTS, 0x80, file))?;
        header.check()?;
        Ok(header)
    }

    fn read(file: &[u8]) -> Option<Self> {
        let version = u16_at(file, VERSION)?;
        let since = |needed: u16, value: u64| if version >= needed { value } else { 0 };
        let length = u16::from(*file.get(JUMP_OFFSET)?).saturating_add(0x202 - 0x1f1).min(0x7f);
        let init_size = since(VERSION_INIT_SIZE, u64::from(u32_at(file, INIT_SIZE)?));
        let xloadflags = since(VERSION_XLOADFLAGS, u64::from(u16_at(file, XLOADFLAGS)?));
        Some(Self {
            setup_sects: match *file.get(SETUP_SECTS)? {
                0 => 4,
                sectors => sectors,
            },
            syssize: u64::from(u32_at(file, SYSSIZE)?).saturating_mul(16),
            payload_end: since(
                VERSION_PAYLOAD,
                u64::from(u32_at(file, PAYLOAD_OFFSET)?)
                    .saturating_add(u64::from(u32_at(file, PAYLOAD_LENGTH)?)),
            ),
            version,
            loadflags: *file.get(LOADFLAGS)?,
            initrd_addr_max: u32_at(file, INITRD_ADDR_MAX)?,
            kernel_alignment: u32_at(file, KERNEL_ALIGNMENT)?,
            relocatable_kernel: *file.get(RELOCATABLE_KERNEL)? != 0,
            xloadflags: u16::try_from(xloadflags).ok()?,
            cmdline_size: u32_at(file, CMDLINE_SIZE)?,
            hardware_subarch: u32_at(file, HARDWARE_SUBARCH)?,
            pref_address: since(VERSION_INIT_SIZE, u64_at(file, PREF_ADDRESS)?),
            init_size: u32::try_from(init_size).ok()?,
            length: u8::try_from(length).ok()?,
        })
    }

    fn check(&self) -> Result<(), Error> {
        if self.version < VERSION_32 {
            return Err(field("version", VERSION, u64::from(self.version), "at least 0x206"));
        }
        self.check_end()?;
        if self.loadflags & LOADED_HIGH == 0 {
            return Err(field("loadflags", LOADFLAGS, u64::from(self.loadflags), "bit 0 (LOADED_HIGH) set"));
        }
        let align = self.kernel_alignment;
        if !align.is_power_of_two() {
            return Err(field("kernel_alignment", KERNEL_ALIGNMENT, u64::from(align), "a power of two"));
        }
        if self.cmdline_size == 0 {
            return Err(field("cmdline_size", CMDLINE_SIZE, 0, "at least 1"));
        }
        Ok(())
    }

    /// The byte at 0x201 tells where the header ends. One that ends before the fields of its own
    /// version would be handed over in part, and code be read as fields.
    fn check_end(&self) -> Result<(), Error> {
        let least = HEADER_ENDS.iter().find(|(since, _)| self.version >= *since).map_or(0, |(_, end)| *end);
        if SETUP_SECTS.saturating_add(usize::from(self.length)) >= least {
            return Ok(());
        }
        let jump = u64::from(self.length).saturating_sub((HEADER as u64).saturating_sub(SETUP_SECTS as u64));
        Err(field("jump", JUMP_OFFSET, jump, "a header that ends behind the fields of its protocol version"))
    }

    /// Bytes a file must have to hold the boot sector, the real-mode code and all of the
    /// protected-mode part.
    #[must_use]
    pub fn file_size(&self) -> u64 {
        self.payload_offset().saturating_add(self.protected_size())
    }

    /// Least bytes of the protected-mode part, by all that the header tells of it.
    pub(super) fn protected_size(&self) -> u64 {
        self.syssize.max(self.payload_end).max(PAYLOAD_MIN)
    }

    /// Whether the kernel has the 64-bit entry point and may lie above 4 GiB.
    #[must_use]
    pub fn entry_64bit(&self) -> bool {
        let need = XLF_KERNEL_64 | XLF_CAN_BE_LOADED_ABOVE_4G;
        self.xloadflags & need == need
    }

    /// Whether it is a kernel for x86_64 (`XLF_KERNEL_64`).
    #[must_use]
    pub fn is_64bit(&self) -> bool {
        self.xloadflags & XLF_KERNEL_64 != 0
    }

    /// Whether the kernel takes EFI tables in setup_data (`XLF_EFI_KEXEC`).
    #[must_use]
    pub fn efi_kexec(&self) -> bool {
        self.xloadflags & XLF_EFI_KEXEC != 0
    }

    /// Whether the 64-bit entry may be taken with 5-level paging on (`XLF_5LEVEL`).
    #[must_use]
    pub fn five_level(&self) -> bool {
        self.xloadflags & XLF_5LEVEL != 0
    }

    /// Bytes of the boot sector and the real-mode code, where the protected-mode part begins.
    #[must_use]
    pub fn payload_offset(&self) -> u64 {
        u64::from(self.setup_sects).saturating_add(1).saturating_mul(512)
    }
}

fn field(field: &'static str, offset: usize, value: u64, expected: &'static str) -> Error {
    Error::ImageField { field, offset: offset as u64, value, expected }
}

fn cut(offset: usize, need: usize, file: &[u8]) -> Error {
    let have = file.len().saturating_sub(offset) as u64;
    Error::ImageTruncated { what: "setup header", offset: offset as u64, need: need as u64, have }
}
