//! Numbers as the kernel reads them from its command line.

/// Reads a number and an optional suffix K, M, G, T, P or E (powers of 1024, either case) from
/// the start of `text`: hexadecimal behind `0x`, octal behind `0`, else decimal.
///
/// Returns the value and the number of bytes read, 0 when no digit is there; `None` when the
/// value does not fit 64 bits (the kernel would go on with the wrong one).
#[must_use]
pub fn memparse(text: &[u8]) -> Option<(u64, usize)> {
    let (radix, skip): (u32, usize) = match text {
        [b'0', b'x' | b'X', digit, ..] if digit.is_ascii_hexdigit() => (16, 2),
        [b'0', ..] => (8, 0),
        _ => (10, 0),
    };
    let digits = text.get(skip..).unwrap_or_default();
    let mut value = 0_u64;
    let mut read = 0_usize;
    for &byte in digits {
        let Some(digit) = char::from(byte).to_digit(radix) else { break };
        value = value.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))?;
        read = read.saturating_add(1);
    }
    if read == 0 {
        return Some((0, 0));
    }
    read = read.saturating_add(skip);
    let shift = match text.get(read).map(u8::to_ascii_uppercase) {
        Some(b'K') => 10,
        Some(b'M') => 20,
        Some(b'G') => 30,
        Some(b'T') => 40,
        Some(b'P') => 50,
        Some(b'E') => 60,
        _ => return Some((value, read)),
    };
    if value > u64::MAX >> shift {
        return None;
    }
    Some((value << shift, read.saturating_add(1)))
}
