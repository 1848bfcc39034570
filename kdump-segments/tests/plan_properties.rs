//! What must hold for any machine: every byte of RAM is described once, nothing is lost at
//! any size, and equal inputs give equal plans.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use kdump_elf::{PT_LOAD, PT_NOTE, Phdr, PhysRange};
use kdump_segments::plan::{BackupPolicy, Layout, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{ControlPages, Environment, Verdict, check_plan};
use kdump_segments::segment::SegmentKind;
use kdump_segments::{Error, Machine, MemoryKind, MemoryMap, RangeSet};
use proptest::prelude::*;

use plan_support::{TestPurgatory, bzimage, options, synthetic};

const CRASH: (u64, u64) = (0x2000_0000, 0x3000_0000);

fn small_kernel() -> Vec<u8> {
    bzimage(0x100_0000, 0x1000)
}

fn inputs<'a>(machine: &'a Machine, kernel: &'a [u8], options: &'a PlanOptions) -> PlanInputs<'a> {
    PlanInputs::new(machine, kernel, &TestPurgatory).options(options)
}

fn loads<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = &'p Phdr> {
    plan.elfcorehdr.phdrs().iter().filter(|phdr| phdr.p_type == PT_LOAD)
}

fn range(start: u64, size: u64) -> PhysRange {
    PhysRange::from_len(start, size).unwrap()
}

fn kind() -> impl Strategy<Value = MemoryKind> {
    prop_oneof![
        4 => Just(MemoryKind::Ram),
        1 => Just(MemoryKind::Reserved),
        1 => Just(MemoryKind::Acpi),
        1 => Just(MemoryKind::Pmem),
    ]
}

/// Unaligned ranges anywhere below 4 GiB, overlapping as they come, with the crash region's
/// RAM on top.
fn memory() -> impl Strategy<Value = MemoryMap> {
    let ranges = prop::collection::vec((0_u64..1 << 32, 1_u64..1 << 28, kind()), 1..40);
    ranges.prop_map(|ranges| {
        let mut map = MemoryMap::new();
        for (start, size, kind) in ranges {
            map.insert(range(start, size), kind);
        }
        map.insert(PhysRange::from_half_open(CRASH.0, CRASH.1).unwrap(), MemoryKind::Ram);
        map
    })
}

proptest! {
    #[test]
    fn loads_are_sorted_disjoint_and_exactly_the_ram(
        map in memory(),
        low in prop::option::of((0x1000_0000_u64..0x1f00_0000, 0x1000_u64..0x80_0000)),
        gart in prop::option::of((0_u64..1 << 32, 1_u64..1 << 26)),
        cma in prop::option::of((0x4000_0000_u64..1 << 32, 1_u64..1 << 26)),
        backup in prop_oneof![Just(BackupPolicy::Always), Just(BackupPolicy::Never)],
    ) {
        let mut machine = Machine::new(kdump_elf::Arch::X86_64, 0x1000, map);
        machine.cpu_notes = synthetic(2, 1).cpu_notes;
        machine.crash_regions = low.into_iter().map(|(start, size)| range(start, size)).collect();
        machine.crash_regions.push(PhysRange::from_half_open(CRASH.0, CRASH.1).unwrap());
        machine.gart = RangeSet::from_ranges(gart.map(|(start, size)| range(start, size))).unwrap();
        machine.cma_ranges = RangeSet::from_ranges(cma.map(|(start, size)| range(start, size))).unwrap();
        let (kernel, options) = (small_kernel(), options(backup));
        let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();

        let holes = RangeSet::from_ranges(machine.crash_regions.iter().copied()).unwrap()
            .union(&machine.gart).unwrap().union(&machine.cma_ranges).unwrap().union(&match backup {
                BackupPolicy::Never => RangeSet::from(range(0, 1 << 20)),
                _ => RangeSet::new(),
            }).unwrap();
        let expected = machine.ram().unwrap().subtract(&holes).unwrap();
        let mut end = 0;
        for load in loads(&plan) {
            prop_assert!(load.p_paddr >= end, "sorted and disjoint");
            prop_assert!(load.p_memsz > 0 && load.p_filesz == load.p_memsz);
            end = load.p_paddr + load.p_memsz;
        }
        let described = RangeSet::from_ranges(loads(&plan).map(|load| range(load.p_paddr, load.p_memsz))).unwrap();
        prop_assert_eq!(described, expected);

        let ram = plan.x86().unwrap().e820.iter().filter(|entry| entry.kind == MemoryKind::Ram).map(|entry| entry.range);
        let usable = RangeSet::from_ranges(ram).unwrap();
        for segment in &plan.segments {
            let kept = matches!(segment.kind, SegmentKind::Elfcorehdr | SegmentKind::Backup);
            prop_assert_eq!(usable.overlaps(segment.range), !kept, "{:?}", segment.kind);
        }
        let dumped = RangeSet::from_ranges(loads(&plan)
            .filter(|load| load.p_paddr >= 1 << 20)
            .map(|load| range(load.p_paddr, load.p_memsz))).unwrap();
        prop_assert!(dumped.intersect(&usable).unwrap().is_empty(), "the capture kernel would overwrite the dump");
    }
}

