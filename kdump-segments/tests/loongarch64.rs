//! Plans for loongarch64: a machine made from what is documented, because no guest of it was recorded.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod machine_support;
mod plan_support;

use std::borrow::Cow;

use kdump_elf::{Arch, Class, PT_LOAD, PhysRange};
use kdump_segments::image::{Image, elf_extent};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, Verdict, check_plan};
use kdump_segments::purgatory::{Handover, LinkedPurgatory, Purgatory, PurgatoryError};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::{Error, Machine, MachineFiles};

use plan_support::{bzimage, options};

const PAGE: u64 = 16 << 10;
const DIRECT: u64 = 0x9000_0000_0000_0000;
const REGION: u64 = 0x1000_0000;
const INITRD: &[u8] = &[7; 300_001];
/// What the kernel is linked for.
const LINKED: u64 = 0x20_0000;

struct AnyPurgatory;

impl Purgatory for AnyPurgatory {
    fn arch(&self) -> Arch {
        Arch::LoongArch64
    }

    fn memsz(&self) -> u64 {
        0x5000
    }

    fn align(&self) -> u64 {
        16
    }

    fn link(&self, base: u64, _: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        Ok(LinkedPurgatory { bytes: vec![0x5a; 0x4000], entry: base })
    }
}

fn machine() -> Machine {
    let mut files = MachineFiles::new();
    files.insert("proc/sys/kernel/arch", "loongarch64\n");
    let iomem = "00200000-0fffffff : System RAM\n  00200000-01bfffff : Kernel code\n  01c00000-02ffffff : Kernel data\n\
        10000000-4fffffff : System RAM\n  10000000-1fffffff : Crash kernel\n90000000-afffffff : System RAM\n";
    files.insert("proc/iomem", iomem);
    files.insert("sys/devices/system/cpu/cpu0/crash_notes", "a0000000\n");
    files.insert("sys/devices/system/cpu/cpu0/crash_notes_size", "512\n");
    files.insert("sys/kernel/vmcoreinfo", "0x00000000a0100000 1024\n");
    files.insert("proc/kallsyms", format!("{0:x} T _stext\n{0:x} T _text\n", DIRECT + LINKED));
    let text = format!("OSRELEASE=6.12\nPAGESIZE={PAGE}\n");
    let ram = (DIRECT + 0x1000_0000, 0x1000_0000, 0x4000_0000);
    let kcore = machine_support::Kcore::new(Arch::LoongArch64, &[ram], &text);
    files.insert("proc/kcore", kcore.build().0);
    Machine::from_files(&files).unwrap()
}

/// An ELF kernel for `e_machine` with one PT_LOAD, and a section of this name.
fn vmlinux(e_machine: u16, section: &str, paddr: u64) -> Vec<u8> {
    let mut file = vec![0; 0x1_0000];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    for (at, value) in [(16, 2), (18, e_machine), (52, 64), (54, 56), (56, 1), (58, 64), (60, 2), (62, 1)] {
        put(at, &value.to_le_bytes());
    }
    put(20, &1_u32.to_le_bytes());
    // Entry, program headers, section headers: none and names.
    for (at, value) in [(24, DIRECT + paddr + 0x1000), (32, 64), (40, 0xc000)] {
        put(at, &value.to_le_bytes());
    }
    put(64, &[1, 0, 0, 0, 7]);
    for (at, value) in
        [(72, 0x4000), (80, DIRECT + paddr), (88, paddr), (96, 0x8000), (104, 0x80_0000), (112, PAGE)]
    {
        put(at, &value.to_le_bytes());
    }
    put(0x4000, &[0x5a; 0x8000]);
    put(0xc040, &1_u32.to_le_bytes());
    put(0xc040 + 24, &0xd000_u64.to_le_bytes());
    put(0xd001, section.as_bytes());
    file
}

fn moving() -> Vec<u8> {
    vmlinux(258, ".la_abs", LINKED)
}

fn loong_options() -> PlanOptions {
    options(BackupPolicy::Auto)
}

fn plan<'a>(machine: &'a Machine, kernel: &'a [u8], options: &'a PlanOptions) -> Result<Plan<'a>, Error> {
    let inputs = PlanInputs::new(machine, kernel, &AnyPurgatory).options(options).initrd(Some(INITRD));
    Plan::new(&inputs)
}

fn failing(plan: &Plan<'_>, machine: &Machine) -> Option<(String, String)> {
    let report = check_plan(plan, machine, &Environment::of_machine(machine).unwrap()).unwrap();
    report.failure().map(|finding| (finding.rule.to_owned(), finding.detail.clone()))
}

#[test]
fn a_kernel_that_moves_itself_lies_lowest_and_is_told_everything() {
    let (machine, kernel, options) = (machine(), moving(), loong_options());
    assert_eq!((machine.arch, machine.page_size), (Arch::LoongArch64, PAGE));
    let made = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&made, &machine), None);
    let range = |kind| made.segment(kind).unwrap().range;
    assert_eq!(range(SegmentKind::Kernel), PhysRange::from_len(REGION, 0x80_0000).unwrap());
    for segment in &made.segments {
        assert_eq!((segment.mem() | segment.memsz()) % PAGE, 0, "{segment:?}");
    }
    let header = range(SegmentKind::Elfcorehdr);
    let line = format!(
        "kexec {} initrd={},300001 elfcorehdr={}K@{}K mem=262144K@262144K",
        plan_support::APPEND,
        range(SegmentKind::Initrd).start(),
        header.size() >> 10,
        header.start() >> 10,
    );
    assert_eq!(made.cmdline.as_str(), line);
    assert_eq!(*made.segment(SegmentKind::BootParams).unwrap().data, *format!("{line}\0").as_bytes());
    assert!(made.loongarch64().is_some_and(|plan| plan.usable == machine.crash_regions));
    assert!(made.device_tree().is_none() && made.x86().is_none());
    assert!(!made.warnings.iter().any(|warning| warning.contains("mem=")), "no limit: {:?}", made.warnings);
    let bytes = &made.segment(SegmentKind::Elfcorehdr).unwrap().data;
    assert_eq!(bytes[..20], *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\x02\x01", "ELF64, core, 258");
    let loads: Vec<_> = made.elfcorehdr.phdrs().iter().filter(|phdr| phdr.p_type == PT_LOAD).collect();
    assert_eq!(loads.len(), 3, "the image has its addresses in the direct map: {loads:?}");
    assert!(loads.iter().all(|load| load.p_vaddr == DIRECT + load.p_paddr), "{loads:x?}");
}

