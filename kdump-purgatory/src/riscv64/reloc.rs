//! The relocation types of riscv64 (RISC-V ELF psABI, "Relocations").

use goblin::elf::header::EM_RISCV;
use goblin::elf::reloc::{
    R_RISCV_64, R_RISCV_CALL, R_RISCV_CALL_PLT, R_RISCV_NONE, R_RISCV_PCREL_HI20, R_RISCV_PCREL_LO12_I,
    R_RISCV_PCREL_LO12_S, R_RISCV_RELAX, r_to_str,
};

use crate::reloc::{Field, word64};

/// A relocation type this linker applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Abs64,
    /// AUIPC and JALR: a distance of 32 bits.
    Call,
    /// The upper 20 bits of a distance, in AUIPC.
    High,
    /// The low 12 bits of a distance from an AUIPC elsewhere, as the immediate of ADDI or a load.
    Low,
    /// The same, as that of a store.
    LowStore,
}

/// The immediates of AUIPC, of ADDI, loads and JALR, and of stores.
const HIGH_MASK: u32 = 0xffff_f000;
const LOW_MASK: u32 = 0xfff0_0000;
const STORE_MASK: u32 = 0xfe00_0f80;

impl Kind {
    /// The type with this number, if it is one of ours. RELAX allows a linker to shorten what stands there,
    /// and CALL_PLT is a call which needs no linkage table when everything is in one object.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            R_RISCV_NONE | R_RISCV_RELAX => Self::None,
            R_RISCV_64 => Self::Abs64,
            R_RISCV_CALL | R_RISCV_CALL_PLT => Self::Call,
            R_RISCV_PCREL_HI20 => Self::High,
            R_RISCV_PCREL_LO12_I => Self::Low,
            R_RISCV_PCREL_LO12_S => Self::LowStore,
            _ => return None,
        })
    }

    /// Bytes it stores.
    pub(crate) fn width(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Abs64 | Self::Call => 8,
            Self::High | Self::Low | Self::LowStore => 4,
        }
    }

    /// Whether its symbol is the place of the instruction with the upper part, whose symbol is meant.
    pub(crate) fn is_low_part(self) -> bool {
        matches!(self, Self::Low | Self::LowStore)
    }

    /// Computes the field for a symbol at `symbol`, an addend and the address of the field, for a low part
    /// those of the upper part.
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
            Self::Call => {
                let (high, low) = parts(relative)?;
                Ok(Field::LongBits {
                    mask: u64::from(LOW_MASK) << 32 | u64::from(HIGH_MASK),
                    value: u64::from(low << 20) << 32 | u64::from(high),
                })
            }
            Self::High => parts(relative).map(|(high, _)| Field::Bits { mask: HIGH_MASK, value: high }),
            Self::Low => parts(relative).map(|(_, low)| Field::Bits { mask: LOW_MASK, value: low << 20 }),
            Self::LowStore => parts(relative).map(|(_, low)| Field::Bits {
                mask: STORE_MASK,
                value: (low >> 5 & 0x7f) << 25 | (low & 0x1f) << 7,
            }),
        }
    }
}

/// What AUIPC adds, and the 12 bits that are added as a signed number to that.
fn parts(distance: i128) -> Result<(u32, u32), i128> {
    let rounded = distance.saturating_add(0x800);
    let high = i32::try_from(rounded).map_err(|_| distance)?;
    let low = u32::try_from(distance & 0xfff).map_err(|_| distance)?;
    Ok((u32::from_le_bytes(high.to_le_bytes()) & HIGH_MASK, low))
}

/// The name of a relocation type.
pub(crate) fn name(number: u32) -> &'static str {
    r_to_str(number, EM_RISCV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values() {
        let bits = |mask, value| Ok(Field::Bits { mask, value });
        assert_eq!(Kind::High.field(0x1_2345, 0, 0x1000), bits(HIGH_MASK, 0x1_1000));
        assert_eq!(Kind::Low.field(0x1_2345, 0, 0x1000), bits(LOW_MASK, 0x3450_0000));
        // The low part is signed: from 0x800 on the upper part is one more.
        assert_eq!(Kind::High.field(0x1800, 0, 0), bits(HIGH_MASK, 0x2000));
        assert_eq!(Kind::Low.field(0x1800, 0, 0), bits(LOW_MASK, 0x8000_0000));
        assert_eq!(Kind::High.field(0x17ff, 0, 0), bits(HIGH_MASK, 0x1000));
        assert_eq!(Kind::High.field(0x1000, -4, 0x2000), bits(HIGH_MASK, 0xffff_f000));
        assert_eq!(Kind::LowStore.field(0x1abc, 0, 0), bits(STORE_MASK, 0xaa00_0e00));
        let call = Field::LongBits { mask: 0xfff0_0000_ffff_f000, value: 0x3450_0000_0001_1000 };
        assert_eq!(Kind::Call.field(0x1_2345, 0, 0x1000), Ok(call));
        assert_eq!(Kind::Abs64.field(8, -8, 0), Ok(Field::Long([0; 8])));
    }

    #[test]
    fn a_distance_that_is_too_long_is_refused() {
        assert!(Kind::High.field(0x7fff_f7ff, 0, 0).is_ok());
        assert_eq!(Kind::High.field(0x7fff_f800, 0, 0), Err(0x7fff_f800));
        assert!(Kind::Call.field(0, 0, 0x8000_0800).is_ok());
        assert_eq!(Kind::Call.field(0, 0, 0x8000_0801), Err(-0x8000_0801));
        assert_eq!(Kind::Low.field(1 << 32, 0, 0), Err(1 << 32));
    }

    #[test]
    fn what_only_shortens_changes_nothing() {
        assert_eq!(Kind::from_number(51), Some(Kind::None));
        assert_eq!(Kind::from_number(43), None, "ALIGN would need a linker that moves code");
    }
}
