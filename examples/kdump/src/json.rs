//! The conventions of the JSON output: addresses are hex strings, sizes are numbers.

use std::io::{BufWriter, Write};

use kdump_segments::plan::json_to_ascii;
use serde_json::Value;

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

/// A document as text, in ASCII: nothing in it commands a terminal.
fn text(value: &Value) -> Result<Vec<u8>, std::io::Error> {
    let mut text = Vec::new();
    write(value, &mut text)?;
    Ok(text)
}

/// A list that is made while it is printed.
pub(crate) type List<'a> = (&'a str, Box<dyn Iterator<Item = Value> + 'a>);

/// One document on standard output.
pub(crate) fn print(value: &Value) -> Result<(), std::io::Error> {
    write(value, std::io::stdout().lock())
}

/// One document, which is never held as text.
pub(crate) fn write(value: &Value, out: impl Write) -> Result<(), std::io::Error> {
    let mut out = Ascii(BufWriter::new(out));
    serde_json::to_writer_pretty(&mut out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Writes JSON in ASCII, without ever holding all of it.
struct Ascii<W>(W);

impl<W: Write> Write for Ascii<W> {
    /// Takes all of `bytes`. The serializer hands over whole characters.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
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

/// As [`print()`], with `lists` behind the members of `document`, an object: the lists of a dump
/// can be so long that they are never held as a whole.
pub(crate) fn print_long(document: &Value, lists: Vec<List<'_>>) -> Result<(), std::io::Error> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    write_long(&mut out, document, lists)?;
    out.flush()
}

fn write_long(out: &mut impl Write, document: &Value, lists: Vec<List<'_>>) -> Result<(), std::io::Error> {
    let mut between = "{";
    for (name, value) in document.as_object().into_iter().flatten() {
        write!(out, "{between}\n  \"{name}\": {}", indented(value, "\n  ")?)?;
        between = ",";
    }
    for (name, values) in lists {
        write!(out, "{between}\n  \"{name}\": ")?;
        let mut bracket = "[";
        for value in values {
            write!(out, "{bracket}\n    {}", indented(&value, "\n    ")?)?;
            bracket = ",";
        }
        out.write_all(if bracket == "[" { b"[]" } else { b"\n  ]" })?;
        between = ",";
    }
    out.write_all(b"\n}\n")
}

fn indented(value: &Value, newline: &str) -> Result<String, std::io::Error> {
    Ok(String::from_utf8_lossy(&text(value)?).trim_end().replace('\n', newline))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{text, write_long};

    #[test]
    fn what_is_printed_is_ascii_and_the_same_document() {
        let value = json!({ "\u{9b}k": ["\u{202e}\u{1f600}\n\"", "\u{7f}x"], "n": 1.5 });
        let text = String::from_utf8(text(&value).unwrap()).unwrap();
        assert!(text.chars().all(|c| matches!(c, ' '..='~' | '\n')), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_document_in_pieces_is_the_same_document() {
        let items = || [json!({ "a": [1, {}], "b": "\n\u{9b}" }), json!("x")].into_iter();
        let mut out = Vec::new();
        let lists = |few: usize| vec![("y", Box::new(items().take(few)) as _), ("z", Box::new(items()) as _)];
        write_long(&mut out, &json!({ "m": { "n": [] } }), lists(0)).unwrap();
        let whole = json!({ "m": { "n": [] }, "y": [], "z": items().collect::<Vec<_>>() });
        assert_eq!(String::from_utf8(out), String::from_utf8(text(&whole).unwrap()));
        let mut out = Vec::new();
        write_long(&mut out, &json!({}), lists(2)).unwrap();
        let whole = json!({ "y": items().collect::<Vec<_>>(), "z": items().collect::<Vec<_>>() });
        assert_eq!(String::from_utf8(out), String::from_utf8(text(&whole).unwrap()));
    }
}
