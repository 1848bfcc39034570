//! Which pages are left out of a dump of a made-up machine, and that doubt keeps them.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod machine;

use core::ops::ControlFlow;

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::Paddr;
use kdump_vmcore::{
    ClassMap, Classes, Dump, ElfOptions, Error, KdumpOptions, KdumpPlan, LeftOut, PageClass, PhysMemory,
    SaveFormat, SaveOptions, SavePlan, SpanKind, estimate, save,
};
use machine::*;

fn saved(dump: &Dump<'_>, level: u8, threads: u16) -> (Vec<u8>, LeftOut) {
    let options = KdumpOptions::default().exclude(Classes::from_level(level)).threads(threads);
    let mut file = Vec::new();
    let plan = KdumpPlan::new(dump, options).unwrap();
    let report = plan.copy(&mut file, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_whole());
    (file, report.left_out)
}

#[test]
fn classes_are_left_out_and_nothing_else() {
    let memory = machine(usual);
    let all = PAGES as usize * 64;
    let source = Dump::open(dump(&memory, &info(), all)).unwrap();
    let share = (PAGES - 0x400) / 4;
    for (level, expected) in [
        (0, vec![]),
        (1, vec![]),
        (2, vec![(PageClass::Cache, share)]),
        (8, vec![(PageClass::User, share)]),
        (16, vec![(PageClass::Free, share)]),
        (31, vec![(PageClass::Cache, share), (PageClass::User, share), (PageClass::Free, share)]),
    ] {
        let (file, left_out) = saved(&source, level, 1);
        assert_eq!(left_out.classes().collect::<Vec<_>>(), expected, "-d {level}");
        assert!(saved(&source, level, 3).0 == file);
        // A copy of the copy lacks the same, though nothing more was to be left out.
        let copy = Dump::open(file).unwrap();
        let (again, _) = saved(&copy, 0, 1);
        assert_eq!(copy.facts().dump_level, u32::from(level | 1));
        assert_eq!(Dump::open(again).unwrap().facts().dump_level, u32::from(level | 1), "-d {level}");
        assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
        let mut reader = copy.reader();
        for pfn in 0..PAGES {
            let paddr = Paddr(pfn * PAGE as u64);
            let gone = match (pfn, pfn / 256 % 4) {
                (..0x400, _) | (_, 3) => false,
                (_, 0) => level & 16 != 0,
                (_, 1) => level & 8 != 0,
                _ => level & 6 != 0,
            };
            let mut page = [0; PAGE];
            match reader.read_phys(paddr, &mut page) {
                Ok(()) => assert!(!gone && page == memory[paddr.0 as usize..][..PAGE], "{pfn:#x} -d {level}"),
                Err(stopped) => {
                    assert!(gone, "{pfn:#x} -d {level}");
                    assert!(matches!(stopped.error, Error::Excluded { .. }), "{}", stopped.error);
                }
            }
        }
        let left = copy.spans().filter(|span| matches!(span.kind, SpanKind::Excluded(_)));
        assert_eq!(left.map(|span| span.range.size()).sum::<u64>(), left_out.pages() * PAGE as u64);
        // Filtering again leaves out no less, and what was left out is not judged by zeros.
        let (again, _) = saved(&copy, 0, 1);
        assert_eq!(Dump::open(again).unwrap().spans().collect::<Vec<_>>(), copy.spans().collect::<Vec<_>>());
    }
}

#[test]
fn sections_stand_in_one_array_or_below_roots() {
    let memory = machine(usual);
    let all = PAGES as usize * 64;
    let (_, below_roots) = saved(&Dump::open(dump(&memory, &info(), all)).unwrap(), 31, 1);
    let array = info()
        .replace("LENGTH(mem_section)=2048", "LENGTH(mem_section)=524288")
        .replace(&format!("{:x}", LINEAR + ROOTS), &format!("{:x}", LINEAR + SECTION));
    let (_, in_one) = saved(&Dump::open(dump(&memory, &array, all)).unwrap(), 31, 1);
    assert_eq!(in_one, below_roots);
    assert!(in_one.pages() > 0);
}

