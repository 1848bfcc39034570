//! What no call takes: sizes below those of the first version, flags it does not know.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]
#![allow(
    unreachable_pub,
    clippy::too_many_arguments,
    clippy::missing_const_for_fn,
    reason = "so has the header"
)]

use core::ffi::{c_char, c_int, c_void};
use core::ptr::{null, null_mut};
use std::ffi::CString;
use std::path::Path;

use kdump_ffi::layouts;
use kdump_ffi_core::{
    LIBKDUMP_ARCH_X86_64, LIBKDUMP_CLASS_ELF64, LIBKDUMP_ENDIAN_LITTLE, LIBKDUMP_ERR_ABI,
    LIBKDUMP_ERR_INVALID, LIBKDUMP_OK,
};

mod common;

use common::Memory;

/// Any structure, and any handle: what is behind the pointers is tested, not their types.
type Any = *mut c_void;

macro_rules! declare {
    ($($name:ident($($arg:ident: $ty:ty),*);)*) => {
        #[allow(clashing_extern_declarations, reason = "pointers to anything")]
        mod raw {
            use super::*;
            unsafe extern "C" { $(pub fn $name($($arg: $ty),*) -> c_int;)* }
        }
        $(fn $name($($arg: $ty),*) -> c_int {
            let code = unsafe { raw::$name($($arg),*) };
            common::listed::Returned::listed(code, stringify!($name))
        })*
    };
}

declare! {
    libkdump_elfcorehdr_parse(buf: *const u8, len: usize, out: Any, error: Any);
    libkdump_vmcore_get_layout(buf: *const u8, len: usize, page: u64, notes: u64, out: Any, error: Any);
    libkdump_vmcore_get_phdr(buf: *const u8, len: usize, page: u64, notes: u64, index: u32, out: Any, error: Any);
    libkdump_vmcoreinfo_next(text: *const u8, len: usize, cursor: *mut u64, out: Any, error: Any);
    libkdump_note_next(buf: *const u8, len: usize, endian: u32, align: u64, cursor: *mut u64, out: Any, error: Any);
    libkdump_prstatus_register_at(desc: *const u8, len: usize, arch: u32, endian: u32, index: u32, out: Any, error: Any);
    libkdump_arch_get_info(arch: u32, out: Any, error: Any);
    libkdump_elfcorehdr_size(params: Any, bytes: *mut u64, error: Any);
    libkdump_elfcorehdr_encode(params: Any, phdrs: Any, buf: Any, len: usize, written: *mut u64, error: Any);
    libkdump_dump_open_callback(size: u64, read: Any, user: Any, options: Any, dump: *mut Any, error: Any);
    libkdump_dump_get_info(dump: Any, out: Any, error: Any);
    libkdump_dump_range(dump: Any, index: u32, out: Any, error: Any);
    libkdump_dump_cpu(dump: Any, index: u32, out: Any, error: Any);
    libkdump_dump_verify(dump: Any, progress: Any, user: Any, verification: *mut Any, error: Any);
    libkdump_dump_save(dump: Any, path: *const c_char, options: Any, progress: Any, user: Any, report: Any, error: Any);
    libkdump_verification_get_info(verification: Any, out: Any, error: Any);
    libkdump_dump_classify(dump: Any, threads: u32, classes: *mut Any, error: Any);
    libkdump_classes_get_info(classes: Any, out: Any, error: Any);
    libkdump_classes_next(classes: Any, cursor: *mut u64, out: Any, error: Any);
    libkdump_dmesg_get_info(dmesg: Any, out: Any, error: Any);
    libkdump_dmesg_record(dmesg: Any, index: u32, out: Any, error: Any);
    libkdump_dmesg_read(dump: Any, dmesg: *mut Any, error: Any);
    libkdump_machine_collect(root: *const c_char, machine: *mut Any, error: Any);
    libkdump_machine_get_info(machine: Any, out: Any, error: Any);
    libkdump_machine_cpu_note(machine: Any, index: u32, out: Any, error: Any);
    libkdump_crashkernel_parse(cmdline: *const c_char, ram: u64, arch: u32, out: Any, error: Any);
    libkdump_crashkernel_reserve(machine: Any, request: Any, out: Any, error: Any);
    libkdump_plan_new(machine: Any, options: Any, plan: *mut Any, error: Any);
    libkdump_machine_low_memory(machine: Any, backup: u32, out: Any, error: Any);
    libkdump_plan_get_info(plan: Any, out: Any, error: Any);
    libkdump_plan_get_x86(plan: Any, out: Any, error: Any);
    libkdump_plan_get_arm64(plan: Any, out: Any, error: Any);
    libkdump_plan_segment(plan: Any, index: u32, out: Any, error: Any);
    libkdump_plan_preflight(plan: Any, preflight: *mut Any, error: Any);
    libkdump_preflight_get_info(preflight: Any, out: Any, error: Any);
    libkdump_preflight_finding(preflight: Any, index: u32, out: Any, error: Any);
    libkdump_purgatory_new(object: *const u8, len: usize, arch: u32, purgatory: *mut Any, error: Any);
    libkdump_purgatory_get_info(purgatory: Any, out: Any, error: Any);
}