/// Nothing below 640 KiB to save, but RAM above it that a dump must still hold.
#[test]
fn low_memory_that_is_not_backed_up_is_dumped_in_place() {
    let mut map = MemoryMap::new();
    map.insert(range(0xb_0000, 0x1_0000), MemoryKind::Ram);
    map.insert(PhysRange::from_half_open(0x10_0000, 0x4000_0000).unwrap(), MemoryKind::Ram);
    let mut machine = synthetic(2, 1);
    machine.memory = map;
    let (kernel, options) = (small_kernel(), options(BackupPolicy::Always));
    let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
    assert_eq!(loads(&plan).next().map(|load| (load.p_paddr, load.p_offset)), Some((0xb_0000, 0xb_0000)));
    assert!(
        plan.x86().unwrap().e820.iter().all(|entry| entry.range.start() >= 0x10_0000),
        "not for the capture kernel"
    );
    assert!(plan.remarks.iter().any(|note| note.contains("nothing is backed up")));
}

#[test]
fn nothing_is_dropped_at_any_size() {
    for (ranges, cpus) in [(9, 2), (129, 64), (1025, 8), (40_000, 8192)] {
        let machine = synthetic(ranges, cpus);
        let (kernel, options) = (small_kernel(), options(BackupPolicy::Always));
        let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
        let notes = plan.elfcorehdr.phdrs().iter().filter(|phdr| phdr.p_type == PT_NOTE).count();
        assert_eq!(notes, usize::try_from(cpus).unwrap());
        // The crash region splits one range in two.
        assert_eq!(loads(&plan).count() as u64, ranges + 1);
        let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
        assert_eq!(report.failure(), None);
    }
}

/// Reserved ranges go into the memory map the capture kernel is given: 128 in boot_params, the
/// others in setup_data, at any number.
#[test]
fn the_memory_map_has_no_cap() {
    for count in [100_u64, 127, 128, 1030, 40_000] {
        let mut machine = synthetic(2, 1);
        for index in 0..count {
            machine.memory.insert(range(0x80_0000_0000 + index * 0x2000, 0x1000), MemoryKind::Reserved);
        }
        let (kernel, options) = (small_kernel(), options(BackupPolicy::Never));
        let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
        // Low RAM and the crash region come on top.
        assert_eq!(plan.x86().unwrap().e820.len() as u64, count + 2);
        let page = &plan.segment(SegmentKind::BootParams).unwrap().data;
        let setup_data = &plan.segment(SegmentKind::SetupData).unwrap().data;
        let first = u64::from(page[0x1e8]);
        assert_eq!(first, (count + 2).min(128));
        let kind = u32::from_le_bytes(setup_data[8..12].try_into().unwrap());
        let len = u64::from(u32::from_le_bytes(setup_data[12..16].try_into().unwrap()));
        let ext = if kind == 1 { len / 20 } else { 0 };
        assert_eq!(first + ext, count + 2);
    }
}

#[test]
fn a_header_the_kernel_could_not_count_is_refused() {
    let machine = synthetic(65_535, 1);
    let (kernel, options) = (small_kernel(), options(BackupPolicy::Always));
    let error = Layout::new(&inputs(&machine, &kernel, &options)).unwrap_err();
    let too_many = matches!(error, Error::TooMany { what: "program headers", value: 65_537, limit: 65_534 });
    assert!(too_many, "{error}");
}

#[test]
fn equal_inputs_give_equal_plans() {
    let machine = synthetic(300, 4);
    let (kernel, options) = (small_kernel(), options(BackupPolicy::Always));
    let one = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
    let two = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
    assert_eq!(one.segments, two.segments);
    assert_eq!((one.entry, one.cmdline.as_str()), (two.entry, two.cmdline.as_str()));
}

