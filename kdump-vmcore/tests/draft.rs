//! A file in the making: whose it is, what it replaces, and when it is on the disk.
// There rustix calls the C library, whose place this program takes: the calls would end in themselves.
#![cfg(not(target_arch = "s390x"))]
#![allow(unsafe_code, reason = "stands in for calls of the C library")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

mod place;

use core::cell::{Cell, RefCell};
use core::ffi::{CStr, c_char, c_int};
use core::ops::ControlFlow;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_vmcore::{Draft, Dump, Error, FileId, KdumpOptions, SaveFormat, SaveOptions, open_dump_file, save};
use place::Place;

/// What is asked of the system, in its order.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// Of a file or directory with this inode.
    Sync(u64),
    /// Of a file with this inode.
    Rename(u64),
}

std::thread_local! {
    static ASKED: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
    /// Calls to sync until one fails; 0 for none.
    static UNTIL_FAILURE: Cell<u32> = const { Cell::new(0) };
}

fn sync(fd: c_int) -> c_int {
    // SAFETY: whoever syncs a file has it open.
    let file = unsafe { BorrowedFd::borrow_raw(fd) };
    ASKED.with_borrow_mut(|asked| asked.push(Asked::Sync(rustix::fs::fstat(file).unwrap().st_ino)));
    let left = UNTIL_FAILURE.get();
    UNTIL_FAILURE.set(left.saturating_sub(1));
    if left == 1 { -1 } else { rustix::fs::fsync(file).map_or(-1, |()| 0) }
}

/// That of the C library, for this program.
#[unsafe(no_mangle)]
extern "C" fn fsync(fd: c_int) -> c_int {
    sync(fd)
}

/// That of the C library, for this program.
#[unsafe(no_mangle)]
extern "C" fn fdatasync(fd: c_int) -> c_int {
    sync(fd)
}

/// That of the C library, for this program.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: both are texts, as rename(2) has them.
    let from = unsafe { CStr::from_ptr(from) };
    // SAFETY: the same.
    let to = unsafe { CStr::from_ptr(to) };
    let inode = rustix::fs::stat(from).map_or(0, |found| found.st_ino);
    ASKED.with_borrow_mut(|asked| asked.push(Asked::Rename(inode)));
    rustix::fs::rename(from, to).map_or(-1, |()| 0)
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn dump() -> Dump<'static> {
    let notes = note(Wire::LE64, "VMCOREINFO", 0, b"OSRELEASE=6.1\nPAGESIZE=4096\n");
    let file = CoreFile { align: 0x1000, ..CoreFile::x86_64() }.with(Segment::notes(&notes));
    Dump::open(file.with(Segment::load(0x10_0000, &[7; 0x6000])).build()).unwrap()
}

fn formats() -> [SaveFormat; 4] {
    let options = KdumpOptions::default();
    [
        SaveFormat::Elf(kdump_vmcore::ElfOptions::default()),
        SaveFormat::Kdump(options),
        SaveFormat::Flattened(options),
        SaveFormat::FlattenedElf(kdump_vmcore::ElfOptions::default()),
    ]
}

