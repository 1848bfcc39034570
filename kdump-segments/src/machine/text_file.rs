//! Numbers in the one-line files of sysfs, and how messages show text that is not understood.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Characters of a file's text that a message shows.
const SHOWN_CHARS: usize = 80;
/// Lines of a file that are reported one by one; the others are counted.
const SHOWN_LINES: usize = 16;

/// The beginning of `text` for a message: one line, control characters escaped.
pub(crate) fn shown(text: &[u8]) -> String {
    let text = text.trim_ascii();
    // No character has more than four bytes.
    let head = text.get(..SHOWN_CHARS.saturating_mul(4)).unwrap_or(text);
    let head = String::from_utf8_lossy(head);
    let mut out: String = head.chars().take(SHOWN_CHARS).flat_map(char::escape_debug).collect();
    if head.chars().count() > SHOWN_CHARS {
        out.push_str(&format!("… ({} bytes)", text.len()));
    }
    out
}

/// `text` as it is, or its beginning where it is longer than any that programs write.
pub(crate) fn bounded(text: &[u8]) -> String {
    const LONGEST: usize = 1024;
    if text.len() > LONGEST { shown(text) } else { String::from_utf8_lossy(text).into_owned() }
}

/// Lines that were left out, as sentences; a file of nothing else makes only a few.
#[derive(Debug, Default)]
pub(crate) struct BadLines {
    sentences: Vec<String>,
    more: usize,
}

impl BadLines {
    /// Line `index`, counted from 0, was left out because of `defect`.
    pub(crate) fn add(&mut self, index: usize, line: &[u8], defect: &str) {
        if self.sentences.len() < SHOWN_LINES {
            let number = index.saturating_add(1);
            self.sentences.push(format!("line {number} `{}` {defect} and was left out", shown(line)));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// All sentences, the last one with the number of lines not told one by one.
    pub(crate) fn into_sentences(mut self) -> Vec<String> {
        if self.more > 0 {
            self.sentences.push(format!("{} more lines like these were left out", self.more));
        }
        self.sentences
    }
}

/// Hexadecimal digits without anything else.
pub(crate) fn parse_hex(digits: &[u8]) -> Option<u64> {
    let digits = core::str::from_utf8(digits).ok()?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(digits, 16).ok()
}

/// A hexadecimal number with or without `0x`, blanks around it.
pub(crate) fn parse_hex_file(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    parse_hex(text.strip_prefix(b"0x").unwrap_or(text))
}

/// A decimal number, or a hexadecimal one that says so, blanks around it.
pub(crate) fn parse_number_file(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii();
    match text.strip_prefix(b"0x") {
        Some(digits) => parse_hex(digits),
        None => core::str::from_utf8(text).ok()?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_hex;

    #[test]
    fn a_sign_is_no_digit() {
        assert_eq!(parse_hex(b"1f"), Some(0x1f));
        assert_eq!([&b"+1f"[..], b"-1", b"", b"1g", b" 1"].map(parse_hex), [None; 5]);
    }
}
