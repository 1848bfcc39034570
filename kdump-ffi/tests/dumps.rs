//! Dumps through the C interface: ways to open, reads that stop, threads, saving.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]
#![allow(clippy::result_large_err, reason = "a failure is the whole of libkdump_error")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ffi::{c_int, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use common::{
    Memory, libkdump_dump, libkdump_dump_info, libkdump_error, libkdump_open_options, libkdump_save_report,
    message, sized,
};
use dumpgen::{CoreFile, Segment, Wire};
use kdump_ffi::{
    LIBKDUMP_OPEN_ZERO_EXCLUDED, LIBKDUMP_PAGE_EXCLUDED, LIBKDUMP_PAGE_HOLE, LIBKDUMP_PAGE_MISSING,
    LIBKDUMP_PAGE_STORED, libkdump_progress,
};
use kdump_ffi_core::{
    LIBKDUMP_ARCH_X86_64, LIBKDUMP_ERR_CANCELLED, LIBKDUMP_ERR_EXCLUDED, LIBKDUMP_ERR_FORMAT,
    LIBKDUMP_ERR_HOLE, LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_IO, LIBKDUMP_ERR_NOT_FOUND,
    LIBKDUMP_ERR_NOT_MAPPED, LIBKDUMP_ERR_REFUSED, LIBKDUMP_ERR_TRUNCATED, LIBKDUMP_ERR_UNSUPPORTED,
    LIBKDUMP_ERROR_ADDRESS, LIBKDUMP_ERROR_PFN, LIBKDUMP_LACKING, LIBKDUMP_OK,
};

const STORED: u64 = 0x10_0000;

/// 16 pages at 1 MiB, the last four of them left out; registers of one CPU.
fn core() -> Vec<u8> {
    let pages: Vec<u8> = (0..12 * 4096_u32).map(|i| (i / 7 + i) as u8).collect();
    let mut registers = [0; 27];
    registers[16] = 0xffff_ffff_8100_0042;
    let prstatus = dumpgen::note(Wire::LE64, "CORE", 1, &dumpgen::prstatus_x86_64(31, registers));
    CoreFile::x86_64()
        .with(Segment::notes(&prstatus))
        .with(Segment { p_memsz: Some(16 * 4096), ..Segment::load(STORED, &pages) })
        .build()
}

/// An open dump that is freed at the end.
struct Open(*mut libkdump_dump);

// The header says that threads may share a dump.
unsafe impl Sync for Open {}

impl Drop for Open {
    fn drop(&mut self) {
        common::libkdump_dump_free(self.0);
    }
}

fn open(memory: &Memory, flags: u32) -> Result<Open, (c_int, libkdump_error)> {
    let (mut dump, mut error) = (null_mut(), sized());
    let options = libkdump_open_options { flags, ..sized() };
    let code = common::libkdump_dump_open_callback(
        memory.bytes.len() as u64,
        Some(common::read_memory),
        memory.user(),
        &raw const options,
        &raw mut dump,
        &raw mut error,
    );
    if code == LIBKDUMP_OK { Ok(Open(dump)) } else { Err((code, error)) }
}

/// Code, bytes read and error of a read.
fn read(dump: &Open, paddr: u64, buf: &mut [u8]) -> (c_int, usize, libkdump_error) {
    let (mut done, mut error) = (usize::MAX, sized());
    let start = buf.as_mut_ptr().cast();
    let code =
        common::libkdump_dump_read_phys(dump.0, paddr, start, buf.len(), &raw mut done, &raw mut error);
    (code, done, error)
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("libkdump-{}-{name}", std::process::id()))
}

