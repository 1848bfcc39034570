//! Plans for i386: the class of the core header, what the direct map ends in, and the 32-bit entry.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod machine_support;
mod plan_support;

use kdump_elf::{Arch, Class, CoreHeader, PT_LOAD, Phdr, PhysRange};
use kdump_segments::elfcorehdr::{ElfCoreHeader, LowMemory};
use kdump_segments::plan::{BackupPolicy, KexecFlags, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{
    Buffer, Candidate, CandidateSegment, Environment, Verdict, check, check_plan, control_pages,
};
use kdump_segments::purgatory::{Entry, Handover, LinkedPurgatory, Purgatory, PurgatoryError};
use kdump_segments::segment::SegmentKind;
use kdump_segments::{Error, Machine, MachineFiles, MemoryKind, MemoryMap, Source, Sourced};

use machine_support::Kcore;
use plan_support::{TestPurgatory, bzimage, options, synthetic};

const BASE: u64 = 0xc000_0000;
/// Where the direct map of the machine ends.
const END: u64 = 0x37ff_e000;
const GIB: u64 = 1 << 30;

/// Its content is what it was told: the entry, the kernel's parameters, and where the copy of low
/// memory goes.
struct I386Purgatory;

impl Purgatory for I386Purgatory {
    fn arch(&self) -> Arch {
        Arch::I386
    }

    fn memsz(&self) -> u64 {
        0x6000
    }

    fn align(&self) -> u64 {
        16
    }

    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        let Entry::X86Bits32 { eip, boot_params } = handover.entry else {
            return Err("not a 32-bit entry".into());
        };
        let copy = handover.backup.map_or(0, |copy| copy.destination as u32);
        let bytes = [eip, boot_params, copy].into_iter().flat_map(u32::to_le_bytes).collect();
        Ok(LinkedPurgatory { bytes, entry: base })
    }
}

/// RAM up to `end`, of which the direct map has 896 MiB less two pages.
fn machine(end: u64) -> Machine {
    let mut map = MemoryMap::new();
    for (start, end) in [(0x1000, 0x9_fc00), (0x10_0000, end.min(0xf000_0000)), (4 * GIB, end)] {
        if let Ok(range) = PhysRange::from_half_open(start, end) {
            map.insert(range, MemoryKind::Ram);
        }
    }
    let mut machine = Machine::new(Arch::I386, 0x1000, map);
    machine.cpu_notes = synthetic(2, 2).cpu_notes;
    machine.crash_regions = vec![PhysRange::from_half_open(0x1000_0000, 0x1800_0000).unwrap()];
    for (cpu, note) in machine.cpu_notes.iter_mut().enumerate() {
        note.paddr = 0x300_0000 + cpu as u64 * 256;
        note.size = 256;
    }
    machine.kernel.direct_map_base = Some(Sourced::new(BASE, Source::KcorePhdrs));
    machine.kernel.direct_map_end = Some(Sourced::new(END, Source::KcorePhdrs));
    machine
}

/// As Debian's: no 64-bit entry, 16 MiB alignment.
fn kernel() -> Vec<u8> {
    let mut file = bzimage(0x180_0000, 0x60_0000);
    file[0x236..0x238].copy_from_slice(&0_u16.to_le_bytes());
    file[0x230..0x234].copy_from_slice(&0x100_0000_u32.to_le_bytes());
    file[0x22c..0x230].copy_from_slice(&0x37ff_ffff_u32.to_le_bytes());
    file
}

fn plan<'a>(machine: &'a Machine, kernel: &'a [u8], options: &'a PlanOptions) -> Result<Plan<'a>, Error> {
    static INITRD: [u8; 1_000_001] = [7; 1_000_001];
    Plan::new(&PlanInputs::new(machine, kernel, &I386Purgatory).options(options).initrd(Some(&INITRD)))
}

