//! Saving in every format, and what pages were used for, as a C program asks for it.
#![allow(clippy::arithmetic_side_effects, clippy::cast_possible_truncation, reason = "tests may panic")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may panic")]
#![allow(
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "plays a C program"
)]

mod common;

use core::ffi::c_char;
use core::ptr::{null, null_mut};
use std::ffi::CString;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use common::{Memory, libkdump_dump, libkdump_save_options, libkdump_save_report, message, sized};
use dumpgen::{PageArray, PageRecord};
use kdump_ffi::{
    LIBKDUMP_COMPRESSION_LZO, LIBKDUMP_COMPRESSION_ZLIB, LIBKDUMP_EXCLUDE_FREE, LIBKDUMP_EXCLUDE_USER,
    LIBKDUMP_FORMAT_ELF, LIBKDUMP_FORMAT_FLATTENED, LIBKDUMP_FORMAT_KDUMP, LIBKDUMP_FORMAT_RAW,
    LIBKDUMP_SAVE_FLATTEN, LIBKDUMP_USE_CACHE, LIBKDUMP_USE_FREE, LIBKDUMP_USE_OTHER, LIBKDUMP_USE_USER,
    libkdump_classes, libkdump_classes_info, libkdump_classes_range, libkdump_dump_info,
};
use kdump_ffi_core::{
    LIBKDUMP_END, LIBKDUMP_ERR_INVALID, LIBKDUMP_ERR_IO, LIBKDUMP_ERR_NOT_FOUND, LIBKDUMP_ERR_TOO_LARGE,
    LIBKDUMP_ERR_UNSUPPORTED, LIBKDUMP_OK, libkdump_error,
};

const PAGES: u64 = 0x1000;

/// Free, of a process, of the page cache, and of the kernel, 256 pages each in turns, from page 0x400 on.
fn usual(pfn: u64) -> PageRecord {
    match (pfn, pfn / 256 % 4) {
        (..0x400, _) => PageRecord::KERNEL,
        (_, 0) if pfn % 256 == 0 => PageRecord::free(8),
        (_, 1) => PageRecord::USER,
        (_, 2) => PageRecord::CACHE,
        _ => PageRecord::KERNEL,
    }
}

struct Source {
    dump: *mut libkdump_dump,
    _memory: Box<Memory>,
}

impl Drop for Source {
    fn drop(&mut self) {
        common::libkdump_dump_free(self.dump);
    }
}

fn source(array: &PageArray) -> Source {
    let memory = Box::new(Memory::new(array.build()));
    let (size, mut dump) = (memory.bytes.len() as u64, null_mut());
    let read = Some(common::read_memory as _);
    let opened =
        common::libkdump_dump_open_callback(size, read, memory.user(), null(), &raw mut dump, null_mut());
    assert_eq!(opened, LIBKDUMP_OK);
    Source { dump, _memory: memory }
}

fn temporary(name: &str) -> (PathBuf, CString) {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let text = CString::new(path.to_str().unwrap()).unwrap();
    (path, text)
}

fn options(format: u32, compression: u32, exclude: u32, flags: u32) -> libkdump_save_options {
    libkdump_save_options { format, compression, exclude, flags, ..sized() }
}

fn save(
    source: &Source,
    path: &CString,
    options: &libkdump_save_options,
    report: &mut libkdump_save_report,
) -> i32 {
    common::libkdump_dump_save(source.dump, path.as_ptr(), options, None, null_mut(), report, null_mut())
}

/// The files as a dump: its format, whether it is complete, and the bytes of its RAM.
fn opened(names: &[&CString]) -> (u32, u32, u64) {
    let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
    let mut dump = null_mut();
    let mut error = sized();
    let code = common::libkdump_dump_open(names.as_ptr(), names.len(), null(), &raw mut dump, &raw mut error);
    assert_eq!(code, LIBKDUMP_OK, "{}", message(&error));
    let mut info: libkdump_dump_info = sized();
    assert_eq!(common::libkdump_dump_get_info(dump, &raw mut info, null_mut()), LIBKDUMP_OK);
    common::libkdump_dump_free(dump);
    (info.format, info.complete, info.memory)
}

