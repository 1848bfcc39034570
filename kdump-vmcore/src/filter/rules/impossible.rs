//! What no kernel can have told of its `struct page`.

use super::{Rules, Told, is_kind};
use crate::error::Error;

/// `struct page` of every kernel is smaller.
const MAX_SIZE: u64 = 1024;

/// Bytes of a `struct page`.
pub(super) fn record_size(info: &Told<'_>, word: u64) -> Result<u64, Error> {
    let size = info.size("page").ok_or(Error::MissingKey { key: "SIZE(page)" })?;
    // Words of the kernel are in it, and the array has one behind the other.
    let fits = (16..=MAX_SIZE).contains(&size) && size.checked_rem(word) == Some(0);
    let expected = "a multiple of a word of the machine from 16 to 1024";
    if fits { Ok(size) } else { Err(Error::Corrupt { what: "SIZE(page)", value: size, expected }) }
}

impl Rules {
    /// Refuses what no kernel can have told: by it pages would be taken for what they are not.
    pub(super) fn check(&self, info: &Told<'_>) -> Result<(), Error> {
        let fields = [
            ("OFFSET(page.flags)", "page.flags", self.flags),
            ("OFFSET(page.mapping)", "page.mapping", self.mapping),
            ("OFFSET(page._mapcount)", "page._mapcount", self.mapcount),
            ("OFFSET(page.private)", "page.private", self.private),
        ];
        for (index, (what, name, field)) in fields.into_iter().enumerate() {
            let value = info.offset(name).unwrap_or(0);
            if !field.is_aligned() {
                return Err(Error::Corrupt { what, value, expected: "a multiple of the field's size" });
            }
            let others = fields.iter().skip(index.saturating_add(1)).map(|(_, _, other)| *other);
            if others.chain([self.compound_head]).any(|other| field.overlaps(other)) {
                return Err(Error::Corrupt { what, value, expected: "a place of its own in struct page" });
            }
        }
        if !self.compound_head.is_aligned() {
            let value = info.offset("page.compound_head").or(info.offset("page.compound_info")).unwrap_or(0);
            let (what, expected) = ("OFFSET(page.compound_head)", "a multiple of the field's size");
            return Err(Error::Corrupt { what, value, expected });
        }
        let kinds = [
            ("NUMBER(PAGE_BUDDY_MAPCOUNT_VALUE)", self.buddy),
            ("NUMBER(PAGE_OFFLINE_MAPCOUNT_VALUE)", self.offline),
            ("NUMBER(PAGE_UNACCEPTED_MAPCOUNT_VALUE)", self.unaccepted),
            ("NUMBER(PAGE_SLAB_MAPCOUNT_VALUE)", self.slab.kind()),
            ("NUMBER(PAGE_HUGETLB_MAPCOUNT_VALUE)", self.huge.kind()),
        ];
        for (what, kind) in kinds {
            // The number of a page that is mapped, or mapped nowhere, would make a kind of most pages.
            if let Some(kind) = kind.filter(|kind| !is_kind(*kind)) {
                let expected = "a kind of pages: 32 bits that are below -1 as a signed number";
                return Err(Error::Corrupt { what, value: kind.into(), expected });
            }
        }
        let flags = [
            ("NUMBER(PG_lru)", self.lru),
            ("NUMBER(PG_private)", self.has_private),
            ("NUMBER(PG_swapbacked)", self.swapbacked),
            ("NUMBER(PG_swapcache)", self.swapcache),
        ];
        for (index, (what, flag)) in flags.into_iter().enumerate() {
            if flags.iter().skip(index.saturating_add(1)).any(|(_, other)| *other == flag) {
                let value = flag.trailing_zeros().into();
                return Err(Error::Corrupt { what, value, expected: "a bit of its own" });
            }
        }
        Ok(())
    }
}
