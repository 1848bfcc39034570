// SPDX-License-Identifier: MIT OR Apache-2.0
//! Fills a CPU's `crash_notes` buffer at crash time.
//!
//! Runs in a dying kernel, so it allocates nothing, takes no lock and cannot panic. Whoever
//! reads the buffer at any moment finds either no registers or all of them: the first word of the
//! header, without which the note has no name, is written last.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use zerocopy::IntoBytes;

use crate::bytes::copy_to;
use crate::crash_cause::{CRASH_CAUSE_NOTE_NAME, NT_CRASH_CAUSE};
use crate::note::{CORE_NOTE_NAME, NHDR_SIZE, NT_PRSTATUS};
use crate::prstatus::note_size::{HEAD_WORDS, crash_note_size, prstatus_note_size};
use crate::prstatus::registers::Registers;
use crate::prstatus::{PrStatusMut, frame, prstatus_size};
use crate::{Arch, CrashCause, Endian, Error, note_size, write_note};

/// The notes of one CPU, for a kernel whose registers are `R`: the place itself, not a view of it.
///
/// A kernel has one per CPU that may ever run, static or in memory that is physically contiguous and
/// stays where it is: its elfcorehdr has the physical address and [`CrashNote::SIZE`] of each
/// (`kdump_segments::CpuNote`). Nothing here takes a lock, needs `&mut` or can panic. Whoever reads
/// it at any moment finds no registers or all of them.
///
/// ```
/// use kdump_elf::registers::X86_64;
/// use kdump_elf::{CrashCause, CrashNote};
///
/// static NOTES: [CrashNote<X86_64>; 64] = [const { CrashNote::new() }; 64];
///
/// // In the handler of CPU 3, the registers first: what follows may fail.
/// let registers = X86_64 { rip: 0xffff_ffff_8100_0000, ..X86_64::default() };
/// NOTES[3].save(&registers, 4);
/// NOTES[3].set_cause(&CrashCause { exception: 14, ..CrashCause::with_text("page fault") });
/// NOTES[3].set_pid(1234);
/// assert!(NOTES[3].is_saved() && !NOTES[2].is_saved());
/// ```
#[repr(transparent)]
pub struct CrashNote<R: Registers> {
    words: R::Words,
}

impl<R: Registers> CrashNote<R> {
    /// Bytes of it, the `p_filesz` of its PT_NOTE.
    pub const SIZE: usize = size_of::<R::Words>();

    /// No note.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: R::EMPTY }
    }

    /// Writes the registers, and a provisional pid: one that no task and no other CPU has, for
    /// gdb takes notes with equal pids for one thread. Returns whether it did: registers that are
    /// there already stay, for whatever comes later is about the crash path itself. A call that was
    /// interrupted left none; call it again with the registers of the first exception.
    pub fn save(&self, registers: &R, pid: i32) -> bool {
        if self.is_saved() {
            return false;
        }
        let frame = const { frame(R::ARCH.class()) };
        self.put(HEAD_WORDS.saturating_add(frame.pr_reg / 4), registers.as_bytes());
        self.set_pid(pid);
        self.head(0, CORE_NOTE_NAME, const { prstatus_size(R::ARCH) }, NT_PRSTATUS);
        true
    }

    /// Whether the registers are there.
    pub fn is_saved(&self) -> bool {
        self.word(0).is_some_and(|word| word.load(Ordering::Acquire) != 0)
    }

    /// Says which task ran. Finding out reads what may be broken, so it comes after
    /// [`CrashNote::save`].
    pub fn set_pid(&self, pid: i32) {
        let frame = const { frame(R::ARCH.class()) };
        self.put(HEAD_WORDS.saturating_add(frame.pr_pid / 4), &pid.to_ne_bytes());
    }

    /// Adds why the CPU stopped. A reader finds it only behind registers.
    pub fn set_cause(&self, cause: &CrashCause) {
        let at = const { prstatus_note_size(R::ARCH) / 4 };
        self.put(at.saturating_add(HEAD_WORDS), cause.as_bytes());
        self.head(at, CRASH_CAUSE_NOTE_NAME, CrashCause::SIZE, NT_CRASH_CAUSE);
    }

    /// Where it begins in memory, to find the physical address.
    #[must_use]
    pub const fn as_ptr(&self) -> *const u8 {
        core::ptr::from_ref(self).cast()
    }

    /// Header and name of a note, the length of the name last: a note without one is none.
    fn head(&self, at: usize, name: &[u8], desc_len: usize, n_type: u32) {
        let mut padded = [0; 8];
        copy_to(&mut padded, name);
        self.put(at.saturating_add(3), &padded);
        for (skip, number) in [(1, desc_len), (2, n_type as usize), (0, name.len().saturating_add(1))] {
            if let Some(word) = self.word(at.saturating_add(skip)) {
                // All three are small. The last one publishes what was written before.
                word.store(u32::try_from(number).unwrap_or(0), Ordering::Release);
            }
        }
    }

    /// Bytes as they lie in memory, from a word on.
    fn put(&self, at: usize, bytes: &[u8]) {
        let words = self.words.as_ref().get(at..).unwrap_or_default();
        for (word, bytes) in words.iter().zip(bytes.chunks_exact(4)) {
            if let Some(bytes) = bytes.first_chunk() {
                word.store(u32::from_ne_bytes(*bytes), Ordering::Relaxed);
            }
        }
    }

    fn word(&self, at: usize) -> Option<&AtomicU32> {
        self.words.as_ref().get(at)
    }
}

