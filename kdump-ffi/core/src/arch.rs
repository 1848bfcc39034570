//! Architectures as numbers.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{CStr, c_char, c_int};

use kdump_elf::{Arch, Encoding, crash_note_size, prstatus_size};

use crate::error::libkdump_error;
use crate::{Chars, Failure, InOut, Out, call, encoding_numbers, extensible};

/// An architecture the library does not know.
pub const LIBKDUMP_ARCH_UNKNOWN: u32 = 0;
/// x86, 64-bit.
pub const LIBKDUMP_ARCH_X86_64: u32 = 1;
/// x86, 32-bit.
pub const LIBKDUMP_ARCH_I386: u32 = 2;
/// ARM, 64-bit.
pub const LIBKDUMP_ARCH_ARM64: u32 = 3;
/// ARM, 32-bit.
pub const LIBKDUMP_ARCH_ARM: u32 = 4;
/// PowerPC, 64-bit, either byte order.
pub const LIBKDUMP_ARCH_PPC64: u32 = 5;
/// PowerPC, 32-bit.
pub const LIBKDUMP_ARCH_PPC32: u32 = 6;
/// RISC-V, 64-bit.
pub const LIBKDUMP_ARCH_RISCV64: u32 = 7;
/// IBM Z, 64-bit.
pub const LIBKDUMP_ARCH_S390X: u32 = 8;
/// LoongArch, 64-bit.
pub const LIBKDUMP_ARCH_LOONGARCH64: u32 = 9;

/// What follows from an architecture alone.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_arch_info {
    /// `sizeof (struct libkdump_arch_info)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_ARCH_ number.
    pub arch: u32,
    /// Native ELF class.
    pub elf_class: u32,
    /// Usual byte order.
    pub endian: u32,
    /// `e_machine` of its ELF files.
    pub e_machine: u32,
    /// Bytes of `struct elf_prstatus`.
    pub prstatus_size: u32,
    /// Bytes a CPU's crash note needs, final null note included.
    pub crash_note_size: u32,
    /// Zero.
    pub reserved: u32,
}

extensible!(libkdump_arch_info {
    arch: u32,
    elf_class: u32,
    endian: u32,
    e_machine: u32,
    prstatus_size: u32,
    crash_note_size: u32,
    reserved: u32,
});

/// Numbers and names; the names are those of [`Arch::name`].
const TABLE: [(u32, Arch, &CStr); 9] = [
    (LIBKDUMP_ARCH_X86_64, Arch::X86_64, c"x86_64"),
    (LIBKDUMP_ARCH_I386, Arch::I386, c"i386"),
    (LIBKDUMP_ARCH_ARM64, Arch::Arm64, c"arm64"),
    (LIBKDUMP_ARCH_ARM, Arch::Arm, c"arm"),
    (LIBKDUMP_ARCH_PPC64, Arch::Ppc64, c"ppc64"),
    (LIBKDUMP_ARCH_PPC32, Arch::Ppc32, c"ppc32"),
    (LIBKDUMP_ARCH_RISCV64, Arch::Riscv64, c"riscv64"),
    (LIBKDUMP_ARCH_S390X, Arch::S390x, c"s390x"),
    (LIBKDUMP_ARCH_LOONGARCH64, Arch::LoongArch64, c"loongarch64"),
];

/// The number of an architecture.
#[must_use]
pub fn arch_number(arch: Option<Arch>) -> u32 {
    TABLE.iter().find(|row| Some(row.1) == arch).map_or(LIBKDUMP_ARCH_UNKNOWN, |row| row.0)
}

/// The architecture with this number.
///
/// # Errors
/// [`Failure::Argument`].
pub fn arch(number: u32) -> Result<Arch, Failure> {
    TABLE.iter().find(|row| row.0 == number).map(|row| row.1).ok_or(Failure::Argument {
        name: "arch",
        value: u64::from(number),
        expected: "a LIBKDUMP_ARCH_ constant",
    })
}

/// The name of an architecture, for example "x86_64".
///
/// Parameters: `arch` a LIBKDUMP_ARCH_ constant. Returns a text that is valid forever, or
/// NULL when there is no such architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_arch_name(arch: u32) -> *const c_char {
    TABLE.iter().find(|row| row.0 == arch).map_or(core::ptr::null(), |row| row.2.as_ptr())
}

/// The architecture with a name.
///
/// Parameters: `name` as libkdump_arch_name() spells it; `arch` receives the number; `error`
/// may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_arch_from_name(
    name: Chars<'_>,
    arch: Out<'_, u32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let name = name.get("name")?;
        let found = Arch::from_name(name).ok_or(Failure::NotFound { what: "architecture" })?;
        arch.set("arch", arch_number(Some(found)))
    })
}

/// What follows from an architecture alone: word size, byte order, sizes of its notes.
///
/// Parameters: `arch` a LIBKDUMP_ARCH_ constant; `out` receives the facts; `error` may be
/// NULL. Errors: LIBKDUMP_ERR_INVALID when there is no such architecture.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_arch_get_info(
    arch: u32,
    out: InOut<'_, libkdump_arch_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let found = crate::arch(arch)?;
        let (elf_class, endian) = encoding_numbers(Encoding { class: found.class(), endian: found.endian() });
        let small = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        out.set(
            "out",
            libkdump_arch_info {
                size: 0,
                arch,
                elf_class,
                endian,
                e_machine: u32::from(found.e_machine()),
                prstatus_size: small(prstatus_size(found)),
                crash_note_size: small(crash_note_size(found)),
                reserved: 0,
            },
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_a_number_and_its_name() {
        assert_eq!(Arch::all().count(), TABLE.len());
        for (index, arch) in Arch::all().enumerate() {
            let number = arch_number(Some(arch));
            assert_eq!(number as usize, index + 1);
            assert_eq!(crate::arch(number), Ok(arch));
            assert_eq!(TABLE[index].2.to_str(), Ok(arch.name()));
        }
    }
}
