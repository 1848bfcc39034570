//! The two headers of a kdump-compressed or diskdump file.
//!
//! Nothing in the file says which machine wrote it: word size, byte order and packing are
//! those under which the headers make sense.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::{Range, RangeInclusive};

use kdump_elf::{Arch, Class, Encoding, Endian, with_byte_order};
use zerocopy::FromBytes;

use super::raw::{MAIN_LEN, Main, Main32, Main64, SUB_LEN, Sub, Sub32Packed, Sub32Padded, Sub64};
use crate::dump::part;
use crate::error::{Error, Stopped};
use crate::source::ReadAt;

/// Pages, and therefore blocks, have 4 KiB at least and nowhere more than 256 KiB. 1 MiB is 4 KiB
/// in the wrong byte order.
const BLOCK_SIZES: RangeInclusive<u32> = 0x1000..=0x4_0000;
/// 2^36 pages, 256 TiB of RAM in pages of 4 KiB: holds the ranks of both bitmaps to 512 MiB.
pub(crate) const MAX_MAPNR: u64 = 1 << 36;
/// What the 32-bit numbers of pages hold when the number does not fit.
pub(crate) const SATURATED: u64 = 0xffff_ffff;
/// Versions are small numbers; a large one is a small one read in the wrong byte order.
const MAX_VERSION: u32 = 0xff;

/// How 64-bit integers are aligned in the structures of a 32-bit machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    /// To 4 bytes, as on i386.
    Packed,
    /// To 8 bytes, as everywhere else.
    Padded,
}

/// Place of something in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// What both headers say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// `DISKDUMP`, not `KDUMP   `.
    pub(super) diskdump: bool,
    pub(super) encoding: Encoding,
    pub(super) main: Main,
    pub(super) arch: Option<Arch>,
    /// First page frame number behind all memory.
    pub(super) max_mapnr: u64,
    pub(super) phys_base: u64,
    pub(super) dump_level: u32,
    /// The page frame numbers this part of a set has.
    pub(super) split: Option<Range<u64>>,
    pub(super) vmcoreinfo: Extent,
    pub(super) notes: Extent,
    pub(super) erase_info: Extent,
}

impl Header {
    /// Reads both headers; what is doubtful in them and can be passed over is told in
    /// `defects`.
    pub(super) fn read(source: &dyn ReadAt, defects: &mut Vec<Error>) -> Result<Self, Error> {
        let head = part::head(source)?;
        let diskdump = head.starts_with(b"DISKDUMP");
        if !diskdump && !head.starts_with(b"KDUMP   ") {
            // The first part decides on the format; others may be anything.
            let found = head.first_chunk().copied().unwrap_or_default();
            return Err(Error::UnknownFormat { found });
        }
        let mut bytes = [0; MAIN_LEN];
        fill(source, 0, "header", &mut bytes)?;
        let (encoding, main) = decide(&bytes)?;
        let arch = arch(&main.name(MACHINE));
        // The historic facility has a sub header of its own, with nothing that is needed here.
        let sub = if diskdump { Sub::default() } else { read_sub(source, encoding, &main, arch)? };
        let max_mapnr = max_mapnr(&main, &sub, defects);
        if max_mapnr > MAX_MAPNR {
            return Err(Error::TooLarge { what: "max_mapnr", value: max_mapnr, limit: MAX_MAPNR });
        }
        let wide = |low: u64, high: u64| if main.version >= 6 { high } else { low };
        let pfns = wide(sub.start_pfn, sub.start_pfn_64)..wide(sub.end_pfn, sub.end_pfn_64);
        Ok(Self {
            diskdump,
            encoding,
            arch,
            max_mapnr,
            phys_base: sub.phys_base,
            dump_level: u32::try_from(sub.dump_level).unwrap_or(0),
            split: (sub.split != 0).then_some(pfns),
            vmcoreinfo: Extent { offset: sub.offset_vmcoreinfo, size: sub.size_vmcoreinfo },
            notes: Extent { offset: sub.offset_note, size: sub.size_note },
            erase_info: Extent { offset: sub.offset_eraseinfo, size: sub.size_eraseinfo },
            main,
        })
    }

    /// Bytes of a page and of a block.
    pub(super) fn block_size(&self) -> u64 {
        self.main.block_size.into()
    }

    /// Offset of block `index`.
    pub(super) fn block(&self, index: u64) -> u64 {
        index.saturating_mul(self.block_size())
    }

    /// Places of the bitmap of RAM and of that of the stored pages, the same where there is one only.
    pub(super) fn bitmaps(&self) -> [Range<u64>; 2] {
        let blocks = u64::from(self.main.bitmap_blocks);
        let first = self.block(u64::from(self.main.sub_hdr_size).saturating_add(1));
        let size = self.max_mapnr.div_ceil(8);
        // As crash and libkdumpfile have it: there are two bitmaps when there is room for two.
        let has_two = blocks >= size.div_ceil(self.block_size()).saturating_mul(2);
        let last = if has_two { first.saturating_add(self.block(blocks / 2)) } else { first };
        [first, last].map(|start| start..start.saturating_add(size))
    }