impl<R: Registers> Default for CrashNote<R> {
    fn default() -> Self {
        Self::new()
    }
}

impl<R: Registers> fmt::Debug for CrashNote<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrashNote").field("arch", &R::ARCH).field("saved", &self.is_saved()).finish()
    }
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
    core::sync::atomic::compiler_fence(Ordering::Release);
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
    let n_descsz = endian.bytes(n_descsz);
    let (Some((n_namesz, rest)), Some((first, tail))) =
        (scratch.split_first_chunk_mut::<4>(), head.split_first_chunk_mut::<4>())
    else {
        return Err(Error::Buffer { need: (NHDR_SIZE as u64).saturating_add(8), have: 0 });
    };
    if let Some(field) = rest.first_chunk_mut::<4>() {
        *field = n_descsz;
    }
    copy_to(tail, rest);
    core::sync::atomic::compiler_fence(Ordering::Release);
    *first = *n_namesz;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registers::{Arm, Arm64, I386, LoongArch64, Ppc32, Ppc64, Riscv64, S390x, X86_64};
    use crate::{NoteAlign, Notes, PrStatus};

    /// The byte order of whoever runs this.
    const NATIVE: Endian = if u16::from_ne_bytes([1, 0]) == 1 { Endian::Little } else { Endian::Big };

    /// What a reader finds in the note.
    fn bytes<R: Registers>(note: &CrashNote<R>) -> std::vec::Vec<u8> {
        note.words.as_ref().iter().flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect()
    }

    /// Registers of known values, written as a type, are read back by name.
    fn round_trip<R: Registers + zerocopy::FromBytes>() {
        let arch = R::ARCH;
        let values: std::vec::Vec<u8> = (1..=size_of::<R>()).map(|at| at.to_le_bytes()[0]).collect();
        let registers = R::read_from_bytes(&values).unwrap();
        let note = CrashNote::<R>::new();
        assert_eq!(Notes::new(&bytes(&note), NATIVE, NoteAlign::Four).next(), None);
        note.set_cause(&CrashCause::with_text("too early"));
        assert_eq!(Notes::new(&bytes(&note), NATIVE, NoteAlign::Four).next(), None);
        assert!(note.save(&registers, 7));
        note.set_cause(&CrashCause { exception: 14, ..CrashCause::with_text("page fault") });
        note.set_pid(8);
        let bytes = bytes(&note);
        assert_eq!(bytes.len(), CrashNote::<R>::SIZE);
        let mut notes = Notes::new(&bytes, NATIVE, NoteAlign::Four);
        let first = notes.next().unwrap().unwrap();
        assert_eq!(
            (first.name, first.n_type, first.desc.len()),
            (CORE_NOTE_NAME, NT_PRSTATUS, prstatus_size(arch))
        );
        let status = PrStatus::parse(first.desc, arch, NATIVE).unwrap();
        assert_eq!((status.pid(), status.pr_reg()), (8, &values[..]), "{}", arch.name());
        let second = notes.next().unwrap().unwrap();
        assert_eq!((second.name, second.n_type), (CRASH_CAUSE_NOTE_NAME, NT_CRASH_CAUSE));
        let cause = CrashCause::parse(second.desc, NATIVE).unwrap();
        assert_eq!((cause.exception, cause.text()), (14, "page fault"));
        assert_eq!(notes.next(), None);
    }

    #[test]
    fn notes_of_every_architecture_read_back() {
        round_trip::<X86_64>();
        round_trip::<I386>();
        round_trip::<Arm64>();
        round_trip::<Arm>();
        round_trip::<Ppc64>();
        round_trip::<Ppc32>();
        round_trip::<Riscv64>();
        round_trip::<S390x>();
        round_trip::<LoongArch64>();
    }

    #[test]
    fn the_first_registers_stay() {
        let note = CrashNote::<X86_64>::new();
        assert!(!note.is_saved());
        assert!(note.save(&X86_64 { rip: 1, ..X86_64::default() }, 5));
        assert!(!note.save(&X86_64 { rip: 2, ..X86_64::default() }, 6));
        let bytes = bytes(&note);
        let first = Notes::new(&bytes, NATIVE, NoteAlign::Four).next().unwrap().unwrap();
        let status = PrStatus::parse(first.desc, Arch::X86_64, NATIVE).unwrap();
        assert_eq!((status.pid(), status.register("rip")), (5, Some(1)));
    }

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