#[test]
fn a_record_that_cannot_be_read_keeps_its_page() {
    let memory = machine(usual);
    // Of the second half of the array nothing is in the dump where the kernel sees it.
    let half = PAGES as usize * 32;
    let source = Dump::open(dump(&memory, &info(), half)).unwrap();
    let (file, left_out) = saved(&source, 31, 1);
    assert_eq!(left_out.unreadable, PAGES / 2);
    let copy = Dump::open(file).unwrap();
    let gone = copy.spans().filter(|span| span.kind != SpanKind::Stored).map(|span| span.range.end()).max();
    assert!(gone.unwrap() <= PAGES / 2 * PAGE as u64);
    assert!(left_out.pages() > 0);
    // Sections without an array, and a table of them that is not there.
    let mut without = memory.clone();
    without[SECTION as usize] = 0x2d;
    let (_, left_out) = saved(&Dump::open(dump(&without, &info(), half)).unwrap(), 31, 1);
    assert_eq!((left_out.pages(), left_out.without), (0, PAGES));
    let elsewhere = info().replace(&format!("{:x}", LINEAR + ROOTS), "ffff900000000000");
    let (_, left_out) = saved(&Dump::open(dump(&memory, &elsewhere, half)).unwrap(), 31, 1);
    assert_eq!((left_out.pages(), left_out.unreadable), (0, PAGES));
}

/// Memory in a section below a root that is not there, and behind the last section there can be.
#[test]
fn memory_that_the_kernel_has_no_record_of_is_kept() {
    let memory = machine(usual);
    let (at, all) = (ARRAY as usize, PAGES as usize * 64);
    let page = |paddr| Segment::load(paddr, &[7; PAGE]);
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info().as_bytes())))
        .with(Segment { p_vaddr: LINEAR, ..Segment::load(0, &memory) })
        .with(Segment { p_vaddr: VMEMMAP, ..Segment::load(ARRAY, &memory[at..at + all]) })
        .with(page(1 << 35))
        .with(page(1 << 46));
    let source = Dump::open(file.build()).unwrap();
    let options = ElfOptions::default().exclude(Classes::from_level(31));
    let left_out = SavePlan::with(&source, options).unwrap().left_out();
    assert_eq!((left_out.without, left_out.unreadable), (2, 0));
    assert!(left_out.pages() > 0);
}

/// Notes have no address, also where the first pages of memory are left out.
#[test]
fn what_is_left_out_is_cut_from_memory_and_not_from_notes() {
    let memory = machine(|pfn| if pfn < 256 { (1 << 4, LINEAR | 0x1001, 0, 0) } else { usual(pfn) });
    let (at, all) = (ARRAY as usize, PAGES as usize * 64);
    let info = note(Wire::LE64, "VMCOREINFO", 0, info().as_bytes());
    let without_memory = |notes: &[u8]| Segment { p_memsz: Some(0), ..Segment::notes(notes) };
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(without_memory(&note(Wire::LE64, "first", 9, &[1; 100])))
        .with(without_memory(&info))
        .with(Segment { p_vaddr: LINEAR, ..Segment::load(0, &memory) })
        .with(Segment { p_vaddr: VMEMMAP, ..Segment::load(ARRAY, &memory[at..at + all]) });
    let source = Dump::open(file.build()).unwrap();
    let plan = SavePlan::with(&source, ElfOptions::default().exclude(Classes::from_level(31))).unwrap();
    let mut file = Vec::new();
    plan.copy(&mut file, &mut |_| ControlFlow::Continue(())).unwrap();
    let copy = Dump::open(file).unwrap();
    assert!(matches!(copy.span(Paddr(0)).unwrap().kind, SpanKind::Excluded(_)));
    let notes = |dump: &Dump<'_>| dump.phdrs().iter().filter(|phdr| phdr.p_type == 4).count();
    assert_eq!((notes(&source), notes(&copy)), (2, 2));
    assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
    assert_eq!(copy.vmcoreinfo().unwrap().as_bytes(), source.vmcoreinfo().unwrap().as_bytes());
}

/// RAM that a dump lists in two pieces, which share a page, is one piece of pages.
#[test]
fn a_page_in_two_pieces_is_counted_once() {
    let (memory, at, all) = (machine(usual), ARRAY as usize, PAGES as usize * 64);
    let border = 0x50_0800;
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info().as_bytes())))
        .with(Segment { p_vaddr: LINEAR, ..Segment::load(0, &memory[..border]) })
        .with(Segment { p_vaddr: VMEMMAP, ..Segment::load(ARRAY, &memory[at..at + all]) })
        .with(Segment { p_vaddr: LINEAR + border as u64, ..Segment::load(border as u64, &memory[border..]) });
    let pieces = Dump::open(file.build()).unwrap();
    let whole = Dump::open(dump(&memory, &info(), all)).unwrap();
    let ranges = |dump: &Dump<'_>| {
        let map = ClassMap::new(dump, 1).unwrap();
        (map.ranges().collect::<Vec<_>>(), PageClass::ALL.map(|class| map.pages(class)))
    };
    assert_eq!(ranges(&pieces), ranges(&whole));
}

