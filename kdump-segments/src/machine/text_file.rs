//! Numbers in the one-line files of sysfs.

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
