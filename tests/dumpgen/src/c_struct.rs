//! Structures as a C compiler lays them out: each member at the next multiple of its alignment.

use std::collections::BTreeMap;

use crate::Wire;

/// A structure in the making; its members are known by name, so that tests can break them.
#[derive(Clone, Debug)]
pub(crate) struct CStruct {
    wire: Wire,
    /// Alignment of 64-bit integers: i386 has 4, every other machine 8.
    align64: usize,
    members: BTreeMap<&'static str, (usize, usize)>,
    bytes: Vec<u8>,
    align: usize,
}

impl CStruct {
    pub(crate) fn new(wire: Wire, align64: usize) -> Self {
        Self { wire, align64, members: BTreeMap::new(), bytes: vec![], align: 1 }
    }

    fn pad(&mut self, align: usize) {
        self.align = self.align.max(align);
        self.bytes.resize(self.bytes.len().div_ceil(align) * align, 0);
    }

    fn place(&mut self, name: &'static str, size: usize, align: usize) {
        self.pad(align);
        self.members.insert(name, (self.bytes.len(), size));
    }

    /// An array of bytes.
    pub(crate) fn bytes(&mut self, name: &'static str, value: &[u8], size: usize) {
        self.place(name, size, 1);
        let end = self.bytes.len() + size;
        self.bytes.extend(&value[..value.len().min(size)]);
        self.bytes.resize(end, 0);
    }

    /// An `int`.
    pub(crate) fn int(&mut self, name: &'static str, value: u32) {
        self.place(name, 4, 4);
        self.wire.u32(&mut self.bytes, value);
    }

    /// A `long`.
    pub(crate) fn long(&mut self, name: &'static str, value: u64) {
        self.place(name, self.wire.word_size(), self.wire.word_size());
        self.wire.word(&mut self.bytes, value);
    }

    /// A 64-bit integer, which on 32-bit machines is a `long long`.
    pub(crate) fn long_long(&mut self, name: &'static str, value: u64) {
        self.place(name, 8, self.align64);
        self.wire.u64(&mut self.bytes, value);
    }

    /// An array without elements, which aligns what it is part of.
    pub(crate) fn no_longs(&mut self) {
        self.pad(self.wire.word_size());
    }

    /// Overwrites a member, whole or what fits of it; `false` when there is none of the name.
    pub(crate) fn set(&mut self, name: &str, value: u64) -> bool {
        let Some(&(at, size)) = self.members.get(name) else { return false };
        let mut number = Vec::new();
        match size {
            8 => self.wire.u64(&mut number, value),
            _ => self.wire.u32(&mut number, value as u32),
        }
        let size = size.min(number.len());
        self.bytes[at..at + size].copy_from_slice(&number[..size]);
        true
    }

    /// Names of all members.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.members.keys().copied()
    }

    /// The whole structure.
    pub(crate) fn build(mut self) -> Vec<u8> {
        self.pad(self.align);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_lie_where_the_machine_puts_them() {
        let sizes = [(Wire::ALL[0], 8, 32), (Wire::ALL[2], 4, 20), (Wire::ALL[2], 8, 24)];
        for (wire, align64, size) in sizes {
            let mut made = CStruct::new(wire, align64);
            made.long("a", 1);
            made.int("b", 2);
            made.long_long("c", 3);
            made.int("d", 4);
            assert!(made.set("d", 5));
            assert!(!made.set("e", 5));
            assert_eq!(made.build().len(), size, "{wire:?} {align64}");
        }
    }
}
