// SPDX-License-Identifier: MIT OR Apache-2.0
//! The architectures a dump or a plan can be for, as values.

use crate::{Class, Endian};

/// An architecture whose dumps the kdump crates understand.
///
/// The dump's architecture is a value, never the build's: an x86_64 host reads a big-endian
/// dump and plans an arm64 load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Arch {
    /// x86, 64-bit.
    X86_64,
    /// x86, 32-bit.
    I386,
    /// ARM, 64-bit.
    Arm64,
    /// ARM, 32-bit.
    Arm,
    /// PowerPC, 64-bit, either endianness.
    Ppc64,
    /// PowerPC, 32-bit.
    Ppc32,
    /// RISC-V, 64-bit.
    Riscv64,
    /// IBM Z, 64-bit.
    S390x,
    /// LoongArch, 64-bit.
    LoongArch64,
}

/// The facts about an architecture that do not depend on the machine.
struct Row {
    name: &'static str,
    e_machine: u16,
    class: Class,
    endian: Endian,
}

const ALL: [Arch; 9] = [
    Arch::X86_64,
    Arch::I386,
    Arch::Arm64,
    Arch::Arm,
    Arch::Ppc64,
    Arch::Ppc32,
    Arch::Riscv64,
    Arch::S390x,
    Arch::LoongArch64,
];

impl Arch {
    /// Every architecture, in a fixed order.
    pub fn all() -> impl Iterator<Item = Self> {
        ALL.into_iter()
    }

    /// The name used on command lines and in JSON, for example `x86_64`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// The architecture called `name`, as [`Arch::name`] spells it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|arch| arch.name() == name)
    }

    /// The `e_machine` value of its ELF files.
    #[must_use]
    pub const fn e_machine(self) -> u16 {
        self.row().e_machine
    }

    /// The architecture of an ELF file with these header fields; `None` when it is not one
    /// of ours. `e_machine` 62 in an ELF32 header is what a 32-bit loader writes for a
    /// 64-bit kernel, so the class decides only where one number serves two word sizes.
    #[must_use]
    pub fn from_elf(e_machine: u16, class: Class) -> Option<Self> {
        let found = Self::all().find(|arch| arch.e_machine() == e_machine)?;
        match (found, class) {
            (Self::Riscv64 | Self::S390x | Self::LoongArch64, Class::Elf32) => None,
            _ => Some(found),
        }
    }

    /// The native ELF class, which is also the width of `long` in its notes.
    #[must_use]
    pub const fn class(self) -> Class {
        self.row().class
    }

    /// The usual byte order; ppc64 also exists in little endian.
    #[must_use]
    pub const fn endian(self) -> Endian {
        self.row().endian
    }

    /// The last physical address a machine can have: 52 bits on x86 (Intel SDM vol. 3, MAXPHYADDR),
    /// 56 on arm64 (Arm ARM, FEAT_D128) and riscv64 (Sv39 to Sv57); all others are not judged. A
    /// header that names a higher one was made of garbage.
    #[must_use]
    pub const fn last_paddr(self) -> u64 {
        match self {
            Self::X86_64 | Self::I386 => (1 << 52) - 1,
            Self::Arm64 | Self::Riscv64 => (1 << 56) - 1,
            _ => u64::MAX,
        }
    }

    /// `e_machine` values as assigned by the ELF gABI registry.
    const fn row(self) -> Row {
        const fn row(name: &'static str, e_machine: u16, class: Class, endian: Endian) -> Row {
            Row { name, e_machine, class, endian }
        }
        use Class::{Elf32, Elf64};
        use Endian::{Big, Little};
        match self {
            Self::X86_64 => row("x86_64", 62, Elf64, Little),
            Self::I386 => row("i386", 3, Elf32, Little),
            Self::Arm64 => row("arm64", 183, Elf64, Little),
            Self::Arm => row("arm", 40, Elf32, Little),
            Self::Ppc64 => row("ppc64", 21, Elf64, Big),
            Self::Ppc32 => row("ppc32", 20, Elf32, Big),
            Self::Riscv64 => row("riscv64", 243, Elf64, Little),
            Self::S390x => row("s390x", 22, Elf64, Big),
            Self::LoongArch64 => row("loongarch64", 258, Elf64, Little),
        }
    }
}
