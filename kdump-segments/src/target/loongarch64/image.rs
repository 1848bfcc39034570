//! Whether an ELF kernel for loongarch64 can be loaded elsewhere than it is linked.

use kdump_elf::Endian;

/// The section with which a kernel adds the distance it was moved to its addresses.
const MOVED_BY: &[u8] = b".la_abs";
/// Fields of the file header and of section headers (ELF gABI, ELF64).
const E_SHOFF: usize = 40;
const E_SHENTSIZE: usize = 58;
const E_SHNUM: usize = 60;
const E_SHSTRNDX: usize = 62;
const SH_OFFSET: usize = 24;

/// Whether the kernel in `file` has what it moves itself with. A file without section headers does not tell,
/// and is not moved.
pub(crate) fn moves_itself(file: &[u8]) -> bool {
    names(file).is_some_and(|mut names| names.any(|name| name == MOVED_BY))
}

/// The names of the sections.
fn names(file: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let long = |at| usize::try_from(Endian::Little.read::<u64>(file, at)?).ok();
    let half = |at| Endian::Little.read::<u16>(file, at).map(usize::from);
    let (table, size) = (long(E_SHOFF)?, half(E_SHENTSIZE)?);
    let header = move |index: usize| table.checked_add(index.checked_mul(size)?);
    let texts = long(header(half(E_SHSTRNDX)?)?.checked_add(SH_OFFSET)?)?;
    let count = half(E_SHNUM)?;
    Some((0..count).filter_map(move |index| {
        let name = Endian::Little.read::<u32>(file, header(index)?)?;
        let at = texts.checked_add(usize::try_from(name).ok()?)?;
        file.get(at..)?.split(|&byte| byte == 0).next()
    }))
}
