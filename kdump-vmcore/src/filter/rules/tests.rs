//! Pages as kernels of several versions have them, and records that contradict themselves.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kdump_elf::VmcoreInfo;

use super::*;

/// What the kernels of x86_64 tell, as far as all do.
const ALL: &str = "SIZE(page)=64\nOFFSET(page.flags)=0\nOFFSET(page.mapping)=24\nOFFSET(page._mapcount)=48\n\
    OFFSET(page.private)=40\nNUMBER(PG_lru)=4\nNUMBER(PG_private)=13\nNUMBER(PG_swapcache)=10\n\
    NUMBER(PG_swapbacked)=19\nNUMBER(PG_hwpoison)=23\nNUMBER(PG_head_mask)=65536\nLENGTH(zone.free_area)=11\n";
const LINUX_6_1: &str = "OFFSET(page.compound_head)=8\nOFFSET(page.compound_dtor)=16\n\
    OFFSET(page.compound_order)=17\nNUMBER(PG_slab)=9\nNUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\n\
    NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\nNUMBER(HUGETLB_PAGE_DTOR)=2\n";
const LINUX_6_6: &str = "OFFSET(page.compound_head)=8\nNUMBER(PG_slab)=9\nNUMBER(PG_hugetlb)=8\n\
    NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-129\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-257\n";
const LINUX_6_12: &str = "OFFSET(page.compound_head)=8\nNUMBER(PAGE_SLAB_MAPCOUNT_VALUE)=-184549376\n\
    NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)=-268435456\nNUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)=-251658240\n\
    NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)=-201326592\nNUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)=-150994944\n";

fn rules(more: &str, level: u8) -> Result<Rules, Error> {
    let text: String = format!("{ALL}{more}");
    Rules::new(&told(&text), Classes::from_level(level))
}

fn told(text: &str) -> Told<'_> {
    Told::new(VmcoreInfo::new(text.as_bytes()), None)
}

impl Rules {
    /// How many pages, and why they are left out.
    fn found(&self, pfn: u64, vaddr: u64, page: &[u8], next: &[u8]) -> (u64, Option<PageClass>) {
        let Verdict { pages, class, .. } = self.judge(pfn, vaddr, page, next);
        (pages, class)
    }
}

/// A `struct page`: flags, mapping, `_mapcount`, private, the word of compound pages.
fn page(flags: u64, mapping: u64, kind: i32, private: u64, head: u64) -> Vec<u8> {
    let mut page = vec![0; 64];
    page[..8].copy_from_slice(&flags.to_le_bytes());
    page[8..16].copy_from_slice(&head.to_le_bytes());
    page[24..32].copy_from_slice(&mapping.to_le_bytes());
    page[40..48].copy_from_slice(&private.to_le_bytes());
    page[48..52].copy_from_slice(&kind.to_le_bytes());
    page
}

/// Where the `struct page` is that is judged.
const AT: u64 = 0xffff_ea00_0000_8000;
/// The lowest address of the kernel.
const KERNEL: u64 = 1 << 63;
const LRU: u64 = 1 << 4;
const PRIVATE: u64 = 1 << 13;
const HEAD: u64 = 1 << 16;
const SWAP: u64 = 1 << 10 | 1 << 19;
const POISON: u64 = 1 << 23;

