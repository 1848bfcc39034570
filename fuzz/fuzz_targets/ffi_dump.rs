//! Any bytes as a dump through the C interface: no call may panic, whatever it answers.
#![cfg_attr(not(feature = "one-program"), no_main)]

use core::ffi::{c_char, c_int, c_void};
use core::ptr::{null, null_mut};

use kdump_ffi as _;
use kdump_fuzz::fuzz_target;

/// LIBKDUMP_ERR_PANIC.
const PANIC: c_int = -4101;

type Callback = unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> c_int;

unsafe extern "C" {
    fn libkdump_dump_open_callback(
        size: u64,
        read: Callback,
        user: *mut c_void,
        options: *const c_void,
        dump: *mut *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_dump_free(dump: *mut c_void);
    fn libkdump_dump_get_info(dump: *const c_void, out: *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dump_phdr(dump: *const c_void, index: u32, out: *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dump_range(dump: *const c_void, index: u32, out: *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dump_note(dump: *const c_void, index: u32, out: *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dump_cpu(dump: *const c_void, index: u32, out: *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dump_defect(dump: *const c_void, index: u32, out: *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dump_find_range(
        dump: *const c_void,
        paddr: u64,
        out: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_dump_page_state(dump: *const c_void, pfn: u64, state: *mut u32, error: *mut c_void) -> c_int;
    fn libkdump_dump_read_phys(
        dump: *const c_void,
        paddr: u64,
        buf: *mut c_void,
        len: usize,
        done: *mut usize,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_dump_read_virt(
        dump: *const c_void,
        vaddr: u64,
        buf: *mut c_void,
        len: usize,
        done: *mut usize,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_dump_register(
        dump: *const c_void,
        cpu: u32,
        name: *const c_char,
        value: *mut u64,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_dump_vmcoreinfo(
        dump: *const c_void,
        text: *mut *const c_void,
        len: *mut usize,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_dmesg_read(dump: *const c_void, dmesg: *mut *mut c_void, error: *mut c_void) -> c_int;
    fn libkdump_dmesg_record(dmesg: *const c_void, index: u32, out: *mut c_void, error: *mut c_void)
    -> c_int;
    fn libkdump_dmesg_free(dmesg: *mut c_void);
}

/// Room for any structure, its size set; aligned as the strictest one.
#[repr(align(8))]
struct Room([u8; 512]);

impl Room {
    fn new(size: u32) -> Self {
        let mut room = Self([0; 512]);
        room.0[..4].copy_from_slice(&size.to_ne_bytes());
        room
    }

    fn place(&mut self) -> *mut c_void {
        self.0.as_mut_ptr().cast()
    }
}

unsafe extern "C" fn read(user: *mut c_void, at: u64, buf: *mut c_void, len: usize) -> c_int {
    // SAFETY: `user` is the slice given at opening.
    let bytes = unsafe { *user.cast::<&[u8]>() };
    let Some(piece) = bytes.get(at as usize..).and_then(|rest| rest.get(..len)) else { return 14 };
    // SAFETY: the library gives `len` writable bytes.
    unsafe { core::ptr::copy_nonoverlapping(piece.as_ptr(), buf.cast(), len) };
    0
}

fuzz_target!(|input: (u32, u64, u16, &[u8])| {
    let (size, address, len, mut bytes) = input;
    // Any size up to the room: short and long structures are both legal.
    let size = size % 513;
    let mut error = Room::new(size.max(304));
    let error = error.place();
    let check = |code: c_int| assert_ne!(code, PANIC);
    let mut dump = null_mut();
    let user = (&raw mut bytes).cast();
    // SAFETY: pointers to locals that outlive the dump.
    let code =
        unsafe { libkdump_dump_open_callback(bytes.len() as u64, read, user, null(), &raw mut dump, error) };
    check(code);
    if code != 0 {
        return;
    }
    let mut out = Room::new(size);
    let mut buf = vec![0_u8; usize::from(len)];
    let start = buf.as_mut_ptr().cast();
    let (mut done, mut word, mut state, mut text, mut dmesg) = (0, 0, 0, null(), null_mut());
    // SAFETY: an open dump, places of the sizes that are told.
    unsafe {
        check(libkdump_dump_get_info(dump, out.place(), error));
        for index in (0..8).chain([u32::MAX]) {
            check(libkdump_dump_range(dump, index, out.place(), error));
            check(libkdump_dump_note(dump, index, out.place(), error));
            check(libkdump_dump_cpu(dump, index, out.place(), error));
            check(libkdump_dump_defect(dump, index, out.place(), error));
            check(libkdump_dump_phdr(dump, index, Room::new(0).place(), error));
            check(libkdump_dump_register(dump, index, c"rip".as_ptr(), &raw mut word, error));
        }
        check(libkdump_dump_find_range(dump, address, out.place(), error));
        check(libkdump_dump_page_state(dump, address, &raw mut state, error));
        check(libkdump_dump_read_phys(dump, address, start, buf.len(), &raw mut done, error));
        assert!(done <= buf.len());
        check(libkdump_dump_read_virt(dump, address, start, buf.len(), &raw mut done, error));
        assert!(done <= buf.len());
        check(libkdump_dump_vmcoreinfo(dump, &raw mut text, &raw mut done, error));
        let code = libkdump_dmesg_read(dump, &raw mut dmesg, error);
        check(code);
        if code == 0 {
            check(libkdump_dmesg_record(dmesg, 0, out.place(), error));
            libkdump_dmesg_free(dmesg);
        }
        libkdump_dump_free(dump);
    }
});
