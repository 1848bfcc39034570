//! Memory of the dead kernel, read by physical address.

use alloc::boxed::Box;
use alloc::sync::Arc;

use kdump_elf::Paddr;

use super::ReadAt;
use crate::error::{Error, Stopped};

/// Memory that can be read at a physical address, by one thread at a time.
///
/// Reading may change the reader: [`Reader`](crate::Reader) keeps decoders and caches. What
/// keeps no state is an [`OldMemory`], and references to it are this, as `&File` is
/// [`std::io::Read`].
pub trait PhysMemory {
    /// Fills all of `buf` from `paddr` on.
    ///
    /// # Errors
    /// [`Stopped`], with the number of good bytes at the start of `buf`, the physical address
    /// of the first one missing, and the reason.
    fn read_phys(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped>;

    /// As [`PhysMemory::read_phys`], but never gives zeros for what is not there, even where
    /// the user asked for them: page tables are read with this, because zeros in the place of
    /// an entry say "not mapped".
    ///
    /// # Errors
    /// As [`PhysMemory::read_phys`].
    fn read_stored(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        self.read_phys(paddr, buf)
    }
}

macro_rules! forward_mut {
    ($($pointer:ty),*) => {$(
        impl<T: PhysMemory + ?Sized> PhysMemory for $pointer {
            fn read_phys(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
                (**self).read_phys(paddr, buf)
            }

            fn read_stored(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
                (**self).read_stored(paddr, buf)
            }
        }
    )*};
}

forward_mut!(&mut T, Box<T>);

/// Memory that is read at a physical address without any state, by many threads at once: that
/// of the dead kernel as the capture kernel sees it, /proc/vmcore, a memory image.
pub trait OldMemory: Send + Sync {
    /// Fills all of `buf` from `paddr` on.
    ///
    /// # Errors
    /// As [`PhysMemory::read_phys`].
    fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped>;
}

impl<T: OldMemory + ?Sized> PhysMemory for &T {
    fn read_phys(&mut self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
        OldMemory::read_phys(*self, paddr, buf)
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: OldMemory + ?Sized> OldMemory for $pointer {
            fn read_phys(&self, paddr: Paddr, buf: &mut [u8]) -> Result<(), Stopped> {
                OldMemory::read_phys(&**self, paddr, buf)
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
