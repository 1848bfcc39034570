//! The few kernel symbols a plan needs, from /proc/kallsyms.

use alloc::collections::BTreeMap;
#[cfg(feature = "std")]
use alloc::vec::Vec;

use super::text_file::parse_hex;
#[cfg(feature = "std")]
use crate::{Error, room};

/// The symbols looked for.
pub(crate) const WANTED: [&str; 4] = ["_stext", "_text", "_end", "page_offset_base"];

/// Addresses of the wanted symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Symbols {
    by_name: BTreeMap<&'static str, u64>,
    hidden: bool,
}

impl Symbols {
    /// Looks through the text of /proc/kallsyms.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut symbols = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            symbols.add(line);
        }
        symbols
    }

    /// The address of a symbol.
    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).copied()
    }

    /// Whether the kernel shows zeros instead of addresses (kptr_restrict).
    pub(crate) fn hidden(&self) -> bool {
        self.hidden && self.by_name.is_empty()
    }

    fn add(&mut self, line: &[u8]) {
        if let Some((name, address)) = parse_wanted(line) {
            if address == 0 {
                self.hidden = true;
            } else {
                self.by_name.entry(name).or_insert(address);
            }
        }
    }
}

/// Name and address of a line, when it is a wanted symbol of the kernel proper: those of
/// modules have a fourth word.
pub(crate) fn parse_wanted(line: &[u8]) -> Option<(&'static str, u64)> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let (address, _kind, name) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() {
        return None;
    }
    let name = WANTED.into_iter().find(|wanted| wanted.as_bytes() == name)?;
    Some((name, parse_hex(address)?))
}

/// The lines of the wanted symbols only, as `read` hands out the text piece by piece until it
/// gives an empty piece. A line longer than any symbol's is passed over.
#[cfg(feature = "std")]
pub(crate) fn filter<E: From<Error>>(
    mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<Vec<u8>, E> {
    // Longer than that of any symbol; what is kept has no 4 KiB.
    const LINE_MAX: usize = 768;
    let mut kept = Vec::new();
    let mut line: Vec<u8> = Vec::new();
    let mut piece = room::zeroed("a piece of proc/kallsyms", 1 << 16)?;
    loop {
        let count = read(&mut piece)?;
        let Some(bytes) = piece.get(..count).filter(|bytes| !bytes.is_empty()) else {
            if line.len() < LINE_MAX {
                keep(&mut kept, &line);
            }
            return Ok(kept);
        };
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let room = LINE_MAX.saturating_sub(line.len()).min(part.len());
            line.extend_from_slice(part.get(..room).unwrap_or_default());
            if part.ends_with(b"\n") {
                // One that was cut may end in half a name.
                if line.len() < LINE_MAX {
                    keep(&mut kept, &line);
                }
                line.clear();
            }
        }
    }
}

/// Keeps a line at most once per symbol, so that the result is bounded.
#[cfg(feature = "std")]
fn keep(kept: &mut Vec<u8>, line: &[u8]) {
    let line = line.trim_ascii_end();
    let new = parse_wanted(line).is_some_and(|(name, _)| {
        !kept
            .split(|&byte| byte == b'\n')
            .any(|held| parse_wanted(held).is_some_and(|(other, _)| other == name))
    });
    if new {
        kept.extend_from_slice(line);
        kept.push(b'\n');
    }
}

/// A value read from kernel memory: lines of `symbol value`, the value hexadecimal, the last one of a
/// symbol counts.
pub(crate) fn value_of(text: &[u8], symbol: &str) -> Option<u64> {
    let value = |line: &[u8]| {
        let line = line.trim_ascii().strip_prefix(symbol.as_bytes())?.strip_prefix(b" ")?;
        parse_hex(line)
    };
    text.split(|&byte| byte == b'\n').filter_map(value).next_back()
}

#[cfg(test)]
#[cfg(feature = "std")]
mod tests {
    use alloc::string::String;

    use super::*;

    /// Hands `text` out in pieces of `size` bytes.
    fn filtered(text: &str, size: usize) -> String {
        let mut rest = text.as_bytes();
        let kept = filter::<Error>(|buffer| {
            let count = rest.len().min(size).min(buffer.len());
            let (piece, left) = rest.split_at(count);
            buffer[..count].copy_from_slice(piece);
            rest = left;
            Ok(count)
        });
        String::from_utf8(kept.unwrap()).unwrap()
    }

    #[test]
    fn lines_are_found_however_the_text_is_cut() {
        let mut text = String::from("ffffffff81000000 T _stext\n0000000000000000 A fixed_percpu_data\n");
        for index in 0..2000 {
            text.push_str(&alloc::format!("ffffffff8100{index:04x} t some_function_{index}\n"));
        }
        text.push_str("ffffffffc0000000 t _text [module]\nffffffff81000000 T _text\n");
        text.push_str("ffffffff81000001 t _text\nffffffff82000000 B _end");
        let wanted = "ffffffff81000000 T _stext\nffffffff81000000 T _text\nffffffff82000000 B _end\n";
        for size in [1, 7, 4096, 1 << 20] {
            assert_eq!(filtered(&text, size), wanted, "pieces of {size}");
        }
    }

    #[test]
    fn a_line_without_end_takes_no_memory_and_hides_nothing_else() {
        let mut text = "x".repeat(1 << 20);
        text.push_str("\nffffffff81000000 T _stext\n");
        assert_eq!(filtered(&text, 1000), "ffffffff81000000 T _stext\n");
    }

    #[test]
    fn hidden_addresses_are_recognised() {
        assert!(Symbols::parse(b"0000000000000000 T _stext\n").hidden());
        assert!(!Symbols::parse(b"").hidden());
        assert!(!Symbols::parse(b"0000000000000000 T _stext\nffffffff81000000 T _text\n").hidden());
    }
}
