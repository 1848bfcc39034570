//! The conventions of the JSON output: addresses are hex strings, sizes are numbers.

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

/// One document on standard output.
pub(crate) fn print(value: &Value) -> Result<(), std::io::Error> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    out.flush()
}
