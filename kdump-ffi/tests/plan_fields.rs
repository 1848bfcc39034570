//! A plan through C against the same plan through Rust: every field, under every option.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ffi::{CStr, c_char, c_int};
use core::ptr::{null, null_mut};
use std::ffi::CString;
use std::path::{Path, PathBuf};

use common::{
    libkdump_error, libkdump_finding, libkdump_phdr, libkdump_plan, libkdump_plan_arm64, libkdump_plan_info,
    libkdump_plan_options, libkdump_plan_x86, libkdump_preflight_info, libkdump_range, libkdump_segment,
    message, sized,
};
use kdump_elf::{Class, Phdr};
use kdump_ffi::{
    LIBKDUMP_BACKUP_ALWAYS, LIBKDUMP_BACKUP_NEVER, LIBKDUMP_MEMORY_RAM, LIBKDUMP_MISMATCH_CONTINUE,
    LIBKDUMP_MISMATCH_RESET, LIBKDUMP_PLAN_ELF32, LIBKDUMP_PLAN_ELF64, LIBKDUMP_PLAN_ENTRY_32BIT,
    LIBKDUMP_PLAN_HOTPLUG, LIBKDUMP_PLAN_MEMMAP_CMDLINE, LIBKDUMP_PLAN_NO_CACHES, LIBKDUMP_PLAN_NO_EFI,
    LIBKDUMP_PLAN_REUSE_CMDLINE, LIBKDUMP_PLAN_SEED, LIBKDUMP_VERDICT_FAIL, LIBKDUMP_VERDICT_PASS,
    LIBKDUMP_VERDICT_UNKNOWN,
};
use kdump_ffi_core::{
    LIBKDUMP_ARCH_ARM64, LIBKDUMP_ARCH_X86_64, LIBKDUMP_END, LIBKDUMP_ERR_ABI, LIBKDUMP_ERR_INVALID,
    LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_OK,
};
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::Machine;
use kdump_segments::load::probe_environment;
use kdump_segments::plan::{BackupPolicy, Plan, PlanInputs, PlanOptions, json_to_ascii};
use kdump_segments::preflight::{Report, Verdict, check_plan};
use kdump_segments::purgatory::{MismatchAction, Serial, SerialPort};

const INITRD: [u8; 5001] = [0x5a; 5001];
const CMDLINE: &CStr = c"console=ttyS0 nr_cpus=1";

/// A recorded machine, the images, and an object to be used as purgatory.
struct World {
    root: PathBuf,
    kernel: Vec<u8>,
    purgatory: Option<Vec<u8>>,
}

/// A plan of C, freed with its machine.
struct Made {
    machine: *mut common::libkdump_machine,
    plan: *mut libkdump_plan,
}

impl Drop for Made {
    fn drop(&mut self) {
        common::libkdump_plan_free(self.plan);
        common::libkdump_machine_free(self.machine);
    }
}

impl World {
    fn new(machine: &str) -> Self {
        let root =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../kdump-segments/tests/machines").join(machine);
        Self { root, kernel: common::bzimage(), purgatory: None }
    }

    fn arm64() -> Self {
        Self { kernel: common::arm64_image(), ..Self::new("arm64-1g-61") }
    }

    fn through_c(&self, options: &libkdump_plan_options) -> Result<Made, String> {
        self.coded(options).map_err(|(_, said)| said)
    }

    fn coded(&self, options: &libkdump_plan_options) -> Result<Made, (c_int, String)> {
        let (object, len) =
            self.purgatory.as_ref().map_or((null(), 0), |object| (object.as_ptr(), object.len()));
        let options = libkdump_plan_options {
            kernel_data: self.kernel.as_ptr().cast(),
            kernel_len: self.kernel.len() as u64,
            initrd_data: INITRD.as_ptr().cast(),
            initrd_len: INITRD.len() as u64,
            purgatory: object.cast(),
            purgatory_len: len as u64,
            ..*options
        };
        let root = CString::new(self.root.to_str().unwrap()).unwrap();
        let (mut made, mut error) = (Made { machine: null_mut(), plan: null_mut() }, sized());
        let code = common::libkdump_machine_collect(root.as_ptr(), &raw mut made.machine, &raw mut error);
        assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
        let (plan, place) = (&raw mut made.plan, &raw mut error);
        match common::libkdump_plan_new(made.machine, &raw const options, plan, place) {
            LIBKDUMP_OK => Ok(made),
            code => Err((code, message(&error))),
        }
    }

