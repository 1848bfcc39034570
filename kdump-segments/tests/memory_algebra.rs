//! Range sets and memory maps against an oracle that looks at every address.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test may fail anywhere"
)]

use kdump_elf::PhysRange;
use kdump_segments::{MemoryKind, MemoryMap, RangeSet};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

/// Addresses the oracle looks at, one by one.
const SPACE: u64 = 200;

fn range(start: u64, end: u64) -> PhysRange {
    PhysRange::from_half_open(start, end).unwrap()
}

/// Ranges in any order: nested, overlapping, touching, one address long.
fn ranges() -> impl Strategy<Value = Vec<PhysRange>> {
    vec((0..SPACE, 1..40_u64), 0..12)
        .prop_map(|all| all.into_iter().map(|(start, len)| range(start, (start + len).min(SPACE))).collect())
}

fn kinds() -> impl Strategy<Value = MemoryKind> {
    prop_oneof![
        Just(MemoryKind::Ram),
        Just(MemoryKind::Reserved),
        Just(MemoryKind::Acpi),
        Just(MemoryKind::Pmem)
    ]
}

fn in_any(ranges: &[PhysRange], paddr: u64) -> bool {
    ranges.iter().any(|range| range.contains(paddr))
}

/// Sorted, disjoint, not even touching.
fn is_canonical(set: &RangeSet) -> bool {
    set.as_slice().windows(2).all(|pair| pair[0].end() < pair[1].start())
}

proptest! {
    #[test]
    fn set_algebra(a in ranges(), b in ranges()) {
        let (left, right) = (RangeSet::from_ranges(a.clone()).unwrap(), RangeSet::from_ranges(b.clone()).unwrap());
        let union = left.union(&right).unwrap();
        let difference = left.subtract(&right).unwrap();
        let both = left.intersect(&right).unwrap();
        let rest = left.complement_within(range(10, 150)).unwrap();
        for set in [&left, &right, &union, &difference, &both, &rest] {
            prop_assert!(is_canonical(set), "{set:?}");
        }
        for paddr in 0..SPACE {
            let (in_a, in_b) = (in_any(&a, paddr), in_any(&b, paddr));
            prop_assert_eq!(left.contains(paddr), in_a);
            prop_assert_eq!(union.contains(paddr), in_a || in_b);
            prop_assert_eq!(difference.contains(paddr), in_a && !in_b);
            prop_assert_eq!(both.contains(paddr), in_a && in_b);
            prop_assert_eq!(rest.contains(paddr), (10..150).contains(&paddr) && !in_a);
        }
        prop_assert_eq!(union.total(), (0..SPACE).filter(|&paddr| in_any(&a, paddr) || in_any(&b, paddr)).count() as u64);
    }

    #[test]
    fn set_questions(a in ranges(), start in 0..SPACE, len in 1..30_u64) {
        let set = RangeSet::from_ranges(a.clone()).unwrap();
        let asked = range(start, start + len);
        let mut addresses = asked.start()..asked.end();
        prop_assert_eq!(set.overlaps(asked), addresses.clone().any(|paddr| in_any(&a, paddr)));
        prop_assert_eq!(set.contains_range(asked), addresses.all(|paddr| in_any(&a, paddr)));
    }

    #[test]
    fn the_last_insertion_wins(
        steps in vec((0..SPACE, 1..40_u64, prop_oneof![3 => kinds().prop_map(Some), 1 => Just(None)]), 0..20),
    ) {
        let mut map = MemoryMap::new();
        let mut oracle = vec![None; usize::try_from(SPACE).unwrap()];
        for (start, len, kind) in steps {
            let range = range(start, (start + len).min(SPACE));
            match kind {
                Some(kind) => map.insert(range, kind),
                None => map.remove(range),
            }
            for paddr in range.start()..range.end() {
                oracle[usize::try_from(paddr).unwrap()] = kind;
            }
        }
        for (paddr, kind) in (0..SPACE).zip(&oracle) {
            prop_assert_eq!(&map.get(paddr).map(|entry| entry.kind), kind);
        }
        let all: Vec<_> = map.iter().collect();
        prop_assert_eq!(all.len(), map.len());
        prop_assert!(all.windows(2).all(|pair| pair[0].range.end() <= pair[1].range.start()), "{map:?}");
        for kind in MemoryKind::all() {
            let count = oracle.iter().filter(|&&other| other == Some(kind)).count();
            prop_assert_eq!(map.set_of(kind).unwrap().total(), count as u64);
        }
    }
}

#[test]
fn touching_ranges_are_one_in_a_set_and_two_in_a_map() {
    let (low, high) = (range(0, 0x1000), range(0x1000, 0x2000));
    assert_eq!(RangeSet::from_ranges([high, low]).unwrap().as_slice(), [range(0, 0x2000)]);
    let mut map = MemoryMap::new();
    map.insert(low, MemoryKind::Ram);
    map.insert(high, MemoryKind::Ram);
    assert_eq!(map.of_kind(MemoryKind::Ram).collect::<Vec<_>>(), [low, high]);
}

#[test]
fn kinds_have_the_numbers_of_the_e820_table() {
    let names = ["ram", "reserved", "acpi", "nvs", "unusable", "pmem", "pram"];
    let numbers = [1, 2, 3, 4, 5, 7, 12];
    for ((kind, name), number) in MemoryKind::all().zip(names).zip(numbers) {
        assert_eq!((kind.name(), kind.e820_type()), (name, number));
        assert_eq!(MemoryKind::from_name(name), Some(kind));
        assert_eq!(MemoryKind::from_e820_type(number), Some(kind));
    }
    assert_eq!(MemoryKind::from_e820_type(6), None);
}