#[test]
fn single_pages() {
    use PageClass::{Cache, CachePrivate, HwPoison, Offline, User};
    let rows = [
        (page(LRU, 0x1000, -1, 0, 0), 2, Some(Cache)),
        (page(LRU, 0x1000, -1, 0, 0), 4, Some(Cache)),
        (page(LRU, 0x1000, -1, 0, 0), 8, None),
        (page(LRU | PRIVATE, 0x1000, -1, 0, 0), 2, None),
        (page(LRU | PRIVATE, 0x1000, -1, 0, 0), 4, Some(CachePrivate)),
        (page(SWAP, 0x1000, -1, 0, 0), 2, Some(Cache)),
        (page(1 << 10, 0x1000, -1, 0, 0), 6, None),
        (page(LRU, 0x1001, -1, 0, 0), 6, None),
        (page(LRU, 0x1001, 3, 0, 0), 8, Some(User)),
        // KSM.
        (page(LRU, 0x1003, 3, 0, 0), 8, Some(User)),
        (page(0, 0, -1, 0, 0), 31, None),
        (page(POISON, 0, -1, 0, 0), 16, Some(HwPoison)),
        (page(0, 0, -257, 0, 0), 2, Some(Offline)),
        // A tail, and what nobody has initialised.
        (page(LRU, 0x1001, -1, 0, 0x1001), 31, None),
        (page(u64::MAX, u64::MAX, -1, u64::MAX, u64::MAX - 1), 31, None),
    ];
    for (page, level, expected) in rows {
        assert_eq!(
            rules(LINUX_6_1, level).unwrap().found(8, AT, &page, &[]),
            (1, expected),
            "{page:?} {level}"
        );
    }
    // The slab allocator's fields mean other things: by a flag, and by a type.
    let by_flag = page(1 << 9, 0x1001, -1, 0, 0);
    assert_eq!(rules(LINUX_6_1, 31).unwrap().found(8, AT, &by_flag, &[]), (1, None));
    let by_type = page(0, 0x1001, -184_549_376, 0, 0);
    assert_eq!(rules(LINUX_6_12, 31).unwrap().found(8, AT, &by_type, &[]), (1, None));
    // Where the type tells, the flag's old bit means something else.
    assert_eq!(rules(LINUX_6_12, 31).unwrap().found(8, AT, &by_flag, &[]), (1, Some(User)));
}

#[test]
fn free_blocks() {
    for (kernel, value) in [(LINUX_6_1, -129), (LINUX_6_6, -129), (LINUX_6_12, -268_435_456)] {
        let (with, without) = (rules(kernel, 16).unwrap(), rules(kernel, 14).unwrap());
        for (order, count) in [(0, 1), (3, 8), (10, 1024)] {
            let free = page(0, 0, value, order, 0);
            assert_eq!(with.found(1024, AT, &free, &[]), (count, Some(PageClass::Free)));
            assert_eq!(without.found(1024, AT, &free, &[]).1, None);
        }
        // No block is so large.
        for order in [11, 64, u64::MAX] {
            assert_eq!(with.found(1024, AT, &page(0, 0, value, order, 0), &[]), (1, None), "{order}");
        }
    }
    let unaccepted = page(0, 0, -150_994_944, 0, 0);
    assert_eq!(
        rules(LINUX_6_12, 16).unwrap().found(1024, AT, &unaccepted, &[]),
        (1024, Some(PageClass::Free))
    );
    assert_eq!(rules(LINUX_6_12, 8).unwrap().found(1024, AT, &unaccepted, &[]), (1, None));
}

#[test]
fn compound_pages_go_with_their_head() {
    let thp = page(LRU | HEAD, 0x1001, -1, 0, 0);
    let mut old = page(0, 0, -1, 0, AT | 1);
    old[17] = 9;
    let new = page(9, 0, -1, 0, AT | 1);
    let user = Some(PageClass::User);
    assert_eq!(rules(LINUX_6_1, 8).unwrap().found(512, AT, &thp, &old), (512, user));
    assert_eq!(rules(LINUX_6_6, 8).unwrap().found(512, AT, &thp, &new), (512, user));
    assert_eq!(rules(LINUX_6_12, 8).unwrap().found(512, AT, &thp, &new), (512, user));
    // A copy of the head among its tails is not aligned; a tail that cannot be read tells nothing.
    assert_eq!(rules(LINUX_6_1, 8).unwrap().found(514, AT, &thp, &old), (1, None));
    assert_eq!(rules(LINUX_6_1, 8).unwrap().found(512, AT, &thp, &[]), (1, user));
    // hugetlbfs is neither anonymous nor on a list.
    let huge = page(HEAD, 0x1000, -1, 0, 0);
    old[16] = 2;
    assert_eq!(rules(LINUX_6_1, 8).unwrap().found(512, AT, &huge, &old), (512, user));
    let flagged = page(9 | 1 << 8, 0, -1, 0, AT | 1);
    assert_eq!(rules(LINUX_6_6, 8).unwrap().found(512, AT, &huge, &flagged), (512, user));
    assert_eq!(rules(LINUX_6_6, 8).unwrap().found(512, AT, &huge, &new), (1, None));
    let typed = page(HEAD, 0x1000, -201_326_592, 0, 0);
    assert_eq!(rules(LINUX_6_12, 8).unwrap().found(512, AT, &typed, &new), (512, user));
    assert_eq!(rules(LINUX_6_12, 8).unwrap().found(512, AT, &huge, &new), (1, None));
}

