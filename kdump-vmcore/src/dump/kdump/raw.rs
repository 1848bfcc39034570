//! The fixed layouts of kdump-compressed dumps as they lie in a file, generic over byte order.
//!
//! The headers are C structures of the machine that wrote the dump: `long` has its word size,
//! and on 32-bit machines 64-bit integers are aligned to 4 (i386) or 8 (all others).

use alloc::string::String;

use alloc::vec::Vec;

use kdump_elf::{Class, Encoding, Endian, with_byte_order};
use zerocopy::byteorder::{I32, LE, U32, U64};
use zerocopy::{ByteOrder, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a name in `struct new_utsname`, with the zero at its end.
const NAME: usize = 65;
/// `struct new_utsname`: six names.
const UTSNAME: usize = 6 * NAME;

/// Numbers of the main header that follow the time.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Counts<O: ByteOrder> {
    status: U32<O>,
    block_size: U32<O>,
    sub_hdr_size: U32<O>,
    bitmap_blocks: U32<O>,
    max_mapnr: U32<O>,
    total_ram_blocks: U32<O>,
    device_blocks: U32<O>,
    written_blocks: U32<O>,
    current_cpu: U32<O>,
    nr_cpus: U32<O>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Main64<O: ByteOrder> {
    signature: [u8; 8],
    header_version: U32<O>,
    utsname: [u8; UTSNAME],
    pad: [u8; 6],
    tv_sec: U64<O>,
    tv_usec: U64<O>,
    counts: Counts<O>,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Main32<O: ByteOrder> {
    signature: [u8; 8],
    header_version: U32<O>,
    utsname: [u8; UTSNAME],
    pad: [u8; 2],
    tv_sec: U32<O>,
    tv_usec: U32<O>,
    counts: Counts<O>,
}

/// Bytes of the longest main header, up to the last member that is read.
pub(super) const MAIN_LEN: usize = size_of::<Main64<LE>>();
/// Bytes of the shortest one.
pub(super) const MIN_MAIN_LEN: usize = size_of::<Main32<LE>>();

/// What is read of a main header, or written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Main {
    pub(crate) version: u32,
    pub(crate) utsname: [u8; UTSNAME],
    /// Seconds since 1970; 0 when the writer did not know.
    pub(crate) timestamp: u64,
    pub(crate) status: u32,
    pub(crate) block_size: u32,
    pub(crate) sub_hdr_size: u32,
    pub(crate) bitmap_blocks: u32,
    pub(crate) max_mapnr: u32,
    pub(crate) nr_cpus: u32,
}

impl Default for Main {
    fn default() -> Self {
        Self {
            version: 0,
            utsname: [0; UTSNAME],
            timestamp: 0,
            status: 0,
            block_size: 0,
            sub_hdr_size: 0,
            bitmap_blocks: 0,
            max_mapnr: 0,
            nr_cpus: 0,
        }
    }
}

impl Main {
    /// One of the six names.
    pub(super) fn name(&self, index: usize) -> String {
        let name = self.utsname.chunks_exact(NAME).nth(index).unwrap_or_default();
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
        String::from_utf8_lossy(name.get(..end).unwrap_or_default()).into_owned()
    }

    /// Sets one of the six names: as much of it as there is room for, and the zero at its end.
    pub(crate) fn set_name(&mut self, index: usize, name: &[u8]) {
        let Some(place) = self.utsname.chunks_exact_mut(NAME).nth(index) else { return };
        place.fill(0);
        for (to, from) in
            place.iter_mut().take(NAME.saturating_sub(1)).zip(name.iter().take_while(|byte| **byte != 0))
        {
            *to = *from;
        }
    }

    /// The main header of a machine with this word size and byte order.
    pub(crate) fn encode(&self, encoding: Encoding) -> Vec<u8> {
        with_byte_order!(encoding.endian, O => match encoding.class {
            Class::Elf64 => Main64::<O>::from(self).as_bytes().into(),
            Class::Elf32 => Main32::<O>::from(self).as_bytes().into(),
        })
    }
}

/// The `unsigned long` of a header.
macro_rules! word {
    (Main64) => {
        u64
    };
    (Sub64) => {
        u64
    };
    ($other:ident) => {
        u32
    };
}

macro_rules! main_from {
    ($($raw:ident $pad:literal),*) => {$(
        impl<O: ByteOrder> From<&Main> for $raw<O> {
            /// What has no room in a word of 32 bits is what its lowest bits say, as in C.
            fn from(main: &Main) -> Self {
                #[allow(clippy::cast_possible_truncation, reason = "a machine of 32 bits has no more")]
                Self {
                    signature: *b"KDUMP   ",
                    header_version: main.version.into(),
                    utsname: main.utsname,
                    pad: [0; $pad],
                    tv_sec: (main.timestamp as word!($raw)).into(),
                    tv_usec: Default::default(),
                    counts: Counts {
                        status: main.status.into(),
                        block_size: main.block_size.into(),
                        sub_hdr_size: main.sub_hdr_size.into(),
                        bitmap_blocks: main.bitmap_blocks.into(),
                        max_mapnr: main.max_mapnr.into(),
                        total_ram_blocks: U32::ZERO,
                        device_blocks: U32::ZERO,
                        written_blocks: U32::ZERO,
                        current_cpu: U32::ZERO,
                        nr_cpus: main.nr_cpus.into(),
                    },
                }
            }
        }

        impl<O: ByteOrder> From<&$raw<O>> for Main {
            fn from(raw: &$raw<O>) -> Self {
                let counts = &raw.counts;
                Self {
                    version: raw.header_version.get(),
                    utsname: raw.utsname,
                    timestamp: raw.tv_sec.get().into(),
                    status: counts.status.get(),
                    block_size: counts.block_size.get(),
                    sub_hdr_size: counts.sub_hdr_size.get(),
                    bitmap_blocks: counts.bitmap_blocks.get(),
                    max_mapnr: counts.max_mapnr.get(),
                    nr_cpus: counts.nr_cpus.get(),
                }
            }
        }
    )*};
}

main_from!(Main64 6, Main32 2);

/// Sub header of a 64-bit machine.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Sub64<O: ByteOrder> {
    phys_base: U64<O>,
    dump_level: I32<O>,
    split: U32<O>,
    start_pfn: U64<O>,
    end_pfn: U64<O>,
    offset_vmcoreinfo: U64<O>,
    size_vmcoreinfo: U64<O>,
    offset_note: U64<O>,
    size_note: U64<O>,
    offset_eraseinfo: U64<O>,
    size_eraseinfo: U64<O>,
    start_pfn_64: U64<O>,
    end_pfn_64: U64<O>,
    max_mapnr_64: U64<O>,
}

