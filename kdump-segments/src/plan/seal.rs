//! Second phase of planning: the purgatory is linked with the digest of everything else.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;

use super::{KexecFlags, Layout, Plan};
use crate::purgatory::{DigestRegion, Handover, Purgatory, PurgatoryError};
use crate::segment::{Segment, SegmentKind};
use crate::{Error, room};

impl<'a> Layout<'a> {
    /// Links `purgatory`, the one the layout was made with. The digest covers the content of
    /// every segment but the purgatory itself, the backup region, which has none, and an
    /// elfcorehdr the kernel may rewrite on hot-plug.
    ///
    /// # Errors
    /// [`Error::Purgatory`] when it cannot be linked or does not keep to its own size.
    pub fn seal(mut self, purgatory: &dyn Purgatory) -> Result<Plan<'a>, Error> {
        let base = self.purgatory.start();
        let rewritten = self.draft.flags.contains(KexecFlags::UPDATE_ELFCOREHDR);
        let verified = |segment: &&Segment<'_>| match segment.kind {
            SegmentKind::Purgatory | SegmentKind::Backup => false,
            SegmentKind::Elfcorehdr => !rewritten,
            _ => !segment.data.is_empty(),
        };
        let regions = self.draft.segments.iter().filter(verified);
        let regions = regions.map(|segment| DigestRegion { start: segment.mem(), bytes: &segment.data });
        let regions = room::collect("regions of the digest", regions)?;
        let handover = Handover {
            regions: &regions,
            entry: self.entry,
            backup: self.backup,
            serial: self.serial,
            sha_instructions: self.sha_instructions,
            caches: self.caches,
            on_mismatch: self.on_mismatch,
        };
        let linked = purgatory.link(base, &handover).map_err(not_linked)?;
        let (len, memsz) = (linked.bytes.len() as u64, self.purgatory.size());
        if len > memsz || !self.purgatory.contains(linked.entry) {
            let entry = linked.entry;
            let why =
                format!("{len:#x} bytes with entry {entry:#x} do not fit {memsz:#x} bytes at {base:#x}");
            return Err(Error::Purgatory(Box::from(why)));
        }
        for segment in &mut self.draft.segments {
            if segment.kind == SegmentKind::Purgatory {
                segment.data = Cow::Owned(linked.bytes);
                break;
            }
        }
        self.draft.entry = linked.entry;
        Ok(self.draft)
    }
}

/// A purgatory that could not be linked for want of memory says so by the error of this crate.
fn not_linked(error: PurgatoryError) -> Error {
    match error.downcast::<Error>() {
        Ok(error) if matches!(*error, Error::OutOfMemory { .. }) => *error,
        Ok(error) => Error::Purgatory(error),
        Err(error) => Error::Purgatory(error),
    }
}
