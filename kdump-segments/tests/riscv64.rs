//! Plans for riscv64: a recorded guest of Debian 13, and what can be wrong with its files, its images and
//! its plans. What it shares with arm64 (trees, their damage, unpacking) is tried in `arm64.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test fails by panicking"
)]

mod plan_support;

use std::borrow::Cow;
use std::io::Write;
use std::process::{Command, Stdio};

use kdump_elf::{Arch, Class, PT_LOAD, PT_NOTE, PhysRange};
use kdump_segments::image::{FlatImage, Image, unpack};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, Verdict, check_plan};
use kdump_segments::purgatory::{Handover, LinkedPurgatory, Purgatory, PurgatoryError, Serial, SerialPort};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::{CrashkernelLimits, CrashkernelRequest, Error, Machine, MachineFiles, RangeSet};

use plan_support::{bzimage, machine, options, recorded};

const NAME: &str = "riscv64-1g-612";
const TEXT: u64 = 0xffff_ffff_8000_2000;
const CODE: u64 = 0x8020_2000;
const REGION: u64 = 0xacc0_0000;
static INITRD: [u8; 3_000_001] = [7; 3_000_001];

struct RiscvPurgatory;

impl Purgatory for RiscvPurgatory {
    fn arch(&self) -> Arch {
        Arch::Riscv64
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

/// An Image with the header of Debian's (Documentation/arch/riscv/boot-image-header.rst).
fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut file = vec![0; 0x10_0000];
    file[..2].copy_from_slice(b"MZ");
    for (at, value) in [(8, text_offset), (16, image_size), (24, flags), (32, 2)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file[48..56].copy_from_slice(b"RISCV\0\0\0");
    file[56..60].copy_from_slice(b"RSC\x05");
    file
}

fn debian() -> Vec<u8> {
    image(0x20_0000, 0x1e6_b000, 0)
}

fn riscv_options() -> PlanOptions {
    options(BackupPolicy::Auto)
}

fn plan<'a>(machine: &'a Machine, kernel: &'a [u8], options: &'a PlanOptions) -> Result<Plan<'a>, Error> {
    let inputs = PlanInputs::new(machine, kernel, &RiscvPurgatory).options(options).initrd(Some(&INITRD));
    Plan::new(&inputs)
}

fn failing(plan: &Plan<'_>, machine: &Machine) -> Option<(String, String)> {
    let report = check_plan(plan, machine, &Environment::of_machine(machine).unwrap()).unwrap();
    report.failure().map(|finding| (finding.rule.to_owned(), finding.detail.clone()))
}

fn run(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

/// What dtc makes of a tree: another reader than ours.
fn decompiled(dtb: &[u8]) -> String {
    String::from_utf8(run("dtc", &["-q", "-I", "dtb", "-O", "dts"], dtb)).unwrap()
}

#[test]
fn the_machine_is_described_rightly() {
    let machine = machine(NAME);
    assert_eq!((machine.arch, machine.page_size), (Arch::Riscv64, 0x1000));
    let text = machine.kernel.text.as_ref().unwrap().value;
    assert_eq!((text.vaddr, text.paddr, text.size), (TEXT, CODE, 0x1e6_9000));
    let info = machine.kernel.direct_map_base.as_ref().unwrap();
    assert_eq!(info.value, 0xff60_0000_0000_0000 - 0x8000_0000, "{info:?}");
    assert_eq!(machine.crash_regions, [PhysRange::from_len(REGION, 256 << 20).unwrap()]);
    assert!(!machine.sha_instructions && machine.device_tree.is_some());
}

/// The header that the reference has: notes, then the kernel's text, then RAM.
#[test]
fn the_core_header_is_that_of_riscv() {
    let (machine, kernel, options) = (machine(NAME), debian(), riscv_options());
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&plan, &machine), None);
    let header = &plan.segment(SegmentKind::Elfcorehdr).unwrap().data;
    assert_eq!(header[..20], *b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x04\0\xf3\0", "ELF64, core, 243");
    let phdrs = plan.elfcorehdr.phdrs();
    let notes: Vec<_> = phdrs.iter().filter(|phdr| phdr.p_type == PT_NOTE).map(|phdr| phdr.p_paddr).collect();
    assert_eq!(notes, [0xbffc_4600, machine.cpu_notes[1].paddr, 0x82ce_8000]);
    let loads: Vec<_> = phdrs.iter().filter(|phdr| phdr.p_type == PT_LOAD).collect();
    assert_eq!((loads[0].p_vaddr, loads[0].p_paddr, loads[0].p_memsz), (TEXT, CODE, 0x1e6_9000));
    for load in &loads[1..] {
        assert_eq!(load.p_vaddr, 0xff60_0000_0000_0000 + load.p_paddr - 0x8000_0000, "{load:?}");
    }
    let ram: Vec<_> = loads[1..].iter().map(|load| (load.p_paddr, load.p_memsz)).collect();
    assert_eq!(ram, [(0x8000_0000, 0x2cc0_0000), (0xbcc0_0000, 0x340_0000)]);
}

