//! The kernel's pages come first where that is asked for, and a full disk leaves them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod machine;

use core::ops::ControlFlow;

use kdump_elf::Paddr;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, Dump, Error, Flatten, Interrupted, IoError, KdumpOptions, KdumpPlan, PhysMemory, Progress,
    SaveOrder, SaveReport, SpanKind, WriteAt, WrittenOrder, verify,
};
use machine::*;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// What the machine's kernel uses: all that [`usual`] has no class for.
fn is_kernel(pfn: u64) -> bool {
    pfn < 0x400 || pfn / 256 % 4 == 3
}

fn first() -> KdumpOptions {
    KdumpOptions::default().order(SaveOrder::KernelFirst)
}

fn saved(source: &Dump<'_>, options: KdumpOptions) -> (Vec<u8>, SaveReport) {
    let mut file = Vec::new();
    let report = KdumpPlan::new(source, options).unwrap().copy(&mut file, &mut go_on).unwrap();
    (file, report)
}

/// What reading each page gives; `None` where it cannot be read.
fn pages(dump: &Dump<'_>) -> Vec<Option<Vec<u8>>> {
    let mut reader = dump.reader();
    let mut read = |pfn: u64| {
        let mut page = vec![0; PAGE];
        reader.read_phys(Paddr(pfn * PAGE as u64), &mut page).ok().map(|()| page)
    };
    (0..PAGES).map(&mut read).collect()
}

/// A disk that is full after so many bytes.
struct Full(Vec<u8>, u64);

impl WriteAt for Full {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset + bytes.len() as u64 > self.1 {
            return Err(Error::Io { offset, cause: IoError::from_errno(28) });
        }
        self.0.write_all_at(offset, bytes)
    }
    fn is_sparse(&self) -> bool {
        true
    }
    fn finish(&mut self, size: u64) -> Result<(), Error> {
        self.0.finish(size)
    }
}

fn full_at(source: &Dump<'_>, options: KdumpOptions, size: u64) -> (Vec<u8>, Interrupted) {
    let mut disk = Full(Vec::new(), size);
    let stopped = KdumpPlan::new(source, options).unwrap().copy(&mut disk, &mut go_on).unwrap_err();
    (disk.0, stopped)
}

#[test]
fn a_whole_dump_is_the_same_in_either_order() {
    let memory = machine(usual);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    let kernel = (0..PAGES).filter(|pfn| is_kernel(*pfn)).count() as u64;
    for options in [
        KdumpOptions::default(),
        KdumpOptions::default().codec(Some(Codec::Zlib)),
        KdumpOptions::default().exclude(Classes::from_level(8)),
        KdumpOptions::default().exclude(Classes::from_level(31)),
    ] {
        let (usual, told) = saved(&source, options);
        assert_eq!(told.order, WrittenOrder::ByAddress);
        let (file, told) = saved(&source, options.order(SaveOrder::KernelFirst));
        assert_eq!(told.order, WrittenOrder::KernelFirst { pages: kernel }, "{options:?}");
        assert_eq!(file.len(), usual.len(), "{options:?}");
        // Where nothing but the kernel is left there is one order.
        assert_eq!(file == usual, options.exclude == Classes::from_level(31), "{options:?}");
        for threads in [2, 5] {
            let other = saved(&source, options.order(SaveOrder::KernelFirst).threads(threads));
            assert!(other.0 == file, "{options:?}");
            assert_eq!(other.1.order, told.order);
        }
        let [file, usual] = [file, usual].map(|file| Dump::open(file).unwrap());
        assert!(file.completeness().is_complete() && verify(&file, &mut go_on).unwrap().is_sound());
        assert!(pages(&file) == pages(&usual), "{options:?}");
    }
    let mut stream = Vec::new();
    let mut flat = Flatten::new(|bytes: &[u8]| {
        stream.extend_from_slice(bytes);
        Ok(())
    });
    KdumpPlan::new(&source, first()).unwrap().copy(&mut flat, &mut go_on).unwrap();
    let flat = Dump::open(stream).unwrap();
    assert!(flat.completeness().is_complete() && pages(&flat) == pages(&source));
}

/// Each of its files has the pages of a range of addresses, of which there is one order.
#[test]
fn a_set_is_written_by_address_only() {
    let memory = machine(usual);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    let mut files = [Vec::new(), Vec::new()];
    let refused = KdumpPlan::new(&source, first()).unwrap().copy_split(&mut files, &mut go_on);
    assert!(matches!(refused, Err(Error::Unsupported { .. })), "{refused:?}");
    assert_eq!(files, [[], []]);
}

