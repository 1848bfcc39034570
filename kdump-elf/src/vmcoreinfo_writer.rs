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
    /// [`Error::Buffer`] when the line does not fit, [`Error::Field`] for what no line can say.
    pub fn line(&mut self, key: &str, value: impl fmt::Display) -> Result<(), Error> {
        self.append("", key, "", format_args!("{value}"))
    }

    /// `SYMBOL(name)=` a virtual address.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit, [`Error::Field`] for what no line can say.
    pub fn symbol(&mut self, name: &str, vaddr: u64) -> Result<(), Error> {
        self.append("SYMBOL(", name, ")", format_args!("{vaddr:x}"))
    }

    /// `SIZE(name)=` bytes.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit, [`Error::Field`] for what no line can say.
    pub fn size(&mut self, name: &str, bytes: u64) -> Result<(), Error> {
        self.append("SIZE(", name, ")", format_args!("{bytes}"))
    }

    /// `OFFSET(name)=` bytes, name being `struct.field`.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit, [`Error::Field`] for what no line can say.
    pub fn offset(&mut self, name: &str, bytes: u64) -> Result<(), Error> {
        self.append("OFFSET(", name, ")", format_args!("{bytes}"))
    }

    /// `LENGTH(name)=` elements.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit, [`Error::Field`] for what no line can say.
    pub fn length(&mut self, name: &str, count: u64) -> Result<(), Error> {
        self.append("LENGTH(", name, ")", format_args!("{count}"))
    }

    /// `NUMBER(name)=` a signed decimal.
    ///
    /// # Errors
    /// [`Error::Buffer`] when the line does not fit, [`Error::Field`] for what no line can say.
    pub fn number(&mut self, name: &str, value: i64) -> Result<(), Error> {
        self.append("NUMBER(", name, ")", format_args!("{value}"))
    }

    /// Bytes written so far.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        self.out.get(..self.len).unwrap_or_default()
    }

    /// A line whose key is `name` between `before` and `behind`.
    fn append(
        &mut self,
        before: &str,
        name: &str,
        behind: &str,
        value: fmt::Arguments<'_>,
    ) -> Result<(), Error> {
        let wrong = |byte: &u8| matches!(byte, b'=' | b'\n' | 0);
        if let Some(byte) = if name.is_empty() { Some(0) } else { name.bytes().find(wrong) } {
            let expected = "at least one character, and no '=', newline or NUL";
            return Err(Error::Field { field: "key of a VMCOREINFO line", value: byte.into(), expected });
        }
        let have = self.out.len() as u64;
        let rest = self.out.get_mut(self.len..).unwrap_or_default();
        let mut sink = Sink { rest, len: 0, ends: None };
        // Formatting into a sink that only counts what does not fit cannot fail.
        let written = write!(sink, "{before}{name}{behind}=").and_then(|()| sink.write_fmt(value)).is_ok();
        if let Some(byte) = sink.ends {
            let expected = "no newline or NUL";
            return Err(Error::Field { field: "value of a VMCOREINFO line", value: byte.into(), expected });
        }
        let written = written && sink.write_str("\n").is_ok();
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
    /// The first byte that would end the line or the text.
    ends: Option<u8>,
}

impl Write for Sink<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len.saturating_add(text.len());
        if let Some(target) = self.rest.get_mut(self.len..end) {
            target.copy_from_slice(text.as_bytes());
        }
        self.ends = self.ends.or(text.bytes().find(|byte| matches!(byte, b'\n' | 0)));
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

    #[test]
    fn what_would_be_another_line_is_refused() {
        let mut buffer = [0; 64];
        let mut writer = VmcoreInfoWriter::new(&mut buffer);
        for (key, value) in
            [("", "1"), ("A=B", "1"), ("A\nB", "1"), ("A", "1\nB=2"), ("A", "\0"), ("A\0", "1")]
        {
            let told = writer.line(key, value);
            assert!(matches!(told, Err(Error::Field { .. })), "{key:?} {value:?}: {told:?}");
        }
        assert!(matches!(writer.symbol("a)=1\nb", 1), Err(Error::Field { .. })));
        assert_eq!(writer.text(), b"");
        writer.line("A", "1=2").unwrap();
        assert_eq!(writer.text(), b"A=1=2\n");
    }
}
