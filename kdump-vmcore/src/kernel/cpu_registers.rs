//! The registers of each CPU, and which CPU each NT_PRSTATUS note is from.
//!
//! The notes do not tell: they stand in the order of the CPUs, but one that did not answer the
//! crashing CPU left none, and all later ones move up. The kernel's own memory tells: each
//! CPU wrote its note into its `crash_notes` buffer (kernel/crash_core.c), where it still is, also
//! where a tool left the notes out or a hypervisor wrote notes of its own.

use alloc::vec::Vec;

use kdump_elf::{
    CORE_NOTE_NAME, Endian, NT_PRSTATUS, Note, NoteAlign, Notes, PrStatus, Vaddr, note_size, prstatus_size,
};

use crate::dump::{Cpu, Dump};
use crate::error::{Error, elf};
use crate::kernel::{Kallsyms, KernelMemory};
use crate::room::{collect, push, zeroed};
use crate::source::PhysMemory;

/// Twice the CPUs that any kernel can be built for (NR_CPUS of 8192).
const MAX_CPUS: u32 = 1 << 14;
/// A `crash_notes` buffer lies within one page, the smallest being 4 KiB.
const MAX_PRSTATUS: usize = 4096;
/// Bytes of a note's header; one of zeros ends the notes.
const HEADER: usize = 12;
/// What is listed, as an error names it.
const WHAT: &str = "the registers of the CPUs";

/// Where the registers of a CPU were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterSource {
    /// In the `crash_notes` buffer of the CPU itself: the kernel saved them when it died.
    CrashNotes,
    /// In a note of the dump that is in no CPU's buffer, or the buffers could not be found.
    Note,
    /// In a note that a hypervisor made of its virtual CPU when it wrote the dump.
    Hypervisor,
}

impl RegisterSource {
    /// As in messages and JSON: `crash_notes`, `note`, `hypervisor`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CrashNotes => "crash_notes",
            Self::Note => "note",
            Self::Hypervisor => "hypervisor",
        }
    }
}

/// A set of registers.
#[derive(Clone, Debug)]
pub struct CpuRegisters {
    /// The CPU, as the kernel counts; `None` when it is not known.
    pub cpu: Option<u32>,
    /// Place among [`Dump::cpus`] of the note with these registers; `None` when only the kernel's
    /// memory has them.
    pub note: Option<usize>,
    /// Where they were found.
    pub source: RegisterSource,
    /// The descriptor, when no note has it.
    saved: Vec<u8>,
}

impl CpuRegisters {
    /// The registers; `dump` is the one they were found in.
    ///
    /// # Errors
    /// When the note is too short or the architecture is not known.
    pub fn prstatus<'d>(&'d self, dump: &'d Dump<'_>) -> Result<PrStatus<'d>, Error> {
        match (self.note.and_then(|note| dump.cpu(note)), dump.arch()) {
            (Some(cpu), _) => cpu.prstatus(),
            (None, Some(arch)) => {
                PrStatus::parse(&self.saved, arch, dump.endian()).map_err(elf("NT_PRSTATUS"))
            }
            (None, None) => {
                Err(Error::Unsupported { what: "registers of an unknown architecture (e_machine)" })
            }
        }
    }

    /// The task that ran, 0 when the CPU was idle; `None` when the registers do not say: the number
    /// in a hypervisor's note is of the CPU.
    #[must_use]
    pub fn pid(&self, dump: &Dump<'_>) -> Option<i32> {
        let told = self.source != RegisterSource::Hypervisor;
        self.prstatus(dump).ok().filter(|_| told).map(|prstatus| prstatus.pid())
    }

    /// The descriptor that no note of the dump has; empty when one has it.
    #[must_use]
    pub fn saved(&self) -> &[u8] {
        &self.saved
    }
}

/// All registers of a dump.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CpuList {
    /// First those of the notes, in their order, then what only the kernel's memory has, by CPU.
    pub cpus: Vec<CpuRegisters>,
    /// Why the kernel's memory was not asked: the dump does not say where the buffers are
    /// (VMCOREINFO has no kallsyms before Linux 6.0, the symbols are not in it), or their memory is
    /// not there.
    pub not_found: Option<Error>,
    /// CPUs of which it is not known whether they saved registers, or what: by number.
    pub unread: Vec<UnreadCpu>,
}

