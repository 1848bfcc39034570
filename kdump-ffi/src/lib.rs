//! The C interface of libkdump: machines, plans and loads; dumps, reads and saves. The
//! functions that need no operating system are those of kdump-ffi-core.
//!
//! This is built as `libkdump.so` and `libkdump.a` (`cargo xtask install`); Rust programs use the crates below
//! it. The face is `include/kdump.h`, its conventions are in docs/C-API.md:
//!
//! ```c
//! struct libkdump_error error = { .size = sizeof error };
//! const char *paths[] = { "/var/crash/vmcore" };
//! struct libkdump_dump *dump = NULL;
//! unsigned char page[4096];
//!
//! if (libkdump_dump_open(paths, 1, NULL, &dump, &error) != LIBKDUMP_OK ||
//!     libkdump_dump_read_phys(dump, 0x100000, page, sizeof page, NULL, &error) != LIBKDUMP_OK)
//!     fprintf(stderr, "%s\n", error.message);
//! libkdump_dump_free(dump);
//! ```
#![allow(non_camel_case_types, reason = "the names are those of the C interface")]
#![allow(unreachable_pub, reason = "the functions are reached by the names of their symbols")]

mod boundary;
mod capture;
mod classes;
mod crashkernel;
mod dmesg;
mod dump;
mod dump_cpu;
mod dump_note;
mod dump_open;
mod dump_read;
mod failure;
mod feature;
mod handle;
mod kept;
mod layouts;
mod load;
mod machine;
mod machine_info;
mod plan;
mod plan_arm64;
mod plan_info;
mod plan_options;
mod plan_x86;
mod preflight;
mod progress;
mod purgatory;
mod range;
mod reserve;
mod save;
mod save_to;
mod source;
mod texts;
mod verify;

#[cfg(test)]
mod tests;

pub use capture::*;
pub use classes::*;
pub use crashkernel::*;
pub use dmesg::*;
pub use dump::*;
pub use dump_cpu::*;
pub use dump_note::*;
pub use dump_open::*;
pub use dump_read::*;
pub use feature::*;
pub use layouts::layouts;
pub use load::*;
pub use machine::*;
pub use machine_info::*;
pub use plan::*;
pub use plan_arm64::*;
pub use plan_info::*;
pub use plan_options::*;
pub use plan_x86::*;
pub use preflight::*;
pub use progress::*;
pub use purgatory::*;
pub use range::*;
#[doc(hidden)]
pub use reserve::Reserve;
pub use save::*;
pub use save_to::*;
pub use verify::*;
