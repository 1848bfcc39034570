// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes a VMCOREINFO text into a buffer of the caller, for kernels that describe
//! themselves.

use core::fmt::{self, Write};

use crate::Error;

/// Appends `KEY=VALUE` lines to a fixed buffer. A line that does not fit whole is not
/// written at all.
#[derive(Debug)]
pub struct VmcoreInfoWriter<'a> {
    out: &'a mut [u8],
    len: usize,
}

impl<'a> VmcoreInfoWriter<'a> {
    /// Begins an empty text in `out`.
    #[must_use]
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, len: 0 }
    }

    /// `key=value`.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit.
    pub fn line(&mut self, key: &str, value: impl fmt::Display) -> Result<(), Error> {
        self.append(format_args!("{key}={value}\n"))
    }

    /// `SYMBOL(name)=` a virtual address.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit.
    pub fn symbol(&mut self, name: &str, vaddr: u64) -> Result<(), Error> {
        self.append(format_args!("SYMBOL({name})={vaddr:x}\n"))
    }

    /// `SIZE(name)=` bytes.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit.
    pub fn size(&mut self, name: &str, bytes: u64) -> Result<(), Error> {
        self.append(format_args!("SIZE({name})={bytes}\n"))
    }

    /// `OFFSET(name)=` bytes, name being `struct.field`.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit.
    pub fn offset(&mut self, name: &str, bytes: u64) -> Result<(), Error> {
        self.append(format_args!("OFFSET({name})={bytes}\n"))
    }

    /// `LENGTH(name)=` elements.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit.
    pub fn length(&mut self, name: &str, count: u64) -> Result<(), Error> {
        self.append(format_args!("LENGTH({name})={count}\n"))
    }

    /// `NUMBER(name)=` a signed decimal.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit.
    pub fn number(&mut self, name: &str, value: i64) -> Result<(), Error> {
        self.append(format_args!("NUMBER({name})={value}\n"))
    }

    /// Bytes written so far.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    fn append(&mut self, line: fmt::Arguments<'_>) -> Result<(), Error> {
        let have = self.out.len() as u64;
        let rest = self.out.get_mut(self.len..).unwrap_or_default();
        let mut sink = Sink { rest, len: 0 };
        // Formatting into a sink that only counts what does not fit cannot fail.
        let written = sink.write_fmt(line).is_ok();
        let (fits, line_len) = (sink.len <= sink.rest.len(), sink.len);
        if !written || !fits {
            return Err(Error::Buffer { need: (self.len as u64).saturating_add(line_len as u64), have });
        }
        self.len = self.len.saturating_add(line_len);
        Ok(())
    }
}

/// Stores what fits and counts everything.
struct Sink<'a> {
    rest: &'a mut [u8],
    len: usize,
}

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.saturating_add(text.len());
        if let Some(target) = self.rest.get_mut(self.len..end) {
            target.copy_from_slice(text.as_bytes());
        }
        self.len = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VmcoreInfo;

    #[test]
    fn what_is_written_is_read() {
        let mut buffer = [0; 256];
        let mut writer = VmcoreInfoWriter::new(&mut buffer);
        writer.line("OSRELEASE", "1.0-test").unwrap();
        writer.symbol("_stext", 0xffff_8000_0000_0000).unwrap();
        writer.number("phys_base", -5).unwrap();
        writer.size("page", 64).unwrap();
        writer.offset("page.flags", 8).unwrap();
        writer.length("nodes", 3).unwrap();
        let info = VmcoreInfo::new(writer.text());
        assert_eq!(info.release(), Some("1.0-test"));
        assert_eq!(info.symbol("_stext"), Some(0xffff_8000_0000_0000));
        assert_eq!((info.number("phys_base"), info.size("page")), (Some(-5), Some(64)));
        assert_eq!((info.offset("page.flags"), info.length("nodes")), (Some(8), Some(3)));
    }

    #[test]
    fn a_line_that_does_not_fit_leaves_the_text_as_it_was() {
        let mut buffer = [0; 12];
        let mut writer = VmcoreInfoWriter::new(&mut buffer);
        writer.line("A", 1).unwrap();
        assert_eq!(writer.line("KEY", "too long"), Err(Error::Buffer { need: 17, have: 12 }));
        assert_eq!(writer.text(), b"A=1\n");
        writer.line("BCD", 123).unwrap();
        assert_eq!(writer.text(), b"A=1\nBCD=123\n");
    }
}