    /// sysname, nodename, release, version, machine, domainname; empty where the writer did not
    /// know.
    pub(super) fn name(&self, index: usize) -> String {
        self.main.name(index)
    }
}

/// Places in the list of names.
pub(super) const RELEASE: usize = 2;
pub(super) const MACHINE: usize = 4;

/// Fills `buf`; the error names `what`.
pub(super) fn fill(source: &dyn ReadAt, at: u64, what: &'static str, buf: &mut [u8]) -> Result<(), Error> {
    source.read_full_at(at, buf).map_err(|stopped| told(what, at, buf.len() as u64, stopped))
}

/// Why a read of `need` bytes at `offset`, which are `what`, stopped.
pub(super) fn told(what: &'static str, offset: u64, need: u64, stopped: Stopped) -> Error {
    match stopped.error {
        Error::Truncated { .. } => Error::Truncated { what, offset, need, have: stopped.read as u64 },
        other => other,
    }
}

/// The encoding under which the main header makes sense, and the header.
fn decide(bytes: &[u8; MAIN_LEN]) -> Result<(Encoding, Main), Error> {
    let all = [Endian::Little, Endian::Big].into_iter().flat_map(|endian| {
        let encoding = move |class| Encoding { class, endian };
        [Class::Elf32, Class::Elf64].map(|class| (encoding(class), main(bytes, encoding(class))))
    });
    let mut found: Vec<(Encoding, Main)> = all.filter(|(_, main)| main.version <= MAX_VERSION).collect();
    // Both word sizes may make sense; the name of the machine is at the same place in both.
    let class = found.first().and_then(|(_, main)| arch(&main.name(MACHINE))).map(Arch::class);
    found.sort_by_key(|(encoding, _)| class.is_some_and(|class| class != encoding.class));
    let mut reason = None;
    for (encoding, main) in found {
        match check(&main) {
            Ok(()) => return Ok((encoding, main)),
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    Err(reason.unwrap_or_else(|| {
        let value = Endian::Little.read::<u32>(bytes, 8).unwrap_or(0);
        let expected = "a small number in either byte order";
        Error::Corrupt { what: "header_version", value: value.into(), expected }
    }))
}

fn main(bytes: &[u8; MAIN_LEN], encoding: Encoding) -> Main {
    let main = with_byte_order!(encoding.endian, O => match encoding.class {
        Class::Elf64 => Main64::<O>::ref_from_prefix(bytes).map(|(raw, _)| raw.into()).ok(),
        Class::Elf32 => Main32::<O>::ref_from_prefix(bytes).map(|(raw, _)| raw.into()).ok(),
    });
    main.unwrap_or_default()
}

/// Whether the main header makes sense, and which field does not.
fn check(main: &Main) -> Result<(), Error> {
    let bad = |what, value: u32, expected| Err(Error::Corrupt { what, value: value.into(), expected });
    if !main.block_size.is_power_of_two() || !BLOCK_SIZES.contains(&main.block_size) {
        return bad("block_size", main.block_size, "a power of two from 4 KiB to 256 KiB");
    }
    if main.sub_hdr_size == 0 || main.sub_hdr_size > i32::MAX.unsigned_abs() {
        return bad("sub_hdr_size", main.sub_hdr_size, "1 to 2^31 - 1 blocks");
    }
    if main.max_mapnr == 0 {
        return bad("max_mapnr", 0, "a number of pages");
    }
    let bits = u64::from(main.bitmap_blocks).saturating_mul(main.block_size.into()).saturating_mul(8);
    if bits < main.max_mapnr.into() {
        return bad("bitmap_blocks", main.bitmap_blocks, "a bit for each page up to max_mapnr");
    }
    Ok(())
}

/// Bytes of the sub header by version: up to what the next version added.
fn sub_len(class: Class, packing: Packing, version: u32) -> usize {
    let lens = match (class, packing) {
        (Class::Elf64, _) => [8, 12, 32, 48, 64, 80, 104],
        (Class::Elf32, Packing::Packed) => [4, 8, 20, 32, 44, 56, 80],
        (Class::Elf32, Packing::Padded) => [4, 8, 20, 36, 52, 68, 96],
    };
    let version = usize::try_from(version).unwrap_or(usize::MAX).min(lens.len().saturating_sub(1));
    lens.get(version).copied().unwrap_or(0)
}

/// Reads the sub header under the packing under which it makes sense.
fn read_sub(source: &dyn ReadAt, encoding: Encoding, main: &Main, arch: Option<Arch>) -> Result<Sub, Error> {
    let decode = |packing| {
        // What a newer version added is something else in this file: it stays zero.
        let mut bytes = [0; SUB_LEN];
        let len = sub_len(encoding.class, packing, main.version);
        let place = bytes.get_mut(..len).unwrap_or_default();
        fill(source, main.block_size.into(), "sub header", place)?;
        let sub = with_byte_order!(encoding.endian, O => match (encoding.class, packing) {
            (Class::Elf64, _) => Sub64::<O>::ref_from_prefix(&bytes).map(|(raw, _)| raw.into()).ok(),
            (Class::Elf32, Packing::Packed) => {
                Sub32Packed::<O>::ref_from_prefix(&bytes).map(|(raw, _)| raw.into()).ok()
            }
            (Class::Elf32, Packing::Padded) => {
                Sub32Padded::<O>::ref_from_prefix(&bytes).map(|(raw, _)| raw.into()).ok()
            }
        });
        Ok::<_, Error>(sub.unwrap_or_default())
    };
    // With 64 bits there is one way only.
    let (padded, packed) = (decode(Packing::Padded)?, decode(Packing::Packed)?);
    let usual = if arch == Some(Arch::I386) { packed } else { padded };
    Ok(match (makes_sense(&packed, main), makes_sense(&padded, main)) {
        (true, false) => packed,
        (false, true) => padded,
        _ => usual,
    })
}

/// Whether a sub header of a 32-bit machine was read with the right packing.
fn makes_sense(sub: &Sub, main: &Main) -> bool {
    let block = u64::from(main.block_size);
    let head = block..u64::from(main.sub_hdr_size).saturating_add(1).saturating_mul(block);
    let inside = |offset: u64, size: u64| match (offset, size) {
        (0, 0) => true,
        _ => head.contains(&offset) && offset.saturating_add(size) <= head.end,
    };
    let number = main.version < 6
        || sub.max_mapnr_64 == u64::from(main.max_mapnr)
        || (u64::from(main.max_mapnr) == SATURATED && sub.max_mapnr_64 > SATURATED);
    number && inside(sub.offset_vmcoreinfo, sub.size_vmcoreinfo) && inside(sub.offset_note, sub.size_note)
}

/// The number of pages, of which version 6 has 64 bits.
fn max_mapnr(main: &Main, sub: &Sub, defects: &mut Vec<Error>) -> u64 {
    let small = u64::from(main.max_mapnr);
    if main.version < 6 || sub.max_mapnr_64 == small {
        return small;
    }
    if small == SATURATED && sub.max_mapnr_64 > small {
        return sub.max_mapnr_64;
    }
    let expected = "max_mapnr of the main header";
    defects.push(Error::Corrupt { what: "max_mapnr_64", value: sub.max_mapnr_64, expected });
    small
}

/// How kernels of an architecture call their machine (uname(2)); each in its first place is what is
/// written.
const MACHINES: &[(Arch, &[&str])] = &[
    (Arch::X86_64, &["x86_64"]),
    (Arch::I386, &["i686", "i586", "i486", "i386"]),
    (Arch::Arm64, &["aarch64", "aarch64_be"]),
    (Arch::Ppc64, &["ppc64", "ppc64le"]),
    (Arch::Ppc32, &["ppc", "ppcle"]),
    (Arch::Riscv64, &["riscv64"]),
    (Arch::S390x, &["s390x"]),
    (Arch::LoongArch64, &["loongarch64"]),
    (Arch::Arm, &["arm"]),
];

/// The architecture whose kernel calls its machine `name`.
fn arch(name: &str) -> Option<Arch> {
    let found = MACHINES.iter().find(|(_, names)| names.contains(&name)).map(|(arch, _)| *arch);
    found.or_else(|| name.starts_with("arm").then_some(Arch::Arm))
}

/// How a kernel of `arch` calls its machine.
pub(crate) fn machine_name(arch: Arch, endian: Endian) -> &'static str {
    if (arch, endian) == (Arch::Ppc64, Endian::Little) {
        return "ppc64le";
    }
    let names = MACHINES.iter().find(|(other, _)| *other == arch);
    names.and_then(|(_, names)| names.first()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_architecture_has_the_name_its_kernel_gives() {
        for known in Arch::all() {
            for endian in [Endian::Little, Endian::Big] {
                assert_eq!(arch(machine_name(known, endian)), Some(known));
            }
        }
        assert_eq!(machine_name(Arch::Ppc64, Endian::Little), "ppc64le");
        assert_eq!(machine_name(Arch::Ppc64, Endian::Big), "ppc64");
        assert_eq!((arch("armv7l"), arch("mips64")), (Some(Arch::Arm), None));
    }
}
