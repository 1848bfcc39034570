//! What the C interface adds to a read of 8 bytes.
//!
//! Both sides read the same addresses of the same dump, once from memory through the same
//! callback and once from a file: Rust through kdump-vmcore, C through a pointer to the exported
//! function, which no compiler sees through.
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![allow(unsafe_code, reason = "calls the C interface as C does")]

use core::error::Error;
use core::ffi::{c_char, c_int, c_void};
use core::hint::black_box;
use core::ptr::{null, null_mut};
use std::ffi::CString;
use std::fs::File;
use std::time::Instant;

use kdump_elf::Paddr;
use kdump_vmcore::{Dump, IoError, PhysMemory, ReadAt};
// Links the exported functions.
use kdump_ffi as _;

const READS: u32 = 100_000;
const ROUNDS: usize = 15;
const MEMORY: u64 = 64 << 20;
/// Where the memory begins, in the machine and in the file.
const BASE: u64 = 1 << 20;

type Open =
    unsafe extern "C" fn(*const *const c_char, usize, *const c_void, *mut *mut c_void, *mut c_void) -> c_int;
type Callback = unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> c_int;
type OpenCallback =
    unsafe extern "C" fn(u64, Callback, *mut c_void, *const c_void, *mut *mut c_void, *mut c_void) -> c_int;
type Read = unsafe extern "C" fn(*const c_void, u64, *mut c_void, usize, *mut usize, *mut c_void) -> c_int;

mod c {
    //! The functions of kdump.h.
    use super::{Callback, c_char, c_int, c_void};
    unsafe extern "C" {
        pub(super) fn libkdump_dump_open(
            paths: *const *const c_char,
            count: usize,
            options: *const c_void,
            dump: *mut *mut c_void,
            error: *mut c_void,
        ) -> c_int;
        pub(super) fn libkdump_dump_open_callback(
            size: u64,
            read: Callback,
            user: *mut c_void,
            options: *const c_void,
            dump: *mut *mut c_void,
            error: *mut c_void,
        ) -> c_int;
        pub(super) fn libkdump_dump_read_phys(
            dump: *const c_void,
            paddr: u64,
            buf: *mut c_void,
            len: usize,
            done: *mut usize,
            error: *mut c_void,
        ) -> c_int;
        pub(super) fn libkdump_dump_free(dump: *mut c_void);
    }
}

/// Prints nanoseconds per read on both sides, for a dump in memory and one in a file.
pub(crate) fn run() -> Result<(), Box<dyn Error>> {
    let image = image();
    let in_memory = Dump::open(Called { function: black_box(copy), image: &image })?;
    let handle = open_callback(&image)?;
    compare("in memory", &in_memory, &handle)?;
    let path = std::env::temp_dir().join(format!("kdump-bench-ffi-{}", std::process::id()));
    std::fs::write(&path, &image)?;
    let in_file = Dump::open(File::open(&path)?)?;
    let handle = open(&CString::new(path.as_os_str().as_encoded_bytes())?)?;
    let outcome = compare("in a file", &in_file, &handle);
    std::fs::remove_file(&path)?;
    outcome
}

fn compare(name: &str, dump: &Dump<'_>, handle: &Handle) -> Result<(), Box<dyn Error>> {
    let mut differences = Vec::new();
    let mut sides = Vec::new();
    let mut reader = dump.reader();
    for _ in 0..ROUNDS {
        let rust = per_read(|paddr, value| reader.read_phys(Paddr(paddr), value).is_ok())?;
        let c = per_read(|paddr, value| handle.read(paddr, value))?;
        differences.push(c - rust);
        sides.push((rust, c));
    }
    differences.sort_by(f64::total_cmp);
    let middle = differences.get(ROUNDS / 2).copied().unwrap_or(f64::NAN);
    let least = |side: fn(&(f64, f64)) -> f64| sides.iter().map(side).fold(f64::INFINITY, f64::min);
    let (rust, c) = (least(|pair| pair.0), least(|pair| pair.1));
    println!(
        "8-byte reads {name}: Rust {rust:.1} ns, C {c:.1} ns (ratio {:.2}); C takes {:.1} ns more, median {middle:.1}",
        c / rust,
        c - rust,
    );
    Ok(())
}

