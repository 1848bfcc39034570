//! Plans for arm64: a recorded guest of Debian 12, whose kernel lists no `_text`, and what can be
//! wrong with its files, its images and its plans.

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

use std::borrow::Cow;
use std::io::Write;
use std::process::{Command, Stdio};

use kdump_elf::{Arch, Class, PT_LOAD, PhysRange};
use kdump_segments::elfcorehdr::ElfCoreHeader;
use kdump_segments::image::{FlatImage, Image, unpack};
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, Verdict, check_plan};
use kdump_segments::purgatory::{Handover, LinkedPurgatory, Purgatory, PurgatoryError, Serial, SerialPort};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::target::TargetPlan;
use kdump_segments::{CrashkernelLimits, CrashkernelRequest, Error, Machine, MachineFiles, RangeSet};

use plan_support::{bzimage, machine, options, recorded};

const NAME: &str = "arm64-1g-61";
const STEXT: u64 = 0xffff_d6b9_4381_0000;
const CODE: u64 = 0x4021_0000;
const FDT: &str = "sys/firmware/fdt";

struct Arm64Purgatory;

impl Purgatory for Arm64Purgatory {
    fn arch(&self) -> Arch {
        Arch::Arm64
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

/// An Image with the header fields of Debian's.
fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut file = vec![0; 0x10_0000];
    file[..2].copy_from_slice(b"MZ");
    for (at, value) in [(8, text_offset), (16, image_size), (24, flags)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file[56..60].copy_from_slice(b"ARM\x64");
    file
}

fn debian() -> Vec<u8> {
    image(0, 0x201_0000, 0xa)
}

fn arm64_options() -> PlanOptions {
    options(BackupPolicy::Auto)
}

fn plan<'a>(machine: &'a Machine, kernel: &'a [u8], options: &'a PlanOptions) -> Result<Plan<'a>, Error> {
    static INITRD: [u8; 3_000_001] = [7; 3_000_001];
    let inputs = PlanInputs::new(machine, kernel, &Arm64Purgatory).options(options).initrd(Some(&INITRD));
    Plan::new(&inputs)
}

fn failing(plan: &Plan<'_>, machine: &Machine) -> Option<(String, String)> {
    let report = check_plan(plan, machine, &Environment::of_machine(machine).unwrap()).unwrap();
    report.failure().map(|finding| (finding.rule.to_owned(), finding.detail.clone()))
}

fn files() -> MachineFiles {
    MachineFiles::read(&recorded(NAME)).unwrap()
}

