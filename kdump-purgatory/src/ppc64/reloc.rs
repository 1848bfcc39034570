//! The relocation types of ppc64le (64-Bit ELF V2 ABI, "Relocation Types").

use goblin::elf::header::EM_PPC64;
use goblin::elf::reloc::{
    R_PPC64_ADDR64, R_PPC64_NONE, R_PPC64_REL16_HA, R_PPC64_REL16_LO, R_PPC64_REL24, R_PPC64_REL32,
    R_PPC64_REL64, R_PPC64_TOC16_DS, R_PPC64_TOC16_HA, R_PPC64_TOC16_LO, R_PPC64_TOC16_LO_DS, r_to_str,
};

use crate::reloc::{Field, word32, word64};

/// The symbol of the TOC pointer, which no section defines.
pub(crate) const TOC: &[u8] = b".TOC.";
/// Where it points, from the load address: in the middle of what 16 bits reach.
pub(crate) const TOC_OFFSET: u64 = 0x8000;

/// A relocation type this linker applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    None,
    Addr64,
    Rel64,
    Rel32,
    /// A branch: a distance of 26 bits, of which the lowest two are 0.
    Branch,
    /// A half of a distance of 32 bits, from the field or from the TOC pointer.
    Half {
        part: Part,
        toc: bool,
    },
}

/// A part of a distance of 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, which fits 16 bits.
    Whole,
    /// The low half.
    Low,
    /// The high half, one more where the low half is negative.
    HighAdjusted,
}

const BRANCH_MASK: u32 = 0x03ff_fffc;
const HALF_MASK: u32 = 0xffff;
/// The last two bits of the immediate of LD and STD say which of them it is.
const HALF_DS_MASK: u32 = 0xfffc;

/// A type, and the bits of an immediate that it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Type {
    pub(crate) kind: Kind,
    mask: u32,
}

impl Type {
    /// The type with this number, if it is one of ours.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        let of = |kind| Some(Self { kind, mask: HALF_MASK });
        let toc = |part| Kind::Half { part, toc: true };
        let rel = |part| Kind::Half { part, toc: false };
        match number {
            R_PPC64_NONE => of(Kind::None),
            R_PPC64_ADDR64 => of(Kind::Addr64),
            R_PPC64_REL64 => of(Kind::Rel64),
            R_PPC64_REL32 => of(Kind::Rel32),
            R_PPC64_REL24 => of(Kind::Branch),
            R_PPC64_REL16_LO => of(rel(Part::Low)),
            R_PPC64_REL16_HA => of(rel(Part::HighAdjusted)),
            R_PPC64_TOC16_LO => of(toc(Part::Low)),
            R_PPC64_TOC16_HA => of(toc(Part::HighAdjusted)),
            R_PPC64_TOC16_DS => Some(Self { kind: toc(Part::Whole), mask: HALF_DS_MASK }),
            R_PPC64_TOC16_LO_DS => Some(Self { kind: toc(Part::Low), mask: HALF_DS_MASK }),
            _ => None,
        }
    }

    /// Bytes it stores: of an immediate the instruction's four are read and written.
    pub(crate) fn width(self) -> u64 {
        match self.kind {
            Kind::None => 0,
            Kind::Addr64 | Kind::Rel64 => 8,
            Kind::Rel32 | Kind::Branch | Kind::Half { .. } => 4,
        }
    }

    /// Computes the field for a symbol at `symbol`, an addend, the address of the field and the TOC
    /// pointer.
    ///
    /// # Errors
    /// The value, if it does not fit.
    pub(crate) fn field(self, symbol: u64, addend: i64, place: u64, toc_pointer: u64) -> Result<Field, i128> {
        // Three 64-bit terms cannot overflow 128 bits.
        let absolute = i128::from(symbol).saturating_add(i128::from(addend));
        let relative = absolute.saturating_sub(i128::from(place));
        match self.kind {
            Kind::None => Ok(Field::Nothing),
            Kind::Addr64 => word64(absolute),
            Kind::Rel64 => word64(relative),
            Kind::Rel32 => word32(relative),
            Kind::Branch => {
                let reaches = (-(1_i128 << 25)..1 << 25).contains(&relative) && relative & 3 == 0;
                let bits = i32::try_from(relative).ok().filter(|_| reaches).ok_or(relative)?;
                Ok(Field::Bits { mask: BRANCH_MASK, value: unsigned(bits) & BRANCH_MASK })
            }
            Kind::Half { part, toc } => {
                let value = if toc { absolute.saturating_sub(i128::from(toc_pointer)) } else { relative };
                self.half(value, part)
            }
        }
    }

    fn half(self, value: i128, part: Part) -> Result<Field, i128> {
        // What the two halves of a distance reach together.
        let reach = match part {
            Part::Whole => -0x8000..0x8000,
            Part::Low | Part::HighAdjusted => -0x8000_8000..0x7fff_8000,
        };
        let bits = i64::try_from(value).ok().filter(|_| reach.contains(&value)).ok_or(value)?;
        let bits = match part {
            Part::Whole | Part::Low => bits,
            Part::HighAdjusted => bits.saturating_add(0x8000) >> 16,
        };
        let bits = u32::try_from(bits & 0xffff).map_err(|_| value)?;
        if bits & !self.mask != 0 {
            return Err(value);
        }
        Ok(Field::Bits { mask: self.mask, value: bits })
    }
}

