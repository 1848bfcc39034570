//! The capture kernel's command line, edited by the rules the kernel parses it with.
//!
//! Blanks separate parameters, double quotes protect blanks, and a lone `--` ends the
//! kernel's part: what follows belongs to init
//! (Documentation/admin-guide/kernel-parameters.rst).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use crate::{Error, room};

/// What messages call it.
const WHAT: &str = "command line";

/// A command line that no parameter can vanish from unnoticed: no NUL, quotes balanced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    text: String,
}

impl CommandLine {
    /// Takes `text` as it is, without the newline or NUL that files of /proc end with.
    ///
    /// # Errors
    /// [`Error::CommandLineNul`] for a NUL inside, [`Error::Conflict`] when a quote is left
    /// open, because it would swallow every parameter appended, [`Error::OutOfMemory`].
    pub fn new(text: &str) -> Result<Self, Error> {
        let text = text.trim_end_matches(['\n', '\0']);
        if let Some(offset) = text.find('\0') {
            return Err(Error::CommandLineNul { offset: offset as u64 });
        }
        if text.matches('"').count() % 2 != 0 {
            return Err(Error::Conflict {
                what: "command line",
                reason: String::from("a double quote is left open and would swallow elfcorehdr="),
            });
        }
        Ok(Self { text: room::text(WHAT, text.trim_matches(is_blank))? })
    }

    /// A copy.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`], which [`Clone`] cannot say.
    pub fn try_clone(&self) -> Result<Self, Error> {
        Ok(Self { text: room::text(WHAT, &self.text)? })
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The kernel's own parameters, up to a lone `--`, quotes as written.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.words().map_while(|(word, _)| (word != "--").then_some(word))
    }

    /// The first control character and the byte it stands at. A tab, which separates parameters like a
    /// blank and is written on purpose, is none here.
    #[must_use]
    pub fn control_character(&self) -> Option<(usize, char)> {
        self.text.char_indices().find(|&(_, c)| c.is_control() && c != '\t')
    }

