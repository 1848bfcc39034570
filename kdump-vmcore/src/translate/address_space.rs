//! The dead kernel's virtual addresses, translated to physical ones.

use alloc::vec::Vec;

use kdump_elf::{Arch, PT_LOAD, Paddr, Phdr, PhysRange, Vaddr, VmcoreInfo};

use crate::error::{Error, Stopped};
use crate::extent_map::{Extent, ExtentMap, Lookup};
use crate::source::OldMemory;
use crate::translate::{Mapping, PageTables};

/// `__START_KERNEL_map`, where x86_64 maps its image.
const KERNEL_IMAGE: u64 = 0xffff_ffff_8000_0000;
/// The largest image window with KASLR (`KERNEL_IMAGE_SIZE`); modules follow.
const KERNEL_IMAGE_SIZE: u64 = 1 << 30;
/// The kernel's half begins here with 5-level paging, higher with 4.
const LOWEST_X86_64: u64 = 0xff00_0000_0000_0000;
/// PT_LOADs that are compared with the page tables; more are trusted like the ones seen.
const CHECKED_LOADS: usize = 256;

/// The kernel's address space at the time of the crash.
///
/// Three ways are tried in turn: the `p_vaddr` of the PT_LOADs, the linear map of the
/// kernel's image, the page tables. A `p_vaddr` that the page tables contradict is not used:
/// some writers of dumps fill in 0, all ones, or the physical address.
#[derive(Clone, Debug, Default)]
pub struct AddressSpace {
    linear: ExtentMap,
    image: Option<ImageMap>,
    tables: Option<PageTables>,
    distrusted: Vec<Phdr>,
}

/// Where the kernel's image lies.
#[derive(Clone, Copy, Debug)]
struct ImageMap {
    range: PhysRange,
    /// Virtual minus physical address, modulo 2^64.
    offset: u64,
}

impl AddressSpace {
    /// From what a dump says about its kernel; `memory` is the dump's.
    pub fn new<M: OldMemory + ?Sized>(
        memory: &M,
        arch: Option<Arch>,
        phdrs: &[Phdr],
        info: Option<VmcoreInfo<'_>>,
    ) -> Self {
        let image = image_map(arch, phdrs, info);
        let tables = match arch {
            Some(Arch::X86_64) => info.and_then(|info| x86_64_tables(info, image)),
            _ => None,
        };
        let mut space = Self { linear: ExtentMap::default(), image, tables, distrusted: Vec::new() };
        space.linear = space.trusted_loads(memory, arch, phdrs);
        space
    }

    /// PT_LOADs whose `p_vaddr` is not where the page tables map their memory; their
    /// addresses are translated by the page tables.
    #[must_use]
    pub fn distrusted(&self) -> &[Phdr] {
        &self.distrusted
    }

    /// The page tables in use; `None` when VMCOREINFO does not tell where they are or the
    /// architecture's tables cannot be walked.
    #[must_use]
    pub fn page_tables(&self) -> Option<PageTables> {
        self.tables
    }

    /// Translates one address.
    ///
    /// # Errors
    /// [`Stopped`] at `vaddr`: [`Error::NotMapped`], [`Error::NoTranslation`], or why a page
    /// table could not be read.
    pub fn translate<M: OldMemory + ?Sized>(&self, memory: &M, vaddr: Vaddr) -> Result<Mapping, Stopped> {
        if let Lookup::Stored { at, len } = self.linear.find(vaddr.0) {
            return Ok(Mapping { paddr: Paddr(at), len });
        }
        match (self.image.and_then(|image| image.translate(vaddr.0)), self.tables) {
            (Some(mapping), _) => Ok(mapping),
            (None, Some(tables)) => tables.walk(memory, vaddr.0),
            (None, None) => {
                let reason = "no PT_LOAD has it, and without VMCOREINFO of a known architecture \
                              the page tables cannot be found";
                let error = Error::NoTranslation { vaddr: vaddr.0, reason };
                Err(Stopped { read: 0, at: vaddr.0, error })
            }
        }
    }

