//! What a loader that places segments itself asks, against what the planner does with the same.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ptr::{null, null_mut};
use std::ffi::CString;
use std::path::Path;

use common::{
    libkdump_error, libkdump_extent, libkdump_finding, libkdump_kexec_segment, libkdump_low_memory,
    libkdump_machine, libkdump_plan, libkdump_plan_info, libkdump_plan_options, libkdump_preflight_info,
    libkdump_range, libkdump_segment, message, sized,
};
use kdump_ffi::{
    LIBKDUMP_BACKUP_ALWAYS, LIBKDUMP_BACKUP_NEVER, LIBKDUMP_LOW_BACKED_UP, LIBKDUMP_LOW_NOT_DUMPED,
    LIBKDUMP_SEGMENT_BACKUP, LIBKDUMP_SEGMENT_ELFCOREHDR, LIBKDUMP_VERDICT_FAIL, LIBKDUMP_VERDICT_PASS,
};
use kdump_ffi_core::{
    LIBKDUMP_CLASS_ELF64, LIBKDUMP_END, LIBKDUMP_ERR_BUFFER, LIBKDUMP_ERR_INVALID, LIBKDUMP_OK,
};

struct World {
    machine: *mut libkdump_machine,
    plan: *mut libkdump_plan,
}

impl Drop for World {
    fn drop(&mut self) {
        common::libkdump_plan_free(self.plan);
        common::libkdump_machine_free(self.machine);
    }
}