/// A call with `place` as the one structure that is looked at.
type Call<'a> = (&'static str, Box<dyn Fn(Any) -> c_int + 'a>);

/// Everything the calls need besides.
struct World {
    core: Box<Memory>,
    header: Vec<u8>,
    dump: Any,
    verification: Any,
    dmesg: Any,
    classes: Any,
    machine: Any,
    plan: Any,
    /// Another machine and its plan.
    arm64: (Any, Any),
    preflight: Any,
    purgatory: Any,
}

const INFO: &[u8] = b"OSRELEASE=6.1\nPAGESIZE=4096\n";

impl World {
    fn new() -> Self {
        let (core, mut world) = (common::dump_with_log(), Self::nothing());
        world.core = Box::new(Memory::new(core));
        let read = common::read_memory as *const () as Any;
        let ok = |code: c_int, what: &str| assert_eq!(code, LIBKDUMP_OK, "{what}");
        let (size, user) = (world.core.bytes.len() as u64, world.core.user());
        ok(
            libkdump_dump_open_callback(size, read, user, null_mut(), &raw mut world.dump, null_mut()),
            "dump",
        );
        let array = dumpgen::PageArray::new(0x400, |_| dumpgen::PageRecord::KERNEL);
        let (array, mut dump) = (Memory::new(array.build()), null_mut());
        let (size, user) = (array.bytes.len() as u64, array.user());
        ok(libkdump_dump_open_callback(size, read, user, null_mut(), &raw mut dump, null_mut()), "array");
        ok(libkdump_dump_classify(dump, 1, &raw mut world.classes, null_mut()), "classes");
        common::libkdump_dump_free(dump.cast());
        ok(libkdump_dmesg_read(world.dump, &raw mut world.dmesg, null_mut()), "dmesg");
        let verification = &raw mut world.verification;
        ok(libkdump_dump_verify(world.dump, null_mut(), null_mut(), verification, null_mut()), "verify");
        for (name, image, machine, plan) in [
            ("bios-512m", common::bzimage(), &raw mut world.machine, &raw mut world.plan),
            ("arm64-1g-61", common::arm64_image(), &raw mut world.arm64.0, &raw mut world.arm64.1),
        ] {
            let root =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../kdump-segments/tests/machines").join(name);
            let root = CString::new(root.to_str().unwrap()).unwrap();
            ok(libkdump_machine_collect(root.as_ptr(), machine, null_mut()), "machine");
            let options = common::libkdump_plan_options {
                kernel_data: image.as_ptr().cast(),
                kernel_len: image.len() as u64,
                ..common::sized()
            };
            let options = (&raw const options).cast_mut().cast();
            ok(libkdump_plan_new(unsafe { *machine }, options, plan, null_mut()), "plan");
        }
        ok(libkdump_plan_preflight(world.plan, &raw mut world.preflight, null_mut()), "preflight");
        let purgatory = &raw mut world.purgatory;
        ok(libkdump_purgatory_new(null(), 0, LIBKDUMP_ARCH_X86_64, purgatory, null_mut()), "purgatory");
        world
    }

