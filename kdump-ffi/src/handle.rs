//! Handles: what C owns and gives back, and what becomes of them after a defect.

use core::ops::Deref;
use core::sync::atomic::{AtomicBool, Ordering};

use kdump_ffi_core::guarded;

use crate::failure::Failure;

/// Part of every handle: whether a panic left it in a state nobody knows.
#[derive(Debug, Default)]
pub(crate) struct Poison(AtomicBool);

/// A type C holds pointers to.
pub(crate) trait Handle {
    /// Its poison.
    fn poison(&self) -> &Poison;
}

/// A handle inside a call; poisons it when the call panics.
#[derive(Debug)]
pub(crate) struct Entered<'a, T: Handle>(&'a T);

impl<T: Handle> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T: Handle> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison().0.store(true, Ordering::Relaxed);
        }
    }
}

/// Begins a call on a handle.
pub(crate) fn enter<'a, T: Handle>(
    handle: Option<&'a T>,
    name: &'static str,
) -> Result<Entered<'a, T>, Failure> {
    let handle = handle.ok_or(kdump_ffi_core::Failure::Null { name })?;
    if handle.poison().0.load(Ordering::Relaxed) {
        return Err(Failure::Poisoned { name });
    }
    Ok(Entered(handle))
}

/// Ends a handle; NULL is fine.
pub(crate) fn free<T>(handle: Option<Box<T>>) {
    // A panic while freeing leaks what was left, which is all that can be done.
    let _ = guarded(|| drop(handle));
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(Poison);

    impl Handle for Thing {
        fn poison(&self) -> &Poison {
            &self.0
        }
    }

    #[test]
    fn a_panic_poisons_the_handle_it_happened_on() {
        let (broken, sound) = (Thing(Poison::default()), Thing(Poison::default()));
        let caught = guarded(|| {
            let _inside = enter(Some(&broken), "thing").unwrap();
            panic!("in the middle of a call");
        });
        assert!(caught.is_err());
        assert!(matches!(enter(Some(&broken), "thing"), Err(Failure::Poisoned { name: "thing" })));
        assert!(enter(Some(&sound), "thing").is_ok());
        assert!(enter::<Thing>(None, "thing").is_err());
    }
}
