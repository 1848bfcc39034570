//! What a crafted kernel memory may cost: its tables of symbols, its log, its CPUs.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;

use dumpgen::{CoreFile, Kallsyms, LogBuf, PrintkRing, Record, Segment, Wire, note};
use kdump_vmcore::{Dmesg, Dump, Error, KernelMemory, ReadAt, cpu_registers};

const BASE: u64 = 0xffff_ffff_8000_0000;

fn dump(image: &[u8], info: &str) -> Dump<'static> {
    let notes = note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes());
    let load = Segment { p_vaddr: BASE, ..Segment::load(0x10_0000, image) };
    Dump::open(CoreFile::x86_64().with(Segment::notes(&notes)).with(load).build()).unwrap()
}

/// What is found of `wanted` in a table of symbols.
fn addresses(image: &[u8], info: &str, wanted: &[&str]) -> Result<Vec<Option<u64>>, Error> {
    let dump = dump(image, &format!("OSRELEASE=6.12\nSYMBOL(_stext)={:x}\n{info}", BASE + 0x40));
    let mut kernel = KernelMemory::new(&dump);
    let table = kdump_vmcore::Kallsyms::read(&mut kernel, dump.vmcoreinfo().unwrap())?;
    table.addresses(&mut kernel, wanted)
}

fn small() -> (Vec<u8>, String) {
    let mut table = Kallsyms::new(BASE, BASE);
    table.symbols =
        [("Tfirst", 0x10), ("T_stext", 0x40)].map(|(name, at)| (name.to_owned(), BASE + at)).to_vec();
    table.build()
}

/// A table whose token 0 stands for `text`, with these names and the addresses of none.
fn crafted(text: &[u8], count: u32, names: &[u8]) -> (Vec<u8>, String) {
    let mut image = count.to_le_bytes().to_vec();
    let mut info = format!("SYMBOL(kallsyms_num_syms)={BASE:x}\n");
    let mut put = |name: &str, bytes: &[u8]| {
        info += &format!("SYMBOL(kallsyms_{name})={:x}\n", BASE + image.len() as u64);
        image.extend_from_slice(bytes);
    };
    put("token_table", &[text, &[0]].concat());
    put("token_index", &[0; 512]);
    put("offsets", &[0; 64]);
    put("names", names);
    (image, info)
}

#[test]
fn symbols_are_counted() {
    let (mut image, info) = small();
    assert_eq!(addresses(&image, &info, &["first", "none"]), Ok(vec![Some(BASE + 0x10), None]));
    let count = (1_u32 << 21) + 1;
    image[..4].copy_from_slice(&count.to_le_bytes());
    let limit = 1 << 21;
    let error = Error::TooLarge { what: "kallsyms_num_syms", value: count.into(), limit };
    assert_eq!(addresses(&image, &info, &["first"]), Err(error));
}

/// Behind the last one that is wanted the table may be damaged.
#[test]
fn names_are_read_as_far_as_they_are_wanted() {
    let (mut image, info) = small();
    image[..4].copy_from_slice(&(1_u32 << 20).to_le_bytes());
    assert_eq!(addresses(&image, &info, &["first"]), Ok(vec![Some(BASE + 0x10)]));
    assert!(addresses(&image, &info, &["none"]).is_err());
}

/// A file that counts how often it is asked.
struct Counted(Vec<u8>, Arc<AtomicUsize>);

impl ReadAt for Counted {
    fn size(&self) -> Result<u64, Error> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.1.fetch_add(1, Relaxed);
        self.0.read_at(offset, buf)
    }
}

