//! What the machine looks like, from whoever started us: PVH or the Linux boot protocol.

use kdump_elf::PhysRange;

use crate::phys;

/// How many ranges of memory we can keep.
const MAX_RANGES: usize = 64;

/// Longest command line, as boot_params of Linux has it.
const MAX_CMDLINE: usize = 2048;

/// E820 type of usable memory.
const RAM: u32 = 1;

/// A copy: the originals lie in memory that is about to be used.
pub(crate) struct BootInfo {
    ranges: [Option<PhysRange>; MAX_RANGES],
    cmdline: [u8; MAX_CMDLINE],
    cmdline_len: usize,
    /// Physical address of the ACPI root pointer, 0 when unknown.
    pub(crate) rsdp: u64,
    /// The file given as PVH module: the second kernel.
    pub(crate) module: Option<PhysRange>,
}

impl BootInfo {
    /// Reads what is at `paddr`: hvm_start_info, or boot_params if `linux`.
    ///
    /// # Safety
    /// `paddr` is what the boot protocol passed.
    pub(crate) unsafe fn read(linux: bool, paddr: u64) -> Self {
        let mut this = Self {
            ranges: [None; MAX_RANGES],
            cmdline: [0; MAX_CMDLINE],
            cmdline_len: 0,
            rsdp: 0,
            module: None,
        };
        // SAFETY: the caller's promise.
        unsafe { if linux { this.read_boot_params(paddr) } else { this.read_pvh(paddr) } }
        this
    }

    /// The command line.
    pub(crate) fn cmdline(&self) -> &str {
        let bytes = self.cmdline.get(..self.cmdline_len).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The value of `key=` on the command line.
    pub(crate) fn option(&self, key: &str) -> Option<&str> {
        self.cmdline().split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// Usable memory, in the order of the firmware.
    pub(crate) fn ram(&self) -> impl Iterator<Item = PhysRange> + '_ {
        self.ranges.iter().flatten().copied()
    }

    /// Xen "x86/HVM direct boot ABI", struct hvm_start_info version 1.
    unsafe fn read_pvh(&mut self, info: u64) {
        // SAFETY: fields of the structure and of the tables it names.
        unsafe {
            if phys::read::<u32>(info + 12) > 0 {
                let module = phys::read::<u64>(info + 16);
                let (start, size) = (phys::read(module), phys::read(module + 8));
                self.module = PhysRange::from_len(start, size).ok();
            }
            self.read_cmdline(phys::read(info + 24));
            self.rsdp = phys::read(info + 32);
            self.read_map(phys::read(info + 40), 24, phys::read::<u32>(info + 48));
        }
    }

    /// Documentation/arch/x86/zero-page.rst.
    unsafe fn read_boot_params(&mut self, params: u64) {
        // SAFETY: fields of the structure and the command line it names.
        unsafe {
            self.rsdp = phys::read(params + 0x70);
            let high = u64::from(phys::read::<u32>(params + 0xc8)) << 32;
            self.read_cmdline(high | u64::from(phys::read::<u32>(params + 0x228)));
            self.read_map(params + 0x2d0, 20, u32::from(phys::read::<u8>(params + 0x1e8)));
        }
    }

    /// Entries of `size` bytes that begin with address, length and type.
    unsafe fn read_map(&mut self, table: u64, size: u64, count: u32) {
        let mut slots = self.ranges.iter_mut();
        for index in 0..u64::from(count) {
            let entry = table + index * size;
            // SAFETY: the table has `count` entries.
            let (start, len, kind): (u64, u64, u32) =
                unsafe { (phys::read(entry), phys::read(entry + 8), phys::read(entry + 16)) };
            if kind != RAM {
                continue;
            }
            match slots.next() {
                Some(slot) => *slot = PhysRange::from_len(start, len).ok(),
                None => crate::say!("memory at {start:#x} not used: more than {MAX_RANGES} ranges"),
            }
        }
    }

    unsafe fn read_cmdline(&mut self, paddr: u64) {
        if paddr == 0 {
            return;
        }
        for (offset, slot) in (0..).zip(&mut self.cmdline) {
            // SAFETY: up to the terminating NUL.
            *slot = unsafe { phys::read(paddr + offset) };
            if *slot == 0 {
                break;
            }
            self.cmdline_len += 1;
        }
    }
}