#[test]
fn every_format_and_what_is_left_out() {
    let source = source(&PageArray::new(PAGES, usual));
    let (path, name) = temporary("classes-save");
    let quarter = (PAGES - 0x400) / 4;
    for (format, compression, flags, read_as) in [
        (LIBKDUMP_FORMAT_ELF, 0, 0, LIBKDUMP_FORMAT_ELF),
        (LIBKDUMP_FORMAT_KDUMP, 0, 0, LIBKDUMP_FORMAT_KDUMP),
        (LIBKDUMP_FORMAT_KDUMP, LIBKDUMP_COMPRESSION_ZLIB, 0, LIBKDUMP_FORMAT_KDUMP),
        (LIBKDUMP_FORMAT_KDUMP, LIBKDUMP_COMPRESSION_LZO, LIBKDUMP_SAVE_FLATTEN, LIBKDUMP_FORMAT_KDUMP),
        (LIBKDUMP_FORMAT_ELF, 0, LIBKDUMP_SAVE_FLATTEN, LIBKDUMP_FORMAT_ELF),
    ] {
        let exclude = LIBKDUMP_EXCLUDE_USER | LIBKDUMP_EXCLUDE_FREE;
        let options = options(format, compression, exclude, flags);
        let (mut report, mut before): (libkdump_save_report, libkdump_save_report) = (sized(), sized());
        let estimate =
            common::libkdump_dump_save_estimate(source.dump, &options, &raw mut before, null_mut());
        assert_eq!(estimate, LIBKDUMP_OK);
        assert_eq!(save(&source, &name, &options, &mut report), LIBKDUMP_OK);
        let size = std::fs::metadata(&path).unwrap().len();
        assert!(before.file_size >= size && before.memory == report.memory, "{before:?} {report:?}");
        assert_eq!((report.excluded_user, report.excluded_free), (quarter, quarter));
        assert_eq!((before.excluded_user, before.written), (quarter, 0));
        assert_eq!((report.excluded_cache, report.doubtful, report.undecided), (0, 0, 0));
        let stored = [report.pages_zero, report.pages_plain, report.pages_compressed];
        let pages = PAGES - 2 * quarter;
        let expected = if format == LIBKDUMP_FORMAT_ELF { 0 } else { pages };
        assert_eq!(stored.iter().sum::<u64>(), expected, "{stored:?}");
        assert_eq!(report.pages_compressed > pages / 2, compression != 0, "{stored:?}");
        let (found, complete, memory) = opened(&[&name]);
        assert_eq!((found, complete, memory), (read_as, 1, PAGES * 4096));
        // The same bytes into a descriptor.
        let (other, _) = temporary("classes-save-fd");
        let file = std::fs::File::create(&other).unwrap();
        let code = common::libkdump_dump_save_fd(
            source.dump,
            file.as_raw_fd(),
            &raw const options,
            None,
            null_mut(),
            null_mut(),
            null_mut(),
        );
        assert_eq!(code, LIBKDUMP_OK);
        assert!(std::fs::read(&other).unwrap() == std::fs::read(&path).unwrap());
    }
    // The memory alone.
    let raw = options(LIBKDUMP_FORMAT_RAW, 0, 0, 0);
    assert_eq!(save(&source, &name, &raw, &mut sized()), LIBKDUMP_OK);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), PAGES * 4096);
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let source = source(&PageArray::new(0x400, |_| PageRecord::KERNEL));
    let (_, name) = temporary("classes-refused");
    for (wrong, code) in [
        (options(LIBKDUMP_FORMAT_ELF, LIBKDUMP_COMPRESSION_LZO, 0, 0), LIBKDUMP_ERR_UNSUPPORTED),
        (options(LIBKDUMP_FORMAT_KDUMP, 99, 0, 0), LIBKDUMP_ERR_UNSUPPORTED),
        (options(LIBKDUMP_FORMAT_RAW, 0, 8, 0), LIBKDUMP_ERR_UNSUPPORTED),
        (options(LIBKDUMP_FORMAT_RAW, 0, 0, LIBKDUMP_SAVE_FLATTEN), LIBKDUMP_ERR_UNSUPPORTED),
        (options(LIBKDUMP_FORMAT_FLATTENED, 0, 0, 0), LIBKDUMP_ERR_UNSUPPORTED),
        (options(77, 0, 0, 0), LIBKDUMP_ERR_UNSUPPORTED),
        (options(LIBKDUMP_FORMAT_KDUMP, 0, 32, 0), LIBKDUMP_ERR_INVALID),
        (
            libkdump_save_options { level: 7, ..options(LIBKDUMP_FORMAT_KDUMP, 2, 0, 0) },
            LIBKDUMP_ERR_UNSUPPORTED,
        ),
        (
            libkdump_save_options { level: 7, ..options(LIBKDUMP_FORMAT_ELF, 0, 0, 0) },
            LIBKDUMP_ERR_UNSUPPORTED,
        ),
        (libkdump_save_options { reserved: 1, ..sized() }, LIBKDUMP_ERR_INVALID),
    ] {
        assert_eq!(save(&source, &name, &wrong, &mut sized()), code, "{wrong:?}");
        let estimate =
            common::libkdump_dump_save_estimate(source.dump, &raw const wrong, &mut sized(), null_mut());
        assert_eq!(estimate, code, "{wrong:?}");
    }
    // What the kernel does not tell is not guessed.
    let mut array = PageArray::new(0x400, |_| PageRecord::KERNEL);
    array.info = array.info.replace("SIZE(page)", "SIZE(other)");
    let source = self::source(&array);
    let filtered = options(LIBKDUMP_FORMAT_KDUMP, 0, LIBKDUMP_EXCLUDE_USER, 0);
    assert_eq!(save(&source, &name, &filtered, &mut sized()), LIBKDUMP_ERR_NOT_FOUND);
    let mut classes = null_mut();
    let classified = common::libkdump_dump_classify(source.dump, 1, &raw mut classes, null_mut());
    assert_eq!(classified, LIBKDUMP_ERR_NOT_FOUND);
}