/// What dtc makes of a tree: another reader than ours.
fn decompiled(dtb: &[u8]) -> String {
    let mut dtc = Command::new("dtc");
    dtc.args(["-q", "-I", "dtb", "-O", "dts"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = dtc.spawn().unwrap_or_else(|error| panic!("dtc (device-tree-compiler): {error}"));
    child.stdin.take().unwrap().write_all(dtb).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// The text of /chosen, and of everything else.
fn split_chosen(dts: &str) -> (Vec<String>, String) {
    let (mut chosen, mut rest, mut inside) = (Vec::new(), String::new(), false);
    for line in dts.lines() {
        inside |= line == "\tchosen {";
        if inside {
            chosen.push(line.trim().trim_end_matches(';').to_owned());
        } else {
            rest.push_str(line);
            rest.push('\n');
        }
        inside &= line != "\t};";
    }
    (chosen, rest)
}

#[test]
fn debian_12_is_described_rightly_without_text() {
    let machine = machine(NAME);
    assert_eq!((machine.arch, machine.page_size), (Arch::Arm64, 0x1000));
    let text = machine.kernel.text.as_ref().unwrap().value;
    assert_eq!((text.vaddr, text.paddr, text.size), (STEXT, CODE, 0x200_0000));
    assert_eq!(machine.kernel.direct_map_base.as_ref().unwrap().value, 0xffff_03a7_0000_0000);
    assert_eq!(machine.crash_regions, [PhysRange::from_half_open(0x6ac0_0000, 0x7ac0_0000).unwrap()]);
    assert!(machine.sha_instructions && machine.device_tree.is_some());
}

/// Whatever one source says or does not say: the header has the right text or none.
#[test]
fn no_source_makes_a_wrong_text_header() {
    type Change = fn(&mut MachineFiles);
    let replace = |files: &mut MachineFiles, path: &str, from: &str, to: &str| {
        let text = String::from_utf8_lossy(files.get(path).unwrap()).replace(from, to);
        files.insert(path, text);
    };
    let cases: [(&str, bool, Change); 9] = [
        ("nothing missing", true, |_| {}),
        ("no kallsyms", true, |files| drop(files.remove("proc/kallsyms"))),
        ("hidden kallsyms", true, |files| files.insert("proc/kallsyms", "0000000000000000 T _stext\n")),
        ("no kcore", false, |files| drop(files.remove("proc/kcore"))),
        ("another kernel's kallsyms", false, |files| {
            files.insert("proc/kallsyms", "ffffd6b943910000 T _stext\n");
        }),
        ("_text of another kernel", false, |files| {
            files.insert("proc/kallsyms", "ffff800008000000 T _text\nffffd6b943810000 T _stext\n");
        }),
        ("_text as well", true, |files| {
            files.insert("proc/kallsyms", "ffffd6b943800000 T _text\nffffd6b943810000 T _stext\n");
        }),
        ("no Kernel lines", false, |_| {}),
        ("Kernel code elsewhere", false, |_| {}),
    ];
    let (kernel, options) = (debian(), arm64_options());
    for (name, known, change) in cases {
        let mut files = files();
        change(&mut files);
        match name {
            "no Kernel lines" => replace(&mut files, "proc/iomem", "Kernel ", "Other "),
            "Kernel code elsewhere" => {
                replace(&mut files, "proc/iomem", "40210000-4185ffff", "40310000-4185ffff")
            }
            _ => {}
        }
        files.insert("proc/sys/kernel/arch", "aarch64\n");
        let machine = Machine::from_files(&files).unwrap();
        let text = machine.kernel.text.as_ref().map(|text| text.value);
        assert_eq!(text.is_some(), known, "{name}: {text:?}, {:?}", machine.remarks);
        let plan = plan(&machine, &kernel, &options).unwrap();
        assert_eq!(failing(&plan, &machine), None, "{name}");
        let image = |vaddr: u64| (0xffff_8000_0000_0000..0xffff_ffff_ffff_ffff).contains(&vaddr);
        let texts: Vec<_> = plan
            .elfcorehdr
            .phdrs()
            .iter()
            .filter(|phdr| phdr.p_type == PT_LOAD && image(phdr.p_vaddr))
            .collect();
        assert_eq!(texts.len(), usize::from(known), "{name}: {texts:?}");
        for phdr in texts {
            assert_eq!(phdr.p_vaddr - phdr.p_paddr, STEXT - CODE, "{name}");
            assert!(phdr.p_memsz <= 0x210_0000, "{name}: {phdr:?}");
        }
    }
}

#[test]
fn the_capture_kernel_finds_everything_in_its_tree() {
    let (machine, kernel, options) = (machine(NAME), debian(), arm64_options());
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&plan, &machine), None);
    let range = |kind| plan.segment(kind).unwrap().range;
    assert_eq!(range(SegmentKind::Kernel).start(), 0x6ac0_0000);
    let dtb = &plan.segment(SegmentKind::Dtb).unwrap().data;
    let (chosen, rest) = split_chosen(&decompiled(dtb));
    let (before, rest_before) = split_chosen(&decompiled(machine.device_tree.as_ref().unwrap()));
    assert_eq!(rest, rest_before, "nothing but /chosen changes");
    let cells = |range: PhysRange| format!("<0x00 {:#04x} 0x00 {:#04x}>", range.start(), range.size());
    let initrd = range(SegmentKind::Initrd).start();
    for line in [
        format!("bootargs = \"{}\"", plan_support::APPEND),
        format!("linux,elfcorehdr = {}", cells(range(SegmentKind::Elfcorehdr))),
        format!("linux,usable-memory-range = {}", cells(machine.crash_regions[0])),
        format!("linux,initrd-start = <0x00 {initrd:#04x}>"),
        format!("linux,initrd-end = <0x00 {:#04x}>", initrd + 3_000_001),
        format!("kaslr-seed = <{0} {0}>", "0xa5a5a5a5"),
        format!("rng-seed = <{}>", ["0xa5a5a5a5"; 6].join(" ")),
    ] {
        assert_eq!(chosen.iter().filter(|found| **found == line).count(), 1, "{line} in {chosen:#?}");
    }
    // What the boot loader said besides stays.
    let kept = before.iter().find(|line| line.starts_with("stdout-path")).unwrap();
    assert!(chosen.contains(kept), "{kept}");
    assert!(matches!(&plan.target, TargetPlan::DeviceTree(arm64) if arm64.usable == machine.crash_regions));
}

#[test]
fn high_and_low_regions_are_both_told() {
    let (mut machine, kernel) = (machine(NAME), debian());
    let low = PhysRange::from_len(0x5000_0000, 64 << 20).unwrap();
    machine.crash_regions.insert(0, low);
    let options = arm64_options().rng_seed(None);
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&plan, &machine), None);
    let dts = decompiled(&plan.segment(SegmentKind::Dtb).unwrap().data);
    let line = "linux,usable-memory-range = <0x00 0x6ac00000 0x00 0x10000000 0x00 0x50000000 0x00 0x4000000>";
    assert!(dts.contains(line), "{dts}");
    assert!(!dts.contains("rng-seed") && !dts.contains("kaslr-seed"), "old entropy is not handed on: {dts}");
}

