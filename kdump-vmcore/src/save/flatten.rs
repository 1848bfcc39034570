//! A file that is written in any order, as a stream: makedumpfile's flattened format.

use crate::error::Error;
use crate::source::{FLATTENED_END, FLATTENED_HEAD, flattened_head, flattened_record};

use super::WriteAt;

/// Makes a flattened stream of what is written and gives it to `output`, piece by piece.
///
/// No byte is given twice: readers of others take either one of two records. What no record gives is
/// zero. After an error nothing more is given, and every later write tells that error again: a piece of
/// which only a part arrived would take whatever follows for its rest.
#[derive(Debug)]
pub struct Flatten<F> {
    output: F,
    written: u64,
    failed: Option<Error>,
}

impl<F: FnMut(&[u8]) -> Result<(), Error>> Flatten<F> {
    /// Begins a stream.
    #[must_use]
    pub fn new(output: F) -> Self {
        Self { output, written: 0, failed: None }
    }

    /// Bytes that were given to the output.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    fn give(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        (self.output)(bytes).inspect_err(|error| self.failed = Some(*error))?;
        self.written = self.written.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Error> {
        if self.written == 0 {
            let mut head = [0; FLATTENED_HEAD];
            flattened_head(&mut head);
            self.give(&head)?;
        }
        Ok(())
    }
}

impl<F: FnMut(&[u8]) -> Result<(), Error>> WriteAt for Flatten<F> {
    fn write_all_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.begin()?;
        if bytes.is_empty() {
            return Ok(());
        }
        self.give(&flattened_record(offset, bytes.len() as u64))?;
        self.give(bytes)
    }

    fn is_sparse(&self) -> bool {
        true
    }

    fn rewrites(&self) -> bool {
        false
    }

    fn finish(&mut self, _size: u64) -> Result<(), Error> {
        self.begin()?;
        self.give(&FLATTENED_END)
    }
}
