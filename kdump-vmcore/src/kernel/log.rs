//! Records of the dead kernel's log, and what was wrong with it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;
use crate::room::push;

/// Who printed a record (CONFIG_PRINTK_CALLER).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// A task, by its thread number.
    Thread(u32),
    /// A CPU outside of task context.
    Cpu(u32),
}

impl Caller {
    /// Bit 31 of `caller_id` says which of the two it is.
    pub(crate) fn from_id(caller_id: u32) -> Self {
        const CPU: u32 = 1 << 31;
        if caller_id & CPU != 0 { Self::Cpu(caller_id & !CPU) } else { Self::Thread(caller_id) }
    }
}

/// One record of the log; its text may have several lines.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogRecord {
    /// Number since boot; the old record format has none and is counted from 0.
    pub seq: u64,
    /// Nanoseconds since boot.
    pub ts_nsec: u64,
    /// `LOG_EMERG` 0 to `LOG_DEBUG` 7.
    pub level: u8,
    /// Syslog facility, 0 for the kernel.
    pub facility: u8,
    /// Who printed it, where the kernel keeps that.
    pub caller: Option<Caller>,
    /// The text as bytes of the kernel; neither prefix nor final newline.
    pub text: Vec<u8>,
}

impl LogRecord {
    /// The text, with what is neither printable ASCII nor valid UTF-8 nor a tab escaped as
    /// `\x` and two hex digits.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.text.split(|&byte| byte == b'\n').map(escape).collect()
    }
}

/// The log and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dmesg {
    /// Records, oldest first.
    pub records: Vec<LogRecord>,
    /// Records that are in the ring but could not be read.
    pub lost: u64,
    /// What was damaged: the first 64 causes.
    pub defects: Vec<Error>,
}

const MAX_DEFECTS: usize = 64;
/// Records that are read: as many as `log_buf_len=16M` has descriptors.
const MAX_RECORDS: u64 = 1 << 19;
/// Records looked at in vain before the rest is given up: between the first and the last of a
/// log that is not damaged there are few, but a crafted one has as many as it likes.
const MAX_LOST: u64 = 1 << 16;
/// Characters of all texts as they are printed, which crafted page tables can make out of a few
/// pages; `log_buf_len=32M` has no room for more.
const MAX_TEXT: u64 = 32 << 20;

/// Characters that a byte of a text becomes, at most: the time in front of a line, an escape.
fn printed(byte: &u8) -> u64 {
    match byte {
        b'\n' => 16,
        b' '..=b'~' => 1,
        _ => 4,
    }
}

/// Whether there is more to read.
pub(crate) type Go = core::ops::ControlFlow<()>;

/// Counts what a log costs.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    records: u64,
    text: u64,
    in_vain: u64,
}

impl Dmesg {
    pub(crate) fn note(&mut self, error: Error) {
        if self.defects.len() < MAX_DEFECTS && self.defects.try_reserve(1).is_ok() {
            self.defects.push(error);
        }
    }

    pub(crate) fn lose(&mut self, error: Error) {
        self.lost = self.lost.saturating_add(1);
        self.note(error);
    }

    /// Adds what one place of the log holds; `None` is no complete record. Ends the log where
    /// it costs too much, which the last defect tells.
    pub(crate) fn take(&mut self, cost: &mut Cost, found: Result<Option<LogRecord>, Error>) -> Go {
        match found {
            Ok(Some(record)) => {
                cost.records = cost.records.saturating_add(1);
                cost.text = cost.text.saturating_add(record.text.iter().map(printed).sum());
                match push(&mut self.records, "the records of the log", record) {
                    Ok(()) => {}
                    Err(error) => return self.give_up(error),
                }
            }
            Ok(None) => cost.in_vain = cost.in_vain.saturating_add(1),
            Err(error @ Error::OutOfMemory { .. }) => return self.give_up(error),
            Err(error) => {
                cost.in_vain = cost.in_vain.saturating_add(1);
                self.lose(error);
            }
        }
        let reached = [
            ("number of records of the log, the others not counted,", cost.records, MAX_RECORDS),
            ("number of broken records of the log, the others not counted,", cost.in_vain, MAX_LOST),
            ("size of the texts of the log, the others not counted,", cost.text, MAX_TEXT),
        ];
        let over = reached.into_iter().find(|&(_, value, limit)| value > limit);
        over.map_or(Go::Continue(()), |(what, value, limit)| {
            self.give_up(Error::TooLarge { what, value, limit })
        })
    }

    /// Tells why the rest of the log is not read, in the place of the last defect if need be.
    fn give_up(&mut self, error: Error) -> Go {
        self.defects.truncate(MAX_DEFECTS.saturating_sub(1));
        self.note(error);
        Go::Break(())
    }
}

fn escape(line: &[u8]) -> String {
    let mut out = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                // Control characters end at U+009F.
                c if c.is_control() && c != '\t' => push_hex(&mut out, u32::from(c)),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|&byte| push_hex(&mut out, u32::from(byte)));
    }
    out
}

/// Appends `\x` and two digits.
fn push_hex(out: &mut String, byte: u32) {
    let digit = |value: u32| char::from_digit(value & 15, 16).unwrap_or('0');
    out.push_str("\\x");
    out.push(digit(byte >> 4));
    out.push(digit(byte));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_safe_to_print() {
        assert_eq!(escape(b"tab\there \x1b[31m \xff \xc3\xa4"), "tab\there \\x1b[31m \\xff \u{e4}");
        assert_eq!(Caller::from_id(0x8000_0003), Caller::Cpu(3));
        assert_eq!(Caller::from_id(77), Caller::Thread(77));
    }
}
