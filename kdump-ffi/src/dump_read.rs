//! Reading memory out of a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::{Paddr, Vaddr};
use kdump_ffi_core::{BytesMut, InOut, Out, buffer, libkdump_error};
use kdump_vmcore::{PhysMemory, Stopped};

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Lent, enter};

/// Reads memory by physical address.
///
/// Parameters: `dump` the dump; `paddr` the first address; `buf` and `len` the buffer; `done`
/// (may be NULL) receives the bytes read, on failure the good ones at the start of `buf`; `error`
/// may be NULL. On failure `address` and `pfn` of the error are the first ones missing. Errors:
/// LIBKDUMP_ERR_HOLE, LIBKDUMP_ERR_EXCLUDED, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_CORRUPT,
/// LIBKDUMP_ERR_IO, LIBKDUMP_ERR_UNSUPPORTED for a compression this build does not have.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_read_phys(
    dump: Lent<'_, libkdump_dump>,
    paddr: u64,
    buf: BytesMut<'_>,
    len: usize,
    done: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let buf = buffer!(buf, len)?;
        let mut failed = None;
        handle.with_reader(|reader, _| {
            if let Err(stopped) = reader.read_phys(Paddr(paddr), buf) {
                failed = Some(stopped);
            }
        });
        finish(failed.as_ref(), len, done)?;
        let Some(stopped) = failed else { return Ok(()) };
        Err(Failure::Stopped { stopped, pfn: stopped.at.checked_div(handle.page_size) })
    })
}

/// Reads memory by virtual address of the dead kernel.
///
/// Parameters: `vaddr` the first address; the others as for libkdump_dump_read_phys(). Errors:
/// those of libkdump_dump_read_phys(), for the memory or for a page table on the way to it, which
/// the message tells; LIBKDUMP_ERR_NOT_MAPPED only where the page tables say so; `address` of the
/// error is virtual.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_read_virt(
    dump: Lent<'_, libkdump_dump>,
    vaddr: u64,
    buf: BytesMut<'_>,
    len: usize,
    done: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let buf = buffer!(buf, len)?;
        let space = handle.space();
        let mut failed = None;
        handle.with_reader(|reader, cache| {
            if let Err(stopped) = space.read_virt(reader, cache, Vaddr(vaddr), buf) {
                failed = Some(stopped);
            }
        });
        finish(failed.as_ref(), len, done)?;
        failed.map_or(Ok(()), |stopped| Err(Failure::from(stopped)))
    })
}

/// Translates a virtual address of the dead kernel.
///
/// Parameters: `dump` the dump; `vaddr` the address; `paddr` receives the physical address;
/// `length` (may be NULL) receives how many bytes from there are mapped without a break; `error`
/// may be NULL. Errors: those of libkdump_dump_read_virt(), for a page table that could not be read.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_translate(
    dump: Lent<'_, libkdump_dump>,
    vaddr: u64,
    paddr: Out<'_, u64>,
    length: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let space = handle.space();
        let mapping = handle.with_reader(|reader, cache| space.translate(reader, cache, Vaddr(vaddr)))?;
        length.set_if_given("length", mapping.len)?;
        Ok::<_, Failure>(paddr.set("paddr", mapping.paddr.0)?)
    })
}

/// Says how much was read. Failures come by reference: a read out of a cache takes no longer than moving
/// what might have gone wrong with it.
fn finish(failed: Option<&Stopped>, len: usize, done: Out<'_, usize>) -> Result<(), Failure> {
    Ok(done.set_if_given("done", failed.map_or(len, |stopped| stopped.read))?)
}