/// A tree as a boot loader may write it: memory reservations, no /chosen, narrow numbers.
fn compiled(dts: &str) -> Vec<u8> {
    let mut dtc = Command::new("dtc");
    dtc.args(["-q", "-I", "dts", "-O", "dtb"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = dtc.spawn().unwrap_or_else(|error| panic!("dtc (device-tree-compiler): {error}"));
    child.stdin.take().unwrap().write_all(dts.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{dts}");
    output.stdout
}

#[test]
fn reservations_stay_and_chosen_is_made() {
    let dts = "/dts-v1/; /memreserve/ 0x44000000 0x3000; / { #address-cells = <1>; #size-cells = <1>; \
        model = \"x\"; memory@40000000 { device_type = \"memory\"; reg = <0x40000000 0x40000000>; }; };";
    let (mut machine, kernel, options) = (machine(NAME), debian(), arm64_options());
    machine.device_tree = Some(compiled(dts));
    let made = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&made, &machine), None);
    let text = decompiled(&made.segment(SegmentKind::Dtb).unwrap().data);
    assert!(text.contains("/memreserve/\t0x0000000044000000 0x0000000000003000;"), "{text}");
    assert!(
        text.contains("linux,usable-memory-range = <0x6ac00000 0x10000000>") && text.contains("chosen {")
    );
    // What a stale tree keeps from the kernel cannot be loaded to.
    for (start, size) in [(0x6ac0_0000_u64, 0x1000_u64), (0x4000_0000, u64::MAX)] {
        let dts = dts.replace("0x44000000 0x3000", &format!("{start:#x} {size:#x}"));
        machine.device_tree = Some(compiled(&dts));
        let (rule, detail) = failing(&plan(&machine, &kernel, &options).unwrap(), &machine).unwrap();
        assert!(rule == "device_tree" && detail.contains(&format!("at {start:#x}")), "{rule}: {detail}");
    }
    machine.device_tree = Some(compiled(dts));
    // A region that the tree's numbers do not reach.
    machine.crash_regions = vec![PhysRange::from_len(1 << 32, 256 << 20).unwrap()];
    let error = plan(&machine, &kernel, &options).unwrap_err().to_string();
    assert!(error.contains("#address-cells") && error.contains("32 bits"), "{error}");
}

#[test]
fn trees_that_cannot_be_are_refused_by_name() {
    let (mut machine, kernel, options) = (machine(NAME), debian(), arm64_options());
    let good = machine.device_tree.clone().unwrap();
    let mut refused = |tree: Option<Vec<u8>>, what: &str| {
        machine.device_tree = tree;
        let error = plan(&machine, &kernel, &options).unwrap_err().to_string();
        assert!(error.contains("device tree") && error.contains(what), "{what}: {error}");
    };
    let with = |at: usize, value: u32| {
        let mut tree = good.clone();
        tree[at..at + 4].copy_from_slice(&value.to_be_bytes());
        Some(tree)
    };
    refused(None, FDT);
    refused(Some(Vec::new()), "magic");
    refused(with(0, 0), "magic");
    refused(with(4, u32::MAX), "totalsize");
    refused(with(8, u32::MAX), "dt_struct");
    refused(with(12, u32::MAX), "dt_strings");
    refused(with(16, u32::MAX), "off_mem_rsvmap");
    refused(with(20, 16), "version");
    let structure = u32::from_be_bytes(good[8..12].try_into().unwrap()) as usize;
    refused(with(structure, 7), "token");
    refused(with(structure, 2), "FDT_END_NODE");
    refused(with(structure, 3), "FDT_PROP");
    refused(with(structure, 9), "root nodes");
    refused(with(36, 8), "end inside the structure");
    let deep = format!("/dts-v1/; / {{ {} {} }};", "n { ".repeat(70), "}; ".repeat(70));
    refused(Some(compiled(&deep)), "depth");
    refused(Some(compiled("/dts-v1/; / { #address-cells = <3>; };")), "#address-cells");
    // What is added to it makes it larger than the kernel maps.
    let full = format!("/dts-v1/; / {{ filled = \"{}\"; }};", "x".repeat((2 << 20) - 200));
    refused(Some(compiled(&full)), "the limit is 2097152");
}

/// Whatever stands in a tree: an answer, not a crash; and what is written can be read.
#[test]
fn damaged_trees_never_stop_the_planner() {
    let (mut machine, kernel, options) = (machine(NAME), debian(), arm64_options());
    let good = machine.device_tree.clone().unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as usize
    };
    let mut planned = 0;
    for round in 0..3000 {
        let mut tree = good.clone();
        for _ in 0..1 + round % 4 {
            let at = if round % 3 == 0 { random() % 40 } else { random() % tree.len() };
            tree[at] = random() as u8;
        }
        if round % 7 == 0 {
            tree.truncate(random() % good.len());
        }
        machine.device_tree = Some(tree);
        if let Ok(plan) = plan(&machine, &kernel, &options) {
            planned += 1;
            let failed = failing(&plan, &machine);
            let failed = failed.filter(|(rule, _)| rule != "device_tree_memory");
            assert!(failed.is_none(), "{failed:?}");
        }
    }
    assert!(planned > 100, "{planned}");
}

