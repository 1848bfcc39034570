//! Dumps whose headers and notes ask for more than the file is worth.

use dumpgen::{CoreFile, ElfCoreHdr, Segment, Wire, note, prstatus_x86_64};

/// Makes notes over and over.
type MakeNote = fn() -> Vec<u8>;

/// Notes of which a MiB has many, each expensive in its own way.
pub(crate) const NOTES: [(&str, MakeNote); 5] = [
    ("nameless", || [[0; 8].as_slice(), &[1, 0, 0, 0]].concat()),
    ("short", || note(Wire::LE64, "CORE", 1, &[])),
    ("registers", || note(Wire::LE64, "CORE", 1, &prstatus_x86_64(7, [u64::MAX; 27]))),
    ("escapes", || note(Wire::LE64, &"\u{9b}\u{1b}\u{202e}".repeat(10_000), 1, &[])),
    ("vmcoreinfo", || note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nSYMBOL(prb)=0\n")),
];

fn memory() -> Segment {
    Segment::load(0x1000, &[0x5a; 0x3000])
}

/// One MiB of notes, listed by `times` PT_NOTEs.
pub(crate) fn listed_notes(make: MakeNote, times: usize) -> Vec<u8> {
    let note = make();
    let bytes = note.repeat((1 << 20) / note.len());
    let mut file = CoreFile::x86_64().with(Segment::notes(&bytes));
    // The table of headers, then the notes, which are aligned to 16.
    let at = (64 + 56 * times as u64).div_ceil(16) * 16;
    for _ in 1..times {
        let again = Segment { p_offset: Some(at), p_filesz: Some(bytes.len() as u64), ..Segment::notes(&[]) };
        file = file.with(again);
    }
    file.build()
}

/// Different notes, `count` of them, in one PT_NOTE.
pub(crate) fn many_notes(count: u32) -> Vec<u8> {
    let notes: Vec<u8> = (1..=count).flat_map(|n| [0, 0, n].map(u32::to_le_bytes).concat()).collect();
    CoreFile::x86_64().with(Segment::notes(&notes)).with(memory()).build()
}

/// A VMCOREINFO of `size` bytes; `line` stands in it with a number behind it.
pub(crate) fn long_vmcoreinfo(line: &str, size: usize) -> Vec<u8> {
    let mut text = String::from("OSRELEASE=6.1\n");
    let mut number = 0_u32;
    while text.len() < size {
        number += 1;
        text += &format!("{number}{line}{number}\n");
    }
    let info = note(Wire::LE64, "VMCOREINFO", 0, text.as_bytes());
    CoreFile::x86_64().with(Segment::notes(&info)).with(memory()).build()
}

/// The beginning of a file with `count` program headers, all of which are zero.
pub(crate) fn empty_table(count: u32) -> Vec<u8> {
    let segments = vec![Segment::default(); 0xffff];
    let mut file = CoreFile { segments, ..CoreFile::x86_64() }.build();
    file.truncate(64 + 64);
    // `sh_info` of section header 0.
    file[64 + 44..64 + 48].copy_from_slice(&count.to_le_bytes());
    file
}

/// A PT_LOAD without bytes of its own.
fn listed(p_paddr: u64, p_offset: u64, p_filesz: u64, p_memsz: u64) -> Segment {
    let (p_offset, p_filesz, p_memsz) = (Some(p_offset), Some(p_filesz), Some(p_memsz));
    Segment { p_vaddr: p_paddr, p_offset, p_filesz, p_memsz, ..Segment::load(p_paddr, &[]) }
}

fn loads(count: u64, make: impl Fn(u64) -> Segment) -> Vec<u8> {
    let segments = (0..count).map(make).chain([memory()]).collect();
    CoreFile { segments, ..CoreFile::x86_64() }.build()
}

/// `count` PT_LOADs of the same memory.
pub(crate) fn equal_loads(count: u32) -> Vec<u8> {
    let one = loads(0, |_| Segment::default());
    [empty_table(count), one[64..64 + 56].repeat(count as usize)].concat()
}

/// `count` PT_LOADs, each of a page of its own of which a few bytes are stored, all of them zero.
pub(crate) fn separate_loads(count: u32) -> Vec<u8> {
    let place = u64::from(count) * 56 + 128;
    let entry = |n: u64| {
        let mut entry = [1_u32, 7].map(u32::to_le_bytes).concat();
        entry.extend([place, n << 13, n << 13, 0x80, 0x1000, 0].map(u64::to_le_bytes).concat());
        entry
    };
    let table = (0..u64::from(count)).flat_map(entry);
    empty_table(count).into_iter().chain(table).chain([0; 0x1000]).collect()
}

/// Program headers that overlap, nest, leave holes, or reach to the last address.
pub(crate) fn contradictions() -> Vec<(&'static str, Vec<u8>)> {
    let count = 20_000;
    vec![
        ("nested", loads(count, |n| listed(n << 12, 0, 0x80, (2 * count - 2 * n) << 12))),
        ("stairs", loads(count, |n| listed(n << 12, 0, 0x1000, count << 12))),
        ("equal", loads(count, |_| listed(0x1000, 0, 1 << 20, 1 << 40))),
        ("holes", loads(count, |n| listed(n << 20, 0, 0x800, 0x1000))),
        ("single", loads(count, |n| listed(n * 3, n, 1, 2))),
        ("huge", loads(count, |n| listed(n << 40, 0, 0x100, 1 << 39))),
        ("last", loads(count, |n| listed(u64::MAX - n, 0, n & 1, n + 1))),
        ("behind", loads(count, |n| listed(n << 20, n << 21, 1 << 19, 1 << 20))),
    ]
}

/// PT_LOADs each of which has more bytes in the file than in memory.
pub(crate) fn damaged_loads(count: u64) -> Vec<u8> {
    loads(count, |n| listed(n << 12, 0, 0x1000, 0x800))
}

/// `count` stretches of memory, all of which are the same `size` bytes of the file.
pub(crate) fn shared_bytes(count: u64, size: u64) -> Vec<u8> {
    let mut file = loads(count, |n| listed(n << 24, 0x1000, size, size));
    file.resize((size + 0x1000) as usize, 0x5a);
    file
}

/// Headers for a capture kernel over 4 MiB of memory.
pub(crate) fn capture_headers() -> Vec<(&'static str, Vec<u8>)> {
    let most = 65_000;
    let header = |p_type: u32, size: u64, step: u64| {
        let mut header = ElfCoreHdr::new(Wire::LE64, 62, 0).header;
        let place = |n: u64| (n * step) & 0x3f_fff8;
        let all = (0..most).map(|n| Segment { p_type, ..listed(place(n), place(n), size, size) });
        header.segments = [Segment { p_type: 4, ..listed(0, 0, 8, 8) }].into_iter().chain(all).collect();
        header.build()
    };
    vec![
        ("loads", header(1, 0x10_0000, 0)),
        ("small loads", header(1, 0x1000, 0x1000)),
        ("bytes", header(1, 1, 8)),
        ("notes", header(4, 0x10_0000, 0)),
        ("small notes", header(4, 0x100, 8)),
    ]
}