fn unsigned(value: i32) -> u32 {
    u32::from_le_bytes(value.to_le_bytes())
}

/// Bytes from a function's first instruction to that behind the code which makes its own TOC pointer
/// (the three highest bits of `st_other`): where those enter that have it already.
pub(crate) fn local_entry(st_other: u8) -> u64 {
    match st_other >> 5 {
        0 | 1 => 0,
        bits => 1_u64.checked_shl(bits.into()).unwrap_or(0),
    }
}

/// The name of a relocation type.
pub(crate) fn name(number: u32) -> &'static str {
    r_to_str(number, EM_PPC64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(number: u32, symbol: u64, place: u64) -> Result<u32, i128> {
        match Type::from_number(number).unwrap().field(symbol, 0, place, 0x1_8000)? {
            Field::Bits { value, .. } => Ok(value),
            other => panic!("{other:?}"),
        }
    }

    /// Encodings as binutils' assembler and linker write them, without the operation.
    #[test]
    fn immediates() {
        assert_eq!(bits(R_PPC64_REL24, 0x1000, 0x2000), Ok(0x03ff_f000));
        assert_eq!(bits(R_PPC64_TOC16_HA, 0x3_0000, 0), Ok(2));
        assert_eq!(bits(R_PPC64_TOC16_LO, 0x3_0000, 0), Ok(0x8000));
        assert_eq!(bits(R_PPC64_TOC16_HA, 0x1_0000, 0), Ok(0));
        assert_eq!(bits(R_PPC64_TOC16_DS, 0x1_0000, 0), Ok(0x8000));
        assert_eq!(bits(R_PPC64_REL16_HA, 0x1_8000, 0x1000), Ok(1));
        assert_eq!(bits(R_PPC64_REL16_LO, 0x1_8000, 0x1000), Ok(0x7000));
    }

    #[test]
    fn what_does_not_reach_is_refused() {
        assert!(bits(R_PPC64_REL24, 1 << 25, 0).is_err() && bits(R_PPC64_REL24, (1 << 25) - 4, 0).is_ok());
        assert!(bits(R_PPC64_REL24, 0x1002, 0x1000).is_err());
        assert!(bits(R_PPC64_TOC16_HA, 0x1_8000 + 0x7fff_7fff, 0).is_ok());
        assert!(bits(R_PPC64_TOC16_HA, 0x1_8000 + 0x7fff_8000, 0).is_err());
        assert!(bits(R_PPC64_TOC16_DS, 0x2_0000, 0).is_err() && bits(R_PPC64_TOC16_DS, 0x1_fff8, 0).is_ok());
        assert!(
            bits(R_PPC64_TOC16_LO_DS, 0x1_8002, 0).is_err() && bits(R_PPC64_TOC16_LO_DS, 0x1_8004, 0).is_ok()
        );
        assert_eq!(Type::from_number(116), None);
    }

    #[test]
    fn local_entries() {
        assert_eq!([0, 0x20, 0x40, 0x60, 0x80].map(local_entry), [0, 0, 4, 8, 16]);
    }
}
