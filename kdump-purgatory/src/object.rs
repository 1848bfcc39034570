//! A relocatable ELF object and the linker for it.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use goblin::elf::reloc::{Reloc, RelocSection};
use goblin::elf::section_header::{
    SHN_ABS, SHN_COMMON, SHN_LORESERVE, SHN_UNDEF, SHT_NOBITS, SHT_REL, SHT_RELA, SectionHeader,
};
use goblin::elf::sym::{STB_GLOBAL, STT_SECTION, Sym};
use kdump_elf::{Arch, Class};

use crate::elf::{Tables, index, lossy};
use crate::image::{LinkedImage, Symbol};
use crate::layout::Layout;
use crate::reloc::{self, Field, Kind};
use crate::{Error, Place, ppc64};

/// A relocatable ELF object (`ET_REL`) for x86_64, i386, arm64 or ppc64le, checked and laid out.
///
/// Sections with `SHF_ALLOC` are packed in the order of the file, each at its alignment, those
/// without content (`SHT_NOBITS`) last. Any bytes may be given: memory and time are bounded by
/// their number, and by 16 MiB of loaded size.
#[derive(Clone, Debug)]
pub struct RelObject<'a> {
    bytes: Cow<'a, [u8]>,
    tables: Tables,
    layout: Layout,
}

impl<'a> RelObject<'a> {
    /// Reads an object.
    ///
    /// # Errors
    /// Anything but an `ET_REL` file for x86_64, i386, arm64 or ppc64le with one symbol table whose loaded sections
    /// lie in the file, do not overlap and are small enough.
    pub fn parse(bytes: impl Into<Cow<'a, [u8]>>) -> Result<Self, Error> {
        let bytes = bytes.into();
        let tables = Tables::read(&bytes)?;
        let layout = Layout::new(&bytes, &tables)?;
        Ok(Self { bytes, tables, layout })
    }

    /// The architecture the object runs on.
    #[must_use]
    pub fn arch(&self) -> Arch {
        self.tables.arch
    }

    /// Bytes of memory it occupies once loaded, zero-filled tail included.
    #[must_use]
    pub fn memsz(&self) -> u64 {
        self.layout.memsz
    }

    /// Alignment in bytes its load address needs; a power of two.
    #[must_use]
    pub fn align(&self) -> u64 {
        self.layout.align
    }

    /// Links the object for load address `base`.
    ///
    /// # Errors
    /// A misaligned or too high load address, a section outside the file, or a relocation
    /// which is unknown, does not fit, lies outside its section or names no address.
    pub fn link(&self, base: u64) -> Result<LinkedImage, Error> {
        if base.checked_rem(self.layout.align) != Some(0) {
            return Err(Error::Misaligned { base, align: self.layout.align });
        }
        let limit = match self.arch().class() {
            Class::Elf32 => u64::from(u32::MAX),
            Class::Elf64 => u64::MAX,
        };
        if base.checked_add(self.layout.memsz).is_none_or(|end| end > limit) {
            return Err(Error::BeyondAddressSpace { base, memsz: self.layout.memsz, limit });
        }
        let mut image = self.layout.load(&self.bytes, &self.tables)?;
        for section in &self.tables.sections {
            self.relocate(section, base, &mut image)?;
        }
        Ok(LinkedImage::new(base, image, self.layout.memsz, self.symbols()))
    }

    /// Applies one relocation section, if it is one and applies to a loaded section.
    fn relocate(&self, section: &SectionHeader, base: u64, image: &mut [u8]) -> Result<(), Error> {
        if !matches!(section.sh_type, SHT_RELA | SHT_REL) {
            return Ok(());
        }
        let target = index(section.sh_info);
        let Some(place) = self.layout.offsets.get(target) else {
            return Err(self.bad_link(section, "sh_info", section.sh_info));
        };
        let (Some(offset), Some(target)) = (*place, self.tables.sections.get(target)) else {
            return Ok(());
        };
        let explicit = section.sh_type == SHT_RELA;
        if explicit != reloc::has_addends(self.arch()) {
            return Err(Error::RelocationForm { section: self.section_name(section), arch: self.arch() });
        }
        let table = self.tables.content(&self.bytes, section)?;
        let table = RelocSection::parse(table, 0, table.len(), explicit, self.tables.encoding)
            .map_err(|_| self.bad_link(section, "sh_size", section.sh_info))?;
        let mut places: Vec<Reloc> = Vec::new();
        if reloc::has_low_parts(self.arch()) {
            places.extend(table.iter().filter(|relocation| !self.is_low_part(relocation)));
            places.sort_unstable_by_key(|relocation| relocation.r_offset);
        }
        let target = Target { section: target, offset, places };
        table.iter().try_for_each(|relocation| self.apply(&relocation, &target, base, image))
    }

