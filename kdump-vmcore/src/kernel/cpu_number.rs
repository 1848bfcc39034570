//! Which CPU each NT_PRSTATUS note is from.
//!
//! The notes do not tell: they stand in the order of the CPUs, but one that did not answer the
//! crashing CPU left none, and all later ones move up. The kernel's own memory tells: each
//! CPU wrote its note into its `crash_notes` buffer (kernel/crash_core.c), where it still is.

use alloc::vec::Vec;

use kdump_elf::{CORE_NOTE_NAME, NT_PRSTATUS, Note, NoteAlign, Notes, note_size};

use crate::dump::Dump;
use crate::error::Error;
use crate::kernel::{Kallsyms, KernelMemory};
use crate::room::{collect, zeroed};
use crate::source::PhysMemory;

/// Twice the CPUs that any kernel can be built for (NR_CPUS of 8192).
const MAX_CPUS: u32 = 1 << 14;
/// A `crash_notes` buffer lies within one page, the smallest being 4 KiB.
const MAX_PRSTATUS: usize = 4096;

/// The CPU number of each NT_PRSTATUS note, in the order of [`Dump::cpus`]; `None` for a note
/// that is in no CPU's buffer, as those a hypervisor makes.
///
/// # Errors
/// When the dump does not say where the buffers are: VMCOREINFO has no kallsyms (before Linux
/// 6.0), the symbols are not in it, or their memory is not in the dump.
pub fn cpu_numbers(dump: &Dump<'_>) -> Result<Vec<Option<u32>>, Error> {
    let info = dump.vmcoreinfo().ok_or(Error::Unsupported { what: "the dump has no VMCOREINFO note" })?;
    let mut kernel = KernelMemory::new(dump);
    let found = Kallsyms::read(&mut kernel, info)?
        .addresses(&mut kernel, &["crash_notes", "__per_cpu_offset", "nr_cpu_ids"])?;
    let [Some(crash_notes), Some(offsets), Some(nr_cpu_ids)] = found.as_slice() else {
        let what = "the kernel's symbol table has no crash_notes, __per_cpu_offset and nr_cpu_ids";
        return Err(Error::Unsupported { what });
    };
    let crash_notes = kernel.read_word(*crash_notes).map_err(|stopped| stopped.error)?;
    let count = kernel.read_u32(*nr_cpu_ids).map_err(|stopped| stopped.error)?;
    if count > MAX_CPUS {
        let (value, limit) = (u64::from(count), u64::from(MAX_CPUS));
        return Err(Error::TooLarge { what: "nr_cpu_ids", value, limit });
    }
    const WHAT: &str = "the numbers of the CPUs";
    let notes: Vec<Note<'_>> = collect(WHAT, dump.notes().prstatus())?;
    let mut numbers: Vec<Option<u32>> = collect(WHAT, notes.iter().map(|_| None))?;
    // By content, and of equal ones in the order of the notes.
    let mut by_content: Vec<usize> = collect(WHAT, 0..notes.len())?;
    let desc = |index: &usize| notes.get(*index).map_or(&[][..], |note| note.desc);
    by_content.sort_unstable_by(|a, b| desc(a).cmp(desc(b)).then(a.cmp(b)));
    // How many of the equal ones that begin at a place have got their CPU.
    let mut taken: Vec<usize> = collect(WHAT, notes.iter().map(|_| 0))?;
    let longest = notes.iter().map(|note| note.desc.len()).max().unwrap_or(0).min(MAX_PRSTATUS);
    let mut buffer = zeroed("the note of a CPU", note_size(CORE_NOTE_NAME.len(), longest))?;
    for cpu in 0..count {
        let slot = offsets.wrapping_add(u64::from(cpu).wrapping_mul(kernel.word_size()));
        let Ok(offset) = kernel.read_word(slot) else { continue };
        // A CPU that cannot exist has no buffer, and nothing needs to be mapped there.
        let Some(content) = saved(&mut kernel, crash_notes.wrapping_add(offset), &mut buffer, dump.endian())
        else {
            continue;
        };
        let first = by_content.partition_point(|index| desc(index) < content);
        let Some(taken) = taken.get_mut(first) else { continue };
        let index = by_content.get(first.saturating_add(*taken)).filter(|index| desc(index) == content);
        if let Some(number) = index.and_then(|&index| numbers.get_mut(index)) {
            *number = Some(cpu);
            *taken = taken.saturating_add(1);
        }
    }
    Ok(numbers)
}

/// The registers in a CPU's buffer; `None` when it saved none or the buffer cannot be read.
fn saved<'b, M: PhysMemory>(
    kernel: &mut KernelMemory<M>,
    at: u64,
    buffer: &'b mut [u8],
    endian: kdump_elf::Endian,
) -> Option<&'b [u8]> {
    kernel.read(at, buffer).ok()?;
    let note = Notes::new(buffer, endian, NoteAlign::Four).next()?.ok()?;
    (note.name == CORE_NOTE_NAME && note.n_type == NT_PRSTATUS).then_some(note.desc)
}