/// What no documentation tells is not guessed.
#[test]
fn what_is_not_known_is_said() {
    let (machine, kernel, options) = (machine(), moving(), loong_options());
    let made = plan(&machine, &kernel, &options).unwrap();
    let report = check_plan(&made, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
    for rule in ["destination_limit", "control_pages"] {
        let finding = report.findings.iter().find(|finding| finding.rule == rule).unwrap();
        assert_eq!(finding.verdict, Verdict::Unknown, "{finding:?}");
        assert!(finding.detail.contains("loongarch64"), "{finding:?}");
    }
}

#[test]
fn a_kernel_that_does_not_move_lies_where_it_is_linked_or_nowhere() {
    let (machine, options) = (machine(), loong_options());
    let linked = vmlinux(258, ".data", REGION + 0x40_0000);
    let made = plan(&machine, &linked, &options).unwrap();
    assert_eq!(made.segment(SegmentKind::Kernel).unwrap().mem(), REGION + 0x40_0000);
    assert_eq!(failing(&made, &machine), None);
    let error = plan(&machine, &vmlinux(258, ".data", LINKED), &options).unwrap_err().to_string();
    assert!(error.contains("without .la_abs") && error.contains("0x200000"), "{error}");
    // Cut off behind what is loaded, it cannot tell.
    let error = plan(&machine, &moving()[..0xc000], &options).unwrap_err().to_string();
    assert!(error.contains("without .la_abs"), "{error}");
    assert_eq!(elf_extent(&moving(), 0x1_0000).unwrap(), 0x1_0000, "section headers are read, too");
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let machine = machine();
    let conflict = |kernel: &[u8], options: &PlanOptions, what: &str| {
        let error = plan(&machine, kernel, options).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    conflict(&vmlinux(183, ".la_abs", LINKED), &loong_options(), "an ELF kernel for arm64");
    conflict(&bzimage(0x100_0000, 0x1000), &loong_options(), "the machine is loongarch64");
    conflict(&moving(), &loong_options().elf_class(Some(Class::Elf32)), "ELF32");
    conflict(&moving(), &options(BackupPolicy::Always), "backup");
    conflict(&moving(), &loong_options().cmdline("x".repeat(4090)), "4089");
    assert!(matches!(Image::parse(&moving(), PAGE), Ok(Image::Vmlinux(_))));
}

/// Whatever stands in the section headers: an answer, not a crash.
#[test]
fn damaged_section_headers_never_stop_the_planner() {
    let (machine, options) = (machine(), loong_options());
    for at in (40..48).chain(58..64).chain(0xc000..0xc080) {
        for value in [0, 1, 0x7f, 0xff] {
            let mut kernel = moving();
            kernel[at] = value;
            let _ = plan(&machine, &kernel, &options);
        }
    }
}

fn segment<'p, 'a>(plan: &'p mut Plan<'a>, kind: SegmentKind) -> &'p mut Segment<'a> {
    plan.segments.iter_mut().find(|segment| segment.kind == kind).unwrap()
}

#[test]
fn each_defect_is_found_by_its_rule() {
    type Damage = fn(&mut Plan<'_>);
    let cases: [(&str, Damage); 9] = [
        ("elfcorehdr_decodes", |plan| segment(plan, SegmentKind::Elfcorehdr).data.to_mut()[18] = 183),
        ("kernel_alignment", |plan| {
            let kernel = segment(plan, SegmentKind::Kernel);
            kernel.range = PhysRange::from_len(kernel.mem() + PAGE, kernel.memsz()).unwrap();
        }),
        ("one_command_line", |plan| segment(plan, SegmentKind::BootParams).data.to_mut()[0] = b'K'),
        ("one_command_line", |plan| segment(plan, SegmentKind::BootParams).data.to_mut()[9] ^= 1),
        ("one_command_line", |plan| segment(plan, SegmentKind::Initrd).data = Cow::Borrowed(b"kexec")),
        ("command_line", |plan| {
            let header = segment(plan, SegmentKind::Elfcorehdr);
            header.range = PhysRange::from_len(header.mem() - PAGE, header.memsz()).unwrap();
        }),
        ("command_line", |plan| plan.cmdline_limit = 3),
        ("segments_in_capture_ram", |plan| {
            let purgatory = segment(plan, SegmentKind::Purgatory);
            purgatory.range = PhysRange::from_len(0x3000_0000, PAGE).unwrap();
        }),
        ("entry_in_purgatory", |plan| plan.entry -= 4),
    ];
    let (machine, kernel, options) = (machine(), moving(), loong_options());
    for (rule, damage) in cases {
        let mut plan = plan(&machine, &kernel, &options).unwrap();
        damage(&mut plan);
        let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
        let failed =
            report.findings.iter().any(|finding| finding.rule == rule && finding.verdict == Verdict::Fail);
        assert!(failed, "{rule}: {:#?}", report.findings);
    }
}
