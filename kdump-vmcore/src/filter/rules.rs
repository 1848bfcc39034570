//! What one `struct page` says of its pages.
//!
//! Offsets and values are those that VMCOREINFO tells
//! (Documentation/admin-guide/kdump/vmcoreinfo.rst), or BTF in its stead.

mod impossible;
#[cfg(test)]
mod tests;

use self::impossible::record_size;
use super::Classes;
use super::compound::{Huge, Order, compound};
use super::field::{Field, low32};
use super::told::Told;
use crate::dump::PageClass;
use crate::error::Error;

/// The largest block there is: 2^18 pages are the 1 GiB of a gigantic page of hugetlbfs in pages of 4 KiB, and the 16 GiB of one
/// in pages of 64 KiB.
const MAX_ORDER: u32 = 18;
/// As signed numbers those by which `_mapcount` tells what a page is are below -1, which is that of a page of no
/// kind that is mapped nowhere; mapped ones have larger numbers.
const fn is_kind(mapcount: u32) -> bool {
    mapcount.wrapping_add(1) > 1 << 31
}
/// Bit 0 of `mapping`: anonymous memory (`PAGE_MAPPING_ANON`).
const ANON: u64 = 1;
/// Bit 0 of `compound_head`: a tail.
const TAIL: u64 = 1;

/// How a page of the slab allocator is known, whose fields mean other things.
#[derive(Clone, Copy, Debug)]
enum Slab {
    Type(u32),
    Flag(u64),
}

impl Slab {
    fn kind(self) -> Option<u32> {
        match self {
            Self::Type(kind) => Some(kind),
            Self::Flag(_) => None,
        }
    }
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Of so many pages.
    pub(super) pages: u64,
    /// Why they are left out; `None` keeps them.
    pub(super) class: Option<PageClass>,
    /// What shows whether it is a record at all.
    pub(super) evidence: Evidence,
}

/// What a record says that no kernel, or every kernel, says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Nothing.
    Silent,
    /// That a free block begins there; whether one of that size can.
    Block(bool),
    /// That the page is on a list of used pages; whether what it belongs to is at an address of the kernel.
    Mapping(bool),
}

impl Verdict {
    const KEEP: Self = Self::of(1, None);

    const fn of(pages: u64, class: Option<PageClass>) -> Self {
        Self { pages, class, evidence: Evidence::Silent }
    }
}

/// What is known of `struct page`.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// Bytes of a `struct page`.
    pub(super) size: usize,
    classes: Classes,
    /// All bits of a word of the machine.
    word: u64,
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
    /// Flags that a single page of no kind has not; `None` where kinds are no such numbers.
    not_plain: Option<u64>,
}

impl Rules {
    /// How `info` says that pages are judged.
    ///
    /// # Errors
    /// [`Error::MissingKey`] for a key without which `classes` cannot be told.
    #[cfg(test)]
    pub(super) fn new(info: &Told<'_>, classes: Classes) -> Result<Self, Error> {
        Self::of(info, classes, 8)
    }

