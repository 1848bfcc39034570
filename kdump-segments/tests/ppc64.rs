//! Plans for ppc64le: a recorded guest of Debian 12, whose crash region stands in the device tree, and
//! what can be wrong with its files, its images and its plans.

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

use kdump_elf::{Arch, Class, Endian, PT_LOAD, PhysRange};
use kdump_segments::elfcorehdr::LowMemory;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions};
use kdump_segments::preflight::{Environment, Verdict, check_plan};
use kdump_segments::purgatory::{
    Entry, Handover, LinkedPurgatory, Purgatory, PurgatoryError, Serial, SerialPort,
};
use kdump_segments::segment::{Segment, SegmentKind};
use kdump_segments::target::TargetPlan;
use kdump_segments::{Error, Machine, MachineFiles, RangeSet};

use plan_support::{bzimage, machine, options, recorded};

const NAME: &str = "ppc64le-2g-61";
const TREE: &str = "sys/firmware/devicetree.dtb";
const RUN_AT_LOAD: usize = 0x5c;
const PAGE: u64 = 0x1_0000;

/// Its content is what it was told: kernel and device tree.
struct Ppc64Purgatory;

impl Purgatory for Ppc64Purgatory {
    fn arch(&self) -> Arch {
        Arch::Ppc64
    }

    fn memsz(&self) -> u64 {
        0x5000
    }

    fn align(&self) -> u64 {
        16
    }

    fn link(&self, base: u64, handover: &Handover<'_>) -> Result<LinkedPurgatory, PurgatoryError> {
        let Entry::Ppc64 { kernel, dtb } = handover.entry else { return Err("not an entry of ppc64".into()) };
        let first = handover.regions.iter().find(|region| region.start == kernel).ok_or("no kernel")?;
        assert!(first.bytes.len() >= 0x100, "whose first bytes the purgatory needs");
        let bytes = [kernel, dtb].into_iter().flat_map(u64::to_le_bytes).collect();
        Ok(LinkedPurgatory { bytes, entry: base })
    }
}

/// As Debian's: one PT_LOAD linked at the beginning of the direct map, with the word at 0x5c.
fn kernel() -> Vec<u8> {
    const CONTENT: u64 = 0x2_4ea4;
    let mut file = vec![0x60; 0x1_0000 + usize::try_from(CONTENT).unwrap()];
    file[..64].fill(0);
    file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    for (at, value) in [(16, 2_u16), (18, 21), (20, 1), (52, 64), (54, 56), (56, 1)] {
        put(at, &value.to_le_bytes());
    }
    for (at, value) in [(24, 0xc000_0000_0000_0000_u64), (32, 64)] {
        put(at, &value.to_le_bytes());
    }
    put(64, &[1, 0, 0, 0, 7, 0, 0, 0]);
    for (at, value) in [
        (72, 0x1_0000),
        (80, 0xc000_0000_0000_0000),
        (88, 0),
        (96, CONTENT),
        (104, 0x287_c918),
        (112, 0x1_0000_u64),
    ] {
        put(at, &value.to_le_bytes());
    }
    put(0x1_0000 + RUN_AT_LOAD, &0x7275_6e30_u32.to_le_bytes());
    file
}

fn ppc64_options() -> PlanOptions {
    options(BackupPolicy::Auto)
}

fn plan<'a>(machine: &'a Machine, kernel: &'a [u8], options: &'a PlanOptions) -> Result<Plan<'a>, Error> {
    static INITRD: [u8; 3_000_001] = [7; 3_000_001];
    let inputs = PlanInputs::new(machine, kernel, &Ppc64Purgatory).options(options).initrd(Some(&INITRD));
    Plan::new(&inputs)
}

fn failing(plan: &Plan<'_>, machine: &Machine) -> Option<String> {
    let report = check_plan(plan, machine, &Environment::of_machine(machine).unwrap()).unwrap();
    report.failure().map(|finding| finding.rule.to_owned())
}

fn files() -> MachineFiles {
    MachineFiles::read(&recorded(NAME)).unwrap()
}

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::from_half_open(start, end).unwrap()
}

