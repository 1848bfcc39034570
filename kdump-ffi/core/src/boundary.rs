//! The line between C and Rust: results become codes, panics stop here.

use core::ffi::c_int;

use crate::code::{LIBKDUMP_END, LIBKDUMP_OK};
use crate::error::{libkdump_error, report};
use crate::{Fail, InOut};

/// How a call ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Done.
    Done,
    /// Nothing more to come.
    End,
}

impl From<()> for Flow {
    fn from((): ()) -> Self {
        Self::Done
    }
}

/// Runs the body of an exported function.
#[must_use]
pub fn call<T, E>(error: InOut<'_, libkdump_error>, body: impl FnOnce() -> Result<T, E>) -> c_int
where
    T: Into<Flow>,
    E: Fail,
{
    match guarded(body) {
        Ok(Ok(flow)) => match flow.into() {
            Flow::Done => LIBKDUMP_OK,
            Flow::End => LIBKDUMP_END,
        },
        Ok(Err(failure)) => report(error, &failure),
        Err(panic) => report(error, &panic),
    }
}

#[cfg(feature = "std")]
pub use caught::{Panicked, guarded};

#[cfg(feature = "std")]
mod caught {
    //! Panics become values.

    use core::cell::Cell;
    use core::ffi::c_int;
    use core::fmt;
    use core::panic::AssertUnwindSafe;
    use std::boxed::Box;
    use std::panic::{catch_unwind, set_hook, take_hook};
    use std::string::String;
    use std::sync::Once;

    use crate::Fail;
    use crate::code::LIBKDUMP_ERR_PANIC;

    /// A panic that was caught.
    #[derive(Debug)]
    pub struct Panicked(String);

    impl fmt::Display for Panicked {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a defect of libkdump was caught: {}", self.0)
        }
    }

    impl Fail for Panicked {
        fn code(&self) -> c_int {
            LIBKDUMP_ERR_PANIC
        }
    }

    std::thread_local! {
        /// How many calls from C this thread is in.
        static DEPTH: Cell<u32> = const { Cell::new(0) };
    }

    struct Inside;

    impl Inside {
        fn new() -> Self {
            DEPTH.set(DEPTH.get().saturating_add(1));
            Self
        }
    }

    impl Drop for Inside {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get().saturating_sub(1));
        }
    }

    /// Runs `body`; a panic in it is returned and nothing is printed.
    ///
    /// # Errors
    /// [`Panicked`] with the panic's text.
    pub fn guarded<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        let _inside = Inside::new();
        quiet();
        catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| String::from(*text));
            Panicked(text.or_else(|| payload.downcast_ref().cloned()).unwrap_or_default())
        })
    }

    /// A library prints nothing: the hook stays silent inside calls from C, and is the one
    /// that was there before elsewhere (a Rust program may have linked us).
    fn quiet() {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |info| {
                if DEPTH.get() == 0 {
                    before(info);
                }
            }));
        });
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_panic_is_a_value_with_its_text() {
            let text = |result: Result<(), Panicked>| std::format!("{}", result.unwrap_err());
            assert!(text(guarded(|| panic!("out of {}", "luck"))).ends_with("caught: out of luck"));
            assert!(text(guarded(|| panic!("plain"))).ends_with("caught: plain"));
            assert_eq!(guarded(|| 7).unwrap(), 7);
            assert_eq!(DEPTH.get(), 0);
        }
    }
}

#[cfg(not(feature = "std"))]
mod uncaught {
    //! Without an operating system a panic ends in the panic handler.

    pub(super) fn guarded<R>(body: impl FnOnce() -> R) -> Result<R, crate::Failure> {
        Ok(body())
    }
}
#[cfg(not(feature = "std"))]
use uncaught::guarded;
