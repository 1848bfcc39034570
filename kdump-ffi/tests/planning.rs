//! Machines, crashkernel=, plans and purgatories through the C interface.
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
    libkdump_crashkernel, libkdump_error, libkdump_machine, libkdump_machine_info, libkdump_plan_options,
    libkdump_purgatory, libkdump_purgatory_info, libkdump_range, message, sized,
};
use kdump_ffi::{
    LIBKDUMP_CRASHKERNEL_HIGH, LIBKDUMP_CRASHKERNEL_LOW, LIBKDUMP_FEATURE_PLAN_ARCH,
    LIBKDUMP_FEATURE_READ_ELF, LIBKDUMP_MEMORY_RAM, LIBKDUMP_RANGES_CRASH,
};
use kdump_ffi_core::{
    LIBKDUMP_ARCH_S390X, LIBKDUMP_ARCH_X86_64, LIBKDUMP_END, LIBKDUMP_ERR_BUFFER, LIBKDUMP_ERR_CORRUPT,
    LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_IO, LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_REFUSED,
    LIBKDUMP_OK,
};

/// A recorded machine with a crash region.
const MACHINE: &str = "../kdump-segments/tests/machines/bios-512m";

struct Machine(*mut libkdump_machine);

impl Drop for Machine {
    fn drop(&mut self) {
        common::libkdump_machine_free(self.0);
    }
}