    /// The same of a machine whose words have `word` bytes, 4 or 8.
    pub(super) fn of(info: &Told<'_>, classes: Classes, word: usize) -> Result<Self, Error> {
        let missing = |key| Error::MissingKey { key };
        let size = record_size(info, word as u64)?;
        let field = |name: &str, len: usize| Field::new(info.offset(name)?, len, size);
        let need = |key, name: &str, len| match info.offset(name) {
            None => Err(missing(key)),
            Some(value) => {
                let expected = "a place inside of struct page, whose size SIZE(page) tells";
                field(name, len).ok_or(Error::Corrupt { what: key, value, expected })
            }
        };
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
            // More than any kernel has; what goes by it is not left out.
            orders => orders.unwrap_or(MAX_ORDER.saturating_add(1)),
        };
        let head = info.offset("page.compound_head");
        let compound_head = match (head, info.offset("page.compound_info")) {
            (None, Some(_)) => need("OFFSET(page.compound_info)", "page.compound_info", word)?,
            _ => need("OFFSET(page.compound_head)", "page.compound_head", word)?,
        };
        let (order, huge) = compound(info, size, field);
        let this = Self {
            size: usize::try_from(size).unwrap_or(usize::MAX),
            classes,
            word: if word == 4 { u64::from(u32::MAX) } else { u64::MAX },
            flags: need("OFFSET(page.flags)", "page.flags", word)?,
            mapping: need("OFFSET(page.mapping)", "page.mapping", word)?,
            mapcount: need("OFFSET(page._mapcount)", "page._mapcount", 4)?,
            private: need("OFFSET(page.private)", "page.private", word)?,
            compound_head,
            points: head.is_some(),
            head: info.number_bits("PG_head_mask").unwrap_or(0),
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
            not_plain: None,
        };
        this.check(info)?;
        Ok(Self { not_plain: this.not_plain(), ..this })
    }

    fn not_plain(&self) -> Option<u64> {
        let slab = match self.slab {
            Slab::Flag(bit) => bit,
            Slab::Type(_) => 0,
        };
        // What nobody has initialised has all flags.
        Some(self.head | self.hwpoison | slab).filter(|flags| *flags != 0)
    }

    /// What [`Rules::judge`] says of a single page of no kind, as most are; `None` of others, which it is to be
    /// asked of. Nothing but the record itself is needed, and little of it.
    #[inline(always)]
    pub(super) fn plain(&self, page: &[u8]) -> Option<Verdict> {
        let flags = self.flags.get(page);
        let kind = u32::try_from(self.mapcount.get(page)).unwrap_or(0);
        if flags & self.not_plain? != 0 || is_kind(kind) {
            return None;
        }
        if self.compound_head.get(page) & TAIL != 0 {
            return Some(Verdict::KEEP);
        }
        let mapping = self.mapping.get(page);
        let (anon, lru) = (mapping & ANON != 0, flags & self.lru != 0);
        let swap = self.swapcache | self.swapbacked;
        let class = if anon {
            PageClass::User
        } else if !lru && flags & swap != swap {
            return Some(Verdict::KEEP);
        } else if flags & self.has_private == 0 {
            PageClass::Cache
        } else {
            PageClass::CachePrivate
        };
        let evidence =
            if lru && mapping != 0 { Evidence::Mapping(self.is_kernel(mapping)) } else { Evidence::Silent };
        Some(Verdict { pages: 1, class: Some(class).filter(|class| self.classes.has(*class)), evidence })
    }

    /// What is to be left out from page `pfn` on. `page` is its `struct page`, which
    /// the kernel has at `vaddr`, and `next` the one behind it, empty where that cannot be read.
    ///
    /// A record that contradicts itself keeps its page; only one with a memory error goes even so.
    pub(super) fn judge(&self, pfn: u64, vaddr: u64, page: &[u8], next: &[u8]) -> Verdict {
        let flags = self.flags.get(page);
        // What nobody has initialised says nothing (`PagePoisoned()`).
        if self.compound_head.get(page) & TAIL != 0 || flags == self.word {
            return Verdict::KEEP;
        }
        let doubt = Verdict::of(1, (flags & self.hwpoison != 0).then_some(PageClass::HwPoison));
        let kind = u32::try_from(self.mapcount.get(page)).unwrap_or(0);
        let free = self.classes.has(PageClass::Free);
        let slab = self.is_slab(flags, kind);
        let block = |order: u64| aligned(pfn, order, self.orders).filter(|_| !slab);
        let found = |count: u64| Verdict::of(count, Some(PageClass::Free));
        if self.buddy == Some(kind) {
            return match block(self.private.get(page)) {
                Some(count) if free => Verdict { evidence: Evidence::Block(true), ..found(count) },
                Some(_) => Verdict { evidence: Evidence::Block(true), ..Verdict::KEEP },
                None if free => Verdict { evidence: Evidence::Block(false), ..doubt },
                None => Verdict { evidence: Evidence::Block(false), ..Verdict::KEEP },
            };
        }
        if free && self.unaccepted == Some(kind) {
            return block(u64::from(self.orders).saturating_sub(1)).map_or(doubt, found);
        }
        let compound = flags & self.head != 0 && !next.is_empty();
        let tail = if compound && self.is_tail(next, vaddr) { next } else { &[] };
        let verdict = match self.class(flags, kind, page, tail) {
            // Each page has its own error, and is given back alone.
            Some(class @ (PageClass::HwPoison | PageClass::Offline)) => Verdict::of(1, Some(class)),
            Some(_) if compound && tail.is_empty() => doubt,
            Some(class) => self.count(pfn, tail).map_or(doubt, |count| Verdict::of(count, Some(class))),
            None => Verdict::KEEP,
        };
        Verdict { evidence: self.mapping_of(flags, slab, page), ..verdict }
    }

    /// What a page on a list of used pages says of what it belongs to: nothing while it is cut off from it.
    fn mapping_of(&self, flags: u64, slab: bool, page: &[u8]) -> Evidence {
        let mapping = self.mapping.get(page);
        if slab || flags & self.lru == 0 || mapping == 0 {
            return Evidence::Silent;
        }
        Evidence::Mapping(self.is_kernel(mapping))
    }

    /// Whether an address is in the upper half of all, which is the kernel's
    /// (Documentation/arch/x86/x86_64/mm.rst, Documentation/arch/arm64/memory.rst; with 3 GiB for processes, as i386
    /// usually has it, there are none of the kernel's below it).
    fn is_kernel(&self, address: u64) -> bool {
        address > self.word >> 1
    }

    /// Whether pages that `classes` leave out are kept because it is not told how they are known.
    pub(super) fn lacks(&self) -> bool {
        self.classes.has(PageClass::User) && matches!(self.huge, Huge::Unknown)
    }

    /// Whether it is told how free blocks are known.
    pub(super) fn tells_free(&self) -> bool {
        self.buddy.is_some()
    }

    /// Whether `next` is the first tail of the compound page whose head is at `vaddr`.
    fn is_tail(&self, next: &[u8], vaddr: u64) -> bool {
        let word = self.compound_head.get(next);
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
        let anon = !slab && self.mapping.get(page) & ANON != 0;
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
            Huge::Destructor(field, value) => !tail.is_empty() && field.get(tail) == value,
            Huge::Flag(bit) => self.flags.get(tail) & bit != 0,
            Huge::Type(value) => kind == value,
            Huge::Unknown => false,
        }
    }

    /// Pages of a compound page whose head is `pfn`; `None` where it cannot have as many. Copies of the head
    /// that stand for tails of hugetlbfs are not aligned.
    fn count(&self, pfn: u64, tail: &[u8]) -> Option<u64> {
        let order = match self.order {
            _ if tail.is_empty() => 0,
            Order::Field(field) => field.get(tail),
            Order::Flags => self.flags.get(tail) & 0xff,
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
