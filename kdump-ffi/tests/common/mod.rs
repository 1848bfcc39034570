//! The C interface as a C program sees it: raw pointers, no help from the types of Rust.
#![allow(unsafe_code, missing_docs, dead_code, reason = "declares what the header declares")]
#![allow(
    improper_ctypes,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "handles are opaque; tests may panic"
)]
#![allow(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "tests may panic")]
#![allow(clippy::too_many_arguments, reason = "so has the header")]
#![allow(unused_qualifications, reason = "the macro spells paths out")]

use core::ffi::{c_char, c_int, c_void};

pub use kdump_ffi::{
    libkdump_crashkernel, libkdump_dmesg, libkdump_dump, libkdump_dump_info, libkdump_extent,
    libkdump_finding, libkdump_kexec_segment, libkdump_low_memory, libkdump_machine, libkdump_machine_info,
    libkdump_open_options, libkdump_plan, libkdump_plan_arm64, libkdump_plan_info, libkdump_plan_options,
    libkdump_plan_x86, libkdump_preflight, libkdump_preflight_info, libkdump_progress_fn, libkdump_purgatory,
    libkdump_purgatory_info, libkdump_range, libkdump_save_options, libkdump_save_report, libkdump_segment,
    libkdump_write_fn,
};
pub use kdump_ffi_core::{
    libkdump_arch_info, libkdump_elf_params, libkdump_error, libkdump_note, libkdump_phdr, libkdump_read_fn,
    libkdump_view,
};

pub mod listed;

macro_rules! declare {
    ($($name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?;)*) => {
        mod raw {
            use super::*;
            unsafe extern "C" { $(pub fn $name($($arg: $ty),*) $(-> $ret)?;)* }
        }
        $(pub fn $name($($arg: $ty),*) $(-> $ret)? {
            // SAFETY: the tests pass what the header asks for.
            let returned = unsafe { raw::$name($($arg),*) };
            listed::Returned::listed(returned, stringify!($name))
        })*
    };
}