#[test]
fn a_block_that_cannot_begin_there_is_kept() {
    for (kernel, value) in [(LINUX_6_1, -129), (LINUX_6_6, -129), (LINUX_6_12, -268_435_456)] {
        let rules = rules(kernel, 31).unwrap();
        let free = page(0, 0, value, 10, 0);
        for pfn in [5, 512, 1023, 1025] {
            assert_eq!(rules.found(pfn, AT, &free, &[]), (1, None), "{pfn}");
        }
        assert_eq!(rules.found(0, AT, &free, &[]), (1024, Some(PageClass::Free)));
    }
    let unaccepted = page(0, 0, -150_994_944, 0, 0);
    assert_eq!(rules(LINUX_6_12, 16).unwrap().found(512, AT, &unaccepted, &[]), (1, None));
    // What the slab allocator has is not free, whatever it keeps where others have their kind.
    let slab = page(1 << 9, 0, -129, 3, 0);
    assert_eq!(rules(LINUX_6_1, 31).unwrap().found(8, AT, &slab, &[]), (1, None));
    // With a memory error it goes, alone.
    let poisoned = page(POISON, 0, -129, 3, 0);
    assert_eq!(rules(LINUX_6_1, 31).unwrap().found(5, AT, &poisoned, &[]), (1, Some(PageClass::HwPoison)));
}

#[test]
fn more_orders_than_there_are_is_refused() {
    for (length, good) in [(11, true), (19, true), (20, false), (31, false), (0, false)] {
        let text = format!("{ALL}{LINUX_6_1}").replace("free_area)=11", &format!("free_area)={length}"));
        let found = Rules::new(&told(&text), Classes::from_level(16));
        let key = "LENGTH(zone.free_area)";
        assert!(found.is_ok() == good, "{length}");
        assert!(good || matches!(found, Err(Error::MissingKey { key: named }) if named == key));
    }
}

#[test]
fn only_a_tail_of_this_head_tells_how_large_it_is() {
    let thp = page(LRU | HEAD, 0x1001, -1, 0, 0);
    let cache = page(LRU | HEAD, 0x1000, -1, 0, 0);
    let huge = page(HEAD, 0x1000, -1, 0, 0);
    // No tail; that of another head; a word that is even.
    for word in [0, (AT - 64) | 1, (AT + 64) | 1, AT] {
        let new = page(9 | 1 << 8, 0, -1, 0, word);
        let mut old = page(0, 0, -1, 0, word);
        (old[16], old[17]) = (2, 9);
        for head in [&thp, &cache, &huge] {
            assert_eq!(rules(LINUX_6_6, 31).unwrap().found(512, AT, head, &new), (1, None), "{word:#x}");
            assert_eq!(rules(LINUX_6_1, 31).unwrap().found(512, AT, head, &old), (1, None), "{word:#x}");
        }
    }
    // Where the word may be a mask, its lowest bit tells.
    let info = LINUX_6_12.replace("compound_head", "compound_info");
    let masked = |word| rules(&info, 31).unwrap().found(512, AT, &thp, &page(9, 0, -1, 0, word));
    assert_eq!(masked(0xffff_8001), (512, Some(PageClass::User)));
    assert_eq!(masked(0xffff_8000), (1, None));
}