fn loads(plan: &Plan<'_>) -> Vec<Phdr> {
    let bytes = &plan.segment(SegmentKind::Elfcorehdr).unwrap().data;
    let header = CoreHeader::parse(bytes).unwrap();
    assert_eq!(header.ehdr().e_machine, 3);
    assert_eq!(header.encoding(), plan.elfcorehdr.encoding());
    header.phdrs().filter(|phdr| phdr.p_type == PT_LOAD).collect()
}

fn word(plan: &Plan<'_>, index: usize) -> u64 {
    let bytes = &plan.segment(SegmentKind::Purgatory).unwrap().data;
    u32::from_le_bytes(bytes[index * 4..][..4].try_into().unwrap()).into()
}

fn reason(error: Error) -> String {
    error.to_string()
}

#[test]
fn highmem_has_no_virtual_address() {
    let (machine, kernel, options) = (machine(GIB), kernel(), options(BackupPolicy::Never));
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(plan.elfcorehdr.encoding().class, Class::Elf32);
    let found: Vec<_> = loads(&plan).iter().map(|load| (load.p_paddr, load.p_memsz, load.p_vaddr)).collect();
    assert_eq!(
        found,
        [
            (0x10_0000, 0x1000_0000 - 0x10_0000, BASE + 0x10_0000),
            (0x1800_0000, END - 0x1800_0000, BASE + 0x1800_0000),
            (END, GIB - END, 0xffff_ffff),
        ]
    );
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    assert_eq!(report.failure(), None);
    assert_eq!(plan.flags, KexecFlags::from_bits_retain(1 | 3 << 16));
}

#[test]
fn the_border_need_not_cut_a_range() {
    let options = options(BackupPolicy::Never);
    for (end, last) in [(END, (0x1800_0000, BASE + 0x1800_0000)), (END + 0x1000, (END, 0xffff_ffff))] {
        let (machine, kernel) = (machine(end), kernel());
        let plan = plan(&machine, &kernel, &options).unwrap();
        let found = loads(&plan);
        let found = found.last().unwrap();
        assert_eq!((found.p_paddr, found.p_vaddr), last);
    }
}

#[test]
fn the_class_follows_the_addresses_unless_asked_for() {
    let kernel = kernel();
    for (end, class, wanted) in [
        (GIB, None, Some(Class::Elf32)),
        (GIB, Some(Class::Elf64), Some(Class::Elf64)),
        (5 * GIB, None, Some(Class::Elf64)),
        (5 * GIB, Some(Class::Elf32), None),
    ] {
        let (machine, options) = (machine(end), options(BackupPolicy::Never).elf_class(class));
        match (plan(&machine, &kernel, &options), wanted) {
            (Ok(plan), Some(wanted)) => {
                assert_eq!(plan.elfcorehdr.encoding().class, wanted, "{end:#x}");
                let none = plan.elfcorehdr.encoding().word_max();
                let found = loads(&plan);
                let high = found.iter().filter(|load| load.p_paddr >= END);
                assert!(high.clone().count() > 0 && high.clone().all(|load| load.p_vaddr == none));
            }
            (Err(error), None) => assert!(reason(error).contains("does not fit 32 bits")),
            (made, _) => panic!("{end:#x}, {class:?}: {made:?}"),
        }
    }
    assert_eq!(ElfCoreHeader::class_for(&synthetic(2, 1)).unwrap(), Class::Elf64, "x86_64 has one class");
}

#[test]
fn it_is_entered_in_32_bit_mode_and_low_memory_is_read_from_its_copy() {
    let (machine, kernel, options) = (machine(GIB), kernel(), options(BackupPolicy::Always));
    let plan = plan(&machine, &kernel, &options).unwrap();
    let start = |kind| plan.segment(kind).unwrap().mem();
    assert_eq!(word(&plan, 0), start(SegmentKind::Kernel));
    assert_eq!(word(&plan, 1), start(SegmentKind::BootParams));
    assert_eq!(word(&plan, 2), start(SegmentKind::Backup));
    assert_eq!(start(SegmentKind::Kernel) % 0x100_0000, 0);
    let low = loads(&plan)[0];
    assert_eq!((low.p_paddr, low.p_memsz, low.p_vaddr), (0x1000, 0x9_ec00, BASE + 0x1000));
    assert_eq!(low.p_offset, start(SegmentKind::Backup));
    assert!(matches!(plan.low_memory, LowMemory::BackedUp { .. }));
    let said = plan.remarks.join("; ");
    assert!(!said.contains("64-bit entry"), "{said}");
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    assert_eq!(report.failure(), None);
}

