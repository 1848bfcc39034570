//! Any bytes as a kernel image, bzImage or vmlinux.
#![no_main]

use kdump_segments::image::{BzImage, Image, Vmlinux, elf_extent};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Image::parse(bytes, 0x1000).is_ok();
    if let Ok(image) = BzImage::parse(bytes) {
        assert!(image.payload().len() <= bytes.len() && image.setup_bytes().len() <= bytes.len());
        assert!(image.memsz() >= image.payload().len() as u64);
    }
    if let Ok(extent) = elf_extent(bytes, bytes.len() as u64) {
        assert!(extent <= bytes.len() as u64);
    }
    if let Ok(image) = Vmlinux::parse(bytes, 0x1000) {
        let _ = (image.chunks().len(), image.span());
    }
});
