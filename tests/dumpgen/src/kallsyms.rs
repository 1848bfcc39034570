//! A kernel's symbol table, as 64-bit little-endian machines keep it.

/// The table in the making; its tokens are single characters.
#[derive(Clone, Debug)]
pub struct Kallsyms {
    /// Virtual address of the image.
    pub base: u64,
    /// `kallsyms_relative_base`.
    pub relative_base: u64,
    /// How addresses are stored: 0 absolute or below the base, 1 above the base, 2 relative to
    /// their own place.
    pub encoding: u32,
    /// Added to every address, so that none is right.
    pub slide: u64,
    /// Type character and name, and the address.
    pub symbols: Vec<(String, u64)>,
}

impl Kallsyms {
    /// An empty table.
    #[must_use]
    pub fn new(base: u64, relative_base: u64) -> Self {
        Self { base, relative_base, encoding: 0, slide: 0, symbols: vec![] }
    }

    /// The image from `base` on, and the VMCOREINFO lines that describe it.
    #[must_use]
    pub fn build(&self) -> (Vec<u8>, String) {
        let mut image = Vec::new();
        let mut info = String::new();
        let mut mark = |image: &mut Vec<u8>, name: &str| {
            image.resize(image.len().div_ceil(8) * 8, 0);
            let at = self.base + image.len() as u64;
            info += &format!("SYMBOL(kallsyms_{name})={at:x}\n");
            at
        };
        mark(&mut image, "num_syms");
        image.extend((self.symbols.len() as u32).to_le_bytes());
        mark(&mut image, "names");
        for (name, _) in &self.symbols {
            let len = name.len();
            if len > 0x7f {
                image.extend([(len & 0x7f) as u8 | 0x80, (len >> 7) as u8]);
            } else {
                image.push(len as u8);
            }
            image.extend(name.bytes());
        }
        mark(&mut image, "token_table");
        for token in 0..=255_u8 {
            // No token is empty: NUL ends each.
            image.extend([token.max(1), 0]);
        }
        mark(&mut image, "token_index");
        for token in 0..256_u16 {
            image.extend((token * 2).to_le_bytes());
        }
        let offsets = mark(&mut image, "offsets");
        for ((_, address), place) in self.symbols.iter().zip((offsets..).step_by(4)) {
            let address = address.wrapping_add(self.slide);
            let bits = match self.encoding {
                0 => self.relative_base.wrapping_sub(1).wrapping_sub(address),
                1 => address.wrapping_sub(self.relative_base),
                _ => address.wrapping_sub(place),
            };
            image.extend((bits as u32).to_le_bytes());
        }
        if self.encoding < 2 {
            mark(&mut image, "relative_base");
            image.extend(self.relative_base.to_le_bytes());
        }
        (image, info)
    }
}
