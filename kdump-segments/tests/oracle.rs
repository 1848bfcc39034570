//! Plans of the recorded machines against those kexec-tools 2.0.25 made for them. Every
//! difference that is let through is listed in docs/kexec-differences.md under the name used
//! here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::PT_LOAD;
use kdump_segments::elfcorehdr::LowMemory;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::segment::SegmentKind;

use plan_support::oracle::Oracle;
use plan_support::{INITRD_SIZE, TestPurgatory, kernel, machine, options};

const MACHINES: [&str; 2] = ["bios-512m", "efi-1g-612"];
const LOW_1M: u64 = 0x10_0000;

fn with_plan(name: &str, options: &PlanOptions, check: impl FnOnce(&Plan<'_>)) {
    let (machine, kernel, initrd) = (machine(name), kernel(name), vec![0; INITRD_SIZE]);
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).initrd(Some(&initrd)).options(options);
    check(&Plan::new(&inputs).unwrap());
}

fn e820(plan: &Plan<'_>) -> Vec<(u64, u64, u32)> {
    let entries = plan.x86().unwrap().e820.iter();
    entries.map(|entry| (entry.range.start(), entry.range.last(), entry.kind.e820_type())).collect()
}

fn segment(plan: &Plan<'_>, kind: SegmentKind) -> (u64, u64, u64) {
    let found = plan.segment(kind).unwrap();
    (found.mem(), found.memsz(), found.bufsz())
}

/// "no-slivers": the peer removes the backup and the header by their unrounded sizes and
/// leaves the tail of the last page, less than a page, as RAM.
fn without_slivers(entries: &[(u64, u64, u32)]) -> Vec<(u64, u64, u32)> {
    let sliver = |&(first, last, kind): &(u64, u64, u32)| kind == 1 && first > LOW_1M && last - first < 0xfff;
    entries.iter().copied().filter(|entry| !sliver(entry)).collect()
}

#[test]
fn elfcorehdr_with_a_backup_is_the_peers() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "default");
        assert!(oracle.phdrs.len() >= 7, "the oracle was read");
        with_plan(name, &options(BackupPolicy::Always), |plan| {
            assert_eq!(plan.elfcorehdr.phdrs(), oracle.phdrs, "{name}");
            let LowMemory::BackedUp { source, destination } = plan.low_memory else { panic!("a backup") };
            assert_eq!(segment(plan, SegmentKind::Backup).0, destination);
            assert_eq!(source.start(), 0x1000);
        });
    }
}

#[test]
fn e820_with_a_backup_is_the_peers_without_slivers() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "default");
        let expected = without_slivers(&oracle.e820);
        let dropped = oracle.e820.len() - expected.len();
        assert_eq!(dropped, usize::from(name == "bios-512m"), "only the BIOS machine has one");
        with_plan(name, &options(BackupPolicy::Always), |plan| assert_eq!(e820(plan), expected, "{name}"));
    }
}

#[test]
fn command_line_with_a_backup_is_the_peers() {
    for name in MACHINES {
        for (variant, memmap_cmdline) in [("default", false), ("memmap", true)] {
            let oracle = Oracle::read(name, variant);
            let options = options(BackupPolicy::Always).memmap_cmdline(memmap_cmdline);
            with_plan(name, &options, |plan| {
                assert_eq!(plan.cmdline.as_str(), oracle.cmdline, "{name} {variant}")
            });
        }
    }
}

/// "page-zero": the peer moves a firmware RAM range that begins below 0x400 up to there; we
/// hand the firmware's map over as it is.
#[test]
fn memmap_variant_differs_in_page_zero_only() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "memmap");
        let mut expected = oracle.e820.clone();
        assert_eq!(expected[0].0, 0x400);
        expected[0].0 = 0;
        let options = options(BackupPolicy::Always).memmap_cmdline(true);
        with_plan(name, &options, |plan| {
            assert_eq!(e820(plan), expected, "{name}");
            assert_eq!(plan.elfcorehdr.phdrs(), oracle.phdrs, "{name}");
        });
    }
}

/// "segments": setup_data items share one segment; boot_params comes without the real-mode
/// code; the backup has no content. Everything else lies where the peer puts it, given a
/// purgatory of the same size.
#[test]
fn segments_with_a_backup_lie_where_the_peers_do() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "default");
        with_plan(name, &options(BackupPolicy::Always), |plan| {
            for (kind, theirs) in [(SegmentKind::Kernel, "kernel"), (SegmentKind::Initrd, "initrd")] {
                assert_eq!(segment(plan, kind), oracle.segment(theirs), "{name} {theirs}");
            }
            let (mem, memsz, bufsz) = segment(plan, SegmentKind::Backup);
            let theirs = oracle.segment("backup");
            assert_eq!((mem, memsz, bufsz), (theirs.0, theirs.1, 0), "{name} backup");
            let (mem, memsz, _) = segment(plan, SegmentKind::Elfcorehdr);
            let theirs = oracle.segment("elfcorehdr");
            assert_eq!((mem, memsz), (theirs.0, theirs.1), "{name} elfcorehdr");
            let (mem, memsz, _) = segment(plan, SegmentKind::Purgatory);
            let theirs = oracle.segment("entry/purgatory");
            assert_eq!((mem, memsz), (theirs.0, theirs.1), "{name} purgatory");
            let (mem, memsz, _) = segment(plan, SegmentKind::BootParams);
            let theirs = oracle.segment("boot_params");
            assert_eq!((mem + memsz, memsz), (theirs.0 + theirs.1, theirs.1 - 0x4000), "{name} boot_params");
            assert_eq!(segment(plan, SegmentKind::SetupData).0, oracle.segment("setup_data").0);
            assert_eq!(plan.segments.len(), 7);
            assert_eq!((plan.entry, plan.flags.bits()), (oracle.entry, oracle.flags));
        });
    }
}

