//! How long a kernel image is that is a program for EFI as well (Microsoft, "PE Format").

use crate::le::{array, u16_at, u32_at};

/// Where an MZ header has the offset of the signature.
const SIGNATURE_AT: usize = 0x3c;
/// Bytes of the signature and of the COFF header behind it.
const HEADER: u64 = 24;
const SECTION_COUNT: usize = 6;
const OPTIONAL_SIZE: usize = 20;
/// Bytes of a section header, and where it has size and offset of what is in the file.
const SECTION: usize = 40;
const RAW_SIZE: usize = 16;
const RAW_AT: usize = 20;

/// Bytes such a file has at least, by as much of its headers as is there; 0 for others.
pub(crate) fn least_size(file: &[u8]) -> u64 {
    let signature = u32_at(file, SIGNATURE_AT).filter(|&at| at != 0 && file.starts_with(b"MZ"));
    let Some(signature) = signature else { return 0 };
    let header_end = u64::from(signature).saturating_add(HEADER);
    let header = usize::try_from(signature).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let Some((count, optional)) = u16_at(header, SECTION_COUNT).zip(u16_at(header, OPTIONAL_SIZE)) else {
        return header_end;
    };
    if array(header, 0) != Some(*b"PE\0\0") {
        return 0;
    }
    let table = header_end.saturating_add(u64::from(optional));
    let table_end = table.saturating_add(u64::from(count).saturating_mul(SECTION as u64));
    let sections = usize::try_from(table).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let ends = sections.chunks_exact(SECTION).take(usize::from(count)).filter_map(|section| {
        let (size, at) = (u32_at(section, RAW_SIZE)?, u32_at(section, RAW_AT)?);
        (size != 0).then(|| u64::from(at).saturating_add(u64::from(size)))
    });
    ends.fold(table_end, u64::max)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// With the sections of an arm64 kernel: 0x5000 bytes at 0x1000, 0x800 bytes at 0x6000, and one in memory only.
    fn program() -> Vec<u8> {
        let mut file = vec![0; 0x6800];
        file[..2].copy_from_slice(b"MZ");
        file[0x3c] = 0x40;
        file[0x40..0x44].copy_from_slice(b"PE\0\0");
        file[0x46] = 3;
        file[0x54] = 160;
        for (section, size, at) in [(0, 0x5000_u32, 0x1000_u32), (1, 0x800, 0x6000), (2, 0, 0x9000)] {
            let start = 0x58 + 160 + section * 40;
            file[start + 16..start + 20].copy_from_slice(&size.to_le_bytes());
            file[start + 20..start + 24].copy_from_slice(&at.to_le_bytes());
        }
        file
    }

    #[test]
    fn a_file_is_as_long_as_its_sections() {
        let file = program();
        assert_eq!(least_size(&file), 0x6800);
        // Of headers that are cut as much as there is counts.
        for (len, need) in [(0x6000, 0x6800), (0x150, 0x170), (0x50, 0x58), (0x40, 0x58), (0x3f, 0)] {
            let least = least_size(&file[..len]);
            assert!(least >= need && (least > len as u64 || need == 0), "{len:#x}: {least:#x}");
        }
        let mut other = file.clone();
        other[0x40] = b'L';
        assert_eq!(least_size(&other), 0, "no PE signature");
        other = file.clone();
        other[0x3c] = 0;
        assert_eq!(least_size(&other), 0, "no offset of one");
        other = file;
        other[0] = 0;
        assert_eq!(least_size(&other), 0, "no MZ");
        let hostile = [&b"MZ"[..], &[0xff; 0x3e]].concat();
        assert_eq!(least_size(&hostile), 0xffff_ffff + 24);
    }
}