/// An ELF kernel of one class, linked for the crash region.
fn vmlinux(class: u8, e_machine: u16) -> Vec<u8> {
    let mut file = vec![0; 0x1000];
    file[0x800] = 0xcc;
    file[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1, 1]);
    file[16..18].copy_from_slice(&2_u16.to_le_bytes());
    file[18..20].copy_from_slice(&e_machine.to_le_bytes());
    file[20] = 1;
    let (start, size) = (0x1100_0000_u64, 0x2000_u64);
    let wide = class == 2;
    let mut put = |at: usize, value: u64| {
        let len = if wide { 8 } else { 4 };
        file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    };
    if wide {
        for (at, value) in [
            (24, start),
            (32, 64),
            (72, 0x800),
            (80, start + 0xffff_ffff_8000_0000),
            (88, start),
            (96, 16),
            (104, size),
        ] {
            put(at, value);
        }
    } else {
        for (at, value) in
            [(24, start), (28, 52), (56, 0x800), (60, BASE + start), (64, start), (68, 16), (72, size)]
        {
            put(at, value);
        }
    }
    let (ehsize, phentsize, sizes, first) = if wide { (64, 56, 52, 64) } else { (52, 32, 40, 52) };
    for (at, value) in [(sizes, ehsize), (sizes + 2, phentsize), (sizes + 4, 1_u16)] {
        file[at..at + 2].copy_from_slice(&value.to_le_bytes());
    }
    file[first] = 1;
    file
}

#[test]
fn elf_kernels_are_entered_where_they_say() {
    let (machine, kernel, options) = (machine(GIB), vmlinux(1, 3), options(BackupPolicy::Never));
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(word(&plan, 0), 0x1100_0000);
    assert_eq!(plan.segment(SegmentKind::Kernel).unwrap().mem(), 0x1100_0000);
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    assert_eq!(report.failure(), None);
}

/// It would run, refuse the header and export nothing.
#[test]
fn a_kernel_for_x86_64_is_refused() {
    let (machine, options) = (machine(GIB), options(BackupPolicy::Never));
    for kernel in [bzimage(0x100_0000, 0x1000), vmlinux(2, 62)] {
        for options in [options.clone(), options.clone().entry_32bit(true)] {
            let error = reason(plan(&machine, &kernel, &options).unwrap_err());
            assert!(error.contains("it is for x86_64, whose kernels refuse the core header"), "{error}");
        }
    }
}

#[test]
fn a_purgatory_of_another_architecture_is_refused() {
    let (machine, kernel, options) = (machine(GIB), kernel(), options(BackupPolicy::Never));
    let inputs = PlanInputs::new(&machine, &kernel, &TestPurgatory).options(&options);
    let error = reason(Plan::new(&inputs).unwrap_err());
    assert!(error.contains("i386") && error.contains("x86_64"), "{error}");
}

/// One page into a region at `start`.
fn verdict(start: u64) -> Verdict {
    let mut environment = Environment::of_machine(&machine(GIB)).unwrap();
    environment.crash_region = PhysRange::from_len(start, 1 << 20).ok();
    let mem = start + (1 << 19);
    let segment = CandidateSegment { mem, memsz: 0x1000, bufsz: 0x1000, buffer: Buffer::Readable };
    let candidate = Candidate { entry: mem, flags: 1 | 3 << 16, segments: vec![segment] };
    let report = check(&candidate, &environment).unwrap();
    report.findings.iter().find(|finding| finding.rule == "destination_limit").unwrap().verdict
}

