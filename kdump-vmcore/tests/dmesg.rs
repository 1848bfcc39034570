//! The kernel's log, in both formats, every encoding, and damaged.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may panic"
)]

use dumpgen::{CoreFile, LogBuf, PrintkRing, Record, Segment, Wire, note};
use kdump_vmcore::{Caller, Dmesg, Dump, Error, KernelMemory};
use proptest::prelude::*;

const MACHINES: [(Wire, u16, u64); 4] = [
    (Wire::LE64, 62, 0xffff_8880_0010_0000),
    (Wire { wide: true, big: true }, 21, 0xc000_0000_0010_0000),
    (Wire { wide: false, big: false }, 40, 0xc010_0000),
    (Wire { wide: false, big: true }, 20, 0xc010_0000),
];

fn dmesg((wire, e_machine, base): (Wire, u16, u64), image: &[u8], info: &str) -> Result<Dmesg, Error> {
    let load = Segment { p_vaddr: base, ..Segment::load(0x10_0000, image) };
    let file = CoreFile::new(wire, e_machine)
        .with(Segment::notes(&note(wire, "VMCOREINFO", 0, info.as_bytes())))
        .with(load);
    let dump = Dump::open(file.build()).unwrap();
    Dmesg::read(&mut KernelMemory::new(&dump), dump.vmcoreinfo().unwrap())
}

fn texts(dmesg: &Dmesg) -> Vec<String> {
    dmesg.records.iter().map(|record| record.lines().join("\n")).collect()
}

#[test]
fn every_encoding() {
    for machine in MACHINES {
        let ring = PrintkRing::new(machine.0, machine.2);
        let records = [
            Record { level: 3, ..Record::new(1_234_567_890, "first") },
            Record::new(2_000_000_000, "two\nlines"),
            Record::new(2_000_000_001, ""),
        ];
        let (image, info) = ring.build(&records);
        let dmesg = dmesg(machine, &image, &info).unwrap();
        assert_eq!((dmesg.lost, dmesg.defects.len()), (0, 0));
        assert_eq!(texts(&dmesg), ["first", "two\nlines", ""]);
        let first = &dmesg.records[0];
        assert_eq!((first.seq, first.ts_nsec, first.level), (1000, 1_234_567_890, 3));
        assert_eq!(first.caller, Some(Caller::Cpu(0)));
    }
}

#[test]
fn records_that_are_not_complete_are_left_out() {
    let machine = MACHINES[0];
    let state = |state, text| Record { state, ..Record::new(0, text) };
    let records = [
        state(0, "reserved"),
        state(1, "committed"),
        state(2, "finalized"),
        state(3, "reusable"),
        Record { text: None, ..Record::new(0, "") },
    ];
    let (image, info) = PrintkRing::new(machine.0, machine.2).build(&records);
    assert_eq!(texts(&dmesg(machine, &image, &info).unwrap()), ["committed", "finalized", ""]);
}

#[test]
fn one_damaged_record_costs_only_itself() {
    let machine = MACHINES[0];
    let records: Vec<Record> = (0..8).map(|at| Record::new(at, &format!("record {at}"))).collect();
    let (mut image, info) = PrintkRing::new(machine.0, machine.2).build(&records);
    let descs = 64 + 256;
    // A block that ends before it begins, and an id that is not there.
    image[descs + 3 * 24 + 16..descs + 3 * 24 + 24].copy_from_slice(&0x4444_u64.to_le_bytes());
    image[descs + 5 * 24] = 0xff;
    let dmesg = dmesg(machine, &image, &info).unwrap();
    assert_eq!(dmesg.lost, 1);
    assert!(matches!(dmesg.defects[..], [Error::Corrupt { what: "prb_data_blk_lpos", .. }]));
    let expected = ["record 0", "record 1", "record 2", "record 4", "record 6", "record 7"];
    assert_eq!(texts(&dmesg), expected);
}

