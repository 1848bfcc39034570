//! Every allocation of every long call fails once, and from there on: the call ends, the process
//! does not, and nothing is printed.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::alloc::{GlobalAlloc, Layout};
use core::ffi::{c_int, c_void};
use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::alloc::System;
use std::ffi::CString;
use std::path::Path;

use common::{Memory, libkdump_plan_options, sized};
use kdump_ffi::Reserve;
use kdump_ffi_core::{LIBKDUMP_ERR_NO_MEMORY, LIBKDUMP_OK};

/// How many allocations succeed before one fails; negative for none that fails.
static LEFT: AtomicI64 = AtomicI64::new(-1);
/// Whether all behind it fail too.
static FOR_GOOD: AtomicBool = AtomicBool::new(false);

struct Failing;

impl Failing {
    fn fails() -> bool {
        match LEFT.load(Ordering::Relaxed) {
            left if left < 0 => false,
            0 => {
                if !FOR_GOOD.load(Ordering::Relaxed) {
                    LEFT.store(-1, Ordering::Relaxed);
                }
                true
            }
            left => {
                LEFT.store(left - 1, Ordering::Relaxed);
                false
            }
        }
    }
}

unsafe impl GlobalAlloc for Failing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Self::fails() { null_mut() } else { unsafe { System.alloc(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Self::fails() { null_mut() } else { unsafe { System.realloc(block, layout, size) } }
    }
}

#[global_allocator]
static ALLOCATOR: Reserve<Failing> = Reserve(Failing);

unsafe extern "C" {
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn _exit(status: c_int) -> !;
    fn dup2(old: c_int, new: c_int) -> c_int;
}

/// How a call ended in a process of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    NoMemory,
    Other,
    /// All allocations there are succeeded.
    Behind,
    Killed,
}

/// Runs `call` in a child in which the allocation `nth` fails. What the child prints goes to `said`.
fn with_failure(nth: i64, for_good: bool, said: c_int, call: &dyn Fn() -> c_int) -> End {
    let child = unsafe { fork() };
    if child == 0 {
        unsafe { dup2(said, 2) };
        FOR_GOOD.store(for_good, Ordering::Relaxed);
        LEFT.store(nth, Ordering::Relaxed);
        let code = call();
        let left = LEFT.swap(-1, Ordering::Relaxed);
        let status = match code {
            _ if left > 0 => 3,
            LIBKDUMP_OK => 0,
            LIBKDUMP_ERR_NO_MEMORY => 1,
            _ => 2,
        };
        unsafe { _exit(status) };
    }
    let mut status = 0;
    assert_eq!(unsafe { waitpid(child, &raw mut status, 0) }, child);
    match (status & 0x7f, status >> 8) {
        (0, 0) => End::Done,
        (0, 1) => End::NoMemory,
        (0, 2) => End::Other,
        (0, 3) => End::Behind,
        _ => End::Killed,
    }
}

unsafe extern "C" fn swallow(_user: *mut c_void, _offset: u64, _buf: *const c_void, _len: usize) -> c_int {
    0
}

#[test]
fn no_failed_allocation_ends_the_process() {
    // Made once, so that nothing of the tests is allocated where the library's fail.
    let _ = common::listed::Lists::of_headers();
    let memory = Box::new(Memory::new(common::dump_with_log()));
    let (size, read, user) = (memory.bytes.len() as u64, Some(common::read_memory as _), memory.user());
    let open = || {
        let mut dump = null_mut();
        let code = common::libkdump_dump_open_callback(size, read, user, null(), &raw mut dump, null_mut());
        (code, dump)
    };
    let (code, dump) = open();
    assert_eq!(code, LIBKDUMP_OK);
    // Of so many ranges that the list of them is larger than what is set aside.
    let loads = (0..30_000).map(|at| dumpgen::Segment::load(at << 13, &[7])).collect();
    let pieces = dumpgen::CoreFile { segments: loads, ..dumpgen::CoreFile::x86_64() }.build();
    let pieces = Box::new(Memory::new(pieces));
    let (many_size, many_user) = (pieces.bytes.len() as u64, pieces.user());
    let open_many = || {
        let mut dump = null_mut();
        let none = null_mut();
        let code =
            common::libkdump_dump_open_callback(many_size, read, many_user, null(), &raw mut dump, none);
        (code, dump)
    };
    let (code, many) = open_many();
    assert_eq!(code, LIBKDUMP_OK);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kdump-segments/tests/machines/bios-512m");
    let root = CString::new(root.to_str().unwrap()).unwrap();
    let collect = || {
        let mut machine = null_mut();
        (common::libkdump_machine_collect(root.as_ptr(), &raw mut machine, null_mut()), machine)
    };
    let (code, machine) = collect();
    assert_eq!(code, LIBKDUMP_OK);
    // Larger than what is set aside: such must fail where they are needed.
    let mut image = common::bzimage();
    image.resize(1_200_000, 0);
    let initrd = vec![7_u8; 1_100_000];
    let options = libkdump_plan_options {
        kernel_data: image.as_ptr().cast(),
        kernel_len: image.len() as u64,
        initrd_data: initrd.as_ptr().cast(),
        initrd_len: initrd.len() as u64,
        ..sized()
    };
    let plan = || {
        let mut plan = null_mut();
        (common::libkdump_plan_new(machine, &raw const options, &raw mut plan, null_mut()), plan)
    };
    let (code, planned) = plan();
    assert_eq!(code, LIBKDUMP_OK);
    let calls: [(&str, &dyn Fn() -> c_int); 9] = [
        ("open", &|| open().0),
        ("read", &|| {
            let (mut buf, mut done) = ([0_u8; 8], 0);
            let start = buf.as_mut_ptr().cast();
            common::libkdump_dump_read_virt(dump, 0xffff_8880_0010_0000, start, 8, &raw mut done, null_mut())
        }),
        ("ranges", &|| common::libkdump_dump_get_info(many, &mut sized(), null_mut())),
        ("dmesg", &|| common::libkdump_dmesg_read(dump, &mut null_mut(), null_mut())),
        ("verify", &|| common::libkdump_dump_verify(dump, None, null_mut(), &mut null_mut(), null_mut())),
        ("save", &|| {
            let none = null_mut();
            common::libkdump_dump_save_callback(
                dump,
                Some(swallow),
                none,
                null(),
                None,
                none,
                none,
                null_mut(),
            )
        }),
        ("collect", &|| collect().0),
        ("plan", &|| plan().0),
        ("preflight", &|| common::libkdump_plan_preflight(planned, &mut null_mut(), null_mut())),
    ];
    let said = std::fs::File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("no-memory-said")).unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&said);
    let (mut tried, mut killed) = (0, Vec::new());
    for (name, call) in calls {
        for for_good in [false, true] {
            let mut ends = [0; 3];
            for nth in 0.. {
                match with_failure(nth, for_good, fd, call) {
                    End::Behind => break,
                    End::Done => ends[0] += 1,
                    End::NoMemory => ends[1] += 1,
                    End::Other => ends[2] += 1,
                    End::Killed => killed.push((name, for_good, nth)),
                }
                tried += 1;
            }
            println!(
                "{name}, {}: done, no memory, other: {ends:?}",
                if for_good { "for good" } else { "once" }
            );
            // What these take fits in the reserve.
            let spared = ["read", "save"].contains(&name);
            assert!(ends[1] > 0 || spared, "{name}: no allocation failed");
        }
    }
    println!("{tried} failures, {} processes ended", killed.len());
    assert!(killed.is_empty(), "{killed:?}");
    assert_eq!(said.metadata().unwrap().len(), 0, "something was printed");
}