/// Names are read by the piece, not by the name.
#[test]
fn thousands_of_names_are_few_reads() {
    let mut table = Kallsyms::new(BASE, BASE);
    table.symbols = (0..3000_u64).map(|at| (format!("Tsymbol_{at}"), BASE + at * 16)).collect();
    table.symbols.push(("T_stext".to_owned(), BASE + 0x40));
    let (mut image, info) = table.build();
    image.resize(4 << 20, 0);
    let info = format!("OSRELEASE=6.12\nSYMBOL(_stext)={:x}\n{info}", BASE + 0x40);
    let notes = note(Wire::LE64, "VMCOREINFO", 0, info.as_bytes());
    let load = Segment { p_vaddr: BASE, ..Segment::load(0x10_0000, &image) };
    let file = CoreFile::x86_64().with(Segment::notes(&notes)).with(load).build();
    let reads = Arc::new(AtomicUsize::new(0));
    let dump = Dump::open(Counted(file, Arc::clone(&reads))).unwrap();
    let mut kernel = KernelMemory::new(&dump);
    let table = kdump_vmcore::Kallsyms::read(&mut kernel, dump.vmcoreinfo().unwrap()).unwrap();
    reads.store(0, Relaxed);
    let found = table.addresses(&mut kernel, &["symbol_2999", "none"]);
    assert_eq!(found, Ok(vec![Some(BASE + 2999 * 16), None]));
    assert!(reads.load(Relaxed) <= 16, "{reads:?} reads");
}

/// One byte for 512 characters, half a million times.
#[test]
fn the_characters_of_all_names_are_counted() {
    let names = [1, 0].repeat(600_000);
    let (image, info) = crafted(&[b'x'; 512], 600_000, &names);
    let error = addresses(&image, &info, &[]).unwrap_err();
    let what = "size of the names in kallsyms, the others not counted,";
    assert!(matches!(error, Error::TooLarge { what: found, .. } if found == what), "{error}");
}

/// A name that is too long costs what shows that it is, and not 16 MiB each.
#[test]
fn a_name_is_no_longer_than_names_are() {
    let long = [&[0xff, 0xff][..], &[0; 0x7fff]].concat();
    let (image, info) = crafted(&[b'x'; 512], 40, &long.repeat(40));
    let error = addresses(&image, &info, &[]).unwrap_err();
    assert!(matches!(error, Error::Corrupt { what: "kallsyms", .. }), "{error}");
}

/// Names of tokens without characters.
#[test]
fn the_bytes_of_all_names_are_counted() {
    let long = [&[0xff, 0xff][..], &[0; 0x7fff]].concat();
    let (image, info) = crafted(&[], 1100, &long.repeat(1100));
    let error = addresses(&image, &info, &[]).unwrap_err();
    assert!(matches!(error, Error::TooLarge { what: "kallsyms_names", limit: 0x200_0000, .. }), "{error}");
}

#[test]
fn cpus_are_counted() {
    let place = 0x20_0000;
    let mut table = Kallsyms::new(BASE, BASE);
    table.symbols =
        [("T_stext", 0x40), ("Bcrash_notes", place), ("R__per_cpu_offset", place), ("Bnr_cpu_ids", place)]
            .map(|(name, at)| (name.to_owned(), BASE + at))
            .to_vec();
    let (mut image, info) = table.build();
    image.resize(place as usize + 16, 0);
    image[place as usize..].fill(0x7f);
    let info = format!("OSRELEASE=6.12\nSYMBOL(_stext)={:x}\n{info}", BASE + 0x40);
    let why = cpu_registers(&dump(&image, &info)).unwrap().not_found.unwrap();
    assert_eq!(why, Error::TooLarge { what: "nr_cpu_ids", value: 0x7f7f_7f7f, limit: 1 << 14 });
}

fn dmesg(image: &[u8], info: &str) -> Result<Dmesg, Error> {
    let dump = dump(image, info);
    Dmesg::read(&mut KernelMemory::new(&dump), dump.vmcoreinfo().unwrap())
}

