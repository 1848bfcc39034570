//! The view without an allocator shows the same file as the reader's view, for any header.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]

mod common;

use common::{Memory, libkdump_view, message, sized};
use dumpgen::{ElfCoreHdr, Wire};
use kdump_elf::Paddr;
use kdump_ffi_core::{LIBKDUMP_ERR_BUFFER, LIBKDUMP_ERR_CALLBACK, LIBKDUMP_OK};
use kdump_vmcore::{MemoryImage, ReadAt, ViewOptions, VmcoreView};
use proptest::prelude::*;

const PAGE: u64 = 4096;
const MEMORY: u64 = 64 * PAGE;

/// The whole file through the C interface.
fn through_c(header: &[u8], memory: &Memory, step: usize) -> Vec<u8> {
    let (mut need, mut error) = (0, sized());
    let (start, len) = (header.as_ptr().cast(), header.len());
    let code = common::libkdump_view_workspace_size(start, len, PAGE, &raw mut need, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    let mut workspace = vec![0xee_u8; need as usize];
    let mut view: libkdump_view = sized();
    let mut init = |room: usize| {
        let read = Some(common::read_memory as unsafe extern "C" fn(_, _, _, _) -> _);
        let work = workspace.as_mut_ptr().cast();
        common::libkdump_view_init(
            &raw mut view,
            start,
            len,
            PAGE,
            work,
            room,
            read,
            memory.user(),
            &raw mut error,
        )
    };
    assert_eq!(init(need as usize - 1), LIBKDUMP_ERR_BUFFER);
    assert_eq!(init(need as usize), LIBKDUMP_OK);
    let mut file = Vec::new();
    loop {
        let (mut piece, mut done) = (vec![0xee_u8; step], 0);
        let at = file.len() as u64;
        let buf = piece.as_mut_ptr().cast();
        let code = common::libkdump_view_read(&raw const view, at, buf, step, &raw mut done, &raw mut error);
        assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
        file.extend(&piece[..done]);
        if done < step {
            assert_eq!(file.len() as u64, view.file_size);
            return file;
        }
    }
}

fn through_rust(header: &[u8], memory: &Memory) -> Vec<u8> {
    let image = MemoryImage::new(Paddr(0), memory.bytes.clone());
    let view = VmcoreView::from_header(header, image, ViewOptions::default()).unwrap();
    let mut file = vec![0; view.file_size() as usize];
    view.read_full_at(0, &mut file).unwrap();
    file
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn both_views_show_the_same_file(
        loads in prop::collection::vec((0_u64..MEMORY - 9000, 0_u64..9000), 0..12),
        cpus in 1_usize..4,
        step in prop::sample::select(vec![511_usize, 4096, 10_000, 1 << 20]),
    ) {
        let mut header = ElfCoreHdr::new(Wire::LE64, 62, MEMORY as usize);
        for cpu in 0..cpus {
            let note = dumpgen::note(Wire::LE64, "CORE", 1, &dumpgen::prstatus_x86_64(cpu as u32, [7; 27]));
            header = header.with_notes(cpu * 2048, &dumpgen::crash_notes_buffer(&note, 1024));
        }
        for &(start, size) in &loads {
            header = header.with_load(start, start, size);
        }
        let built = header.header.build();
        let memory = Memory::new(header.memory);
        prop_assert_eq!(through_c(&built, &memory, step), through_rust(&built, &memory));
    }
}

#[test]
fn a_callback_that_fails_is_told_with_the_address() {
    let header = ElfCoreHdr::new(Wire::LE64, 62, MEMORY as usize)
        .with_notes(0, &dumpgen::crash_notes_buffer(&[], 1024))
        .with_load(0x8000, 0x8000, 0x2000);
    let built = header.header.build();
    let mut memory = Memory::new(header.memory);
    let mut workspace = vec![0_u8; 1 << 16];
    let (mut view, mut error): (libkdump_view, _) = (sized(), sized());
    let work = workspace.as_mut_ptr().cast();
    let (start, len) = (built.as_ptr().cast(), built.len());
    let read = Some(common::read_memory as unsafe extern "C" fn(_, _, _, _) -> _);
    let user = memory.user();
    let code = common::libkdump_view_init(
        &raw mut view,
        start,
        len,
        PAGE,
        work,
        1 << 16,
        read,
        user,
        &raw mut error,
    );
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    memory.broken = Some((0x9000, 77));
    view.user = memory.user();
    let (mut buf, mut done) = ([0_u8; 64], 9);
    let at = view.memory_offset + 0x1000 - 32;
    let code = common::libkdump_view_read(
        &raw const view,
        at,
        buf.as_mut_ptr().cast(),
        64,
        &raw mut done,
        &raw mut error,
    );
    assert_eq!((code, error.os_errno, error.address), (LIBKDUMP_ERR_CALLBACK, 77, 0x8fe0));
    assert_eq!(done, 0);
}