fn world() -> World {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kdump-segments/tests/machines/bios-512m");
    let root = CString::new(root.to_str().unwrap()).unwrap();
    let mut error: libkdump_error = sized();
    let mut world = World { machine: null_mut(), plan: null_mut() };
    let code = common::libkdump_machine_collect(root.as_ptr(), &raw mut world.machine, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    let image = common::bzimage();
    let options = libkdump_plan_options {
        kernel_data: image.as_ptr().cast(),
        kernel_len: image.len() as u64,
        backup: LIBKDUMP_BACKUP_ALWAYS,
        ..sized()
    };
    let code =
        common::libkdump_plan_new(world.machine, &raw const options, &raw mut world.plan, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    world
}

impl World {
    fn segments(&self) -> Vec<libkdump_segment> {
        let mut found = Vec::new();
        let mut segment: libkdump_segment = sized();
        while common::libkdump_plan_segment(self.plan, found.len() as u32, &raw mut segment, null_mut())
            == LIBKDUMP_OK
        {
            found.push(segment);
        }
        found
    }

    fn segment(&self, kind: u32) -> libkdump_segment {
        self.segments().into_iter().find(|segment| segment.kind == kind).unwrap()
    }

    /// Low memory as the plan has it.
    fn low(&self) -> libkdump_low_memory {
        let mut low: libkdump_low_memory = sized();
        let backup = LIBKDUMP_BACKUP_ALWAYS;
        assert_eq!(
            common::libkdump_machine_low_memory(self.machine, backup, &raw mut low, null_mut()),
            LIBKDUMP_OK
        );
        assert_eq!(low.fate, LIBKDUMP_LOW_BACKED_UP);
        assert!(low.source + low.length <= 0xa_0000 && low.length > 0 && low.destination == 0, "{low:x?}");
        libkdump_low_memory { destination: self.segment(LIBKDUMP_SEGMENT_BACKUP).mem, ..low }
    }
}

#[test]
fn the_elfcorehdr_without_a_plan_is_that_of_the_plan() {
    let world = world();
    let (low, mut written, mut error) = (world.low(), 0, sized());
    let mut ask = |class: u32, low: &libkdump_low_memory, buf: &mut [u8]| {
        let start = if buf.is_empty() { null_mut() } else { buf.as_mut_ptr().cast() };
        let (len, written, error) = (buf.len(), &raw mut written, &raw mut error);
        common::libkdump_machine_elfcorehdr(world.machine, low, class, start, len, written, error)
    };
    assert_eq!(ask(0, &low, &mut []), LIBKDUMP_ERR_BUFFER);
    let planned = world.segment(LIBKDUMP_SEGMENT_ELFCOREHDR);
    let planned = unsafe { core::slice::from_raw_parts(planned.buf.cast::<u8>(), planned.bufsz as usize) };
    let mut bytes = vec![0xee; planned.len()];
    assert_eq!(ask(LIBKDUMP_CLASS_ELF64, &low, &mut bytes), LIBKDUMP_OK);
    assert!(bytes == planned);
    assert_eq!(ask(3, &low, &mut bytes), LIBKDUMP_ERR_INVALID);
    assert_eq!(ask(0, &libkdump_low_memory { fate: 9, ..low }, &mut bytes), LIBKDUMP_ERR_INVALID);
    assert_eq!(ask(0, &libkdump_low_memory { length: 0, ..low }, &mut bytes), LIBKDUMP_ERR_INVALID);
    assert_eq!((written, error.code), (planned.len() as u64, LIBKDUMP_ERR_INVALID));
}

#[test]
fn low_memory_is_what_the_caller_wants() {
    let (world, mut low) = (world(), sized::<libkdump_low_memory>());
    let mut ask =
        |backup| common::libkdump_machine_low_memory(world.machine, backup, &raw mut low, null_mut());
    assert_eq!(ask(7), LIBKDUMP_ERR_INVALID);
    assert_eq!(ask(LIBKDUMP_BACKUP_NEVER), LIBKDUMP_OK);
    assert_eq!((low.fate, low.source, low.length), (LIBKDUMP_LOW_NOT_DUMPED, 0, 0));
}

#[test]
fn the_map_without_a_plan_is_that_of_the_plan() {
    let world = world();
    let kept: Vec<_> = [LIBKDUMP_SEGMENT_BACKUP, LIBKDUMP_SEGMENT_ELFCOREHDR]
        .map(|kind| world.segment(kind))
        .map(|segment| libkdump_extent { start: segment.mem, length: segment.memsz, kind: 0, reserved: 0 })
        .into();
    let low = world.low();
    let ask = |kept: &[libkdump_extent], map: &mut [libkdump_extent], count: &mut usize| {
        let start = if map.is_empty() { null_mut() } else { map.as_mut_ptr() };
        let (kept, kept_count, capacity) = (kept.as_ptr(), kept.len(), map.len());
        common::libkdump_machine_capture_map(
            world.machine,
            &raw const low,
            kept,
            kept_count,
            start,
            capacity,
            count,
            null_mut(),
        )
    };
    let mut count = 0;
    assert_eq!(ask(&kept, &mut [], &mut count), LIBKDUMP_ERR_BUFFER);
    let mut map = vec![libkdump_extent { start: 1, length: 1, kind: 1, reserved: 1 }; count];
    assert_eq!(ask(&kept, &mut map, &mut count), LIBKDUMP_OK);
    let mut range: libkdump_range = sized();
    for (index, extent) in map.iter().enumerate() {
        assert_eq!(
            common::libkdump_plan_e820(world.plan, index as u32, &raw mut range, null_mut()),
            LIBKDUMP_OK
        );
        assert_eq!((extent.start, extent.length, extent.kind), (range.start, range.length, range.kind));
    }
    assert_eq!(
        common::libkdump_plan_e820(world.plan, count as u32, &raw mut range, null_mut()),
        LIBKDUMP_END
    );
    let mut x86: common::libkdump_plan_x86 = sized();
    assert_eq!(common::libkdump_plan_get_x86(world.plan, &raw mut x86, null_mut()), LIBKDUMP_OK);
    assert_eq!((x86.e820 as usize, x86.initrd_limit), (count, u64::MAX), "entered in 64-bit mode");
    let nothing = [libkdump_extent { length: 0, ..kept[0] }];
    assert_eq!(ask(&nothing, &mut map, &mut count), LIBKDUMP_ERR_INVALID);
    // Without what must be kept the map gives it away.
    let ram = |map: &[libkdump_extent]| {
        map.iter().filter(|extent| extent.kind == 1).map(|extent| extent.length).sum::<u64>()
    };
    let careful = ram(&map);
    assert_eq!(ask(&[], &mut map, &mut count), LIBKDUMP_OK);
    assert_eq!(ram(&map) - careful, kept.iter().map(|extent| extent.length).sum::<u64>());
}

/// Verdict, errno and failed rules for a list of segments.
fn preflight(world: &World, segments: &[libkdump_kexec_segment], entry: u64) -> (u32, i32, Vec<String>) {
    let (mut made, mut error) = (null_mut(), sized());
    // KEXEC_ON_CRASH and KEXEC_ARCH_X86_64 (include/uapi/linux/kexec.h).
    let flags = 62 << 16 | 1;
    let (start, count) = (segments.as_ptr(), segments.len());
    let code = common::libkdump_machine_preflight(
        world.machine,
        entry,
        start,
        count,
        flags,
        &raw mut made,
        &raw mut error,
    );
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    let mut info: libkdump_preflight_info = sized();
    assert_eq!(common::libkdump_preflight_get_info(made, &raw mut info, null_mut()), LIBKDUMP_OK);
    let (mut finding, mut failed): (libkdump_finding, _) = (sized(), Vec::new());
    let mut index = 0;
    while common::libkdump_preflight_finding(made, index, &raw mut finding, null_mut()) == LIBKDUMP_OK {
        if finding.verdict == LIBKDUMP_VERDICT_FAIL {
            failed.push(unsafe { core::ffi::CStr::from_ptr(finding.rule) }.to_str().unwrap().to_owned());
        }
        index += 1;
    }
    assert_eq!(index, info.findings);
    common::libkdump_preflight_free(made);
    (info.verdict, info.os_errno, failed)
}

#[test]
fn the_callers_own_segments_are_judged() {
    let world = world();
    let mut info: libkdump_plan_info = sized();
    assert_eq!(common::libkdump_plan_get_info(world.plan, &raw mut info, null_mut()), LIBKDUMP_OK);
    let segments: Vec<_> = world
        .segments()
        .iter()
        .map(|segment| libkdump_kexec_segment {
            buf: segment.buf,
            bufsz: segment.bufsz as usize,
            mem: segment.mem as *const _,
            memsz: segment.memsz as usize,
        })
        .collect();
    assert_eq!(preflight(&world, &segments, info.entry), (LIBKDUMP_VERDICT_PASS, 0, vec![]));
    // The kernel takes such a call, and unloads.
    let none = (LIBKDUMP_VERDICT_FAIL, 0, vec![String::from("segments_given")]);
    assert_eq!(preflight(&world, &[], info.entry), none);
    let bad = |change: &dyn Fn(&mut libkdump_kexec_segment)| {
        let mut segments = segments.clone();
        change(&mut segments[1]);
        let (verdict, errno, failed) = preflight(&world, &segments, info.entry);
        assert_eq!(verdict, LIBKDUMP_VERDICT_FAIL);
        assert!(!failed.is_empty());
        errno
    };
    // EADDRNOTAVAIL: outside the crash region, or not at a page; EINVAL: overlaps, more content than
    // memory; EFAULT: a buffer that is none.
    assert_eq!(bad(&|segment| segment.mem = 0x1000 as *const _), 99);
    assert_eq!(bad(&|segment| segment.mem = (segment.mem as usize + 1) as *const _), 99);
    assert_eq!(bad(&|segment| segment.mem = segments[0].mem), 22);
    assert_eq!(bad(&|segment| segment.bufsz = segment.memsz + 1), 22);
    assert_eq!(bad(&|segment| segment.buf = null()), 14);
    assert_eq!(preflight(&world, &segments, 0x1000).1, 99, "the entry is outside");
    let (mut made, null_list) = (null_mut(), null());
    let code =
        common::libkdump_machine_preflight(world.machine, 0, null_list, 1, 0, &raw mut made, null_mut());
    assert_eq!(code, LIBKDUMP_ERR_INVALID);
}

/// The count is looked at before the paths, a descriptor is told as it was given, and a line stays one.
#[test]
fn arguments_are_judged_before_they_are_used() {
    let (mut dump, mut error): (_, libkdump_error) = (null_mut(), sized());
    let code = common::libkdump_dump_open_fd(-1, null(), &raw mut dump, &raw mut error);
    assert_eq!((code, message(&error).as_str()), (LIBKDUMP_ERR_INVALID, "fd is -1, which is no descriptor"));
    // LIBKDUMP_OPEN_RAW; the second path is no address that can be read.
    let options = kdump_ffi::libkdump_open_options { flags: 2, ..sized() };
    let paths = [c"/nowhere".as_ptr(), core::ptr::without_provenance(8)];
    let code =
        common::libkdump_dump_open(paths.as_ptr(), 2, &raw const options, &raw mut dump, &raw mut error);
    assert_eq!(code, LIBKDUMP_ERR_INVALID, "{}", message(&error));
    let (mut text, mut used) = ([0_u8; 64], 0);
    for (key, value) in [(c"", c"1"), (c"A=B", c"1"), (c"A\nB", c"1"), (c"A", c"1\nB=2")] {
        let (buf, key, value) = (text.as_mut_ptr().cast(), key.as_ptr(), value.as_ptr());
        let code = common::libkdump_vmcoreinfo_append(buf, 64, &raw mut used, key, value, &raw mut error);
        assert_eq!((code, used), (LIBKDUMP_ERR_INVALID, 0), "{}", message(&error));
    }
}
