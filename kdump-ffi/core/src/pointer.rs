//! Pointers as C hands them over, and what may be done with them.
//!
//! Each type is a pointer in the eyes of C. Its values come only from the parameters of
//! exported functions, so the contract that the header states for all of them ("NULL, or
//! valid for the duration of the call") is the proof of every use here.
#![allow(unsafe_code, reason = "the one place where pointers from C become references")]

use core::ffi::{CStr, c_char, c_void};
use core::marker::PhantomData;

use crate::Failure;

/// Where one value goes: `T *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Out<'a, T>(*mut T, PhantomData<&'a T>);

impl<T> Out<'_, T> {
    /// Whether the caller gave a place.
    #[must_use]
    pub fn is_given(&self) -> bool {
        !self.0.is_null()
    }

    /// Stores `value`.
    ///
    /// # Errors
    /// [`Failure::Null`] naming the parameter.
    pub fn set(self, name: &'static str, value: T) -> Result<(), Failure> {
        if self.0.is_null() {
            return Err(Failure::Null { name });
        }
        if !self.0.is_aligned() {
            return Err(Failure::Unaligned { name });
        }
        // SAFETY: not NULL and aligned; the caller vouches that it may be written.
        unsafe { self.0.write(value) };
        Ok(())
    }

    /// Stores `value` if the caller wants it.
    ///
    /// # Errors
    /// [`Failure::Unaligned`].
    pub fn set_if_given(self, name: &'static str, value: T) -> Result<(), Failure> {
        if self.is_given() { self.set(name, value) } else { Ok(()) }
    }
}

impl<T: Copy> Out<'_, T> {
    /// What stands there, for parameters that go in and out.
    ///
    /// # Errors
    /// [`Failure::Null`] naming the parameter.
    pub fn get(self, name: &'static str) -> Result<T, Failure> {
        if self.0.is_null() {
            return Err(Failure::Null { name });
        }
        if !self.0.is_aligned() {
            return Err(Failure::Unaligned { name });
        }
        // SAFETY: not NULL and aligned; the caller vouches that it holds a value.
        Ok(unsafe { self.0.read() })
    }
}

/// An array to be read: `const T *`, its length in the next parameter.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Items<'a, T>(*const T, PhantomData<&'a T>);

impl<'a, T> Items<'a, T> {
    /// The array of `len` elements; NULL is fine for none.
    ///
    /// # Safety
    /// `len` is what the caller gave as the length of this array.
    ///
    /// # Errors
    /// [`Failure::Null`], [`Failure::Unaligned`] or [`Failure::Argument`] naming the parameter.
    pub unsafe fn slice(self, name: &'static str, len: usize) -> Result<&'a [T], Failure> {
        check(self.0, name, len)?;
        if len == 0 {
            return Ok(&[]);
        }
        // SAFETY: not NULL, aligned, at most isize::MAX bytes; the caller vouches for `len`
        // readable elements that nobody changes meanwhile.
        Ok(unsafe { core::slice::from_raw_parts(self.0, len) })
    }
}

/// Bytes to be read: `const void *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(*const c_void, PhantomData<&'a u8>);

impl<'a> Bytes<'a> {
    /// From a field of a structure that came from C.
    #[must_use]
    pub fn new(start: *const c_void) -> Self {
        Self(start, PhantomData)
    }

