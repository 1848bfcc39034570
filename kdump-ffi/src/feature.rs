//! What this library can do, asked at run time.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::Arch;
use kdump_purgatory::ObjectPurgatory;
use kdump_vmcore::codec::Codec;

/// Reads ELF cores.
pub const LIBKDUMP_FEATURE_READ_ELF: u32 = 1;
/// Reads kdump-compressed dumps.
pub const LIBKDUMP_FEATURE_READ_KDUMP: u32 = 2;
/// Reads flattened dumps.
pub const LIBKDUMP_FEATURE_READ_FLATTENED: u32 = 3;
/// Reads dumps that are split over several files.
pub const LIBKDUMP_FEATURE_READ_SPLIT: u32 = 4;
/// Saves ELF cores.
pub const LIBKDUMP_FEATURE_SAVE_ELF: u32 = 16;
/// Saves kdump-compressed dumps.
pub const LIBKDUMP_FEATURE_SAVE_KDUMP: u32 = 17;
/// Saves flattened dumps.
pub const LIBKDUMP_FEATURE_SAVE_FLATTENED: u32 = 18;
/// Leaves pages out by what they are used for.
pub const LIBKDUMP_FEATURE_SAVE_EXCLUDE: u32 = 19;
/// Reads and writes pages in zlib.
pub const LIBKDUMP_FEATURE_CODEC_ZLIB: u32 = 32;
/// The same of LZO1X.
pub const LIBKDUMP_FEATURE_CODEC_LZO: u32 = 33;
/// The same of Snappy.
pub const LIBKDUMP_FEATURE_CODEC_SNAPPY: u32 = 34;
/// The same of Zstandard.
pub const LIBKDUMP_FEATURE_CODEC_ZSTD: u32 = 35;
/// Plans a load for an architecture: this number plus its LIBKDUMP_ARCH_ constant.
pub const LIBKDUMP_FEATURE_PLAN_ARCH: u32 = 256;

/// Whether this library, as it was built and installed, has a feature.
///
/// Parameters: `feature` a LIBKDUMP_FEATURE_ constant. Returns 1 or 0; 0 for numbers it does not
/// know, which a newer header may have.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_has(feature: u32) -> c_int {
    let has = match feature {
        LIBKDUMP_FEATURE_READ_ELF
        | LIBKDUMP_FEATURE_READ_KDUMP
        | LIBKDUMP_FEATURE_READ_FLATTENED
        | LIBKDUMP_FEATURE_READ_SPLIT
        | LIBKDUMP_FEATURE_SAVE_ELF
        | LIBKDUMP_FEATURE_SAVE_KDUMP
        | LIBKDUMP_FEATURE_SAVE_FLATTENED
        | LIBKDUMP_FEATURE_SAVE_EXCLUDE => true,
        LIBKDUMP_FEATURE_CODEC_ZLIB => Codec::Zlib.can_encode(),
        LIBKDUMP_FEATURE_CODEC_LZO => Codec::Lzo.can_encode(),
        LIBKDUMP_FEATURE_CODEC_SNAPPY => Codec::Snappy.can_encode(),
        LIBKDUMP_FEATURE_CODEC_ZSTD => Codec::Zstd.can_encode(),
        other => other
            .checked_sub(LIBKDUMP_FEATURE_PLAN_ARCH)
            .and_then(|number| kdump_ffi_core::arch(number).ok())
            .is_some_and(plans),
    };
    c_int::from(has)
}

/// A plan needs a purgatory and an image format the planner knows.
fn plans(arch: Arch) -> bool {
    ObjectPurgatory::builtin(arch).is_ok()
}
