//! What is no dump in a file: raw images, /proc/kcore; and what is known by name alone.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use dumpgen::{CoreFile, Flattened, Segment, Wire, note};
use kdump_elf::{Arch, Paddr, Vaddr};
use kdump_vmcore::{Dump, Error, KernelMemory, PhysMemory, RawImage, SpanKind, verify};

fn image(base: u64, bytes: &[u8]) -> RawImage<'static> {
    RawImage { base: Paddr(base), source: Box::new(bytes.to_vec()) }
}

#[test]
fn raw_images_lie_where_the_caller_says() {
    let dump =
        Dump::open_raw(vec![image(0x8000, &[2; 0x1800]), image(0x1000, &[1; 0x1000])], Some(Arch::X86_64))
            .unwrap();
    assert_eq!((dump.format(), dump.arch(), dump.memory_size()), ("raw", Some(Arch::X86_64), 0x2800));
    assert!(dump.completeness().is_complete());
    let mut reader = dump.reader();
    let kinds: Vec<_> =
        reader.looks().map(|span| (span.range.start(), span.range.end(), span.kind)).collect();
    let expected = [
        (0x1000, 0x2000, SpanKind::Stored),
        (0x2000, 0x8000, SpanKind::Hole),
        (0x8000, 0x9800, SpanKind::Stored),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(dump.span(Paddr(0)).unwrap().kind, SpanKind::Hole);
    assert_eq!(dump.span(Paddr(0x9800)), None);
    let mut buf = [0xee; 16];
    reader.read_phys(Paddr(0x97f0), &mut buf).unwrap();
    assert_eq!(buf, [2; 16]);
    let stopped = reader.read_phys(Paddr(0x1ff8), &mut buf).unwrap_err();
    assert_eq!((stopped.read, stopped.error), (8, Error::Hole { paddr: 0x2000, next: Some(0x8000) }));
    let stopped = reader.read_phys(Paddr(u64::MAX - 3), &mut buf).unwrap_err();
    assert!(matches!(stopped.error, Error::Hole { next: None, .. }));
}

#[test]
fn raw_images_may_touch_and_must_not_overlap() {
    let dump = Dump::open_raw(vec![image(0x1000, &[1; 8]), image(0x1008, &[2; 8])], None).unwrap();
    let mut buf = [0; 16];
    dump.reader().read_phys(Paddr(0x1000), &mut buf).unwrap();
    assert_eq!(buf, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
    let bad = |images| Dump::open_raw(images, None).unwrap_err();
    let error = bad(vec![image(0x1007, &[2; 8]), image(0x1000, &[1; 8])]);
    assert!(matches!(error, Error::Corrupt { value: 0x1007, .. }), "{error}");
    assert!(matches!(bad(vec![image(0, &[])]), Error::Truncated { .. }));
    assert!(matches!(bad(vec![image(u64::MAX, &[1; 8])]), Error::TooLarge { .. }));
    assert!(matches!(bad(vec![]), Error::Unsupported { .. }));
}

/// /proc/kcore: vmalloc memory has the physical address -1.
#[test]
fn kcore_is_its_ram() {
    let vmalloc = Segment {
        p_vaddr: 0xffff_c900_0000_0000,
        p_paddr: u64::MAX,
        p_memsz: Some(1 << 44),
        p_filesz: Some(1 << 44),
        ..Segment::load(0, &[])
    };
    let file = CoreFile::x86_64()
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n")))
        .with(vmalloc.clone())
        .with(Segment { p_vaddr: 0xffff_8880_0000_1000, ..Segment::load(0x1000, &[7; 0x1000]) });
    let dump = Dump::open(file.build()).unwrap();
    assert!(dump.completeness().is_complete(), "{:?}", dump.completeness());
    assert_eq!(dump.memory_size(), 0x1000);
    assert!(verify(&dump, &mut |_| core::ops::ControlFlow::Continue(())).unwrap().is_sound());
    // A range that passes the last address is a defect all the same.
    let file = file.with(Segment { p_paddr: u64::MAX - 1, ..vmalloc });
    assert_eq!(Dump::open(file.build()).unwrap().completeness().defects.len(), 1);
}

#[test]
fn formats_that_are_not_read_say_what_to_do() {
    let known: &[(&[u8], &str, &str)] = &[
        (b"\xa8\x19\x01\x73\x61\x8f\x23\xed", "LKCD", "crash"),
        (b"\xed\x23\x8f\x61\x73\x01\x19\xa8", "LKCD", "crash"),
        (b"\xa8\x19\x01\x73\x61\x8f\x23\xfd", "s390", "zgetdump"),
        (b"\xa8\x19\x01\x73\x61\x8f\x23\xfe", "s390", "zgetdump"),
        (b"sadump\0\0", "sadump", "makedumpfile"),
        (b"\xed\xeb\x0f\xf0", "Xen", "xl dump-core"),
        (b"\xf0\x0f\xeb\xed", "Xen", "xl dump-core"),
        (b"LinuxGuestRecord", "Xen", "xl dump-core"),
        (b"PAGEDU64", "Windows", "WinDbg"),
        (b"PAGEDUMP", "Windows", "WinDbg"),
        (b"QEVM", "QEMU", "dump-guest-memory"),
        (b"LibvirtQemudSave", "libvirt", "virsh dump --memory-only"),
        (b"\xd0\xbe\xd2\xbe", "VMware", "vmss2core"),
        (b"\xd2\xbe\xd2\xbe", "VMware", "vmss2core"),
        (b"\xd3\xbe\xd2\xbe", "VMware", "vmss2core"),
        (b"EMiL", "LiME", "Volatility"),
        (b"AVML", "AVML", "avml-convert"),
        (b"\x1f\x8b", "gzip", "gunzip"),
        (b"\xfd7zXZ\0", "xz", "unxz"),
        (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
        (b"\x04\x22\x4d\x18", "lz4", "unlz4"),
        (b"BZh", "bzip2", "bunzip2"),
    ];
    for (signature, name, way) in known {
        // Alone, and in front of anything.
        for tail in [0, 100, 9000] {
            let bytes = [*signature, &vec![0x5a; tail]].concat();
            let error = Dump::open(bytes).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, Error::Unsupported { .. }), "{name}: {text}");
            assert!(text.contains(name) && text.contains(way), "{name}: {text}");
        }
    }
    assert!(matches!(Dump::open(b"KDUMX   ".to_vec()), Err(Error::UnknownFormat { .. })));
}

#[test]
fn the_core_of_a_xen_domain_is_refused() {
    for wire in [Wire::LE64, Wire { big: true, ..Wire::LE64 }] {
        let mut file = CoreFile::new(wire, 62).build();
        // Sections behind the header: nothing, then notes.
        let (sections, notes) = (file.len() as u64, file.len() as u64 + 128);
        let put = |file: &mut Vec<u8>, at: usize, value: u64, len: usize| {
            let bytes = if wire.big {
                value.to_be_bytes()[8 - len..].to_vec()
            } else {
                value.to_le_bytes()[..len].to_vec()
            };
            file[at..at + len].copy_from_slice(&bytes);
        };
        file.resize(file.len() + 128, 0);
        put(&mut file, 40, sections, 8);
        put(&mut file, 58, 64, 2);
        put(&mut file, 60, 2, 2);
        put(&mut file, sections as usize + 64 + 4, 7, 4);
        put(&mut file, sections as usize + 64 + 24, notes, 8);
        let domain = [file.clone(), note(wire, "Xen", 0x200_0001, &[0; 32])].concat();
        let error = Dump::open(domain).unwrap_err().to_string();
        assert!(error.contains("Xen domain") && error.contains("crash reads it"), "{error}");
        // A file without memory is no such core.
        Dump::open([file, note(wire, "CORE", 1, &[0; 32])].concat()).unwrap();
    }
}

#[test]
fn addresses_of_a_kernel_under_xen_are_refused_and_memory_is_read() {
    let info =
        note(Wire::LE64, "VMCOREINFO", 0, b"NUMBER(phys_base)=0\nSYMBOL(swapper_pg_dir)=ffffffff80002000\n");
    let load = Segment { p_vaddr: 0xffff_ffff_8000_0000, ..Segment::load(0, &[7; 0x4000]) };
    let why = |notes: &[u8]| {
        let dump =
            Dump::open(CoreFile::x86_64().with(Segment::notes(notes)).with(load.clone()).build()).unwrap();
        let mut byte = [0];
        dump.reader().read_phys(Paddr(0x3000), &mut byte).unwrap();
        assert_eq!(byte, [7]);
        let told = dump.facts().details.iter().any(|(name, _)| *name == "xen");
        let error = KernelMemory::new(&dump).translate(Vaddr(0xffff_ffff_8000_0000)).err();
        (told, error.is_some_and(|error| error.to_string().contains("under Xen")))
    };
    assert_eq!(why(&[info.clone(), note(Wire::LE64, "VMCOREINFO_XEN", 0, b"a=b\n")].concat()), (true, true));
    assert_eq!(why(&[info.clone(), note(Wire::LE64, "Xen", 0x100_0001, &[0; 80])].concat()), (true, true));
    assert_eq!(why(&[info, note(Wire::LE64, "Xen", 1, &[0; 80])].concat()), (false, false));
}

/// Each stream would be opened inside the one around it, as deep as the file is long.
#[test]
fn a_stream_inside_a_stream_is_refused() {
    let dump = CoreFile::x86_64().with(Segment::load(0x1000, &[7; 0x100])).build();
    let once = Flattened::of(&dump, 900).build();
    Dump::open(once.clone()).unwrap();
    let twice = Flattened::of(&once, 900).build();
    assert!(matches!(Dump::open(twice), Err(Error::Unsupported { what }) if what.contains("inside")));
}