/// What dtc makes of one form of a tree in another: a reader and writer that is not ours.
fn dtc(from: &str, to: &str, tree: &[u8]) -> Vec<u8> {
    let mut dtc = Command::new("dtc");
    dtc.args(["-q", "-I", from, "-O", to]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = dtc.spawn().unwrap_or_else(|error| panic!("dtc (device-tree-compiler): {error}"));
    child.stdin.take().unwrap().write_all(tree).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    output.stdout
}

fn decompiled(tree: &[u8]) -> String {
    String::from_utf8(dtc("dtb", "dts", tree)).unwrap()
}

#[test]
fn the_crash_region_and_firmware_stand_in_the_tree() {
    let machine = machine(NAME);
    assert_eq!((machine.arch, machine.endian, machine.page_size), (Arch::Ppc64, Endian::Little, PAGE));
    assert_eq!(machine.crash_regions, [range(0x2000_0000, 0x3000_0000)]);
    // RTAS has 0x83c bytes; its page is dumped, and nothing is loaded there.
    assert_eq!(machine.firmware.as_slice(), [range(0x2fff_0000, 0x3000_0000)]);
    assert_eq!(machine.crash_claimed, machine.firmware);
    let dumped = machine.dump_ranges().unwrap();
    assert_eq!(dumped, [range(0, 0x2000_0000), range(0x2fff_0000, 0x8000_0000)]);
}

/// Kernels from 6.9 on show it in /proc/iomem as all others do.
#[test]
fn the_region_of_iomem_counts_before_that_of_the_tree() {
    let mut files = files();
    files.insert("proc/iomem", "00000000-7fffffff : System RAM\n  10000000-1fffffff : Crash kernel\n");
    let machine = Machine::from_files(&files).unwrap();
    assert_eq!(machine.crash_regions, [range(0x1000_0000, 0x2000_0000)]);
    assert!(machine.firmware.is_empty() && machine.crash_claimed.is_empty());
}

#[test]
fn the_recorded_machine_is_planned_for() {
    let (machine, kernel, options) = (machine(NAME), kernel(), ppc64_options());
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert_eq!(failing(&plan, &machine), None);
    assert_eq!(plan.flags.bits(), 21 << 16 | 1);
    let of = |kind| plan.segment(kind).unwrap();
    let first = of(SegmentKind::Kernel);
    assert_eq!((first.mem(), first.memsz()), (0x2000_0000, PAGE));
    // All of the file is loaded, but for the word that tells the kernel to stay.
    let loaded: Vec<u8> = (plan.segments.iter())
        .filter(|segment| segment.kind == SegmentKind::Kernel)
        .flat_map(|segment| segment.data.to_vec())
        .collect();
    let mut wanted = kernel[0x1_0000..].to_vec();
    wanted[RUN_AT_LOAD..RUN_AT_LOAD + 4].copy_from_slice(&1_u32.to_le_bytes());
    assert!(loaded == wanted);
    let end = plan.segments.iter().rfind(|segment| segment.kind == SegmentKind::Kernel).unwrap();
    assert_eq!(end.range.end(), 0x2288_0000);
    let backup = of(SegmentKind::Backup).mem();
    assert_eq!(plan.low_memory, LowMemory::BackedUp { source: range(0, PAGE), destination: backup });
    let header = of(SegmentKind::Elfcorehdr);
    let word = format!("elfcorehdr={}K", header.mem() >> 10);
    assert!(plan.cmdline.as_str().ends_with(&word), "{}", plan.cmdline);
    let loads: Vec<_> = plan
        .elfcorehdr
        .phdrs()
        .iter()
        .filter(|phdr| phdr.p_type == PT_LOAD)
        .map(|phdr| (phdr.p_offset, phdr.p_vaddr, phdr.p_paddr, phdr.p_memsz))
        .collect();
    let base = 0xc000_0000_0000_0000;
    assert_eq!(
        loads,
        [
            (backup, base, 0, PAGE),
            (PAGE, base + PAGE, PAGE, 0x1fff_0000),
            (0x2fff_0000, base + 0x2fff_0000, 0x2fff_0000, 0x5001_0000),
        ]
    );
    // The purgatory was told where both are.
    let told = &of(SegmentKind::Purgatory).data;
    assert_eq!(told[..8], 0x2000_0000_u64.to_le_bytes());
    assert_eq!(told[8..16], of(SegmentKind::Dtb).mem().to_le_bytes());
}

#[test]
fn the_capture_kernels_tree() {
    let (machine, kernel, options) = (machine(NAME), kernel(), ppc64_options().rng_seed(Some([0xa5; 32])));
    let plan = plan(&machine, &kernel, &options).unwrap();
    let of = |kind| plan.segment(kind).unwrap();
    let (initrd, backup) = (of(SegmentKind::Initrd), of(SegmentKind::Backup));
    let text = decompiled(&of(SegmentKind::Dtb).data);
    let has = |line: &str| assert!(text.contains(line), "no {line} in {text}");
    has("/memreserve/\t0x0000000000010000 0x000000001fff0000;");
    let header = of(SegmentKind::Elfcorehdr).mem();
    has(&format!("/memreserve/\t{header:#018x} {:#018x};", 0x3000_0000 - header));
    assert_eq!(header + PAGE, backup.mem(), "what is reserved at the end: header, copy and RTAS");
    has("linux,usable-memory = <0x00 0x00 0x00 0x30000000>;");
    has(&format!("bootargs = \"{}\";", plan.cmdline));
    has("linux,booted-from-kexec;");
    has(&format!("linux,initrd-start = <0x00 {:#x}>;", initrd.mem()));
    has(&format!("linux,initrd-end = <0x00 {:#x}>;", initrd.mem() + initrd.bufsz()));
    has(&format!("rng-seed = <{}>;", ["0xa5a5a5a5"; 8].join(" ")));
    for gone in ["linux,crashkernel-base", "linux,crashkernel-size", "linux,kernel-end", "linux,memory-limit"]
    {
        assert!(!text.contains(gone), "{gone}");
    }
    // Everything else is as it was.
    let kept = |text: &str| {
        let own = ["linux,", "bootargs", "rng-seed", "/memreserve/"];
        let lines = text.lines().filter(|line| !own.iter().any(|own| line.trim().starts_with(own)));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(kept(&text), kept(&decompiled(files().get(TREE).unwrap())));
}

/// Two blocks in use, one in the crash region in part, one that is not in use.
#[test]
fn memory_in_blocks() {
    let dts = "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; chosen { }; \
        memory@0 { device_type = \"memory\"; reg = <0 0 0 0x20000000>; }; \
        memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 0 0x10000000>; }; \
        ibm,dynamic-reconfiguration-memory { ibm,lmb-size = <0 0x18000000>; ibm,dynamic-memory-v2 = \
        <2 1 0 0x20000000 1 0 8 2 0 0x38000000 2 0 0>; }; };";
    let mut machine = machine(NAME);
    machine.device_tree = Some(dtc("dts", "dtb", dts.as_bytes()));
    machine.crash_regions = vec![range(0x1000_0000, 0x3000_0000)];
    let (kernel, options) = (kernel(), ppc64_options().mem_max(Some(0x1fff_ffff)));
    let plan = plan(&machine, &kernel, &options).unwrap();
    let text = decompiled(&plan.segment(SegmentKind::Dtb).unwrap().data);
    for line in [
        "linux,usable-memory = <0x00 0x00 0x00 0x20000000>;",
        "linux,usable-memory = <0x00 0x00 0x00 0x00>;",
        "linux,drconf-usable-memory = <0x00 0x01 0x00 0x20000000 0x00 0x10000000>;",
    ] {
        assert!(text.contains(line), "no {line} in {text}");
    }
}

/// Where the first memory node ends before the crash region does, the parts end there too.
#[test]
fn nothing_lies_outside_the_real_mode_area() {
    let dts = "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; chosen { }; \
        memory@0 { reg = <0 0 0 0x28000000>; }; memory@28000000 { reg = <0 0x28000000 0 0x58000000>; }; };";
    let mut machine = machine(NAME);
    machine.device_tree = Some(dtc("dts", "dtb", dts.as_bytes()));
    let (kernel, options) = (kernel(), ppc64_options());
    let plan = plan(&machine, &kernel, &options).unwrap();
    assert!(plan.segments.iter().all(|segment| segment.range.end() <= 0x2800_0000));
    assert!(plan.segments.iter().any(|segment| segment.range.end() == 0x2800_0000));
}

#[test]
fn what_is_no_kernel_for_it_is_refused_by_name() {
    let (machine, options) = (machine(NAME), ppc64_options());
    let refused = |kernel: &[u8]| match plan(&machine, kernel, &options) {
        Err(Error::Conflict { what: "kernel image", reason }) => reason,
        other => panic!("{other:?}"),
    };
    let mut fixed = kernel();
    fixed[0x1_0000 + RUN_AT_LOAD] = 0;
    assert!(refused(&fixed).contains("CONFIG_RELOCATABLE"));
    let mut swapped = kernel();
    swapped[0x1_0000 + RUN_AT_LOAD..0x1_0000 + RUN_AT_LOAD + 4].reverse();
    assert!(refused(&swapped).contains("byte order"));
    assert!(refused(&bzimage(0x100_0000, 0x1000)).contains("vmlinux"));
    let mut elsewhere = kernel();
    elsewhere[24] = 0x40;
    assert!(refused(&elsewhere).contains("zImage"));
}

#[test]
fn what_it_cannot_do_is_refused_by_name() {
    let (machine, kernel) = (machine(NAME), kernel());
    let refused = |options: PlanOptions| match plan(&machine, &kernel, &options) {
        Err(Error::Conflict { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ppc64_options().entry_32bit(true)), "32-bit entry");
    assert_eq!(refused(ppc64_options().memmap_cmdline(true)), "memmap= on the command line");
    assert_eq!(refused(ppc64_options().elf_class(Some(Class::Elf32))), "ELF32 core header");
    assert_eq!(refused(ppc64_options().hotplug(true)), "hot-plug");
    assert_eq!(refused(options(BackupPolicy::Never)), "no backup of low memory");
    let serial = Serial { port: SerialPort::Mmio(1 << 32), baud: None };
    assert_eq!(refused(ppc64_options().serial(Some(serial))), "serial port of the purgatory");
}

#[test]
fn a_machine_without_its_tree_is_refused() {
    let (kernel, options) = (kernel(), ppc64_options());
    let mut files = files();
    files.remove(TREE);
    let machine = Machine::from_files(&files).unwrap();
    // Not even its region is known: that is told, and not that the kernel had no room for one.
    let unknown = |machine: &Machine| match plan(machine, &kernel, &options) {
        Err(Error::Conflict { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let reason = unknown(&machine);
    assert!(reason.contains("devicetree.dtb: is not there") && reason.contains("again as root"), "{reason}");
    for (tree, what) in [(&b"no tree"[..], "cannot be used"), (&[0; 40], "cannot be used")] {
        files.insert(TREE, tree.to_vec());
        let reason = unknown(&Machine::from_files(&files).unwrap());
        assert!(reason.contains(what), "{reason}");
    }
    files.insert(TREE, "no tree");
    files.insert("proc/iomem", "00000000-7fffffff : System RAM\n  10000000-1fffffff : Crash kernel\n");
    let machine = Machine::from_files(&files).unwrap();
    assert!(machine.remarks.iter().any(|remark| remark.path == TREE), "{:?}", machine.remarks);
    assert!(matches!(plan(&machine, &kernel, &options), Err(Error::DeviceTree { what: "magic", .. })));
    files.remove(TREE);
    let machine = Machine::from_files(&files).unwrap();
    let Err(Error::Conflict { reason, .. }) = plan(&machine, &kernel, &options) else { panic!() };
    assert!(reason.contains(TREE), "{reason}");
}

/// Each rule of its own finds what it is for.
#[test]
fn a_plan_that_was_changed_fails_its_rule() {
    let (machine, kernel, options) = (machine(NAME), kernel(), ppc64_options());
    let good = plan(&machine, &kernel, &options).unwrap();
    fn of<'p, 'a>(plan: &'p mut Plan<'a>, kind: SegmentKind) -> &'p mut Segment<'a> {
        plan.segments.iter_mut().find(|segment| segment.kind == kind).unwrap()
    }
    fn own<'p>(plan: &'p mut Plan<'_>) -> &'p mut kdump_segments::target::ppc64::Ppc64Plan {
        let TargetPlan::Ppc64(own) = &mut plan.target else { panic!() };
        own
    }
    let changed = |change: &dyn Fn(&mut Plan<'_>)| {
        let mut plan = good.clone();
        change(&mut plan);
        let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
        let failed = report.findings.iter().filter(|finding| finding.verdict == Verdict::Fail);
        failed.map(|finding| finding.rule).collect::<Vec<_>>()
    };
    let moves = changed(&|plan| of(plan, SegmentKind::Kernel).data.to_mut()[RUN_AT_LOAD] = 0x30);
    assert_eq!(moves, ["kernel_stays"]);
    let low = changed(&|plan| plan.low_memory = LowMemory::AsIs);
    assert!(low.contains(&"low_memory_saved"), "{low:?}");
    let area = changed(&|plan| own(plan).real_mode_area = range(0, 0x2800_0000));
    assert_eq!(area, ["segments_in_real_mode_area"]);
    let unreserved = changed(&|plan| own(plan).reserved = RangeSet::new());
    assert_eq!(unreserved, ["device_tree", "elfcorehdr_not_in_capture_ram"]);
    let unusable = changed(&|plan| own(plan).usable = range(0, 0x2400_0000));
    assert!(
        unusable.contains(&"device_tree") && unusable.contains(&"segments_in_capture_ram"),
        "{unusable:?}"
    );
    let bootargs = changed(&|plan| {
        let tree = of(plan, SegmentKind::Dtb).data.to_mut();
        let at = tree.windows(8).position(|window| window == b"console=").unwrap();
        tree[at] = b'C';
    });
    assert_eq!(bootargs, ["device_tree"]);
    let no_tree = changed(&|plan| of(plan, SegmentKind::Dtb).data = Cow::Borrowed(b"none"));
    assert_eq!(no_tree, ["device_tree"]);
    let initrd = changed(&|plan| of(plan, SegmentKind::Initrd).range = range(0x2300_0000, 0x2330_0000));
    assert_eq!(initrd, ["device_tree"]);
}

/// The directories of a live machine are read as one tree; what is no tree is told and nothing of it kept.
#[test]
fn the_live_tree_is_read_from_its_directories() {
    let read = |name: &str, make: &dyn Fn(&std::path::Path)| {
        let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = std::fs::remove_dir_all(&dir);
        let tree = dir.join("proc/device-tree");
        std::fs::create_dir_all(tree.join("chosen")).unwrap();
        std::fs::create_dir_all(dir.join("proc/sys/kernel")).unwrap();
        std::fs::write(dir.join("proc/sys/kernel/arch"), "ppc64le\n").unwrap();
        std::fs::write(tree.join("name"), "\0").unwrap();
        std::fs::write(tree.join("model"), "a machine\0").unwrap();
        std::fs::write(tree.join("chosen/name"), "chosen\0").unwrap();
        std::fs::write(tree.join("chosen/bootargs"), "quiet\0").unwrap();
        // The tree of the start is another one.
        std::fs::create_dir_all(dir.join("sys/firmware")).unwrap();
        std::fs::write(dir.join("sys/firmware/fdt"), "of the start").unwrap();
        make(&tree);
        MachineFiles::read(&dir).unwrap()
    };
    let files = read("ppc64-live", &|_| ());
    let text = decompiled(files.get(TREE).unwrap());
    assert!(text.contains("model = \"a machine\"") && text.contains("bootargs = \"quiet\""), "{text}");
    assert!(!files.iter().any(|(path, _)| path.starts_with("proc/device-tree/")), "it is one file");
    let deep = read("ppc64-deep", &|tree| std::fs::create_dir_all(tree.join("a/".repeat(70))).unwrap());
    let large = read("ppc64-large", &|tree| std::fs::write(tree.join("x"), vec![0; 5 << 20]).unwrap());
    for (files, what) in [(deep, "deeper than 64"), (large, "at most 2 MiB")] {
        let told: Vec<_> = files.unreadable().collect();
        assert!(told.iter().any(|(path, why)| *path == TREE && why.contains(what)), "{what}: {told:?}");
        assert!(files.get(TREE).is_none() && files.get("proc/device-tree/model").is_none());
    }
}

/// The capture kernel is told of memory from address 0 on: less than reaches behind what is loaded ends it too early.
#[test]
fn a_limit_of_memory_below_the_region_fails() {
    let (machine, kernel) = (machine(NAME), kernel());
    for (limit, good) in
        [("4K", false), ("64M", false), ("512M", false), ("300M mem=4G", true), ("768M", true)]
    {
        let options = ppc64_options().cmdline(format!("console=hvc0 mem={limit}"));
        let plan = plan(&machine, &kernel, &options).unwrap();
        let report = check_plan(&plan, &machine, &Environment::of_machine(&machine).unwrap()).unwrap();
        let failed = report.findings.iter().filter(|finding| finding.verdict == Verdict::Fail);
        let failed: Vec<_> = failed.map(|finding| finding.rule).collect();
        assert_eq!(failed.is_empty(), good, "{limit}: {failed:?}");
        assert!(good || failed.contains(&"memory_limit"), "{limit}: {failed:?}");
    }
}
