//! Ways to open a dump.
#![allow(unsafe_code, reason = "exports symbols and takes a descriptor from C")]

use core::ffi::{c_char, c_int, c_void};
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use kdump_elf::Paddr;
use kdump_ffi_core::{
    Chars, In, InOut, Items, Out, chars, extensible, known_flags, libkdump_error, libkdump_read_fn, reader,
    slice,
};
use kdump_vmcore::{Dump, MappedFile, RawImage, ReadAt, ReadOptions, VmcoreWindows, open_dump_file};

use crate::boundary::call;
use crate::dump::libkdump_dump;
use crate::failure::Failure;
use crate::handle::give;
use crate::source::Source;

/// `flags` of struct libkdump_open_options: memory that was left out of the dump reads as zeros
/// instead of giving LIBKDUMP_ERR_EXCLUDED.
pub const LIBKDUMP_OPEN_ZERO_EXCLUDED: u32 = 1;

/// `flags` of struct libkdump_open_options: the file is no dump but a raw image of memory, whose first
/// byte is that of the physical address `raw_base`.
pub const LIBKDUMP_OPEN_RAW: u32 = 2;

/// `flags` of struct libkdump_open_options: files are mapped instead of read by system calls, which is
/// the fastest way for files that nobody makes shorter meanwhile: that ends the process with SIGBUS. Only
/// regular files can be mapped, no devices and not /proc/vmcore.
pub const LIBKDUMP_OPEN_MMAP: u32 = 4;

/// `flags` of struct libkdump_open_options: nothing is kept between reads.
pub const LIBKDUMP_OPEN_NO_CACHE: u32 = 8;

/// The most threads that one read may use.
const MAX_THREADS: u32 = 1024;
/// The most files of a dump: no writer makes more parts, and each is an open descriptor.
const MAX_FILES: usize = 256;

/// How to open a dump. NULL in its place means all zero.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct libkdump_open_options {
    /// `sizeof (struct libkdump_open_options)`, set by the caller.
    pub size: u32,
    /// LIBKDUMP_OPEN_ flags, or 0.
    pub flags: u32,
    /// With LIBKDUMP_OPEN_RAW the physical address of the first byte of the file, else 0.
    pub raw_base: u64,
    /// Bytes of memory that each thread that reads keeps at most for its next reads, for 16 threads at
    /// a time; 0 means 64 MiB. It is taken as memory is read.
    pub cache_size: u64,
    /// Threads that one read, save or verification may use where pages must be decompressed, the
    /// caller's own among them, at most 1024; 0 is as good as 1. With more, the function given to
    /// libkdump_dump_open_callback() is called by several at once.
    pub threads: u32,
    /// Zero.
    pub reserved: u32,
}

extensible!(libkdump_open_options {
    flags: u32,
    raw_base: u64,
    cache_size: u64,
    threads: u32,
    reserved: u32
});

/// Opens a dump by the names of its files.
///
/// Parameters: `paths` and `count` the files, 1 to 256, more than one for a split dump; `options` may be
/// NULL; `dump` receives the handle, to be freed with libkdump_dump_free(); `error` may be NULL.
/// Errors: LIBKDUMP_ERR_IO with `os_errno`, LIBKDUMP_ERR_FORMAT, LIBKDUMP_ERR_UNSUPPORTED for a
/// format or a split dump this version does not read, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_CORRUPT,
/// LIBKDUMP_ERR_TOO_LARGE for more than 256 files, a number of elements or a raw image that no dump has room for.
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_open(
    paths: Items<'_, *const c_char>,
    count: usize,
    options: In<'_, libkdump_open_options>,
    dump: Out<'_, *mut libkdump_dump>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let mut how = How::of(options)?;
        // Before any of the paths is looked at.
        how.takes(count)?;
        let paths = slice!(paths, count)?;
        if paths.is_empty() {
            return Err(kdump_ffi_core::Failure::Null { name: "paths" }.into());
        }
        let (mut parts, mut names): (Vec<Box<dyn ReadAt>>, Vec<PathBuf>) = (Vec::new(), Vec::new());
        for path in paths {
            let path = path_of(chars!(*path), "path")?;
            let part = open_dump_file(&path).and_then(|file| how.source(file));
            parts.push(part.map_err(|error| Failure::Io { path: path.clone(), error })?);
            names.push(path);
        }
        // A failure of the whole names the file that tells the format.
        let first = names.into_iter().next().unwrap_or_default();
        open(parts, how, dump).map_err(|failure| Failure::File { path: first, failure: Box::new(failure) })
    })
}

/// Opens a dump by a descriptor, which the library duplicates (close on exec) and the caller
/// keeps. The file offset is not used.
///
/// Parameters: `fd` a descriptor open for reading; the others as for libkdump_dump_open(). Errors: those
/// of libkdump_dump_open().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_open_fd(
    fd: c_int,
    options: In<'_, libkdump_open_options>,
    dump: Out<'_, *mut libkdump_dump>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        if fd < 0 {
            return Err(kdump_ffi_core::Failure::Negative { name: "fd", value: fd.into() }.into());
        }
        // SAFETY: not -1; the caller vouches that it is open for the duration of the call.
        let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
        let failed = |error| Failure::Io { path: PathBuf::from("the descriptor"), error };
        let mut how = How::of(options)?;
        let file = File::from(borrowed.try_clone_to_owned().map_err(failed)?);
        let source = how.source(file).map_err(failed)?;
        open(vec![source], how, dump)
    })
}

