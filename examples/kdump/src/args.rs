//! Values on the command line.

/// A size or an address: 0x-hex, or decimal with an optional K, M, G or T (powers of 1024).
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a number (0x-hex, or decimal with K, M, G or T)");
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        return u64::from_str_radix(hex, 16).map_err(|_| wrong());
    }
    let (digits, shift) = match text.char_indices().next_back() {
        Some((end, 'k' | 'K')) => (text.get(..end), 10),
        Some((end, 'm' | 'M')) => (text.get(..end), 20),
        Some((end, 'g' | 'G')) => (text.get(..end), 30),
        Some((end, 't' | 'T')) => (text.get(..end), 40),
        _ => (Some(text), 0),
    };
    let number: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(wrong)?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text:?} is larger than 2^64"))
}

#[cfg(test)]
mod tests {
    use super::parse_size;

    #[test]
    fn numbers_as_users_write_them() {
        assert_eq!(parse_size("0x1F"), Ok(31));
        assert_eq!(parse_size("640"), Ok(640));
        assert_eq!(parse_size("640K"), Ok(640 << 10));
        assert_eq!(parse_size("3g"), Ok(3 << 30));
        for wrong in ["", "K", "0x", "12KB", "-1", "99999999999T", "1é"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
