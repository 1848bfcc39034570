//! A description of the machine that a capture kernel is planned for.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use kdump_elf::{Arch, Endian, PhysRange};

use crate::range_set::subtract_sorted;
use crate::target::ppc64::TREE;
use crate::{Error, KernelLayout, MemoryKind, MemoryMap, RangeSet, Sourced};

mod build;
#[cfg(feature = "std")]
mod collect;
mod cpu_note;
#[cfg(feature = "std")]
mod device_tree_dir;
mod efi;
mod files;
mod identity;
mod kcore;
#[cfg(feature = "std")]
mod kcore_head;
mod kexec_state;
#[cfg(feature = "std")]
mod open_file;
pub(crate) mod paths;
#[cfg(feature = "std")]
mod record;
mod regions;
mod remark;
mod symbols;
mod text_file;
mod vmcoreinfo_note;

pub use cpu_note::CpuNote;
pub use efi::{EfiHandover, EfiMemoryDescriptor};
pub use files::MachineFiles;
pub use kexec_state::KexecState;
#[cfg(feature = "std")]
pub use record::Recorded;
pub use remark::Remark;
pub use vmcoreinfo_note::VmcoreinfoNote;

pub(crate) use kcore::{Kcore, KcoreLoad};
#[cfg(feature = "std")]
pub(crate) use open_file::{Root, read_text};
pub(crate) use symbols::Symbols;
pub(crate) use text_file::{BadLines, parse_hex, shown};

/// Everything a plan needs to know about the running machine.
///
/// Made from files by [`Machine::from_files`] or, with feature `std`, by
/// [`Machine::collect`]; a kernel that knows itself begins with [`Machine::new`] and sets the
/// fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// The architecture of the running kernel.
    pub arch: Arch,
    /// Its byte order.
    pub endian: Endian,
    /// Bytes of its pages; a power of two.
    pub page_size: u64,
    /// Whether the kernel runs with page tables of five levels (x86_64); `None` if not known.
    pub five_levels: Option<bool>,
    /// Whether its CPU maps pages of 1 GiB (x86_64); `None` if not known.
    pub gib_pages: Option<bool>,
    /// Memory by kind, crash regions included in the RAM.
    pub memory: MemoryMap,
    /// The regions reserved for capture kernels, sorted and disjoint.
    pub crash_regions: Vec<PhysRange>,
    /// Parts of the crash regions that something else claimed; nothing may be loaded there.
    pub crash_claimed: RangeSet,
    /// Parts of the crash regions that firmware keeps (RTAS and OPAL of ppc64): they are dumped, and
    /// nothing may be loaded there.
    pub firmware: RangeSet,
    /// Addresses of graphics apertures (GART), which read as RAM but must not be read.
    pub gart: RangeSet,
    /// Memory reserved for the capture kernel by `crashkernel=SIZE,cma`; its content is not
    /// dumped.
    pub cma_ranges: RangeSet,
    /// The map the firmware gave; `None` when the kernel does not show it.
    pub firmware_map: Option<MemoryMap>,
    /// Where each CPU leaves its registers, by CPU number.
    pub cpu_notes: Vec<CpuNote>,
    /// Whether every CPU has SHA instructions: on x86 with SSSE3 and SSE4.1, on arm64 those of
    /// SHA-256; false where that is not known.
    pub sha_instructions: bool,
    /// Where the VMCOREINFO note lies.
    pub vmcoreinfo: Option<VmcoreinfoNote>,
    /// Where the kernel lies.
    pub kernel: KernelLayout,
    /// Physical address of the ACPI root pointer.
    pub rsdp: Option<Sourced<u64>>,
    /// What a kernel booted without firmware needs to use EFI.
    pub efi: Option<EfiHandover>,
    /// The boot_params page of the running kernel.
    pub boot_params: Option<Vec<u8>>,
    /// The boot protocol it was booted with, 0x20f for 2.15.
    pub boot_protocol: Option<u16>,
    /// The flattened device tree the running kernel was booted with.
    pub device_tree: Option<Vec<u8>>,
    /// What is loaded at present.
    pub kexec: KexecState,
    /// The running kernel's command line.
    pub cmdline: String,
    /// The running kernel's release.
    pub release: Option<String>,
    /// What was dropped, rounded or could not be found out.
    pub remarks: Vec<Remark>,
}