    fn through_rust(&self, options: &PlanOptions) -> Result<(Plan<'static>, Report), String> {
        let machine = Machine::collect(&self.root).unwrap();
        let purgatory = match &self.purgatory {
            Some(object) => ObjectPurgatory::from_object(object.clone()).unwrap(),
            None => ObjectPurgatory::builtin(machine.arch).unwrap(),
        };
        let inputs =
            PlanInputs::new(&machine, &self.kernel, &purgatory).initrd(Some(&INITRD)).options(options);
        let plan = Plan::new(&inputs).map_err(|error| error.to_string())?.into_owned().unwrap();
        let report = check_plan(&plan, &machine, &probe_environment(&machine, &self.root).unwrap()).unwrap();
        Ok((plan, report))
    }
}

/// All elements of one of the lists.
fn all<T>(mut next: impl FnMut(u32, &mut T) -> c_int, blank: impl Fn() -> T) -> Vec<T> {
    let mut found = Vec::new();
    loop {
        let mut element = blank();
        match next(found.len() as u32, &mut element) {
            LIBKDUMP_OK => found.push(element),
            code => {
                assert_eq!(code, LIBKDUMP_END);
                return found;
            }
        }
    }
}

fn text(text: *const c_char) -> String {
    unsafe { CStr::from_ptr(text) }.to_str().unwrap().to_owned()
}

/// In the order of `struct libkdump_phdr`, which `elf(5)` has too.
type Header = (u32, u32, u64, u64, u64, u64, u64, u64);

fn of_c(phdr: &libkdump_phdr) -> Header {
    let libkdump_phdr { p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align } = *phdr;
    (p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align)
}

fn of_rust(phdr: &Phdr) -> Header {
    let Phdr { p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align } = *phdr;
    (p_type, p_flags, p_offset, p_vaddr, p_paddr, p_filesz, p_memsz, p_align)
}

#[track_caller]
fn same(made: &Made, plan: &Plan<'_>, report: &Report) {
    the_sum_is_the_same(made, plan);
    the_target_is_the_same(made, plan);
    the_lists_are_the_same(made, plan);
    the_preflight_is_the_same(made, report);
    let json = json_to_ascii(&plan.to_json(report).to_string());
    let (mut buf, mut len) = (vec![0; json.len() + 1], 0);
    let code = common::libkdump_plan_json(made.plan, buf.as_mut_ptr(), buf.len(), &raw mut len, null_mut());
    assert_eq!((code, len, text(buf.as_ptr())), (LIBKDUMP_OK, json.len(), json));
}

/// A field that is new must be compared here, or this does not compile.
fn the_sum_is_the_same(made: &Made, plan: &Plan<'_>) {
    let mut info = sized();
    assert_eq!(common::libkdump_plan_get_info(made.plan, &raw mut info, null_mut()), LIBKDUMP_OK);
    let libkdump_plan_info {
        size: _,
        arch,
        segments,
        phnum,
        vmcore_phnum,
        reserved,
        entry,
        flags,
        region_start,
        region_length,
        leftover,
        vmcore_size,
        cmdline_limit,
    } = info;
    assert_eq!(arch, if plan.device_tree().is_some() { LIBKDUMP_ARCH_ARM64 } else { LIBKDUMP_ARCH_X86_64 });
    assert_eq!((segments, reserved), (plan.segments.len() as u32, 0));
    assert_eq!([phnum, vmcore_phnum], [plan.elfcorehdr.phdrs().len() as u32, plan.vmcore.phdrs.len() as u32]);
    assert_eq!((entry, flags), (plan.entry, plan.flags.bits()));
    assert_eq!((region_start, region_length), (plan.region.start(), plan.region.size()));
    assert_eq!((leftover, vmcore_size), (plan.leftover, plan.vmcore.size));
    assert_eq!(cmdline_limit, plan.cmdline_limit);
}

