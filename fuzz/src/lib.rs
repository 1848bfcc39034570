//! Sound dumps that inputs damage, and what is asked of whatever comes out.

pub mod codec;
mod target;

#[cfg(not(feature = "one-program"))]
pub use libfuzzer_sys::fuzz_target;

use std::sync::LazyLock;

use dumpgen::{
    CoreFile, Flattened, Kallsyms, KdumpFile, LogBuf, PageArray, PageCodec, PageRecord, PageTableImage,
    PrintkRing, Record, Segment, Stored, Wire, note, prstatus_x86_64,
};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, PhysMemory, ReadAt, ReadOptions, SpanKind};

/// Dumps of one kind, each of one file or several.
type Seeds = LazyLock<Vec<Vec<Vec<u8>>>>;

/// kdump-compressed dumps of every layout and version, with pages of every codec.
static KDUMP: Seeds = LazyLock::new(|| each_layout(|file| vec![file.build()]));

/// The same of the historic facility, with one bitmap and with two.
static DISKDUMP: Seeds = LazyLock::new(|| {
    let seeds = |one_bitmap| {
        each_layout(move |file| {
            vec![KdumpFile { signature: *b"DISKDUMP", one_bitmap, ..file.clone() }.build()]
        })
    };
    [seeds(false), seeds(true)].concat()
});

/// Split dumps; one part is a stream.
static SPLIT: Seeds = LazyLock::new(|| {
    each_layout(|file| {
        let parts = [0..10, 10..32, 32..60].map(|pfns| file.part(pfns).build());
        let [first, second, third] = parts;
        vec![third, Flattened::of(&first, 900).build(), second]
    })
});

/// ELF cores with notes and memory of a kernel: its log in either format, its symbols, its page tables.
static ELF: Seeds = LazyLock::new(|| {
    let machines = [
        (Wire::LE64, 62, KERNEL),
        (Wire { wide: true, big: true }, 21, 0xc000_0000_0010_0000),
        (Wire { wide: false, big: false }, 40, 0xc010_0000),
        (Wire { wide: false, big: true }, 20, 0xc010_0000),
    ];
    let records = [Record::new(1, "first"), Record::new(2, "two\nlines"), Record::new(3, "")];
    let mut seeds: Vec<_> = machines
        .map(|(wire, machine, base)| {
            let (image, info) = PrintkRing::new(wire, base).build(&records);
            vec![core(wire, machine, base, &image, &info)]
        })
        .into();
    let log = LogBuf { base: KERNEL, size: 256, first_idx: 0 }.build(&[(5, "a record"), (6, "another")]);
    let mut symbols = Kallsyms::new(KERNEL, KERNEL);
    symbols.symbols = [("Tfirst", 0x10), ("T_stext", 0x40), ("Bcrash_notes", 0x400), ("Bnr_cpu_ids", 0x408)]
        .map(|(name, at)| (name.to_owned(), KERNEL + at))
        .to_vec();
    for (image, info) in [log, symbols.build()] {
        seeds.push(vec![core(Wire::LE64, 62, KERNEL, &image, &info)]);
    }
    seeds.extend([4, 5].map(|levels| vec![paged(levels)]));
    seeds
});

/// Machines of 8 MiB whose kernel tells of each page what it is: of every kind, free alone, and with huge pages.
static PAGES: LazyLock<Vec<PageArray>> = LazyLock::new(|| {
    const PAGES: u64 = 0x800;
    let usual = |pfn: u64| match (pfn, pfn / 64 % 4) {
        (..0x400, _) => PageRecord::KERNEL,
        (_, 0) if pfn % 64 == 0 => PageRecord::free(6),
        (_, 1) => PageRecord::USER,
        (_, 2) => PageRecord::CACHE,
        _ => PageRecord::KERNEL,
    };
    let free = |pfn: u64| match pfn {
        ..0x400 => PageRecord::KERNEL,
        _ if pfn % 512 == 0 => PageRecord::free(9),
        _ => PageRecord::KERNEL,
    };
    let compound = |pfn: u64| match pfn {
        ..0x400 => PageRecord::KERNEL,
        // PG_head, and tails that lead to it (bit 0 of compound_head).
        _ if pfn % 512 == 0 => PageRecord { flags: 1 << 4 | 1 << 16, ..PageRecord::USER },
        _ => PageRecord { private: 0, ..PageRecord::KERNEL },
    };
    vec![PageArray::new(PAGES, usual), PageArray::new(PAGES, free), PageArray::new(PAGES, compound)]
});

