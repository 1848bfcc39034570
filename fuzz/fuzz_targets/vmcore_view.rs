//! Any bytes as an elfcorehdr over any memory: the view reads alike by offset and by address.
#![no_main]

use kdump_elf::{PT_LOAD, Paddr};
use kdump_vmcore::{MemoryImage, OldMemory, ReadAt, ViewOptions, VmcoreView};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&[u8], &[u8], u32)| {
    let (header, memory, at) = input;
    let image = MemoryImage::new(Paddr(0), memory);
    let _ = VmcoreView::from_memory(Paddr(u64::from(at)), image, ViewOptions::default()).map(|view| view.file_size());
    let Ok(view) = VmcoreView::from_header(header, image, ViewOptions::default()) else { return };
    assert!(view.defects().len() <= header.len());
    let mut by_offset = [0; 32];
    let mut by_address = [0; 32];
    for phdr in view.phdrs().iter().filter(|phdr| phdr.p_type == PT_LOAD && phdr.p_memsz >= 32).take(16) {
        let offset = view.read_full_at(phdr.p_offset, &mut by_offset).is_ok();
        let address = view.read_phys(Paddr(phdr.p_paddr), &mut by_address).is_ok();
        let alone = view.phdrs().iter().filter(|other| other.p_paddr == phdr.p_paddr).count() == 1;
        if offset && address && alone && view.phdrs().len() == 2 {
            assert_eq!(by_offset, by_address);
        }
    }
    let mut end = [0; 8];
    let _ = view.read_at(view.file_size(), &mut end).map(|count| assert_eq!(count, 0));
});
