//! Handles: what C owns and gives back, and what becomes of them after a defect.
#![allow(unsafe_code, reason = "C holds the pointers, and gives them back")]

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use kdump_ffi_core::{Out, guarded};

use crate::failure::Failure;
use crate::reserve;

/// A type C holds pointers to.
pub trait Handle {
    /// What no other type of handle has at its start.
    const TAG: u32;
}

/// What stands where a handle was that is freed.
const FREED: u32 = 0x6472_6566;

/// In front of every handle. The tag does not stand first: there allocators keep their own
/// notes in memory that was given back.
#[repr(C)]
#[derive(Debug)]
struct Head {
    spare: [u64; 2],
    tag: AtomicU32,
    /// Whether a panic left the handle in a state nobody knows.
    poisoned: AtomicBool,
}

/// What the pointers of C lead to.
#[repr(C)]
#[derive(Debug)]
struct Slot<T> {
    head: Head,
    value: T,
}

/// A handle that C lends for a call: `const T *`.
#[repr(transparent)]
#[derive(Debug)]
pub struct Lent<'a, T>(*const T, PhantomData<&'a T>);

/// A handle that C gives back: `T *`.
#[repr(transparent)]
#[derive(Debug)]
pub struct Given<'a, T>(*mut T, PhantomData<&'a mut T>);

impl<'a, T: Handle> Lent<'a, T> {
    fn slot(self, name: &'static str) -> Result<&'a Slot<T>, Failure> {
        checked(self.0.cast_mut(), name)
    }

    /// The handle, for functions that return a text or NULL.
    pub(crate) fn look(self) -> Option<&'a T> {
        self.slot("").ok().map(|slot| &slot.value)
    }
}

/// The slot behind a pointer of C, when its tag is that of the type.
fn checked<'a, T: Handle>(start: *mut T, name: &'static str) -> Result<&'a Slot<T>, Failure> {
    let slot = start.cast::<Slot<T>>();
    if slot.is_null() {
        return Err(kdump_ffi_core::Failure::Null { name }.into());
    }
    if !slot.is_aligned() {
        return Err(kdump_ffi_core::Failure::Unaligned { name }.into());
    }
    // SAFETY: aligned and not NULL: an address behind it, which is not followed yet.
    let tag = unsafe { &raw const (*slot).head.tag };
    // SAFETY: aligned; every handle begins with a `Head`. Of a handle that was freed the memory may
    // belong to someone else by now, which is a defect of the caller that the look at the tag
    // catches mostly, and no worse than going on.
    let tag = unsafe { tag.read_volatile() }.into_inner();
    if tag != T::TAG {
        return Err(Failure::NoHandle { name, freed: tag == FREED });
    }
    // SAFETY: the tag says that it is a slot of this type; the caller vouches that it is not freed
    // meanwhile.
    Ok(unsafe { &*slot })
}

/// A handle inside a call; poisons it when the call panics.
#[derive(Debug)]
pub(crate) struct Entered<'a, T>(&'a Slot<T>);

impl<T> Deref for Entered<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> Drop for Entered<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.head.poisoned.store(true, Ordering::Relaxed);
        }
    }
}

/// Begins a call on a handle.
pub(crate) fn enter<'a, T: Handle>(
    handle: Lent<'a, T>,
    name: &'static str,
) -> Result<Entered<'a, T>, Failure> {
    let slot = handle.slot(name)?;
    if slot.head.poisoned.load(Ordering::Relaxed) {
        return Err(Failure::Poisoned { name });
    }
    Ok(Entered(slot))
}

