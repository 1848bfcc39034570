//! How much memory a capture kernel needs, as a list with sources, and whether a crash region has
//! as much.
//!
//! Placing the segments says whether they fit, not whether the kernel can live: it unpacks its
//! initial ramdisk beside the packed one, describes every page, and needs memory to run in. The
//! list is meant to be a little too long: who calls a region large enough in which the kernel
//! then dies, loses the dump. What a capture kernel took was measured with guests; `cargo xtask
//! region-sizes` repeats that.

mod initrd;
mod limit;
mod suggest;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use kdump_elf::{Arch, PhysRange, align_down, align_up};

pub use initrd::{InitrdSize, UNKNOWN_FACTOR};
pub(crate) use limit::{is_address, within_limit};
pub use suggest::{GRANULE, Suggestion, suggest};

use crate::cmdline::CommandLine;
use crate::image::Image;
use crate::{Error, Machine, RangeSet};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The item that lies below 4 GiB, wherever the region is.
const BOUNCE: &str = "bounce buffers";

/// Whether a number is known or guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Basis {
    /// Read from the files or the machine, or laid out by the plan itself.
    Exact,
    /// A rule of thumb, a bound or a measured reserve.
    Estimated,
}

impl Basis {
    /// The name used in documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Estimated => "estimated",
        }
    }
}

/// One thing a capture kernel needs memory for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NeedItem {
    /// What it is.
    pub name: &'static str,
    /// Bytes.
    pub bytes: u64,
    /// Whether they are known or guessed.
    pub basis: Basis,
    /// Where the number comes from.
    pub source: String,
}

impl NeedItem {
    /// So many bytes for `name`, a number that comes from `source`.
    #[must_use]
    pub const fn new(name: &'static str, bytes: u64, basis: Basis, source: String) -> Self {
        Self { name, bytes, basis, source }
    }
}

/// What a capture kernel needs, and what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaptureNeed {
    /// Everything it needs memory for; the total is the sum.
    pub items: Vec<NeedItem>,
    /// Bytes of RAM it is given: all crash regions and CMA memory without what is claimed there.
    pub room: u64,
}

/// Whether a capture kernel can live in its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fit {
    /// It has what it is estimated to need.
    Enough,
    /// It will most likely run out of memory before the dump is saved.
    Unlikely,
}

impl Fit {
    /// The verdict in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enough => "enough",
            Self::Unlikely => "unlikely to boot",
        }
    }
}

/// What the estimate is made from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NeedInputs<'a> {
    /// The architecture of the capture kernel.
    pub arch: Arch,
    /// Bytes the kernel's image takes while it runs, with where that was read.
    pub kernel: (u64, Basis, String),
    /// Its initial ramdisk.
    pub initrd: Option<&'a InitrdSize>,
    /// CPUs of the machine.
    pub cpus: u64,
    /// Bytes of the segments other than kernel and initial ramdisk.
    pub parts: (u64, Basis),
    /// Its command line.
    pub cmdline: &'a CommandLine,
    /// The RAM it is given, low memory included.
    pub ram: &'a RangeSet,
    /// Bytes of the capture kernel's pages; `None` for the usual size. Kernels with others were not measured.
    pub page_size: Option<u64>,
    /// The last address of RAM the machine has. The capture kernel learns of memory it is not given
    /// from the firmware's tables, and sets bounce buffers aside for it.
    pub machine_last: u64,
}

impl<'a> NeedInputs<'a> {
    /// One CPU, no ramdisk and no other segments, on a machine without RAM behind what the capture kernel is given.
    #[must_use]
    pub fn new(
        arch: Arch,
        kernel: (u64, Basis, String),
        cmdline: &'a CommandLine,
        ram: &'a RangeSet,
    ) -> Self {
        let machine_last = ram.iter().next_back().map_or(0, |range| range.last());
        let (cpus, parts) = (1, (0, Basis::Exact));
        Self { arch, kernel, initrd: None, cpus, parts, cmdline, ram, page_size: None, machine_last }
    }
}