    fn is_low_part(&self, relocation: &Reloc) -> bool {
        Kind::from_number(self.arch(), relocation.r_type).is_some_and(Kind::is_low_part)
    }

    /// The relocation of the upper part, at the place that the symbol of a low part names.
    fn upper_part<'t>(
        &self,
        symbol: u64,
        target: &'t Target<'_>,
        base: u64,
    ) -> Result<&'t Reloc, &'static str> {
        let at = symbol.wrapping_sub(base).wrapping_sub(target.offset);
        let found = target.places.binary_search_by_key(&at, |relocation| relocation.r_offset);
        let found = found.ok().and_then(|index| target.places.get(index));
        found
            .filter(|upper| reloc::is_upper_part(self.arch(), upper.r_type))
            .ok_or("no place of an upper part")
    }

    /// Applies one relocation.
    fn apply(
        &self,
        relocation: &Reloc,
        target: &Target<'_>,
        base: u64,
        image: &mut [u8],
    ) -> Result<(), Error> {
        let arch = self.tables.arch;
        let name = reloc::name(arch, relocation.r_type);
        let kind = Kind::from_number(arch, relocation.r_type).ok_or_else(|| Error::RelocationType {
            kind: name,
            number: relocation.r_type,
            place: self.place(relocation, target),
        })?;
        let symbol = self
            .address(relocation, base)
            .map_err(|why| Error::RelocationSymbol { why, place: self.place(relocation, target) })?;
        let content = match target.section.sh_type {
            SHT_NOBITS => 0,
            _ => target.section.sh_size,
        };
        let end = relocation.r_offset.checked_add(kind.width());
        if end.is_none_or(|end| end > content) {
            return Err(Error::RelocationPlace {
                kind: name,
                size: content,
                place: self.place(relocation, target),
            });
        }
        // Within the content of a loaded section, hence within the image and address space.
        let offset = target.offset.saturating_add(relocation.r_offset);
        let mut addend = relocation.r_addend.unwrap_or_else(|| addend(image, offset, kind.width()));
        let mut symbol = if kind.enters_locally() { self.local_entry(relocation, symbol) } else { symbol };
        let mut at = base.saturating_add(offset);
        if kind.is_low_part() {
            let wrong = |why| Error::RelocationSymbol { why, place: self.place(relocation, target) };
            let upper = self.upper_part(symbol, target, base).map_err(wrong)?;
            symbol = self.address(upper, base).map_err(wrong)?;
            addend = upper.r_addend.unwrap_or(0);
            at = base.saturating_add(target.offset).saturating_add(upper.r_offset);
        }
        let field = kind.field(symbol, addend, at, base).map_err(|value| Error::RelocationOverflow {
            kind: name,
            value,
            place: self.place(relocation, target),
        })?;
        store(image, offset, field);
        Ok(())
    }

    /// The address of the symbol of a relocation.
    fn address(&self, relocation: &Reloc, base: u64) -> Result<u64, &'static str> {
        if relocation.r_sym == 0 {
            return Ok(0);
        }
        let symbol = self.tables.symbols.get(relocation.r_sym).ok_or("not in the symbol table")?;
        match self.offset(symbol)? {
            Value::Absolute(value) => Ok(value),
            Value::Offset(offset) => Ok(base.wrapping_add(offset)),
        }
    }

    /// Where a function at `address` is entered by a branch of the same object.
    fn local_entry(&self, relocation: &Reloc, address: u64) -> u64 {
        let symbol = self.tables.symbols.get(relocation.r_sym);
        address.wrapping_add(symbol.map_or(0, |symbol| ppc64::reloc::local_entry(symbol.st_other)))
    }

    /// The value of a symbol, or why it has none.
    fn offset(&self, symbol: &Sym) -> Result<Value, &'static str> {
        let section = u32::try_from(symbol.st_shndx).unwrap_or(u32::MAX);
        match section {
            SHN_UNDEF if self.is_toc(symbol) => Ok(Value::Offset(ppc64::reloc::TOC_OFFSET)),
            SHN_UNDEF => Err("undefined"),
            SHN_ABS => Ok(Value::Absolute(symbol.st_value)),
            SHN_COMMON => Err("common, which only a compiler's output before -r has"),
            SHN_LORESERVE.. => Err("in a reserved section"),
            section => match self.layout.offsets.get(index(section)) {
                None => Err("in a section that is not there"),
                Some(None) => Err("in a section that is not loaded"),
                Some(Some(offset)) => Ok(Value::Offset(offset.wrapping_add(symbol.st_value))),
            },
        }
    }

    /// Whether a symbol is the TOC pointer, which the linker defines.
    fn is_toc(&self, symbol: &Sym) -> bool {
        self.tables.arch == Arch::Ppc64 && self.tables.symbol_name(&self.bytes, symbol) == ppc64::reloc::TOC
    }

    /// The global symbols of the loaded sections.
    fn symbols(&self) -> Vec<Symbol> {
        let globals = self.tables.symbols.iter().filter(|s| s.st_bind() == STB_GLOBAL);
        globals
            .filter_map(|symbol| {
                let Ok(Value::Offset(offset)) = self.offset(symbol) else {
                    return None;
                };
                let section = self.tables.sections.get(symbol.st_shndx)?;
                let end = symbol.st_value.checked_add(symbol.st_size)?;
                Some(Symbol {
                    name: self.tables.symbol_name(&self.bytes, symbol).to_vec(),
                    offset,
                    size: symbol.st_size,
                    writable: section.sh_type != SHT_NOBITS && end <= section.sh_size,
                })
            })
            .collect()
    }

    fn section_name(&self, section: &SectionHeader) -> String {
        self.tables.section_name(&self.bytes, section)
    }

    fn bad_link(&self, section: &SectionHeader, field: &'static str, value: u32) -> Error {
        Error::SectionLink { section: self.section_name(section), field, value: u64::from(value) }
    }

    /// Describes where a relocation applies; a section symbol goes by its section's name.
    fn place(&self, relocation: &Reloc, target: &Target<'_>) -> Place {
        let symbol = match self.tables.symbols.get(relocation.r_sym) {
            Some(symbol) if symbol.st_type() == STT_SECTION => self
                .tables
                .sections
                .get(symbol.st_shndx)
                .map_or_else(String::new, |section| self.section_name(section)),
            Some(symbol) => lossy(self.tables.symbol_name(&self.bytes, symbol)),
            None => format!("#{}", relocation.r_sym),
        };
        Place { section: self.section_name(target.section), offset: relocation.r_offset, symbol }
    }
}

