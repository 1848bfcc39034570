//! The architectures whose kernels are crashed: a row for each machine.

use super::low_memory::LowArea;
use super::options::Series;
use crate::apt::{self, Archive, Need};
use crate::error::{Context, Result, usage};
use crate::formats::Maker;

/// A machine, its kernels, and the programs that run on it.
#[derive(Debug)]
pub(crate) struct Lab {
    /// As `--arch` has it.
    pub(crate) arch: &'static str,
    /// As Debian calls it, and how the names of its kernel packages end.
    debian: &'static str,
    flavour: &'static str,
    /// The kernels that Debian has for it.
    pub(crate) series: &'static [Series],
    /// The target of static programs, and what links them where that is not the host's compiler.
    pub(crate) target: &'static str,
    pub(crate) linker: &'static [(&'static str, &'static str)],
    pub(crate) linker_needs: &'static [Need],
    pub(crate) strip: Need,
    pub(crate) qemu: Need,
    /// What QEMU is told of the machine, and of its CPU unless asked otherwise.
    pub(crate) machine: &'static [&'static str],
    pub(crate) cpu: &'static str,
    pub(crate) console: &'static str,
    /// Where the purgatory finds the port of the console.
    pub(crate) serial: &'static str,
    /// What the capture kernel is told on its command line.
    pub(crate) told: &'static [&'static str],
    /// The debugger that knows its registers, and the name of its program counter there.
    pub(crate) gdb: Need,
    pub(crate) pc: &'static str,
    /// What runs its makedumpfile, where that is not the host's.
    pub(crate) emulator: Option<Need>,
    /// MiB to reserve and MiB of memory beyond what the same series takes on x86_64.
    pub(crate) reserve_more: u64,
    pub(crate) memory_more: u64,
    /// The low memory that the purgatory can save.
    pub(crate) low: Option<LowArea>,
}

pub(crate) const X86_64: Lab = Lab {
    arch: "x86_64",
    debian: "amd64",
    flavour: "amd64",
    series: &Series::ALL,
    target: "x86_64-unknown-linux-musl",
    linker: &[],
    linker_needs: &[],
    strip: Need { what: "strip", package: "binutils" },
    qemu: Need { what: "qemu-system-x86_64", package: "qemu-system-x86" },
    machine: &[],
    cpu: "max",
    console: "ttyS0",
    serial: "0x3f8",
    told: &["elfcorehdr=", "nr_cpus=1", "reset_devices"],
    gdb: Need { what: "gdb", package: "gdb" },
    pc: "rip",
    emulator: None,
    reserve_more: 0,
    memory_more: 0,
    low: Some(LowArea::X86),
};

const ARM64: Lab = Lab {
    arch: "arm64",
    debian: "arm64",
    flavour: "arm64",
    series: &Series::ALL,
    target: "aarch64-unknown-linux-musl",
    // Comes with the compiler; musl's own start files are linked.
    linker: &[("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")],
    linker_needs: &[],
    strip: Need { what: "aarch64-linux-gnu-strip", package: "binutils-aarch64-linux-gnu" },
    qemu: Need { what: "qemu-system-aarch64", package: "qemu-system-arm" },
    machine: &["-M", "virt,gic-version=3"],
    cpu: "cortex-a72",
    console: "ttyAMA0",
    serial: "0x9000000",
    // The core header is named in the device tree.
    told: &["nr_cpus=1", "reset_devices"],
    gdb: Need { what: "gdb-multiarch", package: "gdb-multiarch" },
    pc: "pc",
    emulator: Some(Need { what: "qemu-aarch64-static", package: "qemu-user-static" }),
    // Its image is not compressed.
    reserve_more: 64,
    memory_more: 512,
    low: None,
};

/// Without PAE. More memory than the direct map has.
const I386: Lab = Lab {
    arch: "i386",
    debian: "i386",
    flavour: "686",
    series: &[Series::V6_1],
    target: "i686-unknown-linux-musl",
    linker: &[("CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld")],
    linker_needs: &[],
    strip: Need { what: "strip", package: "binutils" },
    qemu: Need { what: "qemu-system-i386", package: "qemu-system-x86" },
    machine: &[],
    cpu: "max",
    console: "ttyS0",
    serial: "0x3f8",
    told: &["elfcorehdr=", "nr_cpus=1", "reset_devices"],
    gdb: Need { what: "gdb", package: "gdb" },
    pc: "eip",
    reserve_more: 0,
    memory_more: 512,
    low: Some(LowArea::X86),
    emulator: Some(Need { what: "qemu-i386-static", package: "qemu-user-static" }),
};