#[test]
fn no_compound_page_is_larger_than_the_largest_of_hugetlbfs() {
    let thp = page(LRU | HEAD, 0x1001, -1, 0, 0);
    for (order, expected) in [
        (18, (1 << 18, Some(PageClass::User))),
        (19, (1, None)),
        (30, (1, None)),
        (63, (1, None)),
        (255, (1, None)),
    ] {
        let mut old = page(0, 0, -1, 0, AT | 1);
        old[17] = order;
        assert_eq!(rules(LINUX_6_1, 8).unwrap().found(0, AT, &thp, &old), expected, "{order}");
        let new = page(u64::from(order), 0, -1, 0, AT | 1);
        assert_eq!(rules(LINUX_6_6, 8).unwrap().found(0, AT, &thp, &new), expected, "{order}");
    }
}

#[test]
fn a_memory_error_is_of_one_page() {
    let tail = page(9, 0, -1, 0, AT | 1);
    let (free, all) = (rules(LINUX_6_6, 16).unwrap(), rules(LINUX_6_6, 31).unwrap());
    for (head, class) in [
        (page(HEAD | POISON, 0, -1, 0, 0), PageClass::HwPoison),
        (page(LRU | HEAD | POISON, 0x1001, -1, 0, 0), PageClass::HwPoison),
        (page(HEAD, 0, -257, 0, 0), PageClass::Offline),
    ] {
        assert_eq!(free.found(512, AT, &head, &tail), (1, Some(class)));
        assert_eq!(free.found(512, AT, &head, &[0; 64]), (1, Some(class)));
    }
    // The others are judged by their own records.
    assert_eq!(free.found(513, AT + 64, &tail, &[]), (1, None));
    // A head that is doubtful goes for its error even so.
    let user = page(LRU | HEAD | POISON, 0x1001, -1, 0, 0);
    assert_eq!(all.found(512, AT, &user, &[0; 64]), (1, Some(PageClass::HwPoison)));
    assert_eq!(all.found(512, AT, &user, &tail), (512, Some(PageClass::User)));
}

#[test]
fn a_key_that_is_lacking_is_named() {
    let without = |key: &str| {
        let text = format!("{ALL}{LINUX_6_1}");
        let lines = text.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n"));
        let text: String = lines.collect();
        Rules::new(&told(&text), Classes::from_level(31))
    };
    for key in [
        "SIZE(page)",
        "OFFSET(page.flags)",
        "OFFSET(page.mapping)",
        "OFFSET(page._mapcount)",
        "OFFSET(page.private)",
        "OFFSET(page.compound_head)",
        "NUMBER(PG_lru)",
        "NUMBER(PG_private)",
        "NUMBER(PG_swapcache)",
        "NUMBER(PG_swapbacked)",
        "NUMBER(PG_slab)",
        "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)",
        "LENGTH(zone.free_area)",
    ] {
        assert!(matches!(without(key), Err(Error::MissingKey { key: found }) if found == key), "{key}");
    }
    // Without these there is less to leave out.
    for key in ["NUMBER(PG_hwpoison)", "NUMBER(PAGE_OFFLINE", "NUMBER(HUGETLB", "NUMBER(PG_head_mask)"] {
        assert!(without(key).is_ok(), "{key}");
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_judged(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 128),
        pfn in proptest::prelude::any::<u64>(),
        level in 0_u8..32,
    ) {
        for kernel in [LINUX_6_1, LINUX_6_6, LINUX_6_12] {
            let (count, _) = rules(kernel, level).unwrap().found(pfn, AT, &bytes[..64], &bytes[64..]);
            assert!((1..=1 << MAX_ORDER).contains(&count));
            rules(kernel, level).unwrap().found(pfn, AT, &bytes[..20], &[]);
        }
    }
}

