//! What one `struct page` says of its pages.
//!
//! Offsets and values are those that VMCOREINFO tells
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst).

use kdump_elf::VmcoreInfo;

use super::Classes;
use crate::dump::PageClass;
use crate::error::Error;

/// `struct page` of every kernel is smaller.
const MAX_SIZE: u64 = 1024;
/// The largest block there is on x86_64: 2^18 pages are the 1 GiB of a gigantic page of hugetlbfs.
const MAX_ORDER: u32 = 18;
/// Bit 0 of `mapping`: anonymous memory (`PAGE_MAPPING_ANON`).
const ANON: u64 = 1;
/// Bit 0 of `compound_head`: a tail.
const TAIL: u64 = 1;

/// Where a field is, from the start of a `struct page`, and its bytes.
#[derive(Clone, Copy, Debug)]
struct Field {
    at: usize,
    len: usize,
}

/// Where the first tail of a compound page has its order.
#[derive(Clone, Copy, Debug)]
enum Order {
    Field(Field),
    /// The lowest byte of its flags, since Linux 6.6.
    Flags,
    /// Not known: a compound page counts as one page.
    Unknown,
}

/// How a page of hugetlbfs is known.
#[derive(Clone, Copy, Debug)]
enum Huge {
    /// A number in the first tail.
    Destructor(Field, u64),
    /// A bit in the flags of the first tail.
    Flag(u64),
    /// The type of the head.
    Type(u32),
    /// Not told: the kernel has none, or they are kept.
    Unknown,
}

/// How a page of the slab allocator is known, whose fields mean other things.
#[derive(Clone, Copy, Debug)]
enum Slab {
    Type(u32),
    Flag(u64),
}

/// What is known of `struct page`.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Bytes of a `struct page`.
    pub(super) size: usize,
    classes: Classes,
    flags: Field,
    mapping: Field,
    mapcount: Field,
    private: Field,
    compound_head: Field,
    /// Whether the word of a tail is the address of its head; else it may be a mask (Linux 7.1).
    points: bool,
    head: u64,
    lru: u64,
    has_private: u64,
    swapcache: u64,
    swapbacked: u64,
    slab: Slab,
    huge: Huge,
    order: Order,
    /// 0 where the kernel has none.
    hwpoison: u64,
    offline: Option<u32>,
    buddy: Option<u32>,
    unaccepted: Option<u32>,
    /// Orders of free blocks are below this.
    orders: u32,
}

impl Rules {
    /// How `info` says that pages are judged.
    ///
    /// # Errors
    /// [`Error::MissingKey`] for a key without which `classes` cannot be told.
    pub(super) fn new(info: VmcoreInfo<'_>, classes: Classes) -> Result<Self, Error> {
        let missing = |key| Error::MissingKey { key };
        let size =
            info.size("page").filter(|size| (16..=MAX_SIZE).contains(size)).ok_or(missing("SIZE(page)"))?;
        let field = |name: &str, len: usize| {
            let at = usize::try_from(info.offset(name)?).ok()?;
            (at.checked_add(len)? as u64 <= size).then_some(Field { at, len })
        };
        let need = |key, name: &str, len| field(name, len).ok_or(missing(key));
        let number = |name: &str| info.number(name);
        let bit = |name: &str| u32::try_from(number(name)?).ok().and_then(|bit| 1_u64.checked_shl(bit));
        // Types are compared as the 32 bits of `_mapcount`; they are told as signed 64-bit numbers.
        let kind = |name: &str| number(name).map(low32);
        let slab = match (kind("PAGE_SLAB_MAPCOUNT_VALUE"), bit("PG_slab")) {
            (Some(value), _) => Slab::Type(value),
            (None, Some(bit)) => Slab::Flag(bit),
            (None, None) => return Err(missing("NUMBER(PG_slab)")),
        };
        let buddy = kind("PAGE_BUDDY_MAPCOUNT_VALUE");
        let orders = info.length("zone.free_area").and_then(|length| u32::try_from(length).ok());
        if classes.has(PageClass::Free) && buddy.is_none() {
            return Err(missing("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)"));
        }
        let orders = match orders.filter(|orders| (1..=MAX_ORDER.saturating_add(1)).contains(orders)) {
            None if classes.has(PageClass::Free) => return Err(missing("LENGTH(zone.free_area)")),
            orders => orders.unwrap_or(1),
        };
        let head = field("page.compound_head", 8);
        let compound_head = head.or(field("page.compound_info", 8));
        let (order, huge) = compound(info, size, field);
        Ok(Self {
            size: usize::try_from(size).unwrap_or(usize::MAX),
            classes,
            flags: need("OFFSET(page.flags)", "page.flags", 8)?,
            mapping: need("OFFSET(page.mapping)", "page.mapping", 8)?,
            mapcount: need("OFFSET(page._mapcount)", "page._mapcount", 4)?,
            private: need("OFFSET(page.private)", "page.private", 8)?,
            compound_head: compound_head.ok_or(missing("OFFSET(page.compound_head)"))?,
            points: head.is_some(),
            head: number("PG_head_mask").map(|mask| u64::from_ne_bytes(mask.to_ne_bytes())).unwrap_or(0),
            lru: bit("PG_lru").ok_or(missing("NUMBER(PG_lru)"))?,
            has_private: bit("PG_private").ok_or(missing("NUMBER(PG_private)"))?,
            swapcache: bit("PG_swapcache").ok_or(missing("NUMBER(PG_swapcache)"))?,
            // Since Linux 4.10 PG_swapcache shares its bit with another flag.
            swapbacked: bit("PG_swapbacked").ok_or(missing("NUMBER(PG_swapbacked)"))?,
            slab,
            huge,
            order,
            hwpoison: bit("PG_hwpoison").unwrap_or(0),
            offline: kind("PAGE_OFFLINE_MAPCOUNT_VALUE"),
            buddy,
            unaccepted: kind("PAGE_UNACCEPTED_MAPCOUNT_VALUE"),
            orders,
        })
    }

