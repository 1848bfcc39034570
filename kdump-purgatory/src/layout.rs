//! Where the sections of an object lie once it is loaded.

use alloc::vec::Vec;

use goblin::elf::section_header::{SHF_ALLOC, SHT_NOBITS, SectionHeader};

use crate::Error;
use crate::elf::{Tables, length};

/// The most memory a purgatory may need, and the largest alignment: far above any real one, and
/// little enough to be allocated for hostile input.
const MEMORY_MAX: u64 = 16 << 20;
const ALIGN_MAX: u64 = 2 << 20;

/// Offsets of the sections relative to the load address.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Of each section by index; `None` for a section that is not loaded.
    pub(crate) offsets: Vec<Option<u64>>,
    /// Bytes with content in the file; the rest up to `memsz` is zero.
    pub(crate) filesz: u64,
    /// Bytes of memory in all.
    pub(crate) memsz: u64,
    /// Alignment of the load address.
    pub(crate) align: u64,
}

impl Layout {
    /// Packs the loaded sections in order of their index, those without content last.
    pub(crate) fn new(bytes: &[u8], tables: &Tables) -> Result<Self, Error> {
        let mut layout =
            Self { offsets: alloc::vec![None; tables.sections.len()], filesz: 0, memsz: 0, align: 1 };
        layout.place(bytes, tables, false)?;
        layout.filesz = layout.memsz;
        layout.place(bytes, tables, true)?;
        Ok(layout)
    }

    /// Places the sections with or without content behind what is there.
    fn place(&mut self, bytes: &[u8], tables: &Tables, nobits: bool) -> Result<(), Error> {
        for (section, place) in tables.sections.iter().zip(&mut self.offsets) {
            let loaded = section.sh_flags & u64::from(SHF_ALLOC) != 0;
            if !loaded || (section.sh_type == SHT_NOBITS) != nobits {
                continue;
            }
            let align = section.sh_addralign.max(1);
            if !align.is_power_of_two() || align > ALIGN_MAX {
                return Err(Error::Alignment {
                    section: tables.section_name(bytes, section),
                    align,
                    limit: ALIGN_MAX,
                });
            }
            let offset = self.memsz.next_multiple_of(align);
            let end = offset.saturating_add(section.sh_size);
            if end > MEMORY_MAX {
                return Err(Error::TooLarge {
                    section: tables.section_name(bytes, section),
                    end,
                    limit: MEMORY_MAX,
                });
            }
            *place = Some(offset);
            self.memsz = end;
            self.align = self.align.max(align);
        }
        Ok(())
    }

    /// Copies the contents of the sections to their places.
    pub(crate) fn load(&self, bytes: &[u8], tables: &Tables) -> Result<Vec<u8>, Error> {
        let mut image = alloc::vec![0; usize::try_from(self.filesz).unwrap_or(0)];
        for (section, offset) in self.loaded(tables) {
            let content = tables.content(bytes, section)?;
            let target = usize::try_from(offset)
                .ok()
                .and_then(|offset| image.get_mut(offset..)?.get_mut(..content.len()));
            if let Some(target) = target {
                target.copy_from_slice(content);
            }
        }
        debug_assert!(length(&image) == self.filesz);
        Ok(image)
    }

    /// The loaded sections with content and their offsets.
    fn loaded<'a>(&'a self, tables: &'a Tables) -> impl Iterator<Item = (&'a SectionHeader, u64)> {
        tables
            .sections
            .iter()
            .zip(&self.offsets)
            .filter(|(section, _)| section.sh_type != SHT_NOBITS)
            .filter_map(|(section, offset)| Some((section, (*offset)?)))
    }
}
