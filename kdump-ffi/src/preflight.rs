//! The kernel's rules applied to a plan.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_char, c_int, c_void};
use std::ffi::CString;

use kdump_ffi_core::{InOut, Items, Out, c_layout, extensible, libkdump_error, slice};
use kdump_segments::load::probe_environment;
use kdump_segments::preflight::{Buffer, Candidate, CandidateSegment, Report, Verdict, check};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free, give};
use crate::machine::libkdump_machine;
use crate::plan::libkdump_plan;
use crate::texts::{count, step, text};

/// The kernel will not object.
pub const LIBKDUMP_VERDICT_PASS: u32 = 1;
/// The kernel will refuse the load, or the capture kernel will not work.
pub const LIBKDUMP_VERDICT_FAIL: u32 = 2;
/// What is known does not tell.
pub const LIBKDUMP_VERDICT_UNKNOWN: u32 = 3;

/// What the rules say about a plan. Any number of threads may use one at the same time.
#[derive(Debug)]
pub struct libkdump_preflight {
    report: Report,
    /// Verdict, rule and detail of each finding.
    findings: Vec<(u32, CString, CString)>,
}

impl libkdump_preflight {
    pub(crate) fn new(report: Report) -> Self {
        let number = |verdict| match verdict {
            Verdict::Pass => LIBKDUMP_VERDICT_PASS,
            Verdict::Fail => LIBKDUMP_VERDICT_FAIL,
            Verdict::Unknown => LIBKDUMP_VERDICT_UNKNOWN,
        };
        let findings = report.findings.iter();
        let findings = findings.map(|found| (number(found.verdict), text(found.rule), text(&found.detail)));
        Self { findings: findings.collect(), report }
    }
}

impl Handle for libkdump_preflight {
    const TAG: u32 = 0x66657270;
}

/// The sum of a preflight.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_preflight_info {
    /// `sizeof (struct libkdump_preflight_info)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_VERDICT_PASS when no rule fails, else LIBKDUMP_VERDICT_FAIL.
    pub verdict: u32,
    /// Number of findings (libkdump_preflight_finding()).
    pub findings: u32,
    /// The errno kexec_load(2) would fail with; 0 when it would not.
    pub os_errno: i32,
    /// 1 when that failure would also drop the capture kernel that is loaded, else 0.
    pub armed_image_lost: u32,
    /// Zero.
    pub reserved: u32,
}

extensible!(libkdump_preflight_info {
    verdict: u32,
    findings: u32,
    os_errno: i32,
    armed_image_lost: u32,
    reserved: u32,
});

/// One rule and what it says.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_finding {
    /// `sizeof (struct libkdump_finding)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_VERDICT_ number.
    pub verdict: u32,
    /// The rule's name, lent until the preflight is freed.
    pub rule: *const c_char,
    /// The value found and the limit, lent until the preflight is freed.
    pub detail: *const c_char,
}

extensible!(libkdump_finding { verdict: u32, rule: *const c_char, detail: *const c_char });

/// Applies the kernel's rules to a plan, in the state the machine is in now. Nothing is loaded.
///
/// Parameters: `plan` the plan; `preflight` receives the handle, to be freed with
/// libkdump_preflight_free(); `error` may be NULL. A rule that fails is no failure of this call.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_plan_preflight(
    plan: Lent<'_, libkdump_plan>,
    preflight: Out<'_, *mut libkdump_preflight>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(plan, "plan")?;
        give(preflight, "preflight", libkdump_preflight::new(handle.preflight()?))
    })
}

/// A segment of kexec_load(2): the kernel's own `struct kexec_segment` (linux/kexec.h), of which an
/// array may be given as it is. It has no `size` and never grows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_kexec_segment {
    /// The content; of a preflight only looked at for NULL.
    pub buf: *const c_void,
    /// Bytes of content; the rest is zero.
    pub bufsz: usize,
    /// Physical address.
    pub mem: *const c_void,
    /// Bytes of memory.
    pub memsz: usize,
}

c_layout!(libkdump_kexec_segment {
    buf: *const c_void,
    bufsz: usize,
    mem: *const c_void,
    memsz: usize,
});

/// Applies the kernel's rules to a load that the caller put together itself, in the state the
/// machine is in now. Nothing is loaded. The rules are those of kexec_load(2) alone: what makes a
/// capture kernel work, such as its memory map, only a plan can be asked for.
///
/// Parameters: `machine` the machine; `entry`, `segments`, `count` and `flags` what kexec_load(2) is
/// to be given, the architecture in the upper half of `flags`; `preflight` receives the handle, to be
/// freed with libkdump_preflight_free(); `error` may be NULL. A rule that fails is no failure of
/// this call, and senseless segments only make rules fail. So does a `count` of 0: kexec_load(2)
/// takes it and unloads, hence LIBKDUMP_VERDICT_FAIL without an errno.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_machine_preflight(
    machine: Lent<'_, libkdump_machine>,
    entry: u64,
    segments: Items<'_, libkdump_kexec_segment>,
    count: usize,
    flags: u64,
    preflight: Out<'_, *mut libkdump_preflight>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(machine, "machine")?;
        let given = slice!(segments, count)?;
        let mut segments = Vec::new();
        let need = (given.len() as u64).saturating_mul(size_of::<CandidateSegment>() as u64);
        segments.try_reserve_exact(given.len()).map_err(|_| Failure::NoMemory { need })?;
        segments.extend(given.iter().map(|segment| CandidateSegment {
            mem: segment.mem.addr() as u64,
            memsz: segment.memsz as u64,
            bufsz: segment.bufsz as u64,
            buffer: if segment.buf.is_null() { Buffer::Bad } else { Buffer::Readable },
        }));
        let environment = probe_environment(&handle.machine, &handle.root)?;
        let report = check(&Candidate { entry, flags, segments }, &environment)?;
        give(preflight, "preflight", libkdump_preflight::new(report))
    })
}

/// Frees a preflight and the texts lent by it.
///
/// Parameters: `preflight` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_preflight_free(preflight: Given<'_, libkdump_preflight>) {
    free(preflight);
}

/// The sum of a preflight.
///
/// Parameters: `preflight` the result; `out` receives it; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_preflight_get_info(
    preflight: Lent<'_, libkdump_preflight>,
    out: InOut<'_, libkdump_preflight_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(preflight, "preflight")?;
        let report = &handle.report;
        let verdict = if report.failure().is_some() { LIBKDUMP_VERDICT_FAIL } else { LIBKDUMP_VERDICT_PASS };
        let info = libkdump_preflight_info {
            size: 0,
            verdict,
            findings: count(report.findings.len()),
            os_errno: report.errno.map_or(0, |errno| errno.0),
            armed_image_lost: u32::from(report.armed_image_lost),
            reserved: 0,
        };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// The rules one after the other, in the order the kernel applies them.
///
/// Parameters: `preflight` the result; `index` from 0; `out` receives the finding; `error` may be
/// NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_preflight_finding(
    preflight: Lent<'_, libkdump_preflight>,
    index: u32,
    out: InOut<'_, libkdump_finding>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(preflight, "preflight")?;
        Ok::<_, Failure>(step(out, &handle.findings, index, |(verdict, rule, detail)| libkdump_finding {
            size: 0,
            verdict: *verdict,
            rule: rule.as_ptr(),
            detail: detail.as_ptr(),
        })?)
    })
}
