//! Sound dumps that inputs damage, and what is asked of whatever comes out.

use std::sync::LazyLock;

use dumpgen::{Flattened, KdumpFile, PageCodec, Stored, Wire, note, prstatus_x86_64};
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
    let kept = |cache_size| ReadOptions { cache_size, threads: 1 };
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
