//! Saving to a descriptor and through a function: the same file, wherever it goes.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_sign_loss, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ffi::{c_int, c_void};
use core::ptr::null_mut;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use common::{Memory, libkdump_dump, libkdump_save_options, message, sized};
use kdump_ffi::{LIBKDUMP_FORMAT_KDUMP, LIBKDUMP_FORMAT_RAW, LIBKDUMP_SAVE_FLATTEN, libkdump_save_report};
use kdump_ffi_core::{
    LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_IO, LIBKDUMP_ERR_REFUSED, LIBKDUMP_ERR_UNSUPPORTED, LIBKDUMP_OK,
    libkdump_error,
};

struct Source {
    _memory: Box<Memory>,
    dump: *mut libkdump_dump,
}

impl Drop for Source {
    fn drop(&mut self) {
        common::libkdump_dump_free(self.dump);
    }
}

fn source() -> Source {
    let memory = Box::new(Memory::new(common::dump_with_log()));
    let mut dump = null_mut();
    let (size, read, user) = (memory.bytes.len() as u64, Some(common::read_memory as _), memory.user());
    let code =
        common::libkdump_dump_open_callback(size, read, user, core::ptr::null(), &raw mut dump, null_mut());
    assert_eq!(code, LIBKDUMP_OK);
    Source { _memory: memory, dump }
}

/// What libkdump_dump_save() makes of it.
fn expected(source: &Source, name: &str) -> Vec<u8> {
    let path = place(name);
    let text = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let none = core::ptr::null();
    let code = common::libkdump_dump_save(
        source.dump,
        text.as_ptr(),
        none,
        None,
        null_mut(),
        null_mut(),
        null_mut(),
    );
    assert_eq!(code, LIBKDUMP_OK);
    std::fs::read(path).unwrap()
}

/// A file that is in memory of the test: `user` points to it.
unsafe extern "C" fn write(user: *mut c_void, offset: u64, buf: *const c_void, len: usize) -> c_int {
    let file = unsafe { &mut *user.cast::<Vec<u8>>() };
    let end = offset as usize + len;
    if file.len() < end {
        file.resize(end, 0);
    }
    if !buf.is_null() {
        let bytes = unsafe { core::slice::from_raw_parts(buf.cast::<u8>(), len) };
        file[offset as usize..end].copy_from_slice(bytes);
    }
    0
}

unsafe extern "C" fn full(_user: *mut c_void, offset: u64, _buf: *const c_void, len: usize) -> c_int {
    if offset + len as u64 > 0x4000 { 28 } else { 0 }
}

#[test]
fn a_function_gets_the_file_that_would_be_saved() {
    let (source, mut file) = (source(), Vec::<u8>::new());
    let (user, none) = ((&raw mut file).cast(), core::ptr::null());
    let code = common::libkdump_dump_save_callback(
        source.dump,
        Some(write),
        user,
        none,
        None,
        null_mut(),
        null_mut(),
        null_mut(),
    );
    assert_eq!(code, LIBKDUMP_OK);
    assert!(file == expected(&source, "callback.elf"));
    let mut error = sized();
    let save = |write, error: *mut _| {
        common::libkdump_dump_save_callback(
            source.dump,
            write,
            null_mut(),
            none,
            None,
            null_mut(),
            null_mut(),
            error,
        )
    };
    assert_eq!((save(Some(full), &raw mut error), error.os_errno), (LIBKDUMP_ERR_IO, 28));
    assert_eq!(save(None, null_mut()), LIBKDUMP_ERR_INVALID);
}

#[test]
fn a_descriptor_gets_the_file_that_would_be_saved() {
    let source = source();
    let path = place("descriptor");
    let mut file = File::options().read(true).write(true).create(true).truncate(true).open(path).unwrap();
    file.seek(SeekFrom::Start(77)).unwrap();
    let none = core::ptr::null();
    let code = common::libkdump_dump_save_fd(
        source.dump,
        file.as_raw_fd(),
        none,
        None,
        null_mut(),
        null_mut(),
        null_mut(),
    );
    assert_eq!(code, LIBKDUMP_OK);
    assert_eq!(file.stream_position().unwrap(), 77, "the offset is the caller's");
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).unwrap();
    file.read_to_end(&mut bytes).unwrap();
    assert!(bytes == expected(&source, "descriptor.elf"));
}

