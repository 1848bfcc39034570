//! What every writer writes of a damaged machine reads back as its memory, and nothing but what was asked for is
//! left out.
#![cfg_attr(not(feature = "one-program"), no_main)]

use core::ops::ControlFlow;

use kdump_elf::Paddr;
use kdump_fuzz::fuzz_target;
use kdump_vmcore::codec::Codec;
use kdump_vmcore::{
    Classes, Dump, ElfOptions, Error, Flatten, KdumpOptions, KdumpPlan, PageClass, PhysMemory, Progress,
    RawPlan, ReadAt, SavePlan, SaveReport, SpanKind,
};

/// More than any seed has.
const LIMIT: u64 = 24 << 20;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn kdump(dump: &Dump<'_>, options: KdumpOptions) -> Option<(Vec<Vec<u8>>, SaveReport)> {
    let plan = KdumpPlan::new(dump, options).ok().filter(|plan| plan.max_size() <= LIMIT)?;
    let mut file = Vec::new();
    let report = plan.copy(&mut file, &mut go_on).expect("memory takes everything");
    assert!(file.len() as u64 == report.file_size && report.file_size <= plan.max_size());
    Some((vec![file], report))
}

fn flattened(dump: &Dump<'_>, options: KdumpOptions) -> Option<(Vec<Vec<u8>>, SaveReport)> {
    let plan = KdumpPlan::new(dump, options).ok().filter(|plan| plan.max_size() <= LIMIT)?;
    let mut stream = Vec::new();
    let mut sink = Flatten::new(|bytes: &[u8]| {
        stream.extend_from_slice(bytes);
        Ok(())
    });
    let report = plan.copy(&mut sink, &mut go_on).expect("memory takes everything");
    Some((vec![stream], report))
}

fn flattened_elf(dump: &Dump<'_>, options: ElfOptions) -> Option<(Vec<Vec<u8>>, SaveReport)> {
    let plan = SavePlan::with(dump, options).ok().filter(|plan| plan.size() <= LIMIT)?;
    let mut stream = Vec::new();
    let mut sink = Flatten::new(|bytes: &[u8]| {
        stream.extend_from_slice(bytes);
        Ok(())
    });
    let report = plan.copy(&mut sink, &mut go_on).expect("memory takes everything");
    Some((vec![stream], report))
}

fn set(dump: &Dump<'_>, options: KdumpOptions, count: usize) -> Option<(Vec<Vec<u8>>, SaveReport)> {
    let plan = KdumpPlan::new(dump, options).ok().filter(|plan| plan.max_size() <= LIMIT)?;
    let mut files = vec![Vec::new(); count];
    let reports = plan.copy_split(&mut files, &mut go_on).expect("so few parts are possible");
    let mut all = SaveReport::default();
    for report in reports {
        let report = report.expect("memory takes everything");
        all.given_up += report.given_up;
        all.source_defects += report.source_defects;
        all.unreadable.bytes += report.unreadable.bytes;
    }
    Some((files, all))
}

fn elf(dump: &Dump<'_>, options: ElfOptions) -> Option<(Vec<Vec<u8>>, SaveReport)> {
    let plan = SavePlan::with(dump, options).ok().filter(|plan| plan.size() <= LIMIT)?;
    let mut file = Vec::new();
    let report = plan.copy(&mut file, &mut go_on).expect("memory takes everything");
    assert_eq!(file.len() as u64, plan.size());
    Some((vec![file], report))
}

/// Zeros stand for what cannot be read.
fn raw(dump: &Dump<'_>) {
    let Some(plan) = RawPlan::new(dump).ok().filter(|plan| plan.size() <= LIMIT) else { return };
    let mut file = Vec::new();
    plan.copy(&mut file, &mut go_on).expect("memory takes everything");
    let mut reader = dump.reader();
    for span in dump.spans().filter(|span| span.kind.is_readable()).take(16) {
        let mut before = [0; 8];
        let len = before.len().min(span.range.size() as usize);
        if reader.read_phys(Paddr(span.range.start()), &mut before[..len]).is_ok() {
            let at = span.range.start() as usize;
            assert_eq!(file[at..at + len], before[..len]);
        }
    }
}

/// The copy has what the source has, but for what was left out.
fn same(dump: &Dump<'_>, files: Vec<Vec<u8>>, report: &SaveReport, exclude: Classes) {
    let parts = files.into_iter().map(|file| Box::new(file) as Box<dyn ReadAt>);
    let copy = Dump::open_parts(parts.collect()).expect("what was saved opens");
    assert!(!report.is_whole() || copy.completeness().is_complete(), "{:?}", copy.completeness());
    let (mut old, mut new) = (dump.reader(), copy.reader());
    let (mut before, mut after) = ([0; 4096], [0xa5; 4096]);
    for span in dump.spans().filter(|span| matches!(span.kind, SpanKind::Stored | SpanKind::Zero)).take(4) {
        let mut at = span.range.start();
        while at <= span.range.last() {
            let next = ((at | 4095) + 1).min(span.range.end());
            let (before, after) = (&mut before[..(next - at) as usize], &mut after[..(next - at) as usize]);
            if old.read_phys(Paddr(at), before).is_ok() {
                match new.read_phys(Paddr(at), after) {
                    Ok(()) => assert!(before == after, "at {at:#x}"),
                    Err(stopped) => assert!(
                        matches!(stopped.error, Error::Excluded { .. }) && !exclude.is_empty()
                            || !report.is_whole(),
                        "at {at:#x}: {}",
                        stopped.error
                    ),
                }
            }
            at = next;
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((&[which, how, classes], input)) = input.split_first_chunk() else { return };
    let source = match which % 3 {
        0 => kdump_fuzz::elf(input),
        1 => kdump_fuzz::kdump(input),
        _ => kdump_fuzz::pages(input),
    };
    let Ok(dump) = Dump::open(source) else { return };
    let exclude = Classes::from_level(classes % 32);
    let codec = [None, Some(Codec::Zlib), Some(Codec::Lzo), Some(Codec::Snappy), Some(Codec::Zstd)];
    let codec = codec[usize::from(how) % 5].filter(|codec| codec.can_encode());
    let options = KdumpOptions::default().codec(codec).exclude(exclude);
    let saved = match how / 5 % 6 {
        0 => kdump(&dump, options),
        1 => flattened(&dump, options),
        2 => set(&dump, options, 3),
        3 => elf(&dump, ElfOptions::default().exclude(exclude)),
        4 => flattened_elf(&dump, ElfOptions::default().exclude(exclude)),
        _ => return raw(&dump),
    };
    let Some((files, report)) = saved else { return };
    for (class, _) in report.left_out.classes() {
        assert!(exclude.has(class), "{class:?} was not to be left out");
    }
    let gone = [PageClass::HwPoison, PageClass::Offline].into_iter().any(|class| exclude.has(class));
    assert_eq!(gone, !exclude.is_empty());
    same(&dump, files, &report, exclude);
});
