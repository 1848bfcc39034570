//! The dead kernel's virtual addresses, translated to physical ones.

use alloc::vec::Vec;

use kdump_elf::{PT_LOAD, Paddr, Phdr, PhysRange, Vaddr, front};

use super::cache::TranslationCache;
use super::radix::{Mapping, Radix};
use super::row::{Architecture, Linear};
use crate::dump::{Facts, xen};
use crate::error::{Error, Stopped};
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::room::collect;
use crate::source::PhysMemory;

const UNDER_XEN: &str = "the kernel ran under Xen, and its page numbers are not those of the machine, whose \
                         memory this is; crash translates them";
/// PT_LOADs that [`AddressSpace::contradicted`] looks at.
const CHECKED_LOADS: usize = 256;

/// The kernel's address space at the time of the crash.
///
/// Where VMCOREINFO tells the page tables, they decide: what they do not map is not mapped,
/// whatever `p_vaddr` says, for some writers of dumps fill in 0, all ones, or the physical
/// address. Only where a table itself is not in the dump the linear map that the kernel tells
/// of its image stands in, or a PT_LOAD that the tables confirm at another of its addresses
/// and contradict at none. A check that fails confirms nothing.
///
/// Without known page tables, the `p_vaddr` of the PT_LOADs and the linear map of the image
/// are all there is.
///
/// Made from values alone and never changed: all threads share one, each with a
/// [`TranslationCache`] of its own.
#[derive(Clone, Debug)]
pub struct AddressSpace {
    /// By `p_vaddr`.
    loads: ExtentMap,
    /// Why `loads` and `listed` are empty.
    no_loads: Option<Error>,
    linear: Vec<Linear>,
    /// Or why there are none.
    tables: Result<Radix, &'static str>,
    /// The first [`CHECKED_LOADS`].
    listed: Vec<Phdr>,
}

/// What comparing a range with the page tables gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Confirmed,
    /// The tables map an address of it elsewhere.
    Contradicted,
    /// None of its addresses that were tried has a translation.
    Unknown,
}

