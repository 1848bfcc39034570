//! Which pages a new file leaves out.

use core::ops::Range;

use super::report::{Doubt, LeftOut};
use crate::dump::{Dump, PageClass};
use crate::error::Error;
use crate::filter::{Classes, Gather, PageSet, contradicts_itself, judge};

/// What one thread found.
struct Found {
    set: PageSet,
    told: LeftOut,
}

impl Gather for Found {
    fn add(&mut self, pfns: Range<u64>, class: PageClass) -> Result<(), Error> {
        self.told.add(class, self.set.add(pfns)?);
        Ok(())
    }

    #[cfg(feature = "std")]
    fn join(&mut self, other: Self) {
        self.set.take(other.set);
        self.told = self.told.and(other.told);
    }
}

/// What of `readable`, whose pages are below `end`, is left out. The same for any number of threads.
pub(super) fn leave_out(
    dump: &Dump<'_>,
    classes: Classes,
    readable: &[Range<u64>],
    end: u64,
    threads: u16,
) -> Result<(PageSet, LeftOut), Error> {
    if classes.is_empty() {
        return Ok((PageSet::default(), LeftOut::default()));
    }
    let new = || Ok(Found { set: PageSet::new(end)?, told: LeftOut::default() });
    let (Found { set, mut told }, report) = judge(dump, classes, readable, threads, new)?;
    if contradicts_itself(dump, &report) {
        told = LeftOut::default();
        told.from_btf = report.from_btf;
        told.doubt = Some(Doubt { blocks: report.blocks, impossible: report.impossible });
        return Ok((PageSet::default(), told));
    }
    (told.unreadable, told.without, told.from_btf) = (report.unreadable, report.without, report.from_btf);
    Ok((set, told))
}
