//! A load as the system call sees it, good or bad.

use alloc::vec::Vec;

use crate::plan::Plan;
use crate::{Error, room};

/// The arguments of a kexec_load(2) call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Physical address of the first instruction.
    pub entry: u64,
    /// The flags, architecture included.
    pub flags: u64,
    /// The segments in the order given.
    pub segments: Vec<CandidateSegment>,
}

/// One segment of a call; unlike a planned one it may be nonsense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CandidateSegment {
    /// Physical address.
    pub mem: u64,
    /// Bytes of memory.
    pub memsz: u64,
    /// Bytes of content.
    pub bufsz: u64,
    /// What the buffer is.
    pub buffer: Buffer,
}

/// What is known of a segment's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Buffer {
    /// Readable memory.
    Readable,
    /// Not readable by the caller, for example a null pointer.
    Bad,
}

impl CandidateSegment {
    /// Memory at physical address `mem`, with `bufsz` readable bytes for it.
    #[must_use]
    pub const fn new(mem: u64, memsz: u64, bufsz: u64) -> Self {
        Self { mem, memsz, bufsz, buffer: Buffer::Readable }
    }

    /// Sets what is known of its buffer.
    #[must_use]
    pub const fn buffer(self, buffer: Buffer) -> Self {
        Self { buffer, ..self }
    }
}

impl Candidate {
    /// A call with these arguments; the architecture stands in `flags`.
    #[must_use]
    pub const fn new(entry: u64, flags: u64, segments: Vec<CandidateSegment>) -> Self {
        Self { entry, flags, segments }
    }

    /// The call that loads `plan`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of_plan(plan: &Plan<'_>) -> Result<Self, Error> {
        let segments = plan
            .segments
            .iter()
            .map(|segment| CandidateSegment::new(segment.mem(), segment.memsz(), segment.bufsz()));
        let segments = room::collect("segments", segments)?;
        Ok(Self { entry: plan.entry, flags: plan.flags.bits(), segments })
    }
}
