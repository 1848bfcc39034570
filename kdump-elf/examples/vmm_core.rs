// SPDX-License-Identifier: MIT OR Apache-2.0
//! A virtual machine monitor writes a guest's memory as an ELF core, with this crate alone.
//!
//! The guest is made up: two CPUs, memory below and above a hole at 3 GiB, as microVMs have it.
//! What is real is the file: `gdb`, `crash` and `kdump` open it. A monitor replaces [`Guest`]
//! by its own memory slots and by what KVM_GET_REGS and KVM_GET_SREGS return.
//!
//! ```text
//! cargo run -p kdump-elf --example vmm_core -- guest.core && kdump notes guest.core
//! ```

use core::error::Error;
use std::fs::File;
use std::io::{self, BufWriter, Write};

use kdump_elf::{
    Arch, Class, Encoding, Endian, HeaderLayout, NT_VMCOREINFO, PF_RWX, PT_LOAD, PT_NOTE, Phdr, PhysRange,
    VMCOREINFO_NOTE_NAME, VmcoreInfoWriter, align_up, note_size, prstatus_note_size, write_crash_note,
    write_note,
};

const PAGE: u64 = 4096;
const ARCH: Arch = Arch::X86_64;
const ENCODING: Encoding = Encoding { class: Class::Elf64, endian: Endian::Little };

/// Largest VMCOREINFO a guest may have given.
const VMCOREINFO_ROOM: usize = 4096;

/// What a monitor knows of a guest that stands still.
struct Guest {
    memory: Vec<Slot>,
    cpus: Vec<Registers>,
    /// The text the guest's kernel handed over, for example by QEMU's vmcoreinfo device.
    vmcoreinfo: Vec<u8>,
}

/// A memory slot: guest physical addresses and the memory behind them.
struct Slot {
    range: PhysRange,
    bytes: Vec<u8>,
}

/// A subset of `struct kvm_regs` and `struct kvm_sregs`.
#[derive(Default)]
struct Registers {
    rip: u64,
    rsp: u64,
    rflags: u64,
    rax: u64,
    cs: u64,
    ss: u64,
    gs_base: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: vmm_core FILE")?;
    let guest = made_up_guest()?;
    let file = File::create(&path)?;
    write_core(&guest, &mut BufWriter::new(&file))?;
    file.sync_all()?;
    Ok(())
}

/// Writes header, notes and memory in one pass: no byte is written before all sizes are known, so
/// `out` may be a pipe or a socket.
fn write_core(guest: &Guest, out: &mut impl Write) -> Result<(), Box<dyn Error>> {
    let phnum = u32::try_from(guest.memory.len())?.checked_add(1).ok_or("too many memory slots")?;
    // `file` and not `elfcorehdr`: with PN_XNUM more than 65534 slots are no problem.
    let layout = HeaderLayout::file(ENCODING, ARCH.e_machine(), phnum);
    let notes = notes(guest)?;
    let notes_end = layout.size().checked_add(notes.len() as u64).ok_or("notes too long")?;
    let memory_start = align_up(notes_end, PAGE).ok_or("notes too long")?;

    let mut header = vec![0; usize::try_from(layout.size())?];
    let mut writer = layout.writer(&mut header)?;
    let notes_len = notes.len() as u64;
    writer.push(&Phdr {
        p_type: PT_NOTE,
        p_offset: layout.size(),
        p_filesz: notes_len,
        p_memsz: notes_len,
        p_align: 4,
        ..Phdr::default()
    })?;
    let mut offset = memory_start;
    for slot in &guest.memory {
        writer.push(&Phdr {
            p_type: PT_LOAD,
            p_flags: PF_RWX,
            p_offset: offset,
            // A monitor does not know the guest's mappings; readers go by p_paddr, and find
            // virtual addresses through the page tables that VMCOREINFO names.
            p_vaddr: 0,
            p_paddr: slot.range.start(),
            p_filesz: slot.range.size(),
            p_memsz: slot.range.size(),
            p_align: PAGE,
        })?;
        offset = offset.checked_add(slot.range.size()).ok_or("memory too large")?;
    }
    writer.finish()?;

    out.write_all(&header)?;
    out.write_all(&notes)?;
    pad(out, memory_start.saturating_sub(notes_end))?;
    for slot in &guest.memory {
        out.write_all(&slot.bytes)?;
    }
    out.flush()?;
    Ok(())
}