/// Also of what is not there.
fn the_size_is_judged_first(made: &Made) {
    let mut x86 = libkdump_plan_x86 { size: 4, ..sized() };
    let mut arm64 = libkdump_plan_arm64 { size: 4, ..sized() };
    let mut range = libkdump_range { size: 4, ..sized() };
    let plan = made.plan;
    for code in [
        common::libkdump_plan_get_x86(plan, &raw mut x86, null_mut()),
        common::libkdump_plan_get_arm64(plan, &raw mut arm64, null_mut()),
        common::libkdump_plan_e820(plan, 0, &raw mut range, null_mut()),
        common::libkdump_plan_usable(plan, 0, &raw mut range, null_mut()),
    ] {
        assert_eq!(code, LIBKDUMP_ERR_ABI);
    }
}

/// What only plans for one architecture have, and the other's getters refuse.
fn the_target_is_the_same(made: &Made, plan: &Plan<'_>) {
    let (mut x86, mut arm64) = (sized(), sized());
    let codes = (
        common::libkdump_plan_get_x86(made.plan, &raw mut x86, null_mut()),
        common::libkdump_plan_get_arm64(made.plan, &raw mut arm64, null_mut()),
    );
    the_size_is_judged_first(made);
    let libkdump_plan_x86 { size: _, e820, initrd_limit } = x86;
    let libkdump_plan_arm64 { size: _, usable, text_offset } = arm64;
    let mut range = sized();
    match (plan.x86(), plan.device_tree()) {
        (Some(planned), None) => {
            assert_eq!(codes, (LIBKDUMP_OK, LIBKDUMP_ERR_NOT_FOUND));
            assert_eq!((e820, initrd_limit), (planned.e820.len() as u32, planned.initrd_limit));
            let list = ranges(|index, out| common::libkdump_plan_e820(made.plan, index, out, null_mut()));
            let planned = planned.e820.iter();
            let planned =
                planned.map(|entry| (entry.kind.e820_type(), entry.range.start(), entry.range.size()));
            assert_eq!(list, planned.collect::<Vec<_>>());
            let mut error = sized();
            let code = common::libkdump_plan_usable(made.plan, 0, &raw mut range, &raw mut error);
            assert_eq!(code, LIBKDUMP_ERR_NOT_FOUND);
            assert_eq!(message(&error), "the plan is for x86_64, not for arm64");
        }
        (None, Some(planned)) => {
            assert_eq!(codes, (LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_OK));
            assert_eq!((usable, text_offset), (planned.usable.len() as u32, planned.text_offset));
            let list = ranges(|index, out| common::libkdump_plan_usable(made.plan, index, out, null_mut()));
            let planned = planned.usable.iter();
            let planned = planned.map(|range| (LIBKDUMP_MEMORY_RAM, range.start(), range.size()));
            assert_eq!(list, planned.collect::<Vec<_>>());
            let code = common::libkdump_plan_e820(made.plan, 0, &raw mut range, null_mut());
            assert_eq!(code, LIBKDUMP_ERR_NOT_FOUND);
        }
        _ => panic!("a plan is for one architecture"),
    }
}

fn ranges(next: impl FnMut(u32, &mut libkdump_range) -> c_int) -> Vec<(u32, u64, u64)> {
    let list: Vec<libkdump_range> = all(next, sized);
    list.iter().map(|range| (range.kind, range.start, range.length)).collect()
}

