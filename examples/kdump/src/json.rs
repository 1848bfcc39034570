//! The conventions of the JSON output: addresses are hex strings, sizes are numbers.

use std::io::{BufWriter, Write};

use kdump_segments::plan::json_to_ascii;
use serde_json::Value;

use crate::terminal::{BUFFER, is_plain};

/// An address or a file offset.
pub(crate) fn hex(value: u64) -> Value {
    Value::String(format!("{value:#x}"))
}

/// The name of a program header type, or its number in hex.
pub(crate) fn phdr_type(p_type: u32) -> Value {
    Value::String(match p_type {
        kdump_elf::PT_LOAD => "PT_LOAD".to_owned(),
        kdump_elf::PT_NOTE => "PT_NOTE".to_owned(),
        other => format!("{other:#x}"),
    })
}

/// An object of a long list: its members, in order.
pub(crate) type Members = Vec<(&'static str, Value)>;

/// A list that is made while it is printed.
pub(crate) type List<'a> = (&'a str, Box<dyn Iterator<Item = Members> + 'a>);

/// One document on standard output.
pub(crate) fn print(value: &Value) -> Result<(), std::io::Error> {
    write(value, std::io::stdout().lock())
}

/// One document, which is never held as text.
pub(crate) fn write(value: &Value, out: impl Write) -> Result<(), std::io::Error> {
    let mut out = Ascii(BufWriter::with_capacity(BUFFER, out));
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes JSON in ASCII, without ever holding all of it.
struct Ascii<W>(W);

impl<W: Write> Write for Ascii<W> {
    /// Takes all of `bytes`. The serializer hands over whole characters.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if is_plain(bytes) {
            self.0.write_all(bytes)?;
            return Ok(bytes.len());
        }
        for chunk in bytes.utf8_chunks() {
            self.0.write_all(json_to_ascii(chunk.valid()).as_bytes())?;
            // There is none: what cannot be shown is at least no byte of a terminal's.
            self.0.write_all(&b"?".repeat(chunk.invalid().len()))?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Writes a document inside another one: each of its lines but the first begins further right.
struct Indented<W> {
    out: W,
    spaces: &'static [u8],
}

impl<W: Write> Write for Indented<W> {
    /// Takes all of `bytes`. A newline stands between values only; inside strings it is escaped.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for line in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.out.write_all(line)?;
            if line.ends_with(b"\n") {
                self.out.write_all(self.spaces)?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// As [`print()`], with `lists` behind the members of `document`, an object: the lists of a dump
/// can be so long that they are never held as a whole.
pub(crate) fn print_long(document: &Value, lists: Vec<List<'_>>) -> Result<(), std::io::Error> {
    let mut out = BufWriter::with_capacity(BUFFER, std::io::stdout().lock());
    write_long(&mut out, document, lists)?;
    out.flush()
}

fn write_long(out: &mut impl Write, document: &Value, lists: Vec<List<'_>>) -> Result<(), std::io::Error> {
    let mut between: &[u8] = b"{";
    for (name, value) in document.as_object().into_iter().flatten() {
        out.write_all(between)?;
        write!(out, "\n  \"{name}\": ")?;
        inside(out, value, b"  ")?;
        between = b",";
    }
    for (name, objects) in lists {
        out.write_all(between)?;
        write!(out, "\n  \"{name}\": ")?;
        let mut bracket: &[u8] = b"[";
        for members in objects {
            out.write_all(bracket)?;
            let mut brace: &[u8] = b"\n    {\n      \"";
            for (name, value) in &members {
                out.write_all(brace)?;
                out.write_all(name.as_bytes())?;
                out.write_all(b"\": ")?;
                inside(out, value, b"      ")?;
                brace = b",\n      \"";
            }
            out.write_all(if members.is_empty() { b"\n    {}" } else { b"\n    }" })?;
            bracket = b",";
        }
        out.write_all(if bracket == b"[" { b"[]" } else { b"\n  ]" })?;
        between = b",";
    }
    out.write_all(b"\n}\n")
}

fn inside(out: &mut impl Write, value: &Value, spaces: &'static [u8]) -> Result<(), std::io::Error> {
    match value {
        Value::Array(_) | Value::Object(_) => {
            serde_json::to_writer_pretty(Ascii(Indented { out, spaces }), value)?;
        }
        line => serde_json::to_writer(Ascii(out), line)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use serde_json::Value;

    use super::{write, write_long};

    fn text(value: &Value) -> Result<Vec<u8>, std::io::Error> {
        let mut text = Vec::new();
        write(value, &mut text)?;
        Ok(text)
    }

    #[test]
    fn what_is_printed_is_ascii_and_the_same_document() {
        let value = json!({ "\u{9b}k": ["\u{202e}\u{1f600}\n\"", "\u{7f}x"], "n": 1.5 });
        let text = String::from_utf8(text(&value).unwrap()).unwrap();
        assert!(text.chars().all(|c| matches!(c, ' '..='~' | '\n')), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_document_in_pieces_is_the_same_document() {
        let items = || [vec![("a", json!([1, {}])), ("b", json!("\n\u{9b}"))], vec![]].into_iter();
        let objects = || vec![json!({ "a": [1, {}], "b": "\n\u{9b}" }), json!({})];
        let mut out = Vec::new();
        let lists = |few: usize| vec![("y", Box::new(items().take(few)) as _), ("z", Box::new(items()) as _)];
        write_long(&mut out, &json!({ "m": { "n": [] } }), lists(0)).unwrap();
        let whole = json!({ "m": { "n": [] }, "y": [], "z": objects() });
        assert_eq!(String::from_utf8(out), String::from_utf8(text(&whole).unwrap()));
        let mut out = Vec::new();
        write_long(&mut out, &json!({}), lists(2)).unwrap();
        let whole = json!({ "y": objects(), "z": objects() });
        assert_eq!(String::from_utf8(out), String::from_utf8(text(&whole).unwrap()));
    }
}
