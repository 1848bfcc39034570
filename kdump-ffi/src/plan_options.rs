//! What C can ask of a plan.
#![allow(unsafe_code, reason = "reads texts and buffers that a structure from C points to")]

use core::ffi::{c_char, c_void};

use kdump_elf::Class;
use kdump_ffi_core::{Bytes, chars, extensible, known_flags, slice};
use kdump_purgatory::ObjectPurgatory;
use kdump_segments::Error;
use kdump_segments::image::elf_extent;
use kdump_segments::load::{ImageFile, random_seed};
use kdump_segments::plan::{BackupPolicy, PlanOptions};
use kdump_segments::purgatory::{MismatchAction, Serial, SerialPort};

use crate::dump_open::optional_path;
use crate::failure::Failure;

/// Begin with the running kernel's command line, without what only made sense there.
pub const LIBKDUMP_PLAN_REUSE_CMDLINE: u32 = 1;
/// Enter a bzImage in 32-bit mode even when it has a 64-bit entry.
pub const LIBKDUMP_PLAN_ENTRY_32BIT: u32 = 2;
/// Give the firmware's memory map and describe usable memory on the command line.
pub const LIBKDUMP_PLAN_MEMMAP_CMDLINE: u32 = 4;
/// Do not hand EFI over.
pub const LIBKDUMP_PLAN_NO_EFI: u32 = 8;
/// Leave room for the kernel to rewrite the elfcorehdr on hot-plug.
pub const LIBKDUMP_PLAN_HOTPLUG: u32 = 16;
/// Write an ELF32 core header. Without this and LIBKDUMP_PLAN_ELF64 it is the narrowest of the
/// architecture that holds every address.
pub const LIBKDUMP_PLAN_ELF32: u32 = 32;
/// `rng_seed` is entropy for the capture kernel: the same seed gives the same plan, byte for byte.
pub const LIBKDUMP_PLAN_SEED: u32 = 64;
/// Take entropy for the capture kernel from /dev/urandom.
pub const LIBKDUMP_PLAN_RANDOM_SEED: u32 = 128;

/// Write an ELF64 core header, of i386 as well.
pub const LIBKDUMP_PLAN_ELF64: u32 = 512;

/// Let libkdump_plan_load() take the plan although its machine was not collected from "/".
pub const LIBKDUMP_PLAN_FOREIGN: u32 = 256;
/// Let the purgatory compute its digest with MMU and caches off, as arm64 enters it; elsewhere they are
/// never off.
pub const LIBKDUMP_PLAN_NO_CACHES: u32 = 512;

const ALL_FLAGS: u32 = 1023;

/// Save low memory only where the running kernel may keep something there.
pub const LIBKDUMP_BACKUP_AUTO: u32 = 0;
/// Save low memory always.
pub const LIBKDUMP_BACKUP_ALWAYS: u32 = 1;
/// Never save low memory; it is not dumped then.
pub const LIBKDUMP_BACKUP_NEVER: u32 = 2;

/// Stop for ever when the digest does not match.
pub const LIBKDUMP_MISMATCH_HALT: u32 = 0;
/// Reset the machine when the digest does not match.
pub const LIBKDUMP_MISMATCH_RESET: u32 = 1;
/// Enter the capture kernel although the digest does not match.
pub const LIBKDUMP_MISMATCH_CONTINUE: u32 = 2;

/// What a plan is made from. All zero but for `kernel` is what most machines need.
///
/// Either the name of a file or its bytes are given. The library copies all of it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_plan_options {
    /// `sizeof (struct libkdump_plan_options)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_PLAN_ flags.
    pub flags: u32,
    /// LIBKDUMP_BACKUP_ number.
    pub backup: u32,
    /// LIBKDUMP_MISMATCH_ number: what the purgatory does when what was loaded is damaged.
    pub on_mismatch: u32,
    /// First I/O port of the serial port the purgatory of x86 writes to, 0x3f8 for the first; 0 for
    /// none.
    pub serial_base: u32,
    /// Line speed to program; 0 leaves the port as the dead kernel set it, and is all there can be without
    /// `serial_base` or `serial_address`.
    pub serial_baud: u32,
    /// Lowest address to use.
    pub mem_min: u64,
    /// Highest address to use, inclusive; 0 for no limit.
    pub mem_max: u64,
    /// With LIBKDUMP_PLAN_SEED, else zero.
    pub rng_seed: [u8; 32],
    /// File name of the capture kernel's image.
    pub kernel: *const c_char,
    /// File name of its initial ramdisk; NULL for none.
    pub initrd: *const c_char,
    /// Its command line, before the parameters the plan adds; NULL for none.
    pub cmdline: *const c_char,
    /// The image itself, instead of `kernel`, which is NULL then.
    pub kernel_data: *const c_void,
    /// The initial ramdisk itself, instead of `initrd`, which is NULL then.
    pub initrd_data: *const c_void,
    /// A relocatable object to be used as purgatory; NULL for the library's own.
    pub purgatory: *const c_void,
    /// Bytes of `kernel_data`.
    pub kernel_len: u64,
    /// Bytes of `initrd_data`; 0 for none.
    pub initrd_len: u64,
    /// Bytes of `purgatory`.
    pub purgatory_len: u64,
    /// Physical address of the registers of the serial port the purgatory of arm64 writes to, a PL011;
    /// 0 for none.
    pub serial_address: u64,
}