#[test]
fn an_elf_core_leaves_out_rows_of_pages() {
    // Free blocks of 512 pages, and rows of 128 pages of user memory, too short to be left out.
    let kind = |pfn: u64| match pfn {
        ..0x400 => (0, 0, -1, 0),
        _ if pfn % 1024 == 0 => (0, 0, -129, 9),
        _ if pfn % 1024 >= 512 && pfn % 256 / 64 % 3 != 0 => (1 << 4, LINEAR | 0x1001, 0, 0),
        _ => (0, 0, -1, 0),
    };
    let memory = machine(kind);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    for threads in [1, 3] {
        let plan =
            SavePlan::with(&source, ElfOptions::default().exclude(Classes::from_level(24)).threads(threads))
                .unwrap();
        let mut file = Vec::new();
        let report = plan.copy(&mut file, &mut |_| ControlFlow::Continue(())).unwrap();
        assert!(report.is_whole(), "{report:?}");
        let (free, short) = (7 * 512, 7 * 2 * 128);
        assert_eq!(report.left_out.pages(), free + short);
        assert_eq!(report.left_out.short, short);
        assert!(file.len() < memory.len() - free as usize * PAGE + 0x40_0000, "{:#x}", file.len());
        let copy = Dump::open(file).unwrap();
        assert!(copy.completeness().is_complete(), "{:?}", copy.completeness());
        let (mut reader, mut gone) = (copy.reader(), 0);
        for pfn in 0..PAGES {
            let mut page = [0; PAGE];
            match reader.read_phys(Paddr(pfn * PAGE as u64), &mut page) {
                Ok(()) => assert!(page == memory[pfn as usize * PAGE..][..PAGE], "{pfn:#x}"),
                Err(stopped) => {
                    assert!(matches!(stopped.error, Error::Excluded { .. }), "{}", stopped.error);
                    assert!(pfn >= 0x400 && pfn % 1024 < 512, "{pfn:#x}");
                    gone += 1;
                }
            }
        }
        assert_eq!(gone, free);
        // Of the free pages none is left, which is no reason for doubt.
        let (_, twice) = saved(&copy, 16, 1);
        assert_eq!((twice.doubt, twice.pages(), twice.unreadable), (None, 0, 0));
        // What is left out is left out of a copy of it, too, and the addresses are those of before.
        let mut again = Vec::new();
        SavePlan::elf(&copy).unwrap().copy(&mut again, &mut |_| ControlFlow::Continue(())).unwrap();
        let again = Dump::open(again).unwrap();
        assert_eq!(again.spans().collect::<Vec<_>>(), copy.spans().collect::<Vec<_>>());
        let shift = |dump: &Dump<'_>| {
            let loads = dump.phdrs().iter().filter(|phdr| phdr.p_type == 1);
            let mut all: Vec<u64> = loads.map(|phdr| phdr.p_vaddr.wrapping_sub(phdr.p_paddr)).collect();
            all.sort_unstable();
            all.dedup();
            all
        };
        assert_eq!(shift(&copy), shift(&source));
    }
}

