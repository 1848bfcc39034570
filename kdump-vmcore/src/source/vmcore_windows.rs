//! /proc/vmcore, a window of it mapped at a time.

use core::sync::atomic::{AtomicBool, Ordering};
use std::fs::File;
use std::sync::Mutex;

use memmap2::{MmapOptions, MmapRaw};

use super::mapped_file::copy_out;
use crate::error::Error;
use crate::source::{FileId, ReadAt};

/// Bytes of a window, whose page tables are two or three pages; a power of two.
const WINDOW: u64 = 4 << 20;
/// Reads of fewer bytes do not move the window: those of page tables are of a few.
const SMALL: usize = 2048;

/// The dead kernel's memory as the capture kernel has it, read by copying out of a mapping.
///
/// To `pread(2)` the kernel maps and unmaps each page of /proc/vmcore by itself, which costs more than to copy
/// it. What a window cannot have is read by `pread(2)`, as everything is while another thread
/// uses the window.
#[derive(Debug)]
pub struct VmcoreWindows {
    file: File,
    size: u64,
    window: Mutex<Window>,
    /// No window was given at all.
    refused: AtomicBool,
}

/// A piece of the file.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    len: u64,
    /// `None` where the system refuses it.
    map: Option<MmapRaw>,
}

impl VmcoreWindows {
    /// Takes a file of procfs of which the beginning can be mapped: /proc/vmcore, which nobody makes shorter.
    ///
    /// # Errors
    /// Gives any other file back, /proc/kcore among them.
    pub fn new(file: File) -> Result<Self, File> {
        // Other files are no longer than what is mapped for sure for as long as nobody writes to them.
        let regular = file.metadata().is_ok_and(|found| found.is_file());
        if !regular || file.is_cacheable() {
            return Err(file);
        }
        Self::of(file)
    }

    /// The same of any file.
    fn of(file: File) -> Result<Self, File> {
        let size = ReadAt::size(&file).unwrap_or(0);
        let first = if size == 0 { None } else { Window::of(&file, 0, size) };
        let Some(window) = first.filter(|window| window.map.is_some()) else { return Err(file) };
        Ok(Self { file, size, window: Mutex::new(window), refused: AtomicBool::new(false) })
    }

    /// Reads from a window; 0 where that cannot be.
    fn copy(&self, offset: u64, buf: &mut [u8]) -> usize {
        if self.refused.load(Ordering::Relaxed) {
            return 0;
        }
        let Ok(mut window) = self.window.try_lock() else { return 0 };
        if !window.has(offset) {
            if buf.len() < SMALL {
                return 0;
            }
            let Some(next) = Window::of(&self.file, offset, self.size) else { return 0 };
            // Whoever refuses two neighbours refuses all: a system call for each would be for nothing.
            if next.map.is_none() && window.map.is_none() {
                self.refused.store(true, Ordering::Relaxed);
            }
            *window = next;
        }
        let inside = offset.saturating_sub(window.start);
        window.map.as_ref().map_or(0, |map| copy_out(map, inside, buf))
    }
}

impl Window {
    /// The one that has `offset`, mapped or refused; `None` behind the end.
    fn of(file: &File, offset: u64, size: u64) -> Option<Self> {
        let start = offset & !WINDOW.wrapping_sub(1);
        let len = size.saturating_sub(start).min(WINDOW);
        if offset >= size {
            return None;
        }
        let map = MmapOptions::new().offset(start).len(usize::try_from(len).ok()?).map_raw_read_only(file);
        Some(Self { start, len, map: map.ok() })
    }

    fn has(&self, offset: u64) -> bool {
        offset.checked_sub(self.start).is_some_and(|inside| inside < self.len)
    }
}

impl ReadAt for VmcoreWindows {
    fn size(&self) -> Result<u64, Error> {
        Ok(self.size)
    }

    fn file_id(&self) -> Option<FileId> {
        self.file.file_id()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        match self.copy(offset, buf) {
            0 => ReadAt::read_at(&self.file, offset, buf),
            count => Ok(count),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::vec::Vec;

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let name = std::format!("kdump-windows-{}-{:?}", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        let mut file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn bytes() -> Vec<u8> {
        (0..2 * WINDOW + 5000).map(|at| (at.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect()
    }

    /// Reads everything there is in pieces of `step`.
    fn all(source: &dyn ReadAt, step: usize) -> Vec<u8> {
        let (mut found, mut buf) = (Vec::new(), std::vec![0; step]);
        loop {
            match source.read_at(found.len() as u64, &mut buf).unwrap() {
                0 => return found,
                count => found.extend_from_slice(&buf[..count]),
            }
        }
    }

    #[test]
    fn windows_give_what_the_file_gives() {
        let bytes = bytes();
        let source = VmcoreWindows::of(file(&bytes)).unwrap();
        assert_eq!((source.size(), source.is_cacheable()), (Ok(bytes.len() as u64), false));
        for step in [1 << 20, 4096, 4096 + 8, 3 << 20] {
            assert!(all(&source, step) == bytes, "{step}");
        }
        // Behind the end, over it, and beside the window.
        let mut buf = [0xee; 4096];
        assert_eq!(source.read_at(bytes.len() as u64, &mut buf), Ok(0));
        assert_eq!(source.read_at(3 * WINDOW, &mut buf), Ok(0));
        assert_eq!(source.read_at(bytes.len() as u64 - 3, &mut buf), Ok(3));
        assert_eq!(source.read_at(7, &mut buf[..8]), Ok(8));
        assert_eq!(buf[..8], bytes[7..15]);
    }

    #[test]
    fn small_reads_leave_the_window_where_it_is() {
        let source = VmcoreWindows::of(file(&bytes())).unwrap();
        let start = || source.window.lock().unwrap().start;
        source.read_at(WINDOW + 1, &mut [0; 8]).unwrap();
        assert_eq!(start(), 0);
        source.read_at(WINDOW + 1, &mut [0; SMALL]).unwrap();
        assert_eq!(start(), WINDOW);
    }

    #[test]
    fn what_is_used_by_another_thread_is_read_without_it() {
        let bytes = bytes();
        let source = VmcoreWindows::of(file(&bytes)).unwrap();
        let held = source.window.lock().unwrap();
        assert!(all(&source, 1 << 20) == bytes);
        drop(held);
    }

    #[test]
    fn what_cannot_be_mapped_is_read() {
        let bytes = bytes();
        let source = VmcoreWindows::of(file(&bytes)).unwrap();
        // Write only: no window of it is given, but nor is anything read.
        let path = std::format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&source.file));
        let deaf = File::options().write(true).open(path).unwrap();
        let refused = Window::of(&deaf, WINDOW, bytes.len() as u64).unwrap();
        assert!(refused.map.is_none() && refused.has(WINDOW));
        *source.window.lock().unwrap() = refused;
        let mut buf = std::vec![0; SMALL];
        assert_eq!(source.read_at(WINDOW, &mut buf), Ok(SMALL));
        assert!(buf == bytes[WINDOW as usize..][..SMALL]);
        source.refused.store(true, Ordering::Relaxed);
        assert!(all(&source, 1 << 20) == bytes);
    }

    #[test]
    fn other_files_are_given_back() {
        for path in ["/proc/self/status", "/proc/self/maps", "/dev/zero", "/tmp"] {
            assert!(VmcoreWindows::new(File::open(path).unwrap()).is_err(), "{path}");
        }
        assert!(VmcoreWindows::new(file(&[1; 8192])).is_err(), "it may be made shorter");
        assert!(VmcoreWindows::of(file(&[])).is_err());
    }
}
