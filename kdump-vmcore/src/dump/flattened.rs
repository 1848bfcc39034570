//! Dumps of any format inside flattened streams.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use kdump_elf::Paddr;

use super::format::{Format, Scratch};
use super::part::{Part, head};
use super::signature;
use super::{Facts, Span, SpanKind};
use crate::error::{Error, Stopped};
use crate::source::Flattened;

/// What a stream begins with.
pub(super) const SIGNATURE: &[u8] = b"makedumpfile";

/// A dump that knows of the streams it was in.
struct Unflattened<'s> {
    format: Box<dyn Format + 's>,
    /// Those of the format, with what the streams lack.
    facts: Facts,
}

/// Opens what the streams contain; parts that are no stream are taken as they are.
pub(super) fn open(parts: Vec<Part<'_>>) -> Result<Box<dyn Format + '_>, Error> {
    let mut files: Vec<Part<'_>> = Vec::new();
    let (mut records, mut damage) = (0_u64, Vec::new());
    for part in parts {
        if head(&*part)?.starts_with(SIGNATURE) {
            let stream = Flattened::open(part)?;
            records = records.saturating_add(stream.records());
            // Of a cut one it need not be told that it is damaged.
            damage.extend(stream.cut().or_else(|| stream.overlap()));
            files.push(Box::new(stream));
        } else {
            files.push(part);
        }
    }
    if let Some(first) = files.first() {
        if head(&**first)?.starts_with(SIGNATURE) {
            return Err(Error::Unsupported { what: "a flattened stream inside a flattened stream" });
        }
    }
    let format = signature::open(files)?;
    let mut facts = format.facts().clone();
    facts.details.push(("flattened", format!("{records} records")));
    facts.completeness.defects.append(&mut damage);
    Ok(Box::new(Unflattened { format, facts }))
}

impl Format for Unflattened<'_> {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn span(&self, at: Paddr) -> Option<Span> {
        self.format.span(at)
    }

    fn look(&self, at: Paddr, scratch: &mut Scratch) -> Option<Span> {
        self.format.look(at, scratch)
    }

    fn kind(&self, at: Paddr, scratch: &mut Scratch) -> Option<SpanKind> {
        self.format.kind(at, scratch)
    }

    fn is_slow(&self) -> bool {
        self.format.is_slow()
    }

    fn read(&self, at: Paddr, buf: &mut [u8], scratch: &mut Scratch) -> Result<(), Stopped> {
        self.format.read(at, buf, scratch)
    }
}