    /// Removes every kernel parameter called `name`, with or without a value, and returns how
    /// many there were. What follows `--` is init's and stays.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn remove(&mut self, name: &str) -> Result<usize, Error> {
        let kernel = self.words().map_while(|(word, at)| (word != "--").then_some((word, at)));
        let cuts = kernel.filter(|(word, _)| is_called(word, name)).map(|(_, at)| at);
        let cuts: Vec<Range<usize>> = room::collect(WHAT, cuts)?;
        let mut text = String::new();
        let mut from = 0_usize;
        for cut in &cuts {
            room::add(&mut text, WHAT, self.text.get(from..cut.start).unwrap_or_default())?;
            let behind = self.text.get(cut.end..).unwrap_or_default();
            // The blanks behind a word go with it.
            let blanks = behind.len().saturating_sub(behind.trim_start_matches(is_blank).len());
            from = cut.end.saturating_add(blanks);
        }
        let rest = self.text.get(from..).unwrap_or_default();
        if rest.is_empty() {
            text.truncate(text.trim_end_matches(is_blank).len());
        }
        room::add(&mut text, WHAT, rest)?;
        self.text = text;
        Ok(cuts.len())
    }

    /// Appends one parameter behind the kernel's last one, before a lone `--`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn append(&mut self, parameter: fmt::Arguments<'_>) -> Result<(), Error> {
        let end = self.words().find(|(word, _)| *word == "--").map(|(_, at)| at.start);
        let Some(end) = end else {
            let blank = if self.text.is_empty() { "" } else { " " };
            return room::print(&mut self.text, WHAT, format_args!("{blank}{parameter}"));
        };
        let (kernel, init) = self.text.split_at_checked(end).unwrap_or((&self.text, ""));
        let mut text = String::new();
        room::print(&mut text, WHAT, format_args!("{kernel}{parameter} {init}"))?;
        self.text = text;
        Ok(())
    }

    /// Checks the length against what the capture kernel takes.
    ///
    /// # Errors
    /// [`Error::CommandLineTooLong`] with both lengths; nothing is ever cut.
    pub fn check_length(&self, limit: u64) -> Result<(), Error> {
        let need = self.text.len() as u64;
        if need > limit { Err(Error::CommandLineTooLong { need, limit }) } else { Ok(()) }
    }

    /// Each word and where it stands.
    fn words(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        let mut at = 0_usize;
        core::iter::from_fn(move || {
            let rest = self.text.get(at..)?;
            let start = at.checked_add(rest.find(|c| !separates(c))?)?;
            let word = self.text.get(start..)?;
            let mut quoted = false;
            let length = word
                .char_indices()
                .find(|&(_, c)| {
                    quoted ^= c == '"';
                    !quoted && separates(c)
                })
                .map_or(word.len(), |(offset, _)| offset);
            at = start.checked_add(length)?;
            Some((word.get(..length)?, start..at))
        })
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the kernel takes for a blank between parameters.
pub(crate) const fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// Whether a new parameter begins behind `c`. The kernel knows no UTF-8 and takes the byte 0xa0, the no-break
/// space of Latin-1, for a blank: behind U+00E0, whose last byte it is, it finds a `--` (seen with Linux 6.1).
fn separates(c: char) -> bool {
    is_blank(c) || c.encode_utf8(&mut [0; 4]).as_bytes().last() == Some(&0xa0)
}

/// Whether `word` is parameter `name`; a quote may precede the name, and the kernel does not
/// tell `-` from `_` in names.
fn is_called(word: &str, name: &str) -> bool {
    let word = word.strip_prefix('"').unwrap_or(word);
    let found = word.split(['=', '"']).next().unwrap_or_default();
    let fold = |c: char| if c == '-' { '_' } else { c };
    found.chars().map(fold).eq(name.chars().map(fold))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> CommandLine {
        CommandLine::new(text).unwrap()
    }

    #[test]
    fn appended_parameters_stay_the_kernels() {
        for (text, expected) in [
            ("", "elfcorehdr=1K"),
            ("quiet\n", "quiet elfcorehdr=1K"),
            ("a -- b", "a elfcorehdr=1K -- b"),
            ("-- b", "elfcorehdr=1K -- b"),
            ("a=\"x -- y\" z", "a=\"x -- y\" z elfcorehdr=1K"),
            ("a --b", "a --b elfcorehdr=1K"),
            // The last byte is a blank to the kernel; the one in the middle does not make the rest `--`.
            ("x\u{e0}-- b", "x\u{e0}elfcorehdr=1K -- b"),
            ("x\u{2820}-- b", "x\u{2820}elfcorehdr=1K -- b"),
            ("x\u{2800}-- b", "x\u{2800}-- b elfcorehdr=1K"),
        ] {
            let mut edited = line(text);
            edited.append(format_args!("elfcorehdr={}K", 1)).unwrap();
            assert_eq!(edited.as_str(), expected);
        }
    }

    #[test]
    fn every_occurrence_goes_and_nothing_else() {
        for (text, expected, count) in [
            ("crashkernel=160M quiet crashkernel=72M,low", "quiet", 2),
            ("a=\"crashkernel=1M b\" crashkernel=\"1M\"", "a=\"crashkernel=1M b\"", 1),
            ("\"crashkernel=1M\"  x", "x", 1),
            ("mycrashkernel=1 crashkernels=2", "mycrashkernel=1 crashkernels=2", 0),
            ("x -- crashkernel=1", "x -- crashkernel=1", 0),
            ("crashkernel", "", 1),
        ] {
            let mut edited = line(text);
            assert_eq!(edited.remove("crashkernel").unwrap(), count, "{text}");
            assert_eq!(edited.as_str(), expected);
        }
        let mut many = line(&"crashkernel=1M x ".repeat(100_000));
        assert_eq!(many.remove("crashkernel").unwrap(), 100_000, "in one pass, or this takes minutes");
        assert_eq!(many.as_str().len(), 2 * 100_000 - 1);
        let mut edited = line("reset-devices x");
        assert_eq!(edited.remove("reset_devices").unwrap(), 1);
    }

    #[test]
    fn what_would_swallow_parameters_is_refused() {
        assert!(matches!(CommandLine::new("a=\"b"), Err(Error::Conflict { .. })));
        assert!(matches!(CommandLine::new("a\0b"), Err(Error::CommandLineNul { offset: 1 })));
    }

    #[test]
    fn too_long_is_said_with_both_lengths() {
        let error = line(&"x".repeat(2048)).check_length(2047).unwrap_err();
        assert!(matches!(error, Error::CommandLineTooLong { need: 2048, limit: 2047 }));
        line(&"x".repeat(2047)).check_length(2047).unwrap();
    }
}
