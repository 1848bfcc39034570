//! Sound dumps that inputs damage, and what is asked of whatever comes out.

use std::sync::LazyLock;

use dumpgen::{KdumpFile, PageCodec, Stored, Wire, note, prstatus_x86_64};
use kdump_elf::Paddr;
use kdump_vmcore::{Dump, PhysMemory, ReadAt, SpanKind};

/// A small dump of each layout, with pages of every codec.
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let layouts = Wire::ALL.into_iter().flat_map(|wire| [(wire, false), (wire, true)]);
    let layouts = layouts.filter(|(wire, packed)| !(wire.wide && *packed));
    layouts.flat_map(|(wire, packed)| (0..=6).map(move |version| seed(wire, packed, version))).collect()
});

fn seed(wire: Wire, packed: bool, version: u32) -> Vec<u8> {
    let mut file = KdumpFile::new(wire, 60);
    (file.packed, file.version, file.dump_level) = (packed, version, 1);
    file.ram = vec![1..20, 30..55];
    file.notes = note(wire, "CORE", 1, &prstatus_x86_64(7, [1; 27]));
    let file = file.with_vmcoreinfo("OSRELEASE=6.1.0\nPAGESIZE=4096\n");
    file.with_pages([2, 3, 4, 5, 9, 31, 32, 50], &PageCodec::ALL).with(40, Stored::Zero).build()
}

/// The bytes an input stands for: the first one chooses a sound dump, each further three a place
/// (of the first 64 KiB) and what stands there, and an odd one where the dump is cut off.
#[must_use]
pub fn damaged(input: &[u8]) -> Vec<u8> {
    let Some((&which, edits)) = input.split_first() else { return Vec::new() };
    let mut bytes = SEEDS[usize::from(which) % SEEDS.len()].clone();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([edit[0], edit[1]]));
        let at = at % bytes.len();
        bytes[at] = edit[2];
    }
    if let [cut] = edits.chunks_exact(3).remainder() {
        bytes.truncate(bytes.len() * usize::from(*cut) / 255);
    }
    bytes
}

/// Opens the parts and asks for everything there is.
pub fn exercise(parts: Vec<Vec<u8>>) {
    let parts = parts.into_iter().map(|part| Box::new(part) as Box<dyn ReadAt>);
    let Ok(dump) = Dump::open_parts(parts.collect()) else { return };
    let _ = (dump.memory_size(), dump.completeness().is_complete(), dump.cpus().len());
    let _ = (dump.notes().iter().count(), dump.facts().details.len());
    let mut reader = dump.reader();
    let mut buf = [0; 4097];
    for span in dump.spans().take(64) {
        assert_eq!(dump.span(Paddr(span.range.last())), Some(span));
        for at in [span.range.start(), span.range.last(), span.range.start().saturating_sub(8)] {
            for len in [1, 4096, 4097] {
                if let Err(stopped) = reader.read_phys(Paddr(at), &mut buf[..len]) {
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