#[test]
fn hostile_counters_end() {
    let machine = MACHINES[0];
    let (image, info) = PrintkRing::new(machine.0, machine.2).build(&[Record::new(1, "only")]);
    let mut odd = image.clone();
    odd[64 + 32..64 + 40].copy_from_slice(&77_u64.to_le_bytes());
    let found = dmesg(machine, &odd, &info).unwrap();
    assert!(matches!(found.defects[0], Error::Corrupt { what: "prb_desc_ring.head_id", .. }));
    let mut odd = image.clone();
    odd[64..68].copy_from_slice(&60_u32.to_le_bytes());
    assert!(matches!(
        dmesg(machine, &odd, &info),
        Err(Error::TooLarge { what: "prb_desc_ring.count_bits", value: 60, .. })
    ));
    let without = info.replace("OFFSET(prb_desc.state_var)", "OFFSET(nothing)");
    assert_eq!(dmesg(machine, &image, &without), Err(Error::MissingKey { key: "prb_desc.state_var" }));
    assert!(matches!(dmesg(machine, &image, "OSRELEASE=6.1\n"), Err(Error::MissingKey { .. })));
}

#[test]
fn the_old_format() {
    let machine = MACHINES[0];
    let log = LogBuf { base: machine.2, size: 256, first_idx: 160 };
    let (image, info) = log.build(&[(5_000, "before the end"), (6_000, "at the end"), (7_000, "behind it")]);
    let found = dmesg(machine, &image, &info).unwrap();
    assert_eq!(texts(&found), ["before the end", "at the end", "behind it"]);
    let first = &found.records[0];
    assert_eq!((first.ts_nsec, first.level, first.facility), (5_000, 4, 3));
    let mut damaged = image.clone();
    damaged[64 + 8..64 + 10].copy_from_slice(&0xffff_u16.to_le_bytes());
    let found = dmesg(machine, &damaged, &info).unwrap();
    assert_eq!((texts(&found), found.lost), (vec!["before the end".to_owned(), "at the end".to_owned()], 1));
    let mut endless = image;
    endless[64..].fill(0);
    let found = dmesg(machine, &endless, &info).unwrap();
    assert_eq!((found.records.len(), found.lost), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn rings_wrap_everywhere(
        lengths in prop::collection::vec(0_usize..60, 1..8),
        first_id in prop::sample::select(vec![0_u64, 5, 14, (1 << 30) - 3, (1 << 62) - 3]),
        blocks in 0_u64..64,
        wraps in prop::sample::select(vec![0_u64, 1, 2, u64::MAX >> 9]),
        machine in 0_usize..4,
        end_at_ring_end: bool,
    ) {
        let machine = MACHINES[machine];
        let w = machine.0.word_size() as u64;
        let ring = PrintkRing {
            first_id,
            first_lpos: wraps.wrapping_mul(512).wrapping_add(blocks * w % 512),
            end_at_ring_end,
            ..PrintkRing::new(machine.0, machine.2)
        };
        let records: Vec<Record> = lengths
            .iter()
            .enumerate()
            .map(|(at, &len)| Record::new(at as u64, &"abcdefghijklmnopqrstuvwxyz".repeat(3)[at..at + len.min(60)]))
            .collect();
        let (image, info) = ring.build(&records);
        let found = dmesg(machine, &image, &info).unwrap();
        prop_assert_eq!(&found.defects, &vec![]);
        let expected: Vec<String> = records
            .iter()
            .map(|record| String::from_utf8(record.text.clone().unwrap()).unwrap())
            .collect();
        prop_assert_eq!(texts(&found), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(changes in prop::collection::vec((0_usize..900, any::<u8>()), 1..30)) {
        let machine = MACHINES[0];
        let records: Vec<Record> = (0..8).map(|at| Record::new(at, "some text")).collect();
        let (mut image, info) = PrintkRing::new(machine.0, machine.2).build(&records);
        for (at, value) in changes {
            image[at] = value;
        }
        let _ = dmesg(machine, &image, &info);
    }
}