#[test]
fn images_that_cannot_be_are_refused_by_name() {
    let refused = |bytes: &[u8], what: &str| {
        let error = Image::parse(bytes, 0x1000).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    assert!(matches!(Image::parse(&debian(), 0x1000), Ok(Image::Flat(_))));
    refused(&image(0x20_0000, 1 << 20, 0), "text_offset");
    refused(&image(0x801, 1 << 20, 0), "text_offset");
    refused(&image(0, 0, 0), "image_size");
    refused(&image(0, u64::MAX, 0), "image_size");
    refused(&debian()[..60], "arm64 header");
    let other = FlatImage::parse(&[0; 64]).unwrap_err().to_string();
    assert!(other.contains("magic"), "{other}");
    let mut machine = machine(NAME);
    let conflict = |kernel: &[u8], options: &PlanOptions, what: &str| {
        let error = plan(&machine, kernel, options).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    conflict(&bzimage(0x100_0000, 0x1000), &arm64_options(), "the machine is arm64");
    conflict(&image(0, 1 << 20, 1), &arm64_options(), "byte order");
    conflict(&debian(), &arm64_options().entry_32bit(true), "32-bit entry");
    conflict(&debian(), &options(BackupPolicy::Always), "backup");
    conflict(&debian(), &arm64_options().elf_class(Some(Class::Elf32)), "ELF32");
    conflict(&image(0, 1 << 30, 0), &arm64_options(), "no room for kernel");
    machine.page_size = 0x1_0000;
    let error = plan(&machine, &image(0x8000, 1 << 20, 0), &arm64_options()).unwrap_err().to_string();
    assert!(error.contains("text_offset 0x8000 is no multiple") && error.contains("0x10000"), "{error}");
}

#[test]
fn a_serial_port_is_no_memory_and_has_an_address() {
    let (machine, kernel) = (machine(NAME), debian());
    let ram = machine.ram().unwrap().iter().next().unwrap();
    let region = machine.crash_regions[0];
    let planned = |address| {
        let serial = Some(Serial { port: SerialPort::Mmio(address), baud: None });
        plan(&machine, &kernel, &arm64_options().serial(serial))
            .map_or_else(|why| why.to_string(), |_| String::new())
    };
    assert_eq!((planned(0x900_0000), planned(ram.start() - 0x1c)), Default::default());
    for (address, what) in [
        (0x900_0002, "is no multiple of 4"),
        (u64::MAX - 3, "end of the address space"),
        (region.start() - 4, "lies in the crash region"),
        (region.end() - 4, "lies in the crash region"),
        (ram.start(), "lies in RAM"),
        (ram.start() - 0x18, "lies in RAM"),
    ] {
        let error = planned(address);
        assert!(error.contains(what) && error.contains(&format!("{address:#x}")), "{what}: {error}");
    }
}

#[test]
fn the_image_lies_text_offset_behind_two_mebibytes() {
    let (machine, options) = (machine(NAME), arm64_options());
    let kernel = image(0x8_0000, 0x201_0000, 0);
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(plan.segment(SegmentKind::Kernel).unwrap().mem(), 0x6ac8_0000);
    assert_eq!(failing(&plan, &machine), None);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    let mut child = gzip.args(["-c", "-1"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output.stdout
}

fn zboot(payload: &[u8], compression: &str) -> Vec<u8> {
    let mut file = vec![0; 0x1000];
    file[..2].copy_from_slice(b"MZ");
    file[4..8].copy_from_slice(b"zimg");
    file[8..12].copy_from_slice(&0x1000_u32.to_le_bytes());
    file[12..16].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    file[24..24 + compression.len()].copy_from_slice(compression.as_bytes());
    file.extend_from_slice(payload);
    file
}

#[test]
fn compressed_images_are_unpacked_and_damage_is_named() {
    let kernel = debian();
    let packed = gzip(&kernel);
    assert!(Image::parse(&packed, 0x1000).unwrap_err().to_string().contains("must be unpacked"));
    assert_eq!(unpack(&kernel, 0).unwrap(), Cow::<[u8]>::Borrowed(&kernel));
    assert_eq!(*unpack(&packed, 1 << 20).unwrap(), *kernel);
    assert_eq!(*unpack(&zboot(&packed, "gzip"), 1 << 20).unwrap(), *kernel);
    let refused = |bytes: &[u8], limit, what: &str| {
        let error = unpack(bytes, limit).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    refused(&packed, (1 << 20) - 1, "the limit is 1048575");
    refused(&packed[..packed.len() / 2], 1 << 32, "damaged (");
    refused(&packed[..12], 1 << 20, "cut off");
    refused(&zboot(&packed, "zstd22"), 1 << 20, "`zstd22`");
    refused(&zboot(&packed, "gzip")[..0x1080], 1 << 20, "zboot payload");
    let mut wrong = packed.clone();
    let crc = wrong.len() - 8;
    wrong[crc] ^= 1;
    refused(&wrong, 1 << 20, "CRC-32");
    let mut size = packed;
    let at = size.len() - 4;
    size[at] ^= 1;
    refused(&size, 1 << 21, "damaged");
}

/// kexec-tools 2.0.25 wrote the first of these for this kernel (`p_paddr`, size: "Kernel text Elf header"
/// of its debug output): it ends behind the address space. The second ends before it.
#[test]
fn a_text_header_as_long_as_the_address_space_is_refused_by_name() {
    for (paddr, size) in [(0x3e49_e080_0000, 0xffff_c1b6_61a1_0000), (CODE, 0xffff_fd80_0000_0000)] {
        text_header_is_refused(paddr, size);
    }
}

fn text_header_is_refused(paddr: u64, size: u64) {
    let (machine, kernel, options) = (machine(NAME), debian(), arm64_options());
    let mut plan = plan(&machine, &kernel, &options).unwrap();
    let mut broken = machine.clone();
    let text = broken.kernel.text.as_mut().unwrap();
    (text.value.paddr, text.value.size) = (paddr, size);
    let header = ElfCoreHeader::new(
        &broken,
        kdump_segments::elfcorehdr::LowMemory::AsIs,
        Class::Elf64,
        &mut Vec::new(),
    )
    .unwrap();
    let index = header.phdrs().iter().position(|phdr| phdr.p_memsz == size).unwrap();
    segment(&mut plan, SegmentKind::Elfcorehdr).data = Cow::Owned(header.encode().unwrap());
    plan.elfcorehdr = header;
    let (rule, detail) = failing(&plan, &machine).unwrap();
    assert_eq!(rule, "elfcorehdr_memory");
    assert!(
        detail.contains(&format!("program header {index}")) && detail.contains(&format!("{paddr:#x}")),
        "{detail}"
    );
}

fn segment<'p, 'a>(plan: &'p mut Plan<'a>, kind: SegmentKind) -> &'p mut Segment<'a> {
    plan.segments.iter_mut().find(|segment| segment.kind == kind).unwrap()
}

fn moved(range: PhysRange, by: u64) -> PhysRange {
    PhysRange::from_len(range.start() + by, range.size()).unwrap()
}

#[test]
fn each_defect_is_found_by_its_rule() {
    type Damage = fn(&mut Plan<'_>, &mut Machine);
    let cases: [(&str, Damage); 17] = [
        ("elfcorehdr_decodes", |plan, _| segment(plan, SegmentKind::Elfcorehdr).data.to_mut()[18] = 62),
        ("elfcorehdr_notes", |_, machine| {
            machine.cma_ranges = RangeSet::from(PhysRange::from_len(0x7fda_6000, 0x1000).unwrap());
        }),
        ("kernel_alignment", |plan, _| {
            let kernel = segment(plan, SegmentKind::Kernel);
            kernel.range = moved(kernel.range, 0x1000);
        }),
        ("initrd_reachable", |plan, _| {
            let initrd = segment(plan, SegmentKind::Initrd);
            initrd.range = moved(initrd.range, 64 << 30);
        }),
        ("device_tree", |plan, _| segment(plan, SegmentKind::Dtb).data = Cow::Owned(vec![0; 64])),
        ("device_tree", |plan, _| {
            let header = segment(plan, SegmentKind::Elfcorehdr);
            header.range = moved(header.range, 0x1000);
        }),
        ("device_tree", |plan, _| {
            let TargetPlan::DeviceTree(arm64) = &mut plan.target else { panic!() };
            arm64.usable.clear();
        }),
        ("device_tree", |plan, _| {
            let initrd = segment(plan, SegmentKind::Initrd);
            initrd.range = moved(initrd.range, 0x1000);
        }),
        ("device_tree", |plan, _| {
            let tree = segment(plan, SegmentKind::Dtb).data.to_mut();
            let text = plan_support::APPEND.as_bytes();
            let at = tree.windows(text.len()).position(|found| found == text).unwrap();
            tree[at] ^= 1;
        }),
        ("device_tree_memory", |plan, _| {
            plan.segments.retain(|segment| segment.kind != SegmentKind::Dtb);
        }),
        ("segments_in_capture_ram", |plan, machine| {
            let header = segment(plan, SegmentKind::Purgatory).range;
            machine.memory.remove(header);
        }),
        ("entry_in_purgatory", |plan, _| {
            plan.segments.retain(|segment| segment.kind != SegmentKind::Purgatory);
        }),
        ("entry_in_purgatory", |plan, _| plan.entry -= 4),
        ("entry_in_purgatory", |plan, _| segment(plan, SegmentKind::Purgatory).data.to_mut().fill(0)),
        ("kernel_has_content", |plan, _| segment(plan, SegmentKind::Kernel).data = vec![0; 8].into()),
        ("command_line", |plan, _| plan.cmdline_limit = 3),
        ("region_not_claimed", |plan, machine| {
            machine.crash_claimed = RangeSet::from(segment(plan, SegmentKind::Dtb).range);
        }),
    ];
    let (kernel, options) = (debian(), arm64_options());
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
    let request = CrashkernelRequest::parse(&machine.cmdline, machine.ram().unwrap().total(), Arch::Arm64)
        .unwrap()
        .unwrap();
    let limits = CrashkernelLimits::of(Arch::Arm64).unwrap();
    // What memblock had given away by then, as /proc/iomem still shows it.
    let taken = PhysRange::from_half_open(0x7ac0_0000, 0x8000_0000).unwrap();
    let free = machine.ram().unwrap().subtract(&RangeSet::from(taken)).unwrap();
    assert_eq!(request.would_reserve(&free, &limits).unwrap().main, machine.crash_regions[0]);
}

/// The tree that the EFI stub makes on a machine described by ACPI: how the capture kernel finds EFI and
/// with it ACPI stays, and a boot loader that wanted no seed for the kernel's place gets none.
#[test]
fn what_the_efi_stub_told_is_handed_on() {
    let dts = "/dts-v1/; / { #size-cells = <2>; #address-cells = <2>; chosen { linux,uefi-secure-boot = <2>; \
        linux,uefi-mmap-desc-ver = <1>; linux,uefi-mmap-desc-size = <0x30>; linux,uefi-mmap-size = <0x630>; \
        linux,uefi-mmap-start = <0 0x79b2d9c0>; linux,uefi-system-table = <0 0x7ffd0018>; \
        linux,elfcorehdr = <0 1 0 1>; bootargs = \"console=ttyAMA0 initrd=initrd\"; }; };";
    let (mut machine, kernel, options) = (machine(NAME), debian(), arm64_options());
    machine.device_tree = Some(compiled(dts));
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&plan, &machine), None);
    let (chosen, _) = split_chosen(&decompiled(&plan.segment(SegmentKind::Dtb).unwrap().data));
    for line in [
        "linux,uefi-mmap-start = <0x00 0x79b2d9c0>",
        "linux,uefi-mmap-size = <0x630>",
        "linux,uefi-mmap-desc-size = <0x30>",
        "linux,uefi-mmap-desc-ver = <0x01>",
        "linux,uefi-system-table = <0x00 0x7ffd0018>",
    ] {
        assert!(chosen.iter().any(|found| found == line), "{line} in {chosen:#?}");
    }
    let named = |name: &str| chosen.iter().filter(|line| line.starts_with(name)).count();
    assert_eq!((named("linux,elfcorehdr"), named("bootargs"), named("rng-seed")), (1, 1, 1), "{chosen:#?}");
    assert_eq!(named("kaslr-seed"), 0, "{chosen:#?}");
}

/// The tree as directories, in the way the kernel shows it: every node with its name, properties as they are.
fn as_directories(dtb: &[u8]) -> MachineFiles {
    let (mut files, mut path) = (files(), vec!["proc/device-tree".to_owned()]);
    files.remove(FDT);
    let dts = decompiled_raw(dtb);
    for line in dts.lines().skip_while(|line| *line != "/ {").skip(1) {
        let line = line.trim();
        if let Some(name) = line.strip_suffix(" {") {
            path.push(name.to_owned());
            let bare = name.split('@').next().unwrap();
            files.insert(format!("{}/name", path.join("/")), format!("{bare}\0"));
        } else if line == "};" {
            path.pop();
        } else if let Some(property) = line.strip_suffix(';') {
            let (name, value) = property.split_once(" = ").unwrap_or((property, "[]"));
            let digits: String = value.trim_matches(['[', ']']).split(' ').collect();
            let bytes = (0..digits.len()).step_by(2);
            let value: Vec<u8> =
                bytes.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
            files.insert(format!("{}/{name}", path.join("/")), value);
        }
    }
    files.insert("proc/device-tree/name", "\0");
    files
}

/// A tree in which every value is written as bytes.
fn decompiled_raw(dtb: &[u8]) -> String {
    let text = decompiled(dtb);
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once(" = ") {
            Some((name, value)) => {
                out.push_str(&format!("{name} = [{}];\n", hex(value.trim_end_matches(';'))))
            }
            None => out.push_str(&format!("{line}\n")),
        }
    }
    out
}

/// What a value of dtc's text has as bytes: texts, numbers of 32 bits, bytes.
fn hex(value: &str) -> String {
    let mut out = String::new();
    for part in value.split(", ") {
        if let Some(text) = part.strip_prefix('"') {
            // dtc writes several texts as one with escaped NULs.
            let text = text.strip_suffix('"').unwrap().replace("\\0", "\0");
            text.bytes().chain([0]).for_each(|byte| out.push_str(&format!("{byte:02x}")));
        } else if let Some(bytes) = part.strip_prefix('[') {
            out.push_str(&bytes.trim_end_matches(']').replace(' ', ""));
        } else {
            for number in part.trim_matches(['<', '>']).split(' ') {
                let number = u32::from_str_radix(number.trim_start_matches("0x"), 16).unwrap();
                out.push_str(&format!("{number:08x}"));
            }
        }
    }
    out
}

/// The lines of a tree in an order of their own, with the nodes they are in.
fn sorted(dts: &str) -> Vec<String> {
    let (mut path, mut lines) = (Vec::new(), Vec::new());
    for line in dts.lines().map(str::trim) {
        if let Some(name) = line.strip_suffix(" {") {
            path.push(name.to_owned());
        }
        lines.push(format!("{} {line}", path.join("/")));
        if line == "};" {
            path.pop();
        }
    }
    lines.sort();
    lines
}

#[test]
fn without_a_flattened_tree_the_directories_serve() {
    let whole = machine(NAME);
    let flat = whole.device_tree.as_ref().unwrap();
    let files = as_directories(flat);
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm64-directories");
    let _ = std::fs::remove_dir_all(&dir);
    files.write(&dir).unwrap();
    let read = MachineFiles::read(&dir).unwrap();
    let below =
        |files: &MachineFiles| files.iter().filter(|(path, _)| path.starts_with("proc/device-tree/")).count();
    assert_eq!((below(&files), read.get(FDT)), (below(&read), None));
    let machine = Machine::from_files(&read).unwrap();
    let made = machine.device_tree.as_ref().unwrap();
    assert_eq!(sorted(&decompiled_raw(made)), sorted(&decompiled_raw(flat)), "the same nodes and properties");
    let remark = machine.remarks.iter().find(|remark| remark.path == "proc/device-tree").unwrap();
    assert!(remark.text.contains("reserves is not known"), "{remark}");
    let (kernel, options) = (debian(), arm64_options());
    assert_eq!(failing(&plan(&machine, &kernel, &options).unwrap(), &machine), None);
    // A tree of which a part is missing is none.
    let mut files = read;
    files.insert_unreadable("proc/device-tree/cpus/cpu@0/reg", "no right");
    let error = plan(&Machine::from_files(&files).unwrap(), &kernel, &options).unwrap_err().to_string();
    assert!(error.contains("cpu@0/reg could not be read"), "{error}");
}

#[test]
fn directories_that_are_no_tree_are_refused_by_name() {
    let refused = |path: String, size: usize, what: &str| {
        let mut files = files();
        files.remove(FDT);
        files.insert(format!("proc/device-tree/{path}"), vec![0; size]);
        let machine = Machine::from_files(&files).unwrap();
        let error = plan(&machine, &debian(), &arm64_options()).unwrap_err().to_string();
        assert!(error.contains(what), "{what}: {error}");
    };
    refused("a/".repeat(64) + "x", 1, "depth of nodes");
    refused("x".to_owned(), 5 << 20, "a tree of at most 2 MiB");
    refused("x".to_owned(), (2 << 20) - 50, "totalsize");
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("arm64-deep");
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(dir.join("proc/device-tree").join("a/".repeat(70))).unwrap();
    std::fs::write(dir.join("proc/device-tree/model"), "x").unwrap();
    let read = MachineFiles::read(&dir).unwrap();
    let told: Vec<_> = read.unreadable().collect();
    assert!(
        told.iter().any(|(path, why)| *path == "proc/device-tree" && why.contains("deeper than 64")),
        "{told:?}"
    );
    assert!(read.get("proc/device-tree/model").is_none());
}

/// The recorded machine as it were with pages of `size` bytes.
fn with_pages(size: u64) -> Machine {
    let (whole, mut files) = (machine(NAME), files());
    let text = String::from_utf8(whole.vmcoreinfo.unwrap().text.unwrap()).unwrap();
    assert!(text.contains("PAGESIZE=4096\n"));
    let text = text.replace("PAGESIZE=4096\n", &format!("PAGESIZE={size}\n"));
    let ram = (0xffff_03a7_4000_0000, 0x4000_0000, 1 << 30);
    let kcore = machine_support::Kcore::new(Arch::Arm64, &[ram], &text);
    files.insert("proc/kcore", kcore.build().0);
    Machine::from_files(&files).unwrap()
}

/// Everything lies on pages of the running kernel, /proc/vmcore on those of the capture kernel.
#[test]
fn pages_of_16_and_64_kib() {
    for (size, flags) in [(16 << 10, 2 << 1), (64 << 10, 3 << 1), (64 << 10, 1 << 1)] {
        let (machine, options) = (with_pages(size), arm64_options());
        assert_eq!(machine.page_size, size, "{:?}", machine.remarks);
        let kernel = image(0, 0x201_1000, flags);
        let made = plan(&machine, &kernel, &options).unwrap();
        assert_eq!(failing(&made, &machine), None, "{size:#x}");
        for segment in &made.segments {
            assert_eq!((segment.mem() | segment.memsz()) % size, 0, "{size:#x}: {segment:?}");
        }
        assert_eq!(made.segment(SegmentKind::Kernel).unwrap().mem(), 0x6ac0_0000);
        let shown = FlatImage::parse(&kernel).unwrap().page_size.unwrap();
        for phdr in made.vmcore.phdrs.iter() {
            assert_eq!(phdr.p_offset % shown, 0, "{shown:#x}: {phdr:?}");
        }
        assert_eq!(made.vmcore.phdrs[0].p_offset, shown, "the notes on the second page");
    }
    // A text_offset that kernels with 4 KiB pages could have is none of theirs with 64 KiB.
    let error = plan(&with_pages(64 << 10), &image(0x8000, 1 << 20, 6), &arm64_options()).unwrap_err();
    assert!(error.to_string().contains("no multiple of the running kernel's pages, 0x10000"), "{error}");
}
