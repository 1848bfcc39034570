//! What is saved reads like what it was saved from.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::ops::ControlFlow;
use std::process::Command;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::{
    Dump, Error, IoError, KdumpOptions, PhysMemory, Progress, RawImage, RawPlan, ReadAt, SaveFormat,
    SaveOptions, SavePlan, SpanKind, WriteAt, save,
};
use proptest::prelude::*;

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn sample(wire: Wire) -> CoreFile {
    let mut memory = vec![0; 0x9000];
    memory[0x1003] = 7;
    memory[0x8fff] = 9;
    CoreFile::new(wire, 62)
        .with(Segment::notes(&note(wire, "VMCOREINFO", 0, b"OSRELEASE=6.1\n")))
        .with(Segment { p_vaddr: 0xffff_ffff_8100_0000, ..Segment::load(0x10_2000, &memory[0x2000..0x5000]) })
        .with(Segment { p_memsz: Some(0xa000), ..Segment::load(0x10_0000, &memory) })
        .with(Segment { p_type: 7, ..Segment::default() })
        .with(Segment::load(0x20_0018, &[5; 0x777]))
}

/// All that a dump has, byte by byte.
fn contents(dump: &Dump<'_>) -> Vec<(u64, SpanKind, Vec<u8>)> {
    dump.spans()
        .map(|part| {
            let mut bytes =
                vec![0; if part.kind == SpanKind::Stored { part.range.size() as usize } else { 0 }];
            dump.reader().read_phys(Paddr(part.range.start()), &mut bytes).unwrap();
            (part.range.start(), part.kind, bytes)
        })
        .collect()
}

fn merged(dump: &Dump<'_>) -> Vec<(u64, SpanKind, Vec<u8>)> {
    let mut out: Vec<(u64, SpanKind, Vec<u8>)> = Vec::new();
    for (start, kind, bytes) in contents(dump) {
        match out.last_mut() {
            Some((first, SpanKind::Stored, last))
                if kind == SpanKind::Stored && *first + last.len() as u64 == start =>
            {
                last.extend(bytes);
            }
            _ => out.push((start, kind, bytes)),
        }
    }
    out
}

#[test]
fn a_raw_image_has_each_byte_at_its_address() {
    for wire in Wire::ALL {
        // The last segment is cut.
        let mut bytes = sample(wire).build();
        bytes.truncate(bytes.len() - 0x100);
        let source = Dump::open(bytes).unwrap();
        let mut file = Vec::new();
        let report = RawPlan::new(&source).unwrap().copy(&mut file, &mut go_on).unwrap();
        assert_eq!((report.missing, report.is_whole()), (0x100, false));
        assert_eq!(file.len() as u64, report.file_size);
        assert!(report.written < 0x5000, "{:#x}", report.written);
        let stored = contents(&source);
        for (start, kind, bytes) in &stored {
            let place = &file[*start as usize..];
            match kind {
                SpanKind::Stored => assert!(place.starts_with(bytes), "{start:#x}"),
                _ => assert!(place.iter().take(0x100).all(|byte| *byte == 0)),
            }
        }
        assert!(stored.iter().any(|(_, kind, _)| *kind == SpanKind::Missing));
        let outside = file.iter().enumerate().filter(|(at, byte)| **byte != 0 && *at < 0x10_0000);
        assert_eq!(outside.count(), 0);
        // It reads like its source, as far as that was whole.
        let whole = Dump::open_raw(vec![RawImage { base: Paddr(0), source: Box::new(file.clone()) }], None);
        let mut page = [0; 0x777 - 0x100];
        whole.unwrap().reader().read_phys(Paddr(0x20_0018), &mut page).unwrap();
        assert_eq!(page, [5; 0x777 - 0x100]);
        // Stopped, it tells so.
        let stopped = RawPlan::new(&source).unwrap().copy(&mut Vec::new(), &mut |_| ControlFlow::Break(()));
        assert_eq!(stopped.unwrap_err().error, Error::Cancelled);
    }
}

