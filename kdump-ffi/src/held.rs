//! What a plan was made from, kept where it is for as long as the plan refers to it.
#![allow(unsafe_code, reason = "frees a value that was lent out as static")]

use core::ptr::NonNull;

/// A value lent to another one that lives beside it. Whoever holds both lists the borrower first,
/// so that it is dropped first.
#[derive(Debug)]
pub(crate) struct Held<T>(NonNull<T>);

// SAFETY: the value is only read, and freed by whichever thread drops the owner.
unsafe impl<T: Send + Sync> Send for Held<T> {}
// SAFETY: the value is only read.
unsafe impl<T: Sync> Sync for Held<T> {}

impl<T> Held<T> {
    /// Takes the value and gives a reference to it, which must not be used once the `Held` is
    /// dropped.
    pub(crate) fn new(value: T) -> (Self, &'static T) {
        let start = NonNull::from(Box::leak(Box::new(value)));
        // SAFETY: just leaked, hence valid; nobody writes to it.
        (Self(start), unsafe { start.as_ref() })
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // SAFETY: made by `Box::leak` in `new`, and the borrower is gone.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}
