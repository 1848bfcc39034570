//! The dead kernel's own symbol table, found through VMCOREINFO (kernel/kallsyms.c; the keys
//! are in Documentation/admin-guide/kdump/vmcoreinfo.rst).

use alloc::vec::Vec;

use kdump_elf::{Vaddr, VmcoreInfo};

use crate::error::Error;
use crate::kernel::KernelMemory;
use crate::room::zeroed;
use crate::source::PhysMemory;

/// More symbols than any kernel has.
const MAX_SYMBOLS: u32 = 1 << 21;
/// Bytes of compressed names that are looked at; large kernels have less than 8 MiB.
const MAX_NAMES: u64 = 32 << 20;
/// Characters of all names, which a crafted table makes out of one byte for each name.
const MAX_EXPANDED: u64 = 256 << 20;
/// `KSYM_NAME_LEN` with the type in front.
const MAX_NAME: usize = 513;
/// Tokens: one per value of a byte.
const TOKENS: usize = 256;
/// Bytes of the names read at once.
const PIECE: usize = 1 << 16;

/// The symbol table of a kernel with CONFIG_KALLSYMS; variables are in it with
/// CONFIG_KALLSYMS_ALL.
#[derive(Clone, Debug)]
pub struct Kallsyms {
    names: u64,
    count: u32,
    tokens: Vec<u8>,
    token_index: Vec<u16>,
    offsets: u64,
    relative_base: Option<u64>,
    stext: u64,
}

/// How the kernel stores an address in 32 bits; it changed over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// Negative ones count from the base, others are absolute (CONFIG_KALLSYMS_ABSOLUTE_PERCPU).
    AbsolutePercpu,
    /// Unsigned, from the base.
    Relative,
    /// Signed, from the place of the number itself (kernels without a base).
    PlaceRelative,
}

impl Kallsyms {
    /// Finds the table of the kernel in `memory`.
    ///
    /// # Errors
    /// When VMCOREINFO does not describe the table (before Linux 6.0), or it cannot be read.
    pub fn read<M: PhysMemory>(memory: &mut KernelMemory<M>, info: VmcoreInfo<'_>) -> Result<Self, Error> {
        let symbol = |name, key| info.symbol(name).ok_or(Error::MissingKey { key });
        let count = symbol("kallsyms_num_syms", "SYMBOL(kallsyms_num_syms)")?;
        let count = memory.read_u32(Vaddr(count))?;
        if count > MAX_SYMBOLS {
            let (value, limit) = (u64::from(count), u64::from(MAX_SYMBOLS));
            return Err(Error::TooLarge { what: "kallsyms_num_syms", value, limit });
        }
        let index_at = symbol("kallsyms_token_index", "SYMBOL(kallsyms_token_index)")?;
        let mut bytes = [0; TOKENS.saturating_mul(2)];
        memory.read(Vaddr(index_at), &mut bytes)?;
        let token_index: Vec<u16> =
            (0..TOKENS as u64).filter_map(|token| memory.u16_in(&bytes, token.saturating_mul(2))).collect();
        let last = token_index.iter().max().copied().unwrap_or(0);
        let mut tokens = zeroed("the tokens of kallsyms", u64::from(last).saturating_add(MAX_NAME as u64))?;
        let table = symbol("kallsyms_token_table", "SYMBOL(kallsyms_token_table)")?;
        if let Err(stopped) = memory.read(Vaddr(table), &mut tokens) {
            // Nobody says where the table ends: what could be read may be all of it.
            tokens.truncate(stopped.read);
        }
        let relative_base = match info.symbol("kallsyms_relative_base") {
            Some(at) => Some(memory.read_word(Vaddr(at))?),
            None => None,
        };
        Ok(Self {
            names: symbol("kallsyms_names", "SYMBOL(kallsyms_names)")?,
            count,
            tokens,
            token_index,
            offsets: symbol("kallsyms_offsets", "SYMBOL(kallsyms_offsets)")?,
            relative_base,
            stext: symbol("_stext", "SYMBOL(_stext)")?,
        })
    }

    /// The addresses of `wanted` in its order; `None` for a name the kernel does not have. All
    /// names are looked for in one pass over the table.
    ///
    /// # Errors
    /// When the table cannot be read, or no known encoding of addresses puts `_stext` where
    /// VMCOREINFO has it.
    pub fn addresses<M: PhysMemory>(
        &self,
        memory: &mut KernelMemory<M>,
        wanted: &[&str],
    ) -> Result<Vec<Option<u64>>, Error> {
        const WITNESS: &[u8] = b"_stext";
        let mut stext = None;
        let mut found: Vec<Option<u32>> = alloc::vec![None; wanted.len()];
        let mut names = Names::new(memory, self.names);
        let mut name = Vec::new();
        let mut expanded = 0_u64;
        for symbol in 0..self.count {
            expanded = expanded.saturating_add(self.expand(names.next()?, &mut name));
            if expanded > MAX_EXPANDED {
                let what = "size of the names in kallsyms, the others not counted,";
                return Err(Error::TooLarge { what, value: expanded, limit: MAX_EXPANDED });
            }
            // The first character is the type.
            let Some((_, name)) = name.split_first() else { continue };
            if name == WITNESS {
                stext.get_or_insert(symbol);
            }
            for (slot, _) in found.iter_mut().zip(wanted).filter(|(_, wanted)| wanted.as_bytes() == name) {
                slot.get_or_insert(symbol);
            }
            if stext.is_some() && found.iter().all(Option::is_some) {
                break;
            }
        }
        let expected = "a symbol table with _stext where VMCOREINFO has it";
        let wrong = Error::Corrupt { what: "kallsyms", value: self.stext, expected };
        let witness = stext.ok_or(wrong)?;
        let all = [Encoding::AbsolutePercpu, Encoding::Relative, Encoding::PlaceRelative];
        let mut encoding = None;
        for candidate in all {
            if self.address(memory, candidate, witness)? == Some(self.stext) {
                encoding = Some(candidate);
                break;
            }
        }
        let encoding = encoding.ok_or(wrong)?;
        let address = |symbol: Option<u32>| match symbol {
            Some(symbol) => self.address(memory, encoding, symbol),
            None => Ok(None),
        };
        found.into_iter().map(address).collect()
    }

