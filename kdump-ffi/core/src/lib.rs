//! The part of libkdump's C interface that needs no allocator and no operating system:
//! ELF core headers, notes, registers, VMCOREINFO and a view of a vmcore over callbacks.
//!
//! Built on its own it is `libkdump-core.a`, for kernels and boot code; kdump-ffi puts the
//! same functions into `libkdump.so`. Names are those that C sees.
//!
//! ```c
//! /* The note a CPU leaves behind, in memory that was set aside for it. */
//! struct libkdump_error error = { .size = sizeof error };
//! uint64_t registers[27] = { 0 };
//!
//! if (libkdump_crash_note_write(note, sizeof note, LIBKDUMP_ARCH_X86_64, LIBKDUMP_ENDIAN_LITTLE, pid,
//!                               registers, 27, NULL, &error) != LIBKDUMP_OK)
//!     puts(error.message);
//! ```
#![no_std]
#![allow(non_camel_case_types, reason = "the names are those of the C interface")]
#![allow(unreachable_pub, reason = "the functions are reached by the names of their symbols")]

#[cfg(feature = "std")]
extern crate std;

mod arch;
mod boundary;
mod callback;
mod code;
mod crash_note;
mod elfcorehdr;
mod encoding;
mod error;
mod failure;
mod layout;
mod note;
#[cfg(feature = "freestanding")]
mod panic;
mod pointer;
mod prstatus;
mod sized;
mod text;
mod version;
mod view;
mod vmcore_layout;
mod vmcoreinfo;

pub use arch::*;
pub use boundary::{Flow, call};
#[cfg(feature = "std")]
pub use boundary::{Panicked, guarded};
pub use callback::{CallbackReader, libkdump_read_fn};
pub use code::*;
pub use crash_note::*;
pub use elfcorehdr::*;
pub use encoding::*;
pub use error::*;
pub use failure::{ErrorPlace, Fail, Failure, elf_code, elf_place};
pub use layout::{CLayout, Field, StructLayout, core_layouts, is_word};
pub use note::*;
pub use pointer::{Bytes, BytesMut, Chars, CharsMut, Items, ItemsMut, Out, known_flags};
pub use prstatus::*;
pub use sized::{Extensible, Extent, In, InOut};
pub use text::copy_text;
pub use version::*;
pub use view::*;
pub use vmcore_layout::*;
pub use vmcoreinfo::*;
