//! Fills a CPU's `crash_notes` buffer at crash time.
//!
//! Runs in a dying kernel, so it allocates nothing, takes no lock and cannot panic. Whoever
//! reads the buffer at any moment finds either no registers or all of them: the first word of the
//! header, without which the note has no name, is written last.

use crate::note::{CORE_NOTE_NAME, NHDR_SIZE, NT_PRSTATUS};
use crate::prstatus::{PrStatusMut, prstatus_size};
use crate::{Arch, Endian, Error, note_size, write_note};

/// Bytes a `crash_notes` buffer needs: one NT_PRSTATUS note and the null note that ends it.
///
/// Today's kernels reserve exactly this much per CPU, early ones reserved 1024 bytes; any
/// larger buffer will do.
#[must_use]
pub const fn crash_note_size(arch: Arch) -> usize {
    prstatus_note_size(arch).saturating_add(NHDR_SIZE)
}

/// Bytes of the NT_PRSTATUS note alone, as /proc/vmcore counts it.
#[must_use]
pub const fn prstatus_note_size(arch: Arch) -> usize {
    const HEADER_AND_NAME: usize = NHDR_SIZE.saturating_add(8);
    HEADER_AND_NAME.saturating_add(prstatus_size(arch).saturating_add(3) & !3)
}

/// Writes the registers of one CPU into its `crash_notes` buffer; `fill` sets the pid and
/// the registers. Writing again replaces the note. Returns [`crash_note_size`].
///
/// # Errors
/// [`Error::Buffer`] when `buffer` is shorter than [`crash_note_size`]; it is then left as
/// it was.
pub fn write_crash_note<F>(buffer: &mut [u8], arch: Arch, endian: Endian, fill: F) -> Result<usize, Error>
where
    F: FnOnce(&mut PrStatusMut<'_>),
{
    let size = crash_note_size(arch);
    let have = buffer.len() as u64;
    let buffer = buffer.get_mut(..size).ok_or(Error::Buffer { need: size as u64, have })?;
    // From here on a reader sees a null note until the last step.
    if let Some(header) = buffer.first_chunk_mut::<NHDR_SIZE>() {
        *header = [0; NHDR_SIZE];
    }
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::Release);
    let (note, terminator) = buffer.split_at_mut_checked(prstatus_note_size(arch)).unwrap_or_default();
    terminator.fill(0);
    let (head, desc) = note.split_at_mut_checked(NHDR_SIZE.saturating_add(8)).unwrap_or_default();
    fill(&mut PrStatusMut::new(desc, arch, endian)?);
    write_head(head, prstatus_size(arch), endian)?;
    Ok(size)
}

/// Header and name, the length of the name last.
fn write_head(head: &mut [u8], desc_len: usize, endian: Endian) -> Result<(), Error> {
    let mut scratch = [0; NHDR_SIZE + 8];
    debug_assert!(note_size(CORE_NOTE_NAME.len(), 0) == scratch.len() as u64);
    write_note(&mut scratch, endian, CORE_NOTE_NAME, NT_PRSTATUS, &[])?;
    let n_descsz = u32::try_from(desc_len).unwrap_or(u32::MAX);
    let n_descsz = match endian {
        Endian::Little => n_descsz.to_le_bytes(),
        Endian::Big => n_descsz.to_be_bytes(),
    };
    let (Some((n_namesz, rest)), Some((first, tail))) =
        (scratch.split_first_chunk_mut::<4>(), head.split_first_chunk_mut::<4>())
    else {
        return Ok(());
    };
    if let Some(field) = rest.first_chunk_mut::<4>() {
        *field = n_descsz;
    }
    tail.copy_from_slice(rest);
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::Release);
    *first = *n_namesz;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NoteAlign, Notes, PrStatus};

    #[test]
    fn sizes_are_those_of_the_kernel() {
        let sizes = [
            (Arch::X86_64, 368),
            (Arch::I386, 176),
            (Arch::Arm64, 424),
            (Arch::Arm, 180),
            (Arch::Ppc64, 536),
            (Arch::Ppc32, 300),
            (Arch::Riscv64, 408),
            (Arch::LoongArch64, 512),
        ];
        for (arch, size) in sizes {
            assert_eq!(crash_note_size(arch), size, "{}", arch.name());
        }
        assert_eq!(prstatus_note_size(Arch::X86_64), 356);
    }

    #[test]
    fn exact_and_paper_sized_buffers_read_back() {
        for arch in Arch::all() {
            for (endian, spare) in [(Endian::Little, 0), (Endian::Big, 0), (Endian::Little, 1024)] {
                let mut buffer = [0xee; 2048];
                let buffer = &mut buffer[..crash_note_size(arch) + spare];
                let size = write_crash_note(buffer, arch, endian, |status| status.set_pid(31)).unwrap();
                assert_eq!(size, crash_note_size(arch));
                let mut notes = Notes::new(buffer, endian, NoteAlign::Four);
                let note = notes.next().unwrap().unwrap();
                assert_eq!((note.name, note.n_type), (CORE_NOTE_NAME, NT_PRSTATUS));
                assert_eq!(PrStatus::parse(note.desc, arch, endian).unwrap().pid(), 31);
                assert_eq!(notes.next(), None, "the null note ends it");
                assert_eq!(notes.consumed(), prstatus_note_size(arch) as u64);
            }
        }
    }

    #[test]
    fn a_note_cut_short_does_not_exist() {
        let mut buffer = [0; 368];
        let write = |buffer: &mut [u8], pid: i32, interrupted: bool| {
            write_crash_note(buffer, Arch::X86_64, Endian::Little, |status| {
                status.set_pid(pid);
                assert!(!interrupted, "the CPU stops in the middle of the note");
            })
        };
        write(&mut buffer, 1, false).unwrap();
        let cut = std::panic::catch_unwind(core::panic::AssertUnwindSafe(|| write(&mut buffer, 2, true)));
        assert!(cut.is_err());
        assert_eq!(Notes::new(&buffer, Endian::Little, NoteAlign::Four).next(), None);
        write(&mut buffer, 3, false).unwrap();
        let note = Notes::new(&buffer, Endian::Little, NoteAlign::Four).next().unwrap().unwrap();
        assert_eq!(PrStatus::parse(note.desc, Arch::X86_64, Endian::Little).unwrap().pid(), 3);
    }

    #[test]
    fn a_short_buffer_is_left_alone() {
        let mut buffer = [0x5a; 367];
        let error = write_crash_note(&mut buffer, Arch::X86_64, Endian::Little, |_| ()).unwrap_err();
        assert_eq!(error, Error::Buffer { need: 368, have: 367 });
        assert!(buffer.iter().all(|&byte| byte == 0x5a));
    }
}
