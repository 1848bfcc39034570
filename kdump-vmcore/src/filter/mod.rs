//! Which pages a dump need not have: what the dead kernel says of each in its array of `struct page`.
//!
//! The keys of VMCOREINFO that are there decide how a page is judged, never the version of the
//! kernel. What a kernel does not tell is not guessed: a class that needs it is refused by the name of
//! the key.

mod class_map;
mod classes;
mod compound;
mod field;
mod judge;
mod page_set;
mod pages;
mod rules;
mod scan;
mod sections;
mod told;

pub use class_map::ClassMap;
pub use classes::Classes;
pub(crate) use judge::{Gather, judge};
pub(crate) use page_set::{PageSet, ones};
pub(crate) use pages::{pages_of, touched};
pub use scan::{Scan, ScanReport};
pub use told::BtfKeys;

use crate::dump::{Dump, SpanKind};

/// Whether the kernel's records of its pages, of which `report` tells, are not to be believed. A dump that has
/// not all pages of its machine need not have free ones.
pub(crate) fn contradicts_itself(dump: &Dump<'_>, report: &ScanReport) -> bool {
    // The pieces of the dump, of which there may be millions, are for those only whose answer depends on them.
    report.is_doubtful(true) && report.is_doubtful(is_whole(dump))
}

/// Whether a dump has all pages of its machine.
fn is_whole(dump: &Dump<'_>) -> bool {
    dump.spans_to_the_end().all(|span| span.kind == SpanKind::Hole || span.kind.is_readable())
}
