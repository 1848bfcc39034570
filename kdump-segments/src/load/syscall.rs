//! The two kexec system calls.
#![allow(unsafe_code, reason = "system calls have no safe interface")]

use alloc::ffi::CString;
use alloc::vec::Vec;

use crate::Errno;
use crate::segment::Segment;

/// `struct kexec_segment` (include/uapi/linux/kexec.h).
#[repr(C)]
struct KexecSegment {
    buf: *const libc::c_void,
    bufsz: libc::size_t,
    mem: *const libc::c_void,
    memsz: libc::size_t,
}

/// kexec_load(2); no segments unload.
pub(super) fn kexec_load(entry: u64, segments: &[Segment<'_>], flags: u64) -> Result<(), Errno> {
    let table = segments.iter().map(raw).collect::<Option<Vec<_>>>().ok_or(Errno::EADDRNOTAVAIL)?;
    let entry = libc::c_ulong::try_from(entry).map_err(|_| Errno::EADDRNOTAVAIL)?;
    let flags = libc::c_ulong::try_from(flags).map_err(|_| Errno::EINVAL)?;
    // SAFETY: `table` holds `table.len()` segments whose buffers are borrowed from `segments`
    // for the whole call and are `bufsz` bytes long; the kernel only reads them. A capture
    // kernel is not entered by this call and its memory belongs to no process.
    let result = unsafe { libc::syscall(libc::SYS_kexec_load, entry, table.len(), table.as_ptr(), flags) };
    outcome(result)
}

fn raw(segment: &Segment<'_>) -> Option<KexecSegment> {
    Some(KexecSegment {
        buf: segment.data.as_ptr().cast(),
        bufsz: segment.data.len(),
        mem: core::ptr::without_provenance(usize::try_from(segment.mem()).ok()?),
        memsz: usize::try_from(segment.memsz()).ok()?,
    })
}

/// kexec_file_load(2); the length counts the terminating NUL.
pub(super) fn kexec_file_load(
    kernel: i32,
    initrd: i32,
    cmdline: Option<&str>,
    flags: u64,
) -> Result<(), Errno> {
    let flags = libc::c_ulong::try_from(flags).map_err(|_| Errno::EINVAL)?;
    let cmdline = cmdline.map(CString::new).transpose().map_err(|_| Errno::EINVAL)?;
    let (text, len) = match cmdline.as_ref() {
        Some(text) => (text.as_ptr(), text.as_bytes_with_nul().len()),
        None => (core::ptr::null(), 0),
    };
    // SAFETY: `text` is null with length 0 or points to `len` bytes of `cmdline`, which lives
    // to the end of this function; the kernel only reads them. The file descriptors are
    // checked by the kernel.
    let result = unsafe { libc::syscall(KEXEC_FILE_LOAD, kernel, initrd, len, text, flags) };
    outcome(result)
}

/// The number of kexec_file_load(2) where the crate libc has it.
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "powerpc64",
    target_arch = "loongarch64",
    target_arch = "arm"
))]
const KEXEC_FILE_LOAD: libc::c_long = libc::SYS_kexec_file_load;
/// Where it lacks it, for arm64 with musl (include/uapi/asm-generic/unistd.h).
#[cfg(any(target_arch = "aarch64", target_arch = "riscv64", target_arch = "riscv32"))]
const KEXEC_FILE_LOAD: libc::c_long = 294;
/// Where it lacks it (arch/s390/include/generated/uapi/asm/unistd_64.h).
#[cfg(target_arch = "s390x")]
const KEXEC_FILE_LOAD: libc::c_long = 381;
/// i386 and others have no such call: a number no kernel knows makes it answer ENOSYS.
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "powerpc64",
    target_arch = "loongarch64",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "riscv32",
    target_arch = "s390x"
)))]
const KEXEC_FILE_LOAD: libc::c_long = -1;

fn outcome(result: libc::c_long) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    let errno = std::io::Error::last_os_error().raw_os_error();
    Err(errno.map_or(Errno::EINVAL, Errno))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_errno() {
        assert_eq!(outcome(0), Ok(()));
        assert!(outcome(-1).is_err());
    }
}
