//! What a plan says.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_char, c_int, c_void};

use kdump_ffi_core::{
    CharsMut, InOut, Out, arch_number, copy_text, extensible, libkdump_error, libkdump_phdr, slice,
};
use kdump_segments::plan::json_to_ascii;
use kdump_segments::segment::SegmentKind;

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::plan::libkdump_plan;
use crate::texts::{count, phdr_step, step, text_step};

/// Room for the low memory the purgatory saves.
pub const LIBKDUMP_SEGMENT_BACKUP: u32 = 1;
/// The ELF core header.
pub const LIBKDUMP_SEGMENT_ELFCOREHDR: u32 = 2;
/// The program that verifies the others.
pub const LIBKDUMP_SEGMENT_PURGATORY: u32 = 3;
/// boot_params and the command line.
pub const LIBKDUMP_SEGMENT_BOOTPARAMS: u32 = 4;
/// The kernel, or a part of it.
pub const LIBKDUMP_SEGMENT_KERNEL: u32 = 5;
/// The initial ramdisk.
pub const LIBKDUMP_SEGMENT_INITRD: u32 = 6;
/// setup_data items and the EFI runtime map.
pub const LIBKDUMP_SEGMENT_SETUP_DATA: u32 = 7;
/// A device tree.
pub const LIBKDUMP_SEGMENT_DTB: u32 = 8;
/// A kind this version has no number for.
pub const LIBKDUMP_SEGMENT_UNKNOWN: u32 = 0;

/// The sum of a plan. What only plans for one architecture have is asked for by its name:
/// libkdump_plan_get_x86(), libkdump_plan_get_arm64().
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_plan_info {
    /// `sizeof (struct libkdump_plan_info)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_ARCH_ number.
    pub arch: u32,
    /// Number of segments (libkdump_plan_segment()).
    pub segments: u32,
    /// Number of program headers of the elfcorehdr (libkdump_plan_phdr()).
    pub phnum: u32,
    /// Number of program headers of the predicted vmcore (libkdump_plan_vmcore_phdr()).
    pub vmcore_phnum: u32,
    /// Zero.
    pub reserved: u32,
    /// Physical address of the purgatory's first instruction: `entry` of kexec_load(2).
    pub entry: u64,
    /// `flags` of kexec_load(2).
    pub flags: u64,
    /// First address of the crash region everything lies in.
    pub region_start: u64,
    /// Its bytes.
    pub region_length: u64,
    /// Bytes of the region left to the kernel for its control pages.
    pub leftover: u64,
    /// Bytes /proc/vmcore will have.
    pub vmcore_size: u64,
    /// Longest command line the capture kernel takes.
    pub cmdline_limit: u64,
}

extensible!(libkdump_plan_info {
    arch: u32,
    segments: u32,
    phnum: u32,
    vmcore_phnum: u32,
    reserved: u32,
    entry: u64,
    flags: u64,
    region_start: u64,
    region_length: u64,
    leftover: u64,
    vmcore_size: u64,
    cmdline_limit: u64,
});

/// A segment as kexec_load(2) takes it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_segment {
    /// `sizeof (struct libkdump_segment)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_SEGMENT_ number.
    pub kind: u32,
    /// Physical address.
    pub mem: u64,
    /// Bytes of memory.
    pub memsz: u64,
    /// Bytes of content; the rest is zero.
    pub bufsz: u64,
    /// The content, lent until the plan is freed.
    pub buf: *const c_void,
    /// NULL.
    pub reserved: *const c_void,
}

extensible!(libkdump_segment {
    kind: u32,
    mem: u64,
    memsz: u64,
    bufsz: u64,
    buf: *const c_void,
    reserved: *const c_void,
});

/// The sum of a plan.
///
/// Parameters: `plan` the plan; `out` receives it; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_get_info(
    plan: Lent<'_, libkdump_plan>,
    out: InOut<'_, libkdump_plan_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        let plan = &handle.plan;
        let info = libkdump_plan_info {
            size: 0,
            arch: arch_number(Some(plan.arch)),
            segments: count(plan.segments.len()),
            phnum: count(plan.elfcorehdr.phdrs().len()),
            vmcore_phnum: count(plan.vmcore.phdrs.len()),
            reserved: 0,
            entry: plan.entry,
            flags: plan.flags.bits(),
            region_start: plan.region.start(),
            region_length: plan.region.size(),
            leftover: plan.leftover,
            vmcore_size: plan.vmcore.size,
            cmdline_limit: plan.cmdline_limit,
        };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// The segments one after the other, in the order of the system call.
///
/// Parameters: `plan` the plan; `index` from 0; `out` receives the segment; `error` may be NULL.
/// Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_segment(
    plan: Lent<'_, libkdump_plan>,
    index: u32,
    out: InOut<'_, libkdump_segment>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        let segments = &handle.plan.segments;
        Ok::<_, Failure>(step(out, segments, index, |segment| libkdump_segment {
            size: 0,
            kind: kind_number(segment.kind),
            mem: segment.mem(),
            memsz: segment.memsz(),
            bufsz: segment.bufsz(),
            buf: segment.data.as_ptr().cast(),
            reserved: core::ptr::null(),
        })?)
    })
}

