//! Guests under QEMU: what they boot, how they are talked to, and what is found in their memory and on
//! their disks. What a guest is for stands with whoever starts it.
#![allow(clippy::missing_errors_doc, reason = "every error is a text for who started the guest")]

pub mod cpio;
pub mod disk;
pub mod elf;
pub mod error;
pub mod gdbstub;
pub mod guest;
pub mod qemu;
pub mod qmp;
pub mod shell;
