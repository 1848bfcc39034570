//! First phase of planning: what goes where, with everything encoded but the purgatory.

use kdump_elf::PhysRange;

use super::Plan;
use super::need::NeedFacts;
use crate::capture_need::CaptureNeed;
use crate::purgatory::{BackupCopy, Entry, MismatchAction, Serial};
use crate::segment::Segment;
use crate::{Error, RangeSet};

/// A plan whose purgatory is not linked yet.
#[derive(Clone, Debug)]
pub struct Layout<'a> {
    /// The plan so far: its entry is unset and its purgatory segment empty.
    pub(crate) draft: Plan<'a>,
    pub(crate) purgatory: PhysRange,
    pub(crate) entry: Entry,
    pub(crate) backup: Option<BackupCopy>,
    pub(crate) serial: Option<Serial>,
    pub(crate) sha_instructions: bool,
    pub(crate) caches: bool,
    pub(crate) on_mismatch: MismatchAction,
    pub(crate) facts: NeedFacts,
}

impl<'a> Layout<'a> {
    /// What the capture kernel would need were it given `ram`; `None` where no estimate can be
    /// made.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn need_in(&self, ram: &RangeSet) -> Result<Option<CaptureNeed>, Error> {
        self.facts.need(ram)
    }

    /// The segments, by address; the purgatory has no content yet.
    #[must_use]
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.draft.segments
    }
}