#[test]
fn a_region_that_is_too_small_says_by_how_much() {
    let mut machine = synthetic(2, 1);
    machine.crash_regions = vec![PhysRange::from_half_open(0x2000_0000, 0x2100_0000).unwrap()];
    let (kernel, options) = (bzimage(0x180_0000, 0x1000), options(BackupPolicy::Always));
    let error = Plan::new(&inputs(&machine, &kernel, &options)).unwrap_err();
    let Error::NoRoom { part: "kernel", all: Some(all), .. } = &error else { panic!("{error}") };
    let (total, parts) = (all.total, &all.parts);
    assert_eq!(all.fits_mib, Some(25), "{error}");
    assert_eq!(total >> 20, 24, "{error}");
    // The kernel is the part that did not fit; what would have come after it is in the list too.
    for part in ["kernel 24576 KiB", "elfcorehdr 16 KiB", "backup", "purgatory", "bootparams", "setup_data"] {
        assert!(parts.contains(part), "{part}: {parts}");
    }
    assert!(error.to_string().contains("all parts together take 25 MiB"), "{error}");
    // What is said to be enough is enough, and 1 MiB less is not.
    for (mib, fits) in [(25_u64, true), (24, false)] {
        machine.crash_regions = vec![range(0x2000_0000, mib << 20)];
        assert_eq!(Plan::new(&inputs(&machine, &kernel, &options)).is_ok(), fits, "{mib}");
    }
    machine.crash_regions.clear();
    assert!(matches!(Plan::new(&inputs(&machine, &kernel, &options)), Err(Error::NoCrashRegion)));
}

/// A region in which everything just fits leaves nothing for the kernel's control pages.
#[test]
fn room_for_control_pages_is_kept() {
    let mut machine = synthetic(2, 1);
    let options = options(BackupPolicy::Never).rng_seed(None);
    let kernel = bzimage(0x100_0000, 0x1000);
    let fixed = 0x4000 + 0x9000 + 0x2000;
    for (spare, fits) in [(0, false), (5 << 12, false), (6 << 12, true)] {
        let start = 0x2020_0000 - spare;
        machine.crash_regions = vec![PhysRange::from_half_open(start, 0x2120_0000 + fixed).unwrap()];
        let plan = Plan::new(&inputs(&machine, &kernel, &options));
        assert_eq!(plan.is_ok(), fits, "{spare:#x}: {:?}", plan.err());
    }
}

/// However the kernel takes its control pages, a plan leaves room for them where it looks.
#[test]
fn a_plan_has_control_pages_for_every_kernel() {
    let options = options(BackupPolicy::Never).rng_seed(None);
    let kernel = bzimage(0x100_0000, 0x1000);
    let (mut made, mut refused) = (0, 0);
    for (spare, gib_pages, claimed) in (0..24).flat_map(|spare| {
        [(spare, true, 0), (spare, false, 0), (spare, true, 1), (spare, true, 3), (spare, false, 2)]
    }) {
        let mut machine = synthetic(2, 1);
        machine.gib_pages = Some(gib_pages);
        machine.memory.insert(PhysRange::from_len(7 << 30, 0x1000).unwrap(), MemoryKind::Ram);
        machine.memory.insert(PhysRange::from_len(6 << 30, 0x1000).unwrap(), MemoryKind::Acpi);
        let start = 0x2020_0000 - (spare << 12);
        machine.crash_regions = vec![PhysRange::from_half_open(start, 0x2120_f000).unwrap()];
        // A claimed page in the middle of what is free.
        machine.crash_claimed =
            RangeSet::from_ranges(PhysRange::from_len(start + claimed * 0x1000, 1)).unwrap();
        let Ok(plan) = Plan::new(&inputs(&machine, &kernel, &options)) else {
            refused += 1;
            continue;
        };
        made += 1;
        for way in 0..4 {
            let mut environment = Environment::of_machine(&machine).unwrap();
            environment.five_levels = Some(spare % 2 == 0);
            environment.control_pages =
                ControlPages { pair: Some(way & 1 == 1), whole_gib: Some(way & 2 == 2) };
            let report = check_plan(&plan, &machine, &environment).unwrap();
            let finding = report.findings.iter().find(|finding| finding.rule == "control_pages").unwrap();
            assert_eq!(
                finding.verdict,
                Verdict::Pass,
                "{spare} pages free, {environment:?}: {}",
                finding.detail
            );
        }
    }
    assert!(made > 20 && refused > 20, "{made} plans, {refused} refused");
}

#[test]
fn an_environment_that_forbids_is_told_before_the_call() {
    let machine = synthetic(2, 1);
    let (kernel, options) = (small_kernel(), options(BackupPolicy::Always));
    let plan = Plan::new(&inputs(&machine, &kernel, &options)).unwrap();
    let mut environment = Environment::of_machine(&machine).unwrap();
    environment.capable = Some(false);
    let report = check_plan(&plan, &machine, &environment).unwrap();
    assert_eq!(report.failure().map(|finding| finding.rule), Some("capability"));
    assert!(!report.armed_image_lost);
    assert!(report.findings.iter().any(|finding| finding.verdict == Verdict::Unknown));
}
