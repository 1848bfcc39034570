// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers in bytes whose order is known at run time: the one place that reads and writes them.

use crate::Endian;

mod sealed {
    pub trait Sealed {}
}

/// A number of fixed width: `u8`, `u16`, `u32`, `u64`, `i32`.
pub trait Number: sealed::Sealed + Copy {
    /// As many bytes as the number has.
    type Bytes: AsRef<[u8]> + Copy;

    #[doc(hidden)]
    fn first(bytes: &[u8]) -> Option<Self::Bytes>;
    #[doc(hidden)]
    fn from_bytes(endian: Endian, bytes: Self::Bytes) -> Self;
    #[doc(hidden)]
    fn to_bytes(self, endian: Endian) -> Self::Bytes;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl sealed::Sealed for $number {}

        impl Number for $number {
            type Bytes = [u8; size_of::<$number>()];

            fn first(bytes: &[u8]) -> Option<Self::Bytes> {
                bytes.first_chunk().copied()
            }

            fn from_bytes(endian: Endian, bytes: Self::Bytes) -> Self {
                match endian {
                    Endian::Little => Self::from_le_bytes(bytes),
                    Endian::Big => Self::from_be_bytes(bytes),
                }
            }

            fn to_bytes(self, endian: Endian) -> Self::Bytes {
                match endian {
                    Endian::Little => self.to_le_bytes(),
                    Endian::Big => self.to_be_bytes(),
                }
            }
        }
    )*};
}

numbers!(u8, u16, u32, u64, i32);

impl Endian {
    /// The number in `bytes`.
    ///
    /// ```
    /// use kdump_elf::Endian;
    /// assert_eq!(Endian::Big.number::<u16>([1, 2]), 0x102);
    /// ```
    #[must_use]
    pub fn number<N: Number>(self, bytes: N::Bytes) -> N {
        N::from_bytes(self, bytes)
    }

    /// The bytes of `number`.
    #[must_use]
    pub fn bytes<N: Number>(self, number: N) -> N::Bytes {
        number.to_bytes(self)
    }

    /// The number that begins at `bytes[at]`; `None` unless it ends within `bytes`.
    ///
    /// ```
    /// use kdump_elf::Endian;
    /// assert_eq!(Endian::Little.read::<u32>(&[9, 1, 0, 0, 0], 1), Some(1));
    /// assert_eq!(Endian::Little.read::<u32>(&[9, 1, 0, 0, 0], 2), None);
    /// ```
    #[must_use]
    pub fn read<N: Number>(self, bytes: &[u8], at: usize) -> Option<N> {
        N::first(bytes.get(at..)?).map(|bytes| N::from_bytes(self, bytes))
    }

    /// The unsigned number that `bytes` are, of 1, 2, 4 or 8 bytes; `None` for other lengths.
    #[must_use]
    pub fn unsigned(self, bytes: &[u8]) -> Option<u64> {
        match bytes.len() {
            8 => self.read(bytes, 0),
            4 => self.read::<u32>(bytes, 0).map(u64::from),
            2 => self.read::<u16>(bytes, 0).map(u64::from),
            1 => self.read::<u8>(bytes, 0).map(u64::from),
            _ => None,
        }
    }

    /// Writes `number` at `out[at]`; says whether it fits there, and writes nothing if not.
    #[must_use]
    pub fn write<N: Number>(self, out: &mut [u8], at: usize, number: N) -> bool {
        let bytes = number.to_bytes(self);
        let place = out.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.as_ref().len()));
        place.map(|place| crate::bytes::copy_to(place, bytes.as_ref())).is_some()
    }
}

/// Evaluates an expression with a type named for a byte order known at run time: zerocopy's
/// `LittleEndian` or `BigEndian`, for layouts that are generic over it. The crate that uses it needs
/// `zerocopy`.
///
/// ```
/// use kdump_elf::{Endian, with_byte_order};
/// use zerocopy::{FromBytes, U32};
///
/// fn second(bytes: &[u8; 8], endian: Endian) -> Option<u32> {
///     with_byte_order!(endian, O => <[U32<O>; 2]>::read_from_bytes(bytes).ok().map(|words| words[1].get()))
/// }
/// assert_eq!(second(&[0, 0, 0, 0, 0, 0, 1, 2], Endian::Big), Some(0x102));
/// ```
#[macro_export]
macro_rules! with_byte_order {
    ($endian:expr, $order:ident => $body:expr) => {
        match $endian {
            $crate::Endian::Little => {
                type $order = ::zerocopy::LE;
                $body
            }
            $crate::Endian::Big => {
                type $order = ::zerocopy::BE;
                $body
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_written_in_both_orders_and_within_bounds() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(Endian::Little.read(&bytes, 0), Some(0x0807_0605_0403_0201_u64));
        assert_eq!(Endian::Big.read(&bytes, 0), Some(0x0102_0304_0506_0708_u64));
        assert_eq!(Endian::Big.read(&bytes, 4), Some(0x0506_0708_u32));
        assert_eq!(Endian::Big.read(&bytes, 6), Some(0x0708_u16));
        assert_eq!(Endian::Little.number::<i32>([0xfe, 0xff, 0xff, 0xff]), -2);
        assert_eq!(Endian::Big.bytes(-2_i32), [0xff, 0xff, 0xff, 0xfe]);
        for at in [5, 8, 9, usize::MAX] {
            assert_eq!(Endian::Little.read::<u32>(&bytes, at), None, "{at}");
            assert!(!Endian::Little.write(&mut bytes.clone(), at, 1_u32), "{at}");
        }
        let mut out = [0; 6];
        assert!(Endian::Big.write(&mut out, 1, 0x0102_0304_u32));
        assert_eq!(out, [0, 1, 2, 3, 4, 0]);
        assert!(Endian::Little.write(&mut out, 2, 0x0102_0304_u32));
        assert_eq!(out, [0, 1, 4, 3, 2, 1]);
    }

    #[test]
    fn widths_that_no_number_has_are_none() {
        let bytes = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let of = |endian: Endian, len: usize| endian.unsigned(&bytes[..len]);
        assert_eq!([1, 2, 4].map(|len| of(Endian::Big, len)), [Some(1), Some(0x102), Some(0x0102_0304)]);
        assert_eq!([1, 2, 4].map(|len| of(Endian::Little, len)), [Some(1), Some(0x201), Some(0x0403_0201)]);
        assert_eq!(of(Endian::Big, 8), Some(0x0102_0304_0506_0708));
        assert_eq!([0, 3, 5, 6, 7, 9].map(|len| of(Endian::Little, len)), [None; 6]);
    }
}
