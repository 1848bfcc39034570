//! Memory that is refused at any one moment costs speed or is told; it ends nothing and gives no wrong byte.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

#[path = "../../tests/support/failing_allocator.rs"]
mod failing_allocator;

use dumpgen::{CoreFile, Flattened, Kallsyms, KdumpFile, PageCodec, Segment, Wire};
use failing_allocator::{LARGE, refusing, taken};
use kdump_elf::{Paddr, Vaddr};
use kdump_vmcore::codec::{Codec, CodecError, Encoder};
use kdump_vmcore::{Dump, Error, KernelMemory, PhysMemory, ReadAt, ReadOptions};

const PAGES: u64 = 3000;

fn word(pfn: u64) -> [u8; 8] {
    (pfn | 1 << 40).to_le_bytes()
}

/// A file whose pieces a reader may keep.
struct Kept<'a>(&'a [u8]);

impl ReadAt for Kept<'_> {
    fn size(&self) -> Result<u64, Error> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.0.read_at(offset, buf)
    }

    fn is_cacheable(&self) -> bool {
        true
    }
}

/// Opens the file and reads a word of most pages, twice; how many were read.
fn exercise(file: &[u8]) -> Result<usize, Error> {
    let dump = Dump::open(Kept(file))?.read_options(ReadOptions::default().cache_size(64 << 20).threads(1));
    let (mut reader, mut read) = (dump.reader(), 0);
    for pfn in (0..PAGES).filter(|pfn| pfn % 5 != 3).chain(0..9).chain(0..9) {
        let mut found = [0; 8];
        match reader.read_phys(Paddr(pfn * 4096 + 64), &mut found) {
            Ok(()) => assert_eq!(found, word(pfn), "{pfn}"),
            Err(stopped) => {
                assert!(matches!(stopped.error, Error::OutOfMemory { .. }), "{pfn}: {stopped}");
                continue;
            }
        }
        read += 1;
    }
    Ok(read)
}

#[test]
fn no_refusal_of_memory_ends_the_process_or_gives_wrong_bytes() {
    let page = |pfn| word(pfn).repeat(512);
    let core: Vec<u8> = (0..PAGES).flat_map(page).collect();
    let core = CoreFile { align: 0x1000, ..CoreFile::x86_64() }.with(Segment::load(0, &core)).build();
    let kdump = (0..PAGES).fold(KdumpFile::new(Wire::LE64, PAGES), |file, pfn| {
        let codec = if pfn % 2 == 0 { PageCodec::Raw } else { PageCodec::Lzo };
        file.with(pfn, dumpgen::Stored::Page(codec, page(pfn)))
    });
    let kdump = kdump.build();
    let stream = Flattened::of(&kdump, 1 << 16).build();
    for (name, file) in [("ELF", core), ("kdump", kdump), ("stream", stream)] {
        let all = exercise(&file).unwrap();
        for for_good in [false, true] {
            let (borne, least) = borne(&file, all, for_good);
            // Every other page of the compressed formats needs no memory to be read.
            assert!(least >= all / 2, "{name}: {least} of {all}");
            assert!(for_good || borne > 0, "{name}: {borne} refusals without harm");
        }
    }
}

/// Of a reader that is there nothing depends on memory that is not, however little.
#[test]
fn reading_bears_the_refusal_of_the_last_byte() {
    let page = |pfn| word(pfn).repeat(512);
    let file = (0..PAGES).fold(KdumpFile::new(Wire::LE64, PAGES), |file, pfn| {
        let codec = if pfn % 2 == 0 { PageCodec::Raw } else { PageCodec::Lzo };
        file.with(pfn, dumpgen::Stored::Page(codec, page(pfn)))
    });
    let file = file.build();
    let dump = Dump::open(Kept(&file)).unwrap();
    let dump = dump.read_options(ReadOptions::default().cache_size(64 << 20).threads(1));
    for nth in 1.. {
        let mut reader = dump.reader();
        let read = || {
            let mut refused = 0;
            for pfn in (0..PAGES).flat_map(|pfn| [pfn; 3]) {
                let mut found = [0; 8];
                match reader.read_phys(Paddr(pfn * 4096 + 64), &mut found) {
                    Ok(()) => assert_eq!(found, word(pfn), "{pfn}"),
                    Err(stopped) => refused += u64::from(matches!(stopped.error, Error::OutOfMemory { .. })),
                }
            }
            refused
        };
        let (told, refused) = refusing(nth, 1, false, read);
        assert!(told <= 1, "{nth}: {told}");
        if !refused {
            assert!(nth > 4, "nothing was refused");
            break;
        }
    }
}