#[test]
fn a_set_is_read_together() {
    let source = source(&PageArray::new(PAGES, usual));
    let names = [temporary("classes-set-1").1, temporary("classes-set-2").1];
    let paths = names.each_ref().map(|name| name.as_ptr());
    let split = |options: &libkdump_save_options, report: &mut libkdump_save_report| {
        let (paths, none) = (paths.as_ptr(), null_mut());
        common::libkdump_dump_save_split(source.dump, paths, 2, options, None, none, report, none.cast())
    };
    let mut report = sized();
    let lzo = options(LIBKDUMP_FORMAT_KDUMP, LIBKDUMP_COMPRESSION_LZO, LIBKDUMP_EXCLUDE_FREE, 0);
    assert_eq!(split(&lzo, &mut report), LIBKDUMP_OK);
    assert_eq!(report.excluded_free, (PAGES - 0x400) / 4);
    assert_eq!(opened(&[&names[1], &names[0]]), (LIBKDUMP_FORMAT_KDUMP, 1, PAGES * 4096));
    assert_eq!(opened(&[&names[0]]).1, 0, "one part is not all");
    assert_eq!(split(&sized(), &mut report), LIBKDUMP_ERR_UNSUPPORTED);
}

/// A count that is wrong has no paths behind it: none is looked at.
#[test]
fn the_number_of_files_is_judged_before_their_names() {
    let source = source(&PageArray::new(0x400, |_| PageRecord::KERNEL));
    let kdump = options(LIBKDUMP_FORMAT_KDUMP, 0, 0, 0);
    let nowhere: [*const c_char; 1] = [core::ptr::without_provenance(8)];
    for count in [257, usize::MAX / 8, usize::MAX] {
        let (mut report, mut error): (libkdump_save_report, libkdump_error) = (sized(), sized());
        let (paths, none) = (nowhere.as_ptr(), null_mut());
        let code = common::libkdump_dump_save_split(
            source.dump,
            paths,
            count,
            &raw const kdump,
            None,
            none,
            &raw mut report,
            &raw mut error,
        );
        assert_eq!(code, LIBKDUMP_ERR_TOO_LARGE, "{count}: {}", message(&error));
        assert!(message(&error).contains("the limit of 0x100"), "{}", message(&error));
        let mut dump = null_mut();
        let code = common::libkdump_dump_open(paths, count, null(), &raw mut dump, &raw mut error);
        assert_eq!((code, dump.is_null()), (LIBKDUMP_ERR_TOO_LARGE, true), "{count}: {}", message(&error));
        assert!(message(&error).contains("the limit of 0x100"), "{}", message(&error));
    }
    // None is no set of files either, to neither of them.
    let (mut dump, mut error): (_, libkdump_error) = (null_mut(), sized());
    let (paths, none, place) = (nowhere.as_ptr(), null_mut(), &raw mut error);
    let code = common::libkdump_dump_save_split(
        source.dump,
        paths,
        0,
        &raw const kdump,
        None,
        none,
        none.cast(),
        place,
    );
    assert_eq!(code, LIBKDUMP_ERR_INVALID, "{}", message(&error));
    assert!(message(&error).contains("count"), "{}", message(&error));
    assert_eq!(common::libkdump_dump_open(paths, 0, null(), &raw mut dump, null_mut()), LIBKDUMP_ERR_INVALID);
    // As many as there may be are looked at.
    let (_, name) = temporary("classes-no-such-file");
    let paths = [name.as_ptr(); 256];
    let mut dump = null_mut();
    let code = common::libkdump_dump_open(paths.as_ptr(), 256, null(), &raw mut dump, null_mut());
    assert_eq!(code, LIBKDUMP_ERR_IO);
}

