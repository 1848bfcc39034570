//! The dead kernel's own description of its types: BTF
//! (Documentation/bpf/btf.rst; include/uapi/linux/btf.h).

use alloc::vec::Vec;
use core::ops::Range;

use kdump_elf::{Class, Endian, Vaddr, VmcoreInfo};

use crate::error::Error;
use crate::kernel::{Kallsyms, KernelMemory};
use crate::room::{push, zeroed};
use crate::source::PhysMemory;

/// `BTF_MAGIC`.
const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// A header without the layout of kinds, and one with it (`Linux kernel commit 222edc843c15`).
const HEADER: usize = 24;
const HEADER_WITH_LAYOUT: usize = 32;
/// Bytes of a kind's record in the layout.
const LAYOUT: usize = 4;
/// Bytes that each type begins with: name, info, size or type.
const TYPE: usize = 12;
/// Bytes of all types of a kernel that are looked at; large ones have 6 MiB.
const MAX_SIZE: u64 = 32 << 20;
/// Types one behind the other until one is no other name of the next, and structs inside of each other.
const MAX_DEPTH: u32 = 16;
/// Members that are looked at for one that is wanted.
const MAX_MEMBERS: u32 = 1 << 16;

const INT: u32 = 1;
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FLOAT: u32 = 16;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

/// Bytes behind a type of each kind: always, and for each of its elements.
const KINDS: [(usize, usize); 23] = [
    (0, 0),
    (4, 0),
    (0, 0),
    (12, 0),
    (0, 12),
    (0, 12),
    (0, 8),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 0),
    (0, 8),
    (4, 0),
    (0, 12),
    (0, 0),
    (4, 0),
    (0, 0),
    (0, 12),
    (4, 4),
    (0, 4),
    (0, 12),
];

/// The types of a kernel built with CONFIG_DEBUG_INFO_BTF, those of its modules not among them.
#[derive(Clone, Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    endian: Endian,
    /// Bytes of a pointer, which BTF does not tell.
    word: u64,
    /// Where each type begins; the first one is type 1.
    types: Vec<u32>,
    strings: Range<usize>,
}

/// The beginning of a type.
#[derive(Clone, Copy)]
struct Head {
    name: u32,
    kind: u32,
    elements: usize,
    /// `kind_flag`.
    flag: bool,
    /// Bytes of it, or the type it refers to.
    size_or_type: u32,
    /// Where what follows begins.
    behind: usize,
}

/// Where a member is, from the beginning of what it was looked for in.
#[derive(Clone, Copy)]
struct Member {
    bits: u64,
    is_bit_field: bool,
    of: u32,
}

impl Btf {
    /// Finds the types of the kernel in `memory`.
    ///
    /// # Errors
    /// When the kernel has none, its symbol table does not tell where, or they cannot be read.
    pub fn read<M: PhysMemory>(memory: &mut KernelMemory<M>, info: VmcoreInfo<'_>) -> Result<Self, Error> {
        let symbols = Kallsyms::read(memory, info)?;
        let found = symbols.addresses(memory, &["__start_BTF", "__stop_BTF"])?;
        let &[Some(start), Some(stop)] = found.as_slice() else {
            return Err(Error::Unsupported { what: "the types of a kernel without CONFIG_DEBUG_INFO_BTF" });
        };
        let size = stop.checked_sub(start).filter(|size| *size <= MAX_SIZE);
        let what = "size of the kernel's BTF";
        let too_large = Error::TooLarge { what, value: stop.wrapping_sub(start), limit: MAX_SIZE };
        let mut bytes = zeroed("the kernel's BTF", size.ok_or(too_large)?)?;
        memory.read(Vaddr(start), &mut bytes)?;
        Self::parse(bytes, memory.endian(), memory.class())
    }