/// "auto-backup": both running kernels reserve the low 1 MiB, so by default its PT_LOAD is
/// gone and the header lies at the top of the region.
#[test]
fn by_default_low_memory_is_left_out_and_nothing_else() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "default");
        let backup = oracle.segment("backup");
        with_plan(name, &options(BackupPolicy::Auto), |plan| {
            let low = |p_type, p_paddr| p_type == PT_LOAD && p_paddr < LOW_1M;
            let expected: Vec<_> =
                oracle.phdrs.iter().copied().filter(|phdr| !low(phdr.p_type, phdr.p_paddr)).collect();
            assert_eq!(expected.len() + 1, oracle.phdrs.len());
            assert_eq!(plan.elfcorehdr.phdrs(), expected, "{name}");
            assert!(plan.segment(SegmentKind::Backup).is_none());
            let header = segment(plan, SegmentKind::Elfcorehdr).0;
            assert_eq!(header, oracle.segment("elfcorehdr").0 + backup.1, "{name}");
            // What the backup took lets the kernel rise to the next multiple of its alignment.
            for (kind, theirs) in [(SegmentKind::Kernel, "kernel"), (SegmentKind::Initrd, "initrd")] {
                assert_eq!(segment(plan, kind).0, oracle.segment(theirs).0 + 0x20_0000, "{name} {theirs}");
            }
            let mut expected = without_slivers(&oracle.e820);
            let region = expected.iter_mut().find(|entry| entry.2 == 1 && entry.0 > LOW_1M).unwrap();
            region.1 += backup.1;
            assert_eq!(e820(plan), expected, "{name}");
            let kib = oracle.segment("elfcorehdr").0 >> 10;
            let cmdline = oracle.cmdline.replace(&format!("={kib}K"), &format!("={}K", header >> 10));
            assert_eq!(plan.cmdline.as_str(), cmdline, "{name}");
            assert!(plan.remarks.iter().any(|note| note.contains("no backup is made")), "{:?}", plan.remarks);
        });
    }
}

/// The whole page but the image's own header and the e820 table, which have their own tests.
#[test]
fn boot_params_differs_where_listed_only() {
    for name in MACHINES {
        for (variant, memmap_cmdline) in [("default", false), ("memmap", true)] {
            let theirs = peer_file(name, variant, "boot_params");
            let options = options(BackupPolicy::Always).memmap_cmdline(memmap_cmdline);
            with_plan(name, &options, |plan| {
                let ours = &plan.segment(SegmentKind::BootParams).unwrap().data;
                let differing = (0..0x1000_usize)
                    .filter(|at| !(0x1f1..0x26c).contains(at) && !(0x2d0..0xcd0).contains(at))
                    .filter(|&at| ours[at] != theirs[at]);
                for at in differing {
                    let listed = match at {
                        0x22..0x24 => true,                                   // cmdline-offset
                        0x1d0..0x1d4 => name == "efi-1g-612",                 // one-setup_data-segment
                        0x1e8 => name == "bios-512m" && variant == "default", // no-slivers
                        0x002..0x004 | 0x1e0..0x1e4 => variant == "memmap",   // ext_mem_k
                        _ => false,
                    };
                    let (ours, theirs) = (ours[at], theirs[at]);
                    assert!(listed, "{name} {variant}: {ours:#x} instead of {theirs:#x} at {at:#x}");
                }
                assert_eq!(ours[..0x2], theirs[..0x2], "screen_info: both the running kernel's");
                assert_eq!(ours[0x4..0x20], theirs[0x4..0x20], "screen_info");
                assert_eq!(ours[0x210..0x212], theirs[0x210..0x212], "type_of_loader, loadflags");
                assert_eq!(ours[0x218..0x220], theirs[0x218..0x220], "ramdisk");
                assert_eq!(ours[0x1e8], u8::try_from(plan.x86().unwrap().e820.len()).unwrap());
            });
        }
    }
}