setters! {
    NeedInputs<'a> {
        initrd: Option<&'a InitrdSize>,
        cpus: u64,
        parts: (u64, Basis),
        page_size: Option<u64>,
        machine_last: u64,
    }
}

/// What kernels of an architecture take, beside what their images tell.
struct Row {
    arch: Arch,
    page_size: u64,
    /// Bytes of `struct page`.
    page_struct: u64,
    /// Page descriptions are allocated for sections of this size, whole
    /// (`SECTION_SIZE_BITS`, Documentation/mm/memory-model.rst).
    section: u64,
    /// Static and dynamic per-CPU memory, stacks and threads of one CPU.
    per_cpu: u64,
    /// Slabs, hash tables, kernel stacks and buffers of a kernel with one CPU, and the programs
    /// that save the dump.
    reserve: u64,
    /// What of `reserve` is gone before the root file system is sized.
    early: u64,
}

/// Measured with Debian's kernels: x86_64 with 6.1 and 6.12 in guests of 1 and 6 GiB; arm64 with 6.1, riscv64
/// with 6.12 in guests of 1 GiB, kernels with pages of 4 KiB and an initrd that is not compressed.
const ROWS: &[Row] = &[
    Row {
        arch: Arch::X86_64,
        page_size: 4 * KIB,
        page_struct: 64,
        section: 128 * MIB,
        per_cpu: MIB,
        reserve: 28 * MIB,
        early: 4 * MIB,
    },
    // With 32 MiB of image and 8 MiB of initrd, 64 MiB fail and 72 MiB save the dump.
    Row {
        arch: Arch::Arm64,
        page_size: 4 * KIB,
        page_struct: 64,
        section: 128 * MIB,
        per_cpu: MIB,
        reserve: 22 * MIB,
        early: 4 * MIB,
    },
];

fn row(arch: Arch) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.arch == arch)
}

