//! Opening the files of a recording, which may be anything a stranger packed.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use alloc::format;
use alloc::string::String;

/// No text read here is anywhere near this size: /proc/iomem with 40 000 ranges has 2 MiB.
pub(crate) const TEXT_LIMIT: u64 = 64 << 20;

/// Opens a file for reading. A named pipe reads as empty instead of waiting for a writer.
pub(crate) fn open(path: &Path) -> Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The text of a file.
///
/// # Errors
/// Those of reading, and for a file that has more than [`TEXT_LIMIT`] bytes or is no UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let size = open(path)?.take(TEXT_LIMIT.saturating_add(1)).read_to_string(&mut text)?;
    if size as u64 > TEXT_LIMIT {
        return Err(Error::new(ErrorKind::InvalidData, format!("it has more than {TEXT_LIMIT:#x} bytes")));
    }
    Ok(text)
}
