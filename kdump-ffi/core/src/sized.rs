//! Structures that grow: the first field is the size the caller was compiled with.
//!
//! As `openat2(2)` does it: what a caller does not know is zero, and what the library does
//! not know must be zero.
#![allow(unsafe_code, reason = "reads and writes structures whose size only C knows")]

use core::marker::PhantomData;

use crate::{Failure, layout::CLayout};

/// A larger size is a variable that was never set.
const LARGEST: usize = 4096;

/// A C structure whose first field is `uint32_t size`.
///
/// # Safety
/// `repr(C)`, no padding, first field a `u32` that holds the size, and all zero bytes are a
/// valid value.
pub unsafe trait Extensible: Copy + CLayout {
    /// Bytes the structure had when it appeared. No header ever had fewer.
    const FIRST: usize;
}

/// A structure to be read: `const T *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct In<'a, T>(*const T, PhantomData<&'a T>);

impl<T: Extensible> In<'_, T> {
    /// A copy, zero where the caller's structure ends.
    ///
    /// # Errors
    /// [`Failure::Null`], [`Failure::Unaligned`], [`Failure::Size`], or [`Failure::Tail`] when
    /// a field behind the known ones is not zero.
    pub fn get(self, name: &'static str) -> Result<T, Failure> {
        let size = announced(self.0, name)?;
        let known = size_of::<T>();
        // SAFETY: the caller vouches for `size` readable bytes.
        let bytes = unsafe { core::slice::from_raw_parts(self.0.cast::<u8>(), size) };
        let tail = bytes.get(known..).unwrap_or_default();
        if let Some(at) = tail.iter().position(|&byte| byte != 0) {
            let offset = (known as u64).saturating_add(at as u64);
            return Err(Failure::Tail { structure: T::NAME, offset, known: known as u64 });
        }
        // SAFETY: all zero bytes are a valid value of the type.
        let mut value: T = unsafe { core::mem::zeroed() };
        // SAFETY: both sides have at least that many bytes and do not overlap.
        unsafe {
            core::ptr::copy_nonoverlapping(
                self.0.cast::<u8>(),
                (&raw mut value).cast::<u8>(),
                size.min(known),
            );
        }
        Ok(value)
    }

    /// A copy; all zero for NULL.
    ///
    /// # Errors
    /// Those of [`In::get`].
    pub fn or_default(self, name: &'static str) -> Result<T, Failure> {
        if self.0.is_null() {
            // SAFETY: all zero bytes are a valid value of the type.
            return Ok(unsafe { core::mem::zeroed() });
        }
        self.get(name)
    }
}

/// A structure to be filled, whose `size` the caller has set: `T *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct InOut<'a, T>(*mut T, PhantomData<&'a mut T>);

/// A checked place for a structure and the size the caller knows.
#[derive(Debug)]
pub struct Extent<'a, T> {
    start: *mut T,
    size: usize,
    lifetime: PhantomData<&'a mut T>,
}

impl<'a, T: Extensible> InOut<'a, T> {
    /// Whether the caller gave a structure.
    #[must_use]
    pub fn is_given(self) -> bool {
        !self.0.is_null()
    }

    /// Checks the place before work is done.
    ///
    /// # Errors
    /// [`Failure::Null`], [`Failure::Unaligned`] or [`Failure::Size`].
    pub fn place(self, name: &'static str) -> Result<Extent<'a, T>, Failure> {
        let size = announced(self.0.cast_const(), name)?;
        Ok(Extent { start: self.0, size, lifetime: PhantomData })
    }

    /// Fills the structure; see [`Extent::set`].
    ///
    /// # Errors
    /// Those of [`InOut::place`].
    pub fn set(self, name: &'static str, value: T) -> Result<(), Failure> {
        self.place(name)?.set(value);
        Ok(())
    }

    /// What the caller filled in, for structures that go in and out.
    ///
    /// # Errors
    /// Those of [`In::get`].
    pub fn get(self, name: &'static str) -> Result<T, Failure> {
        In(self.0.cast_const(), PhantomData).get(name)
    }
}

impl<T: Extensible> Extent<'_, T> {
    /// Stores the fields the caller knows and zeroes those it knows and we do not. `size`
    /// keeps the caller's value.
    pub fn set(self, value: T) {
        let known = size_of::<T>();
        let common = self.size.min(known);
        let source = (&raw const value).cast::<u8>();
        let target = self.start.cast::<u8>();
        let field = size_of::<u32>();
        let count = common.saturating_sub(field);
        // SAFETY: `size` bytes, of which the first four exist, were vouched for.
        let target_fields = unsafe { target.add(field) };
        // SAFETY: every structure begins with a `u32`.
        let source_fields = unsafe { source.add(field) };
        // SAFETY: both have `count` bytes from there and do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(source_fields, target_fields, count) };
        // SAFETY: `common` is at most `size`.
        let tail = unsafe { target.add(common) };
        // SAFETY: the rest of the caller's structure.
        unsafe { tail.write_bytes(0, self.size.saturating_sub(common)) };
    }
}