    /// The `len` bytes; NULL is fine for none.
    ///
    /// # Safety
    /// `len` is what the caller gave as the length of this buffer.
    ///
    /// # Errors
    /// [`Failure::Null`] or [`Failure::Argument`] naming the parameter.
    pub unsafe fn slice(self, name: &'static str, len: usize) -> Result<&'a [u8], Failure> {
        // SAFETY: passed on to the caller.
        unsafe { Items::<'a, u8>(self.0.cast(), PhantomData).slice(name, len) }
    }

    /// The address, to be handed back to C.
    #[must_use]
    pub fn as_ptr(self) -> *const c_void {
        self.0
    }
}

/// A buffer to be filled: `void *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct BytesMut<'a>(*mut c_void, PhantomData<&'a mut u8>);

impl<'a> BytesMut<'a> {
    /// The address, to be handed back to C.
    #[must_use]
    pub fn as_ptr(self) -> *mut c_void {
        self.0
    }

    /// The buffer of `len` bytes, cleared from `keep` on: what C hands over to be filled it may
    /// never have written to, and a slice holds bytes that were. NULL is fine for none.
    ///
    /// # Safety
    /// `len` is what the caller gave as the length of this buffer, its first `keep` bytes hold
    /// something, and this is called once.
    ///
    /// # Errors
    /// [`Failure::Null`] or [`Failure::Argument`] naming the parameter.
    pub unsafe fn slice(self, name: &'static str, len: usize, keep: usize) -> Result<&'a mut [u8], Failure> {
        let start = self.0.cast::<u8>();
        check(start.cast_const(), name, len)?;
        if len == 0 {
            return Ok(&mut []);
        }
        if let Some(fresh @ 1..) = len.checked_sub(keep) {
            // SAFETY: `keep` is less than `len`, which the caller vouches for.
            let from = unsafe { start.add(keep) };
            // SAFETY: so many bytes are left of the buffer.
            unsafe { from.write_bytes(0, fresh) };
        }
        // SAFETY: not NULL, at most isize::MAX bytes; the caller vouches for `len` writable
        // bytes that overlap no other parameter.
        Ok(unsafe { core::slice::from_raw_parts_mut(start, len) })
    }
}

/// An array to be filled: `T *`, its capacity in the next parameter.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct ItemsMut<'a, T>(*mut T, PhantomData<&'a mut T>);

impl<'a, T: crate::CLayout> ItemsMut<'a, T> {
    /// The array of `len` elements, cleared from `keep` on as [`BytesMut::slice`] does; NULL is fine
    /// for none.
    ///
    /// # Safety
    /// As [`BytesMut::slice`], and all zero bytes are a valid element.
    ///
    /// # Errors
    /// [`Failure::Null`], [`Failure::Unaligned`] or [`Failure::Argument`] naming the parameter.
    pub unsafe fn slice(self, name: &'static str, len: usize, keep: usize) -> Result<&'a mut [T], Failure> {
        check(self.0.cast_const(), name, len)?;
        let (bytes, keep) = (len.saturating_mul(size_of::<T>()), keep.saturating_mul(size_of::<T>()));
        // SAFETY: passed on to the caller.
        unsafe { BytesMut(self.0.cast(), PhantomData).slice(name, bytes, keep) }?;
        if len == 0 {
            return Ok(&mut []);
        }
        // SAFETY: not NULL, aligned, cleared; the caller vouches for `len` elements that overlap no
        // other parameter.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.0, len) })
    }
}

/// A text to be read: `const char *`, ended by a NUL.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct Chars<'a>(*const c_char, PhantomData<&'a CStr>);

impl<'a> Chars<'a> {
    /// From a field of a structure that came from C.
    ///
    /// # Safety
    /// `text` is NULL or ended by a NUL and unchanged for `'a`.
    #[must_use]
    pub unsafe fn new(text: *const c_char) -> Self {
        Self(text, PhantomData)
    }

    /// The bytes without the NUL; `None` for NULL.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: not NULL; the caller vouches that it ends with a NUL.
        let len = unsafe { length(self.0) };
        // SAFETY: that many bytes precede the NUL; the caller vouches that they stay unchanged.
        Some(unsafe { core::slice::from_raw_parts(self.0.cast(), len) })
    }

    /// The text; `None` for NULL.
    ///
    /// # Errors
    /// [`Failure::Text`] when it is not UTF-8.
    pub fn optional(self, name: &'static str) -> Result<Option<&'a str>, Failure> {
        let Some(bytes) = self.bytes() else { return Ok(None) };
        core::str::from_utf8(bytes).map(Some).map_err(|error| Failure::Text { name, at: error.valid_up_to() })
    }

    /// The text.
    ///
    /// # Errors
    /// [`Failure::Null`] or [`Failure::Text`].
    pub fn get(self, name: &'static str) -> Result<&'a str, Failure> {
        self.optional(name)?.ok_or(Failure::Null { name })
    }
}

/// A buffer for a text: `char *`.
#[repr(transparent)]
#[derive(Clone, Copy, Debug)]
pub struct CharsMut<'a>(*mut c_char, PhantomData<&'a mut u8>);

impl<'a> CharsMut<'a> {
    /// The buffer of `len` bytes, cleared; NULL is fine for none.
    ///
    /// # Safety
    /// As [`BytesMut::slice`].
    ///
    /// # Errors
    /// [`Failure::Null`] or [`Failure::Argument`] naming the parameter.
    pub unsafe fn slice(self, name: &'static str, len: usize) -> Result<&'a mut [u8], Failure> {
        // SAFETY: passed on to the caller.
        unsafe { BytesMut(self.0.cast(), PhantomData).slice(name, len, 0) }
    }
}

/// Bytes in front of the NUL.
///
/// # Safety
/// `text` is not NULL and ended by a NUL.
#[cfg(feature = "std")]
unsafe fn length(text: *const c_char) -> usize {
    // SAFETY: passed on to the caller.
    unsafe { CStr::from_ptr(text) }.count_bytes()
}

/// Bytes in front of the NUL. Without an operating system there is no `strlen`, which `CStr` and
/// what compilers make of a plain loop would call; hence the volatile reads.
///
/// # Safety
/// `text` is not NULL and ended by a NUL.
#[cfg(not(feature = "std"))]
unsafe fn length(text: *const c_char) -> usize {
    let mut at = text;
    let mut len = 0_usize;
    // SAFETY: every byte up to the NUL may be read.
    while unsafe { at.read_volatile() } != 0 {
        // SAFETY: the byte at `at` was not the NUL, so there is one more.
        at = unsafe { at.add(1) };
        len = len.saturating_add(1);
    }
    len
}

fn check<T>(start: *const T, name: &'static str, len: usize) -> Result<(), Failure> {
    if len == 0 {
        return Ok(());
    }
    if start.is_null() {
        return Err(Failure::Null { name });
    }
    if !start.is_aligned() {
        return Err(Failure::Unaligned { name });
    }
    let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
    if isize::try_from(bytes).is_err() {
        return Err(Failure::Argument { name, value: len as u64, expected: "a length below 2^63 bytes" });
    }
    Ok(())
}

/// The text at a `const char *` that stands in a structure or array from C: `chars!(pointer)`.
#[macro_export]
macro_rules! chars {
    ($pointer:expr) => {{
        let pointer = $pointer;
        // SAFETY: the header demands of every text in a structure what it demands of parameters.
        unsafe { $crate::Chars::new(pointer) }
    }};
}

/// The slice of a pointer and the length beside it, both parameters of the function it is
/// used in: `slice!(buf, len)`. A third argument is the name of the parameter or field, where the
/// variable has another.
#[macro_export]
macro_rules! slice {
    ($pointer:ident, $len:expr) => {
        $crate::slice!($pointer, $len, stringify!($pointer))
    };
    ($pointer:ident, $len:expr, $name:expr) => {{
        let (pointer, len, name) = ($pointer, $len, $name);
        // SAFETY: pointer and length are neighbours in the C signature or structure, and each
        // pointer is turned into a slice once per call.
        unsafe { pointer.slice(name, len) }
    }};
}

/// The buffer of a pointer and the length beside it, cleared because C may never have written to
/// it: `buffer!(buf, len)`. With a third argument that many bytes at its start are kept, for
/// buffers of which the header says that they hold something.
#[macro_export]
macro_rules! buffer {
    ($pointer:ident, $len:expr) => {
        $crate::buffer!($pointer, $len, 0)
    };
    ($pointer:ident, $len:expr, $keep:expr) => {{
        let (pointer, len, keep) = ($pointer, $len, $keep);
        // SAFETY: pointer and length are neighbours in the C signature or structure, each pointer
        // is turned into a slice once per call, and the header demands that what is kept holds
        // something.
        unsafe { pointer.slice(stringify!($pointer), len, keep) }
    }};
}

/// The function of the caller and its first argument: `reader!(read, user)`.
#[macro_export]
macro_rules! reader {
    ($function:expr, $user:expr) => {{
        let (function, user) = ($function, $user);
        // SAFETY: they are neighbours in the C signature or structure; the header demands that they
        // stay valid as long as the handle or view, and that any thread may call the function.
        unsafe { $crate::CallbackReader::new(function, user) }
    }};
}

/// The flags of a call or structure, when none of them is unknown here.
///
/// # Errors
/// [`Failure::Argument`] naming the parameter or field: a flag of a newer header is never ignored
/// silently.
pub fn known_flags(name: &'static str, flags: u32, known: u32) -> Result<u32, Failure> {
    match flags & !known {
        0 => Ok(flags),
        unknown => Err(Failure::Flags { name, unknown, known }),
    }
}
