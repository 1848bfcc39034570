//! Opening the files of a recording, which may be anything a stranger packed.
//!
//! Nothing outside the root is opened, wherever symbolic links and `..` point: they are resolved
//! as if the root were the root of the file system (`openat2(2)`, RESOLVE_IN_ROOT, Linux 5.6).

use core::mem::MaybeUninit;
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, RawDir, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

/// No text read here is anywhere near this size: /proc/iomem with 40 000 ranges has 2 MiB,
/// /proc/cpuinfo of 8192 CPUs 13 MiB.
pub(crate) const TEXT_LIMIT: u64 = 16 << 20;

/// Only what is read, and a named pipe reads as empty instead of waiting for a writer.
const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC).union(OFlags::NOCTTY);
const DIRECTORY: OFlags = READ.union(OFlags::DIRECTORY);

/// How often a path is looked up again while somebody moves the recording about.
const ATTEMPTS: usize = 16;

/// How many links the kernel follows for one path (`path_resolution(7)`).
const LINKS: u32 = 40;

/// How many names one path may have with those its links stand for.
const STEPS: usize = 4096;

/// The directory `proc` and `sys` are in.
#[derive(Debug)]
pub(crate) enum Root {
    /// The root of the file system, which nothing can leave.
    Whole,
    /// A recording, or why it cannot be opened.
    Part(core::result::Result<OwnedFd, Errno>),
}

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        if std::fs::canonicalize(path).is_ok_and(|path| path == Path::new("/")) {
            return Self::Whole;
        }
        Self::Part(openat(CWD, path, DIRECTORY, Mode::empty()))
    }

    /// Opens a file for reading by its path under the root.
    pub(crate) fn open(&self, path: &str) -> Result<File> {
        match self {
            Self::Whole => {
                let mut options = OpenOptions::new();
                options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
                options.open(Path::new("/").join(path))
            }
            Self::Part(root) => Ok(File::from(open_in(root.as_ref().map_err(|error| *error)?, path, READ)?)),
        }
    }

    /// The names in a directory under the root, at most `limit`, and whether there are more.
    pub(super) fn names(&self, path: &str, limit: usize) -> Result<(Vec<String>, bool)> {
        let dir = match self {
            Self::Whole => openat(CWD, PathBuf::from("/").join(path), DIRECTORY, Mode::empty())?,
            Self::Part(root) => open_in(root.as_ref().map_err(|error| *error)?, path, DIRECTORY)?,
        };
        let mut names = Vec::new();
        // The longest name has 255 bytes.
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut entries = RawDir::new(dir, &mut buffer);
        while let Some(entry) = entries.next() {
            // What is no UTF-8 is no name of the kernel's.
            let entry = entry?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if matches!(name, "." | "..") {
                continue;
            }
            if names.len() == limit {
                return Ok((names, true));
            }
            names.try_reserve(1).map_err(|_| Error::from(ErrorKind::OutOfMemory))?;
            names.push(name.to_string());
        }
        Ok((names, false))
    }
}

/// Opens a path as if `root` were the root of the file system.
fn open_in(root: &OwnedFd, path: &str, flags: OFlags) -> core::result::Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    for _ in 0..ATTEMPTS {
        match openat2(root, path, flags, Mode::empty(), resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            // An older kernel, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => break,
            result => return result,
        }
    }
    walk(root, path, flags)
}

/// The same name by name, for kernels before 5.6: a link is read and its names are walked in its
/// place, from the root if it begins there. Nothing but names is ever given to the kernel, so that
/// nobody who exchanges a directory for a link meanwhile leads out of the root.
fn walk(root: &OwnedFd, path: &str, flags: OFlags) -> core::result::Result<OwnedFd, Errno> {
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut names = names_of(path.as_bytes());
    let mut links = LINKS;
    for _ in 0..STEPS {
        let dir = way.last().unwrap_or(root);
        let Some(name) = names.pop() else {
            return openat(dir, ".", flags | OFlags::NOFOLLOW, Mode::empty());
        };
        if name == b".." {
            way.pop();
            continue;
        }
        match readlinkat(dir, name.as_slice(), Vec::new()) {
            Ok(target) => {
                links = links.checked_sub(1).ok_or(Errno::LOOP)?;
                if target.as_bytes().starts_with(b"/") {
                    way.clear();
                }
                names.extend(names_of(target.as_bytes()));
            }
            // It is no link.
            Err(Errno::INVAL) if names.is_empty() => {
                return openat(dir, name.as_slice(), flags | OFlags::NOFOLLOW, Mode::empty());
            }
            Err(Errno::INVAL) => {
                let next = openat(dir, name.as_slice(), DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?;
                way.push(next);
            }
            Err(error) => return Err(error),
        }
    }
    Err(Errno::NAMETOOLONG)
}

/// The names of a path, the last one first.
fn names_of(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|&byte| byte == b'/').filter(|name| !matches!(*name, b"" | b"."));
    names.rev().map(<[u8]>::to_vec).collect()
}

