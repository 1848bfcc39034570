//! Writes a CPU's note at the moment of the crash.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::write_crash_note;

use crate::error::libkdump_error;
use crate::{BytesMut, Failure, InOut, Items, Out, buffer, call, slice};

/// Fills a CPU's `crash_notes` buffer: one NT_PRSTATUS note and the null note that ends it.
///
/// Takes no lock and no memory. Whoever reads the buffer meanwhile finds no note or a whole
/// one. Writing again replaces the note.
///
/// Parameters: `buf` and `len` the buffer, which holds something already, at least `crash_note_size`
/// of libkdump_arch_get_info(); `arch` a LIBKDUMP_ARCH_ constant; `endian` the byte order; `pid`
/// the task that runs; `regs` and `nregs` the registers in the order of `pr_reg`
/// (libkdump_register_index()), of which missing ones are zero; `written` (may be NULL)
/// receives the bytes written; `error` may be NULL. Errors: LIBKDUMP_ERR_BUFFER,
/// LIBKDUMP_ERR_INVALID for more registers than there are; the buffer is then as it was or
/// holds no note.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_crash_note_write(
    buf: BytesMut<'_>,
    len: usize,
    arch: u32,
    endian: u32,
    pid: i32,
    regs: Items<'_, u64>,
    nregs: usize,
    written: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let arch = crate::arch(arch)?;
        let endian = crate::endian(endian)?;
        let regs = slice!(regs, nregs)?;
        let most = crate::prstatus::register_count(arch);
        if nregs > most {
            let expected = "at most the number of registers of the architecture";
            return Err(Failure::Argument { name: "nregs", value: nregs as u64, expected });
        }
        let size = write_crash_note(buffer!(buf, len, len)?, arch, endian, |status| {
            status.set_pid(pid);
            status.set_registers(regs);
        })?;
        written.set_if_given("written", size)
    })
}