/// The file behind a flattened stream.
fn arranged(stream: &[u8]) -> Vec<u8> {
    assert!(stream.starts_with(b"makedumpfile\0\0\0\0\0\0\0\0\0\0\0\x01"), "signature and type");
    let (mut file, mut rest) = (Vec::new(), &stream[4096..]);
    loop {
        let number = |at: usize| i64::from_be_bytes(rest[at..at + 8].try_into().unwrap());
        let (offset, size) = (number(0), number(8));
        if (offset, size) == (-1, -1) {
            assert_eq!(rest.len(), 16, "nothing behind the end");
            return file;
        }
        let (offset, size) = (offset as usize, size as usize);
        if file.len() < offset + size {
            file.resize(offset + size, 0);
        }
        file[offset..offset + size].copy_from_slice(&rest[16..16 + size]);
        rest = &rest[16 + size..];
    }
}

#[test]
fn a_pipe_gets_a_stream_that_can_be_put_in_order() {
    let source = source();
    let (mut reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
    let flattened = libkdump_save_options { flags: LIBKDUMP_SAVE_FLATTEN, ..sized() };
    let save = |options: *const libkdump_save_options| {
        common::libkdump_dump_save_fd(
            source.dump,
            writer.as_raw_fd(),
            options,
            None,
            null_mut(),
            null_mut(),
            null_mut(),
        )
    };
    assert_eq!(save(core::ptr::null()), LIBKDUMP_ERR_UNSUPPORTED, "an ELF core is not written in one go");
    let all = std::thread::scope(|scope| {
        let all = scope.spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).unwrap();
            all
        });
        assert_eq!(save(&raw const flattened), LIBKDUMP_OK);
        writer.shutdown(std::net::Shutdown::Write).unwrap();
        all.join().unwrap()
    });
    // Besides the note, which a stream has in any case, it is the file that would have been written at once.
    let arranged = kdump_vmcore::Dump::open(arranged(&all)).unwrap();
    assert!(arranged.completeness().is_complete());
    let mut again = Vec::new();
    let plan = kdump_vmcore::SavePlan::elf(&arranged).unwrap();
    plan.copy(&mut again, &mut |_| core::ops::ControlFlow::Continue(())).unwrap();
    assert!(again == expected(&source, "pipe.elf"));
}

