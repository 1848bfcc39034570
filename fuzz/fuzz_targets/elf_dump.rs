//! Any bytes as a dump, and damaged ELF cores: opened, described, read at the edges of every range.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::Paddr;
use kdump_fuzz::fuzz_target;
use kdump_vmcore::{Dump, PhysMemory};

fuzz_target!(|bytes: &[u8]| {
    look(bytes);
    let damaged = kdump_fuzz::elf(bytes);
    assert!(!bytes.is_empty() || Dump::open(&damaged[..]).is_ok(), "without damage it opens");
    look(&damaged);
});

fn look(bytes: &[u8]) {
    let Ok(dump) = Dump::open(bytes) else { return };
    let _ =
        (dump.format(), dump.arch(), dump.page_size(), dump.memory_size(), dump.completeness().is_complete());
    for cpu in dump.cpus() {
        if let Ok(status) = cpu.prstatus() {
            let _ = (status.pid(), status.registers().count());
        }
    }
    for note in dump.notes().iter() {
        assert!(note.desc.len() <= bytes.len());
    }
    let mut buf = [0; 64];
    let mut reader = dump.reader().zero_excluded(bytes.len() % 2 == 1);
    for span in dump.spans().take(64) {
        assert_eq!(dump.span(Paddr(span.range.last())), Some(span));
        for at in [span.range.start(), span.range.last(), span.range.start().saturating_sub(8)] {
            if let Err(stopped) = reader.read_phys(Paddr(at), &mut buf) {
                assert!(stopped.read < buf.len());
            }
        }
    }
}
