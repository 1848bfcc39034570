//! A flattened stream from standard input as the file it describes (`-R`).
//!
//! The stream: makedumpfile(8), "-F"; numbers are big endian, an offset in the file and a size in front of
//! the bytes, and -1 twice ends it.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use kdump_vmcore::Draft;

use super::{Options, refuse_existing};
use crate::failure::{CommandResult, Failure};
use crate::new_file::leftover;

/// Bytes of the block a stream begins with, and what stands in it first.
const HEAD: usize = 4096;
const SIGNATURE: &[u8; 16] = b"makedumpfile\0\0\0\0";
/// Bytes moved at once.
const PIECE: usize = 256 << 10;

/// How a stream ended.
#[derive(Debug, PartialEq, Eq)]
struct Arrived {
    bytes: u64,
    records: u64,
}

/// What kept a stream from being put together.
#[derive(Debug)]
enum Trouble {
    /// It is none, or one with an impossible record.
    Stream(String),
    /// It ended before its end.
    Cut(Arrived),
    Read(std::io::Error),
    Write(std::io::Error),
}

pub(super) fn from_stdin(options: &Options, to: &Path) -> CommandResult {
    refuse_existing(options, to)?;
    let mut input = std::io::stdin().lock();
    let named = |error: &dyn core::fmt::Display| Failure::new(format!("{}: {error}", to.display()));
    let draft = Draft::create(to, &[]).map_err(|error| named(&error))?;
    if draft.removed_leftover() {
        leftover(draft.name());
    }
    match rearrange(&mut input, draft.file()) {
        Ok(_) => {
            draft.keep().map_err(|error| named(&error))?;
            options.voice.say(&format!("The dumpfile is saved to {}.", to.display()));
            Ok(())
        }
        Err(Trouble::Stream(why)) => Err(Failure::new(format!("standard input: {why}"))),
        // What has come through a pipe does not come a second time.
        Err(Trouble::Read(error)) => {
            let kept = draft.leave();
            Err(Failure::new(format!("standard input: {error}; what arrived is in {}", kept.display())))
        }
        Err(Trouble::Write(error)) => {
            let kept = draft.leave();
            Err(named(&format!("{error}; what was written is in {}", kept.display())))
        }
        Err(Trouble::Cut(Arrived { bytes, records })) => {
            let kept = draft.leave();
            Err(Failure::new(format!(
                "standard input ended behind {bytes} bytes of {records} records, without the end of the stream; \
                 what they held is in {}",
                kept.display()
            )))
        }
    }
}

/// Writes each record to its place.
fn rearrange(input: &mut impl Read, output: &File) -> Result<Arrived, Trouble> {
    let mut arrived = Arrived { bytes: 0, records: 0 };
    let mut buffer = vec![0; PIECE];
    let head = buffer.get_mut(..HEAD).unwrap_or_default();
    fill(input, head, &mut arrived)?;
    if !head.starts_with(SIGNATURE) {
        return Err(Trouble::Stream("is no flattened stream, which begins with \"makedumpfile\"".to_owned()));
    }
    loop {
        let (mut offset, mut size) = ([0; 8], [0; 8]);
        fill(input, &mut offset, &mut arrived)?;
        fill(input, &mut size, &mut arrived)?;
        let (offset, size) = (i64::from_be_bytes(offset), i64::from_be_bytes(size));
        if (offset, size) == (-1, -1) {
            return Ok(arrived);
        }
        let end = u64::try_from(offset).ok().zip(u64::try_from(size).ok());
        let end =
            end.filter(|(offset, size)| offset.checked_add(*size).is_some_and(|end| end <= i64::MAX as u64));
        let Some((mut at, mut left)) = end else {
            let number = arrived.records;
            return Err(Trouble::Stream(format!(
                "record {number} has offset {offset} and size {size}, which no file has"
            )));
        };
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let piece = buffer.get_mut(..count).unwrap_or_default();
            fill(input, piece, &mut arrived)?;
            output.write_all_at(piece, at).map_err(Trouble::Write)?;
            at = at.saturating_add(count as u64);
            left = left.saturating_sub(count as u64);
        }
        arrived.records = arrived.records.saturating_add(1);
    }
}

/// Reads until `place` is full.
fn fill(input: &mut impl Read, place: &mut [u8], arrived: &mut Arrived) -> Result<(), Trouble> {
    let mut rest = place;
    while !rest.is_empty() {
        match input.read(rest) {
            Ok(0) => {
                return Err(Trouble::Cut(Arrived { ..*arrived }));
            }
            Ok(count) => {
                arrived.bytes = arrived.bytes.saturating_add(count as u64);
                rest = rest.get_mut(count..).unwrap_or_default();
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Trouble::Read(error)),
        }
    }
    Ok(())
}