const PPC64LE: Lab = Lab {
    arch: "ppc64le",
    debian: "ppc64el",
    flavour: "powerpc64le",
    series: &[Series::V6_1],
    // There is no standard library for musl.
    target: "powerpc64le-unknown-linux-gnu",
    linker: &[
        ("CARGO_TARGET_POWERPC64LE_UNKNOWN_LINUX_GNU_LINKER", "powerpc64le-linux-gnu-gcc"),
        ("CARGO_TARGET_POWERPC64LE_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-Ctarget-feature=+crt-static"),
    ],
    linker_needs: &[
        Need { what: "powerpc64le-linux-gnu-gcc", package: "gcc-powerpc64le-linux-gnu" },
        Need { what: "/usr/powerpc64le-linux-gnu/lib/libc.a", package: "libc6-dev-ppc64el-cross" },
    ],
    strip: Need { what: "powerpc64le-linux-gnu-strip", package: "binutils-powerpc64le-linux-gnu" },
    qemu: Need { what: "qemu-system-ppc64", package: "qemu-system-ppc" },
    // Mitigations that the emulator does not have.
    machine: &["-M", "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"],
    cpu: "POWER9",
    console: "hvc0",
    serial: "0x71000000",
    told: &["elfcorehdr=", "nr_cpus=1", "reset_devices"],
    gdb: Need { what: "gdb-multiarch", package: "gdb-multiarch" },
    pc: "pc",
    emulator: Some(Need { what: "qemu-ppc64le-static", package: "qemu-user-static" }),
    reserve_more: 64,
    memory_more: 512,
    low: Some(LowArea::PPC64),
};

const I386_PAE: Lab = Lab { arch: "i386-pae", flavour: "686-pae", ..I386 };

pub(crate) const ALL: [&Lab; 5] = [&X86_64, &ARM64, &I386, &I386_PAE, &PPC64LE];
pub(crate) const TARGETS: [&str; 4] = [X86_64.target, ARM64.target, I386.target, PPC64LE.target];

impl Lab {
    /// The row of an architecture.
    pub(crate) fn of(arch: &str) -> Result<&'static Self> {
        let known = || ALL.map(|lab| lab.arch).join(", ");
        let found = ALL.into_iter().find(|lab| lab.arch == arch);
        found.ok_or_else(|| usage(format!("--arch {arch}: no kernel of it is crashed, but of {}", known())))
    }

    pub(crate) fn is_host(&self) -> bool {
        self.arch == X86_64.arch
    }

    /// Debian's packages for it.
    pub(crate) fn archive(&self) -> Result<Archive> {
        if self.is_host() { Ok(Archive::HOST) } else { Archive::foreign(self.debian) }
    }

    /// The package that depends on the newest kernel of a series.
    pub(crate) fn meta_package(&self, series: Series) -> String {
        match series {
            Series::V6_1 => format!("linux-image-{}", self.flavour),
            Series::V6_12 => format!("linux-image-6.12-{}", self.flavour),
        }
    }

    /// The makedumpfile that knows its dumps, or why none does.
    pub(crate) fn makedumpfile(&self, series: Series) -> Result<core::result::Result<Maker, &'static str>> {
        let Some(emulator) = self.emulator else { return Maker::host().map(Ok) };
        if series == Series::V6_12 {
            return Ok(Err("makedumpfile 1.7.2 refuses kernels built for addresses of 52 bits"));
        }
        apt::ensure(&[emulator])?;
        let shelf = crate::repo::scratch("apt")?.join(format!("makedumpfile-{}", self.debian));
        Maker::foreign(&self.archive()?, emulator.what, &shelf, self.arch).map(Ok)
    }

    /// The busybox of the guest, as a file here.
    pub(crate) fn busybox(&self) -> Result<std::path::PathBuf> {
        if self.is_host() {
            return crate::shell::find("busybox").context("busybox: no such program");
        }
        let shelf = crate::repo::scratch("apt")?.join(format!("busybox-{}", self.debian));
        std::fs::create_dir_all(&shelf).context(shelf.display())?;
        let archive = self.archive()?;
        let package = archive.with_fresh_lists(|| archive.shelved("busybox-static", &shelf))?;
        Ok(package.join("bin/busybox"))
    }
}
