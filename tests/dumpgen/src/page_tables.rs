//! Page tables in a small memory image: those of x86_64, and any others.

/// A memory image with page tables in it; tables are taken from its end of use upwards.
#[derive(Clone, Debug)]
pub struct PageTableImage {
    /// The memory; offset is physical address.
    pub memory: Vec<u8>,
    /// Physical address of the root table.
    pub root: u64,
    /// 4 or 5.
    pub levels: u32,
    /// Added to every address in an entry.
    pub encryption_mask: u64,
    next: u64,
}

impl PageTableImage {
    /// `size` bytes of memory, tables from `first_table` on.
    #[must_use]
    pub fn new(size: usize, first_table: u64, levels: u32) -> Self {
        let next = first_table + 0x1000;
        Self { memory: vec![0; size], root: first_table, levels, encryption_mask: 0, next }
    }

    /// Maps the page of `vaddr` to that of `paddr`; `level` 1 is 4 KiB, 2 is 2 MiB, 3 is
    /// 1 GiB.
    pub fn map(&mut self, vaddr: u64, paddr: u64, level: u32) {
        let mut table = self.root;
        for depth in (level + 1..=self.levels).rev() {
            let slot = table + (vaddr >> (12 + 9 * (depth - 1)) & 511) * 8;
            let entry = self.get(slot);
            table = if entry & 1 == 1 {
                entry & 0xf_ffff_ffff_f000 & !self.encryption_mask
            } else {
                let fresh = self.next;
                self.next += 0x1000;
                self.put(slot, fresh | 0x67 | self.encryption_mask);
                fresh
            };
        }
        let large = if level > 1 { 0x80 } else { 0 };
        let slot = table + (vaddr >> (12 + 9 * (level - 1)) & 511) * 8;
        self.put(slot, paddr | 0x63 | large | self.encryption_mask | 1 << 63);
    }

    fn get(&self, at: u64) -> u64 {
        let at = at as usize;
        u64::from_le_bytes(self.memory[at..at + 8].try_into().unwrap())
    }

    /// Stores a number.
    pub fn put(&mut self, at: u64, value: u64) {
        let at = at as usize;
        self.memory[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
}

/// Page tables of any architecture with 8-byte little-endian entries in a small memory image.
/// How an entry looks is the test's matter.
#[derive(Clone, Debug)]
pub struct TableImage {
    /// The memory; offset is physical address.
    pub memory: Vec<u8>,
    /// Physical address of the root table.
    pub root: u64,
    /// Of each level from the root: lowest bit of the index, and how many it has.
    pub levels: Vec<(u32, u32)>,
    /// The entry that refers to a table at this address.
    pub table: fn(u64) -> u64,
    /// The address of the table an entry refers to.
    pub table_at: fn(u64) -> u64,
    /// Bytes a table takes.
    pub table_size: u64,
    next: u64,
}

impl TableImage {
    /// `size` bytes of memory, tables from `root` on.
    #[must_use]
    pub fn new(
        size: usize,
        root: u64,
        levels: &[(u32, u32)],
        table_size: u64,
        table: fn(u64) -> u64,
        table_at: fn(u64) -> u64,
    ) -> Self {
        let next = root + table_size;
        Self { memory: vec![0; size], root, levels: levels.to_vec(), table, table_at, table_size, next }
    }

    /// Puts `entry` where the walk for `vaddr` ends, `depth` levels below the root.
    pub fn map(&mut self, vaddr: u64, depth: usize, entry: u64) {
        let mut table = self.root;
        for (at, &(shift, bits)) in self.levels.clone().iter().enumerate().take(depth + 1) {
            let slot = (table + ((vaddr >> shift) & ((1 << bits) - 1)) * 8) as usize;
            if at == depth {
                self.memory[slot..slot + 8].copy_from_slice(&entry.to_le_bytes());
                return;
            }
            let found = u64::from_le_bytes(self.memory[slot..slot + 8].try_into().unwrap());
            table = if found == 0 {
                let fresh = self.next;
                self.next += self.table_size;
                self.memory[slot..slot + 8].copy_from_slice(&(self.table)(fresh).to_le_bytes());
                fresh
            } else {
                (self.table_at)(found)
            };
        }
    }
}
