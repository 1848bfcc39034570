//! Any bytes as a kernel image: bzImage, vmlinux, arm64 Image, compressed or not.
#![cfg_attr(not(feature = "one-program"), no_main)]

use kdump_fuzz::fuzz_target;
use kdump_segments::image::{BzImage, Image, Vmlinux, elf_extent, unpack};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Image::Flat(image)) = Image::parse(bytes, 0x1000) {
        assert!(image.memsz() >= bytes.len() as u64);
    }
    if let Ok(unpacked) = unpack(bytes, 1 << 20) {
        assert!(unpacked.len() <= bytes.len().max(1 << 20));
    }
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
