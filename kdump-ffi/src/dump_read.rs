//! Reading memory out of a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::{Paddr, Vaddr};
use kdump_ffi_core::{BytesMut, InOut, Out, call, libkdump_error, slice};
use kdump_vmcore::{Error, OldMemory, Stopped};

use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::enter;

/// Reads memory by physical address.
///
/// Parameters: `dump` the dump; `paddr` the first address; `buf` and `len` the buffer; `done`
/// (may be NULL) receives the bytes read, on failure the good ones at the start of `buf`; `error`
/// may be NULL. On failure `address` and `pfn` of the error are the first ones missing. Errors:
/// LIBKDUMP_ERR_HOLE, LIBKDUMP_ERR_EXCLUDED, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_CORRUPT,
/// LIBKDUMP_ERR_IO.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_read_phys(
    dump: Option<&libkdump_dump>,
    paddr: u64,
    buf: BytesMut<'_>,
    len: usize,
    done: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let outcome = read_phys(&handle, paddr, slice!(buf, len)?);
        finish(outcome, len, done)?;
        outcome.map_err(|stopped| Failure::Stopped { stopped, pfn: stopped.at.checked_div(handle.page_size) })
    })
}

/// Reads memory by virtual address of the dead kernel.
///
/// Parameters: `vaddr` the first address; the others as for libkdump_dump_read_phys(). Errors:
/// those of libkdump_dump_read_phys(), LIBKDUMP_ERR_NOT_MAPPED; `address` of the error is virtual.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_read_virt(
    dump: Option<&libkdump_dump>,
    vaddr: u64,
    buf: BytesMut<'_>,
    len: usize,
    done: Out<'_, usize>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let memory = Zeroing(&handle);
        let outcome = handle.space().read_virt(&memory, Vaddr(vaddr), slice!(buf, len)?);
        finish(outcome, len, done)?;
        Ok::<_, Failure>(outcome?)
    })
}

/// Translates a virtual address of the dead kernel.
///
/// Parameters: `dump` the dump; `vaddr` the address; `paddr` receives the physical address;
/// `length` (may be NULL) receives how many bytes from there are mapped without a break; `error`
/// may be NULL. Errors: LIBKDUMP_ERR_NOT_MAPPED, or why a page table could not be read.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_translate(
    dump: Option<&libkdump_dump>,
    vaddr: u64,
    paddr: Out<'_, u64>,
    length: Out<'_, u64>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let mapping = handle.space().translate(&handle.dump, Vaddr(vaddr))?;
        length.set_if_given("length", mapping.len)?;
        Ok::<_, Failure>(paddr.set("paddr", mapping.paddr.0)?)
    })
}

fn finish(outcome: Result<(), Stopped>, len: usize, done: Out<'_, usize>) -> Result<(), Failure> {
    Ok(done.set_if_given("done", outcome.map_or_else(|stopped| stopped.read, |()| len))?)
}

/// The memory of a dump, with zeros for what was left out where the caller asked for that.
struct Zeroing<'a>(&'a libkdump_dump);

impl OldMemory for Zeroing<'_> {
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        read_phys(self.0, paddr.0, buf)
    }
}

fn read_phys(handle: &libkdump_dump, paddr: u64, buf: &mut [u8]) -> Result<(), Stopped> {
    let mut read = 0_usize;
    loop {
        let rest = buf.get_mut(read..).unwrap_or_default();
        let at = paddr.saturating_add(read as u64);
        let Err(mut stopped) = handle.dump.read_phys(Paddr(at), rest) else { return Ok(()) };
        read = read.saturating_add(stopped.read);
        stopped.read = read;
        if !handle.zero_excluded || !matches!(stopped.error, Error::Excluded { .. }) {
            return Err(stopped);
        }
        let missing = handle.range_of(stopped.at).ok_or(stopped)?;
        let left = missing.length.saturating_sub(stopped.at.saturating_sub(missing.start));
        let count = usize::try_from(left).unwrap_or(usize::MAX);
        let zeros = buf.get_mut(read..).unwrap_or_default();
        let count = count.min(zeros.len());
        if count == 0 {
            return Err(stopped);
        }
        zeros.get_mut(..count).unwrap_or_default().fill(0);
        read = read.saturating_add(count);
    }
}
