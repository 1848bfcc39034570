//! VMCOREINFO: what the dump says about this kernel. The registers of each CPU are in `PerCpu`.

use core::cell::UnsafeCell;

use kdump_elf::{Endian, Error, NT_VMCOREINFO, VMCOREINFO_NOTE_NAME, VmcoreInfoWriter, write_note};

use crate::phys;

/// Bytes of the VMCOREINFO note, header and all.
pub(crate) const VMCOREINFO_SIZE: usize = 1024;

#[repr(C, align(64))]
struct Buffer<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: written once, before other CPUs exist.
unsafe impl<const N: usize> Sync for Buffer<N> {}

static VMCOREINFO: Buffer<VMCOREINFO_SIZE> = Buffer(UnsafeCell::new([0; VMCOREINFO_SIZE]));

/// Physical address of the VMCOREINFO note.
pub(crate) fn vmcoreinfo_paddr() -> u64 {
    phys::paddr_of(VMCOREINFO.0.get().cast())
}

/// Writes the VMCOREINFO note: what a reader needs to know to follow our pointers.
///
/// # Errors
/// When the text does not fit.
pub(crate) fn write_vmcoreinfo() -> Result<(), Error> {
    let mut text = [0; VMCOREINFO_SIZE - 32];
    let mut info = VmcoreInfoWriter::new(&mut text);
    info.line("OSRELEASE", concat!("rust-kernel-", env!("CARGO_PKG_VERSION")))?;
    info.line("PAGESIZE", phys::PAGE)?;
    info.symbol("init_top_pgt", phys::page_table_root() as u64)?;
    info.symbol("_stext", phys::KERNEL_VIRTUAL)?;
    info.number("pgtable_l5_enabled", 0)?;
    // Linux defines it thus: image address = virtual address - 0xffffffff80000000 + phys_base.
    info.number("phys_base", phys::image().map_or(0, |image| image.start() as i64))?;
    info.line("KERNELOFFSET", 0)?;
    // SAFETY: called once, while only this CPU loads.
    let note = unsafe { &mut *VMCOREINFO.0.get() };
    write_note(note, Endian::Little, VMCOREINFO_NOTE_NAME, NT_VMCOREINFO, info.text())?;
    Ok(())
}
