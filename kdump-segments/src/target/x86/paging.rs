//! What the page tables of an x86_64 kernel look like.

use kdump_elf::{Arch, VmcoreInfo};

use crate::machine::paths::CPUINFO;
use crate::{Machine, MachineFiles};

impl Machine {
    /// Sets what VMCOREINFO and the first CPU's flags in /proc/cpuinfo tell. A kernel that was
    /// started with `no5lvl` does not show the flag.
    pub(crate) fn find_paging(&mut self, files: &MachineFiles, info: Option<&VmcoreInfo<'_>>) {
        if self.arch != Arch::X86_64 {
            return;
        }
        let cpuinfo = files.get(CPUINFO);
        let told = info.and_then(|info| info.number("pgtable_l5_enabled")).map(|number| number != 0);
        self.five_levels = told.or_else(|| cpu_flag(cpuinfo?, "la57"));
        self.gib_pages = cpuinfo.and_then(|text| cpu_flag(text, "pdpe1gb"));
    }
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

    fn paging(cpuinfo: &str, info: Option<&str>) -> (Option<bool>, Option<bool>) {
        let mut files = MachineFiles::new();
        files.insert(CPUINFO, cpuinfo);
        let mut machine = Machine::new(Arch::X86_64, 0x1000, MemoryMap::new());
        machine.find_paging(&files, info.map(|text| VmcoreInfo::new(text.as_bytes())).as_ref());
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