    /// The types that `bytes` describe, of a kernel with that byte order and words.
    ///
    /// A kind that is not known and whose length the bytes do not tell ends them: the types in front are kept.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for another magic number or version, and [`Error::Truncated`] for sections that do
    /// not lie in `bytes`.
    pub fn parse(bytes: Vec<u8>, endian: Endian, class: Class) -> Result<Self, Error> {
        let word = |at: usize| endian.read::<u32>(&bytes, at).and_then(|word| usize::try_from(word).ok());
        let magic = endian.read::<u16>(&bytes, 0).unwrap_or(0);
        if magic != MAGIC {
            return Err(Error::Corrupt { what: "magic of BTF", value: magic.into(), expected: "0xeb9f" });
        }
        let version = bytes.get(2).copied().unwrap_or(0);
        if version != VERSION {
            return Err(Error::Corrupt { what: "version of BTF", value: version.into(), expected: "1" });
        }
        let len = word(4).unwrap_or(0);
        if len < HEADER {
            return Err(Error::Corrupt { what: "hdr_len of BTF", value: len as u64, expected: "24 or more" });
        }
        let section = |what, at: usize| {
            let start = word(at).unwrap_or(0).saturating_add(len);
            let size = word(at.saturating_add(4)).unwrap_or(0);
            let end = start.saturating_add(size);
            let have = bytes.len().saturating_sub(start) as u64;
            let lacks = Error::Truncated { what, offset: start as u64, need: size as u64, have };
            if end <= bytes.len() { Ok(start..end) } else { Err(lacks) }
        };
        let types = section("types of BTF", 8)?;
        let strings = section("strings of BTF", 16)?;
        let layout = if len < HEADER_WITH_LAYOUT { 0..0 } else { section("layout of BTF", 24)? };
        let mut btf = Self { bytes, endian, word: class.word_size() as u64, types: Vec::new(), strings };
        btf.types = btf.index(types, &layout)?;
        Ok(btf)
    }

