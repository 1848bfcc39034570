//! A span of the dumped machine's memory and what the dump has of it.

use kdump_elf::PhysRange;

/// Why a tool leaves a page out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageClass {
    /// Page cache without private data.
    Cache,
    /// Page cache with private data.
    CachePrivate,
    /// Memory of user processes.
    User,
    /// Not in use.
    Free,
    /// Taken out of use after a memory error.
    HwPoison,
    /// Given back to a hypervisor.
    Offline,
}

impl PageClass {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Cache, Self::CachePrivate, Self::User, Self::Free, Self::HwPoison, Self::Offline];

    /// The name used on command lines and in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::CachePrivate => "cache-private",
            Self::User => "user",
            Self::Free => "free",
            Self::HwPoison => "hwpoison",
            Self::Offline => "offline",
        }
    }

    /// The number in the note of a saved dump; 0 there means that the reason is not known.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Cache => 1,
            Self::CachePrivate => 2,
            Self::User => 3,
            Self::Free => 4,
            Self::HwPoison => 5,
            Self::Offline => 6,
        }
    }

    /// The class of a number in the note of a saved dump.
    pub(crate) fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.number() == number)
    }
}

/// What a dump has of a piece of memory. Three ways to be without bytes that are RAM are never
/// folded into one: left out on purpose, lost with the end of the file, lost before saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SpanKind {
    /// The bytes are in the dump.
    Stored,
    /// Zeros, which is known without reading.
    Zero,
    /// RAM that the tool which wrote the dump left out, and why where the dump tells.
    Excluded(Option<PageClass>),
    /// RAM whose bytes should be in the file: they are behind the place where it was cut off,
    /// or were never written because writing ended early.
    Missing,
    /// RAM that could not be read when the dump was saved, which the dump tells.
    Unreadable,
    /// RAM whose place in the file cannot be right.
    Corrupt,
    /// No RAM.
    Hole,
}

impl SpanKind {
    /// The name used in JSON: `stored`, `zero`, `excluded`, `missing`, `unreadable`, `corrupt`
    /// or `hole`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Zero => "zero",
            Self::Excluded(_) => "excluded",
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Corrupt => "corrupt",
            Self::Hole => "hole",
        }
    }

    /// Whether reading is expected to give the bytes.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Stored | Self::Zero)
    }

    /// Whether the dump should have the bytes and has not.
    #[must_use]
    pub const fn is_lost(self) -> bool {
        matches!(self, Self::Missing | Self::Unreadable | Self::Corrupt)
    }
}

/// A span of memory of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its physical addresses.
    pub range: PhysRange,
    /// What the dump has of it.
    pub kind: SpanKind,
}