/// A CPU whose own registers the kernel's memory should have, but that could not be read there. A note may
/// still have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnreadCpu {
    /// As the kernel counts.
    pub cpu: u32,
    /// What is wrong with its buffer, or the way to it.
    pub error: Error,
}

/// The registers of each CPU: those in its own `crash_notes` buffer where the dump has it, else
/// those of the notes.
///
/// # Errors
/// [`Error::OutOfMemory`], and [`Error::Io`], which may be gone the next time: [`note_registers`] does not
/// need what could not be read.
pub fn cpu_registers(dump: &Dump<'_>) -> Result<CpuList, Error> {
    let mut list = note_registers(dump)?;
    list.not_found = match from_memory(dump, &mut list) {
        Err(error) if is_callers(&error) => return Err(error),
        result => result.err(),
    };
    Ok(list)
}

/// Whether an error says nothing of the dump.
const fn is_callers(error: &Error) -> bool {
    matches!(error, Error::OutOfMemory { .. } | Error::Io { .. })
}

/// The registers in the notes, without a look into the kernel's memory.
///
/// # Errors
/// [`Error::OutOfMemory`].
pub fn note_registers(dump: &Dump<'_>) -> Result<CpuList, Error> {
    let hypervisor = made_by_hypervisor(dump);
    let notes = dump.cpus().map(|cpu| {
        let (source, number) = match hypervisor {
            true => (RegisterSource::Hypervisor, u32::try_from(cpu.index).ok()),
            false => (RegisterSource::Note, None),
        };
        CpuRegisters { cpu: number, note: Some(cpu.index), source, saved: Vec::new() }
    });
    Ok(CpuList { cpus: collect(WHAT, notes)?, not_found: None, unread: Vec::new() })
}

/// Whether the notes are of virtual CPUs: QEMU numbers them from 1 on where the kernel has the
/// number of a task. That alone proves nothing: the one CPU of a machine may have died in task 1, and
/// other kernels number as they like. So there is a note of QEMU's own, or VMCOREINFO of a Linux that
/// did not die, or it would have added the time.
fn made_by_hypervisor(dump: &Dump<'_>) -> bool {
    let numbered = |cpu: Cpu<'_>| {
        let number = cpu.prstatus().ok().and_then(|prstatus| usize::try_from(prstatus.pid()).ok());
        number.and_then(|number| number.checked_sub(1)) == Some(cpu.index)
    };
    let lives = dump
        .vmcoreinfo()
        .is_some_and(|info| info.size("list_head").is_some() && info.get("CRASHTIME").is_none());
    let signed = || dump.notes().iter().any(|note| note.name == b"QEMU");
    dump.cpu_count() != 0 && (lives || signed()) && dump.cpus().all(numbered)
}

/// Looks into the buffer of each CPU.
fn from_memory(dump: &Dump<'_>, list: &mut CpuList) -> Result<(), Error> {
    let CpuList { cpus, unread, .. } = list;
    let mut kernel = KernelMemory::new(dump);
    let Buffers { crash_notes, offsets, count } = Buffers::find(dump, &mut kernel)?;
    let notes: Vec<Note<'_>> = collect(WHAT, dump.notes().prstatus())?;
    // By content, and of equal ones in the order of the notes.
    let mut by_content: Vec<usize> = collect(WHAT, 0..notes.len())?;
    let desc = |index: &usize| notes.get(*index).map_or(&[][..], |note| note.desc);
    by_content.sort_unstable_by(|a, b| desc(a).cmp(desc(b)).then(a.cmp(b)));
    // How many of the equal ones that begin at a place have got their CPU.
    let mut taken: Vec<usize> = collect(WHAT, notes.iter().map(|_| 0))?;
    let usual = dump.arch().map_or(0, prstatus_size);
    let longest = notes.iter().map(|note| note.desc.len()).max().unwrap_or(0).max(usual).min(MAX_PRSTATUS);
    let mut buffer = zeroed("the note of a CPU", note_size(CORE_NOTE_NAME.len(), longest))?;
    for cpu in 0..count {
        let slot = offsets.wrapping_add(u64::from(cpu).wrapping_mul(kernel.word_size()));
        let found = kernel.read_word(Vaddr(slot)).map_err(Error::from).and_then(|offset| {
            saved(&mut kernel, crash_notes.wrapping_add(offset), &mut buffer, dump.endian())
        });
        let content = match found {
            Ok(Some(content)) => content,
            Ok(None) => continue,
            // A CPU that cannot exist has no buffer, and nothing needs to be mapped there.
            Err(Error::NotMapped { .. } | Error::NoTranslation { .. }) => continue,
            Err(error) if is_callers(&error) => return Err(error),
            Err(error) => {
                push(unread, WHAT, UnreadCpu { cpu, error })?;
                continue;
            }
        };
        let first = by_content.partition_point(|index| desc(index) < content);
        let count = taken.get(first).copied().unwrap_or(0);
        let index = by_content.get(first.saturating_add(count)).filter(|index| desc(index) == content);
        if let Some(found) = index.and_then(|&index| cpus.get_mut(index)) {
            (found.cpu, found.source) = (Some(cpu), RegisterSource::CrashNotes);
            taken.iter_mut().skip(first).take(1).for_each(|taken| *taken = taken.saturating_add(1));
        } else if content.len() == usual {
            let saved = collect(WHAT, content.iter().copied())?;
            let source = RegisterSource::CrashNotes;
            push(cpus, WHAT, CpuRegisters { cpu: Some(cpu), note: None, source, saved })?;
        } else {
            let (what, value) = ("the size of the registers that a CPU saved", content.len() as u64);
            let error = Error::Corrupt { what, value, expected: "that of NT_PRSTATUS of the architecture" };
            push(unread, WHAT, UnreadCpu { cpu, error })?;
        }
    }
    Ok(())
}

