//! The running kernel: its system call, with arguments as bad as one likes.

#![allow(unsafe_code, reason = "the raw system call, and memory that ends where it is told to")]

use std::fs;
use std::io;

use crate::case::{Case, Segment, Source};

/// Bytes that can be read; the page behind them cannot.
pub(crate) const ARENA: usize = 1 << 20;
const PAGE: usize = 0x1000;
const LOADED: &str = "/sys/kernel/kexec_crash_loaded";
/// In the half of the addresses that no process has.
#[cfg(target_pointer_width = "64")]
const KERNEL_ADDRESS: usize = 0xffff_8880_0010_0000;
#[cfg(target_pointer_width = "32")]
const KERNEL_ADDRESS: usize = 0xc010_0000;
/// Number of nobody, the user without rights.
const NOBODY: libc::c_long = 65534;

/// `struct kexec_segment` (include/uapi/linux/kexec.h).
#[repr(C)]
struct Raw {
    buf: usize,
    bufsz: usize,
    mem: usize,
    memsz: usize,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The errno; `None` when the call succeeded.
    pub(crate) errno: Option<i32>,
    /// Whether a capture kernel is loaded afterwards.
    pub(crate) loaded: bool,
}

/// Buffers for the calls.
#[derive(Debug)]
pub(crate) struct Kernel {
    arena: usize,
}

impl Kernel {
    /// Maps the arena; it is never given back.
    pub(crate) fn open() -> io::Result<Self> {
        let whole = ARENA.saturating_add(PAGE);
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                whole,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let arena = base.expose_provenance();
        let end = core::ptr::with_exposed_provenance_mut(arena.wrapping_add(ARENA));
        // SAFETY: the last page of the mapping just made, which nothing refers to.
        if unsafe { libc::mprotect(end, PAGE, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { arena })
    }

    /// Issues the call and looks what is loaded afterwards.
    pub(crate) fn try_case(&self, case: &Case) -> io::Result<Outcome> {
        let table = case.segments.iter().map(|segment| self.raw(segment)).collect::<io::Result<Vec<_>>>()?;
        let (entry, flags) = (word(case.entry)?, word(case.flags)?);
        // SAFETY: `table` holds as many segments as are announced. Their buffers may be any
        // address: the kernel checks each and only reads. Their memory is checked against the
        // region reserved for capture kernels, which belongs to no process, and no capture kernel
        // is entered by this call.
        let result =
            unsafe { libc::syscall(libc::SYS_kexec_load, entry, table.len(), table.as_ptr(), flags) };
        let errno = if result == 0 { None } else { io::Error::last_os_error().raw_os_error() };
        Ok(Outcome { errno, loaded: loaded()? })
    }

    fn raw(&self, segment: &Segment) -> io::Result<Raw> {
        let buf = match segment.source {
            Source::Good => self.arena,
            Source::Null => 0,
            Source::Kernel => KERNEL_ADDRESS,
            Source::Tail(bytes) => {
                self.arena.wrapping_add(ARENA.saturating_sub(usize::try_from(bytes).unwrap_or(ARENA)))
            }
        };
        Ok(Raw { buf, bufsz: word(segment.bufsz)?, mem: word(segment.mem)?, memsz: word(segment.memsz)? })
    }
}

/// Makes the calling thread one of a user without rights, for ever. The system call changes one
/// thread; the function of the C library of that name would change all.
pub(crate) fn become_nobody() -> io::Result<()> {
    // SAFETY: takes numbers only and changes the identity of this thread alone.
    if unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) } == 0 {
        return Ok(());
    }
    Err(io::Error::last_os_error())
}

/// Whether a capture kernel is loaded.
pub(crate) fn loaded() -> io::Result<bool> {
    Ok(fs::read_to_string(LOADED)?.trim() == "1")
}

fn word(value: u64) -> io::Result<usize> {
    usize::try_from(value).map_err(io::Error::other)
}
