//! Any bytes through the functions without handles: no call may panic or touch what is not its own.
#![cfg_attr(not(feature = "one-program"), no_main)]

use core::ffi::{c_char, c_int, c_void};

use kdump_ffi as _;
use kdump_fuzz::fuzz_target;

/// LIBKDUMP_ERR_PANIC.
const PANIC: c_int = -4101;

type Callback = unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> c_int;

unsafe extern "C" {
    fn libkdump_elfcorehdr_size(params: *const c_void, bytes: *mut u64, error: *mut c_void) -> c_int;
    fn libkdump_elfcorehdr_parse(
        buf: *const c_void,
        len: usize,
        out: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_elfcorehdr_phdr(
        buf: *const c_void,
        len: usize,
        index: u32,
        out: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_note_next(
        buf: *const c_void,
        len: usize,
        endian: u32,
        align: u64,
        cursor: *mut u64,
        out: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_prstatus_register_at(
        desc: *const c_void,
        len: usize,
        arch: u32,
        endian: u32,
        index: u32,
        out: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_vmcoreinfo_next(
        text: *const c_void,
        len: usize,
        cursor: *mut u64,
        out: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_vmcoreinfo_get(
        text: *const c_void,
        len: usize,
        key: *const c_char,
        buf: *mut c_char,
        buf_len: usize,
        value_len: *mut usize,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_view_workspace_size(
        header: *const c_void,
        len: usize,
        page_size: u64,
        bytes: *mut u64,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_view_init(
        view: *mut c_void,
        header: *const c_void,
        len: usize,
        page_size: u64,
        workspace: *mut c_void,
        workspace_len: usize,
        read: Callback,
        user: *mut c_void,
        error: *mut c_void,
    ) -> c_int;
    fn libkdump_view_read(
        view: *const c_void,
        offset: u64,
        buf: *mut c_void,
        len: usize,
        done: *mut usize,
        error: *mut c_void,
    ) -> c_int;
}

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

/// Old memory: the input over and over.
unsafe extern "C" fn read(user: *mut c_void, at: u64, buf: *mut c_void, len: usize) -> c_int {
    // SAFETY: `user` is the slice given below.
    let bytes = unsafe { *user.cast::<&[u8]>() };
    // SAFETY: the library gives `len` writable bytes.
    let buf = unsafe { core::slice::from_raw_parts_mut(buf.cast::<u8>(), len) };
    for (index, byte) in buf.iter_mut().enumerate() {
        let at = at.wrapping_add(index as u64) % (bytes.len().max(1) as u64);
        *byte = bytes.get(at as usize).copied().unwrap_or(0);
    }
    0
}

fuzz_target!(|input: (u32, u32, u64, u64, &[u8])| {
    let (size, index, page_size, offset, mut bytes) = input;
    let (start, len) = (bytes.as_ptr().cast::<c_void>(), bytes.len());
    let mut error = Room::new(304);
    let error = error.place();
    let check = |code: c_int| assert_ne!(code, PANIC);
    let mut out = Room::new(size % 513);
    // A structure from C whose fields are anything.
    let mut params = Room::new(size % 513);
    for (to, from) in params.0[4..].iter_mut().zip(bytes) {
        *to = *from;
    }
    let (mut word, mut cursor, mut done) = (0, 0, 0);
    // SAFETY: buffers of the sizes that are told.
    unsafe {
        check(libkdump_elfcorehdr_size(params.place(), &raw mut word, error));
        check(libkdump_elfcorehdr_parse(start, len, out.place(), error));
        check(libkdump_elfcorehdr_phdr(start, len, index, Room::new(0).place(), error));
        check(libkdump_prstatus_register_at(start, len, index % 12, 1 + index % 2, 3, out.place(), error));
        for _ in 0..4 {
            let before = cursor;
            let code = libkdump_note_next(start, len, 1 + index % 2, 4, &raw mut cursor, out.place(), error);
            check(code);
            assert!(code != 0 || cursor > before);
        }
        cursor = 0;
        while libkdump_vmcoreinfo_next(start, len, &raw mut cursor, Room::new(40).place(), error) == 0 {
            assert!(cursor <= len as u64 + 1);
        }
        let mut text = [0; 16];
        let key = c"PAGESIZE".as_ptr();
        check(libkdump_vmcoreinfo_get(start, len, key, text.as_mut_ptr(), 16, &raw mut done, error));
        let code = libkdump_view_workspace_size(start, len, page_size, &raw mut word, error);
        check(code);
        if code != 0 || word > 1 << 20 {
            return;
        }
        let mut workspace = vec![0_u8; word as usize];
        let mut view = Room::new(88);
        let user = (&raw mut bytes).cast();
        let work = workspace.as_mut_ptr().cast();
        let code =
            libkdump_view_init(view.place(), start, len, page_size, work, workspace.len(), read, user, error);
        check(code);
        if code == 0 {
            let mut piece = [0_u8; 300];
            let code = libkdump_view_read(
                view.place(),
                offset,
                piece.as_mut_ptr().cast(),
                300,
                &raw mut done,
                error,
            );
            assert!(code == 0 && done <= 300, "{code}");
        }
    }
});