/// The bytes of a segment of the peer's plan.
fn peer_file(machine: &str, variant: &str, kind: &str) -> Vec<u8> {
    let dir = plan_support::recorded(machine).join("expected").join(format!("{variant}.segs"));
    let mut entries = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let suffix = format!("-{kind}.bin");
    let path = entries.find(|path| path.to_string_lossy().ends_with(&suffix)).unwrap();
    std::fs::read(path).unwrap()
}

#[test]
fn setup_data_hands_over_the_same_items() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "default");
        with_plan(name, &options(BackupPolicy::Always), |plan| {
            let segment = plan.segment(SegmentKind::SetupData).unwrap();
            let page = &plan.segment(SegmentKind::BootParams).unwrap().data;
            let mut at = u64::from_le_bytes(page[0x250..0x258].try_into().unwrap());
            let mut items = Vec::new();
            while at != 0 {
                let item = &segment.data[usize::try_from(at - segment.mem()).unwrap()..];
                let word = |offset: usize| u32::from_le_bytes(item[offset..offset + 4].try_into().unwrap());
                items.push((word(8), u64::from(word(12))));
                if word(8) == 9 {
                    assert_eq!(item[16..48], [0xa5; 32]);
                }
                if word(8) == 4 {
                    let path =
                        plan_support::recorded(name).join("expected/default.segs/seg-00-setup_data.bin");
                    assert_eq!(item[16..112], std::fs::read(path).unwrap()[16..112], "EFI tables");
                }
                at = u64::from_le_bytes(item[..8].try_into().unwrap());
            }
            // "order of setup_data": the peer's item added last is the first.
            let mut expected: Vec<_> = oracle.setup_data.iter().map(|item| (item.1, item.2)).collect();
            assert!(expected.is_sorted_by(|first, second| first.0 > second.0), "{name}: {expected:?}");
            expected.sort_unstable();
            assert_eq!(items, expected, "{name}");
        });
    }
}

/// "sorted runtime map": the peer keeps the order in which the directory was read.
#[test]
fn efi_runtime_map_is_the_peers_sorted() {
    with_plan("efi-1g-612", &options(BackupPolicy::Always), |plan| {
        let page = &plan.segment(SegmentKind::BootParams).unwrap().data;
        let word =
            |offset: usize| u64::from(u32::from_le_bytes(page[offset..offset + 4].try_into().unwrap()));
        let (map, size) = (word(0x1d0) | word(0x1dc) << 32, usize::try_from(word(0x1d4)).unwrap());
        let segment = plan.segment(SegmentKind::SetupData).unwrap();
        let start = usize::try_from(map - segment.mem()).unwrap();
        let ours = &segment.data[start..start + size];
        let path =
            plan_support::recorded("efi-1g-612").join("expected/default.segs/seg-01-efi_runtime_map.bin");
        let theirs = std::fs::read(path).unwrap();
        let mut theirs: Vec<&[u8]> = theirs.chunks(40).collect();
        theirs.sort_by_key(|descriptor| u64::from_le_bytes(descriptor[8..16].try_into().unwrap()));
        assert_eq!(ours, theirs.concat());
    });
}

/// "32-bit entry": the peer counts the file's size only; we keep what init_size asks for.
#[test]
fn the_32bit_entry_lies_low() {
    for name in MACHINES {
        let oracle = Oracle::read(name, "entry32");
        let options = options(BackupPolicy::Always).entry_32bit(true);
        with_plan(name, &options, |plan| {
            let (mem, memsz, bufsz) = segment(plan, SegmentKind::Kernel);
            let theirs = oracle.segment("kernel");
            assert_eq!((mem, bufsz), (theirs.0, theirs.2), "{name}");
            assert!(memsz > theirs.1, "{name}");
            assert_eq!(segment(plan, SegmentKind::Initrd).0, oracle.segment("initrd").0 + 0x4000, "{name}");
            assert_eq!(plan.elfcorehdr.phdrs(), oracle.phdrs);
            assert_eq!(plan.cmdline.as_str(), oracle.cmdline);
        });
    }
}

/// "hot-plug": git HEAD's plan; the header's size is the same although we add the file
/// header to what crash_elfcorehdr_size says.
#[test]
fn hotplug_reserves_what_the_kernel_may_write() {
    let oracle = Oracle::read("efi-1g-612", "hotplug-head");
    let options = options(BackupPolicy::Always).hotplug(true);
    with_plan("efi-1g-612", &options, |plan| {
        let (mem, memsz, _) = segment(plan, SegmentKind::Elfcorehdr);
        let theirs = oracle.segment("elfcorehdr");
        assert_eq!((mem, memsz), (theirs.0, theirs.1));
        assert_eq!(plan.flags.bits(), oracle.flags);
        assert_eq!(plan.elfcorehdr.phdrs(), oracle.phdrs);
        let purgatory = &plan.segment(SegmentKind::Purgatory).unwrap().data;
        let hashed = purgatory.chunks(16).any(|region| region[..8] == mem.to_le_bytes());
        assert!(!hashed, "the kernel may rewrite the header, so it is not verified");
    });
}
