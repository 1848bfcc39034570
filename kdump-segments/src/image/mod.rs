//! Kernel images: what they need to be entered, taken from untrusted bytes.

mod vmlinux;

use alloc::string::ToString;

pub use vmlinux::{Chunk, Vmlinux, elf_extent};

pub use crate::target::x86::{BzImage, SetupHeader};

use crate::Error;

/// A kernel image of a known format.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Image<'a> {
    /// An x86 bzImage (Documentation/arch/x86/boot.rst).
    BzImage(BzImage<'a>),
    /// An ELF kernel, loaded where its program headers say.
    Vmlinux(Vmlinux<'a>),
}

impl<'a> Image<'a> {
    /// Recognises the format of `bytes` and reads what a plan needs of it, for a machine with
    /// pages of `page_size` bytes.
    ///
    /// # Errors
    /// [`Error::NotAnImage`] when it is neither format, saying why not; the other image
    /// errors when the format is clear but a field makes no sense.
    pub fn parse(bytes: &'a [u8], page_size: u64) -> Result<Self, Error> {
        if bytes.starts_with(b"\x7fELF") {
            return Vmlinux::parse(bytes, page_size).map(Self::Vmlinux);
        }
        match BzImage::parse(bytes) {
            Ok(image) => Ok(Self::BzImage(image)),
            Err(why) => Err(Error::NotAnImage {
                bzimage: why.to_string(),
                vmlinux: "it does not begin with the ELF magic".to_string(),
            }),
        }
    }
}