    fn nothing() -> Self {
        let header = dumpgen::CoreFile::x86_64().with(dumpgen::Segment::notes(&[0; 16])).build();
        let none = null_mut();
        Self {
            core: Box::new(Memory::new(Vec::new())),
            header,
            dump: none,
            verification: none,
            dmesg: none,
            classes: none,
            machine: none,
            plan: none,
            arm64: (none, none),
            preflight: none,
            purgatory: none,
        }
    }

    /// Structures that come out, each with a call that succeeds but for it.
    fn outputs(&self) -> Vec<Call<'_>> {
        let (head, len) = (self.header.as_ptr(), self.header.len());
        let none = null_mut();
        vec![
            ("libkdump_arch_info", Box::new(move |s| libkdump_arch_get_info(1, s, none))),
            ("libkdump_elf_header", Box::new(move |s| libkdump_elfcorehdr_parse(head, len, s, none))),
            (
                "libkdump_note",
                Box::new(move |s| {
                    let (note, mut at) = (dumpgen::note(dumpgen::Wire::LE64, "CORE", 1, &[0; 336]), 0);
                    libkdump_note_next(note.as_ptr(), note.len(), 1, 4, &raw mut at, s, none)
                }),
            ),
            (
                "libkdump_register",
                Box::new(move |s| libkdump_prstatus_register_at([0; 336].as_ptr(), 336, 1, 1, 0, s, none)),
            ),
            (
                "libkdump_vmcoreinfo_entry",
                Box::new(move |s| libkdump_vmcoreinfo_next(INFO.as_ptr(), INFO.len(), &mut 0, s, none)),
            ),
            (
                "libkdump_vmcore_layout",
                Box::new(move |s| libkdump_vmcore_get_layout(head, len, 4096, 16, s, none)),
            ),
            (
                "libkdump_vmcore_phdr",
                Box::new(move |s| libkdump_vmcore_get_phdr(head, len, 4096, 16, 0, s, none)),
            ),
            ("libkdump_range", Box::new(move |s| libkdump_dump_range(self.dump, 0, s, none))),
            ("libkdump_dump_info", Box::new(move |s| libkdump_dump_get_info(self.dump, s, none))),
            ("libkdump_cpu", Box::new(move |s| libkdump_dump_cpu(self.dump, 0, s, none))),
            ("libkdump_dmesg_info", Box::new(move |s| libkdump_dmesg_get_info(self.dmesg, s, none))),
            ("libkdump_log_record", Box::new(move |s| libkdump_dmesg_record(self.dmesg, 0, s, none))),
            (
                "libkdump_verification_info",
                Box::new(move |s| libkdump_verification_get_info(self.verification, s, none)),
            ),
            ("libkdump_machine_info", Box::new(move |s| libkdump_machine_get_info(self.machine, s, none))),
            ("libkdump_cpu_note", Box::new(move |s| libkdump_machine_cpu_note(self.machine, 0, s, none))),
            (
                "libkdump_crashkernel",
                Box::new(move |s| {
                    libkdump_crashkernel_parse(c"crashkernel=64M".as_ptr(), 1 << 30, 1, s, none)
                }),
            ),
            ("libkdump_reservation", Box::new(move |s| self.reserve(self.request(0), s))),
            ("libkdump_low_memory", Box::new(move |s| libkdump_machine_low_memory(self.machine, 0, s, none))),
            ("libkdump_plan_info", Box::new(move |s| libkdump_plan_get_info(self.plan, s, none))),
            ("libkdump_plan_x86", Box::new(move |s| libkdump_plan_get_x86(self.plan, s, none))),
            ("libkdump_plan_arm64", Box::new(move |s| libkdump_plan_get_arm64(self.arm64.1, s, none))),
            ("libkdump_segment", Box::new(move |s| libkdump_plan_segment(self.plan, 0, s, none))),
            (
                "libkdump_preflight_info",
                Box::new(move |s| libkdump_preflight_get_info(self.preflight, s, none)),
            ),
            ("libkdump_finding", Box::new(move |s| libkdump_preflight_finding(self.preflight, 0, s, none))),
            (
                "libkdump_purgatory_info",
                Box::new(move |s| libkdump_purgatory_get_info(self.purgatory, s, none)),
            ),
            ("libkdump_save_report", Box::new(move |s| self.save(null_mut(), s))),
            ("libkdump_classes_info", Box::new(move |s| libkdump_classes_get_info(self.classes, s, none))),
            (
                "libkdump_classes_range",
                Box::new(move |s| libkdump_classes_next(self.classes, &mut 0, s, none)),
            ),
        ]
    }

    fn request(&self, flags: u32) -> common::libkdump_crashkernel {
        common::libkdump_crashkernel { flags, main: 64 << 20, ..common::sized() }
    }

    fn reserve(&self, request: common::libkdump_crashkernel, out: Any) -> c_int {
        libkdump_crashkernel_reserve(self.machine, (&raw const request).cast_mut().cast(), out, null_mut())
    }

    fn save(&self, options: Any, report: Any) -> c_int {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("refusals-{:?}", std::thread::current().id()));
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let none = null_mut();
        let code = libkdump_dump_save(self.dump, name.as_ptr(), options, none, none, report, none);
        let _ = std::fs::remove_file(path);
        code
    }

    /// Structures that go in and have flags, with the offset of these, each with a call that
    /// succeeds but for it.
    fn inputs(&self) -> Vec<Call<'_>> {
        let none = null_mut();
        let (read, size) = (common::read_memory as *const () as Any, self.core.bytes.len() as u64);
        let opened = move |code: c_int, dump: Any| {
            common::libkdump_dump_free(dump.cast());
            code
        };
        vec![
            ("libkdump_elf_params", Box::new(move |s| libkdump_elfcorehdr_size(s, &mut 0, none))),
            (
                "libkdump_elf_params",
                Box::new(move |s| {
                    let mut buf = [0_u8; 64];
                    libkdump_elfcorehdr_encode(s, none, buf.as_mut_ptr().cast(), 64, null_mut(), none)
                }),
            ),
            (
                "libkdump_open_options",
                Box::new(move |s| {
                    let mut dump = null_mut();
                    let user = self.core.user();
                    let code = libkdump_dump_open_callback(size, read, user, s, &raw mut dump, none);
                    opened(code, dump)
                }),
            ),
            ("libkdump_save_options", Box::new(move |s| self.save(s, none))),
            (
                "libkdump_crashkernel",
                Box::new(move |s| {
                    let mut out: kdump_ffi::libkdump_reservation = common::sized();
                    libkdump_crashkernel_reserve(self.machine, s, (&raw mut out).cast(), none)
                }),
            ),
            (
                "libkdump_plan_options",
                Box::new(move |s| {
                    let mut plan = null_mut();
                    let code = libkdump_plan_new(self.machine, s, &raw mut plan, none);
                    common::libkdump_plan_free(plan.cast());
                    code
                }),
            ),
        ]
    }
}