/// The name of a kind of segment, for example "elfcorehdr".
///
/// Parameters: `kind` a LIBKDUMP_SEGMENT_ constant. Returns a text that is valid forever, or NULL
/// when there is no such kind.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_segment_name(kind: u32) -> *const c_char {
    let name = match kind {
        LIBKDUMP_SEGMENT_BACKUP => c"backup",
        LIBKDUMP_SEGMENT_ELFCOREHDR => c"elfcorehdr",
        LIBKDUMP_SEGMENT_PURGATORY => c"purgatory",
        LIBKDUMP_SEGMENT_BOOTPARAMS => c"bootparams",
        LIBKDUMP_SEGMENT_KERNEL => c"kernel",
        LIBKDUMP_SEGMENT_INITRD => c"initrd",
        LIBKDUMP_SEGMENT_SETUP_DATA => c"setup_data",
        LIBKDUMP_SEGMENT_DTB => c"dtb",
        _ => return core::ptr::null(),
    };
    name.as_ptr()
}

/// One program header of the elfcorehdr.
///
/// Parameters: `plan` the plan; `index` from 0; `out` receives the program header; `error` may be
/// NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_phdr(
    plan: Lent<'_, libkdump_plan>,
    index: u32,
    out: Out<'_, libkdump_phdr>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        Ok::<_, Failure>(phdr_step(out, handle.plan.elfcorehdr.phdrs(), index)?)
    })
}

/// One program header of the vmcore the capture kernel will export.
///
/// Parameters: `plan` the plan; `index` from 0; `out` receives the program header; `error` may be
/// NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_vmcore_phdr(
    plan: Lent<'_, libkdump_plan>,
    index: u32,
    out: Out<'_, libkdump_phdr>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        Ok::<_, Failure>(phdr_step(out, &handle.plan.vmcore.phdrs, index)?)
    })
}

/// The capture kernel's command line, lent until the plan is freed; NULL for what is no plan.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_cmdline(plan: Lent<'_, libkdump_plan>) -> *const c_char {
    plan.look().map_or(core::ptr::null(), |handle| handle.cmdline.as_ptr())
}

/// A sentence about something that was dropped, rounded or guessed.
///
/// Parameters: `plan` the plan; `index` from 0; `text` receives the sentence, lent until the plan is
/// freed; `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_note(
    plan: Lent<'_, libkdump_plan>,
    index: u32,
    text: Out<'_, *const c_char>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        Ok::<_, Failure>(text_step(text, &handle.notes, index)?)
    })
}

/// The plan as one JSON document in ASCII, the same that `kdump plan --json` prints. Hashes every
/// segment.
///
/// Parameters: `plan` the plan; `buf` and `buf_len` receive the text and a NUL; `text_len` (may be
/// NULL) receives its length without NUL, also when the buffer is too small; `error` may be NULL.
/// Errors: LIBKDUMP_ERR_BUFFER with `need`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_json(
    plan: Lent<'_, libkdump_plan>,
    buf: CharsMut<'_>,
    buf_len: usize,
    text_len: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        let json = json_to_ascii(&handle.plan.to_json(&handle.preflight()?).to_string());
        Ok::<_, Failure>(copy_text(json.as_bytes(), slice!(buf, buf_len)?, text_len)?)
    })
}

fn kind_number(kind: SegmentKind) -> u32 {
    match kind {
        SegmentKind::Backup => LIBKDUMP_SEGMENT_BACKUP,
        SegmentKind::Elfcorehdr => LIBKDUMP_SEGMENT_ELFCOREHDR,
        SegmentKind::Purgatory => LIBKDUMP_SEGMENT_PURGATORY,
        SegmentKind::BootParams => LIBKDUMP_SEGMENT_BOOTPARAMS,
        SegmentKind::Kernel => LIBKDUMP_SEGMENT_KERNEL,
        SegmentKind::Initrd => LIBKDUMP_SEGMENT_INITRD,
        SegmentKind::SetupData => LIBKDUMP_SEGMENT_SETUP_DATA,
        SegmentKind::Dtb => LIBKDUMP_SEGMENT_DTB,
        _ => LIBKDUMP_SEGMENT_UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_planner() {
        use SegmentKind::{Backup, BootParams, Dtb, Elfcorehdr, Initrd, Kernel, Purgatory, SetupData};
        for kind in [Backup, Elfcorehdr, Purgatory, BootParams, Kernel, Initrd, SetupData, Dtb] {
            let name = libkdump_segment_name(kind_number(kind));
            assert_eq!(kdump_ffi_core::chars!(name).bytes(), Some(kind.name().as_bytes()));
        }
        assert!(libkdump_segment_name(LIBKDUMP_SEGMENT_UNKNOWN).is_null());
    }
}