#[test]
fn segments_end_below_4_gib() {
    assert_eq!(verdict(0x1000_0000), Verdict::Pass);
    assert_eq!(verdict(4 * GIB - (1 << 20)), Verdict::Pass);
    assert_eq!(verdict(4 * GIB - (1 << 19) - 0x1000), Verdict::Fail, "its end is the first address above");
    assert_eq!(verdict(4 * GIB), Verdict::Fail);
    assert!(!control_pages(&Environment::of_machine(&machine(GIB)).unwrap()).unwrap().is_empty());
}

const IOMEM: &str = "\
00001000-0009fbff : System RAM
00100000-3ffdffff : System RAM
  0e000000-0e8fffff : Kernel code
  0ea00000-0ec11fff : Kernel data
  0ed48000-0ee1dfff : Kernel bss
  10000000-17ffffff : Crash kernel
";

fn described(kcore: Option<&[(u64, u64, u64)]>) -> Machine {
    let mut files = MachineFiles::new();
    files.insert("proc/iomem", IOMEM);
    files.insert("proc/sys/kernel/arch", "i686\n");
    files.insert("proc/kallsyms", "ce000000 T _text\ncee1e000 B _end\n");
    if let Some(loads) = kcore {
        files.insert("proc/kcore", Kcore::new(Arch::I386, loads, "PAGESIZE=4096\n").build().0);
    }
    Machine::from_files(&files).unwrap()
}

/// The kernel lists its direct map and, without a physical address, its vmalloc area.
#[test]
fn kcore_tells_where_the_direct_map_ends() {
    let machine = described(Some(&[(0xf87f_e000, 0xffff_ffff, 0x77f_e000), (BASE, 0, END)]));
    assert_eq!(machine.kernel.direct_map_base, Some(Sourced::new(BASE, Source::KcorePhdrs)));
    assert_eq!(machine.kernel.direct_map_end, Some(Sourced::new(END, Source::KcorePhdrs)));
    let text = machine.kernel.text.unwrap().value;
    assert_eq!((text.vaddr, text.paddr, text.size), (0xce00_0000, 0xe00_0000, 0xe1_e000));
    // Another split of the addresses.
    let machine = described(Some(&[(0x8000_0000, 0, 0x4000_0000), (0xc880_0000, 0xffff_ffff, 0x3700_0000)]));
    assert_eq!(machine.kernel.direct_map_base.unwrap().value, 0x8000_0000);
    assert_eq!(machine.kernel.direct_map_end.unwrap().value, GIB);
}

#[test]
fn without_kcore_the_usual_split_is_taken() {
    let old = [(0xf87f_e000, 0, 0x77f_e000), (BASE, 0, END)];
    for machine in [described(None), described(Some(&old))] {
        assert_eq!(machine.kernel.direct_map_base, Some(Sourced::new(BASE, Source::Architecture)));
        assert_eq!(machine.kernel.direct_map_end, Some(Sourced::new(0x3800_0000, Source::Architecture)));
    }
}

const NAME: &str = "i386-1g-61";

/// Debian's kernel lists no `_end`, and its region ends where the kernel begins.
#[test]
fn a_recorded_machine_is_described_and_planned_for() {
    let machine = plan_support::machine(NAME);
    assert_eq!((machine.arch, machine.page_size), (Arch::I386, 0x1000));
    assert_eq!(machine.kernel.direct_map_base, Some(Sourced::new(BASE, Source::KcorePhdrs)));
    assert_eq!(machine.kernel.direct_map_end, Some(Sourced::new(0x36bf_e000, Source::KcorePhdrs)));
    let text = machine.kernel.text.as_ref().unwrap().value;
    assert_eq!((text.vaddr, text.paddr, text.size), (0xd500_0000, 0x1500_0000, 0xee_6000));
    assert_eq!(machine.cpu_notes.iter().map(|note| note.size).collect::<Vec<_>>(), [176, 176]);
    assert!(!machine.sha_instructions);
    let (kernel, options) = (kernel(), options(BackupPolicy::Auto));
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(plan.low_memory, LowMemory::NotDumped, "{:?}", plan.remarks);
    let found: Vec<_> = loads(&plan).iter().map(|load| (load.p_paddr, load.p_memsz, load.p_vaddr)).collect();
    assert_eq!(
        found,
        [
            (0x10_0000, 0x8f0_0000, 0xc010_0000),
            (0x1500_0000, 0x21bf_e000, 0xd500_0000),
            (0x36bf_e000, 0x93d_f000, 0xffff_ffff),
        ]
    );
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    assert_eq!(report.failure(), None);
}