fn c_path(path: &std::path::Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

#[test]
fn a_dump_tells_what_it_is() {
    let memory = Memory::new(core());
    let dump = open(&memory, 0).unwrap();
    let mut info: libkdump_dump_info = sized();
    assert_eq!(common::libkdump_dump_get_info(dump.0, &raw mut info, null_mut()), LIBKDUMP_OK);
    assert_eq!((info.arch, info.phnum, info.cpus, info.complete), (LIBKDUMP_ARCH_X86_64, 2, 1, 1));
    assert_eq!((info.memory, info.page_size, info.file_size), (16 * 4096, 0, memory.bytes.len() as u64));
    let mut rip = 0;
    let code = common::libkdump_dump_register(dump.0, 0, c"rip".as_ptr(), &raw mut rip, null_mut());
    assert_eq!((code, rip), (LIBKDUMP_OK, 0xffff_ffff_8100_0042));
    let code = common::libkdump_dump_register(dump.0, 0, c"pc".as_ptr(), &raw mut rip, null_mut());
    assert_eq!(code, LIBKDUMP_ERR_NOT_FOUND);
    let code = common::libkdump_dump_register(dump.0, 1, c"rip".as_ptr(), &raw mut rip, null_mut());
    assert_eq!(code, LIBKDUMP_ERR_NOT_FOUND);
}

#[test]
fn a_read_that_stops_says_where_and_why() {
    let memory = Memory::new(core());
    let dump = open(&memory, 0).unwrap();
    let mut buf = [0xee; 4096];
    let (code, done, error) = read(&dump, STORED + 11 * 4096 + 4000, &mut buf);
    assert_eq!((code, done), (LIBKDUMP_ERR_EXCLUDED, 96));
    assert_eq!((error.flags & LIBKDUMP_ERROR_ADDRESS, error.address), (1, STORED + 12 * 4096));
    assert_eq!((error.flags & LIBKDUMP_ERROR_PFN, error.pfn), (LIBKDUMP_ERROR_PFN, 0x10c));
    assert_eq!(buf[95], ((12 * 4096_u32 - 1) / 7 + 12 * 4096 - 1) as u8);
    let (code, done, error) = read(&dump, STORED - 8, &mut buf);
    assert_eq!((code, done, error.address), (LIBKDUMP_ERR_HOLE, 0, STORED - 8));
    let (code, done, _) = read(&dump, STORED, &mut []);
    assert_eq!((code, done), (LIBKDUMP_OK, 0));
}

#[test]
fn excluded_memory_reads_as_zeros_only_on_request() {
    let memory = Memory::new(core());
    let dump = open(&memory, LIBKDUMP_OPEN_ZERO_EXCLUDED).unwrap();
    let mut buf = [0xee; 8192];
    let (code, done, _) = read(&dump, STORED + 11 * 4096, &mut buf);
    assert_eq!((code, done), (LIBKDUMP_OK, 8192));
    assert!(buf[..4096].iter().any(|&byte| byte != 0) && buf[4096..].iter().all(|&byte| byte == 0));
    let (code, done, error) = read(&dump, STORED + 15 * 4096, &mut buf);
    assert_eq!((code, done, error.address), (LIBKDUMP_ERR_HOLE, 4096, STORED + 16 * 4096));
    assert_eq!(open(&memory, 6).err().unwrap().0, LIBKDUMP_ERR_INVALID, "unknown flags are refused");
}

#[test]
fn pages_have_states() {
    let memory = Memory::new(core());
    let dump = open(&memory, 0).unwrap();
    for (pfn, expected) in [
        (0x100, LIBKDUMP_PAGE_STORED),
        (0x10c, LIBKDUMP_PAGE_EXCLUDED),
        (0x110, LIBKDUMP_PAGE_HOLE),
        (u64::MAX, 64),
    ] {
        let mut state = 0;
        assert_eq!(common::libkdump_dump_page_state(dump.0, pfn, &raw mut state, null_mut()), LIBKDUMP_OK);
        assert_eq!(state, expected, "{pfn:#x}");
    }
}

#[test]
fn pages_behind_the_end_of_a_truncated_file_are_missing() {
    let mut bytes = core();
    bytes.truncate(bytes.len() - 2 * 4096);
    let memory = Memory::new(bytes);
    let dump = open(&memory, 0).unwrap();
    for (pfn, expected) in [(0x109, LIBKDUMP_PAGE_STORED), (0x10b, LIBKDUMP_PAGE_MISSING)] {
        let mut state = 0;
        assert_eq!(common::libkdump_dump_page_state(dump.0, pfn, &raw mut state, null_mut()), LIBKDUMP_OK);
        assert_eq!(state, expected, "{pfn:#x}");
    }
}

#[test]
fn a_callback_that_fails_is_an_input_error_with_its_errno() {
    let mut memory = Memory::new(core());
    memory.broken = Some((0, 5));
    let (code, error) = open(&memory, 0).err().unwrap();
    assert_eq!((code, error.os_errno), (LIBKDUMP_ERR_IO, 5));
    memory.broken = Some((memory.bytes.len() as u64 - 4096, 116));
    let dump = open(&memory, 0).unwrap();
    let (code, done, error) = read(&dump, STORED + 11 * 4096, &mut [0; 64]);
    assert_eq!((code, done, error.os_errno), (LIBKDUMP_ERR_IO, 0, 116));
}

#[test]
fn what_is_no_dump_is_told() {
    let (code, error) = open(&Memory::new(b"hello, world, this is text".to_vec()), 0).err().unwrap();
    assert_eq!(code, LIBKDUMP_ERR_FORMAT, "{}", message(&error));
    let (code, _) = open(&Memory::new(b"KDUMP   ................".to_vec()), 0).err().unwrap();
    assert!([LIBKDUMP_ERR_UNSUPPORTED, LIBKDUMP_ERR_TRUNCATED].contains(&code), "{code}");
    let (mut dump, mut error) = (null_mut(), sized());
    let paths = [c"/nonexistent".as_ptr(); 2];
    let mut open = |count| {
        let code = common::libkdump_dump_open(paths.as_ptr(), count, null(), &raw mut dump, &raw mut error);
        (code, error.os_errno, message(&error))
    };
    let (code, errno, text) = open(1);
    assert_eq!((code, errno), (LIBKDUMP_ERR_IO, 2));
    assert!(text.starts_with("/nonexistent: "), "{text}");
    assert_eq!(open(0).0, LIBKDUMP_ERR_INVALID);
}

#[test]
fn a_descriptor_stays_the_callers() {
    let path = temporary("fd");
    std::fs::write(&path, core()).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut dump = null_mut();
    let code = common::libkdump_dump_open_fd(file.as_raw_fd(), null(), &raw mut dump, null_mut());
    assert_eq!(code, LIBKDUMP_OK);
    let dump = Open(dump);
    drop(file);
    assert_eq!(read(&dump, STORED, &mut [0; 8]).0, LIBKDUMP_OK);
    let mut other = null_mut();
    let code = common::libkdump_dump_open_fd(-1, null(), &raw mut other, null_mut());
    assert_eq!(code, LIBKDUMP_ERR_INVALID);
}

#[test]
fn threads_share_a_dump() {
    let memory = Memory::new(core());
    let dump = open(&memory, LIBKDUMP_OPEN_ZERO_EXCLUDED).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let dump = &dump;
            scope.spawn(move || {
                for round in 0..500_u64 {
                    let at = (thread * 509 + round * 4093) % (12 * 4096 - 64);
                    let mut buf = [0; 64];
                    assert_eq!(read(dump, STORED + at, &mut buf).0, LIBKDUMP_OK);
                    let expected =
                        core::array::from_fn(|i| ((at as u32 + i as u32) / 7 + at as u32 + i as u32) as u8);
                    assert_eq!(buf, expected);
                }
            });
        }
    });
}