/// Nanoseconds of one read at a random address.
fn per_read(mut read: impl FnMut(u64, &mut [u8]) -> bool) -> Result<f64, Box<dyn Error>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut value = [0; 8];
    let mut good = true;
    let start = Instant::now();
    for _ in 0..READS {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        good &= read(BASE.saturating_add(state % (MEMORY - 8)), black_box(&mut value));
    }
    let spent = start.elapsed();
    if good { Ok(spent.as_secs_f64() * 1e9 / f64::from(READS)) } else { Err("a read failed".into()) }
}

/// A core with one range of memory.
fn image() -> Vec<u8> {
    let mut out = vec![0; usize::try_from(BASE + MEMORY).unwrap_or(0)];
    let encoding = kdump_elf::Encoding { class: kdump_elf::Class::Elf64, endian: kdump_elf::Endian::Little };
    let load = kdump_elf::Phdr {
        p_type: kdump_elf::PT_LOAD,
        p_offset: BASE,
        p_paddr: BASE,
        p_filesz: MEMORY,
        p_memsz: MEMORY,
        ..kdump_elf::Phdr::default()
    };
    let layout = kdump_elf::HeaderLayout::file(encoding, 62, 1);
    if let Ok(mut writer) = layout.writer(&mut out) {
        // The buffer has room and the count is right.
        let _ = writer.push(&load).and_then(|()| writer.finish());
    }
    out
}

/// The callback that C is given, as a source for Rust.
struct Called<'a> {
    function: Callback,
    image: &'a Vec<u8>,
}

impl ReadAt for Called<'_> {
    fn size(&self) -> Result<u64, kdump_vmcore::Error> {
        Ok(self.image.len() as u64)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, kdump_vmcore::Error> {
        let user = (&raw const *self.image).cast_mut().cast();
        let count =
            usize::try_from((self.image.len() as u64).saturating_sub(offset)).unwrap_or(0).min(buf.len());
        // SAFETY: the callback takes a Vec<u8> and a buffer of that length.
        match unsafe { (self.function)(user, offset, buf.as_mut_ptr().cast(), count) } {
            0 => Ok(count),
            errno => Err(kdump_vmcore::Error::Io { offset, cause: IoError::from_errno(errno) }),
        }
    }
}

struct Handle(*mut c_void);

impl Handle {
    fn read(&self, paddr: u64, value: &mut [u8]) -> bool {
        let read: Read = black_box(c::libkdump_dump_read_phys);
        // SAFETY: an open dump and a buffer of that length.
        let code =
            unsafe { read(self.0, paddr, value.as_mut_ptr().cast(), value.len(), null_mut(), null_mut()) };
        code == 0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: made by the library and not freed before.
        unsafe { c::libkdump_dump_free(self.0) };
    }
}

fn open(path: &CString) -> Result<Handle, Box<dyn Error>> {
    let (paths, mut dump) = ([path.as_ptr()], null_mut());
    let open: Open = c::libkdump_dump_open;
    // SAFETY: one path, no options, a place for the handle.
    let code = unsafe { open(paths.as_ptr(), 1, null(), &raw mut dump, null_mut()) };
    if code == 0 { Ok(Handle(dump)) } else { Err(format!("libkdump_dump_open: {code}").into()) }
}

/// The bytes must outlive the handle.
fn open_callback(image: &Vec<u8>) -> Result<Handle, Box<dyn Error>> {
    let (user, mut dump) = ((&raw const *image).cast_mut().cast(), null_mut());
    let open: OpenCallback = c::libkdump_dump_open_callback;
    // SAFETY: the callback takes a Vec<u8>, which `user` points to.
    let code = unsafe { open(image.len() as u64, copy, user, null(), &raw mut dump, null_mut()) };
    if code == 0 { Ok(Handle(dump)) } else { Err(format!("libkdump_dump_open_callback: {code}").into()) }
}

/// Gives the bytes of a `Vec<u8>`.
unsafe extern "C" fn copy(user: *mut c_void, at: u64, buf: *mut c_void, len: usize) -> c_int {
    // SAFETY: given to `open_callback` by its caller.
    let image = unsafe { &*user.cast::<Vec<u8>>() };
    let piece = usize::try_from(at).ok().and_then(|at| image.get(at..)).and_then(|rest| rest.get(..len));
    let Some(piece) = piece else { return 14 };
    // SAFETY: the library gives `len` writable bytes.
    unsafe { core::ptr::copy_nonoverlapping(piece.as_ptr(), buf.cast(), len) };
    0
}