impl AddressSpace {
    /// From what a dump says about itself.
    #[must_use]
    pub fn new(facts: &Facts) -> Self {
        let row = Architecture::of(facts.arch);
        if xen::was_below(&facts.notes) {
            return Self::refused(UNDER_XEN);
        }
        let listed = || facts.phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD && (row.has_vaddr)(phdr));
        let extents: Result<Vec<Extent>, Error> =
            collect("the ranges of virtual addresses", listed().filter_map(by_vaddr));
        let checked = collect("the ranges of virtual addresses", listed().take(CHECKED_LOADS).copied());
        let loads = extents.and_then(|extents| ExtentMap::build(&extents));
        let (loads, listed, no_loads) = match loads.and_then(|loads| Ok((loads, checked?))) {
            Ok((loads, listed)) => (loads, listed, None),
            Err(error) => (ExtentMap::default(), Vec::new(), Some(error)),
        };
        Self { loads, no_loads, linear: (row.linear)(facts), tables: (row.tables)(facts), listed }
    }

    /// Without any translation.
    fn refused(reason: &'static str) -> Self {
        let (loads, listed) = (ExtentMap::default(), Vec::new());
        Self { loads, no_loads: None, linear: Vec::new(), tables: Err(reason), listed }
    }

    /// The page tables; `None` when the dump does not tell where they are or the
    /// architecture's tables cannot be walked.
    #[must_use]
    pub fn page_tables(&self) -> Option<Radix> {
        self.tables.ok()
    }

    /// PT_LOADs whose memory the page tables map elsewhere than at `p_vaddr`, among the first
    /// 256: worth telling the user, who may have been told these addresses by another tool.
    pub fn contradicted<M: PhysMemory + ?Sized>(
        &self,
        memory: &mut M,
        cache: &mut TranslationCache,
    ) -> Vec<Phdr> {
        let Ok(tables) = self.tables else { return Vec::new() };
        let mut wrong = |phdr: &Phdr| {
            let verdict = by_vaddr(phdr).map(|extent| judge(&tables, memory, cache, &extent));
            verdict == Some(Ok(Verdict::Contradicted))
        };
        self.listed.iter().filter(|phdr| wrong(phdr)).copied().collect()
    }

    /// Translates one address.
    ///
    /// # Errors
    /// [`Stopped`] at `vaddr`. Whether there is no translation or it could not be found out is
    /// told apart: [`Error::NotMapped`] and [`Error::NoTranslation`], or [`Error::PageTable`]
    /// with what is wrong with the table; [`Error::Io`] as reading gave it, to be tried again.
    pub fn translate<M: PhysMemory + ?Sized>(
        &self,
        memory: &mut M,
        cache: &mut TranslationCache,
        vaddr: Vaddr,
    ) -> Result<Mapping, Stopped> {
        let Vaddr(vaddr) = vaddr;
        let found = match self.tables {
            Err(reason) => self.untabled(vaddr, reason),
            Ok(tables) => match tables.walk(memory, cache, vaddr) {
                Err(error @ Error::PageTable { .. }) => self.stand_in(&tables, memory, cache, vaddr, error),
                result => result,
            },
        };
        found.map_err(|error| Stopped { read: 0, at: vaddr, error })
    }

    /// Fills all of `buf` from `vaddr` on; the bytes may be anywhere in physical memory.
    ///
    /// # Errors
    /// [`Stopped`] with the virtual address of the first byte missing and why.
    pub fn read_virt<M: PhysMemory + ?Sized>(
        &self,
        memory: &mut M,
        cache: &mut TranslationCache,
        vaddr: Vaddr,
        buf: &mut [u8],
    ) -> Result<(), Stopped> {
        let mut read = 0_usize;
        while let Some(rest) = buf.get_mut(read..).filter(|rest| !rest.is_empty()) {
            let stop = |more: usize, error| Stopped::new(vaddr.0, read.saturating_add(more), error);
            let Some(at) = vaddr.0.checked_add(read as u64) else {
                let reason = "it is behind the last address";
                return Err(stop(0, Error::NoTranslation { vaddr: u64::MAX, reason }));
            };
            let mapping =
                self.translate(memory, cache, Vaddr(at)).map_err(|stopped| stop(0, stopped.error))?;
            let piece = front(rest, mapping.len);
            memory.read_phys(mapping.paddr, piece).map_err(|stopped| stop(stopped.read, stopped.error))?;
            read = read.saturating_add(piece.len());
        }
        Ok(())
    }

    /// Without page tables, for `reason`: what PT_LOADs and the kernel say.
    fn untabled(&self, vaddr: u64, reason: &'static str) -> Result<Mapping, Error> {
        if let Some(error) = self.no_loads {
            return Err(error);
        }
        if let Lookup::Stored { at, len } = self.loads.find(vaddr) {
            return Ok(Mapping { paddr: Paddr(at), len });
        }
        let linear = self.linear.iter().find_map(|linear| linear.mapping(vaddr));
        linear.ok_or(Error::NoTranslation { vaddr, reason })
    }

    /// The translation of `vaddr` where a table that has it is not there, for `error`.
    #[cold]
    fn stand_in<M: PhysMemory + ?Sized>(
        &self,
        tables: &Radix,
        memory: &mut M,
        cache: &mut TranslationCache,
        vaddr: u64,
        error: Error,
    ) -> Result<Mapping, Error> {
        let mut told = self.linear.iter().filter(|linear| linear.told);
        if let Some(mapping) = told.find_map(|linear| linear.mapping(vaddr)) {
            return Ok(mapping);
        }
        let Some(load) = self.loads.extent_at(vaddr) else { return Err(error) };
        match (judge(tables, memory, cache, &load)?, load.position(vaddr)) {
            (Verdict::Confirmed, Some(paddr)) => {
                Ok(Mapping { paddr: Paddr(paddr), len: load.range.end().saturating_sub(vaddr) })
            }
            _ => Err(error),
        }
    }
}

/// Compares a range with the page tables at its first, middle and last byte.
///
/// # Errors
/// [`Error::Io`]: nothing can be said before it has been tried again.
fn judge<M: PhysMemory + ?Sized>(
    tables: &Radix,
    memory: &mut M,
    cache: &mut TranslationCache,
    range: &Extent,
) -> Result<Verdict, Error> {
    let (start, last) = (range.range.start(), range.range.last());
    let middle = start.saturating_add(last.saturating_sub(start) >> 1);
    let mut verdict = Verdict::Unknown;
    for vaddr in [start, middle, last] {
        match tables.walk(memory, cache, vaddr) {
            Ok(mapping) if Some(mapping.paddr.0) == range.position(vaddr) => verdict = Verdict::Confirmed,
            Ok(_) | Err(Error::NoTranslation { .. }) => return Ok(Verdict::Contradicted),
            Err(error @ Error::Io { .. }) => return Err(error),
            // Linux unmaps some of its memory itself, which proves nothing.
            Err(_) => {}
        }
    }
    Ok(verdict)
}

/// The memory of a PT_LOAD by its virtual addresses.
fn by_vaddr(phdr: &Phdr) -> Option<Extent> {
    let range = PhysRange::from_len(phdr.p_vaddr, phdr.p_memsz).ok()?;
    Some(Extent { range, stored_at: Some(phdr.p_paddr) })
}