/// Makes a handle and hands it to C.
pub(crate) fn give<T: Handle>(out: Out<'_, *mut T>, name: &'static str, value: T) -> Result<(), Failure> {
    let head = Head { spare: [0; 2], tag: AtomicU32::new(T::TAG), poisoned: AtomicBool::new(false) };
    let layout = Layout::new::<Slot<T>>();
    // What was set aside for a shortage must not end up in a handle that lives on.
    if reserve::ran_short() {
        return Err(Failure::NoMemory { need: layout.size() as u64 });
    }
    // SAFETY: the head alone makes the layout larger than nothing.
    let room = NonNull::new(unsafe { std::alloc::alloc(layout) }.cast::<Slot<T>>());
    let room = room.ok_or(Failure::NoMemory { need: layout.size() as u64 })?;
    if reserve::ran_short() {
        // SAFETY: just allocated with this layout.
        unsafe { std::alloc::dealloc(room.as_ptr().cast(), layout) };
        return Err(Failure::NoMemory { need: layout.size() as u64 });
    }
    // SAFETY: just allocated with the layout of a slot.
    unsafe { room.write(Slot { head, value }) };
    out.set(name, room.as_ptr().cast()).map_err(|failure| {
        free(Given(room.as_ptr().cast::<T>(), PhantomData));
        failure.into()
    })
}

/// Ends a handle. NULL is fine; what is no handle of this type, or not any more, is left alone.
pub(crate) fn free<T: Handle>(handle: Given<'_, T>) {
    let Ok(slot) = checked(handle.0, "") else { return };
    let mine = slot.head.tag.compare_exchange(T::TAG, FREED, Ordering::AcqRel, Ordering::Relaxed);
    if mine.is_ok() {
        // SAFETY: made by `give` with the layout a box has, and of all who free it at once one
        // passes the exchange.
        let owned = unsafe { Box::from_raw(handle.0.cast::<Slot<T>>()) };
        // A panic while freeing leaks what was left, which is all that can be done.
        let _ = guarded(|| drop(owned));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Thing(#[expect(dead_code, reason = "a thing has a content")] String);
    #[derive(Debug)]
    struct Other;

    impl Handle for Thing {
        const TAG: u32 = 1;
    }
    impl Handle for Other {
        const TAG: u32 = 2;
    }

    fn made() -> *mut Thing {
        let mut place: *mut Thing = core::ptr::null_mut();
        // SAFETY: `Out` is a pointer in the eyes of C.
        let out = unsafe { core::mem::transmute::<*mut *mut Thing, Out<'_, *mut Thing>>(&raw mut place) };
        give(out, "thing", Thing(String::from("content"))).unwrap();
        place
    }

    fn lent<'a, T>(start: *mut Thing) -> Lent<'a, T> {
        Lent(start.cast_const().cast(), PhantomData)
    }

    #[test]
    fn a_panic_poisons_the_handle_it_happened_on() {
        let (broken, sound) = (made(), made());
        let caught = guarded(|| {
            let _inside = enter(lent::<Thing>(broken), "thing").unwrap();
            panic!("in the middle of a call");
        });
        assert!(caught.is_err());
        assert!(matches!(enter(lent::<Thing>(broken), "thing"), Err(Failure::Poisoned { name: "thing" })));
        assert!(enter(lent::<Thing>(sound), "thing").is_ok());
        assert!(enter(lent::<Thing>(core::ptr::null_mut()), "thing").is_err());
        free(Given(broken, PhantomData));
        free(Given(sound, PhantomData));
    }

    #[test]
    fn a_handle_of_another_type_is_refused_and_not_freed() {
        let thing = made();
        let failure = enter(lent::<Other>(thing), "other").unwrap_err();
        assert!(matches!(failure, Failure::NoHandle { name: "other", freed: false }), "{failure}");
        free(Given(thing.cast::<Other>(), PhantomData));
        assert!(enter(lent::<Thing>(thing), "thing").is_ok(), "still there");
        free(Given(thing, PhantomData));
    }

    /// The memory is kept from the allocator, so that what stands in it is certain.
    #[test]
    fn a_handle_that_was_freed_is_told_and_not_freed_again() {
        let thing = made();
        // SAFETY: a slot of a thing.
        unsafe { &*thing.cast::<Slot<Thing>>() }.head.tag.store(FREED, Ordering::Relaxed);
        let failure = enter(lent::<Thing>(thing), "thing").unwrap_err();
        assert!(matches!(failure, Failure::NoHandle { freed: true, .. }), "{failure}");
        free(Given(thing, PhantomData));
        // SAFETY: it was left alone.
        unsafe { &*thing.cast::<Slot<Thing>>() }.head.tag.store(Thing::TAG, Ordering::Relaxed);
        free(Given(thing, PhantomData));
    }
}
