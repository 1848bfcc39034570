//! What the dead kernel tells of its `struct page`: VMCOREINFO, and BTF where that lacks a key.

use core::cell::Cell;

use kdump_elf::VmcoreInfo;

use super::field::low32;
use crate::kernel::Btf;

/// The keys of VMCOREINFO that BTF can stand in for, as an index tells them.
const KEYS: [&str; 30] = [
    "SIZE(page)",
    "SIZE(mem_section)",
    "OFFSET(page.flags)",
    "OFFSET(page.mapping)",
    "OFFSET(page._mapcount)",
    "OFFSET(page.private)",
    "OFFSET(page.compound_head)",
    "OFFSET(page.compound_info)",
    "OFFSET(page.compound_order)",
    "OFFSET(page.compound_dtor)",
    "OFFSET(folio._folio_order)",
    "OFFSET(folio._folio_dtor)",
    "OFFSET(mem_section.section_mem_map)",
    "OFFSET(pglist_data.node_start_pfn)",
    "OFFSET(pglist_data.node_spanned_pages)",
    "LENGTH(zone.free_area)",
    "NUMBER(PG_lru)",
    "NUMBER(PG_private)",
    "NUMBER(PG_swapcache)",
    "NUMBER(PG_swapbacked)",
    "NUMBER(PG_slab)",
    "NUMBER(PG_hwpoison)",
    "NUMBER(PG_hugetlb)",
    "NUMBER(PG_head_mask)",
    "NUMBER(HUGETLB_PAGE_DTOR)",
    "NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)",
    "NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)",
];

/// Types of pages, as `enum pagetype` has them without its prefix.
const PAGE_TYPES: [(&str, &str, &str); 5] = [
    ("PAGE_BUDDY_MAPCOUNT_VALUE", "PGTY_buddy", "PG_buddy"),
    ("PAGE_OFFLINE_MAPCOUNT_VALUE", "PGTY_offline", "PG_offline"),
    ("PAGE_HUGETLB_MAPCOUNT_VALUE", "PGTY_hugetlb", "PG_hugetlb"),
    ("PAGE_SLAB_MAPCOUNT_VALUE", "PGTY_slab", "PG_slab"),
    ("PAGE_UNACCEPTED_MAPCOUNT_VALUE", "PGTY_unaccepted", "PG_unaccepted"),
];

/// Keys of VMCOREINFO whose values were taken from the kernel's BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BtfKeys(u32);

impl BtfKeys {
    /// The keys, as VMCOREINFO writes them: `OFFSET(page.flags)`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let has = move |index: u32| self.0 & 1_u32.checked_shl(index).unwrap_or(0) != 0;
        (0..).zip(KEYS).filter(move |(index, _)| has(*index)).map(|(_, key)| key)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either.
    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What is told. VMCOREINFO goes first: it is what the kernel says of itself to those who read its dump.
#[derive(Debug)]
pub(super) struct Told<'a> {
    info: VmcoreInfo<'a>,
    btf: Option<&'a Btf>,
    used: Cell<BtfKeys>,
}

impl<'a> Told<'a> {
    pub(super) fn new(info: VmcoreInfo<'a>, btf: Option<&'a Btf>) -> Self {
        Self { info, btf, used: Cell::default() }
    }

    /// What was taken from BTF so far.
    pub(super) fn taken(&self) -> BtfKeys {
        self.used.get()
    }

    /// `SIZE(name)` in bytes.
    pub(super) fn size(&self, name: &str) -> Option<u64> {
        self.info.size(name).or_else(|| self.by_btf("SIZE", name, |btf| btf.size(name)))
    }

    /// `OFFSET(name)` in bytes, name being `struct.field`.
    pub(super) fn offset(&self, name: &str) -> Option<u64> {
        let (of, member) = name.split_once('.')?;
        self.info.offset(name).or_else(|| self.by_btf("OFFSET", name, |btf| btf.offset(of, member)))
    }

    /// `LENGTH(name)`, a number of elements.
    pub(super) fn length(&self, name: &str) -> Option<u64> {
        let of_btf = |btf: &Btf| name.split_once('.').and_then(|(of, member)| btf.length(of, member));
        self.info.length(name).or_else(|| self.by_btf("LENGTH", name, of_btf))
    }