#[test]
fn every_page_has_its_class() {
    let memory = machine(usual);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    let expected = |pfn: u64| match (pfn, pfn / 256 % 4) {
        (..0x400, _) | (_, 3) => None,
        (_, 0) => Some(PageClass::Free),
        (_, 1) => Some(PageClass::User),
        _ => Some(PageClass::Cache),
    };
    for threads in [1, 3] {
        let map = ClassMap::new(&source, threads).unwrap();
        assert!((0..PAGES).all(|pfn| map.class(pfn) == expected(pfn)));
        assert_eq!((map.class(PAGES), map.class(u64::MAX)), (None, None));
        let mut end = 0;
        let mut last = Some(PageClass::Offline);
        for (pfns, class) in map.ranges() {
            assert_eq!((pfns.start, pfns.end > end), (end, true));
            assert!(class != last && pfns.clone().all(|pfn| expected(pfn) == class), "{pfns:?}");
            (end, last) = (pfns.end, class);
        }
        assert_eq!(end, PAGES);
        for class in PageClass::ALL {
            let count = (0..PAGES).filter(|pfn| expected(*pfn) == Some(class)).count() as u64;
            assert_eq!(map.pages(class), count, "{class:?}");
        }
        assert_eq!((map.is_doubtful(), map.report().judged, map.page_size()), (false, PAGES, 4096));
    }
    // Pages the dump lacks have their class: the kernel's records are there.
    let mut file = Vec::new();
    let options = ElfOptions::default().exclude(Classes::from_level(16)).threads(1);
    let plan = SavePlan::with(&source, options).unwrap();
    plan.copy(&mut file, &mut |_| ControlFlow::Continue(())).unwrap();
    let map = ClassMap::new(&Dump::open(file).unwrap(), 1).unwrap();
    assert!((0..PAGES).all(|pfn| map.class(pfn) == expected(pfn)));
    // What the records contradict gives no page a class.
    let wrong = info().replace("SIZE(page)=64", "SIZE(page)=56");
    let map = ClassMap::new(&Dump::open(dump(&memory, &wrong, PAGES as usize * 64)).unwrap(), 2).unwrap();
    assert!(map.is_doubtful());
    assert_eq!(map.ranges().collect::<Vec<_>>(), [(0..PAGES, None)]);
}