    /// Bytes of the `struct` or `union` of that name.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        self.named(&[STRUCT, UNION], name).next().map(|(_, head)| head.size_or_type.into())
    }

    /// Where `member` begins in the `struct` or `union` of that name, in bytes; also where it lies in
    /// members without a name. `None` for what begins inside of a byte.
    #[must_use]
    pub fn offset(&self, name: &str, member: &str) -> Option<u64> {
        let found = self.member(name, member)?;
        (!found.is_bit_field && found.bits % 8 == 0).then_some(found.bits / 8)
    }

    /// Elements of an array that is a member of the `struct` or `union` of that name.
    #[must_use]
    pub fn length(&self, name: &str, member: &str) -> Option<u64> {
        let (_, head) = self.resolve(self.member(name, member)?.of)?;
        if head.kind != ARRAY {
            return None;
        }
        self.u32(head.behind.saturating_add(8)).map(u64::from)
    }

    /// Bytes of a member.
    #[must_use]
    pub fn member_size(&self, name: &str, member: &str) -> Option<u64> {
        self.size_of(self.member(name, member)?.of)
    }

    /// The value of `constant` in the `enum` of that name.
    #[must_use]
    pub fn constant(&self, name: &str, constant: &str) -> Option<i64> {
        self.named(&[ENUM, ENUM64], name).find_map(|(_, head)| {
            let (_, each) = KINDS.get(head.kind as usize).copied()?;
            let mut places =
                (0..head.elements).map(|index| head.behind.saturating_add(index.saturating_mul(each)));
            let at = places.find(|at| self.u32(*at).is_some_and(|name| self.is_named(name, constant)))?;
            let low = self.u32(at.saturating_add(4))?;
            let high = match (head.kind == ENUM64, head.flag) {
                (true, _) => self.u32(at.saturating_add(8))?,
                (false, true) if low >> 31 != 0 => u32::MAX,
                _ => 0,
            };
            Some(i64::from_ne_bytes((u64::from(high) << 32 | u64::from(low)).to_ne_bytes()))
        })
    }

    /// Where each type begins.
    fn index(&self, section: Range<usize>, layout: &Range<usize>) -> Result<Vec<u32>, Error> {
        let mut types = Vec::new();
        let mut at = section.start;
        while section.end.saturating_sub(at) >= TYPE {
            let Some(head) = self.head(at) else { break };
            let Some((fixed, each)) = self.extent(head.kind, layout) else { break };
            let more = each.checked_mul(head.elements).and_then(|more| more.checked_add(fixed));
            let Some(next) = more.and_then(|more| head.behind.checked_add(more)) else { break };
            if next > section.end {
                break;
            }
            let Ok(begin) = u32::try_from(at) else { break };
            push(&mut types, "the kernel's types", begin)?;
            at = next;
        }
        Ok(types)
    }

    /// Bytes behind a type of that kind: always, and for each element.
    fn extent(&self, kind: u32, layout: &Range<usize>) -> Option<(usize, usize)> {
        let kind = usize::try_from(kind).ok()?;
        if let Some(known) = KINDS.get(kind).filter(|_| kind != 0) {
            return Some(*known);
        }
        let at = layout.start.checked_add(kind.checked_mul(LAYOUT)?)?;
        let record = self.bytes.get(at..at.checked_add(LAYOUT)?).filter(|_| at < layout.end)?;
        Some((usize::from(*record.first()?), usize::from(*record.get(1)?)))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.endian.read(&self.bytes, at)
    }

    /// The beginning of the type at `at`. Of the bits of the info, kernels before Linux 7.2 leave the upper ones of
    /// both numbers 0 (`Linux kernel commit f7a6b9eaff3e`).
    fn head(&self, at: usize) -> Option<Head> {
        let info = self.u32(at.saturating_add(4))?;
        Some(Head {
            name: self.u32(at)?,
            kind: info >> 24 & 0x7f,
            elements: usize::try_from(info & 0xff_ffff).ok()?,
            flag: info >> 31 != 0,
            size_or_type: self.u32(at.saturating_add(8))?,
            behind: at.saturating_add(TYPE),
        })
    }

    /// The type of that number; 0 is `void`.
    fn head_of(&self, id: u32) -> Option<Head> {
        let index = usize::try_from(id.checked_sub(1)?).ok()?;
        self.head(usize::try_from(*self.types.get(index)?).ok()?)
    }

    /// The strings from one on.
    fn strings(&self, name: u32) -> &[u8] {
        let strings = self.bytes.get(self.strings.clone()).unwrap_or_default();
        usize::try_from(name).ok().and_then(|name| strings.get(name..)).unwrap_or_default()
    }

    fn is_named(&self, name: u32, wanted: &str) -> bool {
        let behind = self.strings(name).strip_prefix(wanted.as_bytes());
        !wanted.is_empty() && behind.is_some_and(|rest| rest.first() == Some(&0))
    }

    /// All types of these kinds that have the name; several may.
    fn named<'a>(&'a self, kinds: &'a [u32], name: &'a str) -> impl Iterator<Item = (u32, Head)> + 'a {
        let all = (1_u32..).zip(&self.types).filter_map(|(id, _)| Some((id, self.head_of(id)?)));
        all.filter(move |(_, head)| kinds.contains(&head.kind) && self.is_named(head.name, name))
    }

    /// The type that `id` is another name of, or that with other qualifiers.
    fn resolve(&self, id: u32) -> Option<(u32, Head)> {
        let mut id = id;
        for _ in 0..MAX_DEPTH {
            let head = self.head_of(id)?;
            if !matches!(head.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG) {
                return Some((id, head));
            }
            id = head.size_or_type;
        }
        None
    }

    fn size_of(&self, id: u32) -> Option<u64> {
        let (mut id, mut count) = (id, 1_u64);
        for _ in 0..MAX_DEPTH {
            let (_, head) = self.resolve(id)?;
            let size = match head.kind {
                INT | STRUCT | UNION | ENUM | ENUM64 | FLOAT => head.size_or_type.into(),
                PTR => self.word,
                ARRAY => {
                    count = count.checked_mul(self.u32(head.behind.saturating_add(8))?.into())?;
                    id = self.u32(head.behind)?;
                    continue;
                }
                _ => return None,
            };
            return count.checked_mul(size);
        }
        None
    }

    fn member(&self, name: &str, member: &str) -> Option<Member> {
        let mut left = MAX_MEMBERS;
        self.named(&[STRUCT, UNION], name)
            .find_map(|(_, head)| self.member_in(head, member, MAX_DEPTH, &mut left))
    }

    /// Looks for a member in a type and in its members without a name, `depth` deep; `left` counts down what is
    /// looked at.
    fn member_in(&self, of: Head, wanted: &str, depth: u32, left: &mut u32) -> Option<Member> {
        let depth = depth.checked_sub(1)?;
        for index in 0..of.elements {
            *left = left.checked_sub(1)?;
            let at = of.behind.saturating_add(index.saturating_mul(12));
            let (name, id, place) =
                (self.u32(at)?, self.u32(at.saturating_add(4))?, self.u32(at.saturating_add(8))?);
            let bits = u64::from(if of.flag { place & 0xff_ffff } else { place });
            if self.is_named(name, wanted) {
                return Some(Member { bits, is_bit_field: of.flag && place >> 24 != 0, of: id });
            }
            if self.strings(name).first() != Some(&0) {
                continue;
            }
            let inner = self.resolve(id).filter(|(_, head)| matches!(head.kind, STRUCT | UNION));
            if let Some(found) = inner.and_then(|(_, head)| self.member_in(head, wanted, depth, left)) {
                return Some(Member { bits: bits.checked_add(found.bits)?, ..found });
            }
        }
        None
    }
}
