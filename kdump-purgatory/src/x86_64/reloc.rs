//! The relocation types of x86_64 (x86-64 psABI, "Relocation Types").

use goblin::elf::header::EM_X86_64;
use goblin::elf::reloc::{
    R_X86_64_32, R_X86_64_32S, R_X86_64_64, R_X86_64_NONE, R_X86_64_PC32, R_X86_64_PC64, R_X86_64_PLT32,
    r_to_str,
};

use crate::reloc::{Field, word32, word64};

/// A relocation type this linker applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Abs64,
    Abs32,
    Abs32Signed,
    Pc32,
    Pc64,
}

impl Kind {
    /// The type with this number, if it is one of ours. PLT32 is a call which needs no linkage
    /// table when everything is in one object, hence PC32.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        match number {
            R_X86_64_NONE => Some(Self::None),
            R_X86_64_64 => Some(Self::Abs64),
            R_X86_64_32 => Some(Self::Abs32),
            R_X86_64_32S => Some(Self::Abs32Signed),
            R_X86_64_PC32 | R_X86_64_PLT32 => Some(Self::Pc32),
            R_X86_64_PC64 => Some(Self::Pc64),
            _ => None,
        }
    }

    /// Bytes it stores.
    pub(crate) fn width(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Abs32 | Self::Abs32Signed | Self::Pc32 => 4,
            Self::Abs64 | Self::Pc64 => 8,
        }
    }

    /// Computes the field for a symbol at `symbol`, an addend and the address of the field.
    ///
    /// # Errors
    /// The value, if it does not fit.
    pub(crate) fn field(self, symbol: u64, addend: i64, place: u64) -> Result<Field, i128> {
        // Three 64-bit terms cannot overflow 128 bits.
        let absolute = i128::from(symbol).saturating_add(i128::from(addend));
        let relative = absolute.saturating_sub(i128::from(place));
        match self {
            Self::None => Ok(Field::Nothing),
            Self::Abs64 => word64(absolute),
            Self::Pc64 => word64(relative),
            Self::Abs32 => {
                u32::try_from(absolute).map(|value| Field::Word(value.to_le_bytes())).map_err(|_| absolute)
            }
            Self::Abs32Signed => word32(absolute),
            Self::Pc32 => word32(relative),
        }
    }
}

/// The name of a relocation type.
pub(crate) fn name(number: u32) -> &'static str {
    r_to_str(number, EM_X86_64)
}