#[test]
fn what_is_told_before_is_what_is_written() {
    let memory = machine(usual);
    let source = Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap();
    let dir = std::env::temp_dir().join(format!("kdump-estimate-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for level in [0, 31] {
        let exclude = Classes::from_level(level);
        let kdump = KdumpOptions::default().exclude(exclude);
        let formats = [
            SaveFormat::Elf(ElfOptions::default().exclude(exclude).threads(1)),
            SaveFormat::Raw,
            SaveFormat::Kdump(kdump),
            SaveFormat::Flattened(kdump),
            SaveFormat::FlattenedElf(ElfOptions::default().exclude(exclude).threads(1)),
        ];
        for format in formats {
            let told = estimate(&source, format).unwrap();
            let options = SaveOptions::default().format(format);
            let file = dir.join("dump");
            let report = save(&source, &file, options, &mut |_| ControlFlow::Continue(())).unwrap();
            assert_eq!((told.memory, told.left_out), (report.memory, report.left_out), "{format:?}");
            let stored = report.stored;
            let pages = stored.zero + stored.plain + stored.compressed;
            let has = matches!(format, SaveFormat::Kdump(_) | SaveFormat::Flattened(_));
            assert_eq!(pages, if has { report.memory / PAGE as u64 } else { 0 });
            assert_eq!(stored.compressed, 0, "nothing is to be compressed");
            let size = file.metadata().unwrap().len();
            // No page of the machine is zero or can be made smaller here: the most is near.
            assert!(size <= told.max_size, "{format:?}: {size} of {}", told.max_size);
            assert!(told.max_size < size + size / 50, "{format:?}: {size} of {}", told.max_size);
        }
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn records_that_cannot_be_keep_everything() {
    let (memory, all) = (machine(usual), PAGES as usize * 64);
    let with = |from: &str, to: &str| Dump::open(dump(&memory, &info().replace(from, to), all)).unwrap();
    // Another size, the place of another field, another type, and a bit that other pages have.
    for (from, to) in [
        ("SIZE(page)=64", "SIZE(page)=56"),
        ("SIZE(page)=64", "SIZE(page)=72"),
        ("OFFSET(page._mapcount)=48", "OFFSET(page._mapcount)=52"),
        ("PAGE_BUDDY_MAPCOUNT_VALUE)=-129", "PAGE_BUDDY_MAPCOUNT_VALUE)=-257"),
    ] {
        for (level, threads) in [(31, 1), (31, 3), (8, 1)] {
            let source = with(from, to);
            let (file, left_out) = saved(&source, level, threads);
            assert_eq!(left_out.pages(), 0, "{to}");
            assert!(left_out.doubt.is_some(), "{to}");
            let copy = Dump::open(file).unwrap();
            assert!(copy.spans().all(|span| !matches!(span.kind, SpanKind::Excluded(_))), "{to}");
            assert_eq!(copy.facts().dump_level, 1, "{to}");
        }
    }
    // Nothing of the kernel is where these pages would belong to; of a few that may be chance.
    let odd = |count: u64| {
        let memory = machine(|pfn| match usual(pfn) {
            (flags, mapping, kind, private) if mapping != 0 && pfn % 256 < count => {
                (flags, mapping & 0xffff, kind, private)
            }
            record => record,
        });
        saved(&Dump::open(dump(&memory, &info(), all)).unwrap(), 31, 1).1
    };
    assert_eq!((odd(100).doubt.is_some(), odd(100).pages()), (true, 0));
    assert_eq!((odd(1).doubt, odd(1).pages() > 0), (None, true));
}

#[test]
fn what_cannot_be_told_is_refused_by_name_and_value() {
    let memory = machine(usual);
    let options = KdumpOptions::default().exclude(Classes::from_level(31));
    for (from, key, wrong) in [
        ("SIZE(page)=64", "SIZE(page)", 60_u64),
        ("SIZE(page)=64", "SIZE(page)", 8),
        ("SIZE(page)=64", "SIZE(page)", 1 << 40),
        ("OFFSET(page.flags)=0", "OFFSET(page.flags)", 60),
        ("OFFSET(page.flags)=0", "OFFSET(page.flags)", 24),
        ("OFFSET(page.mapping)=24", "OFFSET(page.mapping)", 64),
        ("OFFSET(page.mapping)=24", "OFFSET(page.mapping)", 40),
        ("OFFSET(page._mapcount)=48", "OFFSET(page._mapcount)", 50),
        ("OFFSET(page._mapcount)=48", "OFFSET(page._mapcount)", u64::MAX),
        ("OFFSET(page.private)=40", "OFFSET(page.private)", 8),
        ("OFFSET(page.compound_head)=8", "OFFSET(page.compound_head)", 57),
        ("OFFSET(page.compound_head)=8", "OFFSET(page.compound_head)", 12),
        ("NUMBER(PG_lru)=4", "NUMBER(PG_lru)", 13),
    ] {
        let info = info().replace(from, &format!("{key}={wrong}"));
        let error = KdumpPlan::new(&Dump::open(dump(&memory, &info, 64)).unwrap(), options).unwrap_err();
        assert!(matches!(error, Error::Corrupt { what, .. } if what == key), "{key}={wrong}: {error}");
        // Whoever leaves nothing out need not care.
        let all = KdumpOptions::default();
        assert!(KdumpPlan::new(&Dump::open(dump(&memory, &info, 64)).unwrap(), all).is_ok());
    }
}

#[test]
fn what_is_not_told_is_refused_by_name() {
    let memory = machine(usual);
    let options = KdumpOptions::default().exclude(Classes::from_level(31));
    for key in
        ["SIZE(page)", "SYMBOL(mem_section)", "SIZE(mem_section)", "OFFSET(mem_section.section_mem_map)"]
    {
        let info: String =
            info().lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let source = Dump::open(dump(&memory, &info, 64)).unwrap();
        let error = KdumpPlan::new(&source, options).unwrap_err();
        assert!(matches!(error, Error::MissingKey { key: found } if found == key), "{error}");
    }
    // As many as there are roots, or as there are sections; nothing else is taken for either.
    for length in [0, 1, 123, 2047, 2049, 524_287, u64::MAX] {
        let info = info().replace("LENGTH(mem_section)=2048", &format!("LENGTH(mem_section)={length}"));
        let error = KdumpPlan::new(&Dump::open(dump(&memory, &info, 64)).unwrap(), options).unwrap_err();
        assert!(matches!(error, Error::MissingKey { key: "LENGTH(mem_section)" }), "{length}: {error}");
    }
    let riscv64 = CoreFile::new(Wire::LE64, 243)
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info().as_bytes())))
        .with(Segment::load(0, &[1; PAGE]))
        .build();
    let error = KdumpPlan::new(&Dump::open(riscv64).unwrap(), options).unwrap_err();
    assert!(error.to_string().contains("x86_64"), "{error}");
}

/// The kernel's image: its symbol table, and its types where there are any.
const IMAGE: u64 = 0xffff_ffff_8100_0000;

