//! A block device as the place for a dump: whether it may be written over, and writing in place.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::WriteAt;
use super::draft::failed;
use crate::error::Error;
use crate::source::{FileId, custom};

/// Bytes looked at before a device is written over.
const LOOK: usize = 1 << 20;

/// Signatures of what others keep on devices: offset, bytes, name. A dump may stand in front
/// of those that begin behind its header.
const SIGNATURES: &[(usize, &[u8], &str)] = &[
    (510, b"\x55\xaa", "a partition table or a boot sector"),
    (512, b"EFI PART", "a partition table (GPT)"),
    (0, b"LABELONE", "an LVM physical volume"),
    (512, b"LABELONE", "an LVM physical volume"),
    (1024, b"LABELONE", "an LVM physical volume"),
    (1536, b"LABELONE", "an LVM physical volume"),
    (0, b"LUKS\xba\xbe", "an encrypted volume (LUKS)"),
    (0, b"XFSB", "a file system (XFS)"),
    (1080, b"\x53\xef", "a file system (ext2, ext3 or ext4)"),
    (0x1_0040, b"_BHRfS_M", "a file system (btrfs)"),
    (4086, b"SWAPSPACE2", "swap space"),
    (65526, b"SWAPSPACE2", "swap space"),
];

/// Beginnings of dumps.
const DUMPS: &[&[u8]] = &[b"\x7fELF", b"KDUMP   ", b"DISKDUMP", b"makedumpfile"];

/// What a device begins with, if it is neither nothing nor a dump.
fn foreign(head: &[u8]) -> Option<&'static str> {
    let has = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    if let Some((_, _, name)) = SIGNATURES.iter().find(|(at, bytes, _)| has(*at, bytes)) {
        return Some(name);
    }
    let dump = DUMPS.iter().any(|signature| head.starts_with(signature));
    (!dump && head.iter().any(|&byte| byte != 0)).then_some("data that is no dump")
}

/// Opens a device for a dump of `size` bytes; nobody else uses it meanwhile. Unless `force`, it
/// holds nothing but zeros or a dump in its first MiB.
pub(super) fn open(path: &Path, sources: &[FileId], size: u64, force: bool) -> Result<File, Error> {
    // On a block device without O_CREAT: exclusive use (open(2)), which mounting is, too.
    let flags = custom(OFlags::EXCL | OFlags::NONBLOCK);
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path);
    let mut device = opened.map_err(failed("open the device for exclusive use (is it mounted?)"))?;
    let found = device.metadata().map_err(failed("look at the device"))?;
    if sources.contains(&FileId::of(&found)) {
        let reason = "writing it would destroy the very device that is to be read";
        return Err(Error::Refused { reason });
    }
    let capacity = capacity(&mut device)?;
    if capacity < size {
        return Err(Error::TooLarge { what: "size of the dump", value: size, limit: capacity });
    }
    if !force {
        let len = usize::try_from(capacity).unwrap_or(LOOK).min(LOOK);
        let mut head = crate::room::zeroed("the beginning of the device", len as u64)?;
        device.read_exact_at(&mut head, 0).map_err(failed("read what the device holds"))?;
        if let Some(found) = foreign(&head) {
            return Err(Error::Occupied { found });
        }
    }
    Ok(device)
}

/// Bytes that a device has.
pub(super) fn capacity(device: &mut File) -> Result<u64, Error> {
    device.seek(SeekFrom::End(0)).map_err(failed("find the size of the device"))
}

/// A block device keeps its old content where nothing is written.
pub(super) struct Device<'a>(pub(super) &'a File);

impl WriteAt for Device<'_> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.0;
        WriteAt::write_all_at(&mut file, offset, bytes)
    }

    fn is_sparse(&self) -> bool {
        false
    }

    fn sync(&mut self) -> Result<(), Error> {
        let mut file = self.0;
        WriteAt::sync(&mut file)
    }

    /// A device keeps its size.
    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_keep_is_recognised() {
        assert_eq!(foreign(&[0; LOOK]), None);
        for dump in DUMPS {
            let mut head = vec![0; LOOK];
            head[..dump.len()].copy_from_slice(dump);
            head[0x2000..].fill(7);
            // Memory may look like anything; these bytes are a part of it.
            head[0x1_0040..0x1_0048].copy_from_slice(b"________");
            assert_eq!(foreign(&head), None);
            for (at, bytes, name) in SIGNATURES {
                let mut head = head.clone();
                head[*at..at + bytes.len()].copy_from_slice(bytes);
                assert_eq!(foreign(&head), Some(*name));
            }
        }
        let mut head = vec![0; LOOK];
        head[LOOK - 1] = 1;
        assert_eq!(foreign(&head), Some("data that is no dump"));
        assert_eq!(foreign(b"XF"), Some("data that is no dump"));
    }

    /// A file stands in for a device: it is opened and looked at in the same way.
    #[test]
    fn what_may_not_be_written_over_is_refused() {
        let name = std::format!("kdump-device-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let id = |path| FileId::of(&std::fs::metadata(path).unwrap());
        std::fs::write(&path, [0; 8192]).unwrap();
        let open = |sources: &[FileId], size, force| open(&path, sources, size, force).map(drop);
        assert_eq!(open(&[], 8192, false), Ok(()));
        let limit = 8192;
        assert_eq!(
            open(&[], 8193, true),
            Err(Error::TooLarge { what: "size of the dump", value: 8193, limit })
        );
        assert!(matches!(open(&[id(&path)], 1, true), Err(Error::Refused { .. })));
        std::fs::write(&path, [1; 8192]).unwrap();
        assert_eq!(open(&[], 8192, false), Err(Error::Occupied { found: "data that is no dump" }));
        assert_eq!(open(&[], 8192, true), Ok(()));
        std::fs::remove_file(&path).unwrap();
    }
}