impl Machine {
    /// A machine with this memory and nothing else known.
    #[must_use]
    pub fn new(arch: Arch, page_size: u64, memory: MemoryMap) -> Self {
        Self {
            arch,
            endian: arch.endian(),
            page_size,
            five_levels: None,
            gib_pages: None,
            memory,
            crash_regions: Vec::new(),
            crash_claimed: RangeSet::new(),
            firmware: RangeSet::new(),
            gart: RangeSet::new(),
            cma_ranges: RangeSet::new(),
            firmware_map: None,
            cpu_notes: Vec::new(),
            sha_instructions: false,
            vmcoreinfo: None,
            kernel: KernelLayout::default(),
            rsdp: None,
            efi: None,
            boot_params: None,
            boot_protocol: None,
            device_tree: None,
            kexec: KexecState::default(),
            cmdline: String::new(),
            release: None,
            remarks: Vec::new(),
        }
    }

    /// All RAM, crash regions included.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn ram(&self) -> Result<RangeSet, Error> {
        self.memory.set_of(MemoryKind::Ram)
    }

    /// The RAM a dump holds: all but the crash regions, without what firmware keeps in them, graphics apertures and the memory
    /// shared with the capture kernel. Neighbouring ranges are joined.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn dump_ram(&self) -> Result<RangeSet, Error> {
        self.ram()?.subtract(&self.not_dumped()?)
    }

    /// [`Machine::dump_ram`] with the borders of /proc/iomem kept: sorted and disjoint, but
    /// neighbouring ranges stay separate, as other tools write them.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn dump_ranges(&self) -> Result<Vec<PhysRange>, Error> {
        subtract_sorted(self.memory.of_kind(MemoryKind::Ram), &self.not_dumped()?)
    }

    /// The region a capture kernel is loaded into: the highest one.
    #[must_use]
    pub fn load_region(&self) -> Option<PhysRange> {
        self.crash_regions.last().copied()
    }

    /// The words of the running kernel's command line that ask for a crash region.
    #[must_use]
    pub fn crashkernel_words(&self) -> String {
        /// The kernel itself looks at one of each kind: SIZE, SIZE,high, SIZE,low and SIZE,cma.
        const MOST: usize = 4;
        let words = self.cmdline.split_ascii_whitespace().take_while(|&word| word != "--");
        let asked = words.filter(|word| word.trim_start_matches('"').starts_with("crashkernel="));
        asked.take(MOST).map(|word| shown(word.as_bytes())).collect::<Vec<_>>().join(" ")
    }

    /// What to tell where there is no crash region.
    #[must_use]
    pub fn why_no_region(&self) -> Error {
        let parameter = self.crashkernel_words();
        if parameter.is_empty() {
            return Error::NoCrashRegion;
        }
        match self.remarks.iter().find(|remark| remark.path == TREE) {
            Some(remark) => {
                let reason =
                    format!("{remark}: {parameter} is reserved there; record the machine again as root");
                Error::Conflict { what: "device tree", reason }
            }
            None => Error::ReservationFailed { parameter },
        }
    }

    pub(crate) fn not_dumped(&self) -> Result<RangeSet, Error> {
        self.captures()?.union(&self.gart)?.union(&self.cma_ranges)
    }

    /// The crash regions without what firmware keeps in them, as a set.
    pub(crate) fn captures(&self) -> Result<RangeSet, Error> {
        self.crash_set()?.subtract(&self.firmware)
    }

    /// The crash regions, as a set.
    pub(crate) fn crash_set(&self) -> Result<RangeSet, Error> {
        RangeSet::from_ranges(self.crash_regions.iter().copied())
    }
}