/// The PT_LOADs that kexec-tools 2.0.25 for i386 makes of the same files, under the recorded /proc and
/// /sys: p_offset, p_paddr, p_vaddr, p_memsz.
const KEXEC_TOOLS: [[u64; 4]; 4] = [
    [0x14f6_1000, 0x1000, 0xc000_1000, 0x9_ec00],
    [0x10_0000, 0x10_0000, 0xc010_0000, 0x8f0_0000],
    [0x1500_0000, 0x1500_0000, 0xd500_0000, 0x2300_0000],
    [0x3800_0000, 0x3800_0000, 0xffff_ffff, 0x7fd_d000],
];

/// kexec-tools takes the usual border of the direct map, we the one that kcore lists. Without kcore
/// there is no difference.
#[test]
fn program_headers_as_those_of_kexec_tools_but_for_the_border() {
    let (kernel, options) = (kernel(), options(BackupPolicy::Always));
    for kcore in [true, false] {
        let mut files = MachineFiles::read(&plan_support::recorded(NAME)).unwrap();
        if !kcore {
            files.insert("proc/kcore", Kcore::new(Arch::I386, &[(BASE, 0, 0x36bf_e000)], "").build().0);
        }
        let machine = Machine::from_files(&files).unwrap();
        let plan = plan(&machine, &kernel, &options).unwrap();
        let ours = loads(&plan);
        let ours = ours.iter().map(|load| [load.p_offset, load.p_paddr, load.p_vaddr, load.p_memsz]);
        let mut theirs = KEXEC_TOOLS;
        if kcore {
            theirs[2][3] = 0x36bf_e000 - 0x1500_0000;
            theirs[3] = [0x36bf_e000, 0x36bf_e000, 0xffff_ffff, 0x3ffd_d000 - 0x36bf_e000];
        }
        assert_eq!(ours.collect::<Vec<_>>(), theirs);
        assert!(plan.cmdline.as_str().ends_with(" acpi_rsdp=0xf59d0 elfcorehdr=343412K"));
    }
}

/// RAM that is listed twice is found although its PT_LOAD begins where the kernel's image does.
#[test]
fn ram_that_begins_with_the_image_is_looked_at() {
    let machine = plan_support::machine(NAME);
    let (kernel, options) = (kernel(), options(BackupPolicy::Auto));
    let mut plan = plan(&machine, &kernel, &options).unwrap();
    let segment = plan.segments.iter_mut().find(|segment| segment.kind == SegmentKind::Elfcorehdr).unwrap();
    // p_paddr, p_filesz and p_memsz of the PT_LOAD before, which now reaches into it.
    let (header, phdr) = (52, 32);
    let before = header + phdr * 3;
    let mut bytes = segment.data.to_vec();
    for (at, value) in [(4, 0x1600_0000_u32), (12, 0x1600_0000), (16, 0x1000), (20, 0x1000)] {
        bytes[before + at..before + at + 4].copy_from_slice(&value.to_le_bytes());
    }
    segment.data = bytes.into();
    let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    let memory = report.findings.iter().find(|finding| finding.rule == "elfcorehdr_memory").unwrap();
    assert_eq!(memory.verdict, Verdict::Fail, "{}", memory.detail);
    assert!(memory.detail.contains("overlaps the one before it"), "{}", memory.detail);
}
