//! Any program headers as an elfcorehdr: the predicted file must be free of overlaps.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_elf::{CoreHeader, VmcoreLayout};
use kdump_fuzz::fuzz_target;

fuzz_target!(|input: (u8, u64, &[u8])| {
    let (page_shift, notes_len, bytes) = input;
    let Ok(header) = CoreHeader::parse(bytes) else { return };
    let page_size = 1_u64.checked_shl(u32::from(page_shift)).unwrap_or(0);
    let Ok(layout) = VmcoreLayout::new(header.encoding(), page_size, header.phdrs(), notes_len) else {
        return;
    };
    let mut cursor = layout.memory_offset();
    let mut count = 0;
    for exported in layout.phdrs(header.phdrs()) {
        count += 1;
        let Some(extent) = exported.extent else { continue };
        assert_eq!(extent.offset, cursor);
        assert_eq!(
            exported.phdr.p_offset % page_size,
            (extent.paddr + (exported.phdr.p_offset - extent.offset)) % page_size
        );
        cursor += extent.size;
    }
    assert_eq!((cursor, count), (layout.size(), layout.phnum()));
});
