//! What relocations store, and which architecture's types they are.

use kdump_elf::Arch;

use crate::{arm64, i386, ppc64, riscv64, x86_64};

/// What a relocation stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Nothing,
    Word([u8; 4]),
    Long([u8; 8]),
    /// The bits of `mask` of a 32-bit instruction; the others stay.
    Bits {
        mask: u32,
        value: u32,
    },
    /// The same of two instructions.
    LongBits {
        mask: u64,
        value: u64,
    },
}

/// A relocation type of an architecture.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    X86_64(x86_64::reloc::Kind),
    I386(i386::reloc::Kind),
    Arm64(arm64::reloc::Kind),
    Riscv64(riscv64::reloc::Kind),
    Ppc64(ppc64::reloc::Type),
}

impl Kind {
    /// The type with this number, if it is one of ours.
    pub(crate) fn from_number(arch: Arch, number: u32) -> Option<Self> {
        match arch {
            Arch::I386 => i386::reloc::Kind::from_number(number).map(Self::I386),
            Arch::Arm64 => arm64::reloc::Kind::from_number(number).map(Self::Arm64),
            Arch::Riscv64 => riscv64::reloc::Kind::from_number(number).map(Self::Riscv64),
            Arch::Ppc64 => ppc64::reloc::Type::from_number(number).map(Self::Ppc64),
            _ => x86_64::reloc::Kind::from_number(number).map(Self::X86_64),
        }
    }

    /// Bytes it stores.
    pub(crate) fn width(self) -> u64 {
        match self {
            Self::X86_64(kind) => kind.width(),
            Self::I386(kind) => kind.width(),
            Self::Arm64(kind) => kind.width(),
            Self::Riscv64(kind) => kind.width(),
            Self::Ppc64(kind) => kind.width(),
        }
    }

    /// Whether its symbol is the place of another relocation, whose symbol and place are meant.
    pub(crate) fn is_low_part(self) -> bool {
        matches!(self, Self::Riscv64(kind) if kind.is_low_part())
    }

    /// Whether it is a branch within one object, which may enter a function behind its first instructions.
    pub(crate) fn enters_locally(self) -> bool {
        matches!(self, Self::Ppc64(kind) if kind.kind == ppc64::reloc::Kind::Branch)
    }

    /// Computes the field for a symbol at `symbol`, an addend, the address of the field and that of the
    /// object.
    ///
    /// # Errors
    /// The value, if it does not fit.
    pub(crate) fn field(self, symbol: u64, addend: i64, place: u64, base: u64) -> Result<Field, i128> {
        match self {
            Self::X86_64(kind) => kind.field(symbol, addend, place),
            Self::I386(kind) => kind.field(symbol, addend, place),
            Self::Arm64(kind) => kind.field(symbol, addend, place),
            Self::Riscv64(kind) => kind.field(symbol, addend, place),
            Self::Ppc64(kind) => {
                kind.field(symbol, addend, place, base.wrapping_add(ppc64::reloc::TOC_OFFSET))
            }
        }
    }
}

/// The name of a relocation type.
pub(crate) fn name(arch: Arch, number: u32) -> &'static str {
    match arch {
        Arch::I386 => i386::reloc::name(number),
        Arch::Arm64 => arm64::reloc::name(number),
        Arch::Riscv64 => riscv64::reloc::name(number),
        Arch::Ppc64 => ppc64::reloc::name(number),
        _ => x86_64::reloc::name(number),
    }
}

/// Whether relocations have addends (`SHT_RELA`), which otherwise lie in the fields.
pub(crate) fn has_addends(arch: Arch) -> bool {
    arch != Arch::I386
}

/// Whether there are relocations whose symbol is the place of another ([`Kind::is_low_part`]).
pub(crate) fn has_low_parts(arch: Arch) -> bool {
    arch == Arch::Riscv64
}

/// Whether such relocations may refer to this one.
pub(crate) fn is_upper_part(arch: Arch, number: u32) -> bool {
    matches!(Kind::from_number(arch, number), Some(Kind::Riscv64(riscv64::reloc::Kind::High)))
}

/// A field that holds a signed 32-bit value.
pub(crate) fn word32(value: i128) -> Result<Field, i128> {
    i32::try_from(value).map(|value| Field::Word(value.to_le_bytes())).map_err(|_| value)
}

/// A field of the width of an address, which holds either an address or a signed distance.
pub(crate) fn word64(value: i128) -> Result<Field, i128> {
    u64::try_from(value)
        .map(u64::to_le_bytes)
        .or_else(|_| i64::try_from(value).map(i64::to_le_bytes))
        .map(Field::Long)
        .map_err(|_| value)
}