/// Numbers of `_mapcount` that some kernel has for something, and their neighbours.
const KINDS: [i32; 14] = [
    -1,
    0,
    1,
    -2,
    -129,
    -130,
    -257,
    i32::MAX,
    i32::MIN,
    -184_549_376,
    -268_435_456,
    -251_658_240,
    -201_326_592,
    -150_994_944,
];

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2000))]
    /// Flags are set one by one, so that most records have few.
    #[test]
    fn a_plain_page_is_what_it_would_be_if_all_was_looked_at(
        bits in proptest::collection::vec(0_u32..64, 0..4),
        all in 0..20_u8,
        mapping in proptest::sample::select(vec![0, 1, 2, 3, 0x1000, 0x1001, KERNEL, KERNEL | 1, KERNEL | 3, u64::MAX]),
        kind in proptest::sample::select(KINDS.to_vec()),
        head in proptest::sample::select(vec![0, 1, AT | 1, AT, u64::MAX, u64::MAX - 1]),
        level in 1..32_u8,
        with_next in proptest::bool::ANY,
    ) {
        let usual = [4, 13, 10, 19, 23, 16, 9, 8];
        let bit = |at: u32| 1_u64 << usual.get(at as usize).copied().unwrap_or(at);
        let flags = if all == 0 { u64::MAX } else { bits.iter().fold(0, |flags, at| flags | bit(*at)) };
        let record = page(flags, mapping, kind, 3, head);
        let next = if with_next { page(3, 0, -1, 0, AT | 1) } else { Vec::new() };
        let no_head = LINUX_6_12.to_owned() + "NUMBER(PG_head_mask)=0\nNUMBER(PG_hwpoison)=200\n";
        for text in [LINUX_6_1, LINUX_6_6, LINUX_6_12, &no_head] {
            let rules = rules(text, level).unwrap();
            if let Some(verdict) = rules.plain(&record) {
                proptest::prop_assert_eq!(verdict, rules.judge(8, AT, &record, &next), "{}", text);
            }
        }
    }
}

#[test]
fn most_pages_are_plain_and_those_of_a_kind_are_not() {
    let rules_of = |text| rules(text, 31).unwrap();
    for text in [LINUX_6_1, LINUX_6_6, LINUX_6_12] {
        let rules = rules_of(text);
        for plain in [
            page(LRU, KERNEL, -1, 0, 0),
            page(LRU, 0x1001, 7, 0, 0),
            page(0, 0, -1, 0, 0),
            page(LRU, 1, -1, 0, 1),
        ] {
            assert!(rules.plain(&plain).is_some(), "{text}");
        }
        for other in [
            page(HEAD, 0, -1, 0, 0),
            page(POISON, 0, -1, 0, 0),
            page(0, 0, -129, 0, 0),
            page(u64::MAX, 0, -1, 0, 0),
        ] {
            assert!(rules.plain(&other).is_none(), "{text}");
        }
    }
}

/// What most pages have where others keep their kind is no kind: it would make free pages of them all.
#[test]
fn a_kind_that_most_pages_would_be_is_refused() {
    for (key, kernel) in [
        ("PAGE_BUDDY_MAPCOUNT_VALUE", LINUX_6_1),
        ("PAGE_OFFLINE_MAPCOUNT_VALUE", LINUX_6_1),
        ("PAGE_UNACCEPTED_MAPCOUNT_VALUE", LINUX_6_12),
        ("PAGE_SLAB_MAPCOUNT_VALUE", LINUX_6_12),
        ("PAGE_HUGETLB_MAPCOUNT_VALUE", LINUX_6_12),
    ] {
        let with = |value: &str| {
            let start = format!("NUMBER({key})=");
            let lines = kernel.lines().map(|line| match line.starts_with(&start) {
                true => format!("{start}{value}\n"),
                false => format!("{line}\n"),
            });
            let text: String = lines.collect();
            assert!(text.contains(&format!("{start}{value}")), "{key}");
            rules(&text, 31)
        };
        for value in ["-1", "0", "1", "4294967295", "18446744073709551615", "2147483647"] {
            let refused = with(value).unwrap_err();
            assert!(
                matches!(refused, Error::Corrupt { what, .. } if what.contains(key)),
                "{key} {value} {refused}"
            );
        }
        // Linux 2.6.38 had -2.
        assert!(with("-2").is_ok() && with("-129").is_ok(), "{key}");
    }
}
