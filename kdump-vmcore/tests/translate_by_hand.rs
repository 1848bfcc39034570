//! Virtual addresses of i386, ppc64, s390x and loongarch64, through tables whose every entry is
//! put by hand; and what is said where there are none.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, Segment, Wire, note};
use kdump_elf::{Paddr, Vaddr};
use kdump_vmcore::{Dump, Error, KernelMemory, TableFault};

const BE64: Wire = Wire { wide: true, big: true };
const LE32: Wire = Wire { wide: false, big: false };

/// Memory from address 0 on with entries of `len` bytes in it.
struct Memory {
    bytes: Vec<u8>,
    len: usize,
    big: bool,
}

impl Memory {
    fn new(len: usize, big: bool) -> Self {
        Self { bytes: vec![0; 0x4_0000], len, big }
    }

    /// Puts an entry into the table at `table`.
    fn put(&mut self, table: u64, index: u64, entry: u64) {
        let at = table as usize + index as usize * self.len;
        let bytes = if self.big { (entry << (64 - 8 * self.len)).to_be_bytes() } else { entry.to_le_bytes() };
        self.bytes[at..at + self.len].copy_from_slice(&bytes[..self.len]);
    }

    fn dump(&self, wire: Wire, e_machine: u16, info: &str) -> Dump<'static> {
        self.noted(wire, e_machine, &note(wire, "VMCOREINFO", 0, info.as_bytes()))
    }

    fn noted(&self, wire: Wire, e_machine: u16, notes: &[u8]) -> Dump<'static> {
        let file = CoreFile::new(wire, e_machine)
            .with(Segment::notes(notes))
            .with(Segment { p_vaddr: 0, ..Segment::load(0, &self.bytes) });
        Dump::open(file.build()).unwrap()
    }
}

fn paddr(dump: &Dump<'_>, vaddr: u64) -> Result<u64, Error> {
    let mapping = KernelMemory::new(dump).translate(Vaddr(vaddr));
    mapping.map(|mapping| mapping.paddr.0).map_err(|stopped| stopped.error)
}

/// Nothing is mapped, by the entry of `level`.
fn absent(dump: &Dump<'_>, vaddr: u64, level: u8) {
    let error = paddr(dump, vaddr).unwrap_err();
    assert!(matches!(error, Error::NotMapped { level: found, .. } if found == level), "{vaddr:#x}: {error}");
}

/// The entry of `level` has bits it cannot have.
fn impossible(dump: &Dump<'_>, vaddr: u64, level: u8) {
    let error = paddr(dump, vaddr).unwrap_err();
    let cause = |cause: &TableFault| matches!(cause, TableFault::Entry(_));
    assert!(
        matches!(&error, Error::PageTable { level: found, cause: why, .. } if *found == level && cause(why)),
        "{vaddr:#x}: {error}"
    );
}