declare! {
    libkdump_strerror(code: c_int) -> *const c_char;
    libkdump_has(feature: u32) -> c_int;
    libkdump_arch_get_info(arch: u32, out: *mut libkdump_arch_info, error: *mut libkdump_error) -> c_int;
    libkdump_elfcorehdr_size(params: *const c_void, bytes: *mut u64, error: *mut libkdump_error) -> c_int;
    libkdump_elfcorehdr_encode(params: *const libkdump_elf_params, phdrs: *const libkdump_phdr,
        buf: *mut c_void, len: usize, written: *mut u64, error: *mut libkdump_error) -> c_int;
    libkdump_elfcorehdr_phdr(buf: *const c_void, len: usize, index: u32, out: *mut libkdump_phdr,
        error: *mut libkdump_error) -> c_int;
    libkdump_note_next(buf: *const c_void, len: usize, endian: u32, align: u64, cursor: *mut u64,
        out: *mut libkdump_note, error: *mut libkdump_error) -> c_int;
    libkdump_vmcoreinfo_get(text: *const c_void, len: usize, key: *const c_char, buf: *mut c_char,
        buf_len: usize, value_len: *mut usize, error: *mut libkdump_error) -> c_int;
    libkdump_vmcoreinfo_value(text: *const c_void, len: usize, kind: u32, name: *const c_char,
        value: *mut u64, error: *mut libkdump_error) -> c_int;
    libkdump_vmcoreinfo_append(buf: *mut c_void, capacity: usize, len: *mut usize, key: *const c_char,
        value: *const c_char, error: *mut libkdump_error) -> c_int;
    libkdump_vmcoreinfo_append_value(buf: *mut c_void, capacity: usize, len: *mut usize, kind: u32,
        name: *const c_char, value: u64, error: *mut libkdump_error) -> c_int;
    libkdump_view_workspace_size(header: *const c_void, len: usize, page_size: u64, bytes: *mut u64,
        error: *mut libkdump_error) -> c_int;
    libkdump_view_init(view: *mut libkdump_view, header: *const c_void, len: usize, page_size: u64,
        workspace: *mut c_void, workspace_len: usize, read: libkdump_read_fn, user: *mut c_void,
        error: *mut libkdump_error) -> c_int;
    libkdump_view_read(view: *const libkdump_view, offset: u64, buf: *mut c_void, len: usize,
        done: *mut usize, error: *mut libkdump_error) -> c_int;
    libkdump_dump_open(paths: *const *const c_char, count: usize, options: *const libkdump_open_options,
        dump: *mut *mut libkdump_dump, error: *mut libkdump_error) -> c_int;
    libkdump_dump_open_fd(fd: c_int, options: *const libkdump_open_options, dump: *mut *mut libkdump_dump,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_open_callback(size: u64, read: libkdump_read_fn, user: *mut c_void,
        options: *const libkdump_open_options, dump: *mut *mut libkdump_dump, error: *mut libkdump_error) -> c_int;
    libkdump_dump_free(dump: *mut libkdump_dump);
    libkdump_dump_get_info(dump: *const libkdump_dump, out: *mut libkdump_dump_info,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_range(dump: *const libkdump_dump, index: u32, out: *mut libkdump_range,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_page_state(dump: *const libkdump_dump, pfn: u64, state: *mut u32,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_read_phys(dump: *const libkdump_dump, paddr: u64, buf: *mut c_void, len: usize,
        done: *mut usize, error: *mut libkdump_error) -> c_int;
    libkdump_dump_read_virt(dump: *const libkdump_dump, vaddr: u64, buf: *mut c_void, len: usize,
        done: *mut usize, error: *mut libkdump_error) -> c_int;
    libkdump_dump_register(dump: *const libkdump_dump, cpu: u32, name: *const c_char, value: *mut u64,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_cpu(dump: *const libkdump_dump, index: u32, out: *mut kdump_ffi::libkdump_cpu,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_note(dump: *const libkdump_dump, index: u32, out: *mut libkdump_note,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_register_at(dump: *const libkdump_dump, cpu: u32, index: u32,
        out: *mut kdump_ffi_core::libkdump_register, error: *mut libkdump_error) -> c_int;
    libkdump_dump_cpu_number(dump: *const libkdump_dump, cpu: u32, number: *mut u32,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_cpu_source(dump: *const libkdump_dump, cpu: u32, source: *mut u32,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_save_fd(dump: *const libkdump_dump, fd: c_int, options: *const libkdump_save_options,
        progress: libkdump_progress_fn, user: *mut c_void, report: *mut c_void,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_save_callback(dump: *const libkdump_dump, write: libkdump_write_fn, write_user: *mut c_void,
        options: *const libkdump_save_options, progress: libkdump_progress_fn, user: *mut c_void,
        report: *mut c_void, error: *mut libkdump_error) -> c_int;
    libkdump_dump_save_split(dump: *const libkdump_dump, paths: *const *const c_char, count: usize,
        options: *const libkdump_save_options, progress: libkdump_progress_fn, user: *mut c_void,
        report: *mut libkdump_save_report, error: *mut libkdump_error) -> c_int;
    libkdump_dump_save_estimate(dump: *const libkdump_dump, options: *const libkdump_save_options,
        report: *mut libkdump_save_report, error: *mut libkdump_error) -> c_int;
    libkdump_dump_classify(dump: *const libkdump_dump, threads: u32,
        classes: *mut *mut kdump_ffi::libkdump_classes, error: *mut libkdump_error) -> c_int;
    libkdump_classes_free(classes: *mut kdump_ffi::libkdump_classes);
    libkdump_classes_get_info(classes: *const kdump_ffi::libkdump_classes,
        out: *mut kdump_ffi::libkdump_classes_info, error: *mut libkdump_error) -> c_int;
    libkdump_classes_page(classes: *const kdump_ffi::libkdump_classes, pfn: u64, used_for: *mut u32,
        error: *mut libkdump_error) -> c_int;
    libkdump_classes_next(classes: *const kdump_ffi::libkdump_classes, cursor: *mut u64,
        out: *mut kdump_ffi::libkdump_classes_range, error: *mut libkdump_error) -> c_int;
    libkdump_machine_low_memory(machine: *const libkdump_machine, backup: u32, out: *mut libkdump_low_memory,
        error: *mut libkdump_error) -> c_int;
    libkdump_machine_elfcorehdr(machine: *const libkdump_machine, low: *const libkdump_low_memory,
        elf_class: u32, buf: *mut c_void, len: usize, written: *mut u64, error: *mut libkdump_error) -> c_int;
    libkdump_machine_capture_map(machine: *const libkdump_machine, low: *const libkdump_low_memory,
        kept: *const libkdump_extent, kept_count: usize, map: *mut libkdump_extent, capacity: usize,
        count: *mut usize, error: *mut libkdump_error) -> c_int;
    libkdump_machine_preflight(machine: *const libkdump_machine, entry: u64,
        segments: *const libkdump_kexec_segment, count: usize, flags: u64,
        preflight: *mut *mut libkdump_preflight, error: *mut libkdump_error) -> c_int;
    libkdump_plan_preflight(plan: *const libkdump_plan, preflight: *mut *mut libkdump_preflight,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_verify(dump: *const libkdump_dump, progress: libkdump_progress_fn, user: *mut c_void,
        verification: *mut *mut kdump_ffi::libkdump_verification, error: *mut libkdump_error) -> c_int;
    libkdump_preflight_get_info(preflight: *const libkdump_preflight, out: *mut libkdump_preflight_info,
        error: *mut libkdump_error) -> c_int;
    libkdump_preflight_finding(preflight: *const libkdump_preflight, index: u32, out: *mut libkdump_finding,
        error: *mut libkdump_error) -> c_int;
    libkdump_preflight_free(preflight: *mut libkdump_preflight);
    libkdump_plan_segment(plan: *const libkdump_plan, index: u32, out: *mut libkdump_segment,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_get_info(plan: *const libkdump_plan, out: *mut libkdump_plan_info,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_get_x86(plan: *const libkdump_plan, out: *mut libkdump_plan_x86,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_get_arm64(plan: *const libkdump_plan, out: *mut libkdump_plan_arm64,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_usable(plan: *const libkdump_plan, index: u32, out: *mut libkdump_range,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_e820(plan: *const libkdump_plan, index: u32, out: *mut libkdump_range,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_phdr(plan: *const libkdump_plan, index: u32, out: *mut libkdump_phdr,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_vmcore_phdr(plan: *const libkdump_plan, index: u32, out: *mut libkdump_phdr,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_cmdline(plan: *const libkdump_plan) -> *const c_char;
    libkdump_plan_note(plan: *const libkdump_plan, index: u32, text: *mut *const c_char,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_json(plan: *const libkdump_plan, buf: *mut c_char, buf_len: usize, text_len: *mut usize,
        error: *mut libkdump_error) -> c_int;
    libkdump_segment_name(kind: u32) -> *const c_char;
    libkdump_dmesg_read(dump: *const libkdump_dump, dmesg: *mut *mut libkdump_dmesg,
        error: *mut libkdump_error) -> c_int;
    libkdump_dump_save(dump: *const libkdump_dump, path: *const c_char, options: *const libkdump_save_options,
        progress: libkdump_progress_fn, user: *mut c_void, report: *mut libkdump_save_report,
        error: *mut libkdump_error) -> c_int;
    libkdump_machine_collect(root: *const c_char, machine: *mut *mut libkdump_machine,
        error: *mut libkdump_error) -> c_int;
    libkdump_machine_free(machine: *mut libkdump_machine);
    libkdump_machine_get_info(machine: *const libkdump_machine, out: *mut libkdump_machine_info,
        error: *mut libkdump_error) -> c_int;
    libkdump_machine_range(machine: *const libkdump_machine, list: u32, index: u32, out: *mut libkdump_range,
        error: *mut libkdump_error) -> c_int;
    libkdump_crashkernel_parse(cmdline: *const c_char, ram: u64, arch: u32, out: *mut libkdump_crashkernel,
        error: *mut libkdump_error) -> c_int;
    libkdump_plan_new(machine: *const libkdump_machine, options: *const libkdump_plan_options,
        plan: *mut *mut libkdump_plan, error: *mut libkdump_error) -> c_int;
    libkdump_plan_free(plan: *mut libkdump_plan);
    libkdump_plan_load(plan: *const libkdump_plan, error: *mut libkdump_error) -> c_int;
    libkdump_load_files(kernel: *const c_char, initrd: *const c_char, cmdline: *const c_char,
        error: *mut libkdump_error) -> c_int;
    libkdump_purgatory_new(object: *const c_void, len: usize, arch: u32, out: *mut *mut libkdump_purgatory,
        error: *mut libkdump_error) -> c_int;
    libkdump_purgatory_free(purgatory: *mut libkdump_purgatory);
    libkdump_purgatory_get_info(purgatory: *const libkdump_purgatory, out: *mut libkdump_purgatory_info,
        error: *mut libkdump_error) -> c_int;
    libkdump_purgatory_link(purgatory: *const libkdump_purgatory, base: u64, error: *mut libkdump_error) -> c_int;
    libkdump_purgatory_get(purgatory: *const libkdump_purgatory, symbol: *const c_char, buf: *mut c_void,
        len: usize, value_len: *mut usize, error: *mut libkdump_error) -> c_int;
    libkdump_purgatory_set(purgatory: *const libkdump_purgatory, symbol: *const c_char, value: *const c_void,
        len: usize, error: *mut libkdump_error) -> c_int;
}

/// A structure of C, all zero but for its size, as `struct T x = { .size = sizeof x }` makes it.
pub fn sized<T>() -> T {
    // SAFETY: the structures are integers, arrays of them, pointers and optional functions.
    let mut value: T = unsafe { core::mem::zeroed() };
    // SAFETY: each begins with its size.
    unsafe { (&raw mut value).cast::<u32>().write(size_of::<T>() as u32) };
    value
}

pub fn message(error: &libkdump_error) -> String {
    let bytes: Vec<u8> = error.message.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    String::from_utf8(bytes).unwrap()
}

/// Memory of a caller that a callback reads: `user` points to it.
pub struct Memory {
    pub bytes: Vec<u8>,
    /// Every read from here on fails with this.
    pub broken: Option<(u64, c_int)>,
}

impl Memory {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, broken: None }
    }

    pub fn user(&self) -> *mut c_void {
        (&raw const *self).cast_mut().cast()
    }
}

/// A [`libkdump_read_fn`] over a [`Memory`].
pub unsafe extern "C" fn read_memory(user: *mut c_void, at: u64, buf: *mut c_void, len: usize) -> c_int {
    // SAFETY: the tests pass a Memory that outlives the handle.
    let memory = unsafe { &*user.cast::<Memory>() };
    if let Some((from, errno)) = memory.broken {
        if at + len as u64 > from {
            return errno;
        }
    }
    let Some(bytes) = memory.bytes.get(at as usize..at as usize + len) else { return 14 };
    // SAFETY: the library gives `len` writable bytes.
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.cast(), len) };
    0
}

/// An Image of arm64, 512 KiB behind a multiple of 2 MiB (Documentation/arch/arm64/booting.rst).
pub fn arm64_image() -> Vec<u8> {
    let mut file = vec![0; 0x10000];
    for (at, value) in [(8, 0x8_0000_u64), (16, 0x20_0000), (24, 0xa)] {
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file[56..60].copy_from_slice(b"ARM\x64");
    file
}

/// A bzImage with a valid setup header and a protected-mode part of 64 KiB
/// (Documentation/arch/x86/boot.rst).
pub fn bzimage() -> Vec<u8> {
    let mut file = vec![0; 5 * 512 + 0x10000];
    let mut put = |offset: usize, bytes: &[u8]| file[offset..offset + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[4]);
    put(0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    put(0x202, b"HdrS\x0f\x02");
    put(0x211, &[1]);
    put(0x22c, &0x7fff_ffff_u32.to_le_bytes());
    put(0x230, &0x20_0000_u32.to_le_bytes());
    put(0x234, &[1, 0, 0x7f]);
    put(0x238, &2047_u32.to_le_bytes());
    put(0x258, &0x100_0000_u64.to_le_bytes());
    put(0x260, &0x200_0000_u32.to_le_bytes());
    put(5 * 512, &[0xcc]);
    file
}

/// A dump with registers of one CPU, 16 pages at 1 MiB and a log of one record.
pub fn dump_with_log() -> Vec<u8> {
    use dumpgen::{CoreFile, LogBuf, Segment, Wire};
    let (base, paddr) = (0xffff_8880_0010_0000, 0x10_0000);
    let (mut image, info) = LogBuf { base, size: 256, first_idx: 0 }.build(&[(5_000, "a record")]);
    image.resize(16 * 4096, 0);
    let mut notes = dumpgen::note(Wire::LE64, "CORE", 1, &dumpgen::prstatus_x86_64(31, [0; 27]));
    notes.extend(dumpgen::note(Wire::LE64, "VMCOREINFO", 0, format!("PAGESIZE=4096\n{info}").as_bytes()));
    let memory = Segment { p_vaddr: base, ..Segment::load(paddr, &image) };
    CoreFile::x86_64().with(Segment::notes(&notes)).with(memory).build()
}