    /// Puts the name together from its tokens; left empty when it is longer than any name.
    /// Returns how many characters that took.
    fn expand(&self, tokens: &[u8], name: &mut Vec<u8>) -> u64 {
        name.clear();
        for &token in tokens {
            let start = self.token_index.get(usize::from(token)).copied().map_or(usize::MAX, usize::from);
            let text = self.tokens.get(start..).unwrap_or_default();
            let text = text.get(..MAX_NAME).unwrap_or(text);
            let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
            name.extend_from_slice(text.get(..end).unwrap_or_default());
            if name.len() > MAX_NAME {
                let cost = name.len() as u64;
                name.clear();
                return cost;
            }
        }
        name.len() as u64
    }

    fn address<M: PhysMemory>(
        &self,
        memory: &mut KernelMemory<M>,
        encoding: Encoding,
        symbol: u32,
    ) -> Result<Option<u64>, Error> {
        let place = self.offsets.wrapping_add(u64::from(symbol).wrapping_mul(4));
        let bits = memory.read_u32(Vaddr(place))?;
        let offset = i64::from(i32::from_ne_bytes(bits.to_ne_bytes()));
        Ok(match (encoding, self.relative_base) {
            (Encoding::AbsolutePercpu, Some(base)) if offset < 0 => {
                Some(base.wrapping_sub(1).wrapping_add_signed(offset.wrapping_neg()))
            }
            (Encoding::AbsolutePercpu, Some(_)) => Some(u64::from(bits)),
            (Encoding::Relative, Some(base)) => Some(base.wrapping_add(u64::from(bits))),
            (Encoding::PlaceRelative, None) => Some(place.wrapping_add_signed(offset)),
            _ => None,
        })
    }
}

/// The compressed names one after the other, read in pieces.
struct Names<'a, M> {
    memory: &'a mut KernelMemory<M>,
    /// Address of the piece that follows.
    next: u64,
    piece: Vec<u8>,
    position: usize,
    read: u64,
}

impl<'a, M: PhysMemory> Names<'a, M> {
    fn new(memory: &'a mut KernelMemory<M>, at: u64) -> Self {
        Self { memory, next: at, piece: Vec::new(), position: 0, read: 0 }
    }

    /// The tokens of the next name: a length of 7 bits, or of 15 when bit 7 is set, then as
    /// many bytes.
    fn next(&mut self) -> Result<&[u8], Error> {
        let mut len = usize::from(self.byte()?);
        if len & 0x80 != 0 {
            len = (len & 0x7f) | (usize::from(self.byte()?) << 7);
        }
        self.fill(len)?;
        let start = self.position;
        self.position = start.saturating_add(len);
        Ok(self.piece.get(start..self.position).unwrap_or_default())
    }

    fn byte(&mut self) -> Result<u8, Error> {
        self.fill(1)?;
        let byte = self.piece.get(self.position).copied().unwrap_or(0);
        self.position = self.position.saturating_add(1);
        Ok(byte)
    }

    /// Sees to it that `len` bytes follow the position.
    fn fill(&mut self, len: usize) -> Result<(), Error> {
        if self.piece.len().saturating_sub(self.position) >= len {
            return Ok(());
        }
        self.piece.drain(..self.position.min(self.piece.len()));
        self.position = 0;
        if self.read > MAX_NAMES {
            return Err(Error::TooLarge { what: "kallsyms_names", value: self.read, limit: MAX_NAMES });
        }
        let have = self.piece.len();
        let lacks = |_| Error::OutOfMemory { what: "kallsyms_names", need: PIECE as u64 };
        self.piece.try_reserve(PIECE).map_err(lacks)?;
        self.piece.resize(have.saturating_add(PIECE), 0);
        let fresh = self.piece.get_mut(have..).unwrap_or_default();
        let got = match self.memory.read(Vaddr(self.next), fresh) {
            Ok(()) => PIECE,
            Err(stopped) if have.saturating_add(stopped.read) >= len => stopped.read,
            Err(stopped) => return Err(stopped.error),
        };
        self.piece.truncate(have.saturating_add(got));
        self.next = self.next.wrapping_add(got as u64);
        self.read = self.read.saturating_add(got as u64);
        Ok(())
    }
}
