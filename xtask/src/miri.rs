//! The interpreter that knows undefined behaviour. Property tests draw few cases: it is slow, and the
//! tests as they are have drawn many.

use crate::error::Result;
use crate::{rust, shell};

/// What kdump-vmcore can be without files, C code and system calls.
const VMCORE: &[&str] =
    &["--package", "kdump-vmcore", "--no-default-features", "--features", "lzo,zlib,zstd-decode"];

/// Streams of every codec, read: of its unit tests one of the few that end in seconds.
const QUICK: &[&str] = &["--lib", "--", "tests::streams_of_other_programs"];

/// What kdump-ffi-core does with pointers, and the decoders of kdump-vmcore.
pub(crate) fn short() -> Result {
    // Its own unit tests, which need std; the C calls of its users are those of kdump-ffi's tests.
    interpret(&["--package", "kdump-ffi-core", "--features", "std", "--lib"])?;
    interpret(&[VMCORE, QUICK].concat())
}

/// More of kdump-vmcore, and kdump-elf, which forbids unsafe code: what could be undefined there is a
/// dependency's. Too much for every change.
pub(crate) fn whole() -> Result {
    interpret(&["--package", "kdump-elf", "--lib", "--tests"])?;
    interpret(&["--package", "kdump-elf", "--doc"])?;
    interpret(
        &[VMCORE, &["--lib", "--test", "codecs", "--test", "kdump", "--test", "translate_by_hand"]].concat(),
    )
}

fn interpret(what: &[&str]) -> Result {
    let mut cargo = rust::nightly()?;
    rust::ensure_components(Some(rust::NIGHTLY), &["miri", "rust-src"])?;
    cargo.args(["miri", "test"]).args(what);
    // proptest reads the clock and the directory of its regressions.
    cargo.env("MIRIFLAGS", "-Zmiri-disable-isolation").env("PROPTEST_CASES", "4");
    shell::run(&mut cargo)
}