/// Where the buffers are.
struct Buffers {
    /// The per-CPU address of a buffer.
    crash_notes: u64,
    /// Address of the array of what is added for each CPU.
    offsets: u64,
    count: u32,
}

impl Buffers {
    fn find<M: PhysMemory>(dump: &Dump<'_>, kernel: &mut KernelMemory<M>) -> Result<Self, Error> {
        let info = dump.vmcoreinfo().ok_or(Error::Unsupported { what: "the dump has no VMCOREINFO note" })?;
        let found = Kallsyms::read(kernel, info)?
            .addresses(kernel, &["crash_notes", "__per_cpu_offset", "nr_cpu_ids"])?;
        let [Some(crash_notes), Some(offsets), Some(nr_cpu_ids)] = found.as_slice() else {
            let what = "the kernel's symbol table has no crash_notes, __per_cpu_offset and nr_cpu_ids";
            return Err(Error::Unsupported { what });
        };
        let crash_notes = kernel.read_word(Vaddr(*crash_notes))?;
        let count = kernel.read_u32(Vaddr(*nr_cpu_ids))?;
        if count > MAX_CPUS {
            let (value, limit) = (u64::from(count), u64::from(MAX_CPUS));
            return Err(Error::TooLarge { what: "nr_cpu_ids", value, limit });
        }
        Ok(Self { crash_notes, offsets: *offsets, count })
    }
}

/// The registers in a CPU's buffer; `None` when it saved none.
///
/// # Errors
/// When the buffer cannot be read as far as its note goes, or has another note.
fn saved<'b, M: PhysMemory>(
    kernel: &mut KernelMemory<M>,
    at: u64,
    buffer: &'b mut [u8],
    endian: Endian,
) -> Result<Option<&'b [u8]>, Error> {
    let (have, stopped) = match kernel.read(Vaddr(at), buffer) {
        Ok(()) => (buffer.len(), None),
        // It may be shorter than the longest note of the dump.
        Err(stopped) => (stopped.read, Some(stopped.error)),
    };
    let bytes = buffer.get(..have).unwrap_or_default();
    match (Notes::new(bytes, endian, NoteAlign::Four).next(), stopped) {
        (Some(Ok(note)), _) if note.name == CORE_NOTE_NAME && note.n_type == NT_PRSTATUS => {
            Ok(Some(note.desc))
        }
        (Some(Ok(note)), _) => {
            let what = "the type of the note in a CPU's crash_notes";
            let expected = "NT_PRSTATUS (1) with the name CORE";
            Err(Error::Corrupt { what, value: u64::from(note.n_type), expected })
        }
        (_, Some(error)) if have < HEADER => Err(error),
        (None, _) => Ok(None),
        // It begins where something is mapped: that what follows is not is no proof that there is no CPU.
        (Some(Err(_)), Some(error)) if is_callers(&error) => Err(error),
        (Some(Err(error)), _) => Err(elf("the note in a CPU's crash_notes")(error)),
    }
}
