//! How compound pages tell their order, and those of hugetlbfs what they are.

use super::field::{Field, low32};
use super::told::Told;

/// Where the first tail of a compound page has its order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Field(Field),
    /// The lowest byte of its flags, since Linux 6.6.
    Flags,
    /// Not known: a compound page counts as one page.
    Unknown,
}

/// How a page of hugetlbfs is known.
#[derive(Clone, Copy, Debug)]
pub(super) enum Huge {
    /// A number in the first tail.
    Destructor(Field, u64),
    /// A bit in the flags of the first tail.
    Flag(u64),
    /// The type of the head.
    Type(u32),
    /// Not told: the kernel has none, or they are kept.
    Unknown,
}

impl Huge {
    /// The type of the head, if that is it.
    pub(super) fn kind(self) -> Option<u32> {
        match self {
            Self::Type(kind) => Some(kind),
            _ => None,
        }
    }
}

/// How compound pages tell their order, and those of hugetlbfs what they are.
pub(super) fn compound(
    info: &Told<'_>,
    size: u64,
    field: impl Fn(&str, usize) -> Option<Field>,
) -> (Order, Huge) {
    // Two bytes each until Linux 4.15, one since.
    let near = info.offset("page.compound_order").zip(info.offset("page.compound_dtor"));
    let len = if near.is_some_and(|(order, dtor)| order.abs_diff(dtor) == 1) { 1 } else { 2 };
    // In Linux 6.3 to 6.5 they are fields of a folio, which lies over the head and its tails.
    let folio = |name: &str| Field::new(info.offset(name)?.checked_sub(size)?, 1, size);
    let order = field("page.compound_order", len).or_else(|| folio("folio._folio_order"));
    let dtor = field("page.compound_dtor", len).or_else(|| folio("folio._folio_dtor"));
    let number = |name: &str| info.number(name);
    let huge = if let Some(value) = number("PAGE_HUGETLB_MAPCOUNT_VALUE") {
        Huge::Type(low32(value))
    } else if let Some(bit) = number("PG_hugetlb").and_then(|bit| u32::try_from(bit).ok()) {
        1_u64.checked_shl(bit).map_or(Huge::Unknown, Huge::Flag)
    } else if let (Some(field), Some(value)) = (dtor, info.number_bits("HUGETLB_PAGE_DTOR")) {
        Huge::Destructor(field, value)
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
