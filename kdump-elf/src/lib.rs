//! ELF core headers, notes, registers and VMCOREINFO of Linux crash dumps.
#![no_std]
#![forbid(unsafe_code)]

mod arch;
mod ident;

pub use arch::Arch;
pub use ident::{Class, Endian};
