//! What /proc/vmcore will look like for an elfcorehdr.
#![allow(unsafe_code, reason = "exports symbols")]

use core::ffi::c_int;

use kdump_elf::{CoreHeader, VmcoreLayout};

use crate::error::libkdump_error;
use crate::{Bytes, Failure, Flow, InOut, call, extensible, libkdump_phdr, slice};

/// The file that the capture kernel exports.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_vmcore_layout {
    /// `sizeof (struct libkdump_vmcore_layout)`, set by the caller.
    pub size: u32,
    /// Number of program headers of the exported file.
    pub phnum: u32,
    /// Bytes of the whole file.
    pub file_size: u64,
    /// Where the notes begin.
    pub notes_offset: u64,
    /// Where the first page of memory begins.
    pub memory_offset: u64,
}

extensible!(libkdump_vmcore_layout { phnum: u32, file_size: u64, notes_offset: u64, memory_offset: u64 });

/// One program header of the exported file and the old memory behind it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_vmcore_phdr {
    /// `sizeof (struct libkdump_vmcore_phdr)`, set by the caller.
    pub size: u32,
    /// Zero.
    pub reserved: u32,
    /// The program header; `p_offset` is a file offset.
    pub phdr: libkdump_phdr,
    /// File offset of the first whole page; 0 for the notes.
    pub extent_offset: u64,
    /// Physical address that page is read from; 0 for the notes.
    pub extent_paddr: u64,
    /// Bytes of all pages; 0 for the notes.
    pub extent_size: u64,
}

extensible!(libkdump_vmcore_phdr {
    reserved: u32,
    phdr: libkdump_phdr,
    extent_offset: u64,
    extent_paddr: u64,
    extent_size: u64,
});

/// Predicts the size and layout of /proc/vmcore.
///
/// Parameters: `elfcorehdr` and `len` the header as it will be loaded; `page_size` that of the
/// capture kernel; `notes_len` the true length of all notes together in bytes; `out` receives
/// the layout; `error` may be NULL. Errors: LIBKDUMP_ERR_CORRUPT naming what the kernel would
/// refuse or garble, LIBKDUMP_ERR_TRUNCATED.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcore_get_layout(
    elfcorehdr: Bytes<'_>,
    len: usize,
    page_size: u64,
    notes_len: u64,
    out: InOut<'_, libkdump_vmcore_layout>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let header = CoreHeader::parse(slice!(elfcorehdr, len)?)?;
        let layout = VmcoreLayout::new(header.encoding(), page_size, header.phdrs(), notes_len)?;
        out.set(
            "out",
            libkdump_vmcore_layout {
                size: 0,
                phnum: layout.phnum(),
                file_size: layout.size(),
                notes_offset: layout.header_size(),
                memory_offset: layout.memory_offset(),
            },
        )
    })
}

/// One program header of the predicted file. Takes time proportional to `index`.
///
/// Parameters: as for libkdump_vmcore_get_layout(); `index` from 0, the merged notes first.
/// Returns LIBKDUMP_END behind the last. Errors: those of libkdump_vmcore_get_layout().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_vmcore_get_phdr(
    elfcorehdr: Bytes<'_>,
    len: usize,
    page_size: u64,
    notes_len: u64,
    index: u32,
    out: InOut<'_, libkdump_vmcore_phdr>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let header = CoreHeader::parse(slice!(elfcorehdr, len)?)?;
        let layout = VmcoreLayout::new(header.encoding(), page_size, header.phdrs(), notes_len)?;
        let place = out.place("out")?;
        let at = usize::try_from(index).unwrap_or(usize::MAX);
        let Some(found) = layout.phdrs(header.phdrs()).nth(at) else { return Ok::<_, Failure>(Flow::End) };
        let extent = found.extent;
        place.set(libkdump_vmcore_phdr {
            size: 0,
            reserved: 0,
            phdr: found.phdr.into(),
            extent_offset: extent.map_or(0, |extent| extent.offset),
            extent_paddr: extent.map_or(0, |extent| extent.paddr),
            extent_size: extent.map_or(0, |extent| extent.size),
        });
        Ok(Flow::Done)
    })
}