/// Numbers that VMCOREINFO may tell and no kernel means.
const ODD: [&str; 8] = ["0", "1", "7", "63", "4096", "-1", "18446744073709551615", "99999999999999999999"];

/// An ELF core of a machine with records of pages. The first byte of an input chooses the machine, the second a line of
/// its VMCOREINFO that is gone or has an odd value; each further four a record, a place in it, a byte and how many records
/// behind it get the same.
#[must_use]
pub fn pages(input: &[u8]) -> Vec<u8> {
    let (&[which, line], edits) = input.split_first_chunk().unwrap_or((&[0, 0], &[]));
    let mut array = PAGES[usize::from(which) % PAGES.len()].clone();
    let line = usize::from(line);
    let lines: Vec<String> = array
        .info
        .lines()
        .enumerate()
        .map(|(index, text)| {
            // Those past the lines change nothing.
            let (at, how) = (line / 9, line % 9);
            match text.split_once('=') {
                Some((key, _)) if index == at && how > 0 => format!("{key}={}\n", ODD[how - 1]),
                Some((key, _)) if index + 28 == line => format!("X{key}=0\n"),
                _ => format!("{text}\n"),
            }
        })
        .collect();
    if which >= 128 {
        array.info = lines.concat();
    }
    let count = array.memory.len() / 4096;
    for edit in edits.chunks_exact(4) {
        let first = (usize::from(edit[0]) << 4) % count;
        for pfn in first..(first + 1 + usize::from(edit[3] % 32)).min(count) {
            let at = PageArray::record_at(pfn as u64) + usize::from(edit[1] % 64);
            array.memory[at] = edit[2];
        }
    }
    array.build()
}

/// Where the kernel of x86_64 lies in the cores.
const KERNEL: u64 = 0xffff_8880_0010_0000;
/// Addresses that the page tables of the cores map, by pages of each size.
pub const MAPPED: [u64; 3] = [0xffff_c900_0000_1000, 0xffff_c900_4000_0000, 0xffff_c980_0000_0000];

fn core(wire: Wire, machine: u16, base: u64, image: &[u8], info: &str) -> Vec<u8> {
    let mut notes = note(wire, "VMCOREINFO", 0, format!("OSRELEASE=6.1.0\nPAGESIZE=4096\n{info}").as_bytes());
    notes.extend(note(wire, "CORE", 1, &prstatus_x86_64(7, [1; 27])));
    let memory = Segment { p_vaddr: base, ..Segment::load(0x10_0000, image) };
    CoreFile::new(wire, machine).with(Segment::notes(&notes)).with(memory).build()
}

fn paged(levels: u32) -> Vec<u8> {
    const IMAGE: u64 = 0xffff_ffff_8000_0000;
    let mut tables = PageTableImage::new(0x1_0000, 0x2000, levels);
    for (vaddr, level) in MAPPED.into_iter().zip(1..) {
        tables.map(vaddr, 0, level);
    }
    let info = format!(
        "SYMBOL(swapper_pg_dir)={:x}\nNUMBER(phys_base)=0\nNUMBER(pgtable_l5_enabled)={}\n",
        IMAGE + tables.root,
        levels - 4
    );
    let notes = note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes());
    CoreFile::x86_64().with(Segment::notes(&notes)).with(Segment::load(0, &tables.memory)).build()
}

fn each_layout(build: impl Fn(&KdumpFile) -> Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let layouts = Wire::ALL.into_iter().flat_map(|wire| [(wire, false), (wire, true)]);
    let layouts = layouts.filter(|(wire, packed)| !(wire.wide && *packed));
    let seeds = layouts.flat_map(|(wire, packed)| (0..=6).map(move |version| seed(wire, packed, version)));
    seeds.map(|file| build(&file)).collect()
}

