//! What the page tables of an x86_64 kernel look like, and what else its CPUs tell.

use kdump_elf::VmcoreInfo;

use super::cpu_features::sha_instructions;
use crate::machine::paths::CPUINFO;
use crate::{Machine, MachineFiles};

/// Sets what VMCOREINFO and /proc/cpuinfo tell of page tables and digests. A kernel that was
/// started with `no5lvl` does not show the flag.
pub(super) fn describe(machine: &mut Machine, files: &MachineFiles, info: Option<&VmcoreInfo<'_>>) {
    let cpuinfo = files.get(CPUINFO);
    let told = info.and_then(|info| info.number("pgtable_l5_enabled")).map(|number| number != 0);
    machine.five_levels = told.or_else(|| cpu_flag(cpuinfo?, "la57"));
    machine.gib_pages = cpuinfo.and_then(|text| cpu_flag(text, "pdpe1gb"));
    machine.sha_instructions = cpuinfo.is_some_and(sha_instructions);
}

/// Whether the kernel says so, or the direct map lies where only 5-level paging reaches
/// (Documentation/arch/x86/x86_64/mm.rst). A kernel that hides its addresses still says it.
pub(crate) fn five_level_paging(machine: &Machine) -> bool {
    /// Lowest kernel address with 4-level paging.
    const LOWEST_4_LEVEL: u64 = 0xffff_8000_0000_0000;
    let base = machine.kernel.direct_map_base.as_ref().map(|base| base.value);
    machine.five_levels == Some(true) || base.is_some_and(|base| base >> 63 == 1 && base < LOWEST_4_LEVEL)
}

/// Whether the first CPU has a flag; `None` when its flags are not listed.
fn cpu_flag(cpuinfo: &[u8], flag: &str) -> Option<bool> {
    let flags = cpuinfo.split(|&byte| byte == b'\n').find(|line| line.starts_with(b"flags"))?;
    Some(flags.split(u8::is_ascii_whitespace).any(|word| word == flag.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryMap;
    use kdump_elf::Arch;

    fn paging(cpuinfo: &str, info: Option<&str>) -> (Option<bool>, Option<bool>) {
        let mut files = MachineFiles::new();
        files.insert(CPUINFO, cpuinfo);
        let mut machine = Machine::new(Arch::X86_64, 0x1000, MemoryMap::new());
        describe(&mut machine, &files, info.map(|text| VmcoreInfo::new(text.as_bytes())).as_ref());
        (machine.five_levels, machine.gib_pages)
    }

    #[test]
    fn files_as_the_kernel_writes_them() {
        let flags = "processor\t: 0\nflags\t\t: fpu pdpe1gb lm la57\nflags\t\t: fpu\n";
        assert_eq!(paging(flags, None), (Some(true), Some(true)));
        assert_eq!(paging(flags, Some("NUMBER(pgtable_l5_enabled)=0\n")), (Some(false), Some(true)));
        assert_eq!(paging("flags\t\t: fpu pdpe1gbx lm\n", None), (Some(false), Some(false)));
        assert_eq!(paging("", Some("NUMBER(pgtable_l5_enabled)=1\n")), (Some(true), None));
    }
}
