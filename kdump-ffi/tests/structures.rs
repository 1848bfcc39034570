//! Structures that grow, pointers that are NULL, buffers that are too small.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ffi::c_void;
use core::ptr::{null, null_mut};

use common::{libkdump_arch_info, libkdump_elf_params, libkdump_error, libkdump_phdr, message, sized};
use kdump_ffi_core::{
    LIBKDUMP_ARCH_X86_64, LIBKDUMP_CLASS_ELF64, LIBKDUMP_ENDIAN_LITTLE, LIBKDUMP_ERR_ABI,
    LIBKDUMP_ERR_BUFFER, LIBKDUMP_ERR_INVALID, LIBKDUMP_ERROR_NEED, LIBKDUMP_OK,
};

/// struct libkdump_elf_params of a caller with `extra` words behind it.
fn params(size: u32, extra: &[u32]) -> Vec<u32> {
    let mut words = vec![size, LIBKDUMP_CLASS_ELF64, LIBKDUMP_ENDIAN_LITTLE, 62, 3, 0];
    words.extend(extra);
    words
}

fn size_of_header(words: &[u32], error: &mut libkdump_error) -> (i32, u64) {
    let mut bytes = 0;
    let code = common::libkdump_elfcorehdr_size(words.as_ptr().cast::<c_void>(), &raw mut bytes, error);
    (code, bytes)
}

#[test]
fn a_newer_caller_is_understood_as_long_as_it_asks_for_nothing_new() {
    let mut error = sized();
    assert_eq!(size_of_header(&params(24, &[]), &mut error), (LIBKDUMP_OK, 64 + 3 * 56));
    assert_eq!(size_of_header(&params(32, &[0, 0]), &mut error), (LIBKDUMP_OK, 64 + 3 * 56));
    assert_eq!(size_of_header(&params(32, &[0, 1]), &mut error).0, LIBKDUMP_ERR_ABI);
    assert_eq!((error.code, error.offset), (LIBKDUMP_ERR_ABI, 28));
    assert!(message(&error).contains("libkdump_elf_params"), "{}", message(&error));
}

#[test]
fn a_size_that_was_never_set_is_told() {
    for size in [0, 3, 23, 4097, u32::MAX] {
        let mut error = sized();
        assert_eq!(size_of_header(&params(size, &[]), &mut error).0, LIBKDUMP_ERR_ABI, "{size}");
        assert_eq!((error.flags, error.need), (LIBKDUMP_ERROR_NEED, 24));
    }
}

#[test]
fn results_fill_what_the_caller_knows_and_no_more() {
    let full: libkdump_arch_info = {
        let mut info = sized();
        assert_eq!(
            common::libkdump_arch_get_info(LIBKDUMP_ARCH_X86_64, &raw mut info, null_mut()),
            LIBKDUMP_OK
        );
        info
    };
    assert_eq!((full.size, full.e_machine, full.prstatus_size, full.crash_note_size), (32, 62, 336, 368));
    let mut newer = [0xeeee_eeee_u32; 10];
    newer[0] = 40;
    let place = newer.as_mut_ptr().cast();
    assert_eq!(common::libkdump_arch_get_info(LIBKDUMP_ARCH_X86_64, place, null_mut()), LIBKDUMP_OK);
    assert_eq!(newer[6..], [368, 0, 0, 0], "what this version does not know is zero");
}

#[test]
fn errors_are_optional_and_useless_ones_do_no_harm() {
    let words = params(0, &[]);
    let code = |error: *mut libkdump_error| {
        common::libkdump_elfcorehdr_size(words.as_ptr().cast(), null_mut(), error)
    };
    assert_eq!(code(null_mut()), LIBKDUMP_ERR_ABI);
    assert_eq!(size_of::<libkdump_error>(), 304, "as the header says");
    let mut unset: libkdump_error = sized();
    unset.size = 0;
    assert_eq!(code(&raw mut unset), LIBKDUMP_ERR_ABI, "a useless error does not hide the code");
    assert_eq!(unset.code, 0);
    let mut short = [0xeeee_eeee_0000_0008_u64, u64::MAX];
    assert_eq!(code(short.as_mut_ptr().cast()), LIBKDUMP_ERR_ABI, "nor does one that is too small");
    assert_eq!(short, [0xeeee_eeee_0000_0008_u64, u64::MAX]);
}

#[test]
fn null_is_told_by_name() {
    let mut error = sized();
    let code = common::libkdump_elfcorehdr_size(null(), null_mut(), &raw mut error);
    assert_eq!((code, message(&error).as_str()), (LIBKDUMP_ERR_INVALID, "params is NULL"));
    let words = params(24, &[]);
    let code = common::libkdump_elfcorehdr_size(words.as_ptr().cast(), null_mut(), &raw mut error);
    assert_eq!((code, message(&error).as_str()), (LIBKDUMP_ERR_INVALID, "bytes is NULL"));
    let code = common::libkdump_dump_read_phys(null(), 0, null_mut(), 0, null_mut(), &raw mut error);
    assert_eq!((code, message(&error).as_str()), (LIBKDUMP_ERR_INVALID, "dump is NULL"));
    common::libkdump_dump_free(null_mut());
    common::libkdump_machine_free(null_mut());
    common::libkdump_purgatory_free(null_mut());
}

#[test]
fn a_small_buffer_is_told_how_much_is_needed() {
    let params = libkdump_elf_params {
        size: 24,
        elf_class: LIBKDUMP_CLASS_ELF64,
        endian: LIBKDUMP_ENDIAN_LITTLE,
        e_machine: 62,
        phnum: 1,
        flags: 0,
    };
    let phdr: libkdump_phdr = unsafe { core::mem::zeroed() };
    let (mut buf, mut error) = ([0_u8; 119], sized());
    let code = common::libkdump_elfcorehdr_encode(
        &raw const params,
        &raw const phdr,
        buf.as_mut_ptr().cast(),
        buf.len(),
        null_mut(),
        &raw mut error,
    );
    assert_eq!((code, error.need), (LIBKDUMP_ERR_BUFFER, 120));
    assert_eq!(message(&error), "the buffer has 119 bytes, 120 are needed");
}
