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
pub enum Buffer {
    /// Readable memory.
    Readable,
    /// Not readable by the caller, for example a null pointer.
    Bad,
}

impl Candidate {
    /// The call that loads `plan`.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn of_plan(plan: &Plan<'_>) -> Result<Self, Error> {
        let segments = plan.segments.iter().map(|segment| CandidateSegment {
            mem: segment.mem(),
            memsz: segment.memsz(),
            bufsz: segment.bufsz(),
            buffer: Buffer::Readable,
        });
        let segments = room::collect("segments", segments)?;
        Ok(Self { entry: plan.entry, flags: plan.flags.bits(), segments })
    }
}