extensible!(libkdump_plan_options {
    flags: u32,
    backup: u32,
    on_mismatch: u32,
    serial_base: u32,
    serial_baud: u32,
    mem_min: u64,
    mem_max: u64,
    rng_seed: [u8; 32],
    kernel: *const c_char,
    initrd: *const c_char,
    cmdline: *const c_char,
    kernel_data: *const c_void,
    initrd_data: *const c_void,
    purgatory: *const c_void,
    kernel_len: u64,
    initrd_len: u64,
    purgatory_len: u64,
    serial_address: u64,
});

/// The options in the terms of the planner.
pub(crate) fn convert(options: &libkdump_plan_options) -> Result<PlanOptions, Failure> {
    let libkdump_plan_options {
        size: _,
        flags,
        backup,
        on_mismatch,
        serial_base,
        serial_baud,
        mem_min,
        mem_max,
        rng_seed,
        kernel,
        initrd,
        cmdline,
        kernel_data,
        kernel_len,
        initrd_data,
        initrd_len,
        purgatory: _,
        purgatory_len: _,
        serial_address,
    } = *options;
    let has = |flag: u32| flags & flag != 0;
    known_flags("flags", flags, ALL_FLAGS)?;
    one_of_two("kernel_len", kernel, kernel_data, kernel_len)?;
    one_of_two("initrd_len", initrd, initrd_data, initrd_len)?;
    let rng_seed = match (has(LIBKDUMP_PLAN_SEED), has(LIBKDUMP_PLAN_RANDOM_SEED)) {
        (true, true) => return Err(senseless("flags", flags, "one kind of seed")),
        (false, _) if rng_seed != [0; 32] => {
            return Err(senseless("flags", flags, "LIBKDUMP_PLAN_SEED with a seed in rng_seed"));
        }
        (true, false) => Some(rng_seed),
        (false, true) => Some(random_seed()?),
        (false, false) => None,
    };
    let elf_class = match (has(LIBKDUMP_PLAN_ELF32), has(LIBKDUMP_PLAN_ELF64)) {
        (true, true) => return Err(senseless("flags", flags, "one class of the core header")),
        (true, false) => Some(Class::Elf32),
        (false, true) => Some(Class::Elf64),
        (false, false) => None,
    };
    Ok(PlanOptions::default()
        .cmdline(chars!(cmdline).optional("cmdline")?.unwrap_or_default().to_owned())
        .reuse_cmdline(has(LIBKDUMP_PLAN_REUSE_CMDLINE))
        .backup(backup_policy(backup)?)
        .entry_32bit(has(LIBKDUMP_PLAN_ENTRY_32BIT))
        .memmap_cmdline(has(LIBKDUMP_PLAN_MEMMAP_CMDLINE))
        .no_efi(has(LIBKDUMP_PLAN_NO_EFI))
        .hotplug(has(LIBKDUMP_PLAN_HOTPLUG))
        .mem_min(Some(mem_min).filter(|&min| min != 0))
        .mem_max(Some(mem_max).filter(|&max| max != 0))
        .elf_class(elf_class)
        .rng_seed(rng_seed)
        .serial(serial(serial_base, serial_address, serial_baud)?)
        .on_mismatch(match on_mismatch {
            LIBKDUMP_MISMATCH_HALT => MismatchAction::Halt,
            LIBKDUMP_MISMATCH_RESET => MismatchAction::Reset,
            LIBKDUMP_MISMATCH_CONTINUE => MismatchAction::Continue,
            other => return Err(senseless("on_mismatch", other, "a LIBKDUMP_MISMATCH_ constant")),
        })
        .purgatory_caches(!has(LIBKDUMP_PLAN_NO_CACHES)))
}