#[test]
fn a_full_disk_has_the_kernel() {
    let memory = machine(usual);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    let kernel = (0..PAGES).filter(|pfn| is_kernel(*pfn)).count() as u64;
    let head = KdumpPlan::new(&source, first()).unwrap().size();
    // Room for the kernel and some pages more: what the batch that did not fit has is lost.
    let size = head + (kernel + 200) * PAGE as u64;
    for threads in [1, 2] {
        let (file, stopped) = full_at(&source, first().threads(threads), size);
        assert_eq!(stopped.report.order, WrittenOrder::KernelFirst { pages: kernel });
        let left = Dump::open(file).unwrap();
        assert!(left.completeness().is_unfinished() && !verify(&left, &mut go_on).unwrap().is_sound());
        let there = pages(&left).iter().flatten().count() as u64;
        assert_eq!(left.completeness().missing, (PAGES - there) * PAGE as u64);
        let mut others = 0;
        for (pfn, page) in (0..PAGES).zip(pages(&left)) {
            let there = page.as_deref();
            if is_kernel(pfn) {
                assert!(there == Some(&memory[pfn as usize * PAGE..][..PAGE]), "{pfn:#x}");
            } else if let Some(page) = there {
                assert!(page == &memory[pfn as usize * PAGE..][..PAGE], "{pfn:#x}");
                others += 1;
            }
        }
        assert!(others < 256, "{others}");
        assert!(left.spans().any(|span| span.kind == SpanKind::Missing));
        // By address the kernel's last pages are those that are lost.
        let (file, _) = full_at(&source, KdumpOptions::default().threads(threads), size);
        let left = pages(&Dump::open(file).unwrap());
        assert!((0..PAGES).any(|pfn| is_kernel(pfn) && left[pfn as usize].is_none()));
    }
    // With less room there is a part of the kernel, and nothing else.
    let (file, stopped) = full_at(&source, first(), head + 100 * PAGE as u64);
    assert!(matches!(stopped.report.order, WrittenOrder::KernelFirst { pages } if pages < kernel));
    let left = pages(&Dump::open(file).unwrap());
    assert!(left.iter().any(Option::is_some));
    assert!((0..PAGES).all(|pfn| is_kernel(pfn) || left[pfn as usize].is_none()));
}

/// However little a file is cut, it is not told to be complete: its last pages are not those of the highest addresses.
#[test]
fn a_cut_file_is_not_complete() {
    // The highest pages are the kernel's.
    let memory = machine(usual);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    for options in [first(), first().codec(Some(Codec::Zlib))] {
        let (file, _) = saved(&source, options);
        for cut in [1, file.len() / 100, file.len() / 4, file.len() / 2] {
            let cut = Dump::open(&file[..file.len().saturating_sub(cut)]).unwrap();
            let there = pages(&cut).iter().flatten().count() as u64;
            assert!(there < PAGES && !cut.completeness().is_complete());
            assert_eq!(cut.completeness().missing, (PAGES - there) * PAGE as u64);
            assert!(!verify(&cut, &mut go_on).unwrap().is_sound());
        }
    }
}

/// What nothing is known of is saved by address, and told.
#[test]
fn where_nothing_is_told_all_are_saved() {
    let memory = machine(usual);
    let without = info().replace("SIZE(page)=64\n", "");
    let source = Dump::open(dump(&memory, &without, PAGES as usize * 64)).unwrap();
    let (file, told) = saved(&source, first());
    assert_eq!(told.order, WrittenOrder::Unknown(Error::MissingKey { key: "SIZE(page)" }));
    assert!(file == saved(&source, KdumpOptions::default()).0);
    // No free block anywhere: no kernel is like that.
    let memory = machine(|_| (0, 0, -1, 0));
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    let (file, told) = saved(&source, first());
    assert!(matches!(told.order, WrittenOrder::Doubtful(doubt) if doubt.blocks == 0), "{:?}", told.order);
    assert!(file == saved(&source, KdumpOptions::default()).0);
}

/// Memory that cannot be read is lost in either pass, and nothing else is; also where there is no room to list
/// every range.
#[test]
fn losses_of_both_passes_are_remembered() {
    let memory = machine(usual);
    let whole = dump(&memory, &info(), PAGES as usize * 64);
    let from = whole.len() - memory.len() - PAGES as usize * 64;
    for step in [97_usize, 3] {
        let bad = move |at: u64| {
            let page = (at as usize).checked_sub(from).map(|at| at / PAGE);
            page.filter(|page| (0x300..PAGES as usize).contains(page) && page % step == 1).is_some()
        };
        let source = Dump::open(Bad(whole.clone(), bad)).unwrap();
        let (file, report) = saved(&source, first());
        let lost = (0x300..PAGES).filter(|pfn| pfn % step as u64 == 1).count() as u64;
        assert_eq!(report.unreadable.bytes, lost * PAGE as u64, "{step}");
        let copy = Dump::open(file).unwrap();
        assert!(!copy.completeness().is_complete());
        for (pfn, page) in (0..PAGES).zip(pages(&copy)) {
            let gone = pfn >= 0x300 && pfn % step as u64 == 1;
            match page {
                Some(page) => assert!(!gone && page == memory[pfn as usize * PAGE..][..PAGE], "{pfn:#x}"),
                // Given up where there are too many of them to list.
                None => assert!(gone || step == 3, "{pfn:#x} {step}"),
            }
        }
        assert_eq!(report.given_up > 0, step == 3);
    }
}

/// A file of which pages cannot be read.
struct Bad<F>(Vec<u8>, F);

impl<F: Fn(u64) -> bool + Send + Sync> kdump_vmcore::ReadAt for Bad<F> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if (self.1)(offset) {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        // As the kernel does: first what is good.
        let len = (PAGE - offset as usize % PAGE..buf.len()).step_by(PAGE);
        let len = len.into_iter().find(|len| (self.1)(offset + *len as u64)).unwrap_or(buf.len());
        self.0.read_at(offset, &mut buf[..len])
    }
    fn size(&self) -> Result<u64, Error> {
        Ok(self.0.len() as u64)
    }
}