/// The size at the start of the structure, checked.
fn announced<T: Extensible>(start: *const T, name: &'static str) -> Result<usize, Failure> {
    if start.is_null() {
        return Err(Failure::Null { name });
    }
    if !start.is_aligned() {
        return Err(Failure::Unaligned { name });
    }
    // SAFETY: not NULL and aligned; every structure begins with its size.
    let size = unsafe { start.cast::<u32>().read() };
    match usize::try_from(size) {
        Ok(bytes) if (T::FIRST..=LARGEST).contains(&bytes) => Ok(bytes),
        _ => Err(Failure::Size { structure: T::NAME, size: u64::from(size), known: size_of::<T>() as u64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extensible;

    /// A structure that has grown twice.
    #[repr(C)]
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct grown {
        size: u32,
        first: u32,
        second: u32,
        third: u32,
    }

    extensible!(grown { first: u32 } + { second: u32 } + { third: u32 });

    fn given(words: &[u32]) -> In<'_, grown> {
        In(words.as_ptr().cast(), PhantomData)
    }

    fn place(words: &mut [u32]) -> InOut<'_, grown> {
        InOut(words.as_mut_ptr().cast(), PhantomData)
    }

    #[test]
    fn callers_of_every_version_are_understood() {
        let got =
            |words: &[u32]| given(words).get("in").map(|found| [found.first, found.second, found.third]);
        assert_eq!(grown::FIRST, 8);
        assert_eq!(got(&[8, 1]), Ok([1, 0, 0]));
        assert_eq!(got(&[12, 1, 2]), Ok([1, 2, 0]));
        assert_eq!(got(&[16, 1, 2, 3]), Ok([1, 2, 3]));
        assert_eq!(got(&[20, 1, 2, 3, 0]), Ok([1, 2, 3]));
        let tail = Failure::Tail { structure: "grown", offset: 16, known: 16 };
        assert_eq!(got(&[20, 1, 2, 3, 4]), Err(tail));
    }

    #[test]
    fn a_size_below_that_of_the_first_version_is_refused() {
        for size in [0, 4, 7, 4097, u32::MAX] {
            let refused = Failure::Size { structure: "grown", size: u64::from(size), known: 16 };
            assert_eq!(given(&[size, 1, 2, 3]).get("in").unwrap_err(), refused);
            let mut words = [size, 0xee, 0xee, 0xee];
            assert_eq!(
                place(&mut words).set("out", grown { size: 0, first: 1, second: 2, third: 3 }),
                Err(refused)
            );
            assert_eq!(words, [size, 0xee, 0xee, 0xee]);
        }
    }

    #[test]
    fn an_older_caller_gets_what_it_knows_and_no_more() {
        let mut words = [8, 0xee, 0xee, 0xee, 0xee];
        place(&mut words).set("out", grown { size: 0, first: 1, second: 2, third: 3 }).unwrap();
        assert_eq!(words, [8, 1, 0xee, 0xee, 0xee]);
        let mut words = [20, 0xee, 0xee, 0xee, 0xee];
        place(&mut words).set("out", grown { size: 0, first: 1, second: 2, third: 3 }).unwrap();
        assert_eq!(words, [20, 1, 2, 3, 0], "what this version does not know is zero");
    }
}
