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
pub unsafe trait Extensible: Copy + CLayout {}

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
    // SAFETY: not NULL and aligned; the first field is a `u32`, and the smallest structure
    // the header knows begins with it.
    let size = unsafe { start.cast::<u32>().read() };
    match usize::try_from(size) {
        Ok(bytes) if (size_of::<u32>()..=LARGEST).contains(&bytes) => Ok(bytes),
        _ => Err(Failure::Size { structure: T::NAME, size: u64::from(size), known: size_of::<T>() as u64 }),
    }
}
