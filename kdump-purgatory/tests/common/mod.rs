//! Writes relocatable ELF objects for tests, byte by byte from the gABI's tables, sharing nothing
//! with the reader, and broken on request.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test: what goes wrong must stop it"
)]

pub(crate) mod emulator;

use std::io::Write;

use kdump_purgatory::digest;
use kdump_segments::purgatory::DigestRegion;

/// Says that something could not be tested here, past the test runner, which would hide it.
pub(crate) fn not_tested(why: &str) {
    let _ = writeln!(std::io::stderr(), "NOT TESTED: {why}");
}

/// The digest of these regions by the library.
pub(crate) fn expected(regions: &[&[u8]]) -> [u8; 32] {
    let regions: Vec<_> = regions.iter().map(|bytes| DigestRegion { start: 0, bytes }).collect();
    digest(&regions)
}

pub(crate) const PROGBITS: u32 = 1;
pub(crate) const SYMTAB: u32 = 2;
pub(crate) const STRTAB: u32 = 3;
pub(crate) const RELA: u32 = 4;
pub(crate) const NOBITS: u32 = 8;
pub(crate) const REL: u32 = 9;

pub(crate) const GLOBAL: u8 = 1;
pub(crate) const LOCAL: u8 = 0;

/// One section; `size` differs from the content's for sections without content or lies.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: &'static str,
    pub(crate) kind: u32,
    pub(crate) alloc: bool,
    pub(crate) align: u64,
    pub(crate) content: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) link: u32,
    pub(crate) info: u32,
}

/// One symbol.
#[derive(Clone, Debug)]
pub(crate) struct Symbol {
    pub(crate) name: &'static str,
    pub(crate) bind: u8,
    pub(crate) section: u16,
    pub(crate) value: u64,
    pub(crate) size: u64,
}

/// An object in the making; sections count from 1 in the order they are added.
#[derive(Clone, Debug, Default)]
pub(crate) struct Object {
    pub(crate) sections: Vec<Section>,
    pub(crate) symbols: Vec<Symbol>,
}

impl Object {
    pub(crate) fn section(&mut self, name: &'static str, align: u64, content: &[u8]) -> u16 {
        self.push(Section {
            name,
            kind: PROGBITS,
            alloc: true,
            align,
            content: content.to_vec(),
            size: content.len() as u64,
            link: 0,
            info: 0,
        })
    }

    pub(crate) fn nobits(&mut self, name: &'static str, align: u64, size: u64) -> u16 {
        self.push(Section {
            name,
            kind: NOBITS,
            alloc: true,
            align,
            content: Vec::new(),
            size,
            link: 0,
            info: 0,
        })
    }

    pub(crate) fn push(&mut self, section: Section) -> u16 {
        self.sections.push(section);
        self.sections.len() as u16
    }

    /// Adds a symbol and returns its index.
    pub(crate) fn symbol(&mut self, name: &'static str, section: u16, value: u64, size: u64) -> u32 {
        self.symbols.push(Symbol { name, bind: GLOBAL, section, value, size });
        self.symbols.len() as u32
    }

    /// Adds a relocation section of one entry.
    pub(crate) fn rela(&mut self, target: u16, offset: u64, kind: u32, symbol: u32, addend: i64) {
        let mut content = offset.to_le_bytes().to_vec();
        content.extend(((u64::from(symbol) << 32) | u64::from(kind)).to_le_bytes());
        content.extend(addend.to_le_bytes());
        self.push(Section {
            name: ".rela",
            kind: RELA,
            alloc: false,
            align: 8,
            size: content.len() as u64,
            content,
            link: 0,
            info: u32::from(target),
        });
    }

    /// The bytes: header, contents, symbol table, string table, section headers.
    pub(crate) fn build(&self) -> Vec<u8> {
        let mut strings = vec![0_u8];
        let mut symtab = vec![0_u8; 24];
        for symbol in &self.symbols {
            symtab.extend((strings.len() as u32).to_le_bytes());
            symtab.extend([symbol.bind << 4, 0]);
            symtab.extend(symbol.section.to_le_bytes());
            symtab.extend(symbol.value.to_le_bytes());
            symtab.extend(symbol.size.to_le_bytes());
            strings.extend(symbol.name.bytes().chain([0]));
        }
        let strtab_index = self.sections.len() as u32 + 2;
        let mut all = self.sections.clone();
        let table = |name, kind, content: Vec<u8>| Section {
            name,
            kind,
            alloc: false,
            align: 8,
            size: content.len() as u64,
            content,
            link: strtab_index,
            info: 0,
        };
        all.push(table(".symtab", SYMTAB, symtab));
        let names: Vec<u32> = all
            .iter()
            .map(|section| {
                let at = strings.len() as u32;
                strings.extend(section.name.bytes().chain([0]));
                at
            })
            .collect();
        all.push(table("", STRTAB, strings));

        let mut file = vec![0_u8; 64];
        let mut headers = vec![0_u8; 64];
        for (i, section) in all.iter().enumerate() {
            headers.extend(names.get(i).copied().unwrap_or(0).to_le_bytes());
            headers.extend(section.kind.to_le_bytes());
            headers.extend(u64::from(section.alloc).wrapping_mul(2).to_le_bytes());
            headers.extend(0_u64.to_le_bytes());
            headers.extend((file.len() as u64).to_le_bytes());
            headers.extend(section.size.to_le_bytes());
            headers.extend(section.link.to_le_bytes());
            headers.extend(section.info.to_le_bytes());
            headers.extend(section.align.to_le_bytes());
            headers.extend(0_u64.to_le_bytes());
            file.extend(&section.content);
        }
        let shoff = file.len() as u64;
        file.extend(headers);
        file[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
        file[16..18].copy_from_slice(&1_u16.to_le_bytes());
        file[18..20].copy_from_slice(&62_u16.to_le_bytes());
        file[20..24].copy_from_slice(&1_u32.to_le_bytes());
        file[40..48].copy_from_slice(&shoff.to_le_bytes());
        file[52..54].copy_from_slice(&64_u16.to_le_bytes());
        file[58..60].copy_from_slice(&64_u16.to_le_bytes());
        file[60..62].copy_from_slice(&(all.len() as u16 + 1).to_le_bytes());
        file[62..64].copy_from_slice(&(strtab_index as u16).to_le_bytes());
        file
    }
}

/// A reproducible stream of numbers (xorshift64*).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() >> 16) as usize % limit
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| (self.next() >> 32) as u8).collect()
    }
}