    /// What is to be left out from page `pfn` on: how many pages, and why. `page` is its `struct page`, which
    /// the kernel has at `vaddr`, and `next` the one behind it, empty where that cannot be read.
    ///
    /// A record that contradicts itself keeps its page; only one with a memory error goes even so.
    pub(super) fn judge(&self, pfn: u64, vaddr: u64, page: &[u8], next: &[u8]) -> (u64, Option<PageClass>) {
        let flags = get(page, self.flags);
        // What nobody has initialised says nothing (`PagePoisoned()`).
        if get(page, self.compound_head) & TAIL != 0 || flags == u64::MAX {
            return (1, None);
        }
        let doubt = (1, (flags & self.hwpoison != 0).then_some(PageClass::HwPoison));
        let kind = u32::try_from(get(page, self.mapcount)).unwrap_or(0);
        let free = self.classes.has(PageClass::Free);
        let slab = self.is_slab(flags, kind);
        let block = |order: u64| {
            let count = aligned(pfn, order, self.orders).filter(|_| !slab);
            count.map_or(doubt, |count| (count, Some(PageClass::Free)))
        };
        if self.buddy == Some(kind) {
            return if free { block(get(page, self.private)) } else { (1, None) };
        }
        if free && self.unaccepted == Some(kind) {
            return block(u64::from(self.orders).saturating_sub(1));
        }
        let compound = flags & self.head != 0 && !next.is_empty();
        let tail = if compound && self.is_tail(next, vaddr) { next } else { &[] };
        match self.class(flags, kind, page, tail) {
            // Each page has its own error, and is given back alone.
            Some(class @ (PageClass::HwPoison | PageClass::Offline)) => (1, Some(class)),
            Some(_) if compound && tail.is_empty() => doubt,
            Some(class) => self.count(pfn, tail).map_or(doubt, |count| (count, Some(class))),
            None => (1, None),
        }
    }

    /// Whether `next` is the first tail of the compound page whose head is at `vaddr`.
    fn is_tail(&self, next: &[u8], vaddr: u64) -> bool {
        let word = get(next, self.compound_head);
        if self.points { word == vaddr | TAIL } else { word & TAIL != 0 }
    }

    fn is_slab(&self, flags: u64, kind: u32) -> bool {
        match self.slab {
            Slab::Type(value) => kind == value,
            Slab::Flag(bit) => flags & bit != 0,
        }
    }

