//! The dead kernel's log.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_ffi_core::{InOut, Out, extensible, libkdump_error};
use kdump_vmcore::{Caller, Dmesg, LogRecord};

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free, give};
use crate::texts::{count, step};

/// `caller_kind` of a record: not known.
pub const LIBKDUMP_CALLER_UNKNOWN: u32 = 0;
/// `caller_kind` of a record: `caller` is a thread number.
pub const LIBKDUMP_CALLER_THREAD: u32 = 1;
/// `caller_kind` of a record: `caller` is a CPU number.
pub const LIBKDUMP_CALLER_CPU: u32 = 2;

/// The log of a dead kernel, read out of a dump. It does not need the dump any more. Any number of
/// threads may use one at the same time.
#[derive(Debug)]
pub struct libkdump_dmesg {
    log: Dmesg,
}

impl Handle for libkdump_dmesg {
    const TAG: u32 = 0x67736d64;
}

/// How much of a log there is.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_dmesg_info {
    /// `sizeof (struct libkdump_dmesg_info)`, set by the caller.
    pub size: u32,
    /// Number of records.
    pub records: u32,
    /// Number of defects (libkdump_dmesg_defect()), at most 64.
    pub defects: u32,
    /// Zero.
    pub reserved: u32,
    /// Records that are in the ring but could not be read.
    pub lost: u64,
}

extensible!(libkdump_dmesg_info { records: u32, defects: u32, reserved: u32, lost: u64 });

/// One record of a log.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_log_record {
    /// `sizeof (struct libkdump_log_record)`, set by the caller.
    pub size: u32,
    /// 0 (emergency) to 7 (debug).
    pub level: u32,
    /// Syslog facility, 0 for the kernel.
    pub facility: u32,
    /// LIBKDUMP_CALLER_ number.
    pub caller_kind: u32,
    /// Who printed it.
    pub caller: u64,
    /// Number of the record since boot.
    pub seq: u64,
    /// Nanoseconds since boot.
    pub ts_nsec: u64,
    /// Bytes of `text`.
    pub text_len: u64,
    /// The text as bytes of the kernel, which may have several lines and is neither safe to print
    /// nor ended by a NUL; lent until the log is freed.
    pub text: *const c_void,
    /// NULL.
    pub reserved: *const c_void,
}

extensible!(libkdump_log_record {
    level: u32,
    facility: u32,
    caller_kind: u32,
    caller: u64,
    seq: u64,
    ts_nsec: u64,
    text_len: u64,
    text: *const c_void,
    reserved: *const c_void,
});

/// Reads the dead kernel's log.
///
/// Parameters: `dump` the dump; `dmesg` receives the handle, to be freed with
/// libkdump_dmesg_free(); `error` may be NULL. Damage in one record loses only that one. Errors:
/// LIBKDUMP_ERR_NOT_FOUND when VMCOREINFO does not describe a log, LIBKDUMP_ERR_TOO_LARGE for a size that
/// no log has, those of libkdump_dump_read_virt() when its descriptor cannot be read.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dmesg_read(
    dump: Lent<'_, libkdump_dump>,
    dmesg: Out<'_, *mut libkdump_dmesg>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let missing = kdump_ffi_core::Failure::NotFound { what: "VMCOREINFO" };
        let info = handle.dump.vmcoreinfo().ok_or(missing)?;
        let log = Dmesg::read(&mut handle.kernel(), info)?;
        let handle = libkdump_dmesg { log };
        give(dmesg, "dmesg", handle)
    })
}

/// Frees a log and the texts lent by it.
///
/// Parameters: `dmesg` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dmesg_free(dmesg: Given<'_, libkdump_dmesg>) {
    free(dmesg);
}

/// How many records there are, and what was lost.
///
/// Parameters: `dmesg` the log; `out` receives the numbers; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dmesg_get_info(
    dmesg: Lent<'_, libkdump_dmesg>,
    out: InOut<'_, libkdump_dmesg_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dmesg, "dmesg")?;
        let Dmesg { records, lost, defects, .. } = &handle.log;
        let (records, defects) = (count(records.len()), count(defects.len()));
        let info = libkdump_dmesg_info { size: 0, records, defects, reserved: 0, lost: *lost };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// The records one after the other, oldest first.
///
/// Parameters: `dmesg` the log; `index` from 0; `out` receives the record; `error` may be NULL.
/// Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dmesg_record(
    dmesg: Lent<'_, libkdump_dmesg>,
    index: u32,
    out: InOut<'_, libkdump_log_record>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dmesg, "dmesg")?;
        Ok::<_, Failure>(step(out, &handle.log.records, index, convert)?)
    })
}

/// One thing that was damaged in the log.
///
/// Parameters: `dmesg` the log; `index` from 0; `out` is filled as if a call had failed with it;
/// `error` may be NULL. Returns LIBKDUMP_END behind the last.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dmesg_defect(
    dmesg: Lent<'_, libkdump_dmesg>,
    index: u32,
    out: InOut<'_, libkdump_error>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dmesg, "dmesg")?;
        let told = |defect: &kdump_vmcore::Error| libkdump_error::of(&Failure::Vmcore(*defect));
        Ok::<_, Failure>(step(out, &handle.log.defects, index, told)?)
    })
}

fn convert(record: &LogRecord) -> libkdump_log_record {
    let (caller_kind, caller) = match record.caller {
        None => (LIBKDUMP_CALLER_UNKNOWN, 0),
        Some(Caller::Thread(id)) => (LIBKDUMP_CALLER_THREAD, id),
        Some(Caller::Cpu(number)) => (LIBKDUMP_CALLER_CPU, number),
    };
    libkdump_log_record {
        size: 0,
        level: u32::from(record.level),
        facility: u32::from(record.facility),
        caller_kind,
        caller: u64::from(caller),
        seq: record.seq,
        ts_nsec: record.ts_nsec,
        text_len: record.text.len() as u64,
        text: record.text.as_ptr().cast(),
        reserved: core::ptr::null(),
    }
}
