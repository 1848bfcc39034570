//! Room on the file system of a new file: whether there is enough, and how much is left to others.

use std::fs::File;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::StatVfs;

use super::{WriteAt, device, draft};
use crate::error::Error;

/// Bytes after which what is free is asked for again: others write there as well.
const STEP: u64 = 16 << 20;

/// What becomes of a file that may be larger than there is room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnFull {
    /// It is written: most dumps are much smaller than they might be, and what fits is kept as an unfinished file.
    #[default]
    Keep,
    /// Nothing is written, and what an earlier attempt left stays.
    Stop,
}

/// Bytes that a file at `destination` may take on its file system, without those set aside for root, and with
/// those that an earlier attempt has left there, which is gone on with or removed first; `None` where that cannot be told. All bytes of a block device are free: it is written over.
#[must_use]
pub fn free_space(destination: &Path) -> Option<u64> {
    if destination.metadata().is_ok_and(|found| found.file_type().is_block_device()) {
        return device::capacity(&mut File::open(destination).ok()?).ok();
    }
    let directory = destination.parent().filter(|parent| !parent.as_os_str().is_empty());
    let system = rustix::fs::statvfs(directory.unwrap_or(Path::new("."))).ok()?;
    Some(free_of(&system).saturating_add(draft::room_of_leftover(destination)))
}

fn free_of(system: &StatVfs) -> u64 {
    system.f_bavail.saturating_mul(system.f_frsize)
}

/// Whether there is room for a file of at least `least` and at most `most` bytes where `free` are free and
/// `min_free` are to stay so.
pub(super) fn check(least: u64, most: u64, free: u64, min_free: u64, on_full: OnFull) -> Result<(), Error> {
    let need = match on_full {
        OnFull::Stop => most,
        // The file system says itself when it is full.
        OnFull::Keep if min_free == 0 => return Ok(()),
        OnFull::Keep => least,
    };
    if need.checked_add(min_free).is_some_and(|all| all <= free) {
        return Ok(());
    }
    Err(Error::NoSpace { need, free, min_free })
}

/// A new file that leaves others some room.
pub(super) struct Bounded<'a, F> {
    file: &'a File,
    /// Bytes that are free now.
    free: F,
    min_free: u64,
    /// Bytes that may be written before it is asked again.
    granted: u64,
    /// Where the file ends so far: what is written in front of it is taken for room it has.
    end: u64,
}

impl<'a> Bounded<'a, fn(&File) -> Option<u64>> {
    /// Of which `min_free` bytes of the file system stay free.
    pub(super) fn new(file: &'a File, min_free: u64) -> Self {
        let free = |file: &File| rustix::fs::fstatvfs(file).ok().map(|system| free_of(&system));
        Self { file, free, min_free, granted: 0, end: 0 }
    }
}

impl<F: Fn(&File) -> Option<u64>> Bounded<'_, F> {
    /// The same of a file that has `end` bytes already.
    pub(super) fn behind(self, end: u64) -> Self {
        Self { end, ..self }
    }

    /// Asks for room for `need` bytes.
    fn grant(&mut self, need: u64) -> Result<(), Error> {
        if self.min_free == 0 {
            return Ok(());
        }
        if self.granted < need {
            // Where it cannot be told the file system says itself when it is full.
            let free = (self.free)(self.file).unwrap_or(u64::MAX);
            let room = free.saturating_sub(self.min_free);
            if room < need {
                return Err(Error::NoSpace { need, free, min_free: self.min_free });
            }
            self.granted = room.min(STEP.max(need));
        }
        self.granted = self.granted.saturating_sub(need);
        Ok(())
    }
}