    /// The class of a page that is in use.
    fn class(&self, flags: u64, kind: u32, page: &[u8], tail: &[u8]) -> Option<PageClass> {
        let slab = self.is_slab(flags, kind);
        let anon = !slab && get(page, self.mapping) & ANON != 0;
        let swap = self.swapcache | self.swapbacked;
        if !anon && (flags & self.lru != 0 || flags & swap == swap) {
            let class =
                if flags & self.has_private == 0 { PageClass::Cache } else { PageClass::CachePrivate };
            if self.classes.has(class) {
                return Some(class);
            }
        }
        if self.classes.has(PageClass::User) && (anon || self.is_huge(kind, tail)) {
            return Some(PageClass::User);
        }
        if flags & self.hwpoison != 0 {
            return Some(PageClass::HwPoison);
        }
        (!slab && self.offline == Some(kind)).then_some(PageClass::Offline)
    }

    fn is_huge(&self, kind: u32, tail: &[u8]) -> bool {
        match self.huge {
            Huge::Destructor(field, value) => !tail.is_empty() && get(tail, field) == value,
            Huge::Flag(bit) => get(tail, self.flags) & bit != 0,
            Huge::Type(value) => kind == value,
            Huge::Unknown => false,
        }
    }

    /// Pages of a compound page whose head is `pfn`; `None` where it cannot have as many. Copies of the head
    /// that stand for tails of hugetlbfs are not aligned.
    fn count(&self, pfn: u64, tail: &[u8]) -> Option<u64> {
        let order = match self.order {
            _ if tail.is_empty() => 0,
            Order::Field(field) => get(tail, field),
            Order::Flags => get(tail, self.flags) & 0xff,
            Order::Unknown => 0,
        };
        aligned(pfn, order, MAX_ORDER.saturating_add(1))
    }
}

/// Pages of a block of that `order` from `pfn` on; `None` where no block of an order below `orders` begins.
fn aligned(pfn: u64, order: u64, orders: u32) -> Option<u64> {
    let order = u32::try_from(order).ok().filter(|order| *order < orders);
    let count = 1_u64.checked_shl(order?)?;
    (pfn & count.wrapping_sub(1) == 0).then_some(count)
}

/// How compound pages tell their order, and those of hugetlbfs what they are.
fn compound(info: VmcoreInfo<'_>, size: u64, field: impl Fn(&str, usize) -> Option<Field>) -> (Order, Huge) {
    // Two bytes each until Linux 4.15, one since.
    let near = info.offset("page.compound_order").zip(info.offset("page.compound_dtor"));
    let len = if near.is_some_and(|(order, dtor)| order.abs_diff(dtor) == 1) { 1 } else { 2 };
    // In Linux 6.3 to 6.5 they are fields of a folio, which lies over the head and its tails.
    let folio = |name: &str| {
        let at = usize::try_from(info.offset(name)?.checked_sub(size)?).ok()?;
        ((at as u64) < size).then_some(Field { at, len: 1 })
    };
    let order = field("page.compound_order", len).or_else(|| folio("folio._folio_order"));
    let dtor = field("page.compound_dtor", len).or_else(|| folio("folio._folio_dtor"));
    let number = |name: &str| info.number(name);
    let huge = if let Some(value) = number("PAGE_HUGETLB_MAPCOUNT_VALUE") {
        Huge::Type(low32(value))
    } else if let Some(bit) = number("PG_hugetlb").and_then(|bit| u32::try_from(bit).ok()) {
        1_u64.checked_shl(bit).map_or(Huge::Unknown, Huge::Flag)
    } else if let (Some(field), Some(value)) = (dtor, number("HUGETLB_PAGE_DTOR")) {
        Huge::Destructor(field, u64::from_ne_bytes(value.to_ne_bytes()))
    } else {
        Huge::Unknown
    };
    let head = info.offset("page.compound_head").or(info.offset("page.compound_info"));
    let order = match (order, head) {
        (Some(field), _) => Order::Field(field),
        // The key of the field went with the field; kernels without `compound_head` had another one.
        (None, Some(_)) => Order::Flags,
        (None, None) => Order::Unknown,
    };
    (order, huge)
}