fn the_lists_are_the_same(made: &Made, plan: &Plan<'_>) {
    let segments: Vec<libkdump_segment> =
        all(|index, out| common::libkdump_plan_segment(made.plan, index, out, null_mut()), sized);
    assert_eq!(segments.len(), plan.segments.len());
    for (found, segment) in segments.into_iter().zip(&plan.segments) {
        let libkdump_segment { size: _, kind, mem, memsz, bufsz, buf, reserved } = found;
        assert_eq!(text(common::libkdump_segment_name(kind)), segment.kind.name());
        assert_eq!((mem, memsz, bufsz), (segment.mem(), segment.memsz(), segment.data.len() as u64));
        let bytes = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), bufsz as usize) };
        assert!(bytes == &*segment.data, "{}", segment.kind.name());
        assert!(reserved.is_null());
    }
    let phdrs = |next: fn(*const libkdump_plan, u32, *mut libkdump_phdr, *mut libkdump_error) -> c_int| {
        let found =
            all(|index, out| next(made.plan, index, out, null_mut()), || unsafe { core::mem::zeroed() });
        found.iter().map(of_c).collect::<Vec<_>>()
    };
    let of_rust = |list: &[Phdr]| list.iter().map(of_rust).collect::<Vec<_>>();
    assert_eq!(phdrs(common::libkdump_plan_phdr), of_rust(plan.elfcorehdr.phdrs()));
    assert_eq!(phdrs(common::libkdump_plan_vmcore_phdr), of_rust(&plan.vmcore.phdrs));
    assert_eq!(text(common::libkdump_plan_cmdline(made.plan)), plan.cmdline.as_str());
    let notes = all(|index, out| common::libkdump_plan_note(made.plan, index, out, null_mut()), null);
    assert_eq!(notes.into_iter().map(text).collect::<Vec<_>>(), plan.remarks);
}

fn the_preflight_is_the_same(made: &Made, report: &Report) {
    let (mut preflight, mut info) = (null_mut(), sized());
    let code = common::libkdump_plan_preflight(made.plan, &raw mut preflight, null_mut());
    assert_eq!(code, LIBKDUMP_OK);
    assert_eq!(common::libkdump_preflight_get_info(preflight, &raw mut info, null_mut()), LIBKDUMP_OK);
    let libkdump_preflight_info { size: _, verdict, findings, os_errno, armed_image_lost, reserved } = info;
    let sum = if report.failure().is_some() { LIBKDUMP_VERDICT_FAIL } else { LIBKDUMP_VERDICT_PASS };
    assert_eq!((verdict, findings, reserved), (sum, report.findings.len() as u32, 0));
    assert_eq!(os_errno, report.errno.map_or(0, |errno| errno.0));
    assert_eq!(armed_image_lost, u32::from(report.armed_image_lost));
    let found: Vec<libkdump_finding> =
        all(|index, out| common::libkdump_preflight_finding(preflight, index, out, null_mut()), sized);
    assert_eq!(found.len(), report.findings.len());
    for (found, finding) in found.iter().zip(&report.findings) {
        let verdict = match finding.verdict {
            Verdict::Pass => LIBKDUMP_VERDICT_PASS,
            Verdict::Fail => LIBKDUMP_VERDICT_FAIL,
            Verdict::Unknown => LIBKDUMP_VERDICT_UNKNOWN,
        };
        assert_eq!((text(found.rule).as_str(), found.verdict), (finding.rule, verdict));
        assert_eq!(text(found.detail), finding.detail);
    }
    common::libkdump_preflight_free(preflight);
}

#[test]
fn every_field_is_the_same() {
    for machine in ["bios-512m", "efi-1g-612"] {
        let world = World::new(machine);
        let (plan, report) = world.through_rust(&PlanOptions::default()).unwrap();
        assert!(!plan.remarks.is_empty() && plan.segments.len() > 3 && plan.elfcorehdr.phdrs().len() > 2);
        assert!(report.findings.iter().any(|finding| finding.verdict == Verdict::Unknown));
        same(&world.through_c(&sized()).unwrap(), &plan, &report);
    }
}

