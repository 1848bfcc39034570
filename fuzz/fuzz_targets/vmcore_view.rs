//! Any bytes as an elfcorehdr over any memory: both faces of the view, the reader's and that of
//! C, give the same verdict in the same words and the same file, and the reader's view reads
//! alike by offset and by address.
#![cfg_attr(not(feature = "one-program"), no_main)]

use core::ffi::{c_char, c_int, c_void};

use kdump_elf::{PT_LOAD, Paddr};
use kdump_ffi as _;
use kdump_fuzz::fuzz_target;
use kdump_vmcore::{MemoryImage, OldMemory, ReadAt, ViewOptions, VmcoreView};

type Callback = unsafe extern "C" fn(*mut c_void, u64, *mut c_void, usize) -> c_int;

/// `struct libkdump_error` and `struct libkdump_view`, as far as they are looked at.
#[repr(C)]
struct CError {
    size: u32,
    code: i32,
    os_errno: i32,
    flags: u32,
    numbers: [u64; 4],
    message: [c_char; 256],
}

#[repr(C)]
struct CView {
    size: u32,
    phnum: u32,
    damaged_notes: u32,
    note_phdrs: u32,
    file_size: u64,
    rest: [u64; 8],
}

unsafe extern "C" {
    fn libkdump_view_workspace_size(
        header: *const c_void,
        len: usize,
        page_size: u64,
        bytes: *mut u64,
        error: *mut CError,
    ) -> c_int;
    fn libkdump_view_init(
        view: *mut CView,
        header: *const c_void,
        len: usize,
        page_size: u64,
        workspace: *mut c_void,
        workspace_len: usize,
        read: Callback,
        user: *mut c_void,
        error: *mut CError,
    ) -> c_int;
    fn libkdump_view_read(
        view: *const CView,
        offset: u64,
        buf: *mut c_void,
        len: usize,
        done: *mut usize,
        error: *mut CError,
    ) -> c_int;
}

unsafe extern "C" fn read(user: *mut c_void, at: u64, buf: *mut c_void, len: usize) -> c_int {
    // SAFETY: `user` is the slice given below.
    let bytes = unsafe { *user.cast::<&[u8]>() };
    let found = usize::try_from(at).ok().and_then(|at| bytes.get(at..at.checked_add(len)?));
    let Some(found) = found else { return 14 };
    // SAFETY: the library gives `len` writable bytes.
    unsafe { core::ptr::copy_nonoverlapping(found.as_ptr(), buf.cast(), len) };
    0
}

fn text(error: &CError) -> String {
    error.message.iter().map(|&byte| byte as u8 as char).take_while(|&byte| byte != '\0').collect()
}

struct Face<'a> {
    view: CView,
    error: CError,
    memory: &'a [u8],
    /// What the view points into.
    _workspace: Vec<u8>,
}

impl<'a> Face<'a> {
    /// The view of C; boxed, as the callback's argument must not move.
    fn open(header: &[u8], memory: &'a [u8]) -> Result<Box<Self>, String> {
        let error = CError { size: 304, code: 0, os_errno: 0, flags: 0, numbers: [0; 4], message: [0; 256] };
        let view = CView { size: 88, phnum: 0, damaged_notes: 0, note_phdrs: 0, file_size: 0, rest: [0; 8] };
        let mut face = Box::new(Self { view, error, memory, _workspace: Vec::new() });
        let (start, len, mut need) = (header.as_ptr().cast(), header.len(), 0);
        // SAFETY: buffers of the sizes that are told, all of which outlive the view.
        let code =
            unsafe { libkdump_view_workspace_size(start, len, 4096, &raw mut need, &raw mut face.error) };
        if code != 0 {
            return Err(text(&face.error));
        }
        assert!(need <= 40 << 20, "{need}");
        let mut work = vec![0xee_u8; need as usize];
        let user = (&raw mut face.memory).cast();
        let (view, error) = (&raw mut face.view, &raw mut face.error);
        // SAFETY: as above.
        let code = unsafe {
            libkdump_view_init(
                view,
                start,
                len,
                4096,
                work.as_mut_ptr().cast(),
                work.len(),
                read,
                user,
                error,
            )
        };
        face._workspace = work;
        if code == 0 { Ok(face) } else { Err(text(&face.error)) }
    }

    /// Up to 4096 bytes at `offset`; `None` when they cannot be read.
    fn page(&mut self, offset: u64) -> Option<Vec<u8>> {
        let (mut bytes, mut done) = (vec![0; 4096], 0);
        let buf = bytes.as_mut_ptr().cast();
        // SAFETY: as above.
        let code = unsafe {
            libkdump_view_read(&raw const self.view, offset, buf, 4096, &raw mut done, &raw mut self.error)
        };
        bytes.truncate(done);
        (code == 0).then_some(bytes)
    }
}

fuzz_target!(|input: (&[u8], &[u8], u32)| {
    let (header, memory, at) = input;
    let image = MemoryImage::new(Paddr(0), memory);
    let _ = VmcoreView::from_memory(Paddr(u64::from(at)), image, ViewOptions::default())
        .map(|view| view.file_size());
    let rust = VmcoreView::from_header(header, image, ViewOptions::default());
    let (view, mut c) = match (rust, Face::open(header, memory)) {
        (Ok(view), Ok(c)) => (view, c),
        (Err(rust), Err(c)) => {
            let rust = rust.to_string();
            // A message of C may be cut.
            let c = c.strip_suffix("...").unwrap_or(&c);
            assert!(rust.strip_prefix("elfcorehdr: ").is_some_and(|rust| rust.starts_with(c)), "{rust}; {c}");
            return;
        }
        (rust, c) => panic!("{:?}; {:?}", rust.map(|_| ()), c.map(|_| ())),
    };
    let defects = view.defects().len() as u32;
    assert!(c.view.damaged_notes <= defects && defects <= 2 * c.view.damaged_notes);
    assert_eq!((view.file_size(), view.phdrs().len() as u32), (c.view.file_size, c.view.phnum));
    let loads = view.phdrs().iter().take(24).map(|phdr| phdr.p_offset & !4095);
    for offset in (0..8).map(|page| page * 4096).chain(loads).chain([view.file_size().saturating_sub(4096)]) {
        let mut bytes = vec![0; 4096];
        let len = 4096.min(view.file_size().saturating_sub(offset)) as usize;
        let rust = view.read_full_at(offset, &mut bytes[..len]).is_ok();
        let c = c.page(offset);
        assert_eq!(c.is_some(), rust, "at {offset:#x}");
        assert!(c.is_none_or(|c| c == bytes[..len]), "at {offset:#x}");
    }
    let mut by_offset = [0; 32];
    let mut by_address = [0; 32];
    for phdr in view.phdrs().iter().filter(|phdr| phdr.p_type == PT_LOAD && phdr.p_memsz >= 32).take(16) {
        let offset = view.read_full_at(phdr.p_offset, &mut by_offset).is_ok();
        let address = view.read_phys(Paddr(phdr.p_paddr), &mut by_address).is_ok();
        let alone = view.phdrs().iter().filter(|other| other.p_paddr == phdr.p_paddr).count() == 1;
        if offset && address && alone && view.phdrs().len() == 2 {
            assert_eq!(by_offset, by_address);
        }
    }
    let mut end = [0; 8];
    let _ = view.read_at(view.file_size(), &mut end).map(|count| assert_eq!(count, 0));
});