/// An image is given by its name or by its bytes.
fn one_of_two(
    field: &'static str,
    path: *const c_char,
    data: *const c_void,
    len: u64,
) -> Result<(), Failure> {
    if path.is_null() || (data.is_null() && len == 0) {
        return Ok(());
    }
    let expected = "0 and no bytes beside the name of a file";
    Err(kdump_ffi_core::Failure::Argument { name: field, value: len, expected }.into())
}

/// The policy with this number.
pub(crate) fn backup_policy(number: u32) -> Result<BackupPolicy, Failure> {
    match number {
        LIBKDUMP_BACKUP_AUTO => Ok(BackupPolicy::Auto),
        LIBKDUMP_BACKUP_ALWAYS => Ok(BackupPolicy::Always),
        LIBKDUMP_BACKUP_NEVER => Ok(BackupPolicy::Never),
        other => Err(senseless("backup", other, "a LIBKDUMP_BACKUP_ constant")),
    }
}

/// The capture kernel's image: of a file at most `limit` bytes that are loaded.
pub(crate) fn kernel(options: &libkdump_plan_options, limit: u64) -> Result<Vec<u8>, Failure> {
    let Some(path) = optional_path(chars!(options.kernel)) else {
        let missing = kdump_ffi_core::Failure::Null { name: "kernel" };
        let image = content("kernel_data", options.kernel_data, options.kernel_len)?.ok_or(missing)?;
        if image.starts_with(b"\x7fELF") {
            elf_extent(&image, image.len() as u64)?;
        }
        return Ok(image);
    };
    let image = ImageFile::open(&path).and_then(|file| file.read_kernel(limit));
    image.map_err(|error| name_kernel(options, error))
}

/// The initial ramdisk; of a file at most `limit` bytes.
pub(crate) fn initrd(options: &libkdump_plan_options, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
    match optional_path(chars!(options.initrd)) {
        Some(path) => Ok(Some(ImageFile::open_ramdisk(&path)?.read(limit)?)),
        None => content("initrd_data", options.initrd_data, options.initrd_len),
    }
}

/// An error about the kernel image, with the name of its file.
pub(crate) fn name_kernel(options: &libkdump_plan_options, error: Error) -> Failure {
    let about_image =
        matches!(error, Error::NotAnImage { .. } | Error::ImageField { .. } | Error::ImageTruncated { .. });
    match optional_path(chars!(options.kernel)).filter(|_| about_image) {
        Some(path) => Failure::File { path, failure: Box::new(error.into()) },
        None => error.into(),
    }
}

/// The purgatory object, when it is not the library's own.
pub(crate) fn purgatory(options: &libkdump_plan_options) -> Result<Option<ObjectPurgatory>, Failure> {
    match content("purgatory", options.purgatory, options.purgatory_len)? {
        Some(object) => Ok(Some(ObjectPurgatory::from_object(object)?)),
        None => Ok(None),
    }
}

/// Bytes of the caller, in the field `name`; `None` when there are none.
fn content(name: &'static str, data: *const c_void, len: u64) -> Result<Option<Vec<u8>>, Failure> {
    if data.is_null() && len == 0 {
        return Ok(None);
    }
    let data = Bytes::new(data);
    copied(slice!(data, usize::try_from(len).unwrap_or(usize::MAX), name)?).map(Some)
}

/// A copy of bytes of the caller.
pub(crate) fn copied(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut copy = Vec::new();
    let need = bytes.len() as u64;
    copy.try_reserve_exact(bytes.len()).map_err(|_| Failure::NoMemory { need })?;
    copy.extend_from_slice(bytes);
    Ok(copy)
}

fn serial(base: u32, address: u64, baud: u32) -> Result<Option<Serial>, Failure> {
    let wide = senseless("serial_base", base, "an I/O port below 0x10000");
    let port = match (u16::try_from(base).map_err(|_| wide)?, address) {
        (0, 0) if baud != 0 => {
            return Err(senseless("serial_baud", baud, "0 without serial_base or serial_address"));
        }
        (0, 0) => return Ok(None),
        (base, 0) => SerialPort::Port(base),
        (0, address) => SerialPort::Mmio(address),
        _ => return Err(senseless("serial_base", base, "0 beside serial_address")),
    };
    Ok(Some(Serial { port, baud: Some(baud).filter(|&baud| baud != 0) }))
}

fn senseless(name: &'static str, value: u32, expected: &'static str) -> Failure {
    kdump_ffi_core::Failure::Argument { name, value: u64::from(value), expected }.into()
}
