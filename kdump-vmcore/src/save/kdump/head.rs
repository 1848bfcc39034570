//! The headers of the new file, and the notes behind them.

use alloc::vec::Vec;

use kdump_elf::{Arch, Class, Encoding, Phdr, VmcoreInfo};

use super::super::losses::Losses;
use super::super::note::{Cleaned, NotePlace};
use super::super::plan::source_defects;
use super::plan::bitmap_blocks;
use crate::dump::Dump;
use crate::dump::kdump::{LEVEL_ZERO, Main, SATURATED, Sub, machine_name};
use crate::error::Error;
use crate::kernel::KernelMemory;
use crate::room::{append, zeroed};

/// What makedumpfile writes, and the newest there is.
const VERSION: u32 = 6;
/// The kinds of pages that a dump level can leave out (makedumpfile(8)).
const LEVELS: u32 = 31;
/// Bytes of the six names in `struct new_utsname`, each with the zero at its end.
const NAME: usize = 65;
/// Places in the list of names (uname(2)).
const RELEASE: usize = 2;
const MACHINE: usize = 4;
/// First address of the x86_64 kernel image (Documentation/arch/x86/x86_64/mm.rst).
const IMAGE: u64 = 0xffff_ffff_8000_0000;

/// Both headers, as far as they do not depend on the places of things.
pub(super) fn headers(dump: &Dump<'_>, page_size: u64, max_mapnr: u64) -> (Main, Sub) {
    let narrow = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let info = dump.vmcoreinfo();
    let mut main = Main {
        version: VERSION,
        timestamp: info.and_then(|info| info.decimal("CRASHTIME")).unwrap_or(0),
        block_size: narrow(page_size),
        bitmap_blocks: narrow(bitmap_blocks(max_mapnr, page_size).saturating_mul(2)),
        max_mapnr: narrow(max_mapnr.min(SATURATED)),
        nr_cpus: narrow(dump.cpu_count() as u64),
        ..Main::default()
    };
    names(dump, &mut main);
    let sub = Sub {
        phys_base: phys_base(dump),
        // What is gone already stays so.
        dump_level: i32::try_from(LEVEL_ZERO | dump.facts().dump_level & LEVELS).unwrap_or(0),
        end_pfn: max_mapnr.min(SATURATED),
        end_pfn_64: max_mapnr,
        max_mapnr_64: max_mapnr,
        ..Sub::default()
    };
    (main, sub)
}

/// What uname(2) told on the machine, from its memory; what is known without where that lacks it.
fn names(dump: &Dump<'_>, main: &mut Main) {
    if let Some(arch) = dump.arch() {
        main.set_name(MACHINE, machine_name(arch, dump.endian()).as_bytes());
    }
    let Some(info) = dump.vmcoreinfo() else { return };
    let release = info.release().unwrap_or_default().as_bytes();
    main.set_name(RELEASE, release);
    let mut found = [0; 6 * NAME];
    if read_names(dump, info, &mut found).is_none() {
        return;
    }
    let name = |index: usize| found.chunks_exact(NAME).nth(index).unwrap_or_default();
    let text = name(RELEASE).split(|byte| *byte == 0).next().unwrap_or_default();
    if text == release && !release.is_empty() {
        (0..6).for_each(|index| main.set_name(index, name(index)));
    }
}

fn read_names(dump: &Dump<'_>, info: VmcoreInfo<'_>, names: &mut [u8]) -> Option<()> {
    let place = info.symbol("init_uts_ns")?.checked_add(info.offset("uts_namespace.name")?)?;
    KernelMemory::new(dump).read(kdump_elf::Vaddr(place), names).ok()
}

/// Where the kernel's image was loaded, as x86_64 counts it; 0 elsewhere.
fn phys_base(dump: &Dump<'_>) -> u64 {
    if let Some(base) = dump.vmcoreinfo().and_then(|info| info.number_bits("phys_base")) {
        return base;
    }
    if dump.arch() != Some(Arch::X86_64) {
        return 0;
    }
    let image = dump.phdrs().iter().find(|phdr| phdr.p_filesz != 0 && phdr.p_vaddr >= IMAGE);
    image.map_or(0, |phdr| phdr.p_paddr.wrapping_sub(phdr.p_vaddr.wrapping_sub(IMAGE)))
}

/// The headers, still empty, with the notes behind them; tells the headers where things are.
pub(super) fn head_of(
    dump: &Dump<'_>,
    encoding: Encoding,
    main: &mut Main,
    sub: &mut Sub,
    losses: &Losses,
    page_size: u64,
) -> Result<(Vec<u8>, NotePlace), Error> {
    let what = "the header of the new file";
    let packed = dump.arch() == Some(Arch::I386);
    let begin = page_size.saturating_add(sub.encode(encoding, packed).len() as u64);
    let mut head = zeroed(what, begin)?;
    let cleaned = Cleaned::all(dump.notes(), encoding.endian)?;
    let mut phdr = Phdr::default();
    let defects = source_defects(dump);
    let mut note = NotePlace::append(&mut head, encoding, &mut phdr, &cleaned, &losses.ranges, defects)?;
    note.whole.p_offset = phdr.p_offset;
    sub.offset_note = phdr.p_offset;
    if let (Some(info), Some(at)) = (dump.vmcoreinfo(), cleaned.vmcoreinfo) {
        sub.offset_vmcoreinfo = phdr.p_offset.saturating_add(at as u64);
        sub.size_vmcoreinfo = info.as_bytes().len() as u64;
    }
    let size = (head.len() as u64).next_multiple_of(page_size);
    let padding = zeroed(what, size.saturating_sub(head.len() as u64))?;
    append(&mut head, what, &padding)?;
    main.sub_hdr_size =
        u32::try_from(size.checked_div(page_size).unwrap_or(0)).unwrap_or(u32::MAX).saturating_sub(1);
    if encoding.class == Class::Elf32 && size > u32::MAX.into() {
        return Err(Error::TooLarge { what: "size of the notes", value: size, limit: u32::MAX.into() });
    }
    Ok((head, note))
}