fn seed(wire: Wire, packed: bool, version: u32) -> KdumpFile {
    let mut file = KdumpFile::new(wire, 60);
    (file.packed, file.version, file.dump_level) = (packed, version, 1);
    file.ram = vec![1..20, 30..55];
    file.notes = note(wire, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    let file = file.with_vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    file.with_pages([2, 3, 4, 5, 9, 31, 32, 50], &PageCodec::ALL).with(40, Stored::Zero)
}

/// The kdump-compressed dump an input stands for.
#[must_use]
pub fn kdump(input: &[u8]) -> Vec<u8> {
    damaged(&KDUMP, input).swap_remove(0)
}

/// The ELF core an input stands for.
#[must_use]
pub fn elf(input: &[u8]) -> Vec<u8> {
    damaged(&ELF, input).swap_remove(0)
}

/// The diskdump file an input stands for.
#[must_use]
pub fn diskdump(input: &[u8]) -> Vec<u8> {
    damaged(&DISKDUMP, input).swap_remove(0)
}

/// The parts of the split dump an input stands for.
#[must_use]
pub fn split(input: &[u8]) -> Vec<Vec<u8>> {
    damaged(&SPLIT, input)
}

/// The first byte of an input chooses a sound dump, each further three a place (of the first
/// 64 KiB of a part) and what stands there, and an odd one where the last part is cut off.
fn damaged(seeds: &[Vec<Vec<u8>>], input: &[u8]) -> Vec<Vec<u8>> {
    let (&which, edits) = input.split_first().unwrap_or((&0, &[]));
    let mut parts = seeds[usize::from(which) % seeds.len()].clone();
    let count = parts.len();
    for (index, edit) in edits.chunks_exact(3).enumerate() {
        let bytes = &mut parts[index % count];
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]])) % bytes.len();
        bytes[at] = edit[2];
    }
    if let [cut] = edits.chunks_exact(3).remainder() {
        let bytes = &mut parts[count - 1];
        bytes.truncate(bytes.len() * usize::from(*cut) / 255);
    }
    parts
}

/// Opens the parts and asks for everything there is.
pub fn exercise(parts: Vec<Vec<u8>>) {
    let open = |parts: Vec<Vec<u8>>| {
        let parts = parts.into_iter().map(|part| Box::new(part) as Box<dyn ReadAt>);
        Dump::open_parts(parts.collect())
    };
    let (Ok(dump), Ok(bare)) = (open(parts.clone()), open(parts)) else { return };
    // What is kept gives what reading anew gives, with room for two pages and for none.
    let kept = |cache_size| ReadOptions::default().cache_size(cache_size).threads(1);
    let (dump, bare) = (dump.read_options(kept(10_000)), bare.read_options(kept(0)));
    let _ = (dump.memory_size(), dump.completeness().is_complete(), dump.cpus().count());
    let _ = (dump.notes().iter().count(), dump.facts().details.len());
    let mut reader = dump.reader();
    let mut bare = bare.reader();
    let (mut buf, mut anew) = ([0; 4097], [0; 4097]);
    for span in dump.spans().take(64) {
        assert_eq!(dump.span(Paddr(span.range.last())), Some(span));
        for at in [span.range.start(), span.range.last(), span.range.start().saturating_sub(8)] {
            for len in [1, 4096, 4097] {
                let outcome = reader.read_phys(Paddr(at), &mut buf[..len]);
                assert_eq!(outcome, bare.read_phys(Paddr(at), &mut anew[..len]));
                let good = outcome.map_or_else(|stopped| stopped.read, |()| len);
                assert_eq!(buf[..good], anew[..good]);
                if let Err(stopped) = outcome {
                    assert!(stopped.read < len);
                    assert_eq!(stopped.at, at + stopped.read as u64);
                }
            }
        }
    }
    for span in reader.looks().take(64).collect::<Vec<_>>() {
        let got = reader.read_phys(Paddr(span.range.start()), &mut buf[..16]);
        match span.kind {
            SpanKind::Zero => assert!(got.is_ok() && buf[..16] == [0; 16]),
            // A page that is stored may yet turn out to be damaged; of one that the end of the file
            // cuts in two the first half is there.
            SpanKind::Stored | SpanKind::Missing => {}
            _ => assert!(got.is_err(), "{span:?}"),
        }
    }
}