#[test]
fn saved_in_memory() {
    for wire in Wire::ALL {
        let source = Dump::open(sample(wire).build()).unwrap();
        let plan = SavePlan::elf(&source).unwrap();
        let mut file = Vec::new();
        let report = plan.copy(&mut file, &mut go_on).unwrap();
        assert_eq!((report.shared, report.dropped_phdrs), (0x3000, vec![3]));
        assert!(report.unreadable.is_empty());
        let copy = Dump::open(file).unwrap();
        let head =
            copy.phdrs().iter().filter(|phdr| phdr.p_type == 1).map(|phdr| phdr.p_offset).min().unwrap();
        assert!(report.written < head + 0x5000, "{} bytes for 4 pages", report.written);
        assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
        assert_eq!(merged(&copy), merged(&source));
        assert_eq!(copy.vmcoreinfo(), source.vmcoreinfo());
        let kept: Vec<_> = source.phdrs().iter().filter(|phdr| phdr.p_type != 7).collect();
        for (new, old) in copy.phdrs().iter().zip(kept) {
            let old = kdump_elf::Phdr { p_offset: new.p_offset, ..*old };
            assert_eq!(*new, old);
            assert!(new.p_type != 1 || new.p_offset % 0x1000 == new.p_paddr % 0x1000);
        }
    }
}