/// The made-up machine, with these lines of VMCOREINFO and a kernel that describes its types.
fn with_types(lines: &str, types: &dumpgen::Btf) -> Dump<'static> {
    let types = types.build();
    let mut table = dumpgen::Kallsyms::new(IMAGE, IMAGE);
    let stop = 0x8000 + types.len() as u64;
    let symbols = [("T_stext", 0x40), ("R__start_BTF", 0x8000), ("R__stop_BTF", stop)];
    table.symbols = symbols.map(|(name, at)| (name.to_owned(), IMAGE + at)).to_vec();
    let (mut image, more) = table.build();
    image.resize(0x8000, 0);
    image.extend(types);
    let info = format!("{lines}SYMBOL(_stext)={:x}\n{more}", IMAGE + 0x40);
    let memory = machine(usual);
    let (at, all) = (ARRAY as usize, PAGES as usize * 64);
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
        .with(Segment { p_vaddr: LINEAR, ..Segment::load(0, &memory) })
        .with(Segment { p_vaddr: VMEMMAP, ..Segment::load(ARRAY, &memory[at..at + all]) })
        .with(Segment { p_vaddr: IMAGE, ..Segment::load(1 << 32, &image) });
    Dump::open(file.build()).unwrap()
}

/// The types that say what [`info`] says, as Linux 6.1 has them: it has no type for those of free pages.
fn types() -> dumpgen::Btf {
    let mut btf = dumpgen::Btf::new(Wire::LE64);
    let (long, int) = (btf.int("long unsigned int", 8), btf.int("int", 4));
    let areas = btf.array(long, 11);
    let tail = btf.structure("", 8, &[("compound_head", long, 0)]);
    let lru = btf.structure("", 40, &[("mapping", long, 128), ("private", long, 256)]);
    let words = btf.union("", 40, &[("", lru, 0), ("", tail, 0)]);
    btf.structure("page", 64, &[("flags", long, 0), ("", words, 64), ("_mapcount", int, 384)]);
    btf.structure("zone", 400, &[("free_area", areas, 512)]);
    btf.structure("mem_section", 16, &[("section_mem_map", long, 0)]);
    let flags = [
        ("PG_lru", 4),
        ("PG_slab", 9),
        ("PG_swapcache", 10),
        ("PG_private", 13),
        ("PG_swapbacked", 19),
        ("PG_hwpoison", 23),
        ("PG_head", 16),
    ];
    btf.enumeration("pageflags", &flags);
    btf
}

#[test]
fn what_vmcoreinfo_lacks_the_types_of_the_kernel_tell() {
    let classes = |dump: &Dump<'_>| {
        let map = ClassMap::new(dump, 1).unwrap();
        let keys: Vec<_> = map.report().from_btf.names().collect();
        (map.ranges().collect::<Vec<_>>(), keys)
    };
    // Without the numbers of hugetlbfs some pages could not be told; that is asked of BTF, which has none.
    let (expected, none) = classes(&with_types(&info(), &types()));
    assert!(none.iter().all(|key| *key == "NUMBER(PG_head_mask)"), "{none:?}");
    for key in [
        "SIZE(page)",
        "OFFSET(page.flags)",
        "OFFSET(page.mapping)",
        "OFFSET(page._mapcount)",
        "OFFSET(page.private)",
        "OFFSET(page.compound_head)",
        "NUMBER(PG_lru)",
        "NUMBER(PG_private)",
        "NUMBER(PG_swapcache)",
        "NUMBER(PG_swapbacked)",
        "NUMBER(PG_slab)",
        "LENGTH(zone.free_area)",
        "SIZE(mem_section)",
        "OFFSET(mem_section.section_mem_map)",
    ] {
        let all = info();
        let lines = all.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n"));
        let lines: String = lines.collect();
        let (found, keys) = classes(&with_types(&lines, &types()));
        assert!(found == expected, "{key}");
        assert!(keys.contains(&key), "{key}: {keys:?}");
        // Without types the key is missed by its name.
        let bare = with_types(&lines, &dumpgen::Btf::new(Wire::LE64));
        let Err(Error::MissingKey { key: missed }) = ClassMap::new(&bare, 1) else { panic!("{key}") };
        assert_eq!(missed, key);
    }
    // The report of a saved file tells the same.
    let lines = info().replace("SIZE(page)=64\n", "");
    let (_, left_out) = saved(&with_types(&lines, &types()), 31, 3);
    assert!(left_out.from_btf.names().any(|told| told == "SIZE(page)"));
}

