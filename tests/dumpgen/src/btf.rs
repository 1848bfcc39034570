//! A kernel's description of its types: BTF, as its header `include/uapi/linux/btf.h` lays it out.

use super::Wire;

/// Types in the making. What a function returns is the number of the type it adds.
#[derive(Clone, Debug)]
pub struct Btf {
    wire: Wire,
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
    /// Bytes of each kind, always and for each element, where the header is to tell them.
    pub layout: Option<Vec<[u8; 2]>>,
}

impl Btf {
    /// No types.
    #[must_use]
    pub fn new(wire: Wire) -> Self {
        Self { wire, types: vec![], strings: vec![0], count: 0, layout: None }
    }

    /// A type of any kind: its info is the kind, `flag` and the number of elements, and `rest` what follows.
    pub fn add(
        &mut self,
        kind: u32,
        name: &str,
        flag: bool,
        (elements, size): (u32, u32),
        rest: &[u32],
    ) -> u32 {
        let name = self.string(name);
        let info = u32::from(flag) << 31 | kind << 24 | elements;
        for word in [name, info, size].iter().chain(rest) {
            self.wire.u32(&mut self.types, *word);
        }
        self.count += 1;
        self.count
    }

    /// The place of a name among the strings.
    pub fn string(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        at
    }

    /// An integer of so many bytes.
    pub fn int(&mut self, name: &str, size: u32) -> u32 {
        self.add(1, name, false, (0, size), &[size * 8])
    }

    /// A pointer to a type.
    pub fn pointer(&mut self, to: u32) -> u32 {
        self.add(2, "", false, (0, to), &[])
    }

    /// An array; its index is of the type of its elements.
    pub fn array(&mut self, of: u32, count: u32) -> u32 {
        self.add(3, "", false, (0, 0), &[of, of, count])
    }

    /// Another name for a type.
    pub fn typedef(&mut self, name: &str, of: u32) -> u32 {
        self.add(8, name, false, (0, of), &[])
    }

    /// A `struct` whose members are names, types and offsets in bits.
    pub fn structure(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.members(4, name, size, members)
    }

    /// The same of a `union`.
    pub fn union(&mut self, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        self.members(5, name, size, members)
    }

    fn members(&mut self, kind: u32, name: &str, size: u32, members: &[(&str, u32, u32)]) -> u32 {
        let words = |(name, of, bits): &(&str, u32, u32)| [self.string(name), *of, *bits];
        let rest: Vec<u32> = members.iter().flat_map(words).collect();
        self.add(kind, name, false, (members.len() as u32, size), &rest)
    }

    /// An `enum` of 32-bit constants, signed ones if one is negative.
    pub fn enumeration(&mut self, name: &str, constants: &[(&str, i32)]) -> u32 {
        let signed = constants.iter().any(|(_, value)| *value < 0);
        let words =
            |(name, value): &(&str, i32)| [self.string(name), u32::from_ne_bytes(value.to_ne_bytes())];
        let rest: Vec<u32> = constants.iter().flat_map(words).collect();
        self.add(6, name, signed, (constants.len() as u32, 4), &rest)
    }

    /// All bytes, the header in front.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        let wire = self.wire;
        let layout = self.layout.as_deref().unwrap_or_default();
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = Vec::new();
        wire.u16(&mut out, 0xeb9f);
        out.extend([1, 0]);
        let header = if self.layout.is_some() { 32 } else { 24 };
        for word in [header, 0, types, types, strings] {
            wire.u32(&mut out, word);
        }
        if self.layout.is_some() {
            wire.u32(&mut out, types + strings);
            wire.u32(&mut out, layout.len() as u32 * 4);
        }
        out.extend(&self.types);
        out.extend(&self.strings);
        out.extend(layout.iter().flat_map(|[fixed, each]| [*fixed, *each, 0, 0]));
        out
    }
}
