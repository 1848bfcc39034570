//! The relocation types of arm64 (ELF for the Arm 64-bit Architecture, "Relocation codes").

use goblin::elf::header::EM_AARCH64;
use goblin::elf::reloc::{
    R_AARCH64_ABS32, R_AARCH64_ABS64, R_AARCH64_ADD_ABS_LO12_NC, R_AARCH64_ADR_PREL_LO21,
    R_AARCH64_ADR_PREL_PG_HI21, R_AARCH64_CALL26, R_AARCH64_JUMP26, R_AARCH64_LDST8_ABS_LO12_NC,
    R_AARCH64_LDST16_ABS_LO12_NC, R_AARCH64_LDST32_ABS_LO12_NC, R_AARCH64_LDST64_ABS_LO12_NC,
    R_AARCH64_LDST128_ABS_LO12_NC, R_AARCH64_NONE, R_AARCH64_PREL32, R_AARCH64_PREL64, r_to_str,
};

use crate::reloc::{Field, word32, word64};

/// A relocation type this linker applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Abs64,
    Abs32,
    Prel64,
    Prel32,
    /// ADR: a distance of 21 bits.
    Adr,
    /// ADRP: a distance of 21 bits in pages of 4 KiB.
    AdrPage,
    /// The low 12 bits of an address, as the immediate of ADD.
    AddLow,
    /// The same as an offset of a load or store of 2 to the power of this many bytes.
    LoadLow(u32),
    /// B and BL: a distance of 26 bits in words.
    Branch,
}

/// The immediate of ADR and ADRP: two low bits apart from the others.
const ADR_LOW_AT: u32 = 29;
const ADR_HIGH_AT: u32 = 5;
const ADR_MASK: u32 = 0x60ff_ffe0;
/// That of ADD, loads and stores.
const LOW_AT: u32 = 10;
const LOW_MASK: u32 = 0x003f_fc00;
const BRANCH_MASK: u32 = 0x03ff_ffff;

impl Kind {
    /// The type with this number, if it is one of ours.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            R_AARCH64_NONE => Self::None,
            R_AARCH64_ABS64 => Self::Abs64,
            R_AARCH64_ABS32 => Self::Abs32,
            R_AARCH64_PREL64 => Self::Prel64,
            R_AARCH64_PREL32 => Self::Prel32,
            R_AARCH64_ADR_PREL_LO21 => Self::Adr,
            R_AARCH64_ADR_PREL_PG_HI21 => Self::AdrPage,
            R_AARCH64_ADD_ABS_LO12_NC => Self::AddLow,
            R_AARCH64_LDST8_ABS_LO12_NC => Self::LoadLow(0),
            R_AARCH64_LDST16_ABS_LO12_NC => Self::LoadLow(1),
            R_AARCH64_LDST32_ABS_LO12_NC => Self::LoadLow(2),
            R_AARCH64_LDST64_ABS_LO12_NC => Self::LoadLow(3),
            R_AARCH64_LDST128_ABS_LO12_NC => Self::LoadLow(4),
            R_AARCH64_CALL26 | R_AARCH64_JUMP26 => Self::Branch,
            _ => return None,
        })
    }

    /// Bytes it stores.
    pub(crate) fn width(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Abs64 | Self::Prel64 => 8,
            _ => 4,
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
            Self::Prel64 => word64(relative),
            Self::Abs32 => {
                u32::try_from(absolute).map(|value| Field::Word(value.to_le_bytes())).map_err(|_| absolute)
            }
            Self::Prel32 => word32(relative),
            Self::Adr => adr(relative),
            Self::AdrPage => {
                let pages = (absolute >> 12_u32).saturating_sub(i128::from(place >> 12));
                adr(pages)
            }
            Self::AddLow => low(absolute, 0),
            Self::LoadLow(scale) => low(absolute, scale),
            Self::Branch => {
                let words = signed(relative, 28).filter(|_| relative & 3 == 0).ok_or(relative)?;
                Ok(Field::Bits { mask: BRANCH_MASK, value: words >> 2 & BRANCH_MASK })
            }
        }
    }
}

fn adr(distance: i128) -> Result<Field, i128> {
    let bits = signed(distance, 21).ok_or(distance)?;
    let value = (bits & 3) << ADR_LOW_AT | (bits >> 2 & 0x7_ffff) << ADR_HIGH_AT;
    Ok(Field::Bits { mask: ADR_MASK, value })
}

/// The low 12 bits, which must be a multiple of what is loaded.
fn low(address: i128, scale: u32) -> Result<Field, i128> {
    let bits = u32::try_from(address & 0xfff).map_err(|_| address)?;
    let size = 1_u32.checked_shl(scale).ok_or(address)?;
    if bits & size.saturating_sub(1) != 0 {
        return Err(address);
    }
    let value = bits.checked_shr(scale).unwrap_or(0) << LOW_AT;
    Ok(Field::Bits { mask: LOW_MASK, value })
}

/// The two's complement of a number of `bits` bits, at most 32.
fn signed(value: i128, bits: u32) -> Option<u32> {
    let half = 1_i128.checked_shl(bits.checked_sub(1)?)?;
    let value = (half.checked_neg()?..half).contains(&value).then_some(value)?;
    i32::try_from(value).ok().map(|value| u32::from_le_bytes(value.to_le_bytes()))
}

/// The name of a relocation type.
pub(crate) fn name(number: u32) -> &'static str {
    r_to_str(number, EM_AARCH64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(kind: Kind, symbol: u64, place: u64) -> Result<u32, i128> {
        match kind.field(symbol, 0, place)? {
            Field::Bits { value, .. } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    /// Encodings as binutils' assembler writes them, without the operation.
    #[test]
    fn immediates() {
        assert_eq!(bits(Kind::Branch, 0x1000, 0x2000), Ok(0x03ff_fc00));
        assert_eq!(bits(Kind::Adr, 0x1007, 0x1000), Ok(0x6000_0020));
        assert_eq!(bits(Kind::AdrPage, 0x1_2345_6789, 0x1_2345_5000), Ok(0x2000_0000));
        assert_eq!(bits(Kind::AddLow, 0x1_2345_6789, 0), Ok(0x789 << 10));
        assert_eq!(bits(Kind::LoadLow(3), 0x1_2345_6788, 0), Ok(0xf1 << 10));
    }

    #[test]
    fn what_does_not_reach_is_refused() {
        assert!(bits(Kind::Branch, 1 << 27, 0).is_err() && bits(Kind::Branch, (1 << 27) - 4, 0).is_ok());
        assert!(bits(Kind::Branch, 0x1002, 0x1000).is_err());
        assert!(bits(Kind::Adr, 1 << 20, 0).is_err() && bits(Kind::Adr, 0, 1 << 20).is_ok());
        assert!(bits(Kind::AdrPage, 1 << 32, 0).is_err() && bits(Kind::AdrPage, 0, 1 << 32).is_ok());
        assert!(bits(Kind::LoadLow(4), 0x1008, 0).is_err());
    }
}