/// The lowest 32 bits.
fn low32(value: i64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// A little-endian number; 0 where `bytes` are too few.
fn get(bytes: &[u8], field: Field) -> u64 {
    let mut number = [0; 8];
    let from = bytes.get(field.at..field.at.saturating_add(field.len)).unwrap_or_default();
    for (to, from) in number.iter_mut().zip(from) {
        *to = *from;
    }
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;
    use alloc::vec::Vec;

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
        Rules::new(VmcoreInfo::new(text.as_bytes()), Classes::from_level(level))
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
                rules(LINUX_6_1, level).unwrap().judge(8, AT, &page, &[]),
                (1, expected),
                "{page:?} {level}"
            );
        }
        // The slab allocator's fields mean other things: by a flag, and by a type.
        let by_flag = page(1 << 9, 0x1001, -1, 0, 0);
        assert_eq!(rules(LINUX_6_1, 31).unwrap().judge(8, AT, &by_flag, &[]), (1, None));
        let by_type = page(0, 0x1001, -184_549_376, 0, 0);
        assert_eq!(rules(LINUX_6_12, 31).unwrap().judge(8, AT, &by_type, &[]), (1, None));
        // Where the type tells, the flag's old bit means something else.
        assert_eq!(rules(LINUX_6_12, 31).unwrap().judge(8, AT, &by_flag, &[]), (1, Some(User)));
    }

    #[test]
    fn free_blocks() {
        for (kernel, value) in [(LINUX_6_1, -129), (LINUX_6_6, -129), (LINUX_6_12, -268_435_456)] {
            let (with, without) = (rules(kernel, 16).unwrap(), rules(kernel, 14).unwrap());
            for (order, count) in [(0, 1), (3, 8), (10, 1024)] {
                let free = page(0, 0, value, order, 0);
                assert_eq!(with.judge(1024, AT, &free, &[]), (count, Some(PageClass::Free)));
                assert_eq!(without.judge(1024, AT, &free, &[]).1, None);
            }
            // No block is so large.
            for order in [11, 64, u64::MAX] {
                assert_eq!(with.judge(1024, AT, &page(0, 0, value, order, 0), &[]), (1, None), "{order}");
            }
        }
        let unaccepted = page(0, 0, -150_994_944, 0, 0);
        assert_eq!(
            rules(LINUX_6_12, 16).unwrap().judge(1024, AT, &unaccepted, &[]),
            (1024, Some(PageClass::Free))
        );
        assert_eq!(rules(LINUX_6_12, 8).unwrap().judge(1024, AT, &unaccepted, &[]), (1, None));
    }

    #[test]
    fn compound_pages_go_with_their_head() {
        let thp = page(LRU | HEAD, 0x1001, -1, 0, 0);
        let mut old = page(0, 0, -1, 0, AT | 1);
        old[17] = 9;
        let new = page(9, 0, -1, 0, AT | 1);
        let user = Some(PageClass::User);
        assert_eq!(rules(LINUX_6_1, 8).unwrap().judge(512, AT, &thp, &old), (512, user));
        assert_eq!(rules(LINUX_6_6, 8).unwrap().judge(512, AT, &thp, &new), (512, user));
        assert_eq!(rules(LINUX_6_12, 8).unwrap().judge(512, AT, &thp, &new), (512, user));
        // A copy of the head among its tails is not aligned; a tail that cannot be read tells nothing.
        assert_eq!(rules(LINUX_6_1, 8).unwrap().judge(514, AT, &thp, &old), (1, None));
        assert_eq!(rules(LINUX_6_1, 8).unwrap().judge(512, AT, &thp, &[]), (1, user));
        // hugetlbfs is neither anonymous nor on a list.
        let huge = page(HEAD, 0x1000, -1, 0, 0);
        old[16] = 2;
        assert_eq!(rules(LINUX_6_1, 8).unwrap().judge(512, AT, &huge, &old), (512, user));
        let flagged = page(9 | 1 << 8, 0, -1, 0, AT | 1);
        assert_eq!(rules(LINUX_6_6, 8).unwrap().judge(512, AT, &huge, &flagged), (512, user));
        assert_eq!(rules(LINUX_6_6, 8).unwrap().judge(512, AT, &huge, &new), (1, None));
        let typed = page(HEAD, 0x1000, -201_326_592, 0, 0);
        assert_eq!(rules(LINUX_6_12, 8).unwrap().judge(512, AT, &typed, &new), (512, user));
        assert_eq!(rules(LINUX_6_12, 8).unwrap().judge(512, AT, &huge, &new), (1, None));
    }

    #[test]
    fn a_block_that_cannot_begin_there_is_kept() {
        for (kernel, value) in [(LINUX_6_1, -129), (LINUX_6_6, -129), (LINUX_6_12, -268_435_456)] {
            let rules = rules(kernel, 31).unwrap();
            let free = page(0, 0, value, 10, 0);
            for pfn in [5, 512, 1023, 1025] {
                assert_eq!(rules.judge(pfn, AT, &free, &[]), (1, None), "{pfn}");
            }
            assert_eq!(rules.judge(0, AT, &free, &[]), (1024, Some(PageClass::Free)));
        }
        let unaccepted = page(0, 0, -150_994_944, 0, 0);
        assert_eq!(rules(LINUX_6_12, 16).unwrap().judge(512, AT, &unaccepted, &[]), (1, None));
        // What the slab allocator has is not free, whatever it keeps where others have their kind.
        let slab = page(1 << 9, 0, -129, 3, 0);
        assert_eq!(rules(LINUX_6_1, 31).unwrap().judge(8, AT, &slab, &[]), (1, None));
        // With a memory error it goes, alone.
        let poisoned = page(POISON, 0, -129, 3, 0);
        assert_eq!(
            rules(LINUX_6_1, 31).unwrap().judge(5, AT, &poisoned, &[]),
            (1, Some(PageClass::HwPoison))
        );
    }

    #[test]
    fn more_orders_than_there_are_is_refused() {
        for (length, good) in [(11, true), (19, true), (20, false), (31, false), (0, false)] {
            let text = format!("{ALL}{LINUX_6_1}").replace("free_area)=11", &format!("free_area)={length}"));
            let found = Rules::new(VmcoreInfo::new(text.as_bytes()), Classes::from_level(16));
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
                assert_eq!(rules(LINUX_6_6, 31).unwrap().judge(512, AT, head, &new), (1, None), "{word:#x}");
                assert_eq!(rules(LINUX_6_1, 31).unwrap().judge(512, AT, head, &old), (1, None), "{word:#x}");
            }
        }
        // Where the word may be a mask, its lowest bit tells.
        let info = LINUX_6_12.replace("compound_head", "compound_info");
        let masked = |word| rules(&info, 31).unwrap().judge(512, AT, &thp, &page(9, 0, -1, 0, word));
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
            assert_eq!(rules(LINUX_6_1, 8).unwrap().judge(0, AT, &thp, &old), expected, "{order}");
            let new = page(u64::from(order), 0, -1, 0, AT | 1);
            assert_eq!(rules(LINUX_6_6, 8).unwrap().judge(0, AT, &thp, &new), expected, "{order}");
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
            assert_eq!(free.judge(512, AT, &head, &tail), (1, Some(class)));
            assert_eq!(free.judge(512, AT, &head, &[0; 64]), (1, Some(class)));
        }
        // The others are judged by their own records.
        assert_eq!(free.judge(513, AT + 64, &tail, &[]), (1, None));
        // A head that is doubtful goes for its error even so.
        let user = page(LRU | HEAD | POISON, 0x1001, -1, 0, 0);
        assert_eq!(all.judge(512, AT, &user, &[0; 64]), (1, Some(PageClass::HwPoison)));
        assert_eq!(all.judge(512, AT, &user, &tail), (512, Some(PageClass::User)));
    }

    #[test]
    fn a_key_that_is_lacking_is_named() {
        let without = |key: &str| {
            let text = format!("{ALL}{LINUX_6_1}");
            let lines = text.lines().filter(|line| !line.starts_with(key)).map(|line| format!("{line}\n"));
            let text: String = lines.collect();
            Rules::new(VmcoreInfo::new(text.as_bytes()), Classes::from_level(31))
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
                let (count, _) = rules(kernel, level).unwrap().judge(pfn, AT, &bytes[..64], &bytes[64..]);
                assert!((1..=1 << MAX_ORDER).contains(&count));
                rules(kernel, level).unwrap().judge(pfn, AT, &bytes[..20], &[]);
            }
        }
    }
}
