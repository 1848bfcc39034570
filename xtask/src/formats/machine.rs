//! The guests of which QEMU makes dumps: a row for each kernel of each architecture.

use crate::apt::Need;
use crate::crash::options::Series;
use crate::error::{Result, usage};

/// A guest's kernel and the machine it runs on.
#[derive(Debug)]
pub(super) struct Machine {
    /// As `--arch` has it.
    pub(super) arch: &'static str,
    pub(super) series: Series,
    /// What rows begin with.
    pub(super) name: &'static str,
    /// The architecture as Debian calls it.
    pub(super) debian: &'static str,
    /// The package that depends on the kernel.
    pub(super) meta_package: &'static str,
    pub(super) need: Need,
    pub(super) qemu: &'static [&'static str],
    pub(super) console: &'static str,
    /// Whether QEMU notes all registers of its CPUs.
    pub(super) has_cpu_state: bool,
    /// What runs the makedumpfile of the architecture here, where that is not its own machine and
    /// knows the kernel.
    pub(super) emulator: Option<Need>,
    /// Where the kernel has its RAM, as far as a program cares that looks at `p_vaddr`.
    pub(super) memory: u64,
    /// Where its RAM begins.
    pub(super) ram: u64,
}

const X86: Need = Need { what: "qemu-system-x86_64", package: "qemu-system-x86" };
const I386: Need = Need { what: "qemu-system-i386", package: "qemu-system-x86" };
const ARM: Need = Need { what: "qemu-system-aarch64", package: "qemu-system-arm" };

const AMD64: Machine = Machine {
    arch: "x86_64",
    series: Series::V6_1,
    name: "x86_64 6.1",
    debian: "amd64",
    meta_package: "linux-image-amd64",
    need: X86,
    qemu: &["-cpu", "max"],
    console: "ttyS0",
    has_cpu_state: true,
    emulator: None,
    memory: 0,
    ram: 0,
};
const ARM64: Machine = Machine {
    arch: "arm64",
    name: "arm64 6.1",
    debian: "arm64",
    meta_package: "linux-image-arm64",
    need: ARM,
    qemu: &["-M", "virt,gic-version=3", "-cpu", "cortex-a72"],
    console: "ttyAMA0",
    has_cpu_state: false,
    emulator: Some(Need { what: "qemu-aarch64-static", package: "qemu-user-static" }),
    ram: 1 << 30,
    ..AMD64
};
const PC: Machine = Machine {
    arch: "i386",
    name: "i386 6.1",
    debian: "i386",
    meta_package: "linux-image-686",
    need: I386,
    emulator: Some(Need { what: "qemu-i386-static", package: "qemu-user-static" }),
    memory: 0xc000_0000,
    ..AMD64
};

const ALL: &[Machine] = &[
    AMD64,
    Machine {
        series: Series::V6_12,
        name: "x86_64 6.12",
        meta_package: "linux-image-6.12-amd64",
        // Four levels of page tables.
        qemu: &["-cpu", "max,-la57"],
        ..AMD64
    },
    PC,
    Machine { name: "i386 6.1 PAE", meta_package: "linux-image-686-pae", ..PC },
    ARM64,
    Machine {
        series: Series::V6_12,
        name: "arm64 6.12",
        meta_package: "linux-image-6.12-arm64",
        qemu: &["-M", "virt,gic-version=3", "-cpu", "max"],
        // makedumpfile 1.7.2 refuses kernels built for addresses of 52 bits.
        emulator: None,
        ..ARM64
    },
];

/// The guests of an architecture with kernels of a series.
pub(super) fn of(arch: &str, series: Series) -> Result<Vec<&'static Machine>> {
    let found: Vec<_> =
        ALL.iter().filter(|machine| machine.arch == arch && machine.series == series).collect();
    if found.is_empty() {
        let known: Vec<_> =
            ALL.iter().map(|machine| format!("{} with {}", machine.arch, machine.series.name())).collect();
        let (series, known) = (series.name(), known.join(", "));
        return Err(usage(format!("--arch {arch} with --kernel {series}: no such guest; there are {known}")));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Series, of};

    #[test]
    fn guests_by_architecture() {
        assert_eq!(of("i386", Series::V6_1).unwrap().len(), 2);
        assert!(of("i386", Series::V6_12).unwrap_err().to_string().contains("arm64 with 6.12"));
        assert!(of("vax", Series::V6_1).is_err());
    }
}