/// A plan for arm64, whose options are others.
#[test]
fn every_field_is_the_same_for_arm64() {
    let (world, c) = (World::arm64(), sized::<libkdump_plan_options>());
    let mmio = Serial { port: SerialPort::Mmio(0x900_0000), baud: None };
    let mut plans = Vec::new();
    for (c, rust) in [
        (c, PlanOptions::default()),
        (
            libkdump_plan_options { serial_address: 0x900_0000, ..c },
            PlanOptions::default().serial(Some(mmio)),
        ),
        (
            libkdump_plan_options { flags: LIBKDUMP_PLAN_NO_CACHES, ..c },
            PlanOptions::default().purgatory_caches(false),
        ),
    ] {
        let (plan, report) = world.through_rust(&rust).unwrap();
        let arm64 = plan.device_tree().unwrap();
        assert!(arm64.text_offset == 0x8_0000 && !arm64.usable.is_empty() && plan.x86().is_none());
        same(&world.through_c(&c).unwrap(), &plan, &report);
        plans.push(format!("{plan:?}"));
    }
    assert!(plans[0] != plans[1] && plans[0] != plans[2], "an option without effect");
    let both = libkdump_plan_options { serial_base: 0x3f8, serial_address: 0x900_0000, ..c };
    assert!(world.through_c(&both).err().unwrap().contains("serial_base"));
}

/// The caller is wrong then, and no file is.
#[test]
fn options_that_do_not_suit_the_machine_are_invalid() {
    let c = sized::<libkdump_plan_options>();
    let base = libkdump_plan_options { serial_base: 0x3f8, ..c };
    let address = libkdump_plan_options { serial_address: 0x900_0000, ..c };
    let no_caches = libkdump_plan_options { flags: LIBKDUMP_PLAN_NO_CACHES, ..c };
    let x86 = || World::new("bios-512m");
    for (world, options, part) in [
        (World::arm64(), base, "I/O ports"),
        (World::arm64(), libkdump_plan_options { serial_baud: 9600, ..address }, "speed"),
        (x86(), address, "0x9000000"),
        (x86(), no_caches, "caches"),
        (x86(), libkdump_plan_options { serial_baud: 9601, ..base }, "9601"),
    ] {
        let (code, said) = world.coded(&options).err().unwrap();
        assert_eq!(code, LIBKDUMP_ERR_INVALID, "{said}");
        assert!(said.contains(part), "{said}");
    }
}

/// What C asks for and what that is called in Rust.
type Wish = (libkdump_plan_options, PlanOptions);

fn wishes() -> Vec<Wish> {
    let (c, rust) = (sized::<libkdump_plan_options>(), PlanOptions::default);
    let flag = |flags| libkdump_plan_options { flags, ..c };
    let serial = |base, baud| rust().serial(Some(Serial { port: SerialPort::Port(base), baud }));
    vec![
        (flag(LIBKDUMP_PLAN_REUSE_CMDLINE), rust().reuse_cmdline(true)),
        (flag(LIBKDUMP_PLAN_ENTRY_32BIT), rust().entry_32bit(true)),
        (flag(LIBKDUMP_PLAN_MEMMAP_CMDLINE), rust().memmap_cmdline(true)),
        (flag(LIBKDUMP_PLAN_NO_EFI), rust().no_efi(true)),
        (flag(LIBKDUMP_PLAN_HOTPLUG), rust().hotplug(true)),
        (flag(LIBKDUMP_PLAN_ELF32), rust().elf_class(Some(Class::Elf32))),
        (
            libkdump_plan_options { rng_seed: [7; 32], ..flag(LIBKDUMP_PLAN_SEED) },
            rust().rng_seed(Some([7; 32])),
        ),
        (libkdump_plan_options { backup: LIBKDUMP_BACKUP_ALWAYS, ..c }, rust().backup(BackupPolicy::Always)),
        (libkdump_plan_options { backup: LIBKDUMP_BACKUP_NEVER, ..c }, rust().backup(BackupPolicy::Never)),
        (
            libkdump_plan_options { on_mismatch: LIBKDUMP_MISMATCH_RESET, ..c },
            rust().on_mismatch(MismatchAction::Reset),
        ),
        (
            libkdump_plan_options { on_mismatch: LIBKDUMP_MISMATCH_CONTINUE, ..c },
            rust().on_mismatch(MismatchAction::Continue),
        ),
        (flag(LIBKDUMP_PLAN_NO_CACHES), rust().purgatory_caches(false)),
        (libkdump_plan_options { serial_base: 0x2f8, ..c }, serial(0x2f8, None)),
        (libkdump_plan_options { serial_base: 0x2f8, serial_baud: 9600, ..c }, serial(0x2f8, Some(9600))),
        (
            libkdump_plan_options { cmdline: CMDLINE.as_ptr(), ..c },
            rust().cmdline(CMDLINE.to_str().unwrap().to_owned()),
        ),
    ]
}

