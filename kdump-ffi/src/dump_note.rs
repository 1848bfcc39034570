//! The notes of a dump.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_ffi_core::{Flow, InOut, libkdump_error, libkdump_note};

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::{Lent, enter};

/// The notes of a dump one after the other, in file order.
///
/// Parameters: `dump` the dump; `index` from 0; `out` receives the note, whose `offset` is that
/// in the file and whose pointers are lent until the dump is freed; `error` may be NULL. Returns
/// LIBKDUMP_END behind the last note.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_note(
    dump: Lent<'_, libkdump_dump>,
    index: u32,
    out: InOut<'_, libkdump_note>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let handle = enter(dump, "dump")?;
        let place = out.place("out")?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(note) = handle.dump.notes().get(at) else { return Ok::<_, Failure>(Flow::End) };
        place.set(libkdump_note::new(note.name, note.n_type, note.desc, note.offset));
        Ok(Flow::Done)
    })
}