/// A structure of C: 512 aligned bytes of which all but the size are zero.
fn blank(size: u32) -> [u64; 64] {
    let mut words = [0; 64];
    words[0] = u64::from(size);
    words
}

fn size_of(name: &str) -> u32 {
    layouts().find(|layout| layout.name == name).unwrap().size as u32
}

#[test]
fn no_call_takes_a_size_below_that_of_the_first_version() {
    let world = World::new();
    let calls: Vec<_> = world.outputs().into_iter().chain(world.inputs()).collect();
    for (name, call) in &calls {
        for size in [0, 4, size_of(name) - 1] {
            let mut place = blank(size);
            assert_eq!(call(place.as_mut_ptr().cast()), LIBKDUMP_ERR_ABI, "{name} of {size} bytes");
            assert_eq!(place, blank(size), "{name} was written to");
        }
    }
    for (name, call) in world.outputs() {
        let mut place = blank(size_of(name));
        assert_eq!(call(place.as_mut_ptr().cast()), LIBKDUMP_OK, "{name}");
    }
    // The error is tested elsewhere; the library itself makes the progress, and view_init the view.
    let others = [
        "libkdump_error",
        "libkdump_phdr",
        "libkdump_progress",
        "libkdump_view",
        "libkdump_kexec_segment",
        "libkdump_extent",
    ];
    for layout in layouts().filter(|layout| !others.contains(&layout.name)) {
        assert!(calls.iter().any(|(name, _)| *name == layout.name), "no call with a {}", layout.name);
    }
}

