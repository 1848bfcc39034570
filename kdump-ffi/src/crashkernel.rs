//! `crashkernel=`: what a command line asks for and what a kernel would reserve.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_ffi_core::{Chars, In, InOut, extensible, known_flags, libkdump_error};
use kdump_segments::{CrashkernelLimits, CrashkernelRequest};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Lent, enter};
use crate::machine::libkdump_machine;

/// `flags` of struct libkdump_crashkernel: `base` is set.
pub const LIBKDUMP_CRASHKERNEL_BASE: u32 = 1;
/// `flags` of struct libkdump_crashkernel: the main region goes above the low limit first.
pub const LIBKDUMP_CRASHKERNEL_HIGH: u32 = 2;
/// `flags` of struct libkdump_crashkernel: `low` is set; 0 there forbids a low region.
pub const LIBKDUMP_CRASHKERNEL_LOW: u32 = 4;

/// What `crashkernel=` asks for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_crashkernel {
    /// `sizeof (struct libkdump_crashkernel)`, set by the caller.
    pub size: u32,
    /// Which of the fields are set: LIBKDUMP_CRASHKERNEL_BASE and so on.
    pub flags: u32,
    /// Bytes of the main region.
    pub main: u64,
    /// Where it must begin.
    pub base: u64,
    /// Bytes of the low region.
    pub low: u64,
    /// Bytes to be shared with movable memory; 0 for none.
    pub cma: u64,
}

extensible!(libkdump_crashkernel { flags: u32, main: u64, base: u64, low: u64, cma: u64 });

/// What a kernel would reserve.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_reservation {
    /// `sizeof (struct libkdump_reservation)`, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// First address of the main region.
    pub main_start: u64,
    /// Its bytes.
    pub main_length: u64,
    /// First address of the low region.
    pub low_start: u64,
    /// Its bytes; 0 when there is none.
    pub low_length: u64,
    /// Bytes asked for as CMA; the kernel takes what it gets, in pieces.
    pub cma: u64,
}

extensible!(libkdump_reservation {
    reserved: u32,
    main_start: u64,
    main_length: u64,
    low_start: u64,
    low_length: u64,
    cma: u64,
});

/// Reads a command line as a kernel does.
///
/// Parameters: `cmdline` the kernel's command line; `ram` its bytes of RAM, which range lists are
/// compared with; `arch` a LIBKDUMP_ARCH_ constant; `out` receives the request; `error` may be NULL.
/// Errors: LIBKDUMP_ERR_NOT_FOUND when nothing is asked for, LIBKDUMP_ERR_CORRUPT for a word the
/// kernel refuses.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_crashkernel_parse(
    cmdline: Chars<'_>,
    ram: u64,
    arch: u32,
    out: InOut<'_, libkdump_crashkernel>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let (cmdline, arch) = (cmdline.get("cmdline")?, kdump_ffi_core::arch(arch)?);
        let missing = kdump_ffi_core::Failure::NotFound { what: "request for a crash region" };
        let found = CrashkernelRequest::parse(cmdline, ram, arch)?.ok_or(missing)?;
        let CrashkernelRequest { size, base, high, low, cma, .. } = found;
        let flag = |set: bool, flag: u32| if set { flag } else { 0 };
        let flags = flag(base.is_some(), LIBKDUMP_CRASHKERNEL_BASE)
            | flag(high, LIBKDUMP_CRASHKERNEL_HIGH)
            | flag(low.is_some(), LIBKDUMP_CRASHKERNEL_LOW);
        let (base, low) = (base.unwrap_or(0), low.unwrap_or(0));
        let request = libkdump_crashkernel { size: 0, flags, main: size, base, low, cma };
        Ok::<_, Failure>(out.set("out", request)?)
    })
}

/// What a machine's kernel would reserve at its next boot if nothing but itself were in the way.
///
/// Parameters: `machine` the machine; `request` as libkdump_crashkernel_parse() gives it; `out`
/// receives the regions; `error` may be NULL. Errors: LIBKDUMP_ERR_TOO_LARGE when there is no room,
/// LIBKDUMP_ERR_UNSUPPORTED for an architecture that places regions by rules of its own.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_crashkernel_reserve(
    machine: Lent<'_, libkdump_machine>,
    request: In<'_, libkdump_crashkernel>,
    out: InOut<'_, libkdump_reservation>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let libkdump_crashkernel { size: _, flags, main, base, low, cma } = request.get("request")?;
        let all = LIBKDUMP_CRASHKERNEL_BASE | LIBKDUMP_CRASHKERNEL_HIGH | LIBKDUMP_CRASHKERNEL_LOW;
        known_flags("flags", flags, all)?;
        let given = |flag: u32, value: u64| (flags & flag != 0).then_some(value);
        let request = CrashkernelRequest::new(main)
            .base(given(LIBKDUMP_CRASHKERNEL_BASE, base))
            .high(flags & LIBKDUMP_CRASHKERNEL_HIGH != 0)
            .low(given(LIBKDUMP_CRASHKERNEL_LOW, low))
            .cma(cma);
        let limits = CrashkernelLimits::of(handle.machine.arch).ok_or(Failure::Unsupported {
            what: "this architecture places the crash region by rules that are not known here",
        })?;
        let found = request.would_reserve(&handle.machine.free_at_boot()?, &limits)?;
        let reservation = libkdump_reservation {
            size: 0,
            reserved: 0,
            main_start: found.main.start(),
            main_length: found.main.size(),
            low_start: found.low.map_or(0, |range| range.start()),
            low_length: found.low.map_or(0, |range| range.size()),
            cma: found.cma,
        };
        Ok::<_, Failure>(out.set("out", reservation)?)
    })
}
