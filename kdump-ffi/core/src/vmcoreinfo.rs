//! VMCOREINFO texts in buffers of the caller: reading and writing.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};

use kdump_elf::{VmcoreInfo, VmcoreInfoWriter};

use crate::error::libkdump_error;
use crate::{
    Bytes, BytesMut, Chars, CharsMut, Failure, Flow, InOut, Out, buffer, call, copy_text, extensible, slice,
};

/// `SYMBOL(name)`: a virtual address.
pub const LIBKDUMP_VMCOREINFO_SYMBOL: u32 = 1;
/// `SIZE(name)`: bytes of a structure.
pub const LIBKDUMP_VMCOREINFO_SIZE: u32 = 2;
/// `OFFSET(structure.field)`: bytes.
pub const LIBKDUMP_VMCOREINFO_OFFSET: u32 = 3;
/// `LENGTH(name)`: elements of an array.
pub const LIBKDUMP_VMCOREINFO_LENGTH: u32 = 4;
/// `NUMBER(name)`: a signed number, its bits in a uint64_t.
pub const LIBKDUMP_VMCOREINFO_NUMBER: u32 = 5;

/// One `KEY=VALUE` line. The pointers lead into the text and live as long.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_vmcoreinfo_entry {
    /// `sizeof (struct libkdump_vmcoreinfo_entry)`, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// Bytes of `key`; there is no NUL behind them.
    pub key_len: u64,
    /// Bytes of `value`; there is no NUL behind them.
    pub value_len: u64,
    /// What stands in front of the `=`.
    pub key: *const c_void,
    /// What stands behind it.
    pub value: *const c_void,
}

extensible!(libkdump_vmcoreinfo_entry {
    reserved: u32,
    key_len: u64,
    value_len: u64,
    key: *const c_void,
    value: *const c_void,
});

/// The next `KEY=VALUE` line of a text.
///
/// Parameters: `text` and `len` the text, which ends at the first NUL; `cursor` is 0 for the
/// first call and is advanced; `out` receives the line; `error` may be NULL. Lines that are
/// not UTF-8 or have no `=` are left out. Returns LIBKDUMP_END behind the last line.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcoreinfo_next(
    text: Bytes<'_>,
    len: usize,
    cursor: Out<'_, u64>,
    out: InOut<'_, libkdump_vmcoreinfo_entry>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let text = VmcoreInfo::new(slice!(text, len)?).as_bytes();
        let place = out.place("out")?;
        let mut at = usize::try_from(cursor.get("cursor")?).unwrap_or(usize::MAX);
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let line_len = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            at = at.saturating_add(line_len).saturating_add(1);
            let line = VmcoreInfo::new(rest.get(..line_len).unwrap_or_default());
            let Some((key, value)) = line.entries().next() else { continue };
            place.set(libkdump_vmcoreinfo_entry {
                size: 0,
                reserved: 0,
                key_len: key.len() as u64,
                value_len: value.len() as u64,
                key: key.as_ptr().cast(),
                value: value.as_ptr().cast(),
            });
            cursor.set("cursor", at as u64)?;
            return Ok(Flow::Done);
        }
        cursor.set("cursor", at as u64)?;
        Ok::<_, Failure>(Flow::End)
    })
}

/// The value of a key as text, for example of "OSRELEASE".
///
/// Parameters: `text` and `len` the text; `key` what stands in front of the `=`; `buf` and
/// `buf_len` receive the value and a NUL; `value_len` (may be NULL) receives its length without
/// NUL, also when the buffer is too small; `error` may be NULL. Where a key stands twice the
/// last one counts. Errors: LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_BUFFER with `need`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcoreinfo_get(
    text: Bytes<'_>,
    len: usize,
    key: Chars<'_>,
    buf: CharsMut<'_>,
    buf_len: usize,
    value_len: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let info = VmcoreInfo::new(slice!(text, len)?);
        let value = info.get(key.get("key")?).ok_or(Failure::NotFound { what: "VMCOREINFO key" })?;
        copy_text(value.as_bytes(), slice!(buf, buf_len)?, value_len)
    })
}

/// A number of one of the forms `SYMBOL(name)`, `SIZE(name)`, `OFFSET(name)`, `LENGTH(name)`,
/// `NUMBER(name)`.
///
/// Parameters: `text` and `len` the text; `kind` a LIBKDUMP_VMCOREINFO_ constant; `name` what
/// stands in the parentheses; `value` receives the number; `error` may be NULL. Errors:
/// LIBKDUMP_ERR_NOT_FOUND when it is missing or no number.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcoreinfo_value(
    text: Bytes<'_>,
    len: usize,
    kind: u32,
    name: Chars<'_>,
    value: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let info = VmcoreInfo::new(slice!(text, len)?);
        let found = vmcoreinfo_value(info, kind, name.get("name")?)?;
        value.set("value", found.ok_or(Failure::NotFound { what: "VMCOREINFO value" })?)
    })
}