#[test]
fn structures_of_the_ring_have_a_size() {
    let (image, info) = PrintkRing::new(Wire::LE64, BASE).build(&[Record::new(1, "only")]);
    assert_eq!(dmesg(&image, &info).unwrap().records.len(), 1);
    for value in [0, 513] {
        for (name, line) in [("prb_desc", "SIZE(prb_desc)=24"), ("printk_info", "SIZE(printk_info)=88")] {
            let info = info.replace(line, &format!("SIZE({name})={value}"));
            let error = Error::TooLarge { what: name, value, limit: 512 };
            assert_eq!(dmesg(&image, &info), Err(error));
        }
    }
}

#[test]
fn texts_are_no_longer_than_the_ring() {
    let records = [Record::new(1, "first"), Record::new(2, "second")];
    let (mut image, info) = PrintkRing::new(Wire::LE64, BASE).build(&records);
    // `text_len` of the first record, behind 16 descriptors.
    let at = 64 + 256 + 16 * 24 + 16;
    assert_eq!(image[at], 5);
    image[at..at + 2].copy_from_slice(&513_u16.to_le_bytes());
    let found = dmesg(&image, &info).unwrap();
    assert_eq!((found.records.len(), found.lost), (1, 1));
    assert!(matches!(found.defects[..], [Error::Corrupt { what: "printk_info.text_len", value: 513, .. }]));
    // What the newer ones leave of it counts.
    image[at..at + 2].copy_from_slice(&507_u16.to_le_bytes());
    assert_eq!(dmesg(&image, &info).unwrap().lost, 1);
    image[at..at + 2].copy_from_slice(&506_u16.to_le_bytes());
    assert_eq!(dmesg(&image, &info).unwrap().lost, 0);
}

/// A ring of descriptors that hold nothing, and one of more records than a log has.
#[test]
fn a_log_that_costs_too_much_ends() {
    let ring = PrintkRing { count_bits: 17, ..PrintkRing::new(Wire::LE64, BASE) };
    let (mut image, info) = ring.build(&[Record::new(1, "only")]);
    // `tail_id`, as far behind `head_id` as there are descriptors.
    image[64 + 32..64 + 40].copy_from_slice(&((1_u64 << 62) - (1 << 17) + 1).to_le_bytes());
    let found = dmesg(&image, &info).unwrap();
    let what = "number of broken records of the log, the others not counted,";
    assert_eq!(found.defects, [Error::TooLarge { what, value: (1 << 16) + 1, limit: 1 << 16 }]);
    let many = vec![(0, ""); (1 << 19) + 9];
    let (image, info) = LogBuf { base: BASE, size: 16 * many.len() + 64, first_idx: 0 }.build(&many);
    let found = dmesg(&image, &info).unwrap();
    let what = "number of records of the log, the others not counted,";
    assert_eq!(found.defects, [Error::TooLarge { what, value: (1 << 19) + 1, limit: 1 << 19 }]);
    assert_eq!(found.records.len(), (1 << 19) + 1);
}

#[test]
fn the_old_log_says_what_cannot_be() {
    let (mut image, info) = LogBuf { base: BASE, size: 256, first_idx: 0 }.build(&[(5, "one"), (6, "two")]);
    for size in [0, 15, 65] {
        let info = info.replace("SIZE(printk_log)=16", &format!("SIZE(printk_log)={size}"));
        let error = dmesg(&image, &info).unwrap_err();
        assert!(matches!(error, Error::Corrupt { what: "SIZE(printk_log)", value, .. } if value == size));
    }
    // A length that is shorter than its header.
    let mut short = image.clone();
    short[64 + 8] = 15;
    let found = dmesg(&short, &info).unwrap();
    assert_eq!((found.records.len(), found.lost), (0, 1));
    image[8..12].copy_from_slice(&0x8000_0001_u32.to_le_bytes());
    let limit = 1 << 31;
    let error = Error::TooLarge { what: "log_buf_len", value: 0x8000_0001, limit };
    assert_eq!(dmesg(&image, &info), Err(error));
}
