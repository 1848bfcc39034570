//! The header a loader leaves for the capture kernel, and the memory it describes.

use crate::{CoreFile, Segment, Wire};

/// A memory image (offset is physical address) and the header that describes it.
#[derive(Clone, Debug)]
pub struct ElfCoreHdr {
    /// The header; segments point into the memory by `p_offset`.
    pub header: CoreFile,
    /// The memory.
    pub memory: Vec<u8>,
}

impl ElfCoreHdr {
    /// Memory of `size` bytes in which each byte depends on its address, and no segments.
    #[must_use]
    pub fn new(wire: Wire, e_machine: u16, size: usize) -> Self {
        let memory = (0..size).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
        Self { header: CoreFile::new(wire, e_machine), memory }
    }

    /// Puts a CPU's note buffer at an address and lists it.
    #[must_use]
    pub fn with_notes(mut self, address: usize, buffer: &[u8]) -> Self {
        self.memory[address..address + buffer.len()].copy_from_slice(buffer);
        self.add(4, address as u64, address as u64, buffer.len() as u64);
        self
    }

    /// Lists memory whose bytes are at `p_offset`, elsewhere than at `p_paddr` if it has a
    /// backup.
    #[must_use]
    pub fn with_load(mut self, p_offset: u64, p_paddr: u64, size: u64) -> Self {
        self.add(1, p_offset, p_paddr, size);
        self
    }

    fn add(&mut self, p_type: u32, p_offset: u64, p_paddr: u64, size: u64) {
        let segment = Segment {
            p_type,
            p_paddr,
            p_offset: Some(p_offset),
            p_filesz: Some(size),
            p_memsz: Some(size),
            ..Segment::default()
        };
        self.header.segments.push(segment);
    }
}
