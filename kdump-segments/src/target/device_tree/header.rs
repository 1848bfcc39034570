//! The header of a flattened tree (`struct fdt_header`; Devicetree Specification v0.4, 5.2), written last.

use super::{HEADER, LAST_COMPATIBLE, MAGIC, VERSION, wrong};
use crate::Error;

/// What a header says beside what follows from it: where the blocks begin behind the reservations, which
/// come first, and who boots.
pub(super) struct Parts {
    pub(super) structure: usize,
    pub(super) strings: usize,
    pub(super) boot_cpu: u32,
}

/// Fills in the header of a tree that is whole, with its names last.
///
/// # Errors
/// [`Error::DeviceTree`] for a tree too large to be written.
pub(super) fn finish_header(out: &mut [u8], parts: Parts) -> Result<(), Error> {
    let Parts { structure, strings, boot_cpu } = parts;
    let total = out.len();
    let [total_size, off_struct, off_strings, off_reserved] =
        [total, structure, strings, HEADER].map(|size| size as u64);
    let lengths = [total.saturating_sub(strings), strings.saturating_sub(structure)];
    let [size_strings, size_struct] = lengths.map(|size| size as u64);
    let header = [
        u64::from(MAGIC),
        total_size,
        off_struct,
        off_strings,
        off_reserved,
        u64::from(VERSION),
        u64::from(LAST_COMPATIBLE),
        u64::from(boot_cpu),
        size_strings,
        size_struct,
    ];
    for (place, number) in out.chunks_exact_mut(4).zip(header) {
        let number =
            u32::try_from(number).map_err(|_| wrong("totalsize", 4, total_size, "what 32 bits hold"))?;
        place.copy_from_slice(&number.to_be_bytes());
    }
    Ok(())
}
