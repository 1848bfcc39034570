//! Virtual addresses of architectures other than x86_64, through tables made entry by entry.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, Segment, TableImage, Wire, note};
use kdump_elf::{Paddr, Vaddr};
use kdump_vmcore::{Dump, Error, KernelMemory, TableFault};

fn dump(e_machine: u16, tables: &TableImage, info: &str) -> Dump<'static> {
    let file = CoreFile::new(Wire::LE64, e_machine)
        .with(Segment::notes(&note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes())))
        .with(Segment::load(0, &tables.memory));
    Dump::open(file.build()).unwrap()
}

#[test]
fn riscv64_at_every_depth() {
    let all = [(48, 9), (39, 9), (30, 9), (21, 9), (12, 9)];
    for (va_bits, skip) in [(39, 2), (48, 1), (57, 0)] {
        let levels = &all[skip..];
        let last = levels.len() - 1;
        let base = u64::MAX << (va_bits - 1);
        let mut tables =
            TableImage::new(0x2_0000, 0x1_0000, levels, 0x1000, |at| at >> 12 << 10 | 1, |e| e >> 10 << 12);
        // Readable and writable, in a page of each size; then with the bits of Svpbmt and Svnapot.
        tables.map(base + 0x1000, last, 0x5 << 10 | 0xc7 | 1 << 61);
        tables.map(base + 0x40_0000, last - 1, 0x4000_0000 >> 12 << 10 | 0xc7);
        tables.map(base + 0x4000_0000, last - 2, 0x8000_0000 >> 12 << 10 | 0xcb);
        tables.map(base + 0x1_3000, last, 0x48 << 10 | 0xc7 | 1 << 63);
        tables.map(base + 0x6000, last, 0x5 << 10 | 0x5);
        let info = format!(
            "SYMBOL(swapper_pg_dir)=ffffffff80010000\nNUMBER(va_kernel_pa_offset)=0xffffffff80000000\n\
             NUMBER(VA_BITS)={va_bits}\n"
        );
        let dump = dump(243, &tables, &info);
        let mut kernel = KernelMemory::new(&dump);
        let mut paddr = |vaddr| kernel.translate(Vaddr(vaddr)).map(|mapping| mapping.paddr);
        assert_eq!(paddr(base + 0x1234), Ok(Paddr(0x5234)), "Sv{va_bits}");
        assert_eq!(paddr(base + 0x40_5678), Ok(Paddr(0x4000_5678)));
        assert_eq!(paddr(base + 0x4123_4567), Ok(Paddr(0x8123_4567)));
        assert_eq!(paddr(base + 0x1_3008), Ok(Paddr(0x4_3008)));
        let error = |found: Result<Paddr, kdump_vmcore::Stopped>| found.unwrap_err().error;
        let odd = error(paddr(base + 0x6000));
        assert!(matches!(odd, Error::PageTable { level: 1, cause: TableFault::Entry(_), .. }), "{odd}");
        assert!(matches!(error(paddr(base + 0x7000)), Error::NotMapped { level: 1, entry: 0, .. }));
        assert!(matches!(error(paddr(base - 0x1000)), Error::NoTranslation { .. }));
    }
}

#[test]
fn arm64_with_every_granule() {
    type Case = (u64, u32, u32, &'static [(u32, u32)]);
    let cases: [Case; 10] = [
        (12, 39, 39, &[(30, 9), (21, 9), (12, 9)]),
        (12, 48, 48, &[(39, 9), (30, 9), (21, 9), (12, 9)]),
        (12, 52, 52, &[(48, 4), (39, 9), (30, 9), (21, 9), (12, 9)]),
        (12, 52, 48, &[(39, 9), (30, 9), (21, 9), (12, 9)]),
        (14, 47, 47, &[(36, 11), (25, 11), (14, 11)]),
        (14, 48, 48, &[(47, 1), (36, 11), (25, 11), (14, 11)]),
        (14, 52, 52, &[(47, 5), (36, 11), (25, 11), (14, 11)]),
        (16, 42, 42, &[(29, 13), (16, 13)]),
        (16, 48, 48, &[(42, 6), (29, 13), (16, 13)]),
        // Built for 52 bits, run with 48: the last entries of the table of 1024.
        (16, 52, 48, &[(42, 10), (29, 13), (16, 13)]),
    ];
    for (granule, built, used, levels) in cases {
        let page = 1_u64 << granule;
        let base = u64::MAX << (used - 1);
        let mut tables =
            TableImage::new(0x9_0000, 0x2_0000, levels, page, |at| at | 3, |entry| entry & 0xf_f000);
        let last = levels.len() - 1;
        tables.map(base, last, page | 0x0068_0000_0000_0703);
        let block = 1_u64 << levels[last - 1].0;
        tables.map(base + 4 * block, last - 1, (3 * block) | 0x0068_0000_0000_0401);
        tables.map(base + page, last, page | 1);
        // Addresses above 48 bits lie in other bits of the entry.
        let (high, bits) = match (granule, used) {
            (12 | 14, 52) => (3 << 50 | 1 << 48, 3 << 8 | 1 << 48),
            (16, _) => (0xf << 48, 0xf << 12),
            _ => (0, 3 << 8),
        };
        tables.map(base + 2 * page, last, bits | 0x0068_0000_0000_0403);
        let info = format!(
            "PAGESIZE={page}\nSYMBOL(swapper_pg_dir)=ffff800008020000\nNUMBER(VA_BITS)={built}\n\
             NUMBER(TCR_EL1_T1SZ)=0x{:x}\nNUMBER(kimage_voffset)=0xffff800008000000\n",
            64 - used
        );
        let dump = dump(183, &tables, &info);
        let mut kernel = KernelMemory::new(&dump);
        let mut paddr = |vaddr| kernel.translate(Vaddr(vaddr)).map(|mapping| mapping.paddr);
        let case = format!("granule {granule}, {used} of {built} bits");
        let lpa2 = if used == 52 { 3 << 50 } else { 0 };
        // The first entry has 3 in bits 9:8, which are shareability or an address.
        assert_eq!(paddr(base + 0x123), Ok(Paddr((page + 0x123) | lpa2)), "{case}");
        assert_eq!(paddr(base + 4 * block + 0x4567), Ok(Paddr(3 * block + 0x4567)), "{case}");
        assert_eq!(paddr(base + 2 * page + 8), Ok(Paddr(high + 8)), "{case}");
        let odd = paddr(base + page).unwrap_err().error;
        assert!(
            matches!(odd, Error::PageTable { level: 1, cause: TableFault::Entry(_), .. }),
            "{case}: {odd}"
        );
        assert!(matches!(paddr(base + 3 * page).unwrap_err().error, Error::NotMapped { level: 1, .. }));
        assert!(matches!(paddr(0x1000).unwrap_err().error, Error::NoTranslation { .. }), "{case}");
    }
}
