//! What is saved as kdump-compressed files, and whether a copy has what its source has.
#![allow(dead_code, reason = "not every test uses all of it")]

use core::ops::ControlFlow;
use std::collections::BTreeMap;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{Dump, Error, IoError, KdumpOptions, PhysMemory, Progress, ReadAt, SpanKind};

pub(crate) const PAGE: usize = 4096;
pub(crate) const AT: u64 = 0x10_0000;
/// Enough for several batches.
pub(crate) const PAGES: usize = 700;

pub(crate) fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Pages of zeros, of text, and of noise no compression makes smaller.
pub(crate) fn memory() -> Vec<u8> {
    let mut memory = vec![0; PAGES * PAGE];
    let mut noise = 1_u64;
    for (index, page) in memory.chunks_mut(PAGE).enumerate() {
        match index % 4 {
            0 => {}
            1 => page.iter_mut().enumerate().for_each(|(at, byte)| *byte = ((at / 7) ^ index) as u8 | 1),
            2 => page[PAGE - 1] = 1,
            _ => page.iter_mut().for_each(|byte| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                *byte = (noise >> 33) as u8;
            }),
        }
    }
    memory
}

pub(crate) fn sample(wire: Wire) -> CoreFile {
    let info = b"OSRELEASE=6.1\nPAGESIZE=4096\nCRASHTIME=17\nNUMBER(phys_base)=-4096\n";
    // i386, x86_64, ppc, s390x: each with a layout of its own.
    let machine = match (wire.wide, wire.big) {
        (false, false) => 3,
        (true, false) => 62,
        (false, true) => 20,
        (true, true) => 22,
    };
    CoreFile { align: 0x1000, ..CoreFile::new(wire, machine) }
        .with(Segment::notes(&note(wire, "VMCOREINFO", 0, info)))
        // A part of a page is RAM, too.
        .with(Segment::load(0x1c00, &[3; 0x1000]))
        .with(Segment { p_memsz: Some((PAGES * PAGE + 0x3000) as u64), ..Segment::load(AT, &memory()) })
        .with(Segment::load(0x4000_0000, &[5; PAGE]))
}

pub(crate) fn options(codec: Option<Codec>, threads: u16) -> KdumpOptions {
    KdumpOptions::default().codec(codec).threads(threads)
}

/// Each page that touches RAM: its bytes, zeros where there is none, or why there are none.
pub(crate) fn pages(dump: &Dump<'_>) -> BTreeMap<u64, Result<Vec<u8>, &'static str>> {
    let mut reader = dump.reader();
    let mut pages = BTreeMap::new();
    for span in dump.spans().filter(|span| span.kind != SpanKind::Hole) {
        for pfn in span.range.start() / PAGE as u64..span.range.end().div_ceil(PAGE as u64) {
            let paddr = pfn * PAGE as u64;
            let start = paddr.max(span.range.start());
            let end = (paddr + PAGE as u64).min(span.range.end());
            let mut bytes = vec![0; PAGE];
            let place = &mut bytes[(start - paddr) as usize..(end - paddr) as usize];
            let read = match reader.read_phys(Paddr(start), place) {
                Ok(()) => Ok(bytes),
                Err(stopped) => Err(match stopped.error {
                    Error::Excluded { .. } => "excluded",
                    Error::Missing { .. } | Error::Truncated { .. } => "missing",
                    Error::Unreadable { .. } | Error::Io { .. } => "unreadable",
                    _ => "corrupt",
                }),
            };
            let entry = pages.entry(paddr).or_insert_with(|| read.clone());
            if let (Ok(all), Ok(more)) = (entry, &read) {
                all.iter_mut().zip(more).for_each(|(to, from)| *to |= from);
            }
        }
    }
    pages
}

/// The copy has what the source has.
#[track_caller]
pub(crate) fn same(copy: &Dump<'_>, source: &Dump<'_>) {
    let (copy, source) = (pages(copy), pages(source));
    let keys = |pages: &BTreeMap<u64, _>| pages.keys().copied().collect::<Vec<_>>();
    assert_eq!(keys(&copy), keys(&source));
    for (paddr, page) in &source {
        assert!(
            copy[paddr] == *page,
            "{paddr:#x}: {:?} instead of {:?}",
            copy[paddr].as_ref().err(),
            page.as_ref().err()
        );
    }
}

/// Gives an error wherever a page of `bad` is touched, behind the headers.
pub(crate) struct Failing {
    pub(crate) bytes: Vec<u8>,
    pub(crate) bad: Vec<u64>,
}

impl ReadAt for Failing {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.bytes.len() as u64)
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        let end = offset + buf.len() as u64;
        for &bad in &self.bad {
            if offset < bad + PAGE as u64 && end > bad {
                let good = bad.saturating_sub(offset) as usize;
                if good > 0 {
                    return self.bytes.as_slice().read_at(offset, &mut buf[..good]);
                }
                return Err(Error::Io { offset, cause: IoError::from_errno(5) });
            }
        }
        self.bytes.as_slice().read_at(offset, buf)
    }
}

/// Where the memory of the PT_LOAD with this address stands in the file.
pub(crate) fn offset_of(file: &[u8], paddr: u64) -> u64 {
    let dump = Dump::open(file).unwrap();
    dump.phdrs().iter().find(|phdr| phdr.p_paddr == paddr).unwrap().p_offset
}
