//! The line between C and Rust: results become codes, panics stop here.

use core::ffi::c_int;

use crate::code::{LIBKDUMP_END, LIBKDUMP_LACKING, LIBKDUMP_OK};
use crate::error::{libkdump_error, report};
use crate::{Fail, InOut};

/// How a call ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Done.
    Done,
    /// Nothing more to come.
    End,
    /// Done, and what it was done to lacked something.
    Lacking,
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
            Flow::Lacking => LIBKDUMP_LACKING,
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

    use core::ffi::c_int;
    use core::fmt;
    use core::panic::AssertUnwindSafe;
    use std::panic::catch_unwind;
    use std::string::String;

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

    /// Runs `body`; a panic in it is returned.
    ///
    /// # Errors
    /// [`Panicked`] with the panic's text.
    pub fn guarded<R>(body: impl FnOnce() -> R) -> Result<R, Panicked> {
        #[cfg(feature = "quiet")]
        silence();
        catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| String::from(*text));
            Panicked(text.or_else(|| payload.downcast_ref().cloned()).unwrap_or_default())
        })
    }

    /// A library prints nothing. The hook is that of this copy of the standard library, which no
    /// one else uses where the feature `quiet` is set.
    #[cfg(feature = "quiet")]
    fn silence() {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| std::panic::set_hook(std::boxed::Box::new(|_| ())));
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
