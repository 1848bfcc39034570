// SPDX-License-Identifier: MIT OR Apache-2.0
//! How large the notes of one CPU are.

use super::prstatus_size;
use crate::note::NHDR_SIZE;
use crate::{Arch, CrashCause};

/// Header and name of either note, in words of 32 bits: both names take 8 bytes.
pub(crate) const HEAD_WORDS: usize = 5;
/// Words of the note with the cause.
const CAUSE_WORDS: usize = HEAD_WORDS.saturating_add(CrashCause::SIZE / 4);

/// Words of a [`CrashNote`]: the registers, the cause, and the null note.
pub(crate) const fn crash_note_words(arch: Arch) -> usize {
    (crash_note_size(arch).saturating_add(3) / 4).saturating_add(CAUSE_WORDS)
}

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
