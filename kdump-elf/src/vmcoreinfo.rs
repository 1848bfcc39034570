// SPDX-License-Identifier: MIT OR Apache-2.0
//! VMCOREINFO, the text in which a kernel describes itself to dump tools
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst).
//!
//! One `KEY=VALUE` per line. Kernels print numbers in decimal, negative decimal or hex,
//! repeat keys, and cut a line that is too long together with its newline; the reader takes
//! what is there and never fails.

/// A VMCOREINFO text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VmcoreInfo<'a> {
    text: &'a [u8],
}

impl<'a> VmcoreInfo<'a> {
    /// Takes a note descriptor or any text of such lines; it ends at the first NUL.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        let end = text.iter().position(|&byte| byte == 0).unwrap_or(text.len());
        Self { text: text.get(..end).unwrap_or_default() }
    }

    /// The text as it stands.
    #[must_use]
    pub fn as_bytes(&self) -> &'a [u8] {
        self.text
    }

    /// All `KEY=VALUE` lines in order. Lines that are not ASCII text with a `=` are left
    /// out.
    pub fn entries(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.text
            .split(|&byte| byte == b'\n')
            .filter_map(|line| core::str::from_utf8(line).ok())
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim(), value.trim()))
    }

    /// The value of `key`. Where a key stands twice the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.entries().filter(|(name, _)| *name == key).last().map(|(_, value)| value)
    }

    /// `SYMBOL(name)`: a virtual address of the running kernel, KASLR included.
    #[must_use]
    pub fn symbol(&self, name: &str) -> Option<u64> {
        parse_hex(self.wrapped("SYMBOL", name)?)
    }

    /// `SIZE(name)` in bytes.
    #[must_use]
    pub fn size(&self, name: &str) -> Option<u64> {
        self.wrapped("SIZE", name)?.parse().ok()
    }

    /// `OFFSET(name)` in bytes, name being `struct.field`.
    #[must_use]
    pub fn offset(&self, name: &str) -> Option<u64> {
        self.wrapped("OFFSET", name)?.parse().ok()
    }

    /// `LENGTH(name)`, a number of elements.
    #[must_use]
    pub fn length(&self, name: &str) -> Option<u64> {
        self.wrapped("LENGTH", name)?.parse().ok()
    }

    /// `NUMBER(name)`: printed in decimal, negative decimal, or hex with `0x`. A hex value
    /// above `i64::MAX` comes back as the negative number with the same bits.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<i64> {
        self.number_bits(name).map(|bits| i64::from_ne_bytes(bits.to_ne_bytes()))
    }

    /// `NUMBER(name)` that stands for an address or a mask: the bits of [`VmcoreInfo::number`].
    ///
    /// ```
    /// use kdump_elf::VmcoreInfo;
    /// let info = VmcoreInfo::new(b"NUMBER(phys_base)=-4096\n");
    /// assert_eq!(info.number_bits("phys_base"), Some(0xffff_ffff_ffff_f000));
    /// ```
    #[must_use]
    pub fn number_bits(&self, name: &str) -> Option<u64> {
        let value = self.wrapped("NUMBER", name)?;
        if let Some(hex) = value.strip_prefix("0x") {
            return u64::from_str_radix(hex, 16).ok();
        }
        let negative = || Some(u64::from_ne_bytes(value.parse::<i64>().ok()?.to_ne_bytes()));
        value.parse().ok().or_else(negative)
    }

    /// A bare key whose value is hex without `0x`, such as `KERNELOFFSET`.
    #[must_use]
    pub fn hex(&self, key: &str) -> Option<u64> {
        parse_hex(self.get(key)?)
    }

    /// A bare key whose value is decimal, such as `CRASHTIME`.
    #[must_use]
    pub fn decimal(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    /// `OSRELEASE`: what `uname -r` prints.
    #[must_use]
    pub fn release(&self) -> Option<&'a str> {
        self.get("OSRELEASE")
    }

    /// `PAGESIZE` in bytes, if it is a power of two.
    #[must_use]
    pub fn page_size(&self) -> Option<u64> {
        self.decimal("PAGESIZE").filter(|size| size.is_power_of_two())
    }

    fn wrapped(&self, kind: &str, name: &str) -> Option<&'a str> {
        let matches = |key: &str| {
            let inner = key.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')')?;
            (inner == name).then_some(())
        };
        self.entries().filter(|(key, _)| matches(key).is_some()).last().map(|(_, value)| value)
    }
}

fn parse_hex(value: &str) -> Option<u64> {
    u64::from_str_radix(value.strip_prefix("0x").unwrap_or(value), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"OSRELEASE=6.1.0-56-amd64\nPAGESIZE=4096\nSYMBOL(init_uts_ns)=ffffffff9ac21bc0\n\
        SIZE(page)=64\nOFFSET(page.flags)=0\nLENGTH(mem_section)=2048\nNUMBER(phys_base)=-486539264\n\
        NUMBER(VA_BITS)=48\nNUMBER(PHYS_OFFSET)=0xffffffff80000000\nNUMBER(big)=18446744073709551615\n\
        KERNELOFFSET=19800000\nPAGESIZE=8192\nnoise\nNUMBER(cut)=12\nCRASHTIME=17000";

    #[test]
    fn every_form_is_read() {
        let info = VmcoreInfo::new(TEXT);
        assert_eq!(info.release(), Some("6.1.0-56-amd64"));
        assert_eq!(info.symbol("init_uts_ns"), Some(0xffff_ffff_9ac2_1bc0));
        assert_eq!((info.size("page"), info.offset("page.flags")), (Some(64), Some(0)));
        assert_eq!(info.length("mem_section"), Some(2048));
        assert_eq!(info.number("phys_base"), Some(-486_539_264));
        assert_eq!(info.number("VA_BITS"), Some(48));
        assert_eq!(info.number("PHYS_OFFSET"), Some(-0x8000_0000));
        assert_eq!(info.number_bits("PHYS_OFFSET"), Some(0xffff_ffff_8000_0000));
        assert_eq!(info.number("big"), Some(-1));
        assert_eq!(info.hex("KERNELOFFSET"), Some(0x1980_0000));
    }

    #[test]
    fn last_duplicate_and_truncated_last_line_count() {
        let info = VmcoreInfo::new(TEXT);
        assert_eq!(info.page_size(), Some(8192));
        assert_eq!(info.decimal("CRASHTIME"), Some(17000));
    }

    #[test]
    fn what_is_not_there_is_none() {
        let info = VmcoreInfo::new(b"\xff\xfe=1\n=\nSYMBOL(x=1\nNUMBER(n)=zz\nSIZE()=4\0OSRELEASE=no");
        assert_eq!(info.release(), None);
        assert_eq!((info.symbol("x"), info.number("n"), info.size("")), (None, None, Some(4)));
        assert_eq!(VmcoreInfo::new(b"").entries().count(), 0);
    }
}
