//! Registers of a CPU by name, from the descriptor of its NT_PRSTATUS note.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_char, c_int};

use kdump_elf::{Arch, PrStatus};

use crate::error::libkdump_error;
use crate::{Bytes, Chars, Failure, Flow, InOut, Out, call, extensible, slice};

/// Bytes of a register's name, the NUL included.
pub const LIBKDUMP_REGISTER_NAME_SIZE: usize = 24;

/// One register.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_register {
    /// `sizeof (struct libkdump_register)`, set by the caller.
    pub size: u32,
    /// Its place in `pr_reg`, from 0.
    pub index: u32,
    /// Its value, zero-extended.
    pub value: u64,
    /// The kernel's name for it, for example "rip", ended by a NUL.
    pub name: [c_char; LIBKDUMP_REGISTER_NAME_SIZE],
}

extensible!(libkdump_register { index: u32, value: u64, name: [c_char; LIBKDUMP_REGISTER_NAME_SIZE] });

/// The registers one after the other.
///
/// Parameters: `desc` and `desc_len` the descriptor of an NT_PRSTATUS note; `arch` a
/// LIBKDUMP_ARCH_ constant; `endian` the byte order; `index` from 0; `out` receives the
/// register; `error` may be NULL. Returns LIBKDUMP_END behind the last. Errors:
/// LIBKDUMP_ERR_TRUNCATED when the descriptor is too short.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_prstatus_register_at(
    desc: Bytes<'_>,
    desc_len: usize,
    arch: u32,
    endian: u32,
    index: u32,
    out: InOut<'_, libkdump_register>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let status = PrStatus::parse(slice!(desc, desc_len)?, crate::arch(arch)?, crate::endian(endian)?)?;
        let place = out.place("out")?;
        let Some(found) = register_at(&status, index) else { return Ok::<_, Failure>(Flow::End) };
        place.set(found);
        Ok(Flow::Done)
    })
}

/// One register as C sees it.
#[must_use]
pub fn register_at(status: &PrStatus<'_>, index: u32) -> Option<libkdump_register> {
    let (name, value) = status.registers().nth(usize::try_from(index).ok()?)?;
    let mut field = [0; LIBKDUMP_REGISTER_NAME_SIZE];
    for (target, byte) in field.iter_mut().zip(name.bytes()) {
        *target = c_char::from_ne_bytes([byte]);
    }
    Some(libkdump_register { size: 0, index, value, name: field })
}

/// One register by its name.
///
/// Parameters: `desc`, `desc_len`, `arch` and `endian` as for libkdump_prstatus_register_at();
/// `name` the kernel's name, for example "rip", "pc" or "gpr1"; `value` receives it; `error`
/// may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_TRUNCATED.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_prstatus_register(
    desc: Bytes<'_>,
    desc_len: usize,
    arch: u32,
    endian: u32,
    name: Chars<'_>,
    value: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let status = PrStatus::parse(slice!(desc, desc_len)?, crate::arch(arch)?, crate::endian(endian)?)?;
        let found = status.register(name.get("name")?);
        value.set("value", found.ok_or(Failure::NotFound { what: "register" })?)
    })
}

/// The task that ran on the CPU, 0 when it was idle.
///
/// Parameters: `desc`, `desc_len`, `arch` and `endian` as for libkdump_prstatus_register_at();
/// `pid` receives the number; `error` may be NULL. Errors: LIBKDUMP_ERR_TRUNCATED.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_prstatus_pid(
    desc: Bytes<'_>,
    desc_len: usize,
    arch: u32,
    endian: u32,
    pid: Out<'_, i32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let status = PrStatus::parse(slice!(desc, desc_len)?, crate::arch(arch)?, crate::endian(endian)?)?;
        pid.set("pid", status.pid())
    })
}

/// The place of a register in `pr_reg`, which is its index in the array that
/// libkdump_crash_note_write() takes.
///
/// Parameters: `arch` a LIBKDUMP_ARCH_ constant; `name` the kernel's name; `index` receives
/// the place; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_register_index(
    arch: u32,
    name: Chars<'_>,
    index: Out<'_, u32>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let found = find_register(crate::arch(arch)?, name.get("name")?);
        index.set("index", found.ok_or(Failure::NotFound { what: "register" })?)
    })
}

/// The registers of an architecture, all zero. The largest elf_prstatus, that of ppc64, has
/// 504 bytes.
fn zero_status(arch: Arch) -> Option<PrStatus<'static>> {
    static ZEROS: [u8; 1024] = [0; 1024];
    PrStatus::parse(&ZEROS, arch, arch.endian()).ok()
}

/// How many registers `pr_reg` has.
pub(crate) fn register_count(arch: Arch) -> usize {
    zero_status(arch).map_or(0, |status| status.registers().count())
}

fn find_register(arch: Arch, name: &str) -> Option<u32> {
    let status = zero_status(arch)?;
    (0_u32..).zip(status.registers()).find(|(_, (found, _))| *found == name).map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_fits_and_is_found_at_its_index() {
        for arch in Arch::all() {
            let status = zero_status(arch).unwrap();
            assert!(register_count(arch) > 0);
            for (index, (name, _)) in (0_u32..).zip(status.registers()) {
                assert!(name.len() < LIBKDUMP_REGISTER_NAME_SIZE, "{name}");
                assert_eq!(find_register(arch, name), Some(index), "{} {name}", arch.name());
            }
            assert_eq!(find_register(arch, "no such register"), None);
        }
    }
}
