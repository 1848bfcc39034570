//! Any bytes as the note of a saved dump: ranges are real ones, and what is written back reads
//! the same.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Endian, SAVE_NOTE_ENTRY, SAVE_NOTE_HEAD, SaveNote};
use kdump_fuzz::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for endian in [Endian::Little, Endian::Big] {
        let Ok(note) = SaveNote::parse(bytes, endian) else { continue };
        let ranges: Vec<_> = note.ranges().collect();
        assert!(ranges.len() * SAVE_NOTE_ENTRY <= bytes.len());
        assert_eq!(note.is_cut(), ranges.len() as u64 != u64::from(note.state().count));
        let mut out = vec![0; SAVE_NOTE_HEAD + ranges.len() * SAVE_NOTE_ENTRY];
        let mut state = *note.state();
        state.count = u32::try_from(ranges.len()).unwrap();
        state.encode(endian, &mut out).unwrap();
        for (range, at) in ranges.iter().zip(out[SAVE_NOTE_HEAD..].chunks_exact_mut(SAVE_NOTE_ENTRY)) {
            range.encode(endian, at).unwrap();
        }
        let again = SaveNote::parse(&out, endian).unwrap();
        assert_eq!((*again.state(), again.is_cut()), (state, false));
        assert!(again.ranges().eq(ranges));
    }
});