impl CaptureNeed {
    /// Estimates from values; `None` for an architecture whose kernels were not measured.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn estimate(inputs: &NeedInputs<'_>) -> Result<Option<Self>, Error> {
        let usual = |row: &&Row| inputs.page_size.is_none_or(|size| size == row.page_size);
        let Some(row) = row(inputs.arch).filter(usual) else { return Ok(None) };
        let low = RangeSet::from_ranges(PhysRange::from_half_open(0, MIB))?;
        let ram = within_limit(inputs.cmdline, inputs.arch, inputs.ram)?;
        let room = ram.subtract(&low)?.total();
        let mut need = Self { items: Vec::new(), room };
        let (kernel, basis, source) = &inputs.kernel;
        need.add("kernel image", *kernel, *basis, source.clone());
        let pages = row.section.checked_div(row.page_size).unwrap_or(0);
        let descriptions = pages.saturating_mul(row.page_struct);
        let sections = sections(&ram.union(&low)?, row.section)?;
        let source = format!(
            "{} bytes per page of {sections} sections of {} MiB, the lowest included",
            row.page_struct,
            row.section >> 20
        );
        need.add("page descriptions", sections.saturating_mul(descriptions), Basis::Estimated, source);
        // A table of 512 entries for each 2 MiB, should all be mapped by single pages.
        let tables = room / 512;
        need.add("page tables", tables, Basis::Estimated, String::from("at most 1/512 of the memory"));
        let cpus = capture_cpus(inputs.cmdline, inputs.cpus);
        let source =
            format!("{} KiB for each CPU, {cpus} by the command line and the machine", row.per_cpu >> 10);
        need.add("per-CPU memory", cpus.saturating_mul(row.per_cpu), Basis::Estimated, source);
        let (parts, basis) = inputs.parts;
        let source = if basis == Basis::Exact { "as planned" } else { "laid out by the running kernel" };
        need.add("other segments", parts, basis, String::from(source));
        let bounce = bounce_buffers(inputs.cmdline, inputs.machine_last);
        if bounce != 0 {
            let source = String::from("swiotlb, because the machine has memory above 4 GiB");
            need.add(BOUNCE, bounce, Basis::Estimated, source);
        }
        let packed = inputs.initrd.map_or(0, |initrd| initrd.packed);
        let early = need.total().saturating_add(packed).saturating_add(row.early);
        let files = inputs.initrd.map_or(0, |initrd| need.add_initrd(initrd));
        let source = String::from("measured: the kernel's own data and the programs that save the dump");
        need.add("reserve to run", row.reserve, Basis::Estimated, source);
        let half = early.saturating_add(files.saturating_mul(2));
        if tmpfs_root(inputs.cmdline) && half > need.total() {
            let missing = half.saturating_sub(need.total());
            // Documentation/filesystems/tmpfs.rst, "size"; ramfs-rootfs-initramfs.rst.
            let source = String::from("a tmpfs gets at most half of the memory; rootfstype=ramfs lifts that");
            need.add("room behind the root file system", missing, Basis::Estimated, source);
        }
        Ok(Some(need))
    }

    /// Adds what the initial ramdisk takes and returns the bytes of its files, which end in parts
    /// of pages.
    fn add_initrd(&mut self, initrd: &InitrdSize) -> u64 {
        self.add("initrd as loaded", initrd.packed, Basis::Exact, String::from("its file"));
        self.add("initrd unpacked", initrd.unpacked, initrd.basis, initrd.source.clone());
        let slack = initrd.unpacked.checked_div(8).unwrap_or(0);
        let source = String::from("1/8 for inodes, the ends of pages, and modules that are loaded from it");
        self.add("files of the initrd", slack, Basis::Estimated, source);
        if initrd.window != 0 {
            let source = String::from("its window and buffers");
            self.add("decompressor", initrd.window, Basis::Estimated, source);
        }
        initrd.unpacked.saturating_add(slack / 2)
    }

    fn add(&mut self, name: &'static str, bytes: u64, basis: Basis, source: String) {
        self.items.push(NeedItem { name, bytes, basis, source });
    }

    /// Bytes it needs.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.bytes))
    }

    /// [`CaptureNeed::total`] in MiB, rounded up.
    #[must_use]
    pub fn total_mib(&self) -> u64 {
        self.total().div_ceil(MIB)
    }

    /// Whether the room suffices.
    #[must_use]
    pub fn fit(&self) -> Fit {
        if self.total() <= self.room { Fit::Enough } else { Fit::Unlikely }
    }
}

/// The sentence of plans and of `kdump status`, with the parts of a MiB and more.
impl fmt::Display for CaptureNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capture kernel: needs about {} MiB (", self.total_mib())?;
        let large = self.items.iter().filter(|item| item.bytes >= MIB);
        for (index, item) in large.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", item.name, item.bytes.div_ceil(MIB))?;
        }
        write!(f, "); the region has {} MiB: {}", self.room >> 20, self.fit().name())
    }
}

/// Bytes of memory `image` takes while it runs. The image itself tells only what it takes while
/// it unpacks itself (`init_size`, Documentation/arch/x86/boot.rst), which is more; the running
/// kernel, when it is the same release, shows the rest.
pub(crate) fn kernel_size(machine: &Machine, image: &Image<'_>, file: &[u8]) -> (u64, Basis, String) {
    match image {
        Image::BzImage(bzimage) => {
            let same = image_release(file).filter(|release| machine.release.as_deref() == Some(*release));
            match (same, &machine.kernel.text) {
                (Some(release), Some(text)) if text.value.size < bzimage.memsz() => {
                    let source = format!("as the running {release} takes, from {}", text.source);
                    (text.value.size, Basis::Exact, source)
                }
                // Old images do not tell; what is loaded is the compressed kernel.
                _ if bzimage.payload().len() as u64 >= u64::from(bzimage.header.init_size) => {
                    let size = (bzimage.payload().len() as u64).saturating_mul(UNKNOWN_FACTOR);
                    let source = format!(
                        "{UNKNOWN_FACTOR} times the compressed kernel assumed, the bzImage has init_size {:#x}",
                        bzimage.header.init_size
                    );
                    (align_up(size, 4 * KIB).unwrap_or(u64::MAX), Basis::Estimated, source)
                }
                _ => (bzimage.memsz(), Basis::Estimated, String::from("at most init_size of the bzImage")),
            }
        }
        Image::Vmlinux(vmlinux) => {
            let size = vmlinux.span().map_or(0, PhysRange::size);
            (size, Basis::Exact, String::from("program headers of the vmlinux"))
        }
        Image::Flat(image) => (image.memsz(), Basis::Exact, String::from("image_size of the Image")),
    }
}