unsafe extern "C" fn cancel(user: *mut c_void, progress: *const libkdump_progress) -> c_int {
    let (calls, progress) = unsafe { (&mut *user.cast::<u32>(), &*progress) };
    assert!(progress.size as usize >= size_of::<libkdump_progress>() && progress.done <= progress.total);
    *calls += 1;
    1
}

#[test]
fn saving_can_be_cancelled_and_tells_what_it_did() {
    let memory = Memory::new(core());
    let dump = open(&memory, LIBKDUMP_OPEN_ZERO_EXCLUDED).unwrap();
    let path = temporary("save");
    let (name, mut calls, mut error) = (c_path(&path), 0_u32, sized());
    let mut save = |function, error: &mut libkdump_error| {
        let user = (&raw mut calls).cast();
        common::libkdump_dump_save(dump.0, name.as_ptr(), null(), function, user, null_mut(), error)
    };
    assert_eq!(save(Some(cancel), &mut error), LIBKDUMP_ERR_CANCELLED);
    assert!(!path.exists());
    assert_eq!(save(None, &mut error), LIBKDUMP_OK, "{}", message(&error));
    assert_eq!(calls, 1);
    let saved = Memory::new(std::fs::read(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    let _ = std::fs::remove_file(
        path.with_file_name(format!("{}.incomplete", path.file_name().unwrap().to_string_lossy())),
    );
    let again = open(&saved, 0).unwrap();
    let (mut one, mut other) = ([0; 12 * 4096], [1; 12 * 4096]);
    assert_eq!(read(&dump, STORED, &mut one).0, LIBKDUMP_OK);
    assert_eq!(read(&again, STORED, &mut other).0, LIBKDUMP_OK);
    assert_eq!(one, other);
}

#[test]
fn what_a_source_lacked_is_a_status_of_its_own_and_is_remembered() {
    let path = temporary("lacking-source");
    let whole = core();
    std::fs::write(&path, &whole[..whole.len() - 4096]).unwrap();
    let (name, mut dump) = (c_path(&path), null_mut());
    let names = [name.as_ptr()];
    let code = common::libkdump_dump_open(names.as_ptr(), 1, null(), &raw mut dump, null_mut());
    assert_eq!(code, LIBKDUMP_OK);
    let dump = Open(dump);
    let copy = temporary("lacking-copy");
    let mut report: libkdump_save_report = sized();
    let mut error = sized();
    let save = |target: &std::path::Path, report: &mut libkdump_save_report, error: &mut libkdump_error| {
        let target = c_path(target);
        common::libkdump_dump_save(dump.0, target.as_ptr(), null(), None, null_mut(), report, error)
    };
    assert_eq!(save(&copy, &mut report, &mut error), LIBKDUMP_LACKING, "{}", message(&error));
    assert_eq!((report.unreadable, report.missing, report.given_up), (4096, 4096, 0));
    let saved = Memory::new(std::fs::read(&copy).unwrap());
    std::fs::remove_file(&copy).unwrap();
    let again = open(&saved, LIBKDUMP_OPEN_ZERO_EXCLUDED).unwrap();
    let mut info: libkdump_dump_info = sized();
    assert_eq!(common::libkdump_dump_get_info(again.0, &raw mut info, null_mut()), LIBKDUMP_OK);
    assert_eq!((info.complete, info.missing, info.unreadable, info.unfinished), (0, 4096, 0, 0));
    // Over the source itself nothing is written.
    assert_eq!(save(&path, &mut report, &mut error), LIBKDUMP_ERR_REFUSED);
    assert!(message(&error).contains("destroy"), "{}", message(&error));
    assert_eq!(std::fs::read(&path).unwrap(), whole[..whole.len() - 4096]);
    std::fs::remove_file(&path).unwrap();
}

/// The first table of pages for `VMALLOC`.
const LAST_TABLE: usize = 0x2_3000;
const VMALLOC: u64 = 0xffff_c900_0000_0000;

/// A dump whose page tables map a page at `VMALLOC`. The table with its entry is excluded when
/// `lost`.
fn mapped(lost: bool) -> Vec<u8> {
    let mut tables = dumpgen::PageTableImage::new(0x4_0000, 0x2_0000, 4);
    tables.map(VMALLOC, 0x5000, 1);
    tables.put(0x5008, 0x1234);
    let info = format!("SYMBOL(swapper_pg_dir)={:x}\nNUMBER(phys_base)=0\n", 0xffff_ffff_8002_0000_u64);
    let file =
        CoreFile::x86_64().with(Segment::notes(&dumpgen::note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())));
    if !lost {
        return file.with(Segment::load(0, &tables.memory)).build();
    }
    let stored = Segment::load(0, &tables.memory[..LAST_TABLE]);
    file.with(Segment { p_memsz: Some(tables.memory.len() as u64), ..stored }).build()
}

fn read_virt(dump: &Open, vaddr: u64) -> (c_int, u64, libkdump_error) {
    let (mut value, mut error) = (0_u64, sized());
    let start = (&raw mut value).cast();
    let code = common::libkdump_dump_read_virt(dump.0, vaddr, start, 8, null_mut(), &raw mut error);
    (code, value, error)
}

#[test]
fn a_lost_page_table_is_neither_not_mapped_nor_zeros() {
    for flags in [0, LIBKDUMP_OPEN_ZERO_EXCLUDED] {
        let memory = Memory::new(mapped(true));
        let dump = open(&memory, flags).unwrap();
        let (code, _, error) = read_virt(&dump, VMALLOC + 8);
        assert_eq!(code, LIBKDUMP_ERR_EXCLUDED, "{}", message(&error));
        assert_eq!(error.address, VMALLOC + 8);
        assert!(message(&error).contains("page table of level 1"), "{}", message(&error));
        let (code, ..) = read_virt(&dump, VMALLOC + 0x20_0000);
        assert_eq!(code, LIBKDUMP_ERR_NOT_MAPPED);
    }
}

/// Memory whose next reads fail, and which reads the dump it serves.
struct Reentrant {
    bytes: Vec<u8>,
    dump: AtomicPtr<libkdump_dump>,
    failures: AtomicU32,
}

unsafe extern "C" fn reenter(user: *mut c_void, at: u64, buf: *mut c_void, len: usize) -> c_int {
    let this = unsafe { &*user.cast::<Reentrant>() };
    let failures = this.failures.load(Ordering::Relaxed);
    if failures > 0 {
        this.failures.store(failures - 1, Ordering::Relaxed);
        return 5;
    }
    let dump = this.dump.swap(null_mut(), Ordering::Relaxed);
    if !dump.is_null() {
        let open = core::mem::ManuallyDrop::new(Open(dump));
        assert_eq!(read_virt(&open, VMALLOC + 8).1, 0x1234, "read inside a read");
    }
    let bytes = &this.bytes[at as usize..][..len];
    unsafe { core::ptr::copy_nonoverlapping(bytes.as_ptr(), buf.cast(), len) };
    0
}

#[test]
fn a_callback_may_fail_and_may_read_the_dump_it_serves() {
    let this =
        Reentrant { bytes: mapped(false), dump: AtomicPtr::new(null_mut()), failures: AtomicU32::new(0) };
    let user = (&raw const this).cast_mut().cast();
    let mut dump = null_mut();
    let size = this.bytes.len() as u64;
    let code =
        common::libkdump_dump_open_callback(size, Some(reenter), user, null(), &raw mut dump, null_mut());
    assert_eq!(code, LIBKDUMP_OK);
    let dump = Open(dump);
    // A piece of the table, then the entry alone.
    this.failures.store(2, Ordering::Relaxed);
    let (code, _, error) = read_virt(&dump, VMALLOC + 8);
    assert_eq!((code, error.os_errno), (LIBKDUMP_ERR_IO, 5), "{}", message(&error));
    // The first thing the handle has to find out is found out inside a callback.
    this.dump.store(dump.0, Ordering::Relaxed);
    assert_eq!(read_virt(&dump, VMALLOC + 8).1, 0x1234);
    assert!(this.dump.load(Ordering::Relaxed).is_null(), "the callback has read");
}