/// The section a relocation table applies to, and its offset from the load address.
struct Target<'a> {
    section: &'a SectionHeader,
    offset: u64,
    /// What relocations of low parts may refer to, by offset.
    places: Vec<Reloc>,
}

/// The value of a symbol before the load address is known.
enum Value {
    Absolute(u64),
    Offset(u64),
}

/// The addend in a field of an image, where its relocation has none.
fn addend(image: &[u8], offset: u64, width: u64) -> i64 {
    let field = usize::try_from(offset).ok().and_then(|offset| image.get(offset..)).unwrap_or_default();
    match width {
        4 => field.first_chunk().copied().map_or(0, |word| i64::from(i32::from_le_bytes(word))),
        _ => 0,
    }
}

/// Stores a relocated field at an offset of the image.
fn store(image: &mut [u8], offset: u64, field: Field) {
    let tail = usize::try_from(offset).ok().and_then(|offset| image.get_mut(offset..)).unwrap_or_default();
    match field {
        Field::Nothing => {}
        Field::Word(bytes) => put(tail, bytes),
        Field::Long(bytes) => put(tail, bytes),
        Field::Bits { mask, value } => {
            let word = tail.first_chunk().copied().map_or(0, u32::from_le_bytes);
            put(tail, (word & !mask | value & mask).to_le_bytes());
        }
        Field::LongBits { mask, value } => {
            let word = tail.first_chunk().copied().map_or(0, u64::from_le_bytes);
            put(tail, (word & !mask | value & mask).to_le_bytes());
        }
    }
}

fn put<const N: usize>(place: &mut [u8], bytes: [u8; N]) {
    if let Some(place) = place.first_chunk_mut() {
        *place = bytes;
    }
}
