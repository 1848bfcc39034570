//! What this program shows: text that cannot command the terminal it is shown on.
//!
//! A dump, a recording or the name of a file may hold control characters, which move the cursor,
//! change titles or hide text, and marks of the writing direction, which show words in another
//! order than they are read in. They are shown as what they are, `\u{9b}`.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Whether this character is shown as its number: a control character of C0 or C1, DEL, a
/// separator of lines that is no newline, or a mark of the writing direction (Unicode Standard
/// Annex 9, "Explicit Directional Embedding", "Overrides", "Isolates" and "Marks").
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether this is ASCII without control characters but newlines, as most of what is shown.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    // To the end in any case: that is faster than an end in the middle.
    bytes.iter().fold(true, |plain, byte| plain & matches!(byte, b' '..=b'~' | b'\n'))
}

/// Text of a dump as one word or line of ours: newlines are escaped, too.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_command(c) { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// Bytes written at once: a map may have millions of lines.
pub(crate) const BUFFER: usize = 64 << 10;

/// A writer of text: whatever would command a terminal is escaped, but for newlines and tabs.
pub(crate) struct Text<W: Write>(W);

/// Standard output for people. For scripts there is [`crate::json::print`].
pub(crate) fn out() -> Text<BufWriter<StdoutLock<'static>>> {
    Text(BufWriter::with_capacity(BUFFER, io::stdout().lock()))
}

impl<W: Write> Text<W> {
    /// For a file that people show on a terminal later.
    pub(crate) fn over(writer: W) -> Self {
        Self(writer)
    }

    fn characters(&mut self, text: &str) -> io::Result<()> {
        let shown = |c: char| matches!(c, '\n' | '\t') || !is_command(c);
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| !shown(c)) {
            let (good, tail) = rest.split_at(at);
            self.0.write_all(good.as_bytes())?;
            write!(self.0, "{}", c.escape_default())?;
            rest = tail.get(c.len_utf8()..).unwrap_or_default();
        }
        self.0.write_all(rest.as_bytes())
    }
}

impl<W: Write> Write for Text<W> {
    /// Takes all of `bytes`. Formatting hands over whole strings, so that a character is never cut.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if is_plain(bytes) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        for chunk in bytes.utf8_chunks() {
            self.characters(chunk.valid())?;
            for byte in chunk.invalid() {
                write!(self.0, "\\x{byte:02x}")?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A line on standard error. It may be full or its reader gone: no message ends the work.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    // One write, so that lines of several programs do not mix.
    let mut line = Text(Vec::new());
    let _ = writeln!(line, "{text}");
    let _ = io::stderr().write_all(&line.0);
}

/// Says something on standard error, as `eprintln!` would.
macro_rules! tell {
    ($($text:tt)*) => { $crate::terminal::line(format_args!($($text)*)) };
}
pub(crate) use tell;

/// Lines of one kind that are told.
const SHOWN: usize = 16;

/// Says the first of `causes`, a line each behind `what`, and how many more there are.
pub(crate) fn tell_some<T: fmt::Display>(what: &str, causes: impl IntoIterator<Item = T>) {
    let mut causes = causes.into_iter();
    causes.by_ref().take(SHOWN).for_each(|cause| tell!("{what}: {cause}"));
    let more = causes.count();
    if more > 0 {
        tell!("{what}: \u{2026} and {more} more");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::{Path, PathBuf};

    use super::{Text, printable};

    fn shown(bytes: &[u8]) -> String {
        let mut text = Text(Vec::new());
        text.write_all(bytes).unwrap();
        String::from_utf8(text.0).unwrap()
    }

    #[test]
    fn a_dump_cannot_command_the_terminal() {
        assert_eq!(printable("6.1\x1b[2J\u{e4}\n"), "6.1\\u{1b}[2J\u{e4}\\n");
        assert_eq!(shown("\u{9b}31m\u{202e}x\ty\r\n".as_bytes()), "\\u{9b}31m\\u{202e}x\ty\\r\n");
        assert_eq!(shown(b"\x9b31m\xff"), "\\x9b31m\\xff");
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let direction = matches!(u32::from(c), 0x202a..=0x202e | 0x2066..=0x2069);
            let tame = c.is_ascii_graphic() || matches!(c, ' ' | '\n' | '\t' | '\u{a0}'..='\u{ff}');
            let text = shown(c.to_string().as_bytes());
            assert!(text == c.to_string() || !tame, "{text}");
            assert!(text != c.to_string() || !(direction || c.is_control()) || tame, "{text}");
        }
    }

    fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { sources(&path, found) } else { found.push(path) }
        }
    }

    /// Raw memory, JSON and this file: everything else goes through here.
    #[test]
    fn nobody_else_writes_to_the_terminal() {
        let mut files = Vec::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
        for path in files {
            let text = std::fs::read_to_string(&path).unwrap();
            let allowed = ["terminal.rs", "json.rs", "cmd/read.rs"].iter().any(|name| path.ends_with(name));
            assert!(allowed || !text.contains("stdout().lock()"), "{}", path.display());
            assert!(allowed || !text.contains("println!"), "{}", path.display());
        }
    }
}