/// Opens a dump that a function of the caller reads.
///
/// Parameters: `size` the bytes there are; `read` and `user` the function and its first argument:
/// it is given offsets below `size` in place of addresses, never asked for bytes behind `size`, and
/// returns 0 or an errno value; both must stay valid until the dump is freed; the others as for
/// libkdump_dump_open(). The function may read the dump it serves, but such a read finds nothing that was kept:
/// it calls the function again for all it needs, so that one which does so at every call must end by itself. Errors: those of libkdump_dump_open().
#[unsafe(no_mangle)]
pub extern "C" fn libkdump_dump_open_callback(
    size: u64,
    read: libkdump_read_fn,
    user: *mut c_void,
    options: In<'_, libkdump_open_options>,
    dump: Out<'_, *mut libkdump_dump>,
    error: InOut<'_, libkdump_error>,
) -> c_int {
    call(error, || {
        let how = How::of(options)?;
        if how.flags & LIBKDUMP_OPEN_MMAP != 0 {
            let (name, value, expected) = ("flags", how.flags.into(), "no LIBKDUMP_OPEN_MMAP for a function");
            return Err(kdump_ffi_core::Failure::Argument { name, value, expected }.into());
        }
        open(vec![Box::new(Source { reader: reader!(read, user)?, size })], how, dump)
    })
}

/// How the caller wants a dump to be opened.
#[derive(Clone, Copy)]
struct How {
    flags: u32,
    raw_base: u64,
    options: ReadOptions,
}

impl How {
    fn of(options: In<'_, libkdump_open_options>) -> Result<Self, Failure> {
        let libkdump_open_options { size: _, flags, raw_base, cache_size, threads, reserved } =
            options.or_default("options")?;
        let argument =
            |name, value, expected| Err(kdump_ffi_core::Failure::Argument { name, value, expected }.into());
        let known =
            LIBKDUMP_OPEN_ZERO_EXCLUDED | LIBKDUMP_OPEN_RAW | LIBKDUMP_OPEN_MMAP | LIBKDUMP_OPEN_NO_CACHE;
        known_flags("flags", flags, known)?;
        if flags & LIBKDUMP_OPEN_RAW == 0 && raw_base != 0 {
            return argument("raw_base", raw_base, "0 without LIBKDUMP_OPEN_RAW");
        }
        if threads > MAX_THREADS {
            return argument("threads", threads.into(), "at most 1024");
        }
        if reserved != 0 {
            return argument("reserved", reserved.into(), "0");
        }
        let cache_size = match (flags & LIBKDUMP_OPEN_NO_CACHE != 0, cache_size) {
            (true, 0) => 0,
            (true, size) => return argument("cache_size", size, "0 with LIBKDUMP_OPEN_NO_CACHE"),
            (false, 0) => ReadOptions::default().cache_size,
            (false, size) => size,
        };
        let threads = usize::try_from(threads).unwrap_or(1);
        Ok(Self { flags, raw_base, options: ReadOptions::default().cache_size(cache_size).threads(threads) })
    }

    /// Whether so many files can be opened this way.
    fn takes(&self, count: usize) -> Result<(), Failure> {
        if self.flags & LIBKDUMP_OPEN_RAW != 0 && count > 1 {
            let (name, value, expected) = ("count", count as u64, "1 with LIBKDUMP_OPEN_RAW");
            return Err(kdump_ffi_core::Failure::Argument { name, value, expected }.into());
        }
        if count > MAX_FILES {
            let (value, limit) = (count as u64, MAX_FILES as u64);
            return Err(
                kdump_vmcore::Error::TooLarge { what: "number of files of a dump", value, limit }.into()
            );
        }
        Ok(())
    }

    /// The bytes of a file.
    fn source(&mut self, file: File) -> std::io::Result<Box<dyn ReadAt>> {
        // /proc/kcore is what the kernel has at this moment.
        if !file.is_cacheable() {
            self.options.cache_size = 0;
        }
        Ok(match self.flags & LIBKDUMP_OPEN_MMAP {
            0 => match VmcoreWindows::new(file) {
                Ok(windows) => Box::new(windows),
                Err(file) => Box::new(file),
            },
            _ => Box::new(MappedFile::new(&file)?),
        })
    }
}

fn open(parts: Vec<Box<dyn ReadAt>>, how: How, out: Out<'_, *mut libkdump_dump>) -> Result<(), Failure> {
    let dump = if how.flags & LIBKDUMP_OPEN_RAW != 0 {
        let image = |source| RawImage { base: Paddr(how.raw_base), source };
        Dump::open_raw(parts.into_iter().map(image).collect(), None)?
    } else {
        Dump::open_parts(parts)?
    };
    let dump = dump.read_options(how.options);
    let (zero_excluded, keeps) = (how.flags & LIBKDUMP_OPEN_ZERO_EXCLUDED != 0, how.options.cache_size != 0);
    let handle = libkdump_dump::new(dump, zero_excluded, keeps);
    give(out, "dump", handle)
}

/// A path as the system takes it: any bytes but NUL.
pub(crate) fn path_of(path: Chars<'_>, name: &'static str) -> Result<PathBuf, kdump_ffi_core::Failure> {
    optional_path(path).ok_or(kdump_ffi_core::Failure::Null { name })
}

/// A path; `None` for NULL.
pub(crate) fn optional_path(path: Chars<'_>) -> Option<PathBuf> {
    path.bytes().map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)))
}
