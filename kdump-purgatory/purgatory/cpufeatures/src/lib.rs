//! Stands in for the crate `cpufeatures`, which detects nothing without an operating system.
//!
//! sha2 asks by `cpufeatures::new!(name, "feature", …)` and `name::get()`. The loader
//! tells the purgatory what the processor has, so that the SHA instructions serve where they
//! exist and a test can run the portable code in the very object that is shipped.
#![no_std]

use core::sync::atomic::{AtomicBool, Ordering};

// Explicit section: the object must not have a .bss.
#[unsafe(link_section = ".data.sha")]
static SHA: AtomicBool = AtomicBool::new(false);

/// Allows or forbids the SHA instructions from now on.
pub fn allow_sha(allowed: bool) {
    SHA.store(allowed, Ordering::Relaxed);
}

/// Whether the SHA instructions may be used: never on i386, where nothing switches SSE on.
#[inline(always)]
pub fn sha_allowed() -> bool {
    !cfg!(target_arch = "x86") && SHA.load(Ordering::Relaxed)
}

/// Declares a module whose `get()` says whether a set of features may be used: the set sha2
/// needs for SHA-256 as [`allow_sha`] said, every other set (AVX needs an XCR0 nobody set) not.
#[macro_export]
macro_rules! new {
    ($name:ident, "sha", "sse2", "ssse3", "sse4.1") => {
        mod $name {
            #[inline(always)]
            pub fn get() -> bool {
                $crate::sha_allowed()
            }
        }
    };
    ($name:ident, "sha2") => {
        mod $name {
            #[inline(always)]
            pub fn get() -> bool {
                $crate::sha_allowed()
            }
        }
    };
    ($name:ident, $($feature:tt),+ $(,)?) => {
        #[allow(dead_code)]
        mod $name {
            #[inline(always)]
            pub fn get() -> bool {
                false
            }
        }
    };
}
