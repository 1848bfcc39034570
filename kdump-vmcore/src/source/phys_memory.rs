//! Memory of the dead kernel, read by physical address.

use alloc::boxed::Box;
use alloc::sync::Arc;

use kdump_elf::Paddr;

use crate::error::{Error, Stopped};
use crate::source::ReadAt;

/// Memory that can be read at a physical address: a dump, /proc/vmcore, a memory image.
pub trait OldMemory {
    /// Fills all of `buf` from `paddr` on.
    ///
    /// # Errors
    /// [`Stopped`], with the number of good bytes at the start of `buf`, the physical address
    /// of the first one missing, and the reason.
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped>;
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: OldMemory + ?Sized> OldMemory for $pointer {
            fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
                (**self).read_phys(paddr, buf)
            }
        }
    )*};
}

forward!(&T, Box<T>, Arc<T>);

/// A linear image of memory: the byte at offset 0 of the source is at physical address
/// `base`. /dev/mem and a raw memory file have base 0.
#[derive(Clone, Copy, Debug)]
pub struct MemoryImage<S> {
    base: u64,
    source: S,
}

impl<S> MemoryImage<S> {
    /// The bytes of `source` as the memory from physical address `base` on.
    pub const fn new(base: Paddr, source: S) -> Self {
        Self { base: base.0, source }
    }
}

impl<S: ReadAt> OldMemory for MemoryImage<S> {
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        let Some(offset) = paddr.0.checked_sub(self.base) else {
            let error = Error::Hole { paddr: paddr.0, next: Some(self.base) };
            return Err(Stopped::new(paddr.0, 0, error));
        };
        self.source.read_full_at(offset, buf).map_err(|stopped| {
            let at = paddr.0.saturating_add(stopped.read as u64);
            // Behind the end of a linear image there is no memory.
            let error = match stopped.error {
                Error::Truncated { .. } => Error::Hole { paddr: at, next: None },
                other => other,
            };
            Stopped { read: stopped.read, at, error }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_ends_in_holes() {
        let image = MemoryImage::new(Paddr(0x1000), [7_u8; 16].as_slice());
        let mut buf = [0; 8];
        image.read_phys(Paddr(0x1008), &mut buf).unwrap();
        assert_eq!(buf, [7; 8]);
        let stopped = image.read_phys(Paddr(0x100c), &mut buf).unwrap_err();
        assert_eq!((stopped.read, stopped.at), (4, 0x1010));
        assert_eq!(stopped.error, Error::Hole { paddr: 0x1010, next: None });
        let stopped = image.read_phys(Paddr(0xff8), &mut buf).unwrap_err();
        assert_eq!((stopped.read, stopped.error), (0, Error::Hole { paddr: 0xff8, next: Some(0x1000) }));
    }
}