/// The first word of the version text of a bzImage (`kernel_version`,
/// Documentation/arch/x86/boot.rst).
fn image_release(file: &[u8]) -> Option<&str> {
    let at = usize::from(crate::le::u16_at(file, 0x20e)?).checked_add(0x200)?;
    let text = file.get(at..)?;
    let text = text.get(..text.len().min(256))?;
    let end = text.iter().position(|&byte| byte == 0 || byte == b' ')?;
    core::str::from_utf8(text.get(..end)?).ok().filter(|release| !release.is_empty())
}

/// CPUs the capture kernel sets memory aside for: `nr_cpus=` bounds them, `maxcpus=` bounds only
/// how many are started, and `nosmp` is one (Documentation/admin-guide/kernel-parameters.rst).
fn capture_cpus(cmdline: &CommandLine, machine_cpus: u64) -> u64 {
    let machine_cpus = machine_cpus.max(1);
    let mut cpus = machine_cpus;
    for word in cmdline.parameters() {
        match word.split_once('=') {
            Some(("nr_cpus", value)) => {
                cpus = value.parse::<u64>().ok().filter(|&count| count != 0).unwrap_or(machine_cpus);
            }
            _ if word == "nosmp" => return 1,
            _ => {}
        }
    }
    cpus.min(machine_cpus)
}

/// Whether the root file system is a tmpfs
/// (Documentation/filesystems/ramfs-rootfs-initramfs.rst). Neither `rootfstype=ramfs` nor, on Linux
/// 6.1, `root=` leaves it one: /proc/mounts then shows no size.
fn tmpfs_root(cmdline: &CommandLine) -> bool {
    !cmdline.parameters().any(|word| word.starts_with("root=") || word == "rootfstype=ramfs")
}

/// Bytes of bounce buffers: 64 MiB where there is memory that devices with short addresses do not
/// reach, or what `swiotlb=` says in slots of 2 KiB
/// (Documentation/admin-guide/kernel-parameters.rst). A capture kernel in a region below 4 GiB does
/// so as well where the ACPI table SRAT lists memory above (Linux 6.1 in a guest of two nodes, 6 GiB).
fn bounce_buffers(cmdline: &CommandLine, last: u64) -> u64 {
    const DEFAULT: u64 = 64 * MIB;
    let option = cmdline.parameters().filter_map(|word| word.strip_prefix("swiotlb=")).last();
    let words = || option.unwrap_or_default().split(',');
    if last < 4 * GIB && !words().any(|word| word == "force") || words().any(|word| word == "noforce") {
        return 0;
    }
    let slots = words().next().and_then(|slots| slots.parse::<u64>().ok());
    slots.map_or(DEFAULT, |slots| slots.saturating_mul(2 * KIB))
}

/// How many sections of `size` bytes `ram` touches.
fn sections(ram: &RangeSet, size: u64) -> Result<u64, Error> {
    let whole = |range: PhysRange| {
        let end = align_up(range.end(), size).unwrap_or(u64::MAX);
        PhysRange::from_half_open(align_down(range.start(), size), end).ok()
    };
    let touched = RangeSet::from_ranges(ram.iter().filter_map(whole))?;
    Ok(touched.total().checked_div(size).unwrap_or(0))
}