/// One NT_PRSTATUS per CPU, in the order of the CPUs, and the guest's VMCOREINFO.
fn notes(guest: &Guest) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut notes = Vec::new();
    for (cpu, registers) in (1..).zip(&guest.cpus) {
        let mut buffer = [0; kdump_elf::crash_note_size(ARCH)];
        write_crash_note(&mut buffer, ARCH, Endian::Little, |status| {
            // gdb takes CPUs with equal pids for one.
            status.set_pid(cpu);
            for (name, value) in registers.named() {
                status.set_register(name, value);
            }
        })?;
        // In a file the null note behind it is not needed.
        notes.extend_from_slice(buffer.get(..prstatus_note_size(ARCH)).unwrap_or_default());
    }
    let start = notes.len();
    let size = note_size(VMCOREINFO_NOTE_NAME.len(), guest.vmcoreinfo.len());
    notes.resize(start.saturating_add(usize::try_from(size)?), 0);
    let room = notes.get_mut(start..).unwrap_or_default();
    write_note(room, Endian::Little, VMCOREINFO_NOTE_NAME, NT_VMCOREINFO, &guest.vmcoreinfo)?;
    Ok(notes)
}

impl Registers {
    fn named(&self) -> [(&'static str, u64); 7] {
        let Self { rip, rsp, rflags, rax, cs, ss, gs_base } = *self;
        [
            ("rip", rip),
            ("rsp", rsp),
            ("eflags", rflags),
            ("rax", rax),
            ("cs", cs),
            ("ss", ss),
            ("gs_base", gs_base),
        ]
    }
}

fn pad(out: &mut impl Write, len: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), len), out).map(|_| ())
}

fn made_up_guest() -> Result<Guest, Box<dyn Error>> {
    let slot = |start: u64, len: usize, fill: u8| -> Result<Slot, kdump_elf::Error> {
        let range = PhysRange::from_len(start, len as u64)?;
        Ok(Slot { range, bytes: vec![fill; len] })
    };
    let cpu = |index: u64| Registers {
        rip: 0xffff_ffff_8100_0000 | index,
        rsp: 0xffff_c900_0000_0000 | index << 14,
        rflags: 2,
        cs: 0x10,
        ss: 0x18,
        gs_base: 0xffff_8880_0000_0000 | index << 20,
        ..Registers::default()
    };
    let mut text = [0; VMCOREINFO_ROOM];
    let mut info = VmcoreInfoWriter::new(&mut text);
    info.line("OSRELEASE", "6.12.0-guest")?;
    info.line("PAGESIZE", PAGE)?;
    let vmcoreinfo = info.text().to_vec();
    Ok(Guest {
        memory: vec![slot(0, 1 << 20, 0x11)?, slot(4 << 30, 1 << 20, 0x22)?],
        cpus: vec![cpu(0), cpu(1)],
        vmcoreinfo,
    })
}

#[cfg(test)]
mod tests {
    use kdump_elf::{CoreHeader, NoteAlign, Notes, PrStatus, VmcoreInfo};

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let guest = made_up_guest().unwrap();
        let mut core = Vec::new();
        write_core(&guest, &mut core).unwrap();
        let header = CoreHeader::parse(&core).unwrap();
        let phdrs: Vec<Phdr> = header.phdrs().collect();
        let bytes = |phdr: &Phdr| {
            let start = usize::try_from(phdr.p_offset).unwrap();
            &core[start..start + usize::try_from(phdr.p_filesz).unwrap()]
        };
        let notes: Vec<_> =
            Notes::new(bytes(&phdrs[0]), Endian::Little, NoteAlign::Four).map(Result::unwrap).collect();
        assert_eq!(notes.len(), 3);
        for (index, note) in notes.iter().take(2).enumerate() {
            let status = PrStatus::parse(note.desc, ARCH, Endian::Little).unwrap();
            assert_eq!(status.register("rip"), Some(guest.cpus[index].rip));
            assert_eq!(status.pid(), i32::try_from(index).unwrap() + 1);
        }
        assert_eq!(VmcoreInfo::new(notes[2].desc).release(), Some("6.12.0-guest"));
        for (phdr, slot) in phdrs[1..].iter().zip(&guest.memory) {
            assert_eq!((phdr.p_paddr, phdr.p_offset % PAGE), (slot.range.start(), 0));
            assert_eq!(bytes(phdr), slot.bytes);
        }
    }
}