/// VMCOREINFO goes first, also where the types say otherwise.
#[test]
fn what_vmcoreinfo_tells_is_not_asked_of_the_types() {
    let mut wrong = dumpgen::Btf::new(Wire::LE64);
    let long = wrong.int("long unsigned int", 8);
    wrong.structure("page", 96, &[("flags", long, 64), ("mapping", long, 0)]);
    let map = |types| ClassMap::new(&with_types(&info(), &types), 1).unwrap();
    let (right, wrong) = (map(types()), map(wrong));
    assert!(right.ranges().eq(wrong.ranges()));
    assert!(wrong.report().from_btf.is_empty());
}

/// Types of pages as the kernels since Linux 6.11 number them.
#[test]
fn the_kinds_of_pages_as_types_tell_them() {
    let kinds = |constants: &[(&str, i32)]| {
        let mut btf = types();
        btf.enumeration("pagetype", constants);
        let lines = info().replace("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n", "");
        let source = with_types(&lines, &btf);
        ClassMap::new(&source, 1).map(|map| (map.is_doubtful(), map.pages(PageClass::Free)))
    };
    // The machine's free pages have -129: what is another number finds none of them, which is no kernel.
    assert_eq!(kinds(&[("PG_buddy", 0x80)]).map(|(_, pages)| pages > 0), Ok(true));
    assert_eq!(kinds(&[("PG_buddy", 0x100)]), Ok((true, 0)));
    assert_eq!(kinds(&[("PGTY_buddy", 0xf0)]), Ok((true, 0)));
    assert!(matches!(kinds(&[]), Err(Error::MissingKey { .. })));
}

/// arm64 tells how large its sections are; nothing is taken from another machine where it does not.
#[test]
fn arm64() {
    let memory = machine(usual);
    let at = ARRAY as usize;
    let core = |info: &str| {
        let bytes = CoreFile { align: 0x1000, ..CoreFile::new(Wire::LE64, 183) }
            .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
            .with(Segment { p_vaddr: LINEAR, ..Segment::load(0, &memory) })
            .with(Segment { p_vaddr: VMEMMAP, ..Segment::load(ARRAY, &memory[at..at + PAGES as usize * 64]) })
            .build();
        Dump::open(bytes).unwrap()
    };
    let (_, of_x86_64) = saved(&Dump::open(dump(&memory, &info(), PAGES as usize * 64)).unwrap(), 31, 1);
    let (_, of_arm64) = saved(&core(&info()), 31, 1);
    assert_eq!(of_arm64, of_x86_64);
    assert!(of_arm64.pages() > 0);
    for key in ["NUMBER(SECTION_SIZE_BITS)", "NUMBER(MAX_PHYSMEM_BITS)"] {
        let without: String =
            info().lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n")).collect();
        let options = KdumpOptions::default().exclude(Classes::from_level(31));
        let error = KdumpPlan::new(&core(&without), options).unwrap_err();
        assert!(matches!(error, Error::MissingKey { key: found } if found == key), "{error}");
    }
}

/// Where the kernel of i386 has all memory it maps, and what it tells of records of 32 bytes.
const LINEAR_32: u32 = 0xc000_0000;
const LE32: Wire = Wire { wide: false, big: false };
const KEYS_32: &str = "OSRELEASE=6.1\nPAGESIZE=4096\nSIZE(page)=32\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=12\n\
    OFFSET(page._mapcount)=24\nOFFSET(page.private)=20\nOFFSET(page.compound_head)=4\nNUMBER(PG_lru)=4\n\
    NUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\nNUMBER(PG_swapbacked)=19\nNUMBER(PG_slab)=9\n\
    NUMBER(PG_head_mask)=65536\nOFFSET(page.compound_order)=13\nOFFSET(page.compound_dtor)=12\n\
    NUMBER(PG_hwpoison)=23\nLENGTH(zone.free_area)=11\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n";
const FLAT_KEYS: &str = "SYMBOL(mem_map)=c0100000\nSYMBOL(contig_page_data)=c0100100\n\
    OFFSET(pglist_data.node_start_pfn)=4\nOFFSET(pglist_data.node_spanned_pages)=8\n";
