//! What `mem=` on the command line leaves of memory (Documentation/admin-guide/kernel-parameters.rst).

use kdump_elf::{Arch, PhysRange};

use crate::cmdline::CommandLine;
use crate::crashkernel::memparse;
use crate::{Error, RangeSet, room};

/// What a kernel for `arch` with this command line uses of `ram`. On x86 `mem=` names the address it
/// uses nothing above, and of several the lowest counts; elsewhere it names how many bytes it uses,
/// which are the lowest, and the last counts. A capture kernel of ppc64 is told of memory from address 0 on, so that
/// so many bytes are an address as well.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub(crate) fn within_limit(cmdline: &CommandLine, arch: Arch, ram: &RangeSet) -> Result<RangeSet, Error> {
    let limits = cmdline.parameters().filter_map(limit);
    if is_address(arch) {
        let limit = if arch == Arch::Ppc64 { limits.last() } else { limits.min() };
        let Some(limit) = limit else { return ram.try_clone() };
        return ram.intersect(&RangeSet::from_ranges(PhysRange::from_half_open(0, limit))?);
    }
    let Some(mut left) = limits.last() else { return ram.try_clone() };
    let lowest = ram.iter().map_while(|range| {
        let size = range.size().min(left);
        left = left.saturating_sub(size);
        PhysRange::from_len(range.start(), size).ok().filter(|_| size != 0)
    });
    RangeSet::from_ranges(room::collect(room::RANGES, lowest)?)
}

/// Whether `mem=` is the end of memory on `arch`.
pub(crate) fn is_address(arch: Arch) -> bool {
    matches!(arch, Arch::X86_64 | Arch::I386 | Arch::Ppc64)
}

/// The number behind `mem=`, with or without quotes; 0 and what is no number limit nothing.
fn limit(word: &str) -> Option<u64> {
    let value = word.trim_start_matches('"').strip_prefix("mem=")?.trim_start_matches('"');
    let (limit, read) = memparse(value.as_bytes())?;
    // With a place it names memory, of which there may be more (loongarch64).
    if value.contains('@') {
        return None;
    }
    (read != 0 && limit != 0).then_some(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_on_x86_and_an_amount_elsewhere() {
        let range = |start, end| PhysRange::from_half_open(start, end).unwrap();
        let ram = RangeSet::from_ranges([range(0x1000, 0x9000), range(0x10_0000, 0x20_0000)]).unwrap();
        for (text, x86, arm64) in [
            ("quiet mem=0 mem=nopentium", 0x10_8000, 0x10_8000),
            ("mem=0x4000", 0x3000, 0x4000),
            ("mem=4K@1024K", 0x10_8000, 0x10_8000),
            ("mem=64K", 0x8000, 0x1_0000),
            ("mem=64K mem=1500K", 0x8000, 0x10_8000),
            ("mem=1500K mem=16K", 0x3000, 0x4000),
            ("mem=\"16K\" \"mem=1500K\"", 0x3000, 0x10_8000),
            ("-- mem=16K", 0x10_8000, 0x10_8000),
        ] {
            let cmdline = CommandLine::new(text).unwrap();
            let left = |arch| within_limit(&cmdline, arch, &ram).unwrap().total();
            assert_eq!(
                (left(Arch::X86_64), left(Arch::I386), left(Arch::Arm64)),
                (x86, x86, arm64),
                "{text}"
            );
        }
        let cmdline = CommandLine::new("mem=0x8000").unwrap();
        let left = within_limit(&cmdline, Arch::Arm64, &ram).unwrap();
        assert!(left.iter().eq([range(0x1000, 0x9000)]), "nothing of what is behind");
    }
}
