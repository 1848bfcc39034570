//! The conventions of the JSON output: addresses are hex strings, sizes are numbers.

use serde_json::Value;

use crate::terminal::is_command;

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

/// A document as text. Strings hold no raw character that would command a terminal, and say
/// the same to every reader of JSON (RFC 8259, section 7).
pub(crate) fn text(value: &Value) -> Result<String, serde_json::Error> {
    use core::fmt::Write;
    let mut text = String::new();
    for c in serde_json::to_string_pretty(value)?.chars() {
        // Characters below 0x20 stand between values only: inside strings they are escaped.
        if u32::from(c) >= 0x7f && is_command(c) {
            // Writing to a String does not fail; all of these are of the first 65536 characters.
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
    }
    text.push('\n');
    Ok(text)
}

/// One document on standard output.
pub(crate) fn print(value: &Value) -> Result<(), std::io::Error> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text(value)?.as_bytes())?;
    out.flush()
}
