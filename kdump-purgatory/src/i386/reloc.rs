//! The relocation types of i386 (Intel386 psABI, "Relocation Types"), whose addends lie in the fields.

use goblin::elf::header::EM_386;
use goblin::elf::reloc::{R_386_32, R_386_NONE, R_386_PC32, R_386_PLT32, r_to_str};

use crate::reloc::Field;

/// A relocation type this linker applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Abs32,
    Pc32,
}

impl Kind {
    /// The type with this number, if it is one of ours. PLT32 is a call which needs no linkage
    /// table when everything is in one object, hence PC32.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        match number {
            R_386_NONE => Some(Self::None),
            R_386_32 => Some(Self::Abs32),
            R_386_PC32 | R_386_PLT32 => Some(Self::Pc32),
            _ => None,
        }
    }

    /// Bytes it stores.
    pub(crate) fn width(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Abs32 | Self::Pc32 => 4,
        }
    }

    /// Computes the field for a symbol at `symbol`, an addend and the address of the field.
    ///
    /// # Errors
    /// The value, if it is no address. A distance always reaches: addresses wrap at 4 GiB.
    pub(crate) fn field(self, symbol: u64, addend: i64, place: u64) -> Result<Field, i128> {
        // Three 64-bit terms cannot overflow 128 bits.
        let value = i128::from(symbol).saturating_add(i128::from(addend));
        let address = u32::try_from(value).map_err(|_| value)?;
        let place = u32::try_from(place).map_err(|_| i128::from(place))?;
        Ok(match self {
            Self::None => Field::Nothing,
            Self::Abs32 => Field::Word(address.to_le_bytes()),
            Self::Pc32 => Field::Word(address.wrapping_sub(place).to_le_bytes()),
        })
    }
}

/// The name of a relocation type.
pub(crate) fn name(number: u32) -> &'static str {
    r_to_str(number, EM_386)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let word = |value: u32| Ok(Field::Word(value.to_le_bytes()));
        assert_eq!(Kind::Abs32.field(0xffff_fff0, 15, 0), word(0xffff_ffff));
        assert_eq!(Kind::Abs32.field(0xffff_fff0, 16, 0), Err(1 << 32));
        assert_eq!(Kind::Abs32.field(3, -4, 0), Err(-1));
        assert_eq!(Kind::Pc32.field(0x1000, -4, 0x2000), word(0xffff_effc));
        assert_eq!(Kind::Pc32.field(0xffff_f000, -4, 0x1000), word(0xffff_dffc));
        assert_eq!(Kind::Pc32.field(0x1_0000_0000, 0, 0x1000), Err(1 << 32));
    }

    #[test]
    fn a_call_through_a_linkage_table_is_a_call() {
        assert_eq!(Kind::from_number(R_386_PLT32), Some(Kind::Pc32));
        assert_eq!(Kind::from_number(3), None);
    }
}