fn machine() -> Machine {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(MACHINE);
    let root = CString::new(path.to_str().unwrap()).unwrap();
    let (mut machine, mut error) = (null_mut(), sized());
    let code = common::libkdump_machine_collect(root.as_ptr(), &raw mut machine, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    Machine(machine)
}

#[test]
fn a_machine_is_described() {
    let machine = machine();
    let mut info: libkdump_machine_info = sized();
    assert_eq!(common::libkdump_machine_get_info(machine.0, &raw mut info, null_mut()), LIBKDUMP_OK);
    assert_eq!((info.arch, info.page_size, info.cpu_notes), (LIBKDUMP_ARCH_X86_64, 4096, 2));
    let mut range: libkdump_range = sized();
    let mut get =
        |list, index| common::libkdump_machine_range(machine.0, list, index, &raw mut range, null_mut());
    assert_eq!(get(LIBKDUMP_RANGES_CRASH, 1), LIBKDUMP_END);
    assert_eq!(get(99, 0), LIBKDUMP_ERR_INVALID);
    assert_eq!(get(LIBKDUMP_RANGES_CRASH, 0), LIBKDUMP_OK);
    assert_eq!(range.kind, LIBKDUMP_MEMORY_RAM);
    assert!(range.length >= 64 << 20, "{range:x?}");
}

#[test]
fn a_place_without_a_machine_is_told() {
    let (mut machine, mut error) = (null_mut(), sized());
    let code = common::libkdump_machine_collect(c"/nonexistent".as_ptr(), &raw mut machine, &raw mut error);
    assert_eq!(code, LIBKDUMP_ERR_NOT_FOUND, "{}", message(&error));
    assert!(machine.is_null());
}

#[test]
fn crashkernel_is_read_as_the_kernel_does() {
    let parse = |text: &core::ffi::CStr| {
        let (mut out, mut error): (libkdump_crashkernel, libkdump_error) = (sized(), sized());
        let arch = LIBKDUMP_ARCH_X86_64;
        let code =
            common::libkdump_crashkernel_parse(text.as_ptr(), 4 << 30, arch, &raw mut out, &raw mut error);
        (code, out)
    };
    let (code, found) = parse(c"quiet crashkernel=512M,high crashkernel=0,low");
    assert_eq!((code, found.main, found.low), (LIBKDUMP_OK, 512 << 20, 0));
    assert_eq!(found.flags, LIBKDUMP_CRASHKERNEL_HIGH | LIBKDUMP_CRASHKERNEL_LOW);
    assert_eq!(parse(c"quiet").0, LIBKDUMP_ERR_NOT_FOUND);
    assert_eq!(parse(c"crashkernel=12Q").0, LIBKDUMP_ERR_CORRUPT);
}

#[test]
fn a_plan_needs_a_kernel() {
    let machine = machine();
    let new = |options: &libkdump_plan_options| {
        let (mut plan, mut error) = (null_mut(), sized());
        let code = common::libkdump_plan_new(machine.0, options, &raw mut plan, &raw mut error);
        assert!(plan.is_null());
        (code, message(&error))
    };
    assert_eq!(new(&sized()), (LIBKDUMP_ERR_INVALID, "kernel is NULL".to_owned()));
    let missing = libkdump_plan_options { kernel: c"/nonexistent".as_ptr(), ..sized() };
    assert_eq!(new(&missing).0, LIBKDUMP_ERR_IO);
    let text = b"no kernel at all";
    let data = libkdump_plan_options { kernel_data: text.as_ptr().cast(), kernel_len: 16, ..sized() };
    assert_eq!(new(&data).0, LIBKDUMP_ERR_FORMAT);
    let kernel = libkdump_plan_options { kernel_data: null_mut(), ..data };
    assert_eq!(new(&kernel), (LIBKDUMP_ERR_INVALID, "kernel_data is NULL".to_owned()));
    let initrd = libkdump_plan_options { initrd_len: 1, ..data };
    assert_eq!(new(&initrd), (LIBKDUMP_ERR_INVALID, "initrd_data is NULL".to_owned()));
    let purgatory = libkdump_plan_options { purgatory_len: 1, ..data };
    assert_eq!(new(&purgatory), (LIBKDUMP_ERR_INVALID, "purgatory is NULL".to_owned()));
    let flags = libkdump_plan_options { flags: 1 << 31, ..data };
    assert_eq!(new(&flags).0, LIBKDUMP_ERR_INVALID);
}

/// The addresses of another machine could only disarm this one; the kernel is not asked.
#[test]
fn a_plan_for_another_machine_is_not_loaded() {
    let (machine, image) = (machine(), common::bzimage());
    let options = libkdump_plan_options {
        kernel_data: image.as_ptr().cast(),
        kernel_len: image.len() as u64,
        ..sized()
    };
    let (mut plan, mut error) = (null_mut(), sized());
    let code = common::libkdump_plan_new(machine.0, &raw const options, &raw mut plan, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    let code = common::libkdump_plan_load(plan, &raw mut error);
    assert_eq!((code, error.os_errno), (LIBKDUMP_ERR_INVALID, 0), "{}", message(&error));
    assert!(message(&error).contains("LIBKDUMP_PLAN_FOREIGN"), "{}", message(&error));
    common::libkdump_plan_free(plan);
}

#[test]
fn images_that_cannot_be_are_named_and_not_read() {
    let machine = machine();
    let plan = |options: &libkdump_plan_options| {
        let (mut plan, mut error) = (null_mut(), sized());
        let code = common::libkdump_plan_new(machine.0, options, &raw mut plan, &raw mut error);
        (code, message(&error))
    };
    for kernel in [c"/", c"/dev/zero", c"/bin/ls"] {
        let (code, said) = plan(&libkdump_plan_options { kernel: kernel.as_ptr(), ..sized() });
        assert_eq!(code, LIBKDUMP_ERR_FORMAT, "{said}");
        assert!(said.contains(kernel.to_str().unwrap()), "{said}");
    }
    let image = common::bzimage();
    let good = libkdump_plan_options {
        kernel_data: image.as_ptr().cast(),
        kernel_len: image.len() as u64,
        ..sized()
    };
    let (code, said) = plan(&libkdump_plan_options { initrd: c"/dev/zero".as_ptr(), ..good });
    assert_eq!(code, LIBKDUMP_ERR_FORMAT, "{said}");
    // Whoever runs this: nothing is loaded, and the kernel is not asked.
    let mut error: libkdump_error = sized();
    let code = common::libkdump_load_files(c"/".as_ptr(), null(), c"".as_ptr(), &raw mut error);
    assert!([LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_REFUSED].contains(&code), "{}", message(&error));
    assert_eq!(error.os_errno, 0, "{}", message(&error));
}

#[test]
fn a_callers_purgatory_is_linked_and_patched() {
    let object = include_bytes!("../../kdump-purgatory/objects/x86_64.o");
    let (mut purgatory, mut error): (*mut libkdump_purgatory, _) = (null_mut(), sized());
    let start = object.as_ptr().cast();
    let code = common::libkdump_purgatory_new(start, object.len(), 0, &raw mut purgatory, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    let mut info: libkdump_purgatory_info = sized();
    assert_eq!(common::libkdump_purgatory_get_info(purgatory, &raw mut info, null_mut()), LIBKDUMP_OK);
    assert_eq!(info.arch, LIBKDUMP_ARCH_X86_64);
    let (name, mut value, mut len) = (c"sha256_digest", [0_u8; 32], 0);
    let get = |value: &mut [u8], len: &mut usize| {
        let buf = value.as_mut_ptr().cast();
        common::libkdump_purgatory_get(purgatory, name.as_ptr(), buf, value.len(), len, null_mut())
    };
    assert_eq!(get(&mut value, &mut len), LIBKDUMP_ERR_NOT_FOUND, "not linked");
    assert_eq!(common::libkdump_purgatory_link(purgatory, 0x1000_0000, &raw mut error), LIBKDUMP_OK);
    let set = |value: &[u8]| {
        common::libkdump_purgatory_set(
            purgatory,
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            null_mut(),
        )
    };
    assert_eq!(set(&[7; 31]), LIBKDUMP_ERR_INVALID);
    assert_eq!(set(&[7; 32]), LIBKDUMP_OK);
    assert_eq!(get(&mut value, &mut len), LIBKDUMP_OK);
    assert_eq!((value, len), ([7; 32], 32));
    assert_eq!(get(&mut value[..31], &mut len), LIBKDUMP_ERR_BUFFER);
    common::libkdump_purgatory_free(purgatory);
}

#[test]
fn a_foreign_object_is_judged() {
    let (mut purgatory, mut error): (_, libkdump_error) = (null_mut(), sized());
    let bytes = b"not an object".as_ptr().cast();
    let code = common::libkdump_purgatory_new(bytes, 13, 0, &raw mut purgatory, &raw mut error);
    assert_eq!(code, LIBKDUMP_ERR_FORMAT, "{}", message(&error));
    let code = common::libkdump_purgatory_new(null(), 0, 77, &raw mut purgatory, &raw mut error);
    assert_eq!(code, LIBKDUMP_ERR_INVALID);
}

#[test]
fn features_are_what_the_library_can_do() {
    assert_eq!(common::libkdump_has(LIBKDUMP_FEATURE_READ_ELF), 1);
    assert_eq!(common::libkdump_has(LIBKDUMP_FEATURE_PLAN_ARCH + LIBKDUMP_ARCH_X86_64), 1);
    assert_eq!(common::libkdump_has(LIBKDUMP_FEATURE_PLAN_ARCH + 200), 0);
    assert_eq!(common::libkdump_has(u32::MAX), 0);
    let planned = common::libkdump_has(LIBKDUMP_FEATURE_PLAN_ARCH + LIBKDUMP_ARCH_S390X);
    let (mut purgatory, arch) = (null_mut(), LIBKDUMP_ARCH_S390X);
    let code = common::libkdump_purgatory_new(null(), 0, arch, &raw mut purgatory, null_mut());
    assert_eq!(planned == 1, code == LIBKDUMP_OK, "a plan needs a purgatory");
    common::libkdump_purgatory_free(purgatory);
}
