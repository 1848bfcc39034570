//! The conventions of the JSON output: addresses are hex strings, sizes are numbers.

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
pub(crate) fn text(value: &Value) -> Result<String, serde_json::Error> {
    let mut text = json_to_ascii(&serde_json::to_string_pretty(value)?);
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
