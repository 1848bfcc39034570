//! Where the kernel would put the regions a `crashkernel=` asks for.

use kdump_elf::{Arch, PhysRange, align_down};

use super::CrashkernelRequest;
use crate::error::check_alignment;
use crate::{Error, Machine, RangeSet};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How an architecture places the regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrashkernelLimits {
    /// Alignment of a region's first address, in bytes: a power of two.
    pub align: u64,
    /// First address behind what devices with short addresses reach.
    pub low_max: u64,
    /// First address behind what the capture kernel reaches.
    pub high_max: u64,
    /// Bytes of the low region that accompanies a high one when nobody asked for a size.
    pub default_low: u64,
}

impl CrashkernelLimits {
    /// The limits of an architecture whose kernel uses the common reservation code, and of
    /// arm; `None` for the others, which place the region by rules of their own.
    ///
    /// On arm64, riscv64 and arm `low_max` and `high_max` depend on the machine; what is given
    /// here is right for machines whose DMA reaches 4 GiB, and may be overwritten.
    #[must_use]
    pub const fn of(arch: Arch) -> Option<Self> {
        const fn row(align: u64, low_max: u64, high_max: u64, default_low: u64) -> CrashkernelLimits {
            CrashkernelLimits { align, low_max, high_max, default_low }
        }
        Some(match arch {
            // The low region holds swiotlb, 64 MiB by default, and 8 MiB more, at least 256 MiB.
            Arch::X86_64 => row(16 * MIB, 4 * GIB, 64 << 40, 256 * MIB),
            Arch::I386 => row(16 * MIB, 512 * MIB, 512 * MIB, 0),
            Arch::Arm64 | Arch::Riscv64 | Arch::LoongArch64 => row(2 * MIB, 4 * GIB, u64::MAX, 128 * MIB),
            Arch::Arm => row(128 * MIB, 4 * GIB, 4 * GIB, 0),
            _ => return None,
        })
    }
}

/// The regions a kernel would reserve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reservation {
    /// The main region.
    pub main: PhysRange,
    /// The low region that accompanies a main region above the low limit.
    pub low: Option<PhysRange>,
    /// Bytes asked for as CMA; the kernel takes what it gets, in pieces.
    pub cma: u64,
}

impl CrashkernelRequest {
    /// What would be reserved of the `free` memory: RAM without what the kernel, its initrd
    /// and the firmware occupy when the reservation is made.
    ///
    /// Regions are placed as high as possible in their window. A plain size is looked for
    /// below the low limit first, then above it together with a low region; `,high` the other
    /// way round. A base must be free.
    ///
    /// # Errors
    /// [`Error::NoFreeMemory`] when the main region, or a low region it needs, finds no place,
    /// [`Error::Conflict`] for limits whose alignment is no power of two.
    pub fn would_reserve(&self, free: &RangeSet, limits: &CrashkernelLimits) -> Result<Reservation, Error> {
        check_alignment("crash region", limits.align)?;
        let no_low = |main| Reservation { main, low: None, cma: self.cma };
        if let Some(base) = self.base {
            let window = PhysRange::from_len(base, self.size).ok();
            let room = window.filter(|&region| free.contains_range(region));
            return room.map(no_low).ok_or(Error::NoFreeMemory {
                what: "the crash region at a fixed base",
                size: self.size,
                align: 1,
                from: base,
                to: base.saturating_add(self.size),
            });
        }
        let below = (0, limits.low_max);
        let above = (limits.low_max, limits.high_max);
        let (first, second) = if self.high { (above, below) } else { (below, above) };
        let find = |(from, to)| find_top(free, self.size, limits.align, from, to);
        let main = find(first).or_else(|| find(second)).ok_or(Error::NoFreeMemory {
            what: "the crash region",
            size: self.size,
            align: limits.align,
            from: 0,
            to: limits.high_max,
        })?;
        let low_size = self.low.unwrap_or(limits.default_low);
        if main.start() < limits.low_max || low_size == 0 {
            return Ok(no_low(main));
        }
        let low = find_top(free, low_size, limits.align, 0, limits.low_max);
        let low = low.ok_or(Error::NoFreeMemory {
            what: "the low crash region",
            size: low_size,
            align: limits.align,
            from: 0,
            to: limits.low_max,
        })?;
        Ok(Reservation { main, low: Some(low), cma: self.cma })
    }
}

impl Machine {
    /// What the running kernel could reserve at its next boot if nothing but the first MiB
    /// and the kernel itself were in the way: an estimate, because the initrd, page tables
    /// and firmware tables are not known.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn free_at_boot(&self) -> Result<RangeSet, Error> {
        let kernel = self.kernel.text.as_ref().map(|text| text.value);
        let kernel = kernel.and_then(|text| PhysRange::from_len(text.paddr, text.size).ok());
        let first = PhysRange::from_half_open(0, MIB).ok();
        self.ram()?.subtract(&RangeSet::from_ranges(first.into_iter().chain(kernel))?)
    }
}

/// The highest aligned place for `size` bytes in `from..to`; never at address 0, which the
/// kernel's early allocator does not hand out.
fn find_top(free: &RangeSet, size: u64, align: u64, from: u64, to: u64) -> Option<PhysRange> {
    let window = PhysRange::from_half_open(from.max(1), to).ok()?;
    free.iter().rev().filter_map(|range| range.intersection(window)).find_map(|range| {
        let start = align_down(range.end().checked_sub(size)?, align);
        PhysRange::from_len(start, size).ok().filter(|&region| range.contains_range(region))
    })
}