/// Whether there is no such file, or no device behind it.
pub(super) fn is_absent(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// What [`read_limited`] found.
pub(super) enum Content {
    Whole(Vec<u8>),
    /// It has more than was allowed; so many bytes were read before that was known.
    TooLong(u64),
}

/// Reads a file of at most `limit` bytes. One that says it is longer is not read at all.
pub(super) fn read_limited(file: File, limit: u64) -> Result<Content> {
    if file.metadata()?.len() > limit {
        return Ok(Content::TooLong(0));
    }
    let mut content = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    let len = content.len() as u64;
    Ok(if len > limit { Content::TooLong(len) } else { Content::Whole(content) })
}

/// The text of a file.
///
/// # Errors
/// Those of reading, and for a file that has more than [`TEXT_LIMIT`] bytes or is no UTF-8.
pub(crate) fn read_text(root: &Root, path: &str) -> Result<String> {
    match read_limited(root.open(path)?, TEXT_LIMIT)? {
        Content::Whole(text) => {
            String::from_utf8(text).map_err(|error| Error::new(ErrorKind::InvalidData, error))
        }
        Content::TooLong(_) => {
            Err(Error::new(ErrorKind::InvalidData, format!("it has more than {TEXT_LIMIT:#x} bytes")))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A file of terabytes is told from its length.
    #[test]
    fn a_file_that_says_that_it_is_too_long_is_not_read() {
        let path = std::env::temp_dir().join(format!("kdump-long-{}", std::process::id()));
        let long = |len: u64| {
            File::create(&path).unwrap().set_len(len).unwrap();
            read_limited(File::open(&path).unwrap(), 1000).unwrap()
        };
        assert!(matches!(long(1000), Content::Whole(content) if content.len() == 1000));
        assert!(matches!(long(1001), Content::TooLong(0)));
        fs::remove_file(&path).unwrap();
    }

    /// What serves where the kernel cannot resolve inside a root.
    #[test]
    fn the_walk_follows_links_as_if_the_root_were_the_whole() {
        let place = std::env::temp_dir().join(format!("kdump-walk-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir_all(place.join("root/a/b")).unwrap();
        fs::write(place.join("root/a/b/file"), "in").unwrap();
        fs::write(place.join("secret"), "out").unwrap();
        symlink("b/file", place.join("root/a/link")).unwrap();
        symlink("../../..", place.join("root/a/up")).unwrap();
        symlink("/a/link", place.join("root/absolute")).unwrap();
        symlink(place.join("secret"), place.join("root/a/out")).unwrap();
        symlink("loop", place.join("root/loop")).unwrap();
        let root = openat(CWD, place.join("root"), DIRECTORY, Mode::empty()).unwrap();
        let outcome = |path: &str| walk(&root, path, READ).map(|_| ()).map_err(Some);
        let inside = [
            "a/b/file",
            "/a/b/file",
            "a/./b//file",
            "a",
            "",
            "a/link",
            "absolute",
            "a/up/a/link",
            "../a/b/../b",
        ];
        for path in inside {
            assert_eq!(outcome(path), Ok(()), "{path}");
        }
        for path in ["../secret", "a/../../secret", "a/up/secret", "a/out", "a/up"] {
            let whole = open_in(&root, path, READ).map(|_| ()).map_err(Some);
            assert_eq!(outcome(path), whole, "{path}");
        }
        assert!(
            outcome("../secret").is_err() && outcome("a/up/secret").is_err() && outcome("a/out").is_err()
        );
        assert_eq!(outcome("loop"), Err(Some(Errno::LOOP)));
        assert_eq!(outcome("a/b/file/c"), Err(Some(Errno::NOTDIR)));
        assert_eq!(outcome("not/there"), Err(Some(Errno::NOENT)));
        fs::remove_dir_all(&place).unwrap();
    }

    #[test]
    fn a_directory_gives_no_more_names_than_asked_for() {
        let place = std::env::temp_dir().join(format!("kdump-names-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        for name in ["a", "b", "c"] {
            fs::create_dir_all(place.join("dir").join(name)).unwrap();
        }
        let root = Root::new(&place);
        let (mut names, more) = root.names("dir", 3).unwrap();
        names.sort();
        assert_eq!((names.concat().as_str(), more), ("abc", false));
        let (names, more) = root.names("dir", 2).unwrap();
        assert_eq!((names.len(), more), (2, true));
        assert_eq!(Root::new(&place.join("no")).names("dir", 2).unwrap_err().kind(), ErrorKind::NotFound);
        fs::remove_dir_all(&place).unwrap();
    }
}