    /// Fills all of `buf` from `vaddr` on; the bytes may be anywhere in physical memory.
    ///
    /// # Errors
    /// [`Stopped`] with the virtual address of the first byte missing and why.
    pub fn read_virt<M: OldMemory + ?Sized>(
        &self,
        memory: &M,
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
            let mapping = self.translate(memory, Vaddr(at)).map_err(|stopped| stop(0, stopped.error))?;
            let count = usize::try_from(mapping.len).unwrap_or(usize::MAX).min(rest.len());
            let piece = rest.get_mut(..count).unwrap_or_default();
            memory.read_phys(mapping.paddr, piece).map_err(|stopped| stop(stopped.read, stopped.error))?;
            read = read.saturating_add(count);
        }
        Ok(())
    }

    /// The map of PT_LOADs by `p_vaddr`, without those that the page tables contradict.
    fn trusted_loads<M: OldMemory + ?Sized>(
        &mut self,
        memory: &M,
        arch: Option<Arch>,
        phdrs: &[Phdr],
    ) -> ExtentMap {
        let mut extents = Vec::new();
        for phdr in phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD && has_vaddr(arch, phdr)) {
            let Ok(range) = PhysRange::from_len(phdr.p_vaddr, phdr.p_memsz) else { continue };
            let seen = extents.len().saturating_add(self.distrusted.len());
            let contradicted = seen < CHECKED_LOADS && self.contradicts(memory, phdr);
            if contradicted {
                self.distrusted.push(*phdr);
            } else {
                extents.push(Extent { range, stored_at: Some(phdr.p_paddr) });
            }
        }
        ExtentMap::build(&extents)
    }

    /// Whether the page tables map `p_vaddr` elsewhere. The first pages of the image or of
    /// low memory may be unmapped by the kernel itself, which proves nothing.
    fn contradicts<M: OldMemory + ?Sized>(&self, memory: &M, phdr: &Phdr) -> bool {
        let Some(tables) = self.tables else { return false };
        match tables.walk(memory, phdr.p_vaddr) {
            Ok(mapping) => mapping.paddr.0 != phdr.p_paddr,
            Err(stopped) => matches!(stopped.error, Error::NoTranslation { .. }),
        }
    }
}

impl ImageMap {
    fn translate(&self, vaddr: u64) -> Option<Mapping> {
        let inside = self.range.contains(vaddr);
        inside.then(|| Mapping {
            paddr: Paddr(vaddr.wrapping_sub(self.offset)),
            len: self.range.end().saturating_sub(vaddr),
        })
    }
}

/// Whether `p_vaddr` can be an address of the kernel. Loaders write all ones for memory
/// without one (high memory of 32-bit machines); QEMU writes 0 or the physical address.
fn has_vaddr(arch: Option<Arch>, phdr: &Phdr) -> bool {
    match arch {
        Some(Arch::X86_64) => phdr.p_vaddr >= LOWEST_X86_64,
        // The kernel of IBM Z runs at its physical addresses.
        Some(Arch::S390x) => true,
        _ => ![0, u64::from(u32::MAX), u64::MAX, phdr.p_paddr].contains(&phdr.p_vaddr),
    }
}

/// The linear map of the kernel's image: by `phys_base` on x86_64, or by the text PT_LOAD.
fn image_map(arch: Option<Arch>, phdrs: &[Phdr], info: Option<VmcoreInfo<'_>>) -> Option<ImageMap> {
    if arch != Some(Arch::X86_64) {
        return None;
    }
    let size =
        info.and_then(|info| info.number("KERNEL_IMAGE_SIZE")).and_then(|size| u64::try_from(size).ok());
    let size = size.filter(|size| (1 << 20..=KERNEL_IMAGE_SIZE).contains(size)).unwrap_or(1 << 29);
    let range = PhysRange::from_len(KERNEL_IMAGE, size).ok()?;
    let phys_base = info.and_then(|info| info.number("phys_base"));
    let phys_base = phys_base.map(|base| u64::from_ne_bytes(base.to_ne_bytes())).or_else(|| {
        let text = phdrs.iter().find(|phdr| phdr.p_type == PT_LOAD && range.contains(phdr.p_vaddr))?;
        Some(text.p_paddr.wrapping_sub(text.p_vaddr.wrapping_sub(KERNEL_IMAGE)))
    })?;
    Some(ImageMap { range, offset: KERNEL_IMAGE.wrapping_sub(phys_base) })
}

fn x86_64_tables(info: VmcoreInfo<'_>, image: Option<ImageMap>) -> Option<PageTables> {
    let symbols = ["swapper_pg_dir", "init_top_pgt", "init_level4_pgt"];
    let root = symbols.iter().find_map(|name| info.symbol(name))?;
    let root = image?.translate(root)?.paddr;
    let levels = if info.number("pgtable_l5_enabled") == Some(1) { 5 } else { 4 };
    let sme_mask = info.number("sme_mask").map_or(0, |mask| u64::from_ne_bytes(mask.to_ne_bytes()));
    Some(PageTables { root, levels, sme_mask })
}