#[test]
fn what_pages_were_used_for() {
    let source = source(&PageArray::new(PAGES, usual));
    let mut classes: *mut libkdump_classes = null_mut();
    assert_eq!(common::libkdump_dump_classify(source.dump, 2, &raw mut classes, null_mut()), LIBKDUMP_OK);
    drop(source);
    let mut info: libkdump_classes_info = sized();
    assert_eq!(common::libkdump_classes_get_info(classes, &raw mut info, null_mut()), LIBKDUMP_OK);
    let quarter = (PAGES - 0x400) / 4;
    assert_eq!((info.free, info.user, info.cache), (quarter, quarter, quarter));
    assert_eq!((info.doubtful, info.page_size, info.cache_private, info.undecided), (0, 4096, 0, 0));
    let page = |pfn: u64| {
        let mut used_for = 99;
        let code = common::libkdump_classes_page(classes, pfn, &raw mut used_for, null_mut());
        assert_eq!(code, LIBKDUMP_OK);
        used_for
    };
    let (mut cursor, mut behind, mut seen) = (0, 0, Vec::new());
    loop {
        let mut range: libkdump_classes_range = sized();
        match common::libkdump_classes_next(classes, &raw mut cursor, &raw mut range, null_mut()) {
            LIBKDUMP_OK => {}
            LIBKDUMP_END => break,
            code => panic!("{code}"),
        }
        assert_eq!((range.first, cursor), (behind, range.first + range.pages));
        for pfn in [range.first, range.first + range.pages - 1] {
            assert_eq!(page(pfn), range.used_for, "{pfn:#x}");
        }
        behind = cursor;
        seen.push(range.used_for);
    }
    assert_eq!(behind, PAGES);
    let turn = [LIBKDUMP_USE_FREE, LIBKDUMP_USE_USER, LIBKDUMP_USE_CACHE, LIBKDUMP_USE_OTHER];
    let expected = [[LIBKDUMP_USE_OTHER].as_slice(), &turn, &turn, &turn].concat();
    assert_eq!(seen, expected);
    assert_eq!(page(PAGES), LIBKDUMP_USE_OTHER);
    // From anywhere, also from the middle of a range.
    let (mut cursor, mut range) = (0x47f, sized());
    assert_eq!(
        common::libkdump_classes_next(classes, &raw mut cursor, &raw mut range, null_mut()),
        LIBKDUMP_OK
    );
    assert_eq!((range.first, range.pages, range.used_for), (0x47f, 0x81, LIBKDUMP_USE_FREE));
    common::libkdump_classes_free(classes);
}