/// Without what tells where the kernel lies, there is no header of its text, and never a wrong one.
#[test]
fn no_source_makes_a_wrong_text_header() {
    let known = |change: &dyn Fn(&mut MachineFiles)| {
        let mut files = MachineFiles::read(&recorded(NAME)).unwrap();
        change(&mut files);
        files.insert("proc/sys/kernel/arch", "riscv64\n");
        let machine = Machine::from_files(&files).unwrap();
        let (kernel, options) = (debian(), riscv_options());
        let made = plan(&machine, &kernel, &options).unwrap();
        assert_eq!(failing(&made, &machine), None);
        let text = machine.kernel.text.map(|text| (text.value.vaddr, text.value.paddr));
        assert!(text.is_none_or(|text| text == (TEXT, CODE)), "{text:x?}");
        text.is_some()
    };
    assert!(known(&|_| {}));
    assert!(known(&|files| drop(files.remove("proc/kallsyms"))));
    assert!(known(&|files| drop(files.remove("proc/kcore"))), "kallsyms and iomem agree");
    assert!(!known(&|files| {
        files.remove("proc/kcore");
        files.remove("proc/kallsyms");
    }));
    assert!(
        !known(&|files| files.insert("proc/kallsyms", "ffffffff80004000 T _stext\n")),
        "of another kernel"
    );
    assert!(!known(&|files| {
        let text =
            String::from_utf8_lossy(files.get("proc/iomem").unwrap()).replace("80202000-80c", "80203000-80c");
        files.insert("proc/iomem", text);
    }));
}

#[test]
fn the_capture_kernel_finds_everything_in_its_tree() {
    let (machine, kernel, options) = (machine(NAME), debian(), riscv_options());
    let plan = plan(&machine, &kernel, &options).unwrap();
    let range = |kind| plan.segment(kind).unwrap().range;
    assert_eq!(
        range(SegmentKind::Kernel).start(),
        REGION,
        "the lowest multiple of 2 MiB, not text_offset behind"
    );
    let dts = decompiled(&plan.segment(SegmentKind::Dtb).unwrap().data);
    let cells = |range: PhysRange| format!("<0x00 {:#04x} 0x00 {:#04x}>", range.start(), range.size());
    let initrd = range(SegmentKind::Initrd).start();
    for line in [
        format!("bootargs = \"{}\";", plan_support::APPEND),
        format!("linux,elfcorehdr = {};", cells(range(SegmentKind::Elfcorehdr))),
        format!("linux,usable-memory-range = {};", cells(machine.crash_regions[0])),
        format!("linux,initrd-start = <0x00 {initrd:#04x}>;"),
        format!("linux,initrd-end = <0x00 {:#04x}>;", initrd + 3_000_001),
        String::from("stdout-path = \"/soc/serial@10000000\";"),
    ] {
        assert_eq!(dts.lines().filter(|found| found.trim() == line).count(), 1, "{line} in {dts}");
    }
    assert!(
        plan.device_tree().is_some_and(|tree| tree.text_offset == 0 && tree.usable == machine.crash_regions)
    );
}