/// Looks a number up by its form.
///
/// # Errors
/// [`Failure::Argument`] when there is no such form.
pub fn vmcoreinfo_value(info: VmcoreInfo<'_>, kind: u32, name: &str) -> Result<Option<u64>, Failure> {
    Ok(match kind {
        LIBKDUMP_VMCOREINFO_SYMBOL => info.symbol(name),
        LIBKDUMP_VMCOREINFO_SIZE => info.size(name),
        LIBKDUMP_VMCOREINFO_OFFSET => info.offset(name),
        LIBKDUMP_VMCOREINFO_LENGTH => info.length(name),
        LIBKDUMP_VMCOREINFO_NUMBER => {
            info.number(name).map(|number| u64::from_ne_bytes(number.to_ne_bytes()))
        }
        other => return Err(no_kind(other)),
    })
}

/// Appends a line `key=value`.
///
/// Parameters: `buf` and `capacity` the buffer of the text; `len` its length so far, which is
/// advanced; `key` and `value` the line; `error` may be NULL. A line that does not fit whole
/// is not written. Errors: LIBKDUMP_ERR_BUFFER with `need`; LIBKDUMP_ERR_INVALID for an empty key, one
/// with `=` or a newline, or a value with a newline.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcoreinfo_append(
    buf: BytesMut<'_>,
    capacity: usize,
    len: Out<'_, usize>,
    key: Chars<'_>,
    value: Chars<'_>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let (key, value) = (key.get("key")?, value.get("value")?);
        append(buf, capacity, len, |writer| writer.line(key, value))
    })
}

/// Appends a number in one of the forms of libkdump_vmcoreinfo_value().
///
/// Parameters: `buf`, `capacity` and `len` as for libkdump_vmcoreinfo_append(); `kind` a
/// LIBKDUMP_VMCOREINFO_ constant; `name` what stands in the parentheses; `value` the number;
/// `error` may be NULL. Errors: those of libkdump_vmcoreinfo_append().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcoreinfo_append_value(
    buf: BytesMut<'_>,
    capacity: usize,
    len: Out<'_, usize>,
    kind: u32,
    name: Chars<'_>,
    value: u64,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let name = name.get("name")?;
        if !(LIBKDUMP_VMCOREINFO_SYMBOL..=LIBKDUMP_VMCOREINFO_NUMBER).contains(&kind) {
            return Err(no_kind(kind));
        }
        append(buf, capacity, len, |writer| match kind {
            LIBKDUMP_VMCOREINFO_SYMBOL => writer.symbol(name, value),
            LIBKDUMP_VMCOREINFO_SIZE => writer.size(name, value),
            LIBKDUMP_VMCOREINFO_OFFSET => writer.offset(name, value),
            LIBKDUMP_VMCOREINFO_LENGTH => writer.length(name, value),
            _ => writer.number(name, i64::from_ne_bytes(value.to_ne_bytes())),
        })
    })
}

fn append<F>(buf: BytesMut<'_>, capacity: usize, len: Out<'_, usize>, write: F) -> Result<(), Failure>
where
    F: FnOnce(&mut VmcoreInfoWriter<'_>) -> Result<(), kdump_elf::Error>,
{
    let start = len.get("len")?;
    let (buf, have) = (buffer!(buf, capacity, start)?, capacity as u64);
    let rest = buf.get_mut(start..).ok_or(Failure::Buffer { need: start as u64, have })?;
    let mut writer = VmcoreInfoWriter::new(rest);
    write(&mut writer).map_err(|error| match error {
        kdump_elf::Error::Buffer { need, .. } => {
            Failure::Buffer { need: need.saturating_add(start as u64), have }
        }
        kdump_elf::Error::Field { field, value, expected } => {
            Failure::Argument { name: field, value, expected }
        }
        other => Failure::Elf(other),
    })?;
    len.set("len", start.saturating_add(writer.text().len()))
}

fn no_kind(kind: u32) -> Failure {
    Failure::Argument {
        name: "kind",
        value: u64::from(kind),
        expected: "LIBKDUMP_VMCOREINFO_SYMBOL, _SIZE, _OFFSET, _LENGTH or _NUMBER",
    }
}