impl<F: Fn(&File) -> Option<u64>> WriteAt for Bounded<'_, F> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let end = offset.saturating_add(bytes.len() as u64);
        let new = end.saturating_sub(self.end.max(offset));
        if new > 0 {
            self.grant(new)?;
        }
        let mut file = self.file;
        WriteAt::write_all_at(&mut file, offset, bytes)?;
        self.end = self.end.max(end);
        Ok(())
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn sync(&mut self) -> Result<(), Error> {
        let mut file = self.file;
        WriteAt::sync(&mut file)
    }

    fn set_size(&mut self, size: u64) -> Result<(), Error> {
        let mut file = self.file;
        WriteAt::set_size(&mut file, size)
    }

    fn finish(&mut self, size: u64) -> Result<(), Error> {
        let mut file = self.file;
        WriteAt::finish(&mut file, size)
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;

    use super::*;

    #[test]
    fn what_does_not_fit_is_told_with_its_numbers() {
        let no = |need, free, min_free| Err(Error::NoSpace { need, free, min_free });
        assert_eq!(check(10, 100, 100, 0, OnFull::Stop), Ok(()));
        assert_eq!(check(10, 100, 99, 0, OnFull::Stop), no(100, 99, 0));
        assert_eq!(check(10, 100, 104, 5, OnFull::Stop), no(100, 104, 5));
        assert_eq!(check(10, 100, u64::MAX, u64::MAX, OnFull::Stop), no(100, u64::MAX, u64::MAX));
        // What fits is worth having; where not even the least does, nothing is begun.
        assert_eq!(check(10, 100, 0, 0, OnFull::Keep), Ok(()));
        assert_eq!(check(10, 100, 15, 5, OnFull::Keep), Ok(()));
        assert_eq!(check(10, 100, 14, 5, OnFull::Keep), no(10, 14, 5));
    }

    /// What a save has left is gone on with or removed: its room is no other's.
    #[test]
    fn what_an_earlier_save_left_is_room() {
        let dir = std::env::temp_dir().join(std::format!("kdump-room-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("copy.incomplete"), std::vec![1; 32 << 20]).unwrap();
        File::open(dir.join("copy.incomplete")).unwrap().sync_all().unwrap();
        // Others write at the same time.
        let more = || {
            let [with, without] = ["copy", "other"].map(|name| free_space(&dir.join(name)).unwrap());
            with.saturating_sub(without)
        };
        let found = (0..100).any(|_| (31 << 20..33 << 20).contains(&more()));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(found, "32 MiB of an unfinished file are not counted");
    }

    #[test]
    fn others_keep_their_room() {
        let path = std::env::temp_dir().join(std::format!("kdump-space-{}", std::process::id()));
        let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let (all, others) = (96 << 20, Cell::new(0));
        let used = |file: &File| file.metadata().map_or(0, |found| found.len());
        let free = |file: &File| Some(all - used(file) - others.get());
        let mut sink = Bounded { file: &file, free, min_free: 32 << 20, granted: 0, end: 0 };
        let mib = std::vec![1; 1 << 20];
        for at in 0..40 {
            sink.write_all_at(at << 20, &mib).unwrap();
        }
        // Somebody else fills the disk: no more than was granted is written after that.
        others.set(16 << 20);
        let full = (40..).find_map(|at| sink.write_all_at(at << 20, &mib).err().map(|error| (at, error)));
        let (at, error) = full.unwrap();
        assert!((48..64).contains(&at), "{at}");
        let left = all - (at << 20) - others.get();
        assert_eq!(error, Error::NoSpace { need: 1 << 20, free: left, min_free: 32 << 20 });
        // What is there can still be made to say that it is unfinished.
        sink.write_all_at(512, &mib[..512]).unwrap();
        sink.write_all_at((at << 20) - 512, &mib[..512]).unwrap();
        assert!(sink.write_all_at((at << 20) - 511, &mib[..512]).is_err());
        // Where nothing is to stay free the file system says itself when it is full.
        sink.min_free = 0;
        others.set(all - used(&file));
        sink.write_all_at((at << 20) - 511, &mib[..512]).unwrap();
    }
}
