//! Any bytes as notes, in both byte orders and alignments.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{Endian, NoteAlign, Notes, note_size, write_note};
use kdump_fuzz::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for endian in [Endian::Little, Endian::Big] {
        for align in [NoteAlign::Four, NoteAlign::Eight] {
            let in_memory = Notes::new(bytes, endian, align).filter(Result::is_ok).count();
            let mut notes = Notes::in_file(bytes, endian, align);
            assert!(notes.clone().filter(Result::is_ok).count() >= in_memory);
            let mut errors = 0;
            for note in &mut notes {
                match note {
                    Ok(note) => {
                        let size = usize::try_from(note_size(note.name.len(), note.desc.len())).unwrap();
                        let mut out = vec![0; size];
                        assert_eq!(write_note(&mut out, endian, note.name, note.n_type, note.desc), Ok(size));
                        assert!(note.offset < bytes.len() as u64);
                    }
                    Err(_) => errors += 1,
                }
            }
            assert!(errors <= 1 && notes.consumed() <= bytes.len() as u64);
        }
    }
});
