//! Variables of the dead kernel: numbers at virtual addresses, in its word size and byte
//! order.

use alloc::sync::Arc;
use alloc::vec::Vec;

use kdump_elf::{Class, Endian, Phdr, Vaddr, VmcoreInfo};

use crate::dump::{Dump, Facts, Reader};
use crate::error::{Error, Stopped};
use crate::source::PhysMemory;
use crate::translate::{AddressSpace, Mapping, TranslationCache};

/// A dump seen through the dead kernel's own addresses, by one thread.
#[derive(Clone, Debug)]
pub struct KernelMemory<M> {
    memory: M,
    space: Arc<AddressSpace>,
    cache: TranslationCache,
    class: Class,
    endian: Endian,
}

impl<'d> KernelMemory<Reader<'d>> {
    /// The kernel of `dump`.
    #[must_use]
    pub fn new(dump: &'d Dump<'_>) -> Self {
        Self::of(dump.reader())
    }

    /// The kernel of the dump that `reader` reads. What the reader gives for memory that was
    /// excluded is what is read here; page tables are never taken to be zeros.
    #[must_use]
    pub fn of(reader: Reader<'d>) -> Self {
        let facts: &Facts = reader.facts();
        let space = Arc::new(AddressSpace::new(facts));
        Self::from_parts(reader, space, facts.word_class(), facts.encoding.endian)
    }
}

impl<M: PhysMemory> KernelMemory<M> {
    /// A kernel in `memory` whose addresses `space` translates.
    #[must_use]
    pub fn from_parts(memory: M, space: Arc<AddressSpace>, class: Class, endian: Endian) -> Self {
        Self { memory, space, cache: TranslationCache::default(), class, endian }
    }

    /// How addresses are translated.
    #[must_use]
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// Translates one address.
    ///
    /// # Errors
    /// As [`AddressSpace::translate`].
    pub fn translate(&mut self, vaddr: Vaddr) -> Result<Mapping, Stopped> {
        self.space.translate(&mut self.memory, &mut self.cache, vaddr)
    }

    /// As [`AddressSpace::contradicted`].
    pub fn contradicted(&mut self) -> Vec<Phdr> {
        self.space.contradicted(&mut self.memory, &mut self.cache)
    }

    /// The kernel's word size.
    pub(crate) fn class(&self) -> Class {
        self.class
    }

    pub(crate) fn endian(&self) -> Endian {
        self.endian
    }

    /// Bytes of a `long` or a pointer.
    #[must_use]
    pub fn word_size(&self) -> u64 {
        self.class.word_size() as u64
    }

    /// Fills all of `buf` from `vaddr` on.
    ///
    /// # Errors
    /// [`Stopped`] with the virtual address of the first byte missing and why.
    pub fn read(&mut self, vaddr: Vaddr, buf: &mut [u8]) -> Result<(), Stopped> {
        self.space.read_virt(&mut self.memory, &mut self.cache, vaddr, buf)
    }

    /// A `u32`.
    ///
    /// # Errors
    /// As [`KernelMemory::read`].
    pub fn read_u32(&mut self, vaddr: Vaddr) -> Result<u32, Stopped> {
        let mut bytes = [0; 4];
        self.read(vaddr, &mut bytes)?;
        Ok(self.endian.number(bytes))
    }

    /// A `u64`.
    ///
    /// # Errors
    /// As [`KernelMemory::read`].
    pub fn read_u64(&mut self, vaddr: Vaddr) -> Result<u64, Stopped> {
        let mut bytes = [0; 8];
        self.read(vaddr, &mut bytes)?;
        Ok(self.endian.number(bytes))
    }

    /// An `unsigned long` or a pointer.
    ///
    /// # Errors
    /// As [`KernelMemory::read`].
    pub fn read_word(&mut self, vaddr: Vaddr) -> Result<u64, Stopped> {
        match self.class {
            Class::Elf64 => self.read_u64(vaddr),
            Class::Elf32 => self.read_u32(vaddr).map(u64::from),
        }
    }

    /// The word at `offset` of bytes that were read before.
    pub(crate) fn word_in(&self, bytes: &[u8], offset: u64) -> Option<u64> {
        match self.class {
            Class::Elf64 => self.u64_in(bytes, offset),
            Class::Elf32 => self.u32_in(bytes, offset).map(u64::from),
        }
    }

    pub(crate) fn u64_in(&self, bytes: &[u8], offset: u64) -> Option<u64> {
        self.endian.read(bytes, usize::try_from(offset).ok()?)
    }

    pub(crate) fn u32_in(&self, bytes: &[u8], offset: u64) -> Option<u32> {
        self.endian.read(bytes, usize::try_from(offset).ok()?)
    }

    pub(crate) fn u16_in(&self, bytes: &[u8], offset: u64) -> Option<u16> {
        self.endian.read(bytes, usize::try_from(offset).ok()?)
    }

    /// The first of the bit fields in `byte` that has `bits` bits and skips `skip` ones, as
    /// compilers lay them out: from the low end on little-endian machines, from the high one
    /// on big-endian ones.
    pub(crate) fn bit_field(&self, byte: u8, skip: u32, bits: u32) -> u8 {
        let shift = match self.endian {
            Endian::Little => skip,
            Endian::Big => 8_u32.saturating_sub(skip).saturating_sub(bits),
        };
        let mask = (1_u16.checked_shl(bits).unwrap_or(0)).wrapping_sub(1);
        u8::try_from((u16::from(byte) >> shift.min(15)) & mask).unwrap_or(0)
    }
}

/// `OFFSET(name)` that must be there.
pub(crate) fn offset(info: VmcoreInfo<'_>, name: &'static str) -> Result<u64, Error> {
    info.offset(name).ok_or(Error::MissingKey { key: name })
}

/// Bytes of memory that are mapped together whatever the page size.
const PAGE: usize = 4096;

/// The page that was read last: of an array of small structures the next one mostly lies in it.
pub(crate) struct LastPage {
    start: Option<u64>,
    bytes: [u8; PAGE],
}

impl Default for LastPage {
    fn default() -> Self {
        Self { start: None, bytes: [0; PAGE] }
    }
}

impl LastPage {
    /// As [`KernelMemory::read`], which is asked for a whole page; where that is not to be had, or
    /// `buf` passes the end of it, for what is wanted alone.
    pub(crate) fn read<M: PhysMemory>(
        &mut self,
        memory: &mut KernelMemory<M>,
        vaddr: u64,
        buf: &mut [u8],
    ) -> Result<(), Stopped> {
        let skip = usize::try_from(vaddr & (PAGE as u64).wrapping_sub(1)).unwrap_or(PAGE);
        let start = vaddr.saturating_sub(skip as u64);
        let end = skip.saturating_add(buf.len());
        if end <= PAGE && self.start != Some(start) {
            let got = memory.read(Vaddr(start), &mut self.bytes);
            self.start = got.is_ok().then_some(start);
        }
        match self.bytes.get(skip..end).filter(|_| self.start == Some(start)) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => memory.read(Vaddr(vaddr), buf),
        }
    }
}
