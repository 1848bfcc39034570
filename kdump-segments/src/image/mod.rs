//! Kernel images: what they need to be entered, taken from untrusted bytes.

pub(crate) mod pe;
mod unpack;
mod vmlinux;

use alloc::string::{String, ToString};

pub use unpack::unpack;
pub use vmlinux::{Chunk, Vmlinux, elf_extent};

pub use crate::target::flat_image::FlatImage;
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
    /// An Image, entered at its first byte (Documentation/arch/arm64/booting.rst).
    Flat(FlatImage<'a>),
}

impl<'a> Image<'a> {
    /// Recognises the format of `bytes` and reads what a plan needs of it, for a machine with
    /// pages of `page_size` bytes.
    ///
    /// # Errors
    /// [`Error::NotAnImage`] when it is neither format, saying why not; [`Error::Conflict`] for a
    /// compressed image, which goes through [`unpack()`] first; the other image errors when the
    /// format is clear but a field makes no sense.
    pub fn parse(bytes: &'a [u8], page_size: u64) -> Result<Self, Error> {
        if bytes.starts_with(b"\x7fELF") {
            return Vmlinux::parse(bytes, page_size).map(Self::Vmlinux);
        }
        if FlatImage::is_one(bytes) {
            return FlatImage::parse(bytes).map(Self::Flat);
        }
        if unpack::is_packed(bytes) {
            let reason = String::from("it is compressed (gzip or EFI zboot) and must be unpacked first");
            return Err(Error::Conflict { what: "kernel image", reason });
        }
        match BzImage::parse(bytes) {
            Ok(image) => Ok(Self::BzImage(image)),
            Err(why) => Err(Error::NotAnImage {
                bzimage: why.to_string(),
                vmlinux: "it does not begin with the ELF magic, nor has it that of an arm64 Image"
                    .to_string(),
            }),
        }
    }

    /// Bytes of its pages, where the image tells.
    pub(crate) fn page_size(&self) -> Option<u64> {
        match self {
            Self::Flat(image) => image.page_size,
            Self::BzImage(_) | Self::Vmlinux(_) => None,
        }
    }
}