fn untranslated(dump: &Dump<'_>, vaddr: u64, why: &str) {
    let error = paddr(dump, vaddr).unwrap_err();
    assert!(matches!(error, Error::NoTranslation { .. }), "{vaddr:#x}: {error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[test]
fn i386_without_pae() {
    let mut memory = Memory::new(4, false);
    memory.put(0x2000, 0x301, 0x3000 | 0x63);
    memory.put(0x3000, 5, 0x1234_5000 | 0x163);
    memory.put(0x3000, 6, 0x1234_6000 | 0x162);
    // 4 MiB below and above 4 GiB.
    memory.put(0x2000, 0x310, 0x1040_0000 | 0x1e3);
    memory.put(0x2000, 0x311, 0x1040_0000 | 0x1e3 | 3 << 13);
    memory.put(0x2000, 0x312, 0x1040_0000 | 0x1e3 | 1 << 21);
    let dump = memory.dump(LE32, 3, "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=c0002000\n");
    assert_eq!(paddr(&dump, 0xc040_5678), Ok(0x1234_5678));
    assert_eq!(paddr(&dump, 0xc412_3456), Ok(0x1052_3456));
    assert_eq!(paddr(&dump, 0xc452_3456), Ok(0x3_1052_3456));
    impossible(&dump, 0xc480_0000, 2);
    absent(&dump, 0xc040_6000, 1);
    absent(&dump, 0xc000_0000, 2);
    // There is no address above 4 GiB, whatever the tables have below.
    untranslated(&dump, 0x1_c040_5678, "canonical");
}

#[test]
fn i386_with_pae() {
    let mut memory = Memory::new(8, false);
    memory.put(0x2020, 3, 0x3000 | 0x21);
    memory.put(0x2020, 2, 0x3000 | 1 | 1 << 6);
    memory.put(0x3000, 0x10, 0x4000 | 0x63);
    memory.put(0x4000, 7, 0xf_1234_5000 | 0x163 | 1 << 63);
    memory.put(0x4000, 8, 0xf_1234_5000 | 0x162);
    memory.put(0x3000, 0x20, 0x2_0060_0000 | 0x1e3 | 1 << 12);
    memory.put(0x3000, 0x21, 0x2_0060_0000 | 0x1e3 | 1 << 13);
    memory.put(0x3000, 0x22, 0x2_0060_0000 | 0x1e3 | 1 << 20);
    let info = "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=c0002020\nCONFIG_X86_PAE=y\n";
    let dump = memory.dump(LE32, 3, info);
    assert_eq!(paddr(&dump, 0xc200_7123), Ok(0xf_1234_5123));
    assert_eq!(paddr(&dump, 0xc401_2345), Ok(0x2_0061_2345));
    absent(&dump, 0xc200_8000, 1);
    absent(&dump, 0xc600_0000, 2);
    absent(&dump, 0x4000_0000, 3);
    impossible(&dump, 0x8000_0000, 3);
    impossible(&dump, 0xc420_0000, 2);
    impossible(&dump, 0xc440_0000, 2);
    untranslated(&dump, 0x1_c200_7123, "canonical");
    // The loader of another kernel knew where its memory begins.
    let notes = note(LE32, "VMCOREINFO", 0, info.replace("c0002020", "80002020").as_bytes());
    let file = CoreFile::new(LE32, 3)
        .with(Segment::notes(&notes))
        .with(Segment { p_vaddr: 0x8000_0000, ..Segment::load(0, &memory.bytes) });
    let dump = Dump::open(file.build()).unwrap();
    assert_eq!(paddr(&dump, 0xc200_7123), Ok(0xf_1234_5123));
}

/// `QEMUCPUState`, with paging on.
fn state(cs: u32, cr3: u64, cr4: u64) -> Vec<u8> {
    let mut state = vec![0; 440];
    let mut put = |at: usize, bytes: &[u8]| state[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &1_u32.to_le_bytes());
    put(4, &440_u32.to_le_bytes());
    put(152, &cs.to_le_bytes());
    put(392, &0x8000_0001_u64.to_le_bytes());
    put(416, &cr3.to_le_bytes());
    put(424, &cr4.to_le_bytes());
    state
}

#[test]
fn x86_by_the_registers_that_qemu_noted() {
    let mut memory = Memory::new(8, false);
    memory.put(0x2000, 3, 0x3000 | 1);
    memory.put(0x3000, 0x10, 0x20_0000 | 0x1e3);
    let qemu = |states: &[Vec<u8>]| -> Vec<u8> {
        states.iter().flat_map(|state| note(LE32, "QEMU", 0, state)).collect()
    };
    // A CPU in user space may have other tables: it is not asked.
    let both = [state(0x73, 0x9000, 1 << 5), state(0x60, 0x2000, 1 << 5)];
    assert_eq!(paddr(&memory.noted(LE32, 3, &qemu(&both)), 0xc200_0123), Ok(0x20_0123));
    // With nothing but such CPUs nothing is known: their tables need not have the kernel.
    let user = [state(0x73, 0x2000, 1 << 5), state(0x73, 0x9000, 1 << 5)];
    untranslated(&memory.noted(LE32, 3, &qemu(&user)), 0xc200_0123, "in user space");
    untranslated(&memory.noted(Wire::LE64, 62, &qemu(&user)), 0xffff_ffff_8012_3456, "in user space");
    let mut old = both.clone();
    old.iter_mut().for_each(|state| state[0] = 2);
    untranslated(&memory.noted(LE32, 3, &qemu(&old)), 0xc200_0123, "no VMCOREINFO");
    let mut real_mode = both.clone();
    real_mode.iter_mut().for_each(|state| state[395] = 0);
    untranslated(&memory.noted(LE32, 3, &qemu(&real_mode)), 0xc200_0123, "no VMCOREINFO");
    let cut = [both[1][..430].to_vec()];
    untranslated(&memory.noted(LE32, 3, &qemu(&cut)), 0xc200_0123, "no VMCOREINFO");
    // x86_64 with four levels and with five.
    let mut memory = Memory::new(8, false);
    memory.put(0x2000, 0x1ff, 0x3000 | 0x63);
    memory.put(0x3000, 0x1fe, 0x8000_0000 | 0xe3);
    memory.put(0x5000, 0x1ff, 0x2000 | 0x63);
    let vaddr = 0xffff_ffff_8012_3456;
    let four = [state(0x10, 0x2000 | 0x801, 1 << 5)];
    assert_eq!(paddr(&memory.noted(Wire::LE64, 62, &qemu(&four)), vaddr), Ok(0x8012_3456));
    let five = [state(0x10, 0x5000, 1 << 5 | 1 << 12)];
    assert_eq!(paddr(&memory.noted(Wire::LE64, 62, &qemu(&five)), vaddr), Ok(0x8012_3456));
}

#[test]
fn ppc64_radix_with_both_page_sizes() {
    const V: u64 = 1 << 63;
    const LEAF: u64 = 1 << 62;
    for (page, last_shift, last_bits) in [(0x1000_u64, 12, 9_u64), (0x1_0000, 16, 5)] {
        let mut memory = Memory::new(8, true);
        // The root has 13 bits: vmalloc lies in its upper half.
        memory.put(0x1_0000, 0x1000, V | 0x2_0000 | 9);
        memory.put(0x1_0000, 1, V | LEAF | 0x2_0000);
        memory.put(0x2_0000, 1, V | 0x2_1000 | 9);
        memory.put(0x2_0000, 2, V | LEAF | 0x4000_0000 | 0x18e);
        memory.put(0x2_0000, 3, V | 0x2_1000 | 8);
        memory.put(0x2_1000, 1, V | 0x2_2000 | last_bits);
        memory.put(0x2_1000, 2, V | LEAF | 0x0060_0000 | 0x18e);
        memory.put(0x2_1000, 3, V | 0x2_2000 | (last_bits + 1));
        memory.put(0x2_2000, 3, V | LEAF | 0x00aa_0000 | 0x18e | 1 << 57);
        memory.put(0x2_2000, 4, LEAF | 0x00aa_0000);
        memory.put(0x2_2000, 5, V | 0x00aa_0000);
        let info = format!("PAGESIZE={page}\nSYMBOL(swapper_pg_dir)=c000000000010000\nNUMBER(RADIX_MMU)=1\n");
        let base = 0xc008_0000_0000_0000_u64;
        // Entries are big endian in the dumps of both kinds of kernel.
        for wire in [Wire::LE64, BE64] {
            let dump = memory.dump(wire, 21, &info);
            let at = |third: u64, index: u64| base + (1 << 30) + (third << 21) + (index << last_shift);
            assert_eq!(paddr(&dump, at(1, 3) + 0x123), Ok(0x00aa_0123), "{page:#x}");
            assert_eq!(paddr(&dump, at(2, 0) + 0x1_2345), Ok(0x0061_2345));
            assert_eq!(paddr(&dump, base + (2 << 30) + 0x12_3456), Ok(0x4012_3456));
            absent(&dump, at(1, 4), 1);
            impossible(&dump, at(1, 5), 1);
            impossible(&dump, at(3, 0), 2);
            impossible(&dump, base + (3 << 30), 3);
            impossible(&dump, 0xc000_0080_0000_0000, 4);
            absent(&dump, base + (1 << 40), 4);
            untranslated(&dump, 0xc018_0000_0000_0000, "canonical");
            untranslated(&dump, 0x1000, "canonical");
        }
    }
}

#[test]
fn ppc64_hash_has_its_linear_map_alone() {
    let memory = Memory::new(8, true);
    let hash = "PAGESIZE=65536\nSYMBOL(swapper_pg_dir)=c000000000010000\nNUMBER(RADIX_MMU)=0\n";
    let dump = memory.dump(Wire::LE64, 21, hash);
    assert_eq!(paddr(&dump, 0xc000_0000_0001_2345), Ok(0x1_2345));
    untranslated(&dump, 0xc008_0000_0000_0000, "hash");
    let dump = memory.dump(Wire::LE64, 21, &hash.replace("65536", "4096"));
    assert_eq!(paddr(&dump, 0xc000_3cff_ffff_ffff), Ok(0x3cff_ffff_ffff));
    untranslated(&dump, 0xc000_3d00_0000_0000, "hash");
    let silent = hash.replace("NUMBER(RADIX_MMU)=0\n", "");
    untranslated(&memory.dump(Wire::LE64, 21, &silent), 0xc008_0000_0000_0000, "RADIX_MMU");
    let odd = hash.replace("MMU)=0", "MMU)=1").replace("65536", "16384");
    untranslated(&memory.dump(Wire::LE64, 21, &odd), 0xc008_0000_0000_0000, "4 nor 64 KiB");
}

/// Tables of z/Architecture from `level` on down: at each the entry that leads to the next, with
/// all others of its table invalid.
fn z_tables(root_level: u64) -> Memory {
    let mut memory = Memory::new(8, true);
    let kind = |level: u64| (level - 2) << 2;
    for level in 2..=root_level {
        for index in 0..2048 {
            memory.put(level * 0x4000, index, 0x20 | kind(level));
        }
        let (next, whole) = ((level - 1) * 0x4000, if level > 2 { 3 } else { 0 });
        memory.put(level * 0x4000, 1, next | kind(level) | whole);
    }
    for index in 0..256 {
        memory.put(0x4000, index, 0x400);
    }
    memory.put(0x4000, 5, 0xabc_d000 | 0x200);
    memory.put(0x4000, 6, 0xabc_d000 | 0x800);
    memory
}

const Z_SHIFTS: [u64; 6] = [0, 12, 20, 31, 42, 53];

/// The address that takes entry 1 of each table from `level` on down to segments.
fn z_base(level: u64) -> u64 {
    (2..=level).map(|level| 1 << Z_SHIFTS[level as usize]).sum()
}

#[test]
fn s390x_with_two_to_five_levels() {
    for level in 2..=5 {
        let mut memory = z_tables(level);
        // A large segment of 1 MiB, and one whose entry is of another kind.
        memory.put(0x8000, 2, 0x7ff0_0000 | 0x400);
        memory.put(0x8000, 3, 0x4000 | 4);
        if level >= 3 {
            memory.put(0xc000, 2, 0x1_8000_0000 | 0x400 | 4);
            // Segments of the second quarter alone.
            memory.put(0xc000, 3, 0x8000 | 4 | 1 << 6 | 1);
            memory.put(0x8000, 513, 0x4000);
        }
        let info = format!("PAGESIZE=4096\nSYMBOL(swapper_pg_dir)={:x}\n", level * 0x4000);
        let dump = memory.dump(BE64, 22, &info);
        let base = z_base(level);
        assert_eq!(paddr(&dump, base + 0x5123), Ok(0xabc_d123), "{level} levels");
        assert_eq!(paddr(&dump, base + (1 << 20) + 0x4_5678), Ok(0x7ff4_5678));
        absent(&dump, base + 0x7000, 1);
        impossible(&dump, base + 0x6000, 1);
        impossible(&dump, base + (2 << 20), 2);
        absent(&dump, base + (5 << 20), 2);
        if level >= 3 {
            let up = base & !0x7ff0_0000;
            assert_eq!(paddr(&dump, up + (1 << 31) + 0x1234_5678), Ok(0x1_9234_5678));
            assert_eq!(paddr(&dump, up + (2 << 31) + (513 << 20) + 0x5008), Ok(0xabc_d008));
            absent(&dump, up + (2 << 31) + (1 << 20) + 0x5008, 3);
            absent(&dump, up + (2 << 31) + (1024 << 20), 3);
        }
        absent(&dump, 0, level as u8);
        if level < 5 {
            // More than the tables have.
            untranslated(&dump, base | 1 << (Z_SHIFTS[level as usize] + 11), "canonical");
        }
    }
}

#[test]
fn s390x_since_its_image_has_addresses_of_its_own() {
    let memory = z_tables(3);
    let place = "KERNELOFFSET=3ffe0000000\nKERNELOFFPHYS=8000\nIDENTITYBASE=10000000000\n";
    for symbol in ["3ffe0004000", "1000000c000"] {
        let info = format!("PAGESIZE=4096\nSYMBOL(swapper_pg_dir)={symbol}\n{place}");
        assert_eq!(paddr(&memory.dump(BE64, 22, &info), z_base(3) + 0x5123), Ok(0xabc_d123), "{symbol}");
    }
    // Before, KERNELOFFSET told of a slide alone.
    let info = "PAGESIZE=4096\nSYMBOL(swapper_pg_dir)=c000\nKERNELOFFSET=4000\n";
    assert_eq!(paddr(&memory.dump(BE64, 22, info), z_base(3) + 0x5123), Ok(0xabc_d123));
}

#[test]
fn s390x_does_not_take_a_zero_for_an_address() {
    let bytes = [7; 0x1000];
    let dump = |p_vaddr| {
        let file = CoreFile::new(BE64, 22).with(Segment { p_vaddr, ..Segment::load(0x1_0000, &bytes) });
        Dump::open(file.build()).unwrap()
    };
    untranslated(&dump(0), 0, "no PT_LOAD has it");
    untranslated(&dump(0), 0x123, "no PT_LOAD has it");
    untranslated(&dump(u64::MAX), 0, "no PT_LOAD has it");
    assert_eq!(paddr(&dump(0x1_0000), 0x1_0123), Ok(0x1_0123));
    assert_eq!(paddr(&dump(0x3ff_e000_0000), 0x3ff_e000_0123), Ok(0x1_0123));
}

#[test]
fn what_cannot_be_translated_is_refused_by_name() {
    let memory = Memory::new(8, false);
    let info = "PAGESIZE=16384\nSYMBOL(swapper_pg_dir)=9000000000010000\n";
    let dump = memory.dump(Wire::LE64, 258, info);
    assert_eq!(paddr(&dump, 0x9000_0000_0001_2345), Ok(0x1_2345));
    assert_eq!(paddr(&dump, 0x8000_0000_0001_2345), Ok(0x1_2345));
    untranslated(&dump, 0xffff_8000_0000_0000, "LoongArch");
    untranslated(&dump, 0x9001_0000_0000_0000, "LoongArch");
    untranslated(&memory.dump(LE32, 40, info), 0xc000_0000, "ARM");
    untranslated(&memory.dump(Wire { big: true, ..LE32 }, 20, info), 0xc000_0000, "PowerPC");
    let nothing = "PAGESIZE=4096\n";
    for machine in [3, 183, 21, 22, 62, 243] {
        untranslated(&memory.dump(Wire::LE64, machine, nothing), 0xffff_ffff_f000_0000, "no PT_LOAD has it");
    }
    assert_eq!(KernelMemory::new(&dump).translate(Vaddr(0x9000_0000_0000_0000)).unwrap().paddr, Paddr(0));
}