/// Sub header of i386.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Sub32Packed<O: ByteOrder> {
    phys_base: U32<O>,
    dump_level: I32<O>,
    split: U32<O>,
    start_pfn: U32<O>,
    end_pfn: U32<O>,
    offset_vmcoreinfo: U64<O>,
    size_vmcoreinfo: U32<O>,
    offset_note: U64<O>,
    size_note: U32<O>,
    offset_eraseinfo: U64<O>,
    size_eraseinfo: U32<O>,
    start_pfn_64: U64<O>,
    end_pfn_64: U64<O>,
    max_mapnr_64: U64<O>,
}

/// Sub header of all other 32-bit machines.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct Sub32Padded<O: ByteOrder> {
    phys_base: U32<O>,
    dump_level: I32<O>,
    split: U32<O>,
    start_pfn: U32<O>,
    end_pfn: U32<O>,
    pad_1: [u8; 4],
    offset_vmcoreinfo: U64<O>,
    size_vmcoreinfo: U32<O>,
    pad_2: [u8; 4],
    offset_note: U64<O>,
    size_note: U32<O>,
    pad_3: [u8; 4],
    offset_eraseinfo: U64<O>,
    size_eraseinfo: U32<O>,
    pad_4: [u8; 4],
    start_pfn_64: U64<O>,
    end_pfn_64: U64<O>,
    max_mapnr_64: U64<O>,
}

/// Bytes of the longest sub header.
pub(super) const SUB_LEN: usize = size_of::<Sub64<LE>>();

/// A sub header of any layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sub {
    pub(crate) phys_base: u64,
    pub(crate) dump_level: i32,
    pub(crate) split: u32,
    pub(crate) start_pfn: u64,
    pub(crate) end_pfn: u64,
    pub(crate) offset_vmcoreinfo: u64,
    pub(crate) size_vmcoreinfo: u64,
    pub(crate) offset_note: u64,
    pub(crate) size_note: u64,
    pub(crate) offset_eraseinfo: u64,
    pub(crate) size_eraseinfo: u64,
    pub(crate) start_pfn_64: u64,
    pub(crate) end_pfn_64: u64,
    pub(crate) max_mapnr_64: u64,
}