#[test]
fn no_call_takes_flags_it_does_not_know() {
    let world = World::new();
    let with_flags = |layout: &kdump_ffi_core::StructLayout| {
        layout.fields.iter().find(|field| field.name == "flags").copied()
    };
    for (name, call) in world.inputs() {
        let layout = layouts().find(|layout| layout.name == name).unwrap();
        let at = with_flags(&layout).unwrap().offset;
        let unknown: Vec<u32> =
            (0..32).map(|bit| 1 << bit).filter(|flag| flag & world.known(name) == 0).collect();
        assert!(unknown.len() > 20, "{name}");
        for flag in unknown {
            let mut place = world.valid(name);
            let bytes = place.as_mut_ptr().cast::<u8>();
            unsafe { bytes.add(at).cast::<u32>().write(flag) };
            assert_eq!(call(bytes.cast()), LIBKDUMP_ERR_INVALID, "{name} with {flag:#x}");
        }
        let mut place = world.valid(name);
        assert_eq!(call(place.as_mut_ptr().cast()), LIBKDUMP_OK, "{name} without flags");
    }
    // Every structure with flags goes in somewhere, or is one that only comes out.
    let out = ["libkdump_error", "libkdump_machine_info", "libkdump_plan_info"];
    for layout in layouts().filter(|layout| with_flags(layout).is_some() && !out.contains(&layout.name)) {
        assert!(
            world.inputs().iter().any(|(name, _)| *name == layout.name),
            "no call with a {}",
            layout.name
        );
    }
}

impl World {
    fn known(&self, name: &str) -> u32 {
        match name {
            "libkdump_elf_params" => 1,
            "libkdump_save_options" => 3,
            "libkdump_open_options" => 15,
            "libkdump_crashkernel" => 7,
            "libkdump_plan_options" => 1023,
            _ => 0,
        }
    }

    /// A structure with which the call succeeds.
    fn valid(&self, name: &str) -> [u64; 64] {
        let mut place = blank(size_of(name));
        let start = place.as_mut_ptr();
        match name {
            "libkdump_elf_params" => unsafe {
                start.cast::<u32>().add(1).write(LIBKDUMP_CLASS_ELF64);
                start.cast::<u32>().add(2).write(LIBKDUMP_ENDIAN_LITTLE);
                start.cast::<u32>().add(3).write(62);
            },
            "libkdump_crashkernel" => unsafe {
                start.cast::<common::libkdump_crashkernel>().write(self.request(0))
            },
            "libkdump_plan_options" => {
                let image = common::bzimage().leak();
                let options = common::libkdump_plan_options {
                    kernel_data: image.as_ptr().cast(),
                    kernel_len: image.len() as u64,
                    ..common::sized()
                };
                unsafe { start.cast::<common::libkdump_plan_options>().write(options) };
            }
            _ => {}
        }
        place
    }
}