const SPARSE_KEYS: &str = "SYMBOL(mem_section)=c0101000\nLENGTH(mem_section)=128\nSIZE(mem_section)=8\n\
    OFFSET(mem_section.section_mem_map)=0\nNUMBER(SECTION_SIZE_BITS)=29\nNUMBER(MAX_PHYSMEM_BITS)=36\n";

/// [`machine`] of i386, with `spanned` pages in its one node.
fn machine_32(spanned: u32) -> Vec<u8> {
    let mut memory = machine(|_| (0, 0, -1, 0));
    let mut put = |at: u64, bytes: &[u8]| memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    let array = LINEAR_32 + ARRAY as u32;
    put(0x10_0000, &array.to_le_bytes());
    put(0x10_0104, &[0_u32.to_le_bytes(), spanned.to_le_bytes()].concat());
    put(0x10_1000, &(array | 3).to_le_bytes());
    for pfn in 0..PAGES {
        let (flags, mapping, kind, private) = usual(pfn);
        let mut page = [0; 32];
        page[..4].copy_from_slice(&(flags as u32).to_le_bytes());
        // In the linear map of i386.
        let mapping = if mapping == 0 { 0 } else { LINEAR_32 | mapping as u32 };
        page[12..16].copy_from_slice(&mapping.to_le_bytes());
        page[20..24].copy_from_slice(&(private as u32).to_le_bytes());
        page[24..28].copy_from_slice(&kind.to_le_bytes());
        put(ARRAY + pfn * 32, &page);
    }
    // A compound page of a process, of four pages: three tails that tell of their head.
    let head = u64::from(array) + 0x1700 * 32;
    put(ARRAY + 0x1700 * 32, &((1_u32 << 4 | 1 << 16).to_le_bytes()));
    put(ARRAY + 0x1700 * 32 + 12, &(LINEAR_32 | 0x1001).to_le_bytes());
    for tail in 1..4_u64 {
        put(ARRAY + (0x1700 + tail) * 32 + 4, &(head as u32 | 1).to_le_bytes());
    }
    put(ARRAY + 0x1701 * 32 + 13, &[2]);
    memory
}

#[test]
fn i386_with_one_array_and_with_sections() {
    let share = (PAGES - 0x400) / 4;
    let classes = [(PageClass::Cache, share), (PageClass::User, share + 4), (PageClass::Free, share)];
    let of = |memory: &[u8], keys: &str| {
        let info = format!("{KEYS_32}{keys}");
        let bytes = CoreFile { align: 0x1000, ..CoreFile::new(LE32, 3) }
            .with(Segment::notes(&note(LE32, "VMCOREINFO", 0, info.as_bytes())))
            .with(Segment { p_vaddr: LINEAR_32.into(), ..Segment::load(0, memory) })
            .build();
        saved(&Dump::open(bytes).unwrap(), 31, 1).1
    };
    let whole = machine_32(PAGES as u32);
    for keys in [FLAT_KEYS, SPARSE_KEYS] {
        let found = of(&whole, keys);
        assert_eq!(found.classes().collect::<Vec<_>>(), classes, "{keys}");
        assert_eq!((found.without, found.unreadable, found.doubt), (0, 0, None), "{keys}");
    }
    // Without the node the array is believed to be that of all memory; with an empty one it is nobody's.
    let lines = |text: &str, key: &str| -> String {
        text.lines().filter(|line| !line.contains(key)).map(|line| format!("{line}\n")).collect()
    };
    assert_eq!(of(&whole, &lines(FLAT_KEYS, "contig_page_data")).classes().collect::<Vec<_>>(), classes);
    let none = of(&machine_32(0), FLAT_KEYS);
    assert_eq!((none.pages(), none.without), (0, PAGES));
    // What stands behind the last record of the node, or in front of its first one, is no record.
    let cut = of(&machine_32(0x1800), FLAT_KEYS);
    assert_eq!(cut.without, PAGES - 0x1800);
    let mut behind = machine_32(0x1800);
    behind[0x10_0104..0x10_0108].copy_from_slice(&0x800_u32.to_le_bytes());
    assert_eq!(of(&behind, FLAT_KEYS).without, 0x800);
    // What belongs to addresses of processes is no record.
    let mut odd = whole;
    for pfn in 0..PAGES {
        odd[(ARRAY + pfn * 32) as usize + 15] &= 0x3f;
    }
    let found = of(&odd, FLAT_KEYS);
    assert!(found.doubt.is_some() && found.pages() == 0, "{found:?}");
}