    /// `NUMBER(name)`.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.info.number(name).or_else(|| self.by_btf("NUMBER", name, |btf| number(btf, name)))
    }

    /// `NUMBER(name)` that is a mask or an address.
    pub(super) fn number_bits(&self, name: &str) -> Option<u64> {
        let bits = |number: i64| u64::from_ne_bytes(number.to_ne_bytes());
        self.info.number_bits(name).or_else(|| self.number(name).map(bits))
    }

    /// `SYMBOL(name)`.
    pub(super) fn symbol(&self, name: &str) -> Option<u64> {
        self.info.symbol(name)
    }

    fn by_btf<T>(&self, kind: &str, name: &str, look: impl Fn(&Btf) -> Option<T>) -> Option<T> {
        let inside =
            |key: &str| key.strip_prefix(kind)?.strip_prefix('(')?.strip_suffix(')').map(|key| key == name);
        let index = KEYS.iter().position(|key| inside(key) == Some(true))?;
        let found = look(self.btf?)?;
        let bit = u32::try_from(index).ok().and_then(|index| 1_u32.checked_shl(index)).unwrap_or(0);
        self.used.set(self.used.get().and(BtfKeys(bit)));
        Some(found)
    }
}

/// `NUMBER(name)`, as the kernel's enumerations tell it.
fn number(btf: &Btf, name: &str) -> Option<i64> {
    if let Some((_, since_6_12, before)) = PAGE_TYPES.iter().find(|(key, ..)| *key == name) {
        // A number for the highest byte since Linux 6.12, a bit that is taken away before.
        let kind = match btf.constant("pagetype", since_6_12) {
            Some(kind) => low32(kind).checked_shl(24)?,
            None => !low32(btf.constant("pagetype", before)?),
        };
        return Some(i32::from_ne_bytes(kind.to_ne_bytes()).into());
    }
    match name {
        "HUGETLB_PAGE_DTOR" => btf.constant("compound_dtor_id", name),
        "PG_head_mask" => {
            let bit = u32::try_from(btf.constant("pageflags", "PG_head")?).ok()?;
            1_i64.checked_shl(bit)
        }
        _ => btf.constant("pageflags", name),
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use dumpgen::Wire;
    use kdump_elf::{Class, Endian};

    use super::*;

    fn with(name: &str, constants: &[(&str, i32)]) -> Btf {
        let mut btf = dumpgen::Btf::new(Wire::LE64);
        btf.enumeration(name, constants);
        Btf::parse(btf.build(), Endian::Little, Class::Elf64).unwrap()
    }

    #[test]
    fn types_of_pages_are_told_as_vmcoreinfo_tells_them() {
        let key = "PAGE_BUDDY_MAPCOUNT_VALUE";
        let linux_6_12 = with("pagetype", &[("PGTY_buddy", 0xf0), ("PGTY_offline", 0xf1)]);
        assert_eq!(number(&linux_6_12, key), Some(-268_435_456));
        assert_eq!(number(&linux_6_12, "PAGE_OFFLINE_MAPCOUNT_VALUE"), Some(-251_658_240));
        let linux_6_11 = with("pagetype", &[("PG_buddy", 0x4000_0000)]);
        assert_eq!(number(&linux_6_11, key), Some(-1_073_741_825));
        // A flag of that name is no type.
        assert_eq!(number(&with("pageflags", &[("PG_buddy", 0x80)]), key), None);
        assert_eq!(number(&with("pageflags", &[("PG_head", 16)]), "PG_head_mask"), Some(1 << 16));
        assert_eq!(number(&with("pageflags", &[("PG_head", -1)]), "PG_head_mask"), None);
        assert_eq!(
            number(&with("compound_dtor_id", &[("HUGETLB_PAGE_DTOR", 2)]), "HUGETLB_PAGE_DTOR"),
            Some(2)
        );
    }

    #[test]
    fn keys_are_told_once_and_by_their_names() {
        let info = VmcoreInfo::new(b"NUMBER(PG_lru)=4\n");
        let btf = with("pageflags", &[("PG_lru", 5), ("PG_private", 13)]);
        let told = Told::new(info, Some(&btf));
        assert_eq!((told.number("PG_lru"), told.taken().is_empty()), (Some(4), true));
        assert_eq!((told.number("PG_private"), told.number("PG_private")), (Some(13), Some(13)));
        assert_eq!(told.number("PG_slab"), None);
        // What is no key of the table is not looked for.
        assert_eq!(told.number("pgtable_l5_enabled"), None);
        assert_eq!(told.taken().names().collect::<Vec<_>>(), ["NUMBER(PG_private)"]);
    }
}
