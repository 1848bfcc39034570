//! Linking of purgatory objects, the library's or the caller's.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use kdump_ffi_core::{
    Bytes, BytesMut, Chars, InOut, Out, arch_number, buffer, extensible, libkdump_error, slice,
};
use kdump_purgatory::{LinkedImage, ObjectPurgatory};

use crate::boundary::call;
use crate::failure::Failure;
use crate::handle::{Given, Handle, Lent, enter, free, give};
use crate::plan_options::copied;

/// A purgatory object and what it was linked to. Threads may use one at the same time; pointers it
/// lends are valid until it is linked again, a symbol is set, or it is freed.
#[derive(Debug)]
pub struct libkdump_purgatory {
    object: ObjectPurgatory,
    image: Mutex<Option<LinkedImage>>,
}

impl Handle for libkdump_purgatory {
    const TAG: u32 = 0x67727570;
}

impl libkdump_purgatory {
    /// A panic in between is told by the handle's own poison.
    fn image(&self) -> MutexGuard<'_, Option<LinkedImage>> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a purgatory object needs.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_purgatory_info {
    /// `sizeof (struct libkdump_purgatory_info)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_ARCH_ number.
    pub arch: u32,
    /// Bytes of memory it occupies.
    pub memsz: u64,
    /// Alignment of its load address in bytes.
    pub align: u64,
}

extensible!(libkdump_purgatory_info { arch: u32, memsz: u64, align: u64 });

/// Takes a relocatable object (ELF, ET_REL), the caller's own or the library's.
///
/// Parameters: `object` and `len` the object, which is copied; NULL and 0 for the library's own;
/// `arch` a LIBKDUMP_ARCH_ constant, used only for the library's own; `purgatory` receives the
/// handle, to be freed with libkdump_purgatory_free(); `error` may be NULL. Errors:
/// LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_CORRUPT naming the defect, LIBKDUMP_ERR_UNSUPPORTED when the
/// library has none for `arch`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_new(
    object: Bytes<'_>,
    len: usize,
    arch: u32,
    purgatory: Out<'_, *mut libkdump_purgatory>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let object = match slice!(object, len)? {
            [] => ObjectPurgatory::builtin(kdump_ffi_core::arch(arch)?)?,
            bytes => ObjectPurgatory::from_object(copied(bytes)?)?,
        };
        let made = libkdump_purgatory { object, image: Mutex::new(None) };
        give(purgatory, "purgatory", made)
    })
}

/// Frees a purgatory.
///
/// Parameters: `purgatory` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_free(purgatory: Given<'_, libkdump_purgatory>) {
    free(purgatory);
}

/// What a purgatory object needs.
///
/// Parameters: `purgatory` the object; `out` receives the facts; `error` may be NULL.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_get_info(
    purgatory: Lent<'_, libkdump_purgatory>,
    out: InOut<'_, libkdump_purgatory_info>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(purgatory, "purgatory")?;
        let object = handle.object.object();
        let info = libkdump_purgatory_info {
            size: 0,
            arch: arch_number(Some(object.arch())),
            memsz: object.memsz(),
            align: object.align(),
        };
        Ok::<_, Failure>(out.set("out", info)?)
    })
}

/// Links a purgatory for a load address. Values of symbols set before are lost.
///
/// Parameters: `purgatory` the object; `base` the physical address, a multiple of its alignment;
/// `error` may be NULL. Errors: LIBKDUMP_ERR_CORRUPT naming relocation, offset and symbol.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_link(
    purgatory: Lent<'_, libkdump_purgatory>,
    base: u64,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(purgatory, "purgatory")?;
        let image = handle.object.object().link(base)?;
        *handle.image() = Some(image);
        Ok::<_, Failure>(())
    })
}

/// The bytes to load; the rest up to `memsz` is zero.
///
/// Parameters: `purgatory` a linked object; `bytes` and `len` receive them; `error` may be NULL.
/// Errors: LIBKDUMP_ERR_NOT_FOUND before it is linked.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_bytes(
    purgatory: Lent<'_, libkdump_purgatory>,
    bytes: Out<'_, *const c_void>,
    len: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    with_image(purgatory, error, |image| {
        len.set("len", image.bytes().len())?;
        Ok(bytes.set("bytes", image.bytes().as_ptr().cast())?)
    })
}

/// The address of a symbol, for example "purgatory_start".
///
/// Parameters: `purgatory` a linked object; `symbol` a global symbol; `address` receives its physical
/// address; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_address(
    purgatory: Lent<'_, libkdump_purgatory>,
    symbol: Chars<'_>,
    address: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    with_image(purgatory, error, |image| Ok(address.set("address", image.address(symbol.get("symbol")?)?)?))
}

/// The value of a symbol.
///
/// Parameters: `purgatory` a linked object; `symbol` a global symbol; `buf` and `len` receive its
/// bytes; `value_len` (may be NULL) receives how many, also when the buffer is too small; `error` may
/// be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_BUFFER with `need`.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_get(
    purgatory: Lent<'_, libkdump_purgatory>,
    symbol: Chars<'_>,
    buf: BytesMut<'_>,
    len: usize,
    value_len: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    with_image(purgatory, error, |image| {
        let value = image.get(symbol.get("symbol")?)?;
        value_len.set_if_given("value_len", value.len())?;
        let (need, have) = (value.len() as u64, len as u64);
        let target = buffer!(buf, len)?.get_mut(..value.len());
        target.ok_or(kdump_ffi_core::Failure::Buffer { need, have })?.copy_from_slice(value);
        Ok(())
    })
}

/// Sets the value of a symbol.
///
/// Parameters: `purgatory` a linked object; `symbol` a global symbol; `value` and `len` its bytes,
/// as many as the symbol has; `error` may be NULL. Errors: LIBKDUMP_ERR_NOT_FOUND,
/// LIBKDUMP_ERR_INVALID for another size.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_purgatory_set(
    purgatory: Lent<'_, libkdump_purgatory>,
    symbol: Chars<'_>,
    value: Bytes<'_>,
    len: usize,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    with_image(purgatory, error, |image| Ok(image.set(symbol.get("symbol")?, slice!(value, len)?)?))
}

/// Runs `body` on the image of a linked purgatory.
fn with_image<F>(purgatory: Lent<'_, libkdump_purgatory>, error: InOut<'_, libkdump_error>, body: F) -> c_int
where
    F: FnOnce(&mut LinkedImage) -> Result<(), Failure>,
{
    call(error, || {
        let handle = enter(purgatory, "purgatory")?;
        let mut guard = handle.image();
        let missing = kdump_ffi_core::Failure::NotFound { what: "image; the purgatory was not linked" };
        body(guard.as_mut().ok_or(missing)?)
    })
}