fn place(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Saves into a file; what the call returned, said and reported.
fn save(
    dump: *const libkdump_dump,
    file: &File,
    options: libkdump_save_options,
) -> (c_int, String, libkdump_save_report) {
    let (mut report, mut error): (libkdump_save_report, libkdump_error) = (sized(), sized());
    let (fd, place) = (file.as_raw_fd(), (&raw mut report).cast());
    let (options, error_place) = (&raw const options, &raw mut error);
    let code = common::libkdump_dump_save_fd(dump, fd, options, None, null_mut(), place, error_place);
    (code, if code == LIBKDUMP_OK { String::new() } else { message(&error) }, report)
}

/// As an ELF core, a kdump-compressed file and a raw image, then as streams of the first two.
fn ways() -> [libkdump_save_options; 5] {
    let elf: libkdump_save_options = sized();
    let kdump = libkdump_save_options { format: LIBKDUMP_FORMAT_KDUMP, ..elf };
    let raw = libkdump_save_options { format: LIBKDUMP_FORMAT_RAW, ..elf };
    let stream = |way| libkdump_save_options { flags: LIBKDUMP_SAVE_FLATTEN, ..way };
    [elf, kdump, raw, stream(elf), stream(kdump)]
}

/// pwrite(2) to such a descriptor writes at the end of the file, whatever the offset.
#[test]
fn a_file_that_is_appended_to_takes_a_stream_only() {
    let (source, path) = (source(), place("append"));
    for way in ways() {
        std::fs::write(&path, b"before").unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        let (code, said, _) = save(source.dump, &file, way);
        let found = std::fs::read(&path).unwrap();
        if way.flags & LIBKDUMP_SAVE_FLATTEN != 0 {
            assert_eq!(code, LIBKDUMP_OK, "{said}");
            let found = arranged(found.strip_prefix(b"before").unwrap());
            assert!(kdump_vmcore::Dump::open(found).unwrap().completeness().is_complete());
        } else {
            assert_eq!(code, LIBKDUMP_ERR_REFUSED, "{said}");
            assert!(said.contains("O_APPEND") && said.contains("LIBKDUMP_SAVE_FLATTEN"), "{said}");
            assert!(found == b"before", "nothing is written");
        }
    }
}

#[test]
fn the_file_a_dump_is_read_from_is_not_written_over() {
    let (path, link) = (place("the-source"), place("the-source-linked"));
    let bytes = common::dump_with_log();
    std::fs::write(&path, &bytes).unwrap();
    let _ = std::fs::remove_file(&link);
    std::fs::hard_link(&path, &link).unwrap();
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    let (names, reading) = ([name.as_ptr()], File::open(&path).unwrap());
    for by_name in [true, false] {
        let mut dump = null_mut();
        let code = match by_name {
            true => {
                common::libkdump_dump_open(names.as_ptr(), 1, core::ptr::null(), &raw mut dump, null_mut())
            }
            false => common::libkdump_dump_open_fd(
                reading.as_raw_fd(),
                core::ptr::null(),
                &raw mut dump,
                null_mut(),
            ),
        };
        assert_eq!(code, LIBKDUMP_OK);
        for way in ways() {
            for append in [false, true] {
                let file = File::options().write(true).append(append).open(&link).unwrap();
                let (code, said, _) = save(dump, &file, way);
                assert_eq!(code, LIBKDUMP_ERR_REFUSED, "{said}");
                assert!(said.contains("the very file"), "{said}");
                assert!(std::fs::read(&path).unwrap() == bytes, "nothing is written");
            }
        }
        // Another file with the same bytes is another file.
        let file = File::create(place("the-copy")).unwrap();
        let (code, said, _) = save(dump, &file, sized());
        assert_eq!(code, LIBKDUMP_OK, "{said}");
        common::libkdump_dump_free(dump);
    }
}

#[test]
fn a_stream_goes_to_the_offset_and_counts_its_own_bytes() {
    let (source, path) = (source(), place("stream-at-77"));
    for way in ways().into_iter().filter(|way| way.flags & LIBKDUMP_SAVE_FLATTEN != 0) {
        // Longer than what comes: nothing is cut.
        std::fs::write(&path, vec![0x5a; 1 << 20]).unwrap();
        let mut file = File::options().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(77)).unwrap();
        let (code, said, report) = save(source.dump, &file, way);
        assert_eq!(code, LIBKDUMP_OK, "{said}");
        let end = file.stream_position().unwrap();
        assert_eq!(report.written, end - 77, "bytes of the stream");
        let found = std::fs::read(&path).unwrap();
        assert_eq!(found.len(), 1 << 20);
        let (before, rest) = found.split_at(77);
        let (stream, behind) = rest.split_at(end as usize - 77);
        assert!(before.iter().chain(behind).all(|&byte| byte == 0x5a));
        assert!(kdump_vmcore::Dump::open(arranged(stream)).unwrap().completeness().is_complete());
        // By name it is the same stream.
        let (name, mut named): (_, libkdump_save_report) = (place("stream-by-name"), sized());
        let text = std::ffi::CString::new(name.to_str().unwrap()).unwrap();
        let (options, none, to) = (&raw const way, null_mut(), &raw mut named);
        let code =
            common::libkdump_dump_save(source.dump, text.as_ptr(), options, None, none, to, null_mut());
        assert_eq!(code, LIBKDUMP_OK);
        assert_eq!(named.written, std::fs::metadata(name).unwrap().len());
    }
}