#[test]
fn saved_as_a_file() {
    let directory = std::env::temp_dir().join(format!("kdump-save-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("vmcore");
    std::fs::write(&path, "old").unwrap();
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let report = save(&source, &path, SaveOptions::default(), &mut go_on).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), report.file_size);
    let copy = Dump::open(std::fs::File::open(&path).unwrap()).unwrap();
    assert_eq!(merged(&copy), merged(&source));
    assert!(!directory.join("vmcore.incomplete").exists());
    let readelf = Command::new("readelf").arg("-lW").arg(&path).output();
    let output = readelf.unwrap_or_else(|error| panic!("readelf is needed for a second opinion: {error}"));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    assert!(text.contains("CORE") && text.matches("LOAD").count() >= 3, "{text}");
    // More than is copied at once.
    let large = sample(Wire::LE64).with(Segment::load(0x100_0000, &vec![5; 3 << 20]));
    let source = Dump::open(large.build()).unwrap();
    let stopped = save(&source, &path, SaveOptions::default(), &mut |_| ControlFlow::Break(())).unwrap_err();
    assert_eq!(stopped.error, Error::Cancelled);
    let kept = stopped.kept.unwrap();
    assert_eq!(
        (kept.clone(), std::fs::metadata(&kept).unwrap().len()),
        (directory.join("vmcore.incomplete"), stopped.good)
    );
    let partial = Dump::open(std::fs::File::open(&kept).unwrap()).unwrap();
    assert!(partial.completeness().missing > 0 && partial.vmcoreinfo().is_some());
    assert!(path.exists(), "what was there stays until the new file is complete");
    let flat = SaveOptions::default().format(SaveFormat::Flattened(KdumpOptions::default()));
    let stopped = save(&source, &path, flat, &mut |_| ControlFlow::Break(())).unwrap_err();
    // Not an offset of the file that the stream describes.
    let length = std::fs::metadata(stopped.kept.as_ref().unwrap()).unwrap().len();
    assert_eq!(stopped.good, length);
    let told = format!("; the first {length} bytes of a stream, without its end, are kept in ");
    assert!(stopped.to_string().contains(&told), "{stopped}");
    assert!(save(&source, &directory, SaveOptions::default(), &mut go_on).is_err());
    assert!(save(&source, &directory.join("no/such/place"), SaveOptions::default(), &mut go_on).is_err());
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_cut_source_is_saved_as_far_as_it_goes() {
    let mut file = CoreFile::x86_64()
        .with(Segment::load(0x1000, &[1; 0x4000]))
        .with(Segment::load(0x10_0000, &[2; 0x2000]));
    file.cut = Some(file.build().len() - 0x3800);
    let source = Dump::open(file.build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut out = Vec::new();
    let report = plan.copy(&mut out, &mut go_on).unwrap();
    assert_eq!(report.unreadable.bytes, 0x3800);
    assert_eq!(report.unreadable.ranges.len(), 2);
    // What is lost must not come back as zeros, nor as what was left out on purpose.
    let copy = Dump::open(out).unwrap();
    let mut bytes = vec![0; 0x4000];
    let stopped = copy.reader().read_phys(Paddr(0x1000), &mut bytes).unwrap_err();
    assert_eq!((stopped.read, stopped.error), (0x2800, Error::Missing { paddr: 0x3800 }));
    assert!(bytes[..0x2800].iter().all(|&byte| byte == 1));
    let stopped = copy.reader().read_phys(Paddr(0x10_0000), &mut bytes).unwrap_err();
    assert_eq!(stopped.error, Error::Missing { paddr: 0x10_0000 });
    assert!(!copy.completeness().is_complete() && !report.is_whole());
    assert_eq!((report.missing, copy.completeness().missing), (0x3800, 0x3800));
}

#[test]
fn a_segment_that_wraps_is_left_out_of_the_copy() {
    let source = CoreFile::x86_64()
        .with(Segment { p_offset: Some(u64::MAX - 15), ..Segment::load(0x1000, &[1; 0x1000]) })
        .with(Segment::load(0x4000, &[2; 0x1000]));
    let source = Dump::open(source.build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut out = Vec::new();
    let report = plan.copy(&mut out, &mut go_on).unwrap();
    assert_eq!((report.dropped_phdrs, report.shared), (vec![0], 0));
    let stopped = Dump::open(out).unwrap().reader().read_phys(Paddr(0x1000), &mut [0; 4]).unwrap_err();
    assert!(matches!(stopped.error, Error::Hole { .. }));
}

/// A disk with bad sectors.
struct Bad(Vec<u8>, core::ops::Range<u64>);

impl ReadAt for Bad {
    fn size(&self) -> Result<u64, Error> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        if offset < self.1.end && offset + buf.len() as u64 > self.1.start {
            return Err(Error::Io { offset, cause: IoError::from_errno(5) });
        }
        self.0.read_at(offset, buf)
    }
}

#[test]
fn unreadable_pages_cost_only_themselves() {
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64().with(Segment::load(0x1_0000, &[3; 0x8000])) };
    let source = Dump::open(Bad(file.build(), 0x3400..0x4400)).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut out = Vec::new();
    let report = plan.copy(&mut out, &mut go_on).unwrap();
    assert_eq!(report.unreadable.bytes, 0x2000);
    let bad = report.unreadable.ranges[0];
    assert_eq!((bad.range.start(), bad.range.size()), (0x1_2000, 0x2000));
    assert!(matches!(bad.error, Error::Io { .. }));
    let copy = Dump::open(out).unwrap();
    assert!(!copy.completeness().is_complete());
    let mut reader = copy.reader().zero_excluded(true);
    for page in 0x1_0000_u64..0x1_8000 {
        let (mut byte, lost) = ([0], (0x1_2000..0x1_4000).contains(&page));
        match reader.read_phys(Paddr(page), &mut byte) {
            Ok(()) => assert!(!lost && byte == [3], "{page:#x}"),
            Err(stopped) => assert!(lost && stopped.error == Error::Unreadable { paddr: page }, "{page:#x}"),
        }
    }
}

#[test]
fn a_file_that_ends_in_zeros_is_as_long_as_it_should_be() {
    let source = Dump::open(CoreFile::x86_64().with(Segment::load(0x1000, &[0; 0x8000])).build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut out = vec![1; 1 << 20];
    plan.copy(&mut out, &mut go_on).unwrap();
    assert_eq!(out.len() as u64, plan.size());
    assert!(Dump::open(out).unwrap().completeness().is_complete());
    let path = std::env::temp_dir().join(format!("kdump-zeros-{}", std::process::id()));
    let file = std::fs::File::create(&path).unwrap();
    plan.copy(&mut &file, &mut go_on).unwrap();
    let len = file.metadata().unwrap().len();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(len, plan.size());
    let stopped = plan.copy(&mut Endings(Vec::new()), &mut go_on).unwrap_err();
    assert_eq!((stopped.error, stopped.good), (Error::Cancelled, plan.size()));
}

/// A sink that cannot be finished.
struct Endings(Vec<u8>);

impl WriteAt for Endings {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.0.write_all_at(offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        Err(Error::Cancelled)
    }
}

/// A disk that is full after so many bytes.
struct Full(Vec<u8>, u64, bool);

impl WriteAt for Full {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        if offset + bytes.len() as u64 > self.1 {
            return Err(Error::Io { offset, cause: IoError::from_errno(28) });
        }
        self.0.write_all_at(offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        self.2
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        assert!(size <= self.1, "a full disk is never finished");
        self.0.finish(size)
    }
}

#[test]
fn a_full_disk_says_what_is_good() {
    let source = Dump::open(CoreFile::x86_64().with(Segment::load(0x1000, &[4; 5 << 20])).build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut disk = Full(vec![], 3 << 20, true);
    let stopped = plan.copy(&mut disk, &mut go_on).unwrap_err();
    assert!(matches!(stopped.error, Error::Io { cause, .. } if cause.is_out_of_space()));
    assert!(stopped.good >= 2 << 20 && stopped.good <= 3 << 20, "{stopped:?}");
    disk.0.truncate(stopped.good as usize);
    let partial = Dump::open(disk.0).unwrap();
    let mut bytes = vec![0; 2 << 20];
    partial.reader().read_phys(Paddr(0x1000), &mut bytes).unwrap();
    assert!(bytes.iter().all(|&byte| byte == 4));
    let stopped = plan.copy(&mut Full(vec![], 100, true), &mut go_on).unwrap_err();
    assert_eq!(stopped.good, 0);
}

#[test]
fn any_buffer_of_a_page_or_more_gives_the_same_file() {
    let bytes = sample(Wire::LE64).build();
    let dump = Dump::open(&bytes[..]).unwrap();
    let plan = SavePlan::elf(&dump).unwrap();
    let mut expected = Vec::new();
    plan.copy(&mut expected, &mut go_on).unwrap();
    for room in [4096, 4097, 8191, 12288] {
        let mut out = Vec::new();
        plan.copy_with(&mut vec![0xee; room], &mut out, &mut go_on).unwrap();
        assert!(out == expected, "{room}");
    }
    let stopped = plan.copy_with(&mut [0; 4095], &mut Vec::new(), &mut go_on).unwrap_err();
    assert!(matches!(stopped.error, Error::OutOfMemory { need: 4096, .. }), "{stopped}");
}

#[test]
fn a_device_gets_its_zeros() {
    let source = Dump::open(sample(Wire::LE64).build()).unwrap();
    let plan = SavePlan::elf(&source).unwrap();
    let mut device = Full(vec![0xaa; plan.size() as usize], u64::MAX, false);
    plan.copy(&mut device, &mut go_on).unwrap();
    let mut sparse = Vec::new();
    plan.copy(&mut sparse, &mut go_on).unwrap();
    assert!(device.0 == sparse);
    // An image has no zeros where it has no memory.
    let mut device = Full(vec![0xaa; 0x1000], u64::MAX, false);
    let stopped = RawPlan::new(&source).unwrap().copy(&mut device, &mut go_on).unwrap_err();
    assert!(matches!(stopped.error, Error::Unsupported { .. }), "{stopped}");
    assert!(device.0 == [0xaa; 0x1000]);
}

/// A file that goes on with zeros behind its content.
struct Endless(Vec<u8>);

impl ReadAt for Endless {
    fn size(&self) -> Result<u64, Error> {
        Ok(1 << 40)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        buf.fill(0);
        self.0.read_at(offset, buf).map(|_| buf.len())
    }
}

#[test]
fn an_elf32_file_has_an_end() {
    let segment =
        |paddr| Segment { p_filesz: Some(0x9000_0000), p_offset: Some(0), ..Segment::load(paddr, &[]) };
    let file = CoreFile::new(Wire { wide: false, big: false }, 3).with(segment(0)).with(segment(0x9000_0000));
    let source = Dump::open(Endless(file.build())).unwrap();
    assert!(matches!(SavePlan::elf(&source), Err(Error::TooLarge { what: "size of the saved file", .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn save_then_read_is_identity(
        segments in prop::collection::vec((0_u64..0x8000, 0_usize..0x2800, 0_u64..0x1800, 0_u8..3), 1..7),
        wide: bool,
        big: bool,
    ) {
        let mut file = CoreFile::new(Wire { wide, big }, 62);
        for (paddr, len, tail, seed) in segments {
            // Zero pages, zero runs and dense data.
            let bytes: Vec<u8> = (0..len).map(|at| seed * u8::from(at % 0x2000 < 0x700 || seed == 2)).collect();
            let segment = Segment { p_memsz: Some(len as u64 + tail), ..Segment::load(paddr, &bytes) };
            file.segments.push(segment);
        }
        let source = Dump::open(file.build()).unwrap();
        let plan = SavePlan::elf(&source).unwrap();
        let mut out = Vec::new();
        plan.copy(&mut out, &mut go_on).unwrap();
        let copy = Dump::open(out).unwrap();
        // Memory that is listed twice, with other bytes, is remembered as a defect of the source.
        prop_assert_eq!(copy.completeness().is_complete(), source.completeness().is_complete());
        prop_assert_eq!((copy.completeness().missing, copy.completeness().unreadable), (0, 0));
        prop_assert_eq!(merged(&copy), merged(&source));
    }
}