#[track_caller]
fn refused(outcome: Result<Draft, Error>, part: &str) {
    match outcome {
        Err(Error::Refused { reason }) => assert!(reason.contains(part), "{reason}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_on_the_disk_before_it_has_its_name_and_then_the_name_is() {
    let place = Place::new("draft-order");
    let source = dump();
    for (index, format) in formats().into_iter().enumerate() {
        let name = place.at(&format!("vmcore{index}"));
        ASKED.take();
        let options = SaveOptions::default().format(format);
        save(&source, &name, options, &mut |_| ControlFlow::Continue(())).unwrap();
        let (file, dir) = (inode(&name), inode(place.dir()));
        let mut asked = ASKED.take();
        let end = asked.split_off(asked.len() - 3);
        assert_eq!(end, [Asked::Sync(file), Asked::Rename(file), Asked::Sync(dir)], "{format:?}");
        assert!(asked.iter().all(|asked| *asked == Asked::Sync(file)), "{asked:?}");
        assert_eq!(fs::metadata(&name).unwrap().mode() & 0o777, 0o600, "{format:?}");
    }
    assert_eq!(place.names(), ["vmcore0", "vmcore1", "vmcore2", "vmcore3"]);
}

/// Whichever sync fails, what was there stays, and nothing that may not be on the disk gets the name.
#[test]
fn what_cannot_be_synced_gets_no_name() {
    let place = Place::new("draft-sync");
    let (source, name) = (dump(), place.at("vmcore"));
    for format in formats() {
        let options = SaveOptions::default().format(format);
        let (mut syncs, mut kept) = (0, 0);
        for nth in 1.. {
            let _ = fs::remove_file(place.at("vmcore.incomplete"));
            fs::write(&name, "older").unwrap();
            ASKED.take();
            UNTIL_FAILURE.set(nth);
            let saved = save(&source, &name, options, &mut |_| ControlFlow::Continue(()));
            if UNTIL_FAILURE.take() != 0 {
                saved.unwrap();
                break;
            }
            syncs = nth;
            let failure = saved.unwrap_err();
            let placed = ASKED.take().iter().any(|asked| matches!(asked, Asked::Rename(_)));
            assert_eq!(fs::read(&name).unwrap() == b"older", !placed, "{format:?} {nth}: {failure}");
            // The first sync is of what says that nothing is there yet.
            if nth == 1 && !matches!(format, SaveFormat::Flattened(_) | SaveFormat::FlattenedElf(_)) {
                assert_eq!((failure.good, failure.kept), (0, None), "{format:?}");
                assert_eq!(place.names(), ["vmcore"]);
            } else if !placed {
                assert_eq!(
                    failure.kept.is_some(),
                    place.at("vmcore.incomplete").exists(),
                    "{nth}: {failure}"
                );
                kept += usize::from(failure.kept.is_some());
            }
        }
        assert!(syncs >= 2 && kept >= 1, "{format:?}: the file and its directory at least");
    }
}

#[test]
fn names_that_are_none_are_refused() {
    let place = Place::new("draft-names");
    fs::write(place.at("file"), "older").unwrap();
    fs::create_dir(place.at("dir")).unwrap();
    symlink("file", place.at("link")).unwrap();
    let create = |name: &Path| Draft::create(name, &[]);
    refused(create(Path::new("")), "empty name");
    refused(create(&place.at("new/")), "no name of a file");
    refused(create(&place.at("..")), "no name of a file");
    refused(create(&place.at("dir")), "directory");
    refused(create(&place.at("link")), "symbolic link");
    refused(create(Path::new("/dev/null")), "no regular file");
    let source = FileId::of(&fs::metadata(place.at("file")).unwrap());
    refused(Draft::create(&place.at("file"), &[source]), "destroy");
    assert_eq!(place.names(), ["dir", "file", "link"]);
    // As long as names may be, and alike at their beginnings.
    let [first, second] = ["a", "b"].map(|end| place.at(&format!("{}{end}", "x".repeat(254))));
    let drafts = [Draft::create(&first, &[]).unwrap(), Draft::create(&second, &[]).unwrap()];
    assert_ne!(drafts[0].name(), drafts[1].name());
    for draft in drafts {
        draft.keep().unwrap();
    }
    assert!(first.exists() && second.exists());
}

#[test]
fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
    let place = Place::new("draft-leftover");
    let (name, incomplete) = (place.at("vmcore"), place.at("vmcore.incomplete"));
    let draft = Draft::create(&name, &[]).unwrap();
    assert!(!draft.removed_leftover() && draft.name() == incomplete);
    refused(Draft::create(&name, &[]), "another process is writing it");
    drop(draft);
    assert_eq!(place.names(), [""; 0], "a draft that is given up leaves nothing");
    fs::write(&incomplete, "half of it").unwrap();
    let source = FileId::of(&fs::metadata(&incomplete).unwrap());
    refused(Draft::create(&name, &[source]), "the one to be read");
    assert_eq!(fs::read(&incomplete).unwrap(), b"half of it");
    let draft = Draft::create(&name, &[]).unwrap();
    assert!(draft.removed_leftover());
    draft.file().write_all(b"whole").unwrap();
    assert_eq!(draft.leave(), incomplete);
    assert_eq!(fs::read(&incomplete).unwrap(), b"whole");
    fs::remove_file(&incomplete).unwrap();
    fs::create_dir(&incomplete).unwrap();
    refused(Draft::create(&name, &[]), "taken by something that is no file");
    assert!(!name.exists());
}

#[test]
fn what_is_no_longer_the_draft_gets_no_name() {
    let place = Place::new("draft-renamed");
    let name = place.at("vmcore");
    fs::write(&name, "older").unwrap();
    let draft = Draft::create(&name, &[]).unwrap();
    fs::rename(draft.name(), place.at("taken")).unwrap();
    fs::write(draft.name(), "of another process").unwrap();
    let error = draft.keep().unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(fs::read(&name).unwrap(), b"older");
    assert_eq!(fs::read(place.at("vmcore.incomplete")).unwrap(), b"of another process");
}

#[test]
fn what_cannot_be_read_at_any_offset_is_no_dump() {
    let place = Place::new("draft-sources");
    fs::write(place.at("file"), "bytes").unwrap();
    assert!(open_dump_file(&place.at("file")).is_ok());
    let fifo = place.at("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    for (name, part) in
        [(PathBuf::new(), "empty name"), (place.dir().to_owned(), "directory"), (fifo, "FIFO")]
    {
        let error = open_dump_file(&name).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(File::open(place.at("none")).is_err());
}