macro_rules! sub_from {
    ($($raw:ident { $($pad:ident),* }),*) => {$(
        impl<O: ByteOrder> From<&Sub> for $raw<O> {
            fn from(sub: &Sub) -> Self {
                #[allow(clippy::cast_possible_truncation, reason = "a machine of 32 bits has no more")]
                Self {
                    phys_base: (sub.phys_base as word!($raw)).into(),
                    dump_level: sub.dump_level.into(),
                    split: sub.split.into(),
                    start_pfn: (sub.start_pfn as word!($raw)).into(),
                    end_pfn: (sub.end_pfn as word!($raw)).into(),
                    $($pad: [0; 4],)*
                    offset_vmcoreinfo: sub.offset_vmcoreinfo.into(),
                    size_vmcoreinfo: (sub.size_vmcoreinfo as word!($raw)).into(),
                    offset_note: sub.offset_note.into(),
                    size_note: (sub.size_note as word!($raw)).into(),
                    offset_eraseinfo: sub.offset_eraseinfo.into(),
                    size_eraseinfo: (sub.size_eraseinfo as word!($raw)).into(),
                    start_pfn_64: sub.start_pfn_64.into(),
                    end_pfn_64: sub.end_pfn_64.into(),
                    max_mapnr_64: sub.max_mapnr_64.into(),
                }
            }
        }

        impl<O: ByteOrder> From<&$raw<O>> for Sub {
            fn from(raw: &$raw<O>) -> Self {
                Self {
                    phys_base: raw.phys_base.get().into(),
                    dump_level: raw.dump_level.get(),
                    split: raw.split.get(),
                    start_pfn: raw.start_pfn.get().into(),
                    end_pfn: raw.end_pfn.get().into(),
                    offset_vmcoreinfo: raw.offset_vmcoreinfo.get(),
                    size_vmcoreinfo: raw.size_vmcoreinfo.get().into(),
                    offset_note: raw.offset_note.get(),
                    size_note: raw.size_note.get().into(),
                    offset_eraseinfo: raw.offset_eraseinfo.get(),
                    size_eraseinfo: raw.size_eraseinfo.get().into(),
                    start_pfn_64: raw.start_pfn_64.get(),
                    end_pfn_64: raw.end_pfn_64.get(),
                    max_mapnr_64: raw.max_mapnr_64.get(),
                }
            }
        }
    )*};
}

sub_from!(Sub64 {}, Sub32Packed {}, Sub32Padded { pad_1, pad_2, pad_3, pad_4 });

impl Sub {
    /// The sub header of a machine with this word size and byte order; `packed` is that of i386.
    pub(crate) fn encode(&self, encoding: Encoding, packed: bool) -> Vec<u8> {
        with_byte_order!(encoding.endian, O => match (encoding.class, packed) {
            (Class::Elf64, _) => Sub64::<O>::from(self).as_bytes().into(),
            (Class::Elf32, true) => Sub32Packed::<O>::from(self).as_bytes().into(),
            (Class::Elf32, false) => Sub32Padded::<O>::from(self).as_bytes().into(),
        })
    }
}

/// Where a page lies in the file.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(super) struct PageDesc<O: ByteOrder> {
    offset: U64<O>,
    size: U32<O>,
    flags: U32<O>,
    page_flags: U64<O>,
}

impl<O: ByteOrder> PageDesc<O> {
    /// Offset in the file, number of bytes, flags.
    pub(super) fn get(&self) -> (u64, u32, u32) {
        (self.offset.get(), self.size.get(), self.flags.get())
    }
}

/// A descriptor: offset in the file, number of bytes, flags.
pub(crate) fn encode_desc(endian: Endian, (offset, size, flags): (u64, u32, u32)) -> [u8; DESC_LEN] {
    with_byte_order!(endian, O => {
        let (offset, size, flags) = (offset.into(), size.into(), flags.into());
        zerocopy::transmute!(PageDesc::<O> { offset, size, flags, page_flags: U64::ZERO })
    })
}

/// Bytes of a descriptor, on every machine.
pub(crate) const DESC_LEN: usize = size_of::<PageDesc<LE>>();

const _: () = {
    assert!(size_of::<Main64<LE>>() == 464);
    assert!(size_of::<Main32<LE>>() == 452);
    assert!(size_of::<Sub64<LE>>() == 104);
    assert!(size_of::<Sub32Packed<LE>>() == 80);
    assert!(size_of::<Sub32Padded<LE>>() == 96);
    assert!(DESC_LEN == 24);
};
