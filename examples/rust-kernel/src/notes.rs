//! What the dump says about this kernel: the registers of each CPU, and VMCOREINFO.

use core::cell::UnsafeCell;

use kdump_elf::{
    Arch, Endian, Error, NT_VMCOREINFO, VMCOREINFO_NOTE_NAME, VmcoreInfoWriter, crash_note_size,
    write_crash_note, write_note,
};

use crate::per_cpu::{KERNEL_CODE, MAX_CPUS};
use crate::phys;
use crate::trap::TrapFrame;

/// Bytes of one CPU's buffer, known before any CPU dies.
pub(crate) const CPU_NOTE_SIZE: usize = crash_note_size(Arch::X86_64);

/// Bytes of the VMCOREINFO note, header and all.
pub(crate) const VMCOREINFO_SIZE: usize = 1024;

/// Selector loaded into every data segment register.
const KERNEL_DATA: u64 = KERNEL_CODE as u64 + 8;

#[repr(C, align(64))]
struct Buffer<const N: usize>(UnsafeCell<[u8; N]>);

// SAFETY: a CPU writes its own buffer only; VMCOREINFO is written before other CPUs exist.
unsafe impl<const N: usize> Sync for Buffer<N> {}

static CPU_NOTES: [Buffer<CPU_NOTE_SIZE>; MAX_CPUS] =
    [const { Buffer(UnsafeCell::new([0; CPU_NOTE_SIZE])) }; MAX_CPUS];
static VMCOREINFO: Buffer<VMCOREINFO_SIZE> = Buffer(UnsafeCell::new([0; VMCOREINFO_SIZE]));

/// Physical address of a CPU's buffer.
pub(crate) fn cpu_note_paddr(index: usize) -> Option<u64> {
    CPU_NOTES.get(index).map(|buffer| phys::paddr_of(buffer.0.get().cast()))
}

/// Physical address of the VMCOREINFO note.
pub(crate) fn vmcoreinfo_paddr() -> u64 {
    phys::paddr_of(VMCOREINFO.0.get().cast())
}

/// Writes the registers of a CPU, and which task it was in, into its buffer. Part of the crash
/// path.
pub(crate) fn save_registers(index: usize, task: u32, frame: &TrapFrame) {
    let Some(buffer) = CPU_NOTES.get(index) else { return };
    // SAFETY: the buffer of this CPU, which is here once (`PerCpu::saved`).
    let buffer = unsafe { &mut *buffer.0.get() };
    // The size is right by its type, so this cannot fail.
    let _ = write_crash_note(buffer, Arch::X86_64, Endian::Little, |status| {
        status.set_pid(task as i32);
        status.set_registers(&frame.0);
        status.set_register("gs_base", crate::cpu::gs_base());
        for name in ["ds", "es", "fs", "gs"] {
            status.set_register(name, KERNEL_DATA);
        }
    });
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
    // SAFETY: called once, before other CPUs run.
    let note = unsafe { &mut *VMCOREINFO.0.get() };
    write_note(note, Endian::Little, VMCOREINFO_NOTE_NAME, NT_VMCOREINFO, info.text())?;
    Ok(())
}