#[test]
fn images_that_cannot_be_are_refused_by_name() {
    let refused = |bytes: &[u8], what: &str| {
        let error = Image::parse(bytes, 0x1000).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    let kernel = debian();
    let parsed = FlatImage::parse(&kernel).unwrap();
    assert_eq!((parsed.arch, parsed.text_offset, parsed.memsz()), (Arch::Riscv64, 0, 0x1e6_b000));
    refused(&image(0x1000, 1 << 20, 0), "text_offset");
    refused(&image(0x20_0000, 0, 0), "image_size");
    refused(&image(0x20_0000, u64::MAX, 0), "image_size");
    refused(&kernel[..60], "riscv64 header");
    let packed = run("gzip", &["-c", "-1"], &kernel);
    refused(&packed, "must be unpacked");
    assert_eq!(*unpack(&packed, 1 << 20).unwrap(), *kernel);
    let machine = machine(NAME);
    let conflict = |kernel: &[u8], options: &PlanOptions, what: &str| {
        let error = plan(&machine, kernel, options).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    let mut arm64 = debian();
    arm64[8..16].fill(0);
    arm64[56..60].copy_from_slice(b"ARM\x64");
    conflict(&arm64, &riscv_options(), "it is an Image for arm64, the machine is riscv64");
    conflict(&bzimage(0x100_0000, 0x1000), &riscv_options(), "the machine is riscv64");
    conflict(&image(0x20_0000, 1 << 20, 1), &riscv_options(), "byte order");
    conflict(&kernel, &riscv_options().elf_class(Some(Class::Elf32)), "riscv64 has none");
    conflict(&kernel, &options(BackupPolicy::Always), "backup");
    conflict(&kernel, &riscv_options().cmdline("x".repeat(1024)), "1023");
    let ram = Some(Serial { port: SerialPort::Mmio(0x8000_0000), baud: None });
    conflict(&kernel, &riscv_options().serial(ram), "lies in RAM");
    let uart = Some(Serial { port: SerialPort::Mmio(0x1000_0000), baud: None });
    assert!(plan(&machine, &kernel, &riscv_options().serial(uart)).is_ok());
    assert!(plan(&machine, &kernel, &riscv_options().cmdline("x".repeat(1023))).is_ok());
}

fn segment<'p, 'a>(plan: &'p mut Plan<'a>, kind: SegmentKind) -> &'p mut Segment<'a> {
    plan.segments.iter_mut().find(|segment| segment.kind == kind).unwrap()
}

#[test]
fn each_defect_is_found_by_its_rule() {
    type Damage = fn(&mut Plan<'_>, &mut Machine);
    let cases: [(&str, Damage); 13] = [
        ("elfcorehdr_decodes", |plan, _| segment(plan, SegmentKind::Elfcorehdr).data.to_mut()[18] = 183),
        ("elfcorehdr_notes", |_, machine| {
            machine.cma_ranges = RangeSet::from(PhysRange::from_len(0xbffc_4000, 0x1000).unwrap());
        }),
        ("elfcorehdr_memory", |_, machine| {
            machine.memory.remove(PhysRange::from_len(0x8100_0000, 0x1000).unwrap());
        }),
        ("kernel_alignment", |plan, _| {
            let kernel = segment(plan, SegmentKind::Kernel);
            kernel.range = PhysRange::from_len(kernel.mem() + 0x1000, kernel.memsz()).unwrap();
        }),
        ("device_tree", |plan, _| {
            let header = segment(plan, SegmentKind::Elfcorehdr);
            header.range = PhysRange::from_len(header.mem() - 0x1000, header.memsz()).unwrap();
        }),
        ("one_device_tree", |plan, _| segment(plan, SegmentKind::Dtb).data.to_mut()[0] = 0),
        ("one_device_tree", |plan, _| {
            segment(plan, SegmentKind::Initrd).data = Cow::Borrowed(&[0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 1]);
        }),
        ("segments_in_capture_ram", |plan, machine| {
            let purgatory = segment(plan, SegmentKind::Purgatory).range;
            machine.memory.remove(purgatory);
        }),
        ("entry_in_purgatory", |plan, _| plan.entry -= 4),
        ("kernel_has_content", |plan, _| segment(plan, SegmentKind::Kernel).data = vec![0; 8].into()),
        ("one_elf_segment", |plan, _| {
            plan.flags.set(kdump_segments::plan::KexecFlags::UPDATE_ELFCOREHDR, true);
            segment(plan, SegmentKind::Initrd).data = Cow::Borrowed(b"\x7fELF");
        }),
        ("command_line", |plan, _| plan.cmdline_limit = 3),
        ("region_not_claimed", |plan, machine| {
            machine.crash_claimed = RangeSet::from(segment(plan, SegmentKind::Dtb).range);
        }),
    ];
    let (kernel, options) = (debian(), riscv_options());
    for (rule, damage) in cases {
        let good = machine(NAME);
        let mut plan = plan(&good, &kernel, &options).unwrap();
        let mut machine = good.clone();
        damage(&mut plan, &mut machine);
        let report = check_plan(&plan, &machine, &Environment::of_machine(&good).unwrap()).unwrap();
        let failed =
            report.findings.iter().any(|finding| finding.rule == rule && finding.verdict == Verdict::Fail);
        assert!(failed, "{rule}: {:#?}", report.findings);
    }
}

#[test]
fn the_region_of_the_recorded_machine_is_where_its_kernel_put_it() {
    let machine = machine(NAME);
    let request = CrashkernelRequest::parse(&machine.cmdline, machine.ram().unwrap().total(), Arch::Riscv64)
        .unwrap()
        .unwrap();
    let limits = CrashkernelLimits::of(Arch::Riscv64).unwrap();
    // What memblock had given away by then, as /proc/iomem still shows it.
    let taken = PhysRange::from_half_open(0xbcc0_0000, 0xc000_0000).unwrap();
    let free = machine.ram().unwrap().subtract(&RangeSet::from(taken)).unwrap();
    assert_eq!(request.would_reserve(&free, &limits).unwrap().main, machine.crash_regions[0]);
}