/// Without its list of addresses a kernel's memory is not translated by less than all that the dump tells.
#[test]
fn addresses_are_not_said_to_be_none_for_want_of_memory() {
    const DIRECT: u64 = 0xffff_8880_0000_0000;
    let file = (0..100_u64).fold(CoreFile { align: 0x1000, ..CoreFile::x86_64() }, |file, at| {
        let page = word(at).repeat(512);
        file.with(Segment { p_vaddr: DIRECT + (at << 20), ..Segment::load(at << 20, &page) })
    });
    let dump = Dump::open(file.build()).unwrap();
    let mut told = 0;
    for nth in 1.. {
        let (mut kernel, refused) = refusing(nth, 1500, false, || KernelMemory::new(&dump));
        match kernel.read_u64(Vaddr(DIRECT + (70 << 20) + 64)) {
            Ok(found) => assert_eq!(found.to_le_bytes(), word(70)),
            Err(stopped) => {
                assert!(matches!(stopped.error, Error::OutOfMemory { .. }), "{nth}: {stopped}");
                told += 1;
            }
        }
        if !refused {
            break;
        }
    }
    assert!(told > 0);
}

/// The names of a kernel's symbols are read in pieces, each of which may be one too many.
#[test]
fn a_piece_of_kallsyms_that_memory_lacks_for_is_told() {
    const IMAGE: u64 = 0xffff_ffff_8000_0000;
    let mut table = Kallsyms::new(IMAGE + 0x1000, IMAGE);
    table.symbols = (0..6000).map(|at| (format!("Tname_{at}"), IMAGE + 0x100)).collect();
    table.symbols.push((String::from("T_stext"), IMAGE + 0x40));
    table.symbols.push((String::from("Bcrash_notes"), IMAGE + 0x100));
    let (bytes, info) = table.build();
    let mut image = vec![0; 0x1000];
    image.extend(bytes);
    image.resize(image.len().next_multiple_of(0x1000), 0);
    let info = format!("OSRELEASE=6.12\nNUMBER(phys_base)=0\nSYMBOL(_stext)={:x}\n{info}", IMAGE + 0x40);
    let note = dumpgen::note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes());
    let core = CoreFile::x86_64().with(Segment::notes(&note)).with(Segment::load(0, &image)).build();
    let dump = Dump::open(core).unwrap();
    let mut times = 0;
    for nth in 1.. {
        let (outcome, refused) = refusing(nth, LARGE, false, || kdump_vmcore::cpu_registers(&dump));
        let told = match outcome {
            Ok(list) => format!("{list:?}"),
            Err(error) => format!("{error:?}"),
        };
        if !refused {
            assert!(!told.contains("OutOfMemory"), "{told}");
            break;
        }
        times += u32::from(told.contains("OutOfMemory { what: \"kallsyms_names\""));
    }
    assert!(times > 0);
}

/// A level of zlib that a library writes, which has hundreds of KiB of its own.
const OF_A_LIBRARY: i32 = 6;

/// At the lowest level there is one piece, at others there are two.
#[test]
fn an_encoder_that_memory_lacks_for_is_told() {
    for (level, nth) in [(1, 1), (OF_A_LIBRARY, 1), (OF_A_LIBRARY, 2)] {
        let (made, _) = refusing(nth, LARGE, true, || Encoder::with_level(Codec::Zlib, level).map(|_| ()));
        assert_eq!(made.unwrap_err(), CodecError::OutOfMemory { codec: Codec::Zlib }, "{level} {nth}");
    }
}

/// What is asked for in advance is at least what the library takes.
#[test]
fn an_encoder_takes_no_more_than_was_asked_for() {
    let taken_at = |level| {
        let (made, all, largest) = taken(|| Encoder::with_level(Codec::Zlib, level));
        drop(made.unwrap());
        (all, largest)
    };
    let (all, largest) = taken_at(OF_A_LIBRARY);
    // The compressor itself, the probe, and what the library takes within the probe.
    assert!(all - largest - 65_712 <= largest, "{all} {largest}");
    let (all, largest) = taken_at(1);
    assert!(all == largest && all < 128 << 10, "{all} {largest}");
}

/// Refuses one after the other; how many of them were borne without a page that was not read, and the
/// fewest pages that were read where the file was opened.
fn borne(file: &[u8], all: usize, for_good: bool) -> (usize, usize) {
    let (mut borne, mut least) = (0, all);
    for nth in 1.. {
        let (outcome, refused) = refusing(nth, LARGE, for_good, || exercise(file));
        if !refused {
            assert_eq!(outcome, Ok(all));
            break;
        }
        match outcome {
            Ok(read) => {
                borne += usize::from(read == all);
                least = least.min(read);
            }
            Err(error) => assert!(matches!(error, Error::OutOfMemory { .. }), "{nth}: {error:?}"),
        }
    }
    (borne, least)
}