/// A loader that fills in two fields of which one would be passed over has made a mistake.
#[test]
fn options_that_contradict_each_other_are_refused() {
    let (world, c) = (World::new("bios-512m"), sized::<libkdump_plan_options>());
    let name = CMDLINE.as_ptr();
    for (options, field) in [
        (libkdump_plan_options { kernel: name, ..c }, "kernel_len"),
        (libkdump_plan_options { initrd: name, ..c }, "initrd_len"),
        (libkdump_plan_options { serial_baud: 9600, ..c }, "serial_baud"),
        (libkdump_plan_options { rng_seed: [7; 32], ..c }, "LIBKDUMP_PLAN_SEED"),
        (
            libkdump_plan_options { flags: LIBKDUMP_PLAN_ELF32 | LIBKDUMP_PLAN_ELF64, ..c },
            "one class of the core header",
        ),
    ] {
        let told = world.through_c(&options).err().unwrap();
        assert!(told.contains(field), "{field}: {told}");
    }
}

/// The options but for the names of files, which `examples/c` uses.
#[test]
fn every_option_asks_for_the_same() {
    let (world, mut plans) = (World::new("efi-1g-612"), Vec::new());
    let mut wishes = wishes();
    let (start, end) = {
        let (plan, _) = world.through_rust(&PlanOptions::default()).unwrap();
        plans.push(format!("{plan:?}"));
        (plan.region.start() + (1 << 20), plan.region.end() - (2 << 20))
    };
    let c = sized::<libkdump_plan_options>();
    wishes.push((libkdump_plan_options { mem_min: start, ..c }, PlanOptions::default().mem_min(Some(start))));
    wishes.push((
        libkdump_plan_options { mem_max: end - 1, ..c },
        PlanOptions::default().mem_max(Some(end - 1)),
    ));
    let mut refused = 0;
    for (c, rust) in wishes {
        let said = match (world.through_c(&c), world.through_rust(&rust)) {
            (Ok(made), Ok((plan, report))) => {
                same(&made, &plan, &report);
                format!("{plan:?}")
            }
            (Err(said), Err(error)) => {
                assert_eq!(said, error);
                refused += 1;
                error
            }
            (Err(said), Ok(_)) => panic!("{rust:?}: only C is refused: {said}"),
            (Ok(_), Err(error)) => panic!("{rust:?}: only Rust is refused: {error}"),
        };
        assert!(!plans.contains(&said), "{rust:?} changes nothing");
        plans.push(said);
    }
    assert_eq!(refused, 2, "the text of this kernel does not fit an ELF32 header; its caches are on");
}

/// An own purgatory is the one that is linked.
#[test]
fn a_given_purgatory_is_used() {
    let mut object = include_bytes!("../../kdump-purgatory/objects/x86_64.o").to_vec();
    let builtin = World::new("bios-512m");
    let (plan, _) = builtin.through_rust(&PlanOptions::default()).unwrap();
    // A letter of what it says: loaded, and of no consequence to the linker.
    let said = b"purgatory: digest matches";
    let at = object.windows(said.len()).position(|bytes| bytes == said).unwrap();
    object[at] = b'P';
    let world = World { purgatory: Some(object), ..builtin };
    let (other, report) = world.through_rust(&PlanOptions::default()).unwrap();
    assert_ne!(format!("{plan:?}"), format!("{other:?}"));
    same(&world.through_c(&sized()).unwrap(), &other, &report);
}
